//! Names what others may know happened.
//!
//! A [`Notice`] is made where the thing happens, and told once its cause is stored. Logs, the demo, and whatever listens
//! later read the same notices; nothing else is ever told to outsiders.

use std::fmt;
use std::sync::Arc;

use crate::handler::EndReason;
use crate::openadr::message::{
    EventId, Float, OptType, PayloadKind, RId, RegistrationId, ReportRequestId, ReportSpecifierId,
    ResponseCode, SignalName, UpdateReport, VenId, VtnId,
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
        /// Time between polls.
        poll: Span,
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
        /// Which.
        event_id: EventId,
        /// Its version.
        modification: u32,
        /// It was known before.
        modified: bool,
        /// When it starts.
        start: Timestamp,
    },
    /// An event was refused before the handler saw it.
    EventRejected {
        /// Which.
        event_id: EventId,
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
    },
    /// The VTN has our answer.
    OptSent {
        /// About which event.
        event_id: EventId,
        /// Which version of it.
        modification: u32,
        /// What we said.
        opt: OptType,
    },
    /// The VTN has called an event off.
    EventCancelled {
        /// Which.
        event_id: EventId,
        /// It does not speak of it any more (rule 61).
        implied: bool,
    },
    /// An event begins.
    EventStarted {
        /// Which.
        event_id: EventId,
    },
    /// An interval of an event begins.
    EventInterval {
        /// Which event.
        event_id: EventId,
        /// Which signal.
        signal: SignalName,
        /// Counts from 0.
        index: usize,
        /// Its value.
        value: Option<Float>,
        /// Told again after a restart.
        resumed: bool,
    },
    /// An event is over.
    EventEnded {
        /// Which.
        event_id: EventId,
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
        /// The reading, for people.
        summary: String,
    },
    /// Bytes that are no good telegram.
    MeterRejected {
        /// The meter's name in the configuration.
        meter: String,
        /// What is wrong with them.
        why: String,
    },
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

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "the handler",
            Self::Default => "the default",
            Self::Person => "a person",
            Self::Check => "our own checks",
            Self::FullStore => "the store, which is full",
        })
    }
}
