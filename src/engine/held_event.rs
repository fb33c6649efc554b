//! Carries one event from its first reception to its end.

use std::sync::Arc;

use crate::handler::{Change, EndReason, Timeline};
use crate::notice::{DecidedBy, EventPlan, Notice};
use crate::openadr::message::{
    EiEvent, EventDescriptor, EventId, OadrEvent, OptType, RequestId, ResponseRequired,
};
use crate::time::{Now, Span, Timestamp};

use super::agenda::Alarm;
use super::dice::Dice;
use super::event_opts::EventOpts;
use super::precedence::{Claim, Precedence};
use super::schedule;
use super::settings::Settings;
use super::snapshot::{DecisionRecord, EventRecord, Write};
use super::timer::{Earliest, Timer};
use super::{Announcement, Effect, Moment, OptTicket, Told, Turn};

/// Others that concern the same resources are told only when the handler has heard that an event is over; it has so long for that.
const HEARING: Span = Span::MINUTE;

/// An event that is held.
#[derive(Debug)]
pub(super) struct HeldEvent {
    pub(super) record: EventRecord,
    pub(super) asking: Asking,
    /// What was said by `oadrCreateOpt`.
    pub(super) opts: EventOpts,
    /// A response is owed, under this requestID (rule 42).
    pub(super) response_owed: Option<RequestId>,
    /// The VTN does not speak of it any more.
    pub(super) absent: bool,
    /// The handler was told that it is near, with these times.
    near_told: Option<Timeline>,
    start_told: bool,
    /// For each signal, the interval that the handler was told last, and which event governed in its place.
    intervals_told: Vec<Option<(usize, Option<EventId>)>>,
    /// Since when the handler is being told that it is over.
    end_telling: Option<Span>,
    /// The batch in which the handler was told something last.
    last_told: u64,
    resumed: bool,
    attempts: u64,
}

/// How far the question to the handler has come.
#[derive(Debug)]
pub(super) enum Asking {
    /// There is nothing to ask.
    Nothing,
    /// The handler is to be asked.
    Wanted(Change),
    /// The handler has been asked.
    Asked { attempt: u64, batch: u64, until: Span, change: Change },
    /// The handler was late or wanted time; what it says later changes the answer.
    Late { attempt: u64, until: Option<Timestamp> },
}

impl HeldEvent {
    pub(super) fn new(received: OadrEvent, request_id: RequestId, dice: &mut Dice) -> Self {
        let most = received.event.active_period.start_after.map_or(Span::ZERO, |d| d.nominal());
        let record = EventRecord {
            offset: dice.up_to(most),
            event: Arc::new(received.event),
            response_required: received.response_required,
            request_id,
            decision: None,
            started: false,
            stop: None,
            ended: false,
            end_owed: None,
        };
        Self::holding(record, Asking::Wanted(Change::New), false)
    }

    /// Goes on with what was stored: only what has not been decided is asked (again).
    pub(super) fn restored(record: EventRecord) -> Self {
        let version = record.event.modification();
        let undecided = record.decision.as_ref().is_none_or(|d| d.modification != version);
        let asking =
            if undecided && record.stop.is_none() { Asking::Wanted(Change::New) } else { Asking::Nothing };
        Self::holding(record, asking, true)
    }

    fn holding(record: EventRecord, asking: Asking, resumed: bool) -> Self {
        let intervals_told = vec![None; record.event.signals.len()];
        let start_told = record.started;
        Self {
            record,
            asking,
            opts: EventOpts::default(),
            response_owed: None,
            absent: false,
            near_told: None,
            start_told,
            intervals_told,
            end_telling: None,
            last_told: 0,
            resumed,
            attempts: 0,
        }
    }

    pub(super) fn write(&self, turn: &mut Turn) {
        turn.write(Write::Event(self.record.clone()));
    }

    /// The decision about the present version.
    pub(super) fn decision(&self) -> Option<&DecisionRecord> {
        self.record.decision.as_ref().filter(|d| d.modification == self.record.event.modification())
    }

    /// What is answered where the handler does not decide.
    pub(super) fn default(&self, settings: &Settings) -> OptType {
        settings.default_opt.after(self.record.decision.as_ref().map(|decision| decision.opt))
    }

    /// Whether the present version was called off before it was decided, and will never be.
    pub(super) fn is_called_off_undecided(&self) -> bool {
        self.record.stop.is_some() && self.decision().is_none() && matches!(self.asking, Asking::Nothing)
    }

    /// Whether the event is to be carried out; while a new version is undecided, the decision about the old one holds.
    fn opted_in(&self) -> bool {
        self.record.decision.as_ref().is_some_and(|d| self.opts.take_part(d.opt))
    }

    /// It came again, unchanged.
    pub(super) fn seen(&mut self, request_id: &RequestId, required: ResponseRequired) {
        self.absent = false;
        self.record.request_id = request_id.clone();
        self.record.response_required = required;
        self.owe_response();
    }

    /// Another answer is due, if the event wants any (rule 12).
    pub(super) fn owe_response(&mut self) {
        if self.record.response_required == ResponseRequired::Always {
            self.response_owed = Some(self.record.request_id.clone());
        }
    }

    /// It came with a higher modification number: the new content replaces the old (rule 57).
    pub(super) fn modify(&mut self, new: EiEvent, dice: &mut Dice, now: Timestamp) {
        let old = std::mem::replace(&mut self.record.event, Arc::new(new));
        let period = self.record.event.active_period;
        if period.start_after != old.active_period.start_after {
            self.record.offset = dice.up_to(period.start_after.map_or(Span::ZERO, |d| d.nominal()));
        }
        self.record.stop = None;
        self.intervals_told = vec![None; self.record.event.signals.len()];
        self.resumed = false;
        let over = schedule::end(&period, self.record.offset).is_some_and(|end| end <= now);
        if self.record.ended && !over {
            // A completed event that is moved into the future begins anew.
            self.record.ended = false;
            self.record.started = false;
            (self.near_told, self.start_told) = (None, false);
        }
        self.asking = Asking::Wanted(Change::Modified { old });
    }

    /// A version of it that cannot be followed has come: the one that is held does not hold any more, and the VTN was told optOut.
    pub(super) fn supersede(&mut self, turn: &mut Turn) {
        self.absent = false;
        if self.record.ended || self.record.stop.is_some() {
            return;
        }
        self.record.stop = Some((turn.now.wall, EndReason::OptedOut));
        (self.asking, self.response_owed) = (Asking::Nothing, None);
        self.write(turn);
    }

    /// It came as cancelled: its number counts from now on, and nothing else of it.
    pub(super) fn renumber(&mut self, descriptor: EventDescriptor) {
        let event = (*self.record.event).clone();
        self.record.event = Arc::new(EiEvent { descriptor, ..event });
    }

    /// The VTN has called it off; a running event that has `startafter` stops at a random moment within it (rule 65).
    pub(super) fn cancel(&mut self, turn: &mut Turn, dice: &mut Dice, why: EndReason) {
        if self.record.stop.is_some() || self.record.ended {
            return;
        }
        let period = &self.record.event.active_period;
        let running = self.opted_in() && turn.now.wall >= schedule::start(period, self.record.offset);
        let most = period.start_after.filter(|_| running).map_or(Span::ZERO, |d| d.nominal());
        let stops = turn.now.wall + dice.up_to(most);
        self.record.stop = Some((stops, why));
        self.asking = Asking::Nothing;
        self.write(turn);
        if matches!(why, EndReason::Cancelled | EndReason::ImpliedCancelled) {
            let implied = why == EndReason::ImpliedCancelled;
            let (event, timeline) = (self.record.event.clone(), self.timeline());
            turn.notify(Notice::EventCancelled { event, timeline, implied, stops });
        }
    }

    /// Settles what the VEN will do; tells a change of mind where the same version had been decided otherwise.
    pub(super) fn decide(&mut self, turn: &mut Turn, opt: OptType, by: DecidedBy, reason: Option<String>) {
        let modification = self.record.event.modification();
        self.settle(turn, DecisionRecord { opt, modification, by, refusal: None }, reason);
    }

    pub(super) fn settle(&mut self, turn: &mut Turn, decision: DecisionRecord, reason: Option<String>) {
        let (event_id, modification) = (self.record.event.id().clone(), decision.modification);
        let (opt, by) = (decision.opt, decision.by);
        match self.decision() {
            Some(before) if before.opt == opt && before.refusal == decision.refusal => return,
            Some(before) => {
                let from = before.opt;
                turn.notify(Notice::OptChanged { event_id, modification, from, to: opt, by, reason });
                // Where the VTN does not listen to it any more, another oadrCreateOpt follows (rule 206).
                if self.opts.of_all().is_none() {
                    self.owe_response();
                }
            }
            None => {
                let request_id = self.record.request_id.clone();
                turn.notify(Notice::OptDecided { event_id, modification, opt, by, reason, request_id });
            }
        }
        self.record.decision = Some(decision);
        self.write(turn);
    }

    /// Asks the handler, where it is to be asked; uses the default where it is late.
    pub(super) fn ask(&mut self, turn: &mut Turn, settings: &Settings, storing: bool) {
        match &self.asking {
            Asking::Wanted(change) if storing => {
                self.attempts += 1;
                let change = change.clone();
                let event = self.record.event.clone();
                let (attempt, within) = (self.attempts, settings.decision_timeout);
                let ticket =
                    OptTicket { event: event.id().clone(), modification: event.modification(), attempt };
                let until = turn.now.since_start + within;
                self.asking = Asking::Asked { attempt, batch: turn.batch, until, change: change.clone() };
                turn.effect(Effect::Offer { ticket, event, change, within });
            }
            Asking::Wanted(_) => {
                if let Some(opt) = settings.opt_when_full.filter(|_| self.decision().is_none()) {
                    self.decide(turn, opt, DecidedBy::FullStore, None);
                }
            }
            Asking::Asked { attempt, until, .. } if *until <= turn.now.since_start => {
                self.asking = Asking::Late { attempt: *attempt, until: None };
                let reason = format!("the handler has not answered within {}", settings.decision_timeout);
                self.decide(turn, self.default(settings), DecidedBy::Default, Some(reason));
            }
            Asking::Asked { .. } | Asking::Late { .. } | Asking::Nothing => {}
        }
    }

    /// Whether the handler is to be asked, and has not been.
    pub(super) const fn is_to_be_asked(&self) -> bool {
        matches!(self.asking, Asking::Wanted(_))
    }

    /// Whether it is called off or its time is up.
    pub(super) const fn is_over(&self) -> bool {
        self.record.ended || self.record.stop.is_some()
    }

    /// What was offered or told in that batch or a later one never reached the handler.
    pub(super) fn withhold_from(&mut self, failed: u64) {
        if let Asking::Asked { batch, change, .. } = &self.asking
            && *batch >= failed
        {
            self.asking = Asking::Wanted(change.clone());
        }
        if self.last_told >= failed {
            self.end_telling = None;
            self.near_told = None;
            self.start_told = self.record.started;
            self.intervals_told.fill(None);
        }
    }

    /// Whether a decision with this ticket still counts.
    pub(super) fn accepts(&self, ticket: &OptTicket, now: Timestamp) -> bool {
        let current = match &self.asking {
            Asking::Asked { attempt, .. } => *attempt == ticket.attempt,
            Asking::Late { attempt, until } => {
                *attempt == ticket.attempt && until.is_none_or(|until| now <= until)
            }
            Asking::Nothing | Asking::Wanted(_) => false,
        };
        current && ticket.modification == self.record.event.modification()
    }

    /// The attempt that a person's decision may still replace until then.
    pub(super) fn await_person(&mut self, attempt: u64, until: Timestamp) {
        self.asking = Asking::Late { attempt, until: Some(until) };
    }

    fn timeline(&self) -> Timeline {
        self.record.timeline()
    }

    /// All of it, laid out in time.
    pub(super) fn plan(&self) -> Arc<EventPlan> {
        schedule::plan(&self.record.event, self.record.offset)
    }

    /// Ends what is over at this time, for good or for now.
    pub(super) fn end_if_over(&mut self, turn: &mut Turn) {
        let now = turn.now.wall;
        if self.record.ended {
            return;
        }
        match (self.record.stop, self.timeline().end) {
            (Some((at, why)), _) if at <= now => self.finish(turn, why),
            (_, Some(end)) if end <= now => self.finish(turn, EndReason::Completed),
            _ => {
                if let Some(why) = self.interruption(now) {
                    self.interrupt(turn, why);
                }
            }
        }
    }

    /// Why what the handler was told has begun has not begun after all.
    fn interruption(&self, now: Timestamp) -> Option<EndReason> {
        if !self.start_told && self.near_told.is_none() {
            return None;
        }
        if !self.opted_in() {
            return Some(EndReason::OptedOut);
        }
        let timeline = self.timeline();
        let begins = if self.start_told {
            timeline.start
        } else {
            schedule::near(&timeline).unwrap_or(timeline.start)
        };
        (now < begins && self.decision().is_some()).then_some(EndReason::Postponed)
    }

    fn interrupt(&mut self, turn: &mut Turn, why: EndReason) {
        (self.near_told, self.start_told, self.record.started) = (None, false, false);
        self.intervals_told.fill(None);
        self.over(turn, why);
        self.record.end_owed = Some(why);
        self.write(turn);
    }

    /// Its claim to govern, while it is carried out.
    pub(super) fn claim(&self, now: Timestamp) -> Option<Claim> {
        let start = schedule::start(&self.record.event.active_period, self.record.offset);
        (!self.record.ended && self.opted_in() && start <= now).then(|| Claim::of(&self.record.event, start))
    }

    /// What it governed, while the handler is hearing that it is over.
    pub(super) fn last_claim(&self, now: Now) -> Option<Claim> {
        let start = schedule::start(&self.record.event.active_period, self.record.offset);
        let heard = self.end_telling.is_some_and(|since| since + HEARING <= now.since_start);
        (self.record.end_owed.is_some() && !heard).then(|| Claim::of(&self.record.event, start))
    }

    /// Tells the handler what has begun or ended.
    pub(super) fn tell(&mut self, turn: &mut Turn, order: &Precedence) {
        if !self.record.ended {
            self.tell_near(turn);
            if let Some(claim) = self.claim(turn.now.wall).filter(|claim| order.may_be_told(claim)) {
                self.tell_running(turn, order.over(&claim));
            }
        }
        if let Some(why) = self.record.end_owed
            && self.end_telling.is_none()
        {
            self.end_telling = Some(turn.now.since_start);
            self.announce(turn, Moment::End, Announcement::End(why));
        }
    }

    fn tell_near(&mut self, turn: &mut Turn) {
        let timeline = self.timeline();
        let near = schedule::near(&timeline).is_some_and(|from| from <= turn.now.wall);
        let holds = self.decision().is_some() && self.opted_in() && self.record.stop.is_none();
        if near && turn.now.wall < timeline.start && holds && self.near_told != Some(timeline) {
            self.near_told = Some(timeline);
            turn.notify(Notice::EventNear { event: self.record.event.clone(), timeline });
            self.announce(turn, Moment::Near, Announcement::Near(timeline));
        }
    }

    fn tell_running(&mut self, turn: &mut Turn, overridden_by: Option<&EventId>) {
        let now = turn.now.wall;
        // A new version is told once it is decided; the one that tells of a cancellation never is, and the run goes on to its stop.
        if self.decision().is_none() && self.record.stop.is_none() {
            return;
        }
        let event = self.record.event.clone();
        if !self.start_told {
            self.start_told = true;
            let timeline = self.timeline();
            let late_by = now - timeline.start;
            turn.notify(Notice::EventStarted { event: event.clone(), timeline, late_by });
            self.announce(turn, Moment::Start, Announcement::Start { late_by });
        }
        for (at, signal) in event.signals.iter().enumerate() {
            let Some(mut interval) = schedule::running(&event, signal, self.record.offset, now) else {
                continue;
            };
            let telling = Some((interval.index, overridden_by.cloned()));
            if self.intervals_told[at] == telling {
                continue;
            }
            interval.resumed = self.resumed && self.record.started && self.intervals_told[at].is_none();
            interval.overridden_by = overridden_by.cloned();
            self.intervals_told[at] = telling;
            turn.notify(Notice::EventInterval {
                event: event.clone(),
                interval: Arc::new(interval.clone()),
                late_by: now - interval.start,
            });
            self.announce(turn, Moment::Interval, Announcement::Interval(interval));
        }
    }

    fn finish(&mut self, turn: &mut Turn, why: EndReason) {
        self.record.ended = true;
        if self.decision().is_some() {
            self.asking = Asking::Nothing;
        }
        // Who had opted in and been told nothing yet has to forget the plan; of a time that passed unseen there is nothing to tell.
        if self.opted_in() && (self.start_told || why != EndReason::Completed) {
            self.record.end_owed = Some(why);
        }
        self.over(turn, why);
        self.write(turn);
    }

    fn over(&self, turn: &mut Turn, why: EndReason) {
        let (event, timeline) = (self.record.event.clone(), self.timeline());
        turn.notify(Notice::EventEnded { event, timeline, why });
    }

    fn announce(&mut self, turn: &mut Turn, moment: Moment, what: Announcement) {
        self.last_told = turn.batch;
        let event = self.record.event.clone();
        let told = Told { event: event.id().clone(), modification: event.modification(), moment };
        turn.effect(Effect::Announce { told, event, what });
    }

    /// The handler has returned from being told.
    pub(super) fn told(&mut self, turn: &mut Turn, told: &Told) {
        match told.moment {
            Moment::Start if self.start_told && !self.record.started => self.record.started = true,
            Moment::End if self.end_telling.take().is_some() => self.record.end_owed = None,
            Moment::Near | Moment::Start | Moment::Interval | Moment::End => return,
        }
        self.write(turn);
    }

    /// Nothing more is owed to anybody, and the VTN has dropped it.
    pub(super) const fn can_be_forgotten(&self) -> bool {
        self.record.ended && self.absent && self.record.end_owed.is_none()
    }

    /// When to look at it again, if nothing happens before.
    pub(super) fn alarm(&self, now: Now) -> Alarm {
        let decision = if let Asking::Asked { until, .. } = self.asking { Some(until) } else { None };
        let heard = self.end_telling.map(|since| since + HEARING).filter(|at| *at > now.since_start);
        let uptime = decision.into_iter().chain(heard).min();
        if self.record.ended {
            return Alarm { uptime, wall: None };
        }
        let stop = self.record.stop.map(|(at, _)| at);
        let change = schedule::next_change(&self.record.event, self.record.offset, now.wall);
        Alarm { uptime, wall: stop.into_iter().chain(change).min() }
    }

    pub(super) fn deadlines(&self, earliest: &mut Earliest, now: Now) {
        let alarm = self.alarm(now);
        if let Asking::Asked { until, .. } = self.asking {
            earliest.at(until, Timer::DecisionTimeout);
        }
        // Of two reasons for the same instant, the first counts.
        if let Some(at) = alarm.uptime {
            earliest.at(at, Timer::Event);
        }
        if let Some(at) = alarm.wall {
            earliest.at_wall(at, Timer::Event);
        }
    }
}
