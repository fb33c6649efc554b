//! Takes reports and holds them to the rules of `EiReport`; also reports what it has itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, VtnCore, deny, message};
use crate::openadr::message::{
    CancelReport, CanceledReport, CreateReport, CreatedReport, Duration, EiResponse, Float, Interval,
    Payload, PayloadBase, RId, ReadingType, RegisterReport, RegisteredReport, Report, ReportDescription,
    ReportName, ReportPayload, ReportRequest, ReportRequestId, ReportSpecifier, ReportType, RequestId,
    ResponseCode, StreamPayload, Unit, UpdateReport, UpdatedReport,
};
use crate::time::{Span, Timestamp};

/// How far `createdDateTime` may be from our clock; the certification tests take about a minute.
const RECENT: Span = Span::MINUTE;

/// What was asked of the VEN.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Handed to the VEN under a requestID, and not confirmed yet.
    handed_out: BTreeMap<RequestId, Vec<ReportRequest>>,
    running: BTreeMap<ReportRequestId, ReportRequest>,
    /// Done with; of these a repetition may still come.
    finished: BTreeMap<ReportRequestId, ReportRequest>,
    /// One last report is to follow (rule 345).
    closing: BTreeSet<ReportRequestId>,
    /// Cancellations handed to the VEN.
    cancels: BTreeMap<RequestId, CancelReport>,
    /// Data that came already.
    updates: BTreeSet<RequestId>,
}

impl Requests {
    fn finish(&mut self, id: &ReportRequestId) {
        self.closing.remove(id);
        if let Some(request) = self.running.remove(id) {
            self.finished.insert(id.clone(), request);
        }
    }

    fn find(&self, id: &ReportRequestId) -> Option<&ReportRequest> {
        self.running.get(id).or_else(|| self.finished.get(id))
    }

    /// Those whose time is over may be pending or not; all others must be (rule 329).
    fn is_exact(&self, pending: &[ReportRequestId], now: Timestamp) -> bool {
        let over = |request: &ReportRequest| {
            let interval = request.specifier.report_interval.as_ref();
            interval.is_some_and(|i| !i.duration.is_zero() && i.duration.after(i.start) <= now)
        };
        pending.iter().all(|id| self.find(id).is_some())
            && self.running.iter().all(|(id, request)| over(request) || pending.contains(id))
    }
}

/// What the VEN has asked of us.
#[derive(Debug)]
pub(super) struct Asked {
    request: ReportRequest,
    due: Timestamp,
    closing: bool,
}

fn is_metadata(request: &ReportRequest) -> bool {
    request.specifier.report_specifier_id.as_str() == ReportSpecifier::METADATA
}

fn is_once(request: &ReportRequest) -> bool {
    request.specifier.report_back_duration.is_zero()
}

impl VtnCore {
    /// Remembers what the VEN is asked for.
    pub(super) fn hand_out(&mut self, waiting: &Payload) {
        if let Payload::CreateReport(create) = waiting {
            let requests = create.report_requests.clone();
            self.requests_to_ven.handed_out.insert(create.request_id.clone(), requests);
        }
        if let Payload::CancelReport(cancel) = waiting {
            self.requests_to_ven.cancels.insert(cancel.request_id.clone(), cancel.clone());
        }
    }

    pub(super) fn register_report(&mut self, now: Timestamp, register: RegisterReport) -> Answer {
        let faults = register.reports.iter().filter_map(|report| against_the_metadata(now, report));
        self.violations.extend(faults);
        let ids: BTreeSet<_> = register.reports.iter().map(|report| &report.report_specifier_id).collect();
        if ids.len() < register.reports.len() {
            self.violations.push("a reportSpecifierID stands twice in the metadata (rule 308)".into());
        }
        let requests = &mut self.requests_to_ven;
        // Running requests are cancelled, but for those for metadata (rule 306).
        requests.running.retain(|_, request| is_metadata(request));
        requests.finished.clear();
        if let Some(id) = &register.report_request_id {
            match requests.find(id) {
                Some(request) if is_metadata(request) => {
                    if is_once(request) || requests.closing.contains(id) {
                        requests.finish(id);
                    }
                }
                Some(_) | None => {
                    self.violations.push(format!("metadata were not asked for under {id} (rule 311)"));
                }
            }
        }
        self.offered = register.reports;
        self.bootstrapped = true;
        self.pending.clear();
        let report_requests = self.piggyback.clone();
        if !report_requests.is_empty() {
            self.requests_to_ven.handed_out.insert(register.request_id.clone(), report_requests.clone());
        }
        let response = EiResponse::ok(register.request_id);
        message(RegisteredReport { response, report_requests, ven_id: None })
    }

    pub(super) fn created_report(&mut self, now: Timestamp, created: CreatedReport) -> Answer {
        let requests = &mut self.requests_to_ven;
        let confirmed = requests.handed_out.remove(&created.response.request_id);
        for request in confirmed.into_iter().flatten().filter(|_| created.response.code.is_success()) {
            let id = request.report_request_id.clone();
            requests.closing.remove(&id);
            requests.finished.remove(&id);
            requests.running.insert(id, request);
        }
        self.take_pending(now, created.pending_reports);
        deny(ResponseCode::OK, "OK")
    }

    pub(super) fn canceled_report(&mut self, now: Timestamp, canceled: CanceledReport) -> Answer {
        if let Some(cancel) = self.requests_to_ven.cancels.remove(&canceled.response.request_id) {
            for id in cancel.report_request_ids {
                if cancel.report_to_follow {
                    self.requests_to_ven.closing.insert(id);
                } else {
                    self.requests_to_ven.running.remove(&id);
                    self.requests_to_ven.finished.remove(&id);
                }
            }
        }
        self.refused_cancellations += u32::from(!canceled.response.code.is_success());
        self.take_pending(now, canceled.pending_reports);
        deny(ResponseCode::OK, "OK")
    }

    fn take_pending(&mut self, now: Timestamp, pending: Vec<ReportRequestId>) {
        if !self.requests_to_ven.is_exact(&pending, now) {
            let running: Vec<_> = self.requests_to_ven.running.keys().collect();
            self.violations.push(format!("pending are {running:?}, not {pending:?} (rule 329)"));
        }
        self.pending = pending;
    }

    pub(super) fn update_report(&mut self, update: UpdateReport) -> Answer {
        let request_id = update.request_id.clone();
        let repeated = !self.requests_to_ven.updates.insert(request_id.clone());
        let ids: Vec<_> = update.reports.iter().map(|report| report.report_request_id.clone()).collect();
        if ids.iter().any(|id| self.forgotten_reports.contains(id)) {
            return refuse_update(request_id);
        }
        let unknown = ids.iter().find(|id| self.requests_to_ven.find(id).is_none());
        if let Some(id) = unknown.filter(|_| !repeated) {
            self.violations.push(format!("data of {id}, which does not run (rule 304)"));
            return refuse_update(request_id);
        }
        for report in &update.reports {
            let request = self.requests_to_ven.find(&report.report_request_id);
            let offer =
                self.offered.iter().find(|offer| offer.report_specifier_id == report.report_specifier_id);
            if let Some(fault) = against_the_form(report, request, offer) {
                self.violations.push(format!("data of {}: {fault}", report.report_request_id));
            }
        }
        let cancel_report = std::mem::take(&mut self.cancel_with_next_update).then(|| CancelReport {
            request_id: self.next_id(),
            report_request_ids: ids.clone(),
            report_to_follow: false,
            ven_id: None,
        });
        for id in &ids {
            let requests = &mut self.requests_to_ven;
            if requests.closing.contains(id) || requests.running.get(id).is_some_and(is_once) {
                requests.finish(id);
            }
            if cancel_report.is_some() {
                requests.running.remove(id);
                requests.finished.remove(id);
            }
        }
        self.reports.extend(update.reports);
        let request_id =
            if std::mem::take(&mut self.mistake_next_update) { self.next_id() } else { request_id };
        message(UpdatedReport { response: EiResponse::ok(request_id), cancel_report, ven_id: None })
    }

    /// The VEN wants reports of ours.
    pub(super) fn create_report(&mut self, now: Timestamp, create: CreateReport) -> Answer {
        let response = self.begin(now, create.request_id, create.report_requests);
        message(self.created_report_of_ours(response))
    }

    fn begin(&mut self, now: Timestamp, request_id: RequestId, requests: Vec<ReportRequest>) -> EiResponse {
        let offered = |request: &ReportRequest| {
            let specifier = &request.specifier;
            let offer = self
                .own_reports
                .iter()
                .find(|offer| offer.report_specifier_id == specifier.report_specifier_id);
            is_metadata(request)
                || offer.is_some_and(|offer| {
                    specifier.payloads.iter().all(|payload| {
                        offer.descriptions.iter().any(|description| description.r_id == payload.r_id)
                    })
                })
        };
        if !requests.iter().all(offered) {
            return EiResponse::error(ResponseCode::INVALID_ID, "that is not on offer", request_id);
        }
        for request in requests {
            if request.specifier.payloads.iter().any(|p| p.reading_type != ReadingType::NotApplicable) {
                self.violations
                    .push("a request has another readingType than x-notApplicable (rule 338)".into());
            }
            let asked = Asked { due: now, closing: false, request };
            self.asked_of_us.insert(asked.request.report_request_id.clone(), asked);
        }
        EiResponse::ok(request_id)
    }

    fn created_report_of_ours(&self, response: EiResponse) -> CreatedReport {
        CreatedReport { response, pending_reports: self.asked_of_us.keys().cloned().collect(), ven_id: None }
    }

    /// The VEN wants no more of some reports of ours (rules 336, 345).
    pub(super) fn cancel_report(&mut self, cancel: CancelReport) -> Answer {
        let known = cancel.report_request_ids.iter().all(|id| self.asked_of_us.contains_key(id));
        self.end_own(&cancel);
        let response = if known {
            EiResponse::ok(cancel.request_id)
        } else {
            EiResponse::error(ResponseCode::INVALID_ID, "reportRequestID is not known", cancel.request_id)
        };
        let pending_reports = self.asked_of_us.keys().cloned().collect();
        message(CanceledReport { response, pending_reports, ven_id: None })
    }

    fn end_own(&mut self, cancel: &CancelReport) {
        for id in &cancel.report_request_ids {
            match self.asked_of_us.get_mut(id) {
                Some(asked) if cancel.report_to_follow => asked.closing = true,
                Some(_) | None => drop(self.asked_of_us.remove(id)),
            }
        }
    }

    /// The VEN has our metadata; a request that comes along is accepted in place of the plain answer (rule 344).
    pub(super) fn registered_report(&mut self, now: Timestamp, registered: RegisteredReport) -> Answer {
        if registered.report_requests.is_empty() {
            return deny(ResponseCode::OK, "OK");
        }
        let response = self.begin(now, registered.response.request_id, registered.report_requests);
        message(self.created_report_of_ours(response))
    }

    /// The VEN has our data; a cancellation that comes along gets no answer (rule 328).
    pub(super) fn updated_report(&mut self, updated: UpdatedReport) -> Answer {
        if let Some(cancel) = updated.cancel_report {
            self.end_own(&cancel);
        }
        deny(ResponseCode::OK, "OK")
    }

    /// When the next of what the VEN has asked for is due.
    pub(super) fn own_report_due(&self) -> Option<Timestamp> {
        self.asked_of_us.values().map(|asked| asked.due).min()
    }

    /// What the VEN has asked for and what is due.
    pub(super) fn queue_own_reports(&mut self, now: Timestamp) {
        let due = self.asked_of_us.values().filter(|asked| asked.closing || asked.due <= now);
        let due: Vec<_> = due.map(|asked| asked.request.clone()).collect();
        for request in due {
            let request_id = self.next_id();
            if is_metadata(&request) {
                self.queue(RegisterReport {
                    request_id,
                    reports: self.own_reports.clone(),
                    ven_id: None,
                    report_request_id: Some(request.report_request_id.clone()),
                });
            } else {
                let reports = vec![data(now, &request, &self.own_reports)];
                self.queue(UpdateReport { request_id, reports, ven_id: None });
            }
            let id = &request.report_request_id;
            if is_once(&request) || self.asked_of_us.get(id).is_some_and(|asked| asked.closing) {
                self.asked_of_us.remove(id);
            } else if let Some(asked) = self.asked_of_us.get_mut(id) {
                asked.due += request.specifier.report_back_duration.nominal();
            }
        }
    }
}

/// One interval with a value for each point.
fn data(now: Timestamp, request: &ReportRequest, offers: &[Report]) -> Report {
    let specifier = &request.specifier;
    let offer = offers.iter().find(|offer| offer.report_specifier_id == specifier.report_specifier_id);
    let value = |r_id: &RId| {
        StreamPayload::Report(ReportPayload {
            r_id: r_id.clone(),
            confidence: None,
            accuracy: None,
            value: PayloadBase::Float(Float::from(1)),
            data_quality: None,
        })
    };
    let payloads = specifier.payloads.iter().map(|payload| value(&payload.r_id)).collect();
    let interval = Interval { start: Some(now), duration: None, uid: Some("0".into()), payloads };
    Report {
        start: Some(now),
        duration: None,
        intervals: vec![interval],
        report_id: None,
        descriptions: Vec::new(),
        report_request_id: request.report_request_id.clone(),
        report_specifier_id: specifier.report_specifier_id.clone(),
        report_name: offer.and_then(|offer| offer.report_name.as_ref()).map(ReportName::data),
        created_date_time: now,
    }
}

fn refuse_update(request_id: RequestId) -> Answer {
    let response = EiResponse::error(ResponseCode::INVALID_ID, "reportRequestID is not known", request_id);
    message(UpdatedReport { response, cancel_report: None, ven_id: None })
}

/// What is wrong with metadata.
fn against_the_metadata(now: Timestamp, report: &Report) -> Option<String> {
    let ids: BTreeSet<_> = report.descriptions.iter().map(|description| &description.r_id).collect();
    let name = report.report_name.as_ref();
    let is_telemetry =
        matches!(name.map(ReportName::data), Some(ReportName::TelemetryUsage | ReportName::TelemetryStatus));
    let slow = |description: &ReportDescription| {
        let most = description.sampling_rate.map(|rate| rate.max_period.nominal());
        most.map_or(is_telemetry, |most| Some(most) > report.duration.map(Duration::nominal))
    };
    let faults = [
        (report.report_request_id.as_str() != "0", "reportRequestID is not 0 (rule 311)"),
        (report.duration.is_none(), "there is no duration (rule 312)"),
        (
            report.start.is_some() || !report.intervals.is_empty() || report.report_id.is_some(),
            "there are dtstart, intervals or eiReportID (rule 305)",
        ),
        (report.descriptions.is_empty(), "there are no data points (rule 305)"),
        (ids.len() < report.descriptions.len(), "an rID stands there twice (rule 308)"),
        (name.is_none_or(|name| *name != name.metadata()), "reportName is not METADATA_... (rule 331)"),
        (report.descriptions.iter().any(slow), "the sampling rate is missing or too slow (rules 312, 333)"),
        (
            name.is_some_and(|name| !report.descriptions.iter().all(|d| is_well_known(&name.data(), d))),
            "a data point is none of that well-known report (rule 331)",
        ),
        ((now - report.created_date_time).abs() > RECENT, "createdDateTime is not of now"),
    ];
    let fault = faults.into_iter().find(|(is_fault, _)| *is_fault);
    fault.map(|(_, why)| format!("metadata of {}: {why}", report.report_specifier_id))
}

/// The table of rule 331.
fn is_well_known(name: &ReportName, point: &ReportDescription) -> bool {
    if matches!(name, ReportName::TelemetryUsage | ReportName::HistoryUsage) {
        let is_usage = matches!(point.unit, Some(Unit::Power(..) | Unit::Energy(..) | Unit::PulseCount(_)));
        return point.report_type == ReportType::Usage
            && is_usage
            && point.reading_type == ReadingType::DirectRead;
    }
    *name != ReportName::TelemetryStatus
        || (point.report_type == ReportType::ResourceStatus
            && point.unit.is_none()
            && point.reading_type == ReadingType::NotApplicable)
}

/// What is wrong with data.
fn against_the_form(
    report: &Report,
    request: Option<&ReportRequest>,
    offer: Option<&Report>,
) -> Option<&'static str> {
    let starts: Vec<_> = report.intervals.iter().map(|interval| interval.start).collect();
    let durations = report.intervals.iter().filter(|interval| interval.duration.is_some()).count();
    let uids = report.intervals.iter().zip(0..).all(|(interval, at): (_, usize)| {
        interval.uid.as_ref().map_or_else(|| interval.start.is_some(), |uid| *uid == at.to_string())
    });
    let points: Vec<_> =
        report.intervals.iter().flat_map(Interval::report_payloads).map(|payload| &payload.r_id).collect();
    let asked = request.map(|request| request.specifier.payloads.iter().map(|p| &p.r_id).collect());
    let found: BTreeSet<_> = points.iter().copied().collect();
    let once = request.is_some_and(|request| {
        is_once(request) && offer.is_none_or(|offer| !is_history(offer)) && points.len() != found.len()
    });
    let name = offer.and_then(|offer| offer.report_name.as_ref()).map(ReportName::data);
    let faults = [
        (
            report.start.is_none() || report.intervals.is_empty(),
            "dtstart or intervals are missing (rule 313)",
        ),
        (report.report_name.is_none() || report.report_name != name, "reportName is another (rule 313)"),
        (!report.descriptions.is_empty(), "there are descriptions (rule 313)"),
        (
            starts.iter().any(|start| start.is_some() != starts[0].is_some()),
            "only some have a dtstart (rule 314)",
        ),
        (
            starts.first().is_some_and(|s| s.is_some() && *s != report.start),
            "it starts at another time (rule 314)",
        ),
        (!starts.is_sorted(), "the intervals are not in their order (rule 314)"),
        (durations > 0 && durations < starts.len(), "only some have a duration (rule 315)"),
        (!uids, "the uids are not 0, 1, 2... (rule 316)"),
        (
            asked.is_some_and(|asked: BTreeSet<_>| asked != found),
            "the rIDs are not those asked for (rule 300)",
        ),
        (once, "there is more than one value for a point (rule 324)"),
        (!statuses_are_alike(report), "the states are not the same set (rule 334)"),
    ];
    faults.into_iter().find(|(is_fault, _)| *is_fault).map(|(_, why)| why)
}

fn is_history(offer: &Report) -> bool {
    let name = offer.report_name.as_ref().map(ReportName::data);
    matches!(name, Some(ReportName::HistoryUsage | ReportName::HistoryGreenButton))
}

fn statuses_are_alike(report: &Report) -> bool {
    let mut sets: BTreeMap<&RId, [bool; 5]> = BTreeMap::new();
    report.intervals.iter().flat_map(Interval::report_payloads).all(|payload| {
        let PayloadBase::ResourceStatus(status) = &payload.value else { return true };
        let state = status.load_control_state.as_ref();
        let set = [
            state.is_some(),
            state.is_some_and(|state| state.capacity.is_some()),
            state.is_some_and(|state| state.level_offset.is_some()),
            state.is_some_and(|state| state.percent_offset.is_some()),
            state.is_some_and(|state| state.set_point.is_some()),
        ];
        *sets.entry(&payload.r_id).or_insert(set) == set
    })
}
