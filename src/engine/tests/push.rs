//! Push mode: the VTN posts its messages to us, and gets the answers in the HTTP responses.

use super::pair::{LATENCY, Mode, Pair, t, wish};
use crate::engine::{Incoming, Input, PushAnswer, Settings};
use crate::mock_vtn::EventBuilder;
use crate::notice::Notice;
use crate::openadr::message::{
    CancelPartyRegistration, CancelReport, CreateReport, DistributeEvent, EiResponse, Payload, PayloadKind,
    Poll, QueryRegistration, RegisterReport, Report, RequestReregistration, ResponseCode, Service,
    UpdateReport, VenId,
};
use crate::time::Span;

fn registered() -> Pair {
    Pair::registered_in(Mode::Push)
}

/// What the VEN says to the last message that was pushed by hand: the kind and the verdict.
fn verdict(pair: &Pair) -> (PayloadKind, u16) {
    let Some(PushAnswer::Message(answer)) = pair.responses.last() else {
        panic!("no answer: {:?}", pair.responses);
    };
    let response = answer.verdict().unwrap_or_else(|| panic!("{} is no answer", answer.kind()));
    (answer.kind(), response.code.number())
}

fn distribute(vtn_id: &str) -> DistributeEvent {
    DistributeEvent { response: None, request_id: "d1".into(), vtn_id: vtn_id.into(), events: Vec::new() }
}

/// Data that nobody has asked for.
fn unasked() -> Report {
    Report {
        start: Some(t("2030-01-01T00:00:00Z")),
        duration: None,
        intervals: Vec::new(),
        report_id: None,
        descriptions: Vec::new(),
        report_request_id: "unasked".into(),
        report_specifier_id: "prices".into(),
        report_name: None,
        created_date_time: t("2030-01-01T00:00:00Z"),
    }
}

/// Everything that a VTN may push, for that VEN.
fn everything(ven_id: &str) -> Vec<Payload> {
    let (request_id, ven_id) = (|| "q1".into(), || Some(VenId::from(ven_id)));
    vec![
        CreateReport {
            request_id: request_id(),
            report_requests: vec![wish("r1", &["power"], Span::HOUR, Span::HOUR, None)],
            ven_id: ven_id(),
        }
        .into(),
        CancelReport {
            request_id: request_id(),
            report_request_ids: vec!["r1".into()],
            report_to_follow: false,
            ven_id: ven_id(),
        }
        .into(),
        RegisterReport {
            request_id: request_id(),
            reports: Vec::new(),
            ven_id: ven_id(),
            report_request_id: None,
        }
        .into(),
        UpdateReport { request_id: request_id(), reports: vec![unasked()], ven_id: ven_id() }.into(),
        RequestReregistration { ven_id: ven_id().unwrap() }.into(),
        CancelPartyRegistration {
            request_id: request_id(),
            registration_id: "registration-1".into(),
            ven_id: ven_id(),
        }
        .into(),
    ]
}

/// The registration says where we are pushed to, and nothing is ever polled.
#[test]
fn rules_37_51_a_ven_that_is_pushed_to_says_so_and_never_polls() {
    let mut pair = registered();
    assert_eq!(pair.vtn.transport_address(), Some("https://ven.example.org:8443/dr"));
    pair.run(Span::DAY);
    assert_eq!(pair.vtn.count(PayloadKind::Poll), 0);
    let told = |notice: &Notice| matches!(notice, Notice::Registered { poll: None, .. });
    assert!(pair.notices.iter().any(told), "{:?}", pair.notices);
    pair.assert_lawful();
}

/// Rule 402: the VTN learns of another transport by a registration with both ids.
#[test]
fn rule_402_another_transport_is_told_by_a_re_registration() {
    let mut pair = Pair::registered();
    pair.settings.incoming = Mode::Push.incoming();
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.registrations(), 1);
    assert!(pair.vtn.transport_address().is_some());
    pair.settings.incoming = Incoming::Pull;
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.transport_address(), None);
    assert!(pair.vtn.count(PayloadKind::Poll) > 0);
    pair.assert_lawful();
}

#[test]
fn rule_51_events_are_answered_in_a_request_of_ours() {
    let mut pair = registered();
    let before = pair.vtn.received.len();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::HOUR, Span::HOUR));
    pair.run(Span::SECOND);
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
    let kinds: Vec<_> = pair.vtn.received[before..].iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [PayloadKind::CreatedEvent]);
    pair.push(Service::EiEvent, distribute("vtn-1"));
    assert_eq!(pair.responses, [PushAnswer::Empty]);
    pair.assert_lawful();
}

#[test]
fn rule_51_everything_else_is_answered_in_the_response() {
    let mut pair = registered();
    let sent = pair.vtn.received.len();
    let answers: Vec<_> = everything("ven-1")
        .into_iter()
        .map(|message| {
            pair.push(message.kind().service(), message);
            verdict(&pair)
        })
        .collect();
    let expected = [
        (PayloadKind::CreatedReport, 200),
        (PayloadKind::CanceledReport, 200),
        (PayloadKind::RegisteredReport, 200),
        (PayloadKind::UpdatedReport, 452),
        (PayloadKind::Response, 200),
        (PayloadKind::CanceledPartyRegistration, 200),
    ];
    assert_eq!(answers, expected);
    let requests: Vec<_> = pair.vtn.received[sent..].iter().map(|(_, kind)| *kind).collect();
    assert_eq!(requests, [PayloadKind::CreatePartyRegistration], "no answer is sent in a request");
    assert_eq!(pair.store.registration, None);
}

#[test]
fn rules_21_512_a_message_for_another_ven_is_answered_with_452_and_does_nothing() {
    let mut pair = registered();
    for message in everything("VEN-1") {
        let kind = message.kind();
        pair.push(kind.service(), message);
        assert_eq!(verdict(&pair).1, 452, "{kind}");
    }
    assert!(pair.store.requests.is_empty());
    assert!(pair.store.registration.is_some());
    assert_eq!(pair.vtn.count(PayloadKind::CreatePartyRegistration), 1);
}

#[test]
fn rule_21_events_of_another_vtn_are_answered_with_452() {
    let mut pair = registered();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::HOUR, Span::HOUR));
    pair.run(Span::SECOND);
    let before = pair.vtn.count(PayloadKind::CreatedEvent);
    pair.push(Service::EiEvent, distribute("VTN-1"));
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), before + 1);
    assert_eq!(pair.store.events.len(), 1, "the events of ours stay");
    let said = "vtnID is VTN-1, we are registered at vtn-1";
    assert!(pair.notices.iter().any(|notice| notice.to_string().contains(said)), "{:?}", pair.notices);
}

#[test]
fn rule_401_a_cancellation_of_another_registration_is_refused() {
    let mut pair = registered();
    let cancel = CancelPartyRegistration {
        request_id: "q1".into(),
        registration_id: "somebody's".into(),
        ven_id: None,
    };
    pair.push(Service::EiRegisterParty, cancel);
    assert_eq!(verdict(&pair), (PayloadKind::CanceledPartyRegistration, 452));
    assert!(pair.store.registration.is_some());
}

/// Rule 405: an unregistered VEN ignores whatever is pushed; the cancellation that ended its registration alone is answered again.
#[test]
fn rule_405_nothing_is_answered_while_unregistered() {
    let mut pair = registered();
    pair.vtn.cancel_registration();
    pair.run(Span::SECOND);
    assert_eq!(pair.store.registration, None);
    let mut all = everything("ven-1");
    all.retain(|message| message.kind() != PayloadKind::CancelPartyRegistration);
    let count = all.len() + 1;
    pair.push(Service::EiEvent, distribute("vtn-1"));
    for message in all {
        pair.push(message.kind().service(), message);
    }
    assert_eq!(pair.responses, vec![PushAnswer::Empty; count]);
    pair.run(Span::HOUR * 2);
    assert_eq!(pair.vtn.registered(), Some(&"ven-2".into()), "it registers again (rule 401)");
    pair.assert_lawful();
}

/// The VTN repeats a cancellation where our answer was lost; it takes the same answer, until we register anew.
#[test]
fn rule_407_a_repeated_cancellation_is_answered_alike() {
    let mut pair = registered();
    let record = pair.store.registration.clone().unwrap();
    let cancel = |registration_id: &str, ven_id: &str| CancelPartyRegistration {
        request_id: "q1".into(),
        registration_id: registration_id.into(),
        ven_id: Some(ven_id.into()),
    };
    let (registration_id, ven_id) = (record.registration_id.to_string(), record.ven_id.to_string());
    pair.push(Service::EiRegisterParty, cancel(&registration_id, &ven_id));
    assert_eq!(verdict(&pair), (PayloadKind::CanceledPartyRegistration, 200));
    assert_eq!(pair.store.registration, None);
    pair.push(Service::EiRegisterParty, cancel(&registration_id, &ven_id));
    let [.., first, again] = pair.responses.as_slice() else { panic!("{:?}", pair.responses) };
    assert_eq!(first, again);
    pair.push(Service::EiRegisterParty, cancel("another", &ven_id));
    assert_eq!(pair.responses.last(), Some(&PushAnswer::Empty));
    pair.push(Service::EiRegisterParty, cancel(&registration_id, "another"));
    assert_eq!(pair.responses.last(), Some(&PushAnswer::Empty));
    pair.vtn.forget_everything();
    pair.run(Span::HOUR * 2);
    assert!(pair.store.registration.is_some(), "it registers again");
    pair.push(Service::EiRegisterParty, cancel(&registration_id, &ven_id));
    assert_ne!(verdict(&pair), (PayloadKind::CanceledPartyRegistration, 200), "that one is history");
}

#[test]
fn rule_33_what_does_not_belong_there_is_answered_with_459() {
    let mut pair = registered();
    let mut refused = |service, message: Payload, answer| {
        pair.push(service, message);
        assert_eq!(verdict(&pair), (answer, 459));
    };
    refused(Service::EiReport, distribute("vtn-1").into(), PayloadKind::Response);
    refused(Service::EiEvent, everything("ven-1").swap_remove(0), PayloadKind::CreatedReport);
    refused(Service::EiOpt, Poll { ven_id: "ven-1".into() }.into(), PayloadKind::Response);
    let query = QueryRegistration { request_id: "q1".into() };
    refused(Service::EiRegisterParty, query.into(), PayloadKind::Response);
    let Some(PushAnswer::Message(Payload::Response(answer))) = pair.responses.pop() else { panic!() };
    assert_eq!(answer.response.request_id, "q1".into());
    assert_eq!(answer.ven_id, Some("ven-1".into()), "rule 508");
    assert!(pair.store.requests.is_empty());
}

/// A periodic report is confirmed by the response, and so begins without another request.
#[test]
fn a_report_that_is_asked_for_is_delivered_and_ends_when_it_is_cancelled() {
    let mut pair = registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE * 10);
    assert!(pair.reported("r1").len() >= 9, "{}", pair.reported("r1").len());
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    pair.vtn.cancel_reports(&["r1"], false);
    pair.run(Span::SECOND);
    assert!(pair.vtn.pending.is_empty());
    let came = pair.vtn.reports.len();
    pair.run(Span::HOUR);
    assert_eq!(pair.vtn.reports.len(), came);
    pair.assert_lawful();
}

/// Persist, then speak: what could not be stored is answered with 503, and taken when the VTN sends it again.
#[test]
fn what_cannot_be_stored_is_not_confirmed() {
    let mut pair = registered();
    pair.disk_up = false;
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE);
    assert_eq!(pair.vtn.count(PayloadKind::CreatedReport), 0);
    pair.push(Service::EiReport, everything("ven-1").swap_remove(0));
    assert_eq!(pair.responses, [PushAnswer::TryAgain]);
    pair.repair_disk(u64::MAX);
    pair.run(Span::MINUTE * 5);
    assert_eq!(pair.vtn.count(PayloadKind::CreatedReport), 1);
    assert!(!pair.reported("r1").is_empty());
    pair.assert_lawful();
}

/// A picture that the VTN gave before it pushed a newer one must not undo that.
#[test]
fn events_that_were_asked_for_do_not_undo_those_that_were_pushed_meanwhile() {
    let mut pair = Pair::in_mode(Mode::Push);
    // The picture without e1 is on its way as e1 is pushed, and comes after it.
    while pair.vtn.count(PayloadKind::RequestEvent) == 0 {
        pair.run(Span::from_millis(1));
    }
    let start = pair.now() + Span::HOUR;
    let events = vec![EventBuilder::new("e1", start, Span::HOUR).build()];
    pair.push(Service::EiEvent, DistributeEvent { events, ..distribute("vtn-1") });
    pair.vtn.add_event(EventBuilder::new("e1", start, Span::HOUR));
    pair.run(LATENCY);
    assert!(pair.store.events.contains_key(&"e1".into()));
    pair.run(Span::from_seconds(5));
    assert!(pair.vtn.count(PayloadKind::RequestEvent) > 1, "the events are asked for again");
    let undone = |notice: &Notice| matches!(notice, Notice::EventCancelled { .. });
    assert!(!pair.notices.iter().any(undone), "{:?}", pair.notices);
    assert_eq!(pair.asked, ["e1 new"]);
}

/// The answer to a re-registration that was sent before the VTN cancelled is of no use any more.
#[test]
fn a_registration_that_was_cancelled_meanwhile_stays_cancelled() {
    let mut pair = registered();
    pair.push(Service::EiRegisterParty, RequestReregistration { ven_id: "ven-1".into() });
    let cancel = everything("ven-1").swap_remove(5);
    pair.push(Service::EiRegisterParty, cancel);
    assert_eq!(verdict(&pair), (PayloadKind::CanceledPartyRegistration, 200));
    pair.run(Span::MINUTE * 30);
    assert_eq!(pair.store.registration, None);
    assert_eq!(pair.vtn.count(PayloadKind::CreatePartyRegistration), 2, "the first, and the renewal");
}

/// Push or pull, an operator who leaves is not brought back by an answer that was under way.
#[test]
fn an_operator_who_leaves_while_the_registration_is_renewed_has_left() {
    for mode in [Mode::Pull, Mode::Push] {
        let mut pair = Pair::registered_in(mode);
        pair.restart();
        pair.input(Input::Unregister);
        pair.run(Span::DAY);
        assert_eq!((pair.vtn.registered(), &pair.store.registration), (None, &None), "{mode:?}");
    }
}

/// A VTN may push at a bad time: we have the record of the registration and renew it.
#[test]
fn what_is_pushed_while_the_registration_is_renewed_is_taken() {
    let mut pair = registered();
    pair.restart();
    let events = vec![EventBuilder::new("e1", t("2030-01-01T01:00:00Z"), Span::HOUR).build()];
    pair.vtn.add_event(events[0].clone());
    pair.push(Service::EiEvent, DistributeEvent { events, ..distribute("vtn-1") });
    assert_eq!(pair.responses, [PushAnswer::Empty]);
    pair.run(Span::MINUTE);
    assert!(pair.opts().contains(&"e1 0 optIn".to_owned()), "{:?}", pair.opts());
}

#[test]
fn the_verdict_of_a_picture_that_is_no_answer_is_not_needed() {
    let mut pair = Pair::with(Settings { incoming: Mode::Push.incoming(), ..Settings::default() });
    pair.run(Span::SECOND);
    let refusal = EiResponse::error(ResponseCode::INVALID_DATA, "no", "".into());
    pair.push(Service::EiEvent, DistributeEvent { response: Some(refusal), ..distribute("vtn-1") });
    assert_eq!(pair.responses, [PushAnswer::Empty], "an error says nothing about events");
}
