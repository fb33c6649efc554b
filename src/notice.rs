//! Names what others may know happened.
//!
//! A [`Notice`] is made where the thing happens, and told once its cause is stored. Logs, the demo, and whatever listens
//! later read the same notices; nothing else is ever told to outsiders.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::handler::{ActiveInterval, EndReason, Timeline};
use crate::openadr::message::{
    DataQuality, Decimal, EiEvent, EventId, OptId, OptType, PayloadKind, RId, RegistrationId, Report,
    ReportRequestId, ReportSpecifierId, RequestId, ResourceId, ResponseCode, ResponseRequired, UpdateReport,
    VenId, VtnId,
};
use crate::time::{Span, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The VTN knows us; `renewed` where it did before.
    Registered {
        /// Our id there.
        ven_id: VenId,
        /// The registration.
        registration_id: RegistrationId,
        /// Theirs.
        vtn_id: VtnId,
        /// An earlier registration goes on.
        renewed: bool,
        /// Time between polls; `None`: the VTN pushes.
        poll: Option<Span>,
    },
    /// The VTN does not want us.
    RegistrationRefused {
        /// Its response code.
        code: ResponseCode,
        /// Its words.
        why: String,
        /// When it is tried again.
        retry_in: Span,
    },
    /// The VTN wants us to register again.
    ReregistrationRequested,
    /// The registration is over; everything that belonged to it is erased.
    RegistrationCancelled {
        /// The VTN ended it, not we.
        by_vtn: bool,
        /// When it is tried again, if at all.
        retry_in: Option<Span>,
    },
    /// No exchange with the VTN succeeds.
    VtnAway {
        /// What went wrong.
        why: String,
        /// When it is tried again.
        retry_in: Span,
        /// It has just gone away; otherwise it has been told already.
        first: bool,
    },
    /// Exchanges succeed again.
    VtnBack {
        /// How long they did not.
        after: Span,
    },
    /// The VTN refused a message of ours, or could not read it; it will not be sent again.
    MessageRefused {
        /// Which message.
        message: PayloadKind,
        /// The events, opts or report requests that it was about.
        about: Vec<String>,
        /// What the VTN said.
        why: String,
    },
    /// A message of the VTN was not believed or not understood.
    MessageRejected {
        /// Why.
        why: String,
    },
    /// An event came, or came changed.
    EventReceived {
        /// All of it, laid out in time.
        plan: Arc<EventPlan>,
        /// It was known before.
        modified: bool,
        /// With what it came.
        delivery: Arc<Delivery>,
    },
    /// An event was refused before the handler saw it.
    EventRejected {
        /// Which.
        event_id: EventId,
        /// Which version of it.
        modification: u32,
        /// With which response code.
        code: ResponseCode,
        /// Why.
        why: String,
    },
    /// It is decided whether to take part.
    OptDecided {
        /// In which event.
        event_id: EventId,
        /// Which version of it.
        modification: u32,
        /// In or out.
        opt: OptType,
        /// Who decided.
        by: DecidedBy,
        /// Why, where there is more to say than who.
        reason: Option<String>,
        /// Of the message with which the event came last.
        request_id: RequestId,
    },
    /// A decision that had been given was changed.
    OptChanged {
        /// About which event.
        event_id: EventId,
        /// Which version of it.
        modification: u32,
        /// What it was.
        from: OptType,
        /// What it is.
        to: OptType,
        /// Who decided.
        by: DecidedBy,
        /// Why, where there is more to say than who.
        reason: Option<String>,
    },
    /// The VTN has our answer.
    OptSent {
        /// About which event.
        event_id: EventId,
        /// Which version of it.
        modification: u32,
        /// What we said.
        opt: OptType,
        /// With which response code.
        code: ResponseCode,
        /// Of the message with which the event came last.
        request_id: RequestId,
        /// When the VTN had it.
        at: Timestamp,
    },
    /// Some resources take part in an event, or not, whatever the others do.
    ResourcesOpted {
        /// In which event.
        event_id: EventId,
        /// Which of our resources.
        resources: Vec<ResourceId>,
        /// In or out.
        opt: OptType,
    },
    /// The VTN has our opt for resources of an event.
    EventOptSent {
        /// About which event.
        event_id: EventId,
        /// Which of our resources; none: all of the event's.
        resources: Vec<ResourceId>,
        /// What we said.
        opt: OptType,
        /// When the VTN had it.
        at: Timestamp,
    },
    /// The VTN has an opt schedule of ours.
    ScheduleSent {
        /// Its id.
        opt_id: OptId,
        /// In or out.
        opt: OptType,
    },
    /// An opt schedule of ours holds no more, and the VTN knows.
    ScheduleCancelled {
        /// Its id.
        opt_id: OptId,
    },
    /// The VTN has called an event off.
    EventCancelled {
        /// Which.
        event: Arc<EiEvent>,
        /// When it happens, or would have.
        timeline: Timeline,
        /// It does not speak of it any more (rule 61).
        implied: bool,
        /// When it stops; later than now only where it runs (rule 65).
        stops: Timestamp,
    },
    /// The ramp-up of an event begins (rule 13).
    EventNear {
        /// Which.
        event: Arc<EiEvent>,
        /// When it happens.
        timeline: Timeline,
    },
    /// An event begins.
    EventStarted {
        /// Which.
        event: Arc<EiEvent>,
        /// When it happens.
        timeline: Timeline,
        /// How long after its start it is told.
        late_by: Span,
    },
    /// An interval of an event begins, or from now on governs or does not.
    EventInterval {
        /// Which event.
        event: Arc<EiEvent>,
        /// Which interval of it.
        interval: Arc<ActiveInterval>,
        /// How long after its start it is told.
        late_by: Span,
    },
    /// An event is over.
    EventEnded {
        /// Which.
        event: Arc<EiEvent>,
        /// When it happened, or would have.
        timeline: Timeline,
        /// Why.
        why: EndReason,
    },
    /// The VTN knows what we can report.
    ReportsRegistered {
        /// How many data points.
        points: usize,
    },
    /// The VTN wants a report.
    ReportRequested {
        /// Which request.
        request_id: ReportRequestId,
        /// Of which kind.
        specifier: ReportSpecifierId,
        /// Which data points.
        points: Vec<RId>,
        /// Step between values.
        granularity: Span,
        /// Time between reports; zero: once.
        back: Span,
    },
    /// A request for a report cannot be served.
    ReportRequestRefused {
        /// With which response code.
        code: ResponseCode,
        /// Why.
        why: String,
    },
    /// A report is ready and stored, to be sent.
    ReportOwed {
        /// For which request.
        request_id: ReportRequestId,
        /// How many intervals.
        intervals: usize,
    },
    /// The VTN has a report.
    ReportDelivered {
        /// For which request.
        request_id: ReportRequestId,
        /// What was in it.
        report: Arc<UpdateReport>,
    },
    /// Time that could not be reported because it lies too far back.
    ReportSkipped {
        /// For which request.
        request_id: ReportRequestId,
        /// From.
        from: Timestamp,
        /// To.
        to: Timestamp,
    },
    /// No more reports for a request.
    ReportEnded {
        /// Which request.
        request_id: ReportRequestId,
        /// Why.
        why: ReportEnd,
    },
    /// The VTN says what it can report itself.
    VtnReportsRegistered {
        /// Its metadata; none at all: nothing.
        reports: Arc<Vec<Report>>,
    },
    /// The VTN sends data that we have asked for.
    VtnReported {
        /// What is in it.
        report: Arc<UpdateReport>,
    },
    /// Reports that nobody wants any more were dropped, undelivered.
    ReportsDropped {
        /// How many.
        count: usize,
    },
    /// The disk does not take what we have to keep; what promises something waits.
    StoreFailed {
        /// What went wrong.
        why: String,
    },
    /// The disk takes everything again.
    StoreRecovered,
    /// A certificate of ours expires soon, or has.
    CertificateExpires {
        /// Its file.
        which: String,
        /// When.
        at: Timestamp,
    },
    /// A certificate of ours has expired: nothing is said to the VTN any more (rule 516).
    CertificateExpired {
        /// Its file.
        which: String,
        /// When.
        at: Timestamp,
    },
    /// Certificates, keys and trust were read anew, and hold from now on.
    CertificatesReplaced {
        /// By which the VTN knows us now, where we sign.
        fingerprint: Option<String>,
    },
    /// Certificates, keys or trust have changed and cannot be used; the old ones go on.
    CertificatesRefused {
        /// What is wrong with them.
        why: String,
    },
    /// The journal of messages cannot be written.
    JournalFails {
        /// What went wrong.
        why: String,
    },
    /// The journal is written again.
    JournalRecovered {
        /// How many messages are not in it.
        lost: u64,
    },
    /// A meter's line delivers good telegrams (again).
    MeterOnline {
        /// The meter's name in the configuration.
        meter: String,
    },
    /// A meter's line is dead.
    MeterOffline {
        /// The meter's name in the configuration.
        meter: String,
        /// What went wrong.
        why: String,
    },
    /// A reading was taken.
    MeterReading {
        /// The meter's name in the configuration.
        meter: String,
        /// What it said.
        reading: Arc<MeterReading>,
    },
    /// A good telegram came, byte by byte.
    MeterTelegram {
        /// The meter's name in the configuration.
        meter: String,
        /// What came.
        telegram: Arc<MeterTelegram>,
    },
    /// A source of reports that is no meter brings no values; told once.
    SourceFails {
        /// Its name in the configuration.
        source: String,
        /// Why.
        why: String,
    },
    /// It brings values again.
    SourceRecovered {
        /// Its name in the configuration.
        source: String,
    },
    /// Bytes that are no good telegram.
    MeterRejected {
        /// The meter's name in the configuration.
        meter: String,
        /// What is wrong with them.
        why: String,
        /// The same in one word, for programs: `checksum`, `cut`, `content`, `key`.
        kind: &'static str,
        /// How many of this kind there were since it was last told.
        count: u64,
        /// What came, or its beginning.
        telegram: Arc<MeterTelegram>,
    },
}

/// An event as it will be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPlan {
    /// The event as it came.
    pub event: Arc<EiEvent>,
    /// When it happens, its random offset included.
    pub timeline: Timeline,
    /// For each signal, when each interval starts and ends; what lies beyond the end of the event is missing, an open end is `None`.
    pub steps: Vec<Vec<(Timestamp, Option<Timestamp>)>>,
}

/// With what an event came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom the VTN told.
    pub ven_id: VenId,
    /// The VTN.
    pub vtn_id: VtnId,
    /// Of the message.
    pub request_id: RequestId,
    /// Whether the VTN wants an answer.
    pub response_required: ResponseRequired,
    /// When it came.
    pub at: Timestamp,
}

/// What a meter said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterReading {
    /// When.
    pub at: Timestamp,
    /// The meter's serial number, as it writes it.
    pub serial: Option<String>,
    /// How good it is.
    pub quality: DataQuality,
    /// The values by their names, which end in their unit, as `import_kwh`.
    pub values: BTreeMap<String, Decimal>,
    /// When the devices behind the meter said theirs, by names as `gas_at`.
    pub times: BTreeMap<String, Timestamp>,
    /// In one line, for people.
    pub summary: String,
}

/// The bytes of a telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterTelegram {
    /// As they came.
    pub bytes: Vec<u8>,
    /// Whether its checksum fits; `None` where it has none.
    pub crc_ok: Option<bool>,
    /// Where it came from: a port, an address.
    pub source: String,
    /// When its first byte came.
    pub received: Timestamp,
}

/// Who decided about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The handler.
    Handler,
    /// The default: the handler was late, failed, or asked for time.
    Default,
    /// A person, or a program in their name.
    Person,
    /// Our own checks.
    Check,
    /// An opt schedule of ours.
    Schedule,
    /// The store could not keep the event.
    FullStore,
}

/// Why no more reports are sent for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportEnd {
    /// Everything asked for has been reported.
    Complete,
    /// The VTN has cancelled it.
    Cancelled,
    /// The reports were registered anew, which cancels all requests (rule 306).
    RegisteredAnew,
    /// The VTN does not know the request any more.
    Unknown,
    /// The registration has ended.
    Unregistered,
}

impl Notice {
    /// Somebody should look at it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::RegistrationRefused { .. }
                | Self::VtnAway { .. }
                | Self::MessageRefused { .. }
                | Self::MessageRejected { .. }
                | Self::EventRejected { .. }
                | Self::ReportRequestRefused { .. }
                | Self::ReportSkipped { .. }
                | Self::ReportsDropped { .. }
                | Self::StoreFailed { .. }
                | Self::CertificateExpires { .. }
                | Self::CertificateExpired { .. }
                | Self::CertificatesRefused { .. }
                | Self::JournalFails { .. }
                | Self::JournalRecovered { .. }
                | Self::MeterOffline { .. }
                | Self::MeterRejected { .. }
                | Self::SourceFails { .. }
        )
    }

    /// It happens all the time.
    #[must_use]
    pub const fn is_routine(&self) -> bool {
        matches!(self, Self::MeterReading { .. } | Self::MeterTelegram { .. } | Self::ReportOwed { .. })
    }
}

impl fmt::Display for Notice {
    /// One line, for people.
    #[expect(clippy::too_many_lines, reason = "it is a list, one line for each notice")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { ven_id, vtn_id, renewed, poll, .. } => {
                let again = if *renewed { " again" } else { "" };
                write!(f, "registered{again} at VTN {vtn_id} as {ven_id}, ")?;
                match poll {
                    Some(poll) => write!(f, "polling every {poll}"),
                    None => f.write_str("which pushes"),
                }
            }
            Self::RegistrationRefused { code, why, retry_in } => {
                write!(f, "registration refused: {code} {why}; trying again in {retry_in}")
            }
            Self::ReregistrationRequested => f.write_str("the VTN wants us to register again"),
            Self::RegistrationCancelled { by_vtn, retry_in } => {
                let who = if *by_vtn { "the VTN" } else { "us" };
                write!(f, "registration cancelled by {who}")?;
                retry_in.map_or(Ok(()), |retry_in| write!(f, "; trying again in {retry_in}"))
            }
            Self::VtnAway { why, retry_in, .. } => {
                write!(f, "VTN is away: {why}; trying again in {retry_in}")
            }
            Self::VtnBack { after } => write!(f, "VTN is back after {after}"),
            Self::MessageRefused { message, why, .. } => write!(f, "VTN refused {message}: {why}"),
            Self::MessageRejected { why } => write!(f, "message of the VTN rejected: {why}"),
            Self::StoreFailed { why } => write!(f, "store fails, what promises something waits: {why}"),
            Self::StoreRecovered => f.write_str("store works again"),
            Self::CertificateExpires { which, at } => {
                write!(f, "certificate {which} is valid until {at} only; have it renewed")
            }
            Self::CertificateExpired { which, at } => {
                write!(
                    f,
                    "certificate {which} has expired at {at}; nothing is said to the VTN until a new one is in its place"
                )
            }
            Self::CertificatesReplaced { fingerprint } => {
                f.write_str("certificates were read anew and hold from now on")?;
                let told = |text| write!(f, "; tell the utility our fingerprint if it is new: {text}");
                fingerprint.as_ref().map_or(Ok(()), told)
            }
            Self::CertificatesRefused { why } => {
                write!(f, "new certificates are refused, the old ones go on: {why}")
            }
            Self::JournalFails { why } => write!(f, "journal of messages cannot be written: {why}"),
            Self::JournalRecovered { lost } => {
                write!(f, "journal of messages is written again, {lost} messages are missing in it")
            }
            Self::MeterOnline { meter } => write!(f, "meter {meter} is online"),
            Self::MeterOffline { meter, why } => write!(f, "meter {meter} is offline: {why}"),
            Self::MeterReading { meter, reading } => write!(f, "meter {meter}: {}", reading.summary),
            Self::MeterTelegram { meter, telegram } => {
                write!(f, "meter {meter}: a telegram of {} bytes", telegram.bytes.len())
            }
            Self::SourceFails { source, why } => write!(f, "report source {source} brings no values: {why}"),
            Self::SourceRecovered { source } => write!(f, "report source {source} brings values again"),
            Self::MeterRejected { meter, why, .. } => write!(f, "meter {meter} sent no good telegram: {why}"),
            Self::EventReceived { plan, modified, .. } => {
                let word = if *modified { "changed" } else { "received" };
                let (event, start) = (&plan.event, plan.timeline.start);
                write!(f, "event {} {word} (version {}), starts {start}", event.id(), event.modification())
            }
            Self::EventRejected { event_id, code, why, .. } => {
                write!(f, "event {event_id} rejected: {code} {why}")
            }
            Self::OptDecided { event_id, modification, opt, by, reason, .. } => {
                write!(f, "event {event_id}: {opt} to version {modification}, decided by {by}")?;
                because(f, reason.as_deref())
            }
            Self::OptChanged { event_id, modification, from, to, by, reason } => {
                write!(
                    f,
                    "event {event_id}: changed from {from} to {to} for version {modification}, by {by}"
                )?;
                because(f, reason.as_deref())
            }
            Self::OptSent { event_id, modification, opt, .. } => {
                write!(f, "event {event_id}: VTN has our {opt} to version {modification}")
            }
            Self::ResourcesOpted { event_id, resources, opt } => {
                write!(f, "event {event_id}: {opt} for {}", named(resources))
            }
            Self::EventOptSent { event_id, resources, opt, .. } => {
                write!(f, "event {event_id}: VTN has our {opt} for {}", named(resources))
            }
            Self::ScheduleSent { opt_id, opt } => write!(f, "VTN has our {opt} schedule {opt_id}"),
            Self::ScheduleCancelled { opt_id } => {
                write!(f, "schedule {opt_id} is cancelled, and the VTN knows")
            }
            Self::EventCancelled { event, implied, .. } => {
                write!(f, "event {} cancelled by the VTN", event.id())?;
                if *implied { f.write_str(", which speaks of it no more") } else { Ok(()) }
            }
            Self::EventNear { event, timeline } => {
                write!(f, "event {} is near, starts {}", event.id(), timeline.start)
            }
            Self::EventStarted { event, .. } => write!(f, "event {} started", event.id()),
            Self::EventInterval { event, interval, .. } => {
                write!(f, "event {}: interval {}, {}", event.id(), interval.index, interval.signal_name)?;
                interval.value.map_or(Ok(()), |value| write!(f, " = {value}"))?;
                if interval.resumed {
                    f.write_str(" (resumed)")?;
                }
                let overridden = interval.overridden_by.as_ref();
                overridden.map_or(Ok(()), |other| write!(f, " (overridden by {other})"))
            }
            Self::EventEnded { event, why, .. } => write!(f, "event {} ended: {why}", event.id()),
            Self::ReportsRegistered { points } => write!(f, "reports registered, {points} data points"),
            Self::ReportRequested { request_id, points, granularity, back, .. } => {
                let points: Vec<&str> = points.iter().map(RId::as_str).collect();
                write!(f, "report {request_id} requested: {}, steps of {granularity}, ", points.join(", "))?;
                if back.is_zero() { f.write_str("once") } else { write!(f, "every {back}") }
            }
            Self::ReportRequestRefused { code, why } => write!(f, "report request refused: {code} {why}"),
            Self::ReportOwed { request_id, intervals } => {
                write!(f, "report {request_id} is ready, {intervals} intervals")
            }
            Self::ReportDelivered { request_id, report } => {
                let values = report.reports.iter().flat_map(|report| &report.intervals);
                let count = values.flat_map(|interval| interval.report_payloads()).count();
                write!(f, "report {request_id} delivered, {count} values")
            }
            Self::ReportSkipped { request_id, from, to } => {
                write!(f, "report {request_id} leaves out {from} to {to}, which lies too far back")
            }
            Self::ReportEnded { request_id, why } => write!(f, "report {request_id} ended: {why}"),
            Self::VtnReportsRegistered { reports } => write!(f, "VTN offers {} reports", reports.len()),
            Self::VtnReported { report } => write!(f, "VTN has sent {} reports", report.reports.len()),
            Self::ReportsDropped { count } => write!(f, "{count} reports dropped that nobody wants any more"),
        }
    }
}

fn because(f: &mut fmt::Formatter<'_>, reason: Option<&str>) -> fmt::Result {
    reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
}

fn named(resources: &[ResourceId]) -> String {
    let names: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
    if names.is_empty() { "all its resources".to_owned() } else { names.join(", ") }
}

impl fmt::Display for ReportEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "everything asked for has been reported",
            Self::Cancelled => "the VTN cancelled it",
            Self::RegisteredAnew => "the reports were registered anew",
            Self::Unknown => "the VTN does not know it any more",
            Self::Unregistered => "the registration has ended",
        })
    }
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "the handler",
            Self::Default => "the default",
            Self::Person => "a person",
            Self::Check => "our own checks",
            Self::Schedule => "our opt schedule",
            Self::FullStore => "the store, which is full",
        })
    }
}
