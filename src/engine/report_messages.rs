//! Answers what the VTN wants of our reports: requests, cancellations, metadata.

use crate::notice::Notice;
use crate::openadr::message::{
    CancelReport, CanceledReport, CreatedReport, EiResponse, ReportRequest, ReportRequestId, RequestId,
    ResponseCode,
};

use super::registration::Registration;
use super::snapshot::RequestRecord;
use super::{Engine, Turn, request};

impl Engine {
    /// The VTN wants reports.
    ///
    /// **Reading of the standard:** all of a message are begun, or none.
    pub(super) fn reports_requested(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        wishes: Vec<ReportRequest>,
    ) -> CreatedReport {
        let response = match self.read_wishes(turn, request_id, wishes) {
            Ok(records) => {
                for record in records {
                    self.begin_report(turn, record);
                }
                EiResponse::ok(request_id.clone())
            }
            Err((code, why)) => {
                turn.notify(Notice::ReportRequestRefused { code, why: why.clone() });
                EiResponse::error(code, why, request_id.clone())
            }
        };
        let (pending_reports, ven_id) = (self.reporting.pending(), self.registration.ven_id().cloned());
        CreatedReport { response, pending_reports, ven_id }
    }

    fn read_wishes(
        &self,
        turn: &Turn,
        request_id: &RequestId,
        wishes: Vec<ReportRequest>,
    ) -> Result<Vec<RequestRecord>, request::Fault> {
        let mut records: Vec<RequestRecord> = Vec::new();
        for wish in wishes {
            let record = request::read(wish, request_id, &self.settings, turn.now.wall)?;
            if records.iter().any(|other| other.id == record.id) {
                let why = format!("reportRequestID {} stands there twice (rule 322)", record.id);
                return Err((ResponseCode::INVALID_ID, why));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn begin_report(&mut self, turn: &mut Turn, record: RequestRecord) {
        turn.notify(Notice::ReportRequested {
            request_id: record.id.clone(),
            specifier: record.specifier.clone(),
            points: record.points.clone(),
            granularity: record.granularity,
            back: record.back,
        });
        self.reporting.begin(turn, record);
    }

    /// The VTN wants no more of some reports (rules 336, 345).
    pub(super) fn reports_cancelled(&mut self, turn: &mut Turn, cancel: &CancelReport) -> CanceledReport {
        let request_id = cancel.request_id.clone();
        let unknown = self.cancel_reports(turn, &cancel.report_request_ids, cancel.report_to_follow);
        let response = match unknown.first() {
            None => EiResponse::ok(request_id),
            Some(id) => {
                let why = format!("reportRequestID {id} is not known");
                EiResponse::error(ResponseCode::INVALID_ID, why, request_id)
            }
        };
        let (pending_reports, ven_id) = (self.reporting.pending(), self.registration.ven_id().cloned());
        CanceledReport { response, pending_reports, ven_id }
    }

    /// No more of these; returns those that were not known.
    pub(super) fn cancel_reports(
        &mut self,
        turn: &mut Turn,
        ids: &[ReportRequestId],
        last_one: bool,
    ) -> Vec<ReportRequestId> {
        if let Registration::Registered { duties, .. } = &mut self.registration
            && duties.metadata_for.as_ref().is_some_and(|id| ids.contains(id) && !last_one)
        {
            (duties.metadata_for, duties.register_reports) = (None, None);
        }
        self.reporting.cancel(turn, ids, last_one)
    }

    /// Metadata that are due become a duty (rules 311, 327).
    pub(super) fn register_what_is_due(&mut self, turn: &Turn) {
        if let Registration::Registered { duties, .. } = &mut self.registration
            && duties.register_reports.is_none()
            && let Some(id) = self.reporting.metadata_due(turn.now.wall)
        {
            duties.metadata_for = Some(id);
            duties.register_reports = Some(self.dice.request_id());
        }
    }

    /// Confirms what was begun before a restart and perhaps never confirmed.
    pub(super) fn confirm_again(&mut self) {
        for request_id in self.reporting.unconfirmed() {
            let (pending_reports, ven_id) = (self.reporting.pending(), self.registration.ven_id().cloned());
            self.answers.owe(CreatedReport { response: EiResponse::ok(request_id), pending_reports, ven_id });
        }
    }
}
