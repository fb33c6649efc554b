//! Decides what a VEN does: one function of time and input, with nothing of the world in it.
//!
//! ```text
//!            Input                            Batch { persist, then }
//! reply, push, decision, data,  ->  Engine  ->  writes for the store, then effects: send, respond, offer, announce, collect,
//! tick                                                                          notify
//! ```
//!
//! The state says what is owed (registration, answers, opts, reports, a poll); after each input the engine turns what is owed into at
//! most one message in flight. Nothing is owed by memory of an effect, so a failed message, a lost answer and a restart
//! all end in the same place: it is still owed.
//!
//! **Invariant (persist, then speak):** the effects of a [`Batch`] must not happen before its writes are stored, and batches take
//! effect in their order. Where the store fails, the effects of that batch never happen, and [`Input::PersistFailed`] says so.

mod agenda;
mod answers;
mod availability;
mod checks;
mod conversation;
mod dice;
mod event_opts;
mod event_set;
mod exchange;
mod held_event;
mod layout;
mod opting;
mod order;
mod polling;
mod precedence;
mod reception;
mod registration;
mod replies;
mod report_messages;
mod report_state;
mod reporting;
mod request;
mod requester;
mod schedule;
mod settings;
mod snapshot;
mod timer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::handler::{ActiveInterval, Change, Decision, EndReason, Timeline};
use crate::notice::{EventPlan, Notice};
use crate::openadr::message::{
    EiEvent, EventId, OptType, Payload, PayloadBase, RId, ReportRequest, ReportRequestId, ReportSpecifierId,
    Service,
};
use crate::openadr::trust::Verified;
use crate::time::{Now, Span, Timestamp};

use answers::Answers;
use availability::Availability;
use dice::Dice;
use event_set::EventSet;
use exchange::Exchange;
pub(crate) use exchange::Failure;
pub(crate) use order::{Fulfilled, Order, OrderError};
use polling::Polling;
use registration::Registration;
pub(crate) use report_state::{Progress, ReportsState, RequestState, Retry};
use reporting::Reporting;
use requester::Requester;
pub(crate) use settings::{Incoming, OptSchedule, PointOffer, ReportOffer, Settings};
pub(crate) use snapshot::{
    DecisionRecord, EventOptRecord, EventRecord, OwedReport, RegistrationRecord, RequestRecord,
    ScheduleRecord, Snapshot, Standing, Write,
};
use timer::Earliest;
pub(crate) use timer::Timer;

/// An event laid out in time as the VTN has sent it, without its random offset.
pub(crate) fn nominal_plan(event: &Arc<EiEvent>) -> Arc<EventPlan> {
    schedule::plan(event, Span::ZERO)
}

/// Names one exchange: a message sent and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExchangeId(u64);

/// Names one message that the VTN pushes, which waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeliveryId(pub(crate) u64);

/// What the VTN gets in the HTTP response to a message that it has pushed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PushAnswer {
    /// 200 with the logical answer.
    Message(Payload),
    /// 200 without a body.
    Empty,
    /// 503: what the message demands could not be stored; it shall be sent again.
    TryAgain,
}

/// Lets one decision about one version of an event in, once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OptTicket {
    event: EventId,
    modification: u32,
    attempt: u64,
}

#[cfg(test)]
impl OptTicket {
    /// For tests of what asks the handler.
    pub(crate) fn for_test(event: &str) -> Self {
        Self { event: event.into(), modification: 0, attempt: 0 }
    }

    /// Which event it is for.
    pub(crate) const fn event(&self) -> &EventId {
        &self.event
    }
}

/// Lets the data of one report in, once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CollectTicket {
    request: ReportRequestId,
    attempt: u64,
}

/// Names one telling of the handler; handed back when the handler has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    event: EventId,
    modification: u32,
    moment: Moment,
}

#[cfg(test)]
impl Told {
    /// For tests of what tells the handler.
    pub(crate) fn for_test(event: &str) -> Self {
        Self { event: event.into(), modification: 0, moment: Moment::Start }
    }
}

/// What a handler is told about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Near,
    Start,
    Interval,
    End,
}

/// Everything that can happen to an engine.
#[derive(Debug)]
pub(crate) enum Input {
    /// A deadline may have passed; also the first input after a start.
    Tick,
    /// The reply to a message; `None` is an empty body.
    Replied { exchange: ExchangeId, reply: Option<Verified<Payload>> },
    /// A message got no usable reply.
    Failed { exchange: ExchangeId, failure: Failure },
    /// The VTN has pushed a message to a service of ours; [`Effect::Respond`] is in the batch that follows.
    Pushed { delivery: DeliveryId, service: Service, message: Verified<Payload> },
    /// The handler has decided.
    Decided { ticket: OptTicket, decision: Decision },
    /// A person changes a decision.
    Opt { event: EventId, opt: OptType },
    /// A person orders something, and wants an answer under that number.
    Order { number: u64, order: Order },
    /// The handler has returned from being told.
    Told(Told),
    /// The data of a report.
    Collected { ticket: CollectTicket, columns: Vec<Column> },
    /// The writes of that batch, and of all before it, are stored.
    Persisted { batch: u64 },
    /// The writes of that batch could not be stored; they will be tried again, its effects will not happen.
    PersistFailed { batch: u64, why: String },
    /// We want reports of the VTN; `along`: with our next answer to its metadata (rule 344).
    RequestReports { requests: Vec<ReportRequest>, along: bool },
    /// We want no more of them; `along`: with our next answer to its data (rule 328).
    CancelRequested { ids: Vec<ReportRequestId>, report_to_follow: bool, along: bool },
    /// The operator ends the registration.
    Unregister,
}

/// Everything that an engine wants done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send this to the VTN, and say what came of it.
    Send { exchange: ExchangeId, payload: Payload },
    /// Respond to a message that the VTN has pushed.
    Respond { delivery: DeliveryId, answer: PushAnswer },
    /// Ask the handler; later than `within` the default stands.
    Offer { ticket: OptTicket, event: Arc<EiEvent>, change: Change, within: Span },
    /// Tell the handler.
    Announce { told: Told, event: Arc<EiEvent>, what: Announcement },
    /// Get the data of a report.
    Collect { ticket: CollectTicket, wish: Wish },
    /// Answer a person's order.
    Answer { number: u64, answer: Result<Fulfilled, OrderError> },
    /// Let others know.
    Notify(Notice),
}

impl Effect {
    /// What is left of it where the writes of its batch could not be stored.
    pub(crate) fn unstored(self) -> Option<Self> {
        match self {
            // Nothing is promised by it.
            Self::Notify(_) | Self::Answer { answer: Ok(Fulfilled::Reports(_)), .. } => Some(self),
            Self::Respond { delivery, .. } => Some(Self::Respond { delivery, answer: PushAnswer::TryAgain }),
            Self::Answer { number, .. } => Some(Self::Answer { number, answer: Err(OrderError::Unstored) }),
            Self::Send { .. } | Self::Offer { .. } | Self::Announce { .. } | Self::Collect { .. } => None,
        }
    }
}

/// What a handler is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Announcement {
    Near(Timeline),
    Start { late_by: Span },
    Interval(ActiveInterval),
    End(EndReason),
}

/// Data that are wanted for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) specifier: ReportSpecifierId,
    pub(crate) points: Vec<RId>,
    pub(crate) span: WishedSpan,
    /// How long to wait for data that are still to come.
    pub(crate) patience: Span,
}

/// The time that data are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WishedSpan {
    /// One value: the newest, or for energy the newest complete interval of this length.
    Latest { length: Span },
    /// From `from` to `to` in steps.
    Window { from: Timestamp, to: Timestamp, granularity: Span },
}

/// The values of one data point, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) point: RId,
    pub(crate) samples: Vec<Sample>,
}

/// One value, or the lack of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) start: Timestamp,
    pub(crate) duration: Span,
    /// `None` becomes a placeholder (rule 318).
    pub(crate) value: Option<PayloadBase>,
    pub(crate) quality: crate::openadr::message::DataQuality,
}

/// What one input leads to.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    /// To be stored in one transaction.
    pub(crate) persist: Vec<Write>,
    /// To be done after that.
    pub(crate) then: Vec<Effect>,
}

/// A VEN's mind.
#[derive(Debug)]
pub(crate) struct Engine {
    settings: Settings,
    dice: Dice,
    exchange: Exchange,
    registration: Registration,
    /// That which the VTN has cancelled, until we register anew.
    cancelled: Option<RegistrationRecord>,
    polling: Polling,
    answers: Answers,
    events: EventSet,
    availability: Availability,
    reporting: Reporting,
    requester: Requester,
    /// The first batch that could not be stored; while there is one, nothing that promises is sent.
    store_failed_at: Option<u64>,
    batches: u64,
}

impl Engine {
    /// Goes on from what was stored; call [`Engine::handle`] with [`Input::Tick`] to begin.
    pub(crate) fn new(settings: Settings, stored: Snapshot, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            exchange: Exchange::default(),
            registration: Registration::restored(stored.registration),
            cancelled: None,
            polling: Polling::default(),
            answers: Answers::default(),
            events: EventSet::restored(stored.events, &stored.event_opts, &settings),
            availability: Availability::restored(stored.schedules),
            reporting: Reporting::restored(stored.requests, stored.owed),
            requester: Requester::default(),
            store_failed_at: None,
            batches: 0,
            settings,
        }
    }

    /// Takes one input and says everything that follows from it.
    #[must_use]
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> Batch {
        self.batches += 1;
        let mut turn = Turn { now, batch: self.batches, writes: Vec::new(), effects: Vec::new() };
        if turn.batch == 1 {
            self.availability.follow(&mut turn, &mut self.dice, &self.settings.opt_schedules);
        }
        match input {
            Input::Tick => {}
            Input::Replied { exchange, reply } => {
                self.replied(&mut turn, exchange, reply.map(Verified::into_content));
            }
            Input::Failed { exchange, failure } => self.failed(&mut turn, exchange, &failure),
            Input::Pushed { delivery, service, message } => {
                self.pushed(&mut turn, delivery, service, message.into_content());
            }
            Input::Decided { ticket, decision } => {
                self.events.decided(&mut turn, &self.settings, &ticket, decision);
            }
            Input::Opt { event, opt } => {
                // Nobody waits for the answer.
                drop(self.events.change_of_mind(&mut turn, &mut self.dice, &event, opt));
            }
            Input::Order { number, order } => self.ordered(&mut turn, number, order),
            Input::Told(told) => self.events.told(&mut turn, &told),
            Input::Collected { ticket, columns } => {
                self.reporting.collected(&mut turn, &self.settings, &ticket, columns);
            }
            Input::Persisted { batch } => self.persisted(&mut turn, batch),
            Input::PersistFailed { batch, why } => self.persist_failed(&mut turn, batch, why),
            Input::RequestReports { requests, along } => {
                self.requester.request(&mut self.dice, requests, along);
            }
            Input::CancelRequested { ids, report_to_follow, along } => {
                self.requester.cancel(&mut self.dice, ids, report_to_follow, along);
            }
            Input::Unregister => self.leave(),
        }
        self.advance(&mut turn);
        Batch { number: turn.batch, persist: turn.writes, then: turn.effects }
    }

    /// When [`Input::Tick`] is due, counted from the start of the program, and why.
    pub(crate) fn next_deadline(&self, now: Now) -> Option<(Span, Timer)> {
        let mut earliest = Earliest::new(now);
        self.exchange_deadlines(&mut earliest, now.wall);
        if self.storing() {
            self.events.deadlines(&mut earliest, now);
        }
        if self.reports() {
            self.reporting.deadlines(&mut earliest, now.wall);
        }
        earliest.result()
    }

    /// Whether what is promised can be kept.
    const fn storing(&self) -> bool {
        self.store_failed_at.is_none()
    }

    /// Whether reports are made at present.
    const fn reports(&self) -> bool {
        self.storing() && matches!(self.registration, Registration::Registered { .. })
    }

    /// Does what time demands, then sends what is owed.
    fn advance(&mut self, turn: &mut Turn) {
        let storing = self.storing();
        self.events.advance(turn, &mut self.dice, &self.settings, &self.availability, storing);
        if storing {
            self.availability.forget_past(turn);
        }
        if self.reports() {
            self.reporting.advance(turn, &self.settings);
            self.register_what_is_due(turn);
        }
        self.send_what_is_owed(turn);
    }

    fn persisted(&mut self, turn: &mut Turn, batch: u64) {
        if self.store_failed_at.is_some_and(|failed| failed <= batch) {
            self.store_failed_at = None;
            turn.notify(Notice::StoreRecovered);
            // What came meanwhile was answered without the handler; the VTN tells it again.
            self.registration.want_events(&mut self.dice);
        }
    }

    fn persist_failed(&mut self, turn: &mut Turn, batch: u64, why: String) {
        if self.store_failed_at.is_none() {
            self.store_failed_at = Some(batch);
            turn.notify(Notice::StoreFailed { why });
        }
        self.exchange.withhold_from(batch);
        self.events.withhold_from(batch);
        self.reporting.withhold_from(batch);
    }

    /// The VTN does not know us any more, or we not it: everything that belonged to the registration goes.
    fn erase(&mut self, turn: &mut Turn) {
        self.events.stop_all(turn);
        self.availability.owe_all(turn, &mut self.dice);
        self.reporting.erase(turn);
        self.requester = Requester::default();
    }
}

/// What one input has led to so far.
#[derive(Debug)]
struct Turn {
    now: Now,
    batch: u64,
    writes: Vec<Write>,
    effects: Vec<Effect>,
}

impl Turn {
    fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn notify(&mut self, notice: Notice) {
        self.effects.push(Effect::Notify(notice));
    }
}
