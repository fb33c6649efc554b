//! Holds what must survive a restart: records, and the writes that change them.
//!
//! A [`Write`] replaces or forgets one whole record, so that writing it twice does no harm and a later write of the
//! same record makes an earlier one superfluous.

use std::collections::BTreeMap;

use crate::handler::{EndReason, Timeline};
use crate::notice::DecidedBy;
use crate::openadr::message::{
    EiEvent, EventId, OptId, OptType, RId, RegistrationId, ReportRequestId, ReportSpecifier,
    ReportSpecifierId, RequestId, ResourceId, ResponseCode, ResponseRequired, UpdateReport, VenId, VtnId,
};
use crate::time::{Span, Timestamp};

use super::settings::OptSchedule;

/// Everything an engine needs to go on where it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) registration: Option<RegistrationRecord>,
    pub(crate) events: BTreeMap<EventId, EventRecord>,
    pub(crate) requests: BTreeMap<ReportRequestId, RequestRecord>,
    pub(crate) owed: BTreeMap<u64, OwedReport>,
    pub(crate) event_opts: BTreeMap<OptId, EventOptRecord>,
    pub(crate) schedules: BTreeMap<OptId, ScheduleRecord>,
}

/// A registration that the VTN has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistrationRecord {
    pub(crate) registration_id: RegistrationId,
    pub(crate) ven_id: VenId,
    pub(crate) vtn_id: VtnId,
    /// Minimum time between two polls, as the VTN asked.
    pub(crate) poll_freq: Option<Span>,
    /// What the VTN was told that we can report ([`super::Settings::offers_summary`]); `None`: nothing yet.
    pub(crate) reports_registered: Option<String>,
}

/// An event that the VTN has told us of and not yet dropped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventRecord {
    pub(crate) event: std::sync::Arc<EiEvent>,
    pub(crate) response_required: ResponseRequired,
    /// Of the `oadrDistributeEvent` that carried it last (rule 42).
    pub(crate) request_id: RequestId,
    /// How far start and end are moved (rule 30).
    pub(crate) offset: Span,
    /// What was decided last, and about which version.
    pub(crate) decision: Option<DecisionRecord>,
    /// The handler has been told that it began.
    pub(crate) started: bool,
    /// It is called off: when it stops, and why.
    pub(crate) stop: Option<(Timestamp, EndReason)>,
    /// It is over; kept so that it is answered as before while the VTN still speaks of it.
    pub(crate) ended: bool,
    /// The handler has still to be told that it is over.
    pub(crate) end_owed: Option<EndReason>,
}

impl EventRecord {
    /// When it happens, its random offset included.
    pub(crate) fn timeline(&self) -> Timeline {
        super::schedule::timeline(&self.event.active_period, self.offset)
    }
}

/// A decision about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecisionRecord {
    pub(crate) opt: OptType,
    /// About which version.
    pub(crate) modification: u32,
    pub(crate) by: DecidedBy,
    /// The handler refuses the event, with this code and for this reason.
    pub(crate) refusal: Option<(ResponseCode, String)>,
}

/// A report that the VTN has asked for and that has not all been reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestRecord {
    pub(crate) id: ReportRequestId,
    pub(crate) specifier: ReportSpecifierId,
    pub(crate) points: Vec<RId>,
    /// Step between values; zero: what changes (rule 317).
    pub(crate) granularity: Span,
    /// Time between reports; zero: once.
    pub(crate) back: Span,
    /// When the last report ends; `None`: never. Of a history, where the span ends.
    pub(crate) end: Option<Timestamp>,
    /// Up to here everything has been reported.
    pub(crate) reported_to: Timestamp,
    /// Cancelled, with one last report to come (rule 345).
    pub(crate) closing: bool,
    /// The request has still to be confirmed, under this requestID.
    pub(crate) unconfirmed: Option<RequestId>,
}

impl RequestRecord {
    /// What is asked for are the metadata (rule 327).
    pub(crate) fn is_metadata(&self) -> bool {
        self.specifier.as_str() == ReportSpecifier::METADATA
    }

    /// What changes is reported, not a value for each step (rule 317).
    pub(crate) const fn is_on_change(&self) -> bool {
        self.granularity.is_zero()
    }

    /// What is asked for is one span of the past.
    pub(crate) const fn is_history(&self) -> bool {
        self.back.is_zero() && self.end.is_some()
    }
}

/// A report that is ready and has not reached the VTN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwedReport {
    /// Orders them; never used twice.
    pub(crate) sequence: u64,
    /// Unsigned, and without the venID, which may change before it is sent.
    pub(crate) update: UpdateReport,
}

impl OwedReport {
    /// The requests that it answers.
    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.update.reports.iter().map(|report| report.report_request_id.to_string()).collect()
    }
}

/// An opt about an event that goes by `oadrCreateOpt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventOptRecord {
    /// Never used twice; the requestID too, so that a retry is the same request.
    pub(crate) opt_id: OptId,
    /// Orders those of one event.
    pub(crate) sequence: u64,
    pub(crate) event_id: EventId,
    /// None: all resources of the event.
    pub(crate) resources: Vec<ResourceId>,
    pub(crate) opt: OptType,
    pub(crate) standing: Standing,
}

/// How far the VTN knows of an opt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The VTN is to be told.
    Owed,
    /// The VTN holds to it.
    Held,
    /// The VTN does not know of it: it refused it, or wants no opt for that event.
    Unspoken,
}

/// An opt schedule, and what the VTN has still to be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleRecord {
    pub(crate) schedule: OptSchedule,
    /// Orders them by when they were declared: the newer counts (rule 203).
    pub(crate) sequence: u64,
    /// It stands in the configuration.
    pub(crate) configured: bool,
    /// Everything under its optID is to be cancelled, under this requestID; before it is created.
    pub(crate) cancel: Option<RequestId>,
    /// It is to be created, under this requestID.
    pub(crate) create: Option<RequestId>,
    /// It holds no more; forgotten as soon as the VTN knows.
    pub(crate) withdrawn: bool,
}

/// Replaces or forgets one record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    Registration(Option<RegistrationRecord>),
    Event(EventRecord),
    ForgetEvent(EventId),
    Request(RequestRecord),
    ForgetRequest(ReportRequestId),
    Owe(OwedReport),
    Delivered(u64),
    EventOpt(EventOptRecord),
    ForgetEventOpt(OptId),
    Schedule(ScheduleRecord),
    ForgetSchedule(OptId),
}

#[cfg(test)]
impl Snapshot {
    /// What the store holds after this write.
    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::Registration(record) => self.registration.clone_from(record),
            Write::Event(record) => {
                self.events.insert(record.event.id().clone(), record.clone());
            }
            Write::ForgetEvent(id) => {
                self.events.remove(id);
            }
            Write::Request(record) => {
                self.requests.insert(record.id.clone(), record.clone());
            }
            Write::ForgetRequest(id) => {
                self.requests.remove(id);
            }
            Write::Owe(report) => {
                self.owed.insert(report.sequence, report.clone());
            }
            Write::Delivered(sequence) => {
                self.owed.remove(sequence);
            }
            Write::EventOpt(record) => {
                self.event_opts.insert(record.opt_id.clone(), record.clone());
            }
            Write::ForgetEventOpt(id) => {
                self.event_opts.remove(id);
            }
            Write::Schedule(record) => {
                self.schedules.insert(record.schedule.id.clone(), record.clone());
            }
            Write::ForgetSchedule(id) => {
                self.schedules.remove(id);
            }
        }
    }
}
