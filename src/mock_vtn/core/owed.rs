//! Remembers which answers a VEN owes, and under which requestID.

use std::collections::BTreeSet;

use crate::openadr::message::{
    CreatedEvent, EventId, OadrEvent, Payload, PayloadKind, RequestId, ResponseRequired,
};

/// The answers that a VEN owes.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Kinds of answers, and the requestID that each has to repeat (rules 42, 303).
    answers: Vec<(PayloadKind, RequestId)>,
    /// Events that were sent and want an answer (rule 12).
    events: BTreeSet<EventId>,
}

impl Owed {
    /// A message goes to the VEN.
    pub(super) fn sent(&mut self, message: &Payload) {
        let answer = if let Payload::CreateReport(m) = message {
            (PayloadKind::CreatedReport, &m.request_id)
        } else if let Payload::CancelReport(m) = message {
            (PayloadKind::CanceledReport, &m.request_id)
        } else if let Payload::RegisterReport(m) = message {
            (PayloadKind::RegisteredReport, &m.request_id)
        } else if let Payload::UpdateReport(m) = message {
            (PayloadKind::UpdatedReport, &m.request_id)
        } else if let Payload::CancelPartyRegistration(m) = message {
            (PayloadKind::CanceledPartyRegistration, &m.request_id)
        } else {
            return;
        };
        self.answers.push((answer.0, answer.1.clone()));
    }

    /// Events go to the VEN.
    pub(super) fn distributed(&mut self, events: &[OadrEvent]) {
        let wanting = events.iter().filter(|event| event.response_required == ResponseRequired::Always);
        self.events = wanting.map(|event| event.event.id().clone()).collect();
    }

    /// A message comes from the VEN; says what is wrong with it.
    pub(super) fn came(&mut self, message: &Payload) -> Option<String> {
        if let Payload::CreatedEvent(created) = message {
            self.events_answered(created);
            return None;
        }
        if matches!(message, Payload::RequestEvent(_)) && !self.events.is_empty() {
            let events: Vec<_> = self.events.iter().map(EventId::as_str).collect();
            return Some(format!("oadrRequestEvent came before the answer to {}", events.join(", ")));
        }
        let (kind, repeated) = (message.kind(), &message.verdict()?.request_id);
        if let Some(at) = self.answers.iter().position(|(owed, id)| (*owed, id) == (kind, repeated)) {
            self.answers.remove(at);
            return None;
        }
        // What is not owed may answer something that was sent along, or come once more because our reply was lost.
        let owed = self.answers.iter().any(|(other, _)| *other == kind);
        owed.then(|| format!("{kind} repeats the requestID {repeated}, under which nothing was asked"))
    }

    fn events_answered(&mut self, created: &CreatedEvent) {
        if created.event_responses.is_empty() {
            self.events.clear();
        }
        for response in &created.event_responses {
            self.events.remove(&response.event_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Owed;
    use crate::mock_vtn::EventBuilder;
    use crate::openadr::message::{
        CancelReport, CanceledReport, CreatedEvent, EiResponse, EventResponse, OptType, Payload,
        RequestEvent, ResponseCode,
    };
    use crate::time::{Span, Timestamp};

    #[test]
    fn an_answer_under_another_request_id_is_noted() {
        let mut owed = Owed::default();
        let (report_request_ids, report_to_follow) = (Vec::new(), false);
        let request_id = "a".into();
        owed.sent(&CancelReport { request_id, report_request_ids, report_to_follow, ven_id: None }.into());
        let answer = |id: &str| -> Payload {
            let response = EiResponse::ok(id.into());
            CanceledReport { response, pending_reports: Vec::new(), ven_id: None }.into()
        };
        assert!(owed.came(&answer("b")).is_some_and(|why| why.contains("requestID b")));
        assert_eq!(owed.came(&answer("a")), None);
        assert_eq!(owed.came(&answer("a")), None, "once more, because the reply was lost");
    }

    #[test]
    fn a_request_for_events_before_the_last_answer_is_noted() {
        let mut owed = Owed::default();
        let event = |id| EventBuilder::new(id, Timestamp::EPOCH, Span::HOUR);
        owed.distributed(&[event("e1").build(), event("e2").build(), event("e3").never_answered().build()]);
        let request = RequestEvent { request_id: "r".into(), ven_id: "ven".into(), reply_limit: None }.into();
        let answer = |id: &str| -> Payload {
            let response = EventResponse {
                code: ResponseCode::OK,
                description: None,
                request_id: "".into(),
                event_id: id.into(),
                modification_number: 0,
                opt_type: OptType::OptIn,
            };
            let (response, event_responses) = (EiResponse::ok("".into()), vec![response]);
            CreatedEvent { response, event_responses, ven_id: "ven".into() }.into()
        };
        assert!(owed.came(&request).is_some_and(|why| why.contains("e1, e2")));
        assert_eq!(owed.came(&answer("e1")), None);
        assert!(owed.came(&request).is_some_and(|why| why.ends_with("e2")));
        assert_eq!(owed.came(&answer("e2")), None);
        assert_eq!(owed.came(&request), None);
    }
}
