//! Keeps our events and the VTN's the same.
//!
//! A VTN sends every event that it still cares about each time (rule 50), so a payload is a full picture, not a change.
//! [`EventSet::reconcile`] lays it over what is held:
//!
//! ```text
//! distributed          held         what follows
//! e1 mod 1             e1 mod 0     modified: the handler is asked again
//! e2 mod 0             -            new: the handler is asked
//! e3 mod 2             e3 mod 2     unchanged: answered again as before
//! e4 mod 0             e4 mod 1     refused with 450 (rule 58)
//! e5 cancelled         e5           cancelled, confirmed with optIn (rule 36)
//! e6 cancelled         -            nothing, but confirmed too (rule 60)
//! -                    e7           implied cancelled, without an answer (rule 61)
//! ```
//!
//! **Invariant:** the modification number of a held event never goes down.
//!
//! **Reading of the standard:** an event that is over is kept, silently, until the VTN drops it from its picture, so that it is
//! answered as before and never put to the handler twice. The same number with other content is no change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::handler::{Decision, EndReason};
use crate::notice::{DecidedBy, Delivery, Notice};
use crate::openadr::message::{
    CreateOpt, CreatedEvent, DistributeEvent, EiEvent, EiResponse, EiTarget, EventId, EventResponse,
    EventStatus, OadrEvent, OptId, OptType, RequestId, ResourceId, ResponseCode, ResponseRequired, VenId,
};
use crate::time::{Now, Timestamp};

use super::agenda::Agenda;
use super::availability::Availability;
use super::checks::Us;
use super::dice::Dice;
use super::event_opts::EventOpts;
use super::held_event::{Asking, HeldEvent};
use super::precedence::Precedence;
use super::settings::Settings;
use super::snapshot::{DecisionRecord, EventOptRecord, EventRecord, Standing, Write};
use super::timer::Earliest;
use super::{Fulfilled, OptTicket, OrderError, Told, Turn};

/// The events of one VTN.
#[derive(Debug, Default)]
pub(super) struct EventSet {
    held: BTreeMap<EventId, HeldEvent>,
    agenda: Agenda,
    precedence: Precedence,
    /// Events that a response is owed for, and those of them that are not decided.
    owing: BTreeSet<EventId>,
    undecided: BTreeSet<EventId>,
    /// Events about which an `oadrCreateOpt` is owed.
    owing_opts: BTreeSet<EventId>,
    /// Responses about events that are not held: refused, or cancelled and unknown.
    loose: BTreeMap<EventId, EventResponse>,
    /// The VTN has refused a message with several responses: send them one by one (rule 48).
    one_by_one: bool,
}

impl EventSet {
    pub(super) fn restored(
        records: BTreeMap<EventId, EventRecord>,
        opts: &BTreeMap<OptId, EventOptRecord>,
        settings: &Settings,
    ) -> Self {
        let mut by_event: BTreeMap<&EventId, Vec<EventOptRecord>> = BTreeMap::new();
        for record in opts.values() {
            by_event.entry(&record.event_id).or_default().push(record.clone());
        }
        let held = records.into_iter().map(|(id, record)| {
            let mut held = HeldEvent::restored(record);
            held.opts = EventOpts::restored(by_event.remove(&id).unwrap_or_default());
            held.opts.look_at(&held.record.event, &settings.opt_resources);
            (id, held)
        });
        Self { held: held.collect(), ..Self::default() }
    }

    /// Lays the VTN's picture over what is held.
    pub(super) fn reconcile(
        &mut self,
        turn: &mut Turn,
        us: Us<'_>,
        dice: &mut Dice,
        picture: DistributeEvent,
    ) {
        let request_id = picture.request_id;
        let mut seen = BTreeSet::new();
        self.agenda.touch_all();
        for received in picture.events {
            seen.insert(received.event.id().clone());
            self.receive(turn, us, dice, received, &request_id);
        }
        for (id, held) in &mut self.held {
            if !seen.contains(id) {
                held.absent = true;
                held.response_owed = None;
                held.cancel(turn, dice, EndReason::ImpliedCancelled);
            }
        }
    }

    fn receive(
        &mut self,
        turn: &mut Turn,
        us: Us<'_>,
        dice: &mut Dice,
        received: OadrEvent,
        request_id: &RequestId,
    ) {
        let (event, required) = (&received.event, received.response_required);
        let cancelled = event.descriptor.status == EventStatus::Cancelled;
        let confirmed = answer(event, request_id, ResponseCode::OK, "OK", OptType::OptIn);
        match self.held.get_mut(event.id()) {
            Some(held) if event.modification() < held.record.event.modification() => {
                held.absent = false;
                let why = format!("modification {} is held", held.record.event.modification());
                self.refuse(turn, &received, request_id, (ResponseCode::OUT_OF_SEQUENCE, why));
            }
            None if cancelled => self.respond(required, confirmed),
            Some(held) if cancelled => {
                held.seen(request_id, ResponseRequired::Never);
                held.response_owed = None;
                held.renumber(received.event.descriptor);
                held.cancel(turn, dice, EndReason::Cancelled);
                self.respond(required, confirmed);
            }
            Some(held)
                if event.modification() == held.record.event.modification()
                    && held.is_called_off_undecided() =>
            {
                // It will not be carried out, and nobody will decide about it any more.
                held.seen(request_id, ResponseRequired::Never);
                held.response_owed = None;
                let declined = EventResponse { opt_type: OptType::OptOut, ..confirmed };
                self.respond(required, declined);
            }
            Some(held) if event.modification() == held.record.event.modification() => {
                let changed =
                    held.record.request_id != *request_id || held.record.response_required != required;
                held.seen(request_id, required);
                if changed {
                    held.write(turn);
                }
            }
            Some(_) | None => self.take(turn, us, dice, received, request_id),
        }
    }

    /// A new event, or a new version of one.
    fn take(
        &mut self,
        turn: &mut Turn,
        us: Us<'_>,
        dice: &mut Dice,
        received: OadrEvent,
        request_id: &RequestId,
    ) {
        if let Err(fault) = us.check(&received.event) {
            if let Some(held) = self.held.get_mut(received.event.id()) {
                held.supersede(turn);
            }
            return self.refuse(turn, &received, request_id, fault);
        }
        let id = received.event.id().clone();
        let (modified, required) = (self.held.contains_key(&id), received.response_required);
        let mut held = match self.held.remove(&id) {
            Some(mut held) => {
                held.modify(received.event, dice, turn.now.wall);
                held.seen(request_id, required);
                held
            }
            None => {
                let mut held = HeldEvent::new(received, request_id.clone(), dice);
                held.owe_response();
                held
            }
        };
        held.opts.look_at(&held.record.event, &us.settings.opt_resources);
        turn.notify(Notice::EventReceived {
            plan: held.plan(),
            modified,
            delivery: Arc::new(Delivery {
                ven_id: us.ven_id.clone(),
                vtn_id: us.vtn_id.clone(),
                request_id: request_id.clone(),
                response_required: required,
                at: turn.now.wall,
            }),
        });
        held.write(turn);
        self.held.insert(id, held);
    }

    fn refuse(
        &mut self,
        turn: &mut Turn,
        received: &OadrEvent,
        request_id: &RequestId,
        (code, why): (ResponseCode, String),
    ) {
        let refusal = answer(&received.event, request_id, code, &why, OptType::OptOut);
        turn.notify(Notice::EventRejected {
            event_id: received.event.id().clone(),
            modification: received.event.modification(),
            code,
            why,
        });
        self.respond(received.response_required, refusal);
    }

    fn respond(&mut self, required: ResponseRequired, response: EventResponse) {
        if required == ResponseRequired::Always {
            self.loose.insert(response.event_id.clone(), response);
        }
    }

    /// The handler has decided.
    pub(super) fn decided(
        &mut self,
        turn: &mut Turn,
        settings: &Settings,
        ticket: &OptTicket,
        decision: Decision,
    ) {
        self.agenda.touch(&ticket.event);
        let Some(held) = self.held.get_mut(&ticket.event).filter(|held| held.accepts(ticket, turn.now.wall))
        else {
            return;
        };
        held.asking = Asking::Nothing;
        match decision {
            Decision::Opt(opt) => held.decide(turn, opt, DecidedBy::Handler, None),
            Decision::Because(opt, why) => held.decide(turn, opt, DecidedBy::Handler, Some(why)),
            Decision::Undecided(why) => {
                held.decide(turn, held.default(settings), DecidedBy::Default, Some(why));
            }
            Decision::Pending { until, default } => {
                held.await_person(ticket.attempt, until);
                let reason = format!("a person is asked until {until}");
                held.decide(turn, default, DecidedBy::Default, Some(reason));
            }
            Decision::Reject(code, why) => {
                turn.notify(Notice::EventRejected {
                    event_id: ticket.event.clone(),
                    modification: ticket.modification,
                    code,
                    why: why.clone(),
                });
                held.settle(
                    turn,
                    DecisionRecord {
                        opt: OptType::OptOut,
                        modification: ticket.modification,
                        by: DecidedBy::Handler,
                        refusal: Some((code, why.clone())),
                    },
                    Some(why),
                );
            }
        }
    }

    /// A person changes the decision about a whole event: by `oadrCreatedEvent`, unless the VTN does not listen to that any more
    /// (rule 206).
    pub(super) fn change_of_mind(
        &mut self,
        turn: &mut Turn,
        dice: &mut Dice,
        event: &EventId,
        opt: OptType,
    ) -> Result<Fulfilled, OrderError> {
        let held = self.running(event)?;
        held.asking = Asking::Nothing;
        let told = held.record.response_required == ResponseRequired::Always;
        if held.opts.are_used() {
            held.opts.add(turn, (opt_id(dice), event.clone()), opt, Vec::new(), Standing::Owed);
        } else {
            held.opts.clear(turn);
        }
        held.decide(turn, opt, DecidedBy::Person, None);
        Ok(Fulfilled::Opted { told })
    }

    /// A person changes the decision about some resources of an event, which goes by `oadrCreateOpt`.
    pub(super) fn opt_resources(
        &mut self,
        turn: &mut Turn,
        dice: &mut Dice,
        event: &EventId,
        (opt, resources): (OptType, &[ResourceId]),
    ) -> Result<Fulfilled, OrderError> {
        let held = self.running(event)?;
        let target = &held.record.event.target;
        let all = EiTarget { ven_ids: Vec::new(), ..target.clone() }.is_empty();
        if let Some(other) = resources.iter().find(|id| !all && !target.resource_ids.contains(id)) {
            return Err(OrderError::NotOfEvent { event: event.clone(), resource: other.clone() });
        }
        let told = held.record.response_required == ResponseRequired::Always;
        let standing = if told { Standing::Owed } else { Standing::Unspoken };
        held.opts.add(turn, (opt_id(dice), event.clone()), opt, resources.to_vec(), standing);
        Ok(Fulfilled::Opted { told })
    }

    /// An event that can still be opted for.
    fn running(&mut self, event: &EventId) -> Result<&mut HeldEvent, OrderError> {
        if !self.held.contains_key(event) {
            let running = self.held.iter().filter(|(_, held)| !held.is_over());
            let known = running.map(|(id, _)| id.clone()).collect();
            return Err(OrderError::UnknownEvent { event: event.clone(), known });
        }
        self.agenda.touch(event);
        let running = self.held.get_mut(event).filter(|held| !held.is_over());
        running.ok_or_else(|| OrderError::EventOver { event: event.clone() })
    }

    /// Where the VTN was told of all resources by `oadrCreateOpt`, a decision that says otherwise has to go the same way (rule 206).
    fn speak_by_opts(&mut self, turn: &mut Turn, dice: &mut Dice, id: &EventId) {
        let Some(held) = self.held.get_mut(id).filter(|held| !held.is_over()) else { return };
        let Some(decided) = held.decision().map(|decision| decision.opt) else { return };
        if held.opts.of_all().is_some_and(|told| told != decided) {
            held.opts.add(turn, (opt_id(dice), id.clone()), decided, Vec::new(), Standing::Owed);
        }
    }

    /// The next opt that goes by `oadrCreateOpt`, about an event that still wants opts.
    pub(super) fn create_opt(&self, ven_id: &VenId, now: Timestamp) -> Option<CreateOpt> {
        let owing = self.owing_opts.iter().filter_map(|id| self.held.get(id));
        let mut open =
            owing.filter(|held| !held.is_over() && held.record.response_required == ResponseRequired::Always);
        open.find_map(|held| held.opts.next_message(&held.record.event, ven_id, now))
    }

    /// The VTN has taken the opt under this requestID, or never will; says about which event, if it is one.
    pub(super) fn opt_settled(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        standing: Standing,
    ) -> Option<EventId> {
        for (id, held) in &mut self.held {
            let Some(record) = held.opts.settle(turn, request_id, standing) else { continue };
            if standing == Standing::Unspoken && record.resources.is_empty() {
                // The VTN may still listen to the other way.
                held.owe_response();
            }
            self.agenda.touch(id);
            return Some(id.clone());
        }
        None
    }

    pub(super) fn told(&mut self, turn: &mut Turn, told: &Told) {
        self.agenda.touch(&told.event);
        if let Some(held) = self.held.get_mut(&told.event) {
            held.told(turn, told);
        }
    }

    /// Does what time demands.
    pub(super) fn advance(
        &mut self,
        turn: &mut Turn,
        dice: &mut Dice,
        settings: &Settings,
        availability: &Availability,
        storing: bool,
    ) {
        let everything = self.agenda.is_everything_due(turn.now.wall, storing);
        let mut due = self.agenda.take_due(turn.now, storing);
        if everything {
            due.extend(self.held.keys().cloned());
        }
        for id in &due {
            let Some(held) = self.held.get_mut(id) else { continue };
            if storing && held.is_to_be_asked() && availability.opts_out(&held.record, held.opts.concerned())
            {
                held.asking = Asking::Nothing;
                held.decide(turn, OptType::OptOut, DecidedBy::Schedule, None);
            }
            held.ask(turn, settings, storing);
            if storing {
                held.end_if_over(turn);
            }
        }
        if storing {
            self.tell(turn, &mut due);
            due.iter().for_each(|id| self.forget_if_done(turn, id));
            due.iter().for_each(|id| self.speak_by_opts(turn, dice, id));
        }
        due.iter().for_each(|id| self.note(turn.now, id));
    }

    /// Tells the handler what has changed for these events, and for others because of them.
    fn tell(&mut self, turn: &mut Turn, due: &mut BTreeSet<EventId>) {
        for (id, held) in due.iter().filter_map(|id| self.held.get_key_value(id)) {
            self.precedence.update(id, held.claim(turn.now.wall), held.last_claim(turn.now));
        }
        due.extend(self.precedence.take_moved());
        for id in &*due {
            if let Some(held) = self.held.get_mut(id) {
                held.tell(turn, &self.precedence);
            }
        }
    }

    fn forget_if_done(&mut self, turn: &mut Turn, id: &EventId) {
        if !self.held.get(id).is_some_and(HeldEvent::can_be_forgotten) {
            return;
        }
        if let Some(mut held) = self.held.remove(id) {
            held.opts.clear(turn);
            self.precedence.update(id, None, None);
            turn.write(Write::ForgetEvent(id.clone()));
        }
    }

    /// Notes what an event owes, and when it wants to be looked at again.
    fn note(&mut self, now: Now, id: &EventId) {
        let held = self.held.get(id);
        let owing = held.is_some_and(|held| held.response_owed.is_some());
        let undecided = owing && held.is_some_and(|held| held.decision().is_none());
        enlist(&mut self.owing, id, owing);
        enlist(&mut self.undecided, id, undecided);
        enlist(&mut self.owing_opts, id, held.is_some_and(|held| held.opts.are_owed()));
        self.agenda.set(id, held.map(|held| held.alarm(now)).unwrap_or_default());
    }

    /// The registration is over: what runs is stopped, nothing is answered.
    pub(super) fn stop_all(&mut self, turn: &mut Turn) {
        self.loose.clear();
        self.agenda.touch_all();
        for held in self.held.values_mut() {
            held.absent = true;
            held.response_owed = None;
            held.record.stop.get_or_insert((turn.now.wall, EndReason::Unregistered));
            held.asking = Asking::Nothing;
            held.write(turn);
            held.opts.clear(turn);
        }
    }

    /// The next `oadrCreatedEvent`, as soon as everything that it has to answer is decided (rule 12).
    ///
    /// While nothing can be stored, only what was decided for that very reason is answered.
    pub(super) fn created_event(&self, ven_id: &VenId, storing: bool) -> Option<CreatedEvent> {
        let most = if self.one_by_one { 1 } else { usize::MAX };
        let responses: Vec<_> = self.responses(storing).take(most).collect();
        (!responses.is_empty()).then(|| CreatedEvent {
            response: EiResponse::ok(RequestId::from("")),
            event_responses: responses,
            ven_id: ven_id.clone(),
        })
    }

    /// What can be answered now.
    fn responses(&self, storing: bool) -> impl Iterator<Item = EventResponse> {
        let waiting = storing && !self.undecided.is_empty();
        let owing = self.owing.iter().filter_map(|id| self.held.get(id));
        let decided = owing.filter_map(move |held| {
            let decision = held.decision().filter(|d| storing || d.by == DecidedBy::FullStore)?;
            Some(answer_as_decided(&held.record.event, held.response_owed.as_ref()?, decision))
        });
        self.loose.values().cloned().chain(decided).take(if waiting { 0 } else { usize::MAX })
    }

    /// Whether something can be answered now.
    pub(super) fn can_respond(&self, storing: bool) -> bool {
        self.responses(storing).next().is_some()
    }

    /// The VTN has these responses.
    pub(super) fn answered(&mut self, turn: &mut Turn, sent: &[EventResponse]) {
        for response in sent {
            self.settle(response);
            turn.notify(Notice::OptSent {
                event_id: response.event_id.clone(),
                modification: response.modification_number,
                opt: response.opt_type,
                code: response.code,
                request_id: response.request_id.clone(),
                at: turn.now.wall,
            });
        }
        if !self.owes_responses() {
            self.one_by_one = false;
        }
    }

    /// The VTN does not take these responses; several are tried one by one, a single one is given up (rule 48).
    pub(super) fn not_taken(&mut self, sent: &[EventResponse]) {
        if sent.len() > 1 {
            self.one_by_one = true;
        } else {
            sent.iter().for_each(|response| self.settle(response));
        }
    }

    /// Whether a message with these responses is given up as soon as the VTN stumbles over it: several are tried one by one, and
    /// one about an event that is over is of no use to anybody. OpenLEADR stumbles over every answer to an event that it has
    /// just distributed as completed, and over everything else in that message.
    pub(super) fn are_not_worth_repeating(&self, sent: &[EventResponse]) -> bool {
        let over = |response: &EventResponse| {
            self.held.get(&response.event_id).is_some_and(|held| held.record.ended)
        };
        sent.len() > 1 || sent.iter().all(over)
    }

    fn settle(&mut self, response: &EventResponse) {
        if self.loose.get(&response.event_id) == Some(response) {
            self.loose.remove(&response.event_id);
        }
        if let Some(held) = self.held.get_mut(&response.event_id) {
            let same_opt = held.decision().is_some_and(|d| d.opt == response.opt_type);
            let same_version = held.record.event.modification() == response.modification_number;
            if same_opt && same_version && held.response_owed.as_ref() == Some(&response.request_id) {
                held.response_owed = None;
                self.owing.remove(&response.event_id);
            }
        }
    }

    /// Whether an event has still to be answered.
    pub(super) fn owes_responses(&self) -> bool {
        !(self.loose.is_empty() && self.owing.is_empty())
    }

    pub(super) fn withhold_from(&mut self, batch: u64) {
        self.agenda.touch_all();
        for held in self.held.values_mut() {
            held.withhold_from(batch);
        }
    }

    pub(super) fn deadlines(&self, earliest: &mut Earliest, now: Now) {
        for held in self.agenda.next().filter_map(|id| self.held.get(id)) {
            held.deadlines(earliest, now);
        }
    }
}

fn enlist(list: &mut BTreeSet<EventId>, id: &EventId, whether: bool) {
    if whether {
        list.insert(id.clone());
    } else {
        list.remove(id);
    }
}

/// Never used before.
fn opt_id(dice: &mut Dice) -> OptId {
    OptId::from(dice.request_id().as_str())
}

fn answer_as_decided(event: &EiEvent, request_id: &RequestId, decision: &DecisionRecord) -> EventResponse {
    match &decision.refusal {
        Some((code, why)) => answer(event, request_id, *code, why, decision.opt),
        None => answer(event, request_id, ResponseCode::OK, "OK", decision.opt),
    }
}

fn answer(
    event: &EiEvent,
    request_id: &RequestId,
    code: ResponseCode,
    why: &str,
    opt: OptType,
) -> EventResponse {
    EventResponse {
        code,
        description: Some(why.to_owned()),
        request_id: request_id.clone(),
        event_id: event.id().clone(),
        modification_number: event.modification(),
        opt_type: opt,
    }
}
