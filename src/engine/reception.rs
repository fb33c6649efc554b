//! Takes what the VTN has for us, in whatever way it comes: in answer to a poll, or pushed.
//!
//! A polled message is answered in a request of ours, a pushed one in the HTTP response; `oadrCreatedEvent` is a request of ours in
//! either case (rule 51).

use crate::notice::Notice;
use crate::openadr::message::{
    CancelPartyRegistration, CanceledPartyRegistration, CanceledReport, CreatedReport, EiResponse, Payload,
    PayloadKind, RegisteredReport, RequestId, Response, ResponseCode, Service, UpdatedReport, VenId,
};

use super::exchange::What;
use super::replies::unlawful;
use super::{DeliveryId, Effect, Engine, PushAnswer, Turn};

impl Engine {
    /// Takes a message that the VTN has pushed.
    pub(super) fn pushed(
        &mut self,
        turn: &mut Turn,
        delivery: DeliveryId,
        service: Service,
        message: Payload,
    ) {
        let answer = self.push_answer(turn, service, message);
        turn.effect(Effect::Respond { delivery, answer });
    }

    fn push_answer(&mut self, turn: &mut Turn, service: Service, message: Payload) -> PushAnswer {
        let (kind, (request_id, _)) = (message.kind(), address_of(&message));
        if self.registration.ven_id().is_none() {
            if let Some(answer) = self.cancelled_again(&message) {
                return PushAnswer::Message(answer);
            }
            // Rule 405: an unregistered VEN ignores all messages.
            let why = format!("{kind} was pushed, and we are not registered");
            turn.notify(Notice::MessageRejected { service: Some(service), why });
            return PushAnswer::Empty;
        }
        if kind.service() != service {
            let why = format!("{kind} does not belong to the service {service}");
            return self.unexpected(turn, kind, why, request_id);
        }
        if kind == PayloadKind::DistributeEvent {
            self.exchange.overtake();
        }
        match self.received(turn, message) {
            Ok(Some(answer)) => {
                self.confirmed(turn, &answer);
                PushAnswer::Message(answer)
            }
            Ok(None) if kind == PayloadKind::DistributeEvent => PushAnswer::Empty,
            Ok(None) => {
                PushAnswer::Message(self.fitting_answer(PayloadKind::Response, EiResponse::ok(request_id)))
            }
            Err(_) => self.unexpected(turn, kind, format!("a vtn does not send {kind}"), request_id),
        }
    }

    fn unexpected(
        &self,
        turn: &mut Turn,
        kind: PayloadKind,
        why: String,
        request_id: RequestId,
    ) -> PushAnswer {
        turn.notify(Notice::MessageRejected { service: Some(kind.service()), why: why.clone() });
        let response = EiResponse::error(ResponseCode::COMPLIANCE_ERROR, why, request_id);
        PushAnswer::Message(self.fitting_answer(kind, response))
    }

    /// A message that the VTN has for us; returns its logical answer, if it has one at once.
    ///
    /// # Errors
    ///
    /// Where no VTN may send it.
    pub(super) fn received(&mut self, turn: &mut Turn, message: Payload) -> Result<Option<Payload>, String> {
        let Some(ven_id) = self.registration.ven_id().cloned() else { return Ok(None) };
        // Ids are compared case-sensitively (rule 512).
        let (request_id, claimed) = address_of(&message);
        if let Some(claimed) = claimed.filter(|claimed| **claimed != ven_id) {
            let why = format!("venID is {claimed}, ours is {ven_id}");
            let service = Some(message.kind().service());
            turn.notify(Notice::MessageRejected { service, why: why.clone() });
            let response = EiResponse::error(ResponseCode::INVALID_ID, why, request_id);
            return Ok(Some(self.fitting_answer(message.kind(), response)));
        }
        let answer = match message {
            Payload::DistributeEvent(picture) => {
                self.picture(turn, picture);
                return Ok(None);
            }
            Payload::CreateReport(create) => {
                self.reports_requested(turn, &create.request_id, create.report_requests).into()
            }
            Payload::CancelReport(cancel) => self.reports_cancelled(turn, &cancel).into(),
            Payload::RegisterReport(register) => self.vtn_registers_reports(turn, register, ven_id).into(),
            Payload::UpdateReport(update) => self.vtn_reports(turn, update, ven_id).into(),
            Payload::CancelPartyRegistration(cancel) => self.cancelled_by_vtn(turn, cancel).into(),
            Payload::RequestReregistration(_) => {
                turn.notify(Notice::ReregistrationRequested);
                self.renew(true);
                self.fitting_answer(PayloadKind::RequestReregistration, EiResponse::ok("".into()))
            }
            // The acceptance of a request that we sent along.
            Payload::CreatedReport(created) => {
                self.requester.accepted_along(turn, &created);
                return Ok(None);
            }
            Payload::CreatedEvent(_)
            | Payload::RequestEvent(_)
            | Payload::Response(_)
            | Payload::CancelOpt(_)
            | Payload::CanceledOpt(_)
            | Payload::CreateOpt(_)
            | Payload::CreatedOpt(_)
            | Payload::CanceledReport(_)
            | Payload::RegisteredReport(_)
            | Payload::UpdatedReport(_)
            | Payload::CanceledPartyRegistration(_)
            | Payload::CreatePartyRegistration(_)
            | Payload::CreatedPartyRegistration(_)
            | Payload::QueryRegistration(_)
            | Payload::Poll(_) => return Err(unlawful(&What::Poll, Some(&message))),
        };
        Ok(Some(answer))
    }

    fn cancelled_by_vtn(
        &mut self,
        turn: &mut Turn,
        cancel: CancelPartyRegistration,
    ) -> CanceledPartyRegistration {
        let ven_id = self.registration.ven_id().cloned();
        let ours = self.is_ours(&cancel.registration_id);
        let response = if ours {
            EiResponse::ok(cancel.request_id)
        } else {
            EiResponse::error(ResponseCode::INVALID_ID, "that is not our registration", cancel.request_id)
        };
        if ours {
            self.cancelled = self.registration.record().cloned();
            self.answers.clear();
            self.unregistered(turn, true);
        }
        CanceledPartyRegistration { response, registration_id: Some(cancel.registration_id), ven_id }
    }

    /// The answer to a cancellation that has been carried out already: the VTN repeats it where our answer was lost.
    ///
    /// **Reading of the standard:** rule 405 has an unregistered VEN ignore all messages, but without this answer the VTN could
    /// never learn that the registration has ended; it reveals and changes nothing.
    fn cancelled_again(&self, message: &Payload) -> Option<Payload> {
        let Payload::CancelPartyRegistration(cancel) = message else { return None };
        let ended = self.cancelled.as_ref()?;
        let another = cancel.ven_id.as_ref().is_some_and(|claimed| *claimed != ended.ven_id);
        if another || cancel.registration_id != ended.registration_id {
            return None;
        }
        let (response, ven_id) = (EiResponse::ok(cancel.request_id.clone()), Some(ended.ven_id.clone()));
        let registration_id = Some(ended.registration_id.clone());
        Some(CanceledPartyRegistration { response, registration_id, ven_id }.into())
    }

    /// The answer that belongs to a message of that kind, with this verdict; `oadrResponse` where no other is foreseen.
    fn fitting_answer(&self, kind: PayloadKind, response: EiResponse) -> Payload {
        let ven_id = self.registration.ven_id().cloned();
        let pending_reports = self.reporting.pending();
        match kind {
            PayloadKind::CreateReport => CreatedReport { response, pending_reports, ven_id }.into(),
            PayloadKind::CancelReport => CanceledReport { response, pending_reports, ven_id }.into(),
            PayloadKind::RegisterReport => {
                RegisteredReport { response, report_requests: Vec::new(), ven_id }.into()
            }
            PayloadKind::UpdateReport => UpdatedReport { response, cancel_report: None, ven_id }.into(),
            PayloadKind::CancelPartyRegistration => {
                CanceledPartyRegistration { response, registration_id: None, ven_id }.into()
            }
            PayloadKind::DistributeEvent
            | PayloadKind::CreatedEvent
            | PayloadKind::RequestEvent
            | PayloadKind::Response
            | PayloadKind::CancelOpt
            | PayloadKind::CanceledOpt
            | PayloadKind::CreateOpt
            | PayloadKind::CreatedOpt
            | PayloadKind::CanceledReport
            | PayloadKind::CreatedReport
            | PayloadKind::RegisteredReport
            | PayloadKind::UpdatedReport
            | PayloadKind::CanceledPartyRegistration
            | PayloadKind::CreatePartyRegistration
            | PayloadKind::CreatedPartyRegistration
            | PayloadKind::RequestReregistration
            | PayloadKind::QueryRegistration
            | PayloadKind::Poll => Response { response, ven_id }.into(),
        }
    }
}

/// The requestID that an answer to a message of the VTN repeats, empty where it has none; and for whom it is, where it says so.
fn address_of(message: &Payload) -> (RequestId, Option<&VenId>) {
    match message {
        Payload::DistributeEvent(m) => (m.request_id.clone(), None),
        Payload::CreateReport(m) => (m.request_id.clone(), m.ven_id.as_ref()),
        Payload::CancelReport(m) => (m.request_id.clone(), m.ven_id.as_ref()),
        Payload::RegisterReport(m) => (m.request_id.clone(), m.ven_id.as_ref()),
        Payload::UpdateReport(m) => (m.request_id.clone(), m.ven_id.as_ref()),
        Payload::CancelPartyRegistration(m) => (m.request_id.clone(), m.ven_id.as_ref()),
        Payload::RequestReregistration(m) => (RequestId::from(""), Some(&m.ven_id)),
        Payload::CreatedReport(m) => (m.response.request_id.clone(), None),
        Payload::QueryRegistration(m) => (m.request_id.clone(), None),
        Payload::CreatePartyRegistration(m) => (m.request_id.clone(), None),
        Payload::RequestEvent(m) => (m.request_id.clone(), None),
        Payload::CreateOpt(m) => (m.request_id.clone(), None),
        Payload::CancelOpt(m) => (m.request_id.clone(), None),
        Payload::CreatedEvent(_)
        | Payload::Response(_)
        | Payload::CanceledOpt(_)
        | Payload::CreatedOpt(_)
        | Payload::CanceledReport(_)
        | Payload::RegisteredReport(_)
        | Payload::UpdatedReport(_)
        | Payload::CanceledPartyRegistration(_)
        | Payload::CreatedPartyRegistration(_)
        | Payload::Poll(_) => (RequestId::from(""), None),
    }
}
