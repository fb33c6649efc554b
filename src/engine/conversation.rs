//! Speaks with the VTN: which message goes next, and what becomes of it.
//!
//! Order of precedence: answers that are owed; registration; answers to events; the duties after a registration; opts, which have to
//! wait for the metadata (rule 309); a poll that is due; reports that are owed. A poll goes before reports, so that a long backlog never makes the VEN deaf.

use crate::notice::Notice;
use crate::openadr::message::{Payload, PayloadKind, Poll, RegisterReport, RequestEvent, VenId};
use crate::time::{Now, Span, Timestamp};

use super::exchange::{Failure, Lane, What};
use super::registration::Registration;
use super::timer::{Earliest, Timer};
use super::{Effect, Engine, ExchangeId, Turn};

/// A message that the VTN keeps failing on, without being away, is given up after so many tries.
const MOST_TRIES: u32 = 8;

impl Engine {
    /// Puts what is owed most into flight, unless something is.
    pub(super) fn send_what_is_owed(&mut self, turn: &mut Turn) {
        if !self.exchange.is_idle() {
            return;
        }
        if let Some((what, payload)) = self.choose(turn) {
            let exchange = self.exchange.begin(what, turn.batch);
            turn.effect(Effect::Send { exchange, payload });
        }
    }

    fn choose(&mut self, turn: &Turn) -> Option<(What, Payload)> {
        let now = turn.now.since_start;
        let storing = self.storing();
        let may = |lane| self.exchange.may_send(lane, now);
        let (answer, register) = (storing && may(Lane::Answer), storing && may(Lane::Registration));
        let (event, duty, report) =
            (may(Lane::Event), storing && may(Lane::Duty), storing && may(Lane::Report));
        let poll = self.settings.polls() && may(Lane::Poll) && self.polling.due() <= now;
        if let Some(owed) = self.answers.first().filter(|_| answer) {
            return Some((What::Answer(owed.kind()), owed.clone()));
        }
        if register && let Some(message) = self.registration.next_message(now, &self.settings, &mut self.dice)
        {
            return Some((self.registration_step(), message));
        }
        let Registration::Registered { record, .. } = &self.registration else { return None };
        let ven_id = record.ven_id.clone();
        if event && let Some(message) = self.events.created_event(&ven_id, storing) {
            return Some((What::CreatedEvent(message.event_responses.clone()), message.into()));
        }
        if let Some(owed) = self.duty(turn, &ven_id).filter(|_| duty) {
            return Some(owed);
        }
        if storing
            && may(Lane::Opt)
            && let Some(owed) = self.opt_owed(turn.now.wall, &ven_id)
        {
            return Some(owed);
        }
        if let Some(owed) = self.requester.message(&ven_id).filter(|_| duty) {
            return Some(owed);
        }
        if poll {
            return Some((What::Poll, Poll { ven_id }.into()));
        }
        let owed = self.reporting.first_owed().filter(|_| report)?;
        let mut update = owed.update.clone();
        update.ven_id = Some(ven_id);
        Some((What::Update(owed.sequence), update.into()))
    }

    const fn registration_step(&self) -> What {
        match self.registration {
            Registration::Querying { .. } | Registration::Unregistered { .. } => What::Query,
            Registration::Leaving { .. } => What::Leave,
            Registration::Creating { .. }
            | Registration::Renewing { .. }
            | Registration::Registered { .. } => What::Create,
        }
    }

    /// What a registered VEN has still to do (rules 301, 309, 405).
    fn duty(&self, turn: &Turn, ven_id: &VenId) -> Option<(What, Payload)> {
        let Registration::Registered { duties, .. } = &self.registration else { return None };
        if let Some(request_id) = &duties.register_reports {
            let message = RegisterReport {
                request_id: request_id.clone(),
                reports: self.settings.metadata(turn.now.wall),
                ven_id: Some(ven_id.clone()),
                report_request_id: duties.metadata_for.clone(),
            };
            return Some((What::RegisterReport(request_id.clone()), message.into()));
        }
        // What the VTN has sent already is answered first.
        let request_id = duties.request_events.clone().filter(|_| !self.events.owes_responses())?;
        Some((
            What::RequestEvent { overtaken: false },
            RequestEvent { request_id, ven_id: ven_id.clone(), reply_limit: None }.into(),
        ))
    }

    /// A reply has come.
    pub(super) fn replied(&mut self, turn: &mut Turn, exchange: ExchangeId, reply: Option<Payload>) {
        let Some(what) = self.exchange.end(exchange) else { return };
        let lane = what.lane();
        match self.take(turn, &what, reply) {
            Ok(()) => {
                if let Some(after) = self.exchange.succeeded(lane, turn.now.since_start) {
                    turn.notify(Notice::VtnBack { after });
                    // An answer may have been lost on the way, and an event with it.
                    self.registration.want_events(&mut self.dice);
                }
            }
            Err(why) => self.stumble(turn, what, &Failure::Rejected(why)),
        }
    }

    /// A message has got no usable reply.
    pub(super) fn failed(&mut self, turn: &mut Turn, exchange: ExchangeId, failure: &Failure) {
        if let Some(what) = self.exchange.end(exchange) {
            self.stumble(turn, what, failure);
        }
    }

    fn stumble(&mut self, turn: &mut Turn, what: What, failure: &Failure) {
        let (lane, service) = (what.lane(), what.service());
        if what == What::Poll {
            // What the VTN had handed out may be lost.
            self.registration.want_events(&mut self.dice);
        }
        let hopeless = failure.is_final()
            || self.exchange.failures(lane) + 1 >= MOST_TRIES
            || (!failure.is_of_the_vtn() && self.is_not_worth_repeating(&what));
        if hopeless && self.give_up(turn, what, &failure.to_string()) {
            self.exchange.clear(lane);
            return;
        }
        let first = !self.exchange.is_away();
        let retry_in = self.exchange.failed(lane, failure, turn.now.since_start, &mut self.dice);
        let why = failure.to_string();
        turn.notify(match failure {
            Failure::Unreachable(_) | Failure::Status { .. } => Notice::VtnAway { why, retry_in, first },
            Failure::Rejected(_) => Notice::MessageRejected { service: Some(service), why },
        });
    }

    /// Whether others would wait in vain for the message to be taken as it is.
    fn is_not_worth_repeating(&self, what: &What) -> bool {
        matches!(what, What::CreatedEvent(sent) if self.events.are_not_worth_repeating(sent))
    }

    /// Drops a message that will never be taken; `false` for those without which there is no VEN.
    pub(super) fn give_up(&mut self, turn: &mut Turn, what: What, why: &str) -> bool {
        let mut about = Vec::new();
        let message = match what {
            What::Create | What::Poll => return false,
            What::Leave => {
                self.unregistered(turn, false);
                PayloadKind::CancelPartyRegistration
            }
            What::Query => {
                // Not every VTN knows the query, and nothing hangs on it.
                if let Registration::Querying { refusals, .. } = self.registration {
                    self.registration =
                        Registration::Creating { request_id: self.dice.request_id(), refusals };
                }
                PayloadKind::QueryRegistration
            }
            What::Answer(_) => self.answer_done(turn),
            What::CreatedEvent(sent) => {
                about.extend(sent.iter().map(|response| response.event_id.to_string()));
                self.events.not_taken(&sent);
                PayloadKind::CreatedEvent
            }
            What::CreateOpt(request_id) => return self.opt_refused(turn, &request_id, why),
            What::CancelOpt(request_id) => return self.cancel_refused(turn, &request_id, why),
            What::RegisterReport(_) => {
                self.reports_registered(turn);
                PayloadKind::RegisterReport
            }
            What::RequestEvent { .. } => {
                self.events_requested();
                PayloadKind::RequestEvent
            }
            What::Request(_) => self.requester.given_up(),
            What::Update(sequence) => {
                let owed = self.reporting.delivered(turn, sequence);
                about.extend(owed.iter().flat_map(|owed| owed.request_ids()));
                PayloadKind::UpdateReport
            }
        };
        turn.notify(Notice::MessageRefused { message, about, why: why.to_owned() });
        true
    }

    /// How long it is until the next poll; `None`: none is to come.
    pub(crate) fn next_poll_in(&self, now: Now) -> Option<Span> {
        let polls = self.settings.polls() && matches!(self.registration, Registration::Registered { .. });
        let due = self.polling.due().max(self.exchange.ready_at(Lane::Poll));
        polls.then(|| (due - now.since_start).max(Span::ZERO))
    }

    /// When something can be sent that cannot be sent now.
    pub(super) fn exchange_deadlines(&self, earliest: &mut Earliest, now: Timestamp) {
        if !self.exchange.is_idle() {
            return;
        }
        let mut lane = |lane, timer| earliest.at(self.exchange.ready_at(lane), timer);
        if let Registration::Registered { .. } = &self.registration {
            if self.events.can_respond(self.storing()) {
                lane(Lane::Event, Timer::Retry);
            }
            if self.settings.polls() {
                earliest.at(self.polling.due().max(self.exchange.ready_at(Lane::Poll)), Timer::Poll);
            }
        }
        if !self.storing() {
            return;
        }
        let mut lane = |lane, timer| earliest.at(self.exchange.ready_at(lane), timer);
        if self.answers.first().is_some() {
            lane(Lane::Answer, Timer::Retry);
        }
        match &self.registration {
            Registration::Unregistered { next: None, .. } => {}
            Registration::Unregistered { next: Some(next), .. } => {
                earliest.at((*next).max(self.exchange.ready_at(Lane::Registration)), Timer::Register);
            }
            Registration::Querying { .. }
            | Registration::Creating { .. }
            | Registration::Renewing { .. }
            | Registration::Leaving { .. } => lane(Lane::Registration, Timer::Register),
            Registration::Registered { duties, record } => {
                if self.opt_owed(now, &record.ven_id).is_some() {
                    lane(Lane::Opt, Timer::Retry);
                }
                let events = duties.request_events.is_some() && !self.events.owes_responses();
                if duties.register_reports.is_some() || events || self.requester.wants() {
                    lane(Lane::Duty, Timer::Retry);
                }
                if self.reporting.first_owed().is_some() {
                    lane(Lane::Report, Timer::Retry);
                }
            }
        }
    }
}
