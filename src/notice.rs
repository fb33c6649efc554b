//! Names what others may know happened.
//!
//! A [`Notice`] is made where the thing happens, and told once its cause is stored. Logs, the demo, and whatever listens
//! later read the same notices; nothing else is ever told to outsiders.

mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::handler::{ActiveInterval, EndReason, Timeline};
use crate::openadr::message::{
    DataQuality, Decimal, EiEvent, EventId, OptId, OptType, PayloadKind, RId, RegistrationId, Report,
    ReportRequestId, ReportSpecifierId, RequestId, ResourceId, ResponseCode, ResponseRequired, Service,
    UpdateReport, VenId, VtnId,
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
        /// To which service it belongs, or came; `None`: nobody knows.
        service: Option<Service>,
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
    /// The VEN runs.
    Started {
        /// What was stored before could not be read: it was set aside, and the VEN begins anew.
        lost: bool,
        /// The time of the last thing that it has told before, where it has told anything.
        off_since: Option<Timestamp>,
    },
    /// The VEN ends.
    Stopping {
        /// Why.
        why: String,
    },
    /// The clock was set, while the other one, which only counts, went on.
    ClockJumped {
        /// What it would say.
        from: Timestamp,
        /// What it says.
        to: Timestamp,
    },
    /// There is hardly any room on the disk of the store, or none at all.
    DiskLow {
        /// Bytes that are free, where the system says so.
        free: Option<u64>,
        /// What was found.
        why: String,
    },
    /// There is room on the disk again.
    DiskRecovered {
        /// Bytes that are free, where the system says so.
        free: Option<u64>,
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
            Self::Started { lost: true, .. }
                | Self::RegistrationRefused { .. }
                | Self::VtnAway { .. }
                | Self::MessageRefused { .. }
                | Self::MessageRejected { .. }
                | Self::EventRejected { .. }
                | Self::ReportRequestRefused { .. }
                | Self::ReportSkipped { .. }
                | Self::ReportsDropped { .. }
                | Self::ClockJumped { .. }
                | Self::DiskLow { .. }
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
