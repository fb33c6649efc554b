//! Takes a reply for what it is: which kinds are lawful for which request, and what follows from each.

use crate::notice::Notice;
use crate::openadr::message::{
    DistributeEvent, EiResponse, Payload, PayloadKind, RegisteredReport, RequestId, ResponseCode, Service,
    UpdatedReport,
};

use super::checks::Us;
use super::exchange::What;
use super::registration::Registration;
use super::snapshot::Write;
use super::{Engine, Turn};

impl Engine {
    /// Takes a reply.
    ///
    /// # Errors
    ///
    /// Says why it is no lawful reply to the request.
    pub(super) fn take(
        &mut self,
        turn: &mut Turn,
        what: &What,
        reply: Option<Payload>,
    ) -> Result<(), String> {
        if let Some(Payload::RequestReregistration(_)) = &reply
            && !matches!(what, What::Poll | What::Query | What::Create | What::Leave)
        {
            self.not_known(turn, what);
            return Ok(());
        }
        match (what, reply) {
            (What::Poll, reply) => self.polled(turn, reply),
            (What::Query, Some(Payload::CreatedPartyRegistration(reply))) => self.queried(&reply),
            (What::Query, Some(Payload::Response(_))) => {
                self.give_up(turn, What::Query, "the vtn does not answer it");
                Ok(())
            }
            (What::Create, reply) => self.create_answered(turn, reply),
            (
                What::Leave,
                Some(
                    Payload::CanceledPartyRegistration(_)
                    | Payload::Response(_)
                    | Payload::RequestReregistration(_),
                ),
            ) => {
                self.unregistered(turn, false);
                Ok(())
            }
            (What::RegisterReport(request_id), Some(Payload::RegisteredReport(reply))) => {
                self.reports_taken(turn, request_id, reply)
            }
            (What::RequestEvent { overtaken }, Some(Payload::DistributeEvent(picture))) => {
                self.events_told(turn, *overtaken, picture)
            }
            (What::RequestEvent { .. }, Some(Payload::Response(reply)))
                if reply.response.code.is_success() =>
            {
                self.events_requested();
                // OpenLEADR says "no events" like this.
                self.no_events(turn);
                Ok(())
            }
            (What::Answer(_), reply) => self.answer_taken(turn, reply),
            (What::CreatedEvent(sent), Some(Payload::Response(reply)))
                if reply.response.code.is_success() =>
            {
                self.events.answered(turn, sent);
                Ok(())
            }
            (What::CreateOpt(_) | What::CancelOpt(_), reply) => self.opt_answered(turn, what, reply),
            (What::Update(sequence), Some(Payload::UpdatedReport(reply))) => {
                self.report_taken(turn, *sequence, &reply)
            }
            (What::Request(id), Some(Payload::CreatedReport(reply))) => self.created_by_vtn(turn, id, &reply),
            (What::Request(id), Some(Payload::CanceledReport(reply))) => {
                self.canceled_by_vtn(turn, id, &reply)
            }
            (what, Some(Payload::Response(reply))) => {
                self.denied(turn, what.clone(), &reply.response);
                Ok(())
            }
            (what, reply) => Err(unlawful(what, reply.as_ref())),
        }
    }

    fn create_answered(&mut self, turn: &mut Turn, reply: Option<Payload>) -> Result<(), String> {
        match reply {
            Some(Payload::CreatedPartyRegistration(reply)) => self.registration_answered(turn, reply),
            Some(Payload::Response(reply)) => {
                let why = reply.response.description.unwrap_or_default();
                self.refused(turn, reply.response.code, why);
            }
            Some(Payload::RequestReregistration(_)) => {
                self.refused(turn, ResponseCode::NOT_REGISTERED, "the vtn does not know these ids".into());
            }
            reply => return Err(unlawful(&What::Create, reply.as_ref())),
        }
        Ok(())
    }

    fn events_told(
        &mut self,
        turn: &mut Turn,
        overtaken: bool,
        picture: DistributeEvent,
    ) -> Result<(), String> {
        if overtaken {
            return Err("the vtn has pushed its events meanwhile, so they are asked for again".into());
        }
        self.events_requested();
        self.picture(turn, picture);
        Ok(())
    }

    /// The VTN answers a request with an error.
    pub(super) fn denied(&mut self, turn: &mut Turn, what: What, verdict: &EiResponse) {
        let about_events = matches!(what, What::CreatedEvent(_) | What::CreateOpt(_) | What::CancelOpt(_));
        // 452 may mean an event, an opt or a report that the VTN has forgotten; only 463 is sure to mean us (rule 517).
        let about_us = verdict.code == ResponseCode::NOT_REGISTERED
            || (verdict.code.denies_registration() && !about_events && !matches!(what, What::Update(_)));
        if about_us {
            self.renew(true);
        } else {
            self.give_up(turn, what, &verdict.to_string());
        }
    }

    fn polled(&mut self, turn: &mut Turn, reply: Option<Payload>) -> Result<(), String> {
        let now = turn.now.since_start;
        let Some(interval) = self.registration.record().map(|record| self.poll_interval(record)) else {
            return Ok(());
        };
        match reply {
            None => self.polling.wait(now, interval, &mut self.dice),
            Some(Payload::Response(reply)) => {
                self.polling.wait(now, interval, &mut self.dice);
                if reply.response.code.denies_registration() {
                    self.renew(true);
                } else if !reply.response.code.is_success() {
                    let why = format!("the vtn answers the poll with {}", reply.response);
                    turn.notify(Notice::MessageRejected { service: Some(Service::OadrPoll), why });
                }
            }
            Some(message) => {
                self.polling.drain(now, interval, &mut self.dice);
                if let Some(answer) = self.received(turn, message)? {
                    self.answers.owe(answer);
                }
            }
        }
        Ok(())
    }

    /// The VTN does not know us any more, and says so to something else.
    fn not_known(&mut self, turn: &mut Turn, what: &What) {
        turn.notify(Notice::ReregistrationRequested);
        if matches!(what, What::Answer(_)) {
            // It was meant for somebody the VTN does not know any more.
            self.answer_done(turn);
        }
        self.renew(true);
    }

    /// All events of the VTN.
    pub(super) fn picture(&mut self, turn: &mut Turn, picture: DistributeEvent) {
        let Some(record) = self.registration.record() else { return };
        if let Some(verdict) = picture.response.as_ref().filter(|verdict| !verdict.code.is_success()) {
            // An error says nothing about events.
            if verdict.code.denies_registration() {
                self.renew(true);
            }
            return;
        }
        // An id that is left out contradicts nothing (rule 21).
        if !picture.vtn_id.is_empty() && picture.vtn_id != record.vtn_id {
            let why = format!("vtnID is {}, we are registered at {}", picture.vtn_id, record.vtn_id);
            let response = EiResponse::error(ResponseCode::INVALID_ID, why.clone(), picture.request_id);
            let ven_id = record.ven_id.clone();
            let event_responses = Vec::new();
            self.answers.owe(crate::openadr::message::CreatedEvent { response, event_responses, ven_id });
            turn.notify(Notice::MessageRejected { service: Some(Service::EiEvent), why });
            return;
        }
        let us = Us { settings: &self.settings, ven_id: &record.ven_id, vtn_id: &record.vtn_id };
        self.events.reconcile(turn, us, &mut self.dice, picture);
    }

    fn no_events(&mut self, turn: &mut Turn) {
        let Some(record) = self.registration.record() else { return };
        let picture = DistributeEvent {
            response: None,
            request_id: RequestId::from(""),
            vtn_id: record.vtn_id.clone(),
            events: Vec::new(),
        };
        let us = Us { settings: &self.settings, ven_id: &record.ven_id, vtn_id: &record.vtn_id };
        self.events.reconcile(turn, us, &mut self.dice, picture);
    }

    pub(super) fn events_requested(&mut self) {
        if let Registration::Registered { duties, .. } = &mut self.registration {
            duties.request_events = None;
        }
    }

    /// The VTN has our metadata, and wants some of it perhaps.
    fn reports_taken(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        reply: RegisteredReport,
    ) -> Result<(), String> {
        answers_to(request_id, &reply.response)?;
        if !reply.response.code.is_success() {
            self.denied(turn, What::RegisterReport(request_id.clone()), &reply.response);
            return Ok(());
        }
        self.reports_registered(turn);
        turn.notify(Notice::ReportsRegistered { points: self.settings.points_on_offer() });
        if !reply.report_requests.is_empty() {
            let answer = self.reports_requested(turn, request_id, reply.report_requests);
            self.answers.owe(answer);
        }
        Ok(())
    }

    /// Registering reports cancels every request that runs (rule 306).
    pub(super) fn reports_registered(&mut self, turn: &mut Turn) {
        let summary = self.settings.offers_summary();
        let mut asked_by = None;
        if let Registration::Registered { record, duties } = &mut self.registration {
            duties.register_reports = None;
            asked_by = duties.metadata_for.take();
            record.reports_registered = Some(summary);
            turn.write(Write::Registration(Some(record.clone())));
        }
        self.reporting.registered_anew(turn);
        if let Some(id) = asked_by {
            self.reporting.metadata_sent(turn, &id);
        }
    }

    /// The VTN has taken a logical answer, in whatever words.
    fn answer_taken(&mut self, turn: &mut Turn, reply: Option<Payload>) -> Result<(), String> {
        let refusal = match reply {
            None => None,
            // The acceptance of a request sent along may stand in place of the plain answer.
            Some(Payload::CreatedReport(created)) => {
                self.requester.accepted_along(turn, &created);
                None
            }
            Some(Payload::Response(reply)) => {
                Some(reply.response).filter(|verdict| !verdict.code.is_success())
            }
            Some(other) => return Err(format!("the reply to a logical answer is {}", other.kind())),
        };
        let message = self.answer_done(turn);
        match refusal {
            Some(verdict) if verdict.code == ResponseCode::NOT_REGISTERED => self.renew(true),
            // OpenLEADR answers 459 to some answers; there is nothing to repeat.
            Some(verdict) => {
                turn.notify(Notice::MessageRefused { message, about: Vec::new(), why: verdict.to_string() });
            }
            None => {}
        }
        Ok(())
    }

    /// The first answer is delivered, or given up: a report that it confirmed may begin.
    pub(super) fn answer_done(&mut self, turn: &mut Turn) -> PayloadKind {
        let Some(answer) = self.answers.done() else { return PayloadKind::Response };
        self.confirmed(turn, &answer);
        answer.kind()
    }

    /// The VTN has that answer.
    pub(super) fn confirmed(&mut self, turn: &mut Turn, answer: &Payload) {
        if let Payload::CreatedReport(created) = answer {
            self.reporting.confirmed(turn, &created.response.request_id);
        }
    }

    fn report_taken(&mut self, turn: &mut Turn, sequence: u64, reply: &UpdatedReport) -> Result<(), String> {
        if let Some(owed) = self.reporting.first_owed().filter(|owed| owed.sequence == sequence) {
            answers_to(&owed.update.request_id, &reply.response)?;
        }
        if reply.response.code.is_success() {
            self.reporting.accepted(turn, sequence);
        } else if reply.response.code == ResponseCode::NOT_REGISTERED {
            self.renew(true);
            return Ok(());
        } else {
            self.reporting.refused(turn, sequence, &reply.response);
        }
        if let Some(cancel) = &reply.cancel_report {
            self.cancel_reports(turn, &cancel.report_request_ids, cancel.report_to_follow);
        }
        Ok(())
    }
}

/// An answer repeats the requestID, unless it is empty (rule 303).
pub(super) fn answers_to(request_id: &RequestId, response: &EiResponse) -> Result<(), String> {
    let found = &response.request_id;
    if found.is_empty() || found == request_id {
        return Ok(());
    }
    Err(format!("the reply is to requestID {found}, we sent {request_id} (rule 303)"))
}

pub(super) fn unlawful(what: &What, reply: Option<&Payload>) -> String {
    let request = match what {
        What::Query => "oadrQueryRegistration",
        What::Create => "oadrCreatePartyRegistration",
        What::Leave => "oadrCancelPartyRegistration",
        What::RegisterReport(_) => "oadrRegisterReport",
        What::RequestEvent { .. } => "oadrRequestEvent",
        What::Poll => "oadrPoll",
        What::Answer(kind) => kind.element(),
        What::CreatedEvent(_) => "oadrCreatedEvent",
        What::CreateOpt(_) => "oadrCreateOpt",
        What::CancelOpt(_) => "oadrCancelOpt",
        What::Update(_) => "oadrUpdateReport",
        What::Request(_) => "oadrCreateReport or oadrCancelReport",
    };
    match reply {
        Some(reply) => format!("the reply to {request} is {}", reply.kind()),
        None => format!("the reply to {request} is empty"),
    }
}
