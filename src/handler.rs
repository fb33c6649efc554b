//! Gives the user a seat at the table: who implements [`EventHandler`] decides, and acts.

use std::future::Future;
use std::sync::Arc;

use crate::openadr::message::{EiEvent, EventId, Float, OptType, ResponseCode, SignalId, SignalName};
use crate::time::{Span, Timestamp};

/// Decides about events, and acts as they start, change and end.
///
/// Write the methods as ordinary `async fn`. Each call runs on a runtime of its own, so it may block; a
/// call that takes longer than `[handler] timeout`, or panics, gets the default decision (optOut unless
/// configured), and neither its neighbours nor the polling notice.
///
/// The calls for one event come one after the other. `on_start`, `on_interval` and `on_end` come only for events that were
/// opted into, **at least once**: after a restart the running interval is told again, marked [`ActiveInterval::resumed`], since the device
/// may have lost its state too.
///
/// Several events may run at once. Where they concern the same resources in the same programme (market context), the more important
/// one governs: priority 1 before 2 before none, then the one that starts first, then the lower eventID; a test event never
/// governs over a real one. All of them are told, and [`ActiveInterval::overridden_by`] says which does not govern; as that changes, the
/// running interval is told again. So a handler that drives one device needs no more than
/// `if interval.governs() { … }` in `on_interval`: an event that takes over is told after `on_end` of the one before it has returned (at the latest
/// a minute later).
///
/// ```
/// use std::sync::Arc;
/// use openadr_ven::handler::{ActiveInterval, Change, Decision, EventHandler};
/// use openadr_ven::message::{EiEvent, OptType};
///
/// struct Boiler;
///
/// impl EventHandler for Boiler {
///     async fn on_event(&self, event: Arc<EiEvent>, _change: Change) -> Decision {
///         let signals = event.signals.iter();
///         let levels = signals.filter(|s| s.name.is_simple()).flat_map(|s| &s.intervals);
///         let highest = levels.filter_map(|i| i.signal_value()).map(|v| v.to_f64()).fold(0.0, f64::max);
///         if highest <= 2.0 { OptType::OptIn.into() } else { OptType::OptOut.into() }
///     }
///
///     async fn on_interval(&self, _event: Arc<EiEvent>, interval: ActiveInterval) {
///         println!("{} is {:?} from {}", interval.signal_name, interval.value, interval.start);
///     }
/// }
/// ```
pub trait EventHandler: Send + Sync + 'static {
    /// A new event, or one that the VTN has changed: take part or not?
    fn on_event(&self, event: Arc<EiEvent>, change: Change) -> impl Future<Output = Decision> + Send;

    /// The event is near (rule 13): its ramp-up begins. Only told where the ramp-up lies before the start.
    fn on_near(&self, event: Arc<EiEvent>, timeline: Timeline) -> impl Future<Output = ()> + Send {
        let _ = (event, timeline);
        std::future::ready(())
    }

    /// The event begins; `late_by` is how long after its start it is told (zero, unless the event came late).
    fn on_start(&self, event: Arc<EiEvent>, late_by: Span) -> impl Future<Output = ()> + Send {
        let _ = (event, late_by);
        std::future::ready(())
    }

    /// An interval of one of its signals begins, or from now on governs or does not.
    fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) -> impl Future<Output = ()> + Send {
        let _ = (event, interval);
        std::future::ready(())
    }

    /// The event is over, for whatever reason; also told when an event that was opted into is called off before it began.
    fn on_end(&self, event: Arc<EiEvent>, why: EndReason) -> impl Future<Output = ()> + Send {
        let _ = (event, why);
        std::future::ready(())
    }
}

/// What is new about an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was not known before.
    New,
    /// The VTN has changed it (a higher modification number).
    Modified {
        /// What it was before.
        old: Arc<EiEvent>,
    },
}

/// What a handler says to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take part or not.
    Opt(OptType),
    /// Take part or not, and why; others are told both.
    Because(OptType, String),
    /// It cannot be decided, and why: the default of the configuration is answered.
    Undecided(String),
    /// Refuse it with a response code of the standard, and why; counts as optOut.
    Reject(ResponseCode, String),
    /// A person has to be asked: `default` is answered at once, and may be changed until `until` (by
    /// [`crate::VenHandle::opt`]).
    Pending {
        /// When it is too late to change.
        until: Timestamp,
        /// What is answered meanwhile.
        default: OptType,
    },
}

impl From<OptType> for Decision {
    fn from(opt: OptType) -> Self {
        Self::Opt(opt)
    }
}

/// What is answered for a handler that is late or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultOpt {
    Always(OptType),
    /// What was answered last about an earlier version of the event, whoever has decided that; optOut to a new event. So a promise
    /// that the VTN counts on is neither broken nor made by a fault of ours.
    Last,
}

impl DefaultOpt {
    /// The answer, where that was answered last.
    pub(crate) fn after(self, last: Option<OptType>) -> OptType {
        match self {
            Self::Always(opt) => opt,
            Self::Last => last.unwrap_or(OptType::OptOut),
        }
    }
}

/// An interval that has begun.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveInterval {
    /// Of which signal.
    pub signal_id: SignalId,
    /// The signal's name.
    pub signal_name: SignalName,
    /// Counts from 0.
    pub index: usize,
    /// Its value, in the signal's unit.
    pub value: Option<Float>,
    /// When it began, with the random offset of the event.
    pub start: Timestamp,
    /// When it will end; `None` while the event is open-ended.
    pub end: Option<Timestamp>,
    /// It had begun already, and is told again after a restart.
    pub resumed: bool,
    /// The event that governs in place of this one, where they concern the same resources in the same programme.
    pub overridden_by: Option<EventId>,
    /// When the event happens.
    pub timeline: Timeline,
}

impl ActiveInterval {
    /// Whether no other event governs in place of this one.
    #[must_use]
    pub const fn governs(&self) -> bool {
        self.overridden_by.is_none()
    }
}

/// When an event happens, its random offset included (rules 30, 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// From when to when the load moves to the first level: before the start, or after it where the ramp-up is negative.
    pub ramp_up: Option<(Timestamp, Timestamp)>,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends; `None` while it is open-ended (rule 47).
    pub end: Option<Timestamp>,
    /// From when to when the load moves back: after the end, or before it where the recovery is negative.
    pub recovery: Option<(Timestamp, Timestamp)>,
}

/// Why an event is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its time is up.
    Completed,
    /// The VTN has cancelled it.
    Cancelled,
    /// The VTN does not speak of it any more (rule 61).
    ImpliedCancelled,
    /// It was opted out of after all.
    OptedOut,
    /// It had begun, and now begins later: the VTN has moved it, or the clock was set back.
    Postponed,
    /// The registration has ended, from whichever side.
    Unregistered,
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Completed => "its time is up",
            Self::Cancelled => "the VTN cancelled it",
            Self::ImpliedCancelled => "the VTN speaks of it no more",
            Self::OptedOut => "it was opted out of",
            Self::Postponed => "it begins later",
            Self::Unregistered => "the registration has ended",
        })
    }
}
