//! Asks the VTN for reports of its own, and takes what it sends.
//!
//! Hardly a VTN has more to report than that it has nothing, so what is asked for does not outlive a restart: data that come
//! under an id of before are refused with 452, and the VTN knows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::notice::Notice;
use crate::openadr::message::{
    CancelReport, CanceledReport, CreateReport, CreatedReport, EiResponse, Payload, PayloadKind,
    RegisterReport, RegisteredReport, Report, ReportRequest, ReportRequestId, ReportSpecifier, RequestId,
    ResponseCode, Service, UpdateReport, UpdatedReport, VenId,
};

use super::dice::Dice;
use super::exchange::What;
use super::replies::answers_to;
use super::{Engine, Turn};

/// What we want of the VTN.
#[derive(Debug, Default)]
pub(super) struct Requester {
    /// Requests that run, as far as we know.
    asked: BTreeMap<ReportRequestId, ReportRequest>,
    /// To be sent, oldest first.
    messages: VecDeque<Wanted>,
    /// To be sent with our next answer to the VTN's metadata (rule 344).
    along: Vec<ReportRequest>,
    /// Sent with an answer, and not accepted yet.
    sent_along: Vec<ReportRequestId>,
    /// To be sent with our next answer to the VTN's data (rule 328).
    cancel_along: Option<CancelReport>,
}

#[derive(Debug)]
enum Wanted {
    Create(CreateReport),
    Cancel(CancelReport),
}

impl Requester {
    pub(super) fn request(&mut self, dice: &mut Dice, requests: Vec<ReportRequest>, along: bool) {
        if along {
            return self.along.extend(requests);
        }
        let request_id = dice.request_id();
        let create = CreateReport { request_id, report_requests: requests, ven_id: None };
        self.messages.push_back(Wanted::Create(create));
    }

    pub(super) fn cancel(
        &mut self,
        dice: &mut Dice,
        ids: Vec<ReportRequestId>,
        report_to_follow: bool,
        along: bool,
    ) {
        let request_id = dice.request_id();
        let cancel = CancelReport { request_id, report_request_ids: ids, report_to_follow, ven_id: None };
        if along {
            self.cancel_along = Some(cancel);
        } else {
            self.messages.push_back(Wanted::Cancel(cancel));
        }
    }

    pub(super) fn wants(&self) -> bool {
        !self.messages.is_empty()
    }

    /// The next message.
    pub(super) fn message(&self, ven_id: &VenId) -> Option<(What, Payload)> {
        let ven_id = Some(ven_id.clone());
        Some(match self.messages.front()? {
            Wanted::Create(create) => {
                let what = What::Request(create.request_id.clone());
                (what, CreateReport { ven_id, ..create.clone() }.into())
            }
            Wanted::Cancel(cancel) => {
                let what = What::Request(cancel.request_id.clone());
                (what, CancelReport { ven_id, ..cancel.clone() }.into())
            }
        })
    }

    /// The first message will never be taken.
    pub(super) fn given_up(&mut self) -> PayloadKind {
        match self.messages.pop_front() {
            Some(Wanted::Cancel(_)) => PayloadKind::CancelReport,
            Some(Wanted::Create(_)) | None => PayloadKind::CreateReport,
        }
    }

    /// The VTN answers the first message, which asks for reports.
    fn created(&mut self, turn: &mut Turn, reply: &CreatedReport) {
        let Some(Wanted::Create(create)) = self.messages.pop_front() else { return };
        let wanted = create.report_requests;
        if taken(turn, PayloadKind::CreateReport, &reply.response) {
            let ids: Vec<_> = wanted.iter().map(|request| request.report_request_id.clone()).collect();
            listed(turn, &ids, &reply.pending_reports);
            self.asked.extend(ids.into_iter().zip(wanted));
        }
    }

    /// The VTN answers requests that were sent along.
    pub(super) fn accepted_along(&mut self, turn: &mut Turn, reply: &CreatedReport) {
        let ids = std::mem::take(&mut self.sent_along);
        if taken(turn, PayloadKind::CreateReport, &reply.response) {
            listed(turn, &ids, &reply.pending_reports);
        } else {
            self.asked.retain(|id, _| !ids.contains(id));
        }
    }

    /// The VTN answers the first message, which cancels.
    fn canceled(&mut self, turn: &mut Turn, reply: &CanceledReport) {
        let Some(Wanted::Cancel(cancel)) = self.messages.pop_front() else { return };
        taken(turn, PayloadKind::CancelReport, &reply.response);
        let ended = |id: &ReportRequestId| {
            cancel.report_request_ids.contains(id) && !reply.pending_reports.contains(id)
        };
        self.asked.retain(|id, _| !ended(id));
    }

    /// Whether a message under that id was asked for; what was asked for once is done with it.
    fn take(&mut self, id: &ReportRequestId, metadata: bool) -> bool {
        let Some(request) = self.asked.get(id) else { return false };
        let specifier = &request.specifier;
        let fits = (specifier.report_specifier_id.as_str() == ReportSpecifier::METADATA) == metadata;
        if fits && specifier.report_back_duration.is_zero() {
            self.asked.remove(id);
        }
        fits
    }

    fn registered(&mut self, reports: &[Report]) -> Vec<ReportRequest> {
        // Whoever registers cancels what runs, but for metadata (rule 306).
        self.asked
            .retain(|_, request| request.specifier.report_specifier_id.as_str() == ReportSpecifier::METADATA);
        let offered = |request: &ReportRequest| {
            let specifier = &request.specifier.report_specifier_id;
            specifier.as_str() == ReportSpecifier::METADATA
                || reports.iter().any(|report| report.report_specifier_id == *specifier)
        };
        // What is not on offer waits for metadata that offer it (rule 300).
        let along: Vec<_> = self.along.extract_if(.., |request| offered(request)).collect();
        self.sent_along = along.iter().map(|request| request.report_request_id.clone()).collect();
        self.asked.extend(self.sent_along.iter().cloned().zip(along.iter().cloned()));
        along
    }

    fn cancelled_along(&mut self, update: &UpdateReport, ven_id: &VenId) -> Option<CancelReport> {
        let ours = |cancel: &mut CancelReport| {
            cancel
                .report_request_ids
                .iter()
                .all(|id| update.reports.iter().any(|report| report.report_request_id == *id))
        };
        let mut cancel = self.cancel_along.take_if(ours)?;
        if !cancel.report_to_follow {
            self.asked.retain(|id, _| !cancel.report_request_ids.contains(id));
        }
        cancel.ven_id = Some(ven_id.clone());
        Some(cancel)
    }
}

impl Engine {
    /// The VTN answers our request.
    pub(super) fn created_by_vtn(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        reply: &CreatedReport,
    ) -> Result<(), String> {
        answers_to(request_id, &reply.response).map(|()| self.requester.created(turn, reply))
    }

    /// The VTN answers our cancellation.
    pub(super) fn canceled_by_vtn(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        reply: &CanceledReport,
    ) -> Result<(), String> {
        answers_to(request_id, &reply.response).map(|()| self.requester.canceled(turn, reply))
    }

    /// The VTN says what it can report.
    pub(super) fn vtn_registers_reports(
        &mut self,
        turn: &mut Turn,
        register: RegisterReport,
        ven_id: VenId,
    ) -> RegisteredReport {
        let request_id = register.request_id;
        let unasked = register.report_request_id.filter(|id| !self.requester.take(id, true));
        let unasked = unasked.map(|id| {
            (ResponseCode::INVALID_ID, format!("metadata were not asked for under {id} (rule 311)"))
        });
        let (response, report_requests) = if let Some((code, why)) = unasked {
            (EiResponse::error(code, why, request_id), Vec::new())
        } else {
            let along = self.requester.registered(&register.reports);
            turn.notify(Notice::VtnReportsRegistered { reports: Arc::new(register.reports) });
            (EiResponse::ok(request_id), along)
        };
        RegisteredReport { response, report_requests, ven_id: Some(ven_id) }
    }

    /// The VTN sends data; all of the message were asked for, or it is refused (rule 304).
    pub(super) fn vtn_reports(
        &mut self,
        turn: &mut Turn,
        update: UpdateReport,
        ven_id: VenId,
    ) -> UpdatedReport {
        let request_id = update.request_id.clone();
        let mut ids = update.reports.iter().map(|report| &report.report_request_id);
        let unasked = ids.find(|id| !self.requester.asked.contains_key(*id)).cloned();
        let (response, cancel_report) = if let Some(id) = unasked {
            let why = format!("nothing was asked for under {id}");
            (EiResponse::error(ResponseCode::INVALID_ID, why, request_id), None)
        } else {
            let cancel = self.requester.cancelled_along(&update, &ven_id);
            for report in &update.reports {
                self.requester.take(&report.report_request_id, false);
            }
            turn.notify(Notice::VtnReported { report: Arc::new(update) });
            (EiResponse::ok(request_id), cancel)
        };
        UpdatedReport { response, cancel_report, ven_id: Some(ven_id) }
    }
}

fn taken(turn: &mut Turn, message: PayloadKind, response: &EiResponse) -> bool {
    let taken = response.code.is_success();
    if !taken {
        turn.notify(Notice::MessageRefused { message, about: Vec::new(), why: response.to_string() });
    }
    taken
}

/// What is accepted stands among what is still to come (rule 329).
fn listed(turn: &mut Turn, ids: &[ReportRequestId], pending: &[ReportRequestId]) {
    if let Some(id) = ids.iter().find(|id| !pending.contains(id)) {
        let why = format!("report {id} is accepted, and not among the pending ones (rule 329)");
        turn.notify(Notice::MessageRejected { service: Some(Service::EiReport), why });
    }
}
