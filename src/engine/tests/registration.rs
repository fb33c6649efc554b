//! Registration: from unknown to registered, and back.

use super::pair::{Pair, usage_offer, wish};
use crate::engine::{Input, Settings};
use crate::mock_vtn::{EventBuilder, Fault, Unknown};
use crate::notice::Notice;
use crate::openadr::message::{PayloadKind, ResponseCode};
use crate::time::Span;

fn kinds(pair: &Pair) -> Vec<PayloadKind> {
    pair.vtn.received.iter().map(|(_, kind)| *kind).collect()
}

/// After a new registration metadata, then the events, then polling.
#[test]
fn rules_301_309_405_a_new_ven_registers_offers_its_reports_asks_for_events_and_polls() {
    let pair = Pair::registered();
    assert_eq!(
        kinds(&pair),
        [
            PayloadKind::QueryRegistration,
            PayloadKind::CreatePartyRegistration,
            PayloadKind::RegisterReport,
            PayloadKind::RequestEvent,
            PayloadKind::Poll,
        ]
    );
    assert_eq!(pair.store.registration.as_ref().unwrap().ven_id, "ven-1".into());
    assert_eq!(pair.vtn.offered.len(), pair.settings.offers.len());
    pair.assert_lawful();
}

#[test]
fn rules_301_402_a_preallocated_ven_id_is_sent() {
    let mut pair = Pair::with(Settings { ven_id: Some("theirs".into()), ..Settings::default() });
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.registered(), Some(&"theirs".into()));
    assert_eq!(pair.vtn.offered, [], "a VEN without reports registers none (rule 301)");
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 1);
    pair.assert_lawful();
}

#[test]
fn a_refused_ven_asks_again_later_and_less_and_less_often() {
    let mut pair = Pair::new();
    pair.vtn.refuse = Some(ResponseCode::NOT_REGISTERED);
    pair.run(Span::HOUR * 6);
    let tries = pair.vtn.count(PayloadKind::CreatePartyRegistration);
    assert!((8..14).contains(&tries), "{tries} tries in six hours");
    pair.vtn.refuse = None;
    pair.run(Span::HOUR * 2);
    assert!(pair.vtn.registered().is_some());
    assert!(pair.vtn.count(PayloadKind::Poll) > 300);
}

#[test]
fn a_vtn_that_is_away_at_boot_is_found_when_it_comes_back() {
    let mut pair = Pair::new();
    pair.link_up = false;
    pair.run(Span::HOUR);
    pair.link_up = true;
    let back = pair.now();
    pair.run(Span::from_seconds(331));
    let first = pair.vtn.received.first().unwrap().0;
    assert!(first - back <= Span::from_seconds(331), "came back {} later", first - back);
    assert!(pair.vtn.registered().is_some());
    assert!(pair.notices.iter().any(|notice| matches!(notice, Notice::VtnBack { .. })));
}

/// A VEN with ids renews them and goes on; nothing is registered twice.
#[test]
fn rules_402_405_after_a_restart_the_registration_is_renewed_with_its_ids() {
    let mut pair = Pair::registered();
    pair.vtn.received.clear();
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(
        kinds(&pair),
        [PayloadKind::CreatePartyRegistration, PayloadKind::RequestEvent, PayloadKind::Poll,]
    );
    assert_eq!(pair.vtn.registrations(), 1);
    assert_eq!(pair.store.registration.as_ref().unwrap().ven_id, "ven-1".into());
}

#[test]
fn after_a_restart_changed_reports_are_registered_again() {
    let mut pair = Pair::registered();
    pair.settings.offers[0].min_period = Span::MINUTE;
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 2);
    pair.settings =
        Settings { offers: vec![usage_offer()], register_reports_on_start: true, ..Settings::default() };
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 3);
    pair.restart();
    pair.run(Span::SECOND);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 4, "restart = register");
}

#[test]
fn the_vtn_may_ask_for_a_re_registration() {
    let mut pair = Pair::registered();
    pair.vtn.received.clear();
    pair.vtn.request_reregistration();
    pair.run(Span::from_seconds(12));
    assert_eq!(
        kinds(&pair)[..5],
        [
            PayloadKind::Poll,
            PayloadKind::Response,
            PayloadKind::CreatePartyRegistration,
            PayloadKind::RegisterReport,
            PayloadKind::RequestEvent,
        ]
    );
    assert_eq!(pair.vtn.registrations(), 1, "the ids stay");
    pair.assert_lawful();
}

/// A VTN that has lost its memory says so in one of several ways; the VEN is back without help.
#[test]
fn rule_406_a_vtn_that_forgot_us_gets_a_new_registration() {
    for unknown in [Unknown::RequestReregistration, Unknown::NotRegistered] {
        let mut pair = Pair::registered();
        pair.vtn.add_event(EventBuilder::new("old", pair.now() + Span::HOUR, Span::HOUR));
        pair.run(Span::MINUTE);
        pair.vtn.unknown = unknown;
        pair.vtn.forget_everything();
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.vtn.registered(), Some(&"ven-2".into()), "{unknown:?}");
        assert_eq!(pair.vtn.offered.len(), pair.settings.offers.len(), "the reports are offered anew");
        assert_eq!(pair.told, ["old end Unregistered"]);
        assert!(pair.store.events.is_empty(), "everything of the old registration is erased (rule 406)");
        assert_eq!(pair.store.registration.as_ref().unwrap().ven_id, "ven-2".into());
    }
}

/// Whatever belonged to the registration is erased, the answer is still given.
#[test]
fn rules_401_407_the_vtn_may_cancel_the_registration() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now(), Span::HOUR));
    pair.run(Span::from_seconds(15));
    pair.vtn.cancel_registration();
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.count(PayloadKind::CanceledPartyRegistration), 1);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end Unregistered"]);
    assert_eq!((pair.store.registration.as_ref(), pair.store.events.len()), (None, 0));
    let polls = pair.vtn.count(PayloadKind::Poll);
    pair.run(Span::MINUTE * 50);
    assert_eq!(pair.vtn.count(PayloadKind::Poll), polls, "an unregistered VEN does not poll");
    pair.run(Span::MINUTE * 20);
    assert_eq!(pair.vtn.registered(), Some(&"ven-2".into()), "it registers again after an hour (rule 401)");
    pair.assert_lawful();
}

#[test]
fn rule_400_a_cancellation_of_another_registration_is_refused() {
    let mut pair = Pair::registered();
    pair.vtn.queue(crate::openadr::message::CancelPartyRegistration {
        request_id: "r".into(),
        registration_id: "somebody's".into(),
        ven_id: None,
    });
    let registration_id = pair.store.registration.as_ref().unwrap().registration_id.clone();
    pair.vtn.queue(crate::openadr::message::CancelPartyRegistration {
        request_id: "s".into(),
        registration_id,
        ven_id: Some("VEN-1".into()),
    });
    pair.run(Span::from_seconds(12));
    let refused = (PayloadKind::CanceledPartyRegistration, ResponseCode::INVALID_ID);
    assert_eq!(pair.vtn.verdicts, [refused; 2]);
    assert!(pair.store.registration.is_some() && pair.vtn.registered().is_some());
    pair.assert_lawful();
}

#[test]
fn rules_21_400_a_re_registration_of_another_ven_is_refused() {
    let mut pair = Pair::registered();
    pair.vtn.queue(crate::openadr::message::RequestReregistration { ven_id: "VEN-1".into() });
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.verdicts, [(PayloadKind::Response, ResponseCode::INVALID_ID)]);
    assert_eq!(pair.vtn.count(PayloadKind::CreatePartyRegistration), 1);
}

/// A VTN that says yes without saying as whom has not registered anybody.
#[test]
fn rule_403_a_registration_without_ids_is_none() {
    let mut pair = Pair::new();
    pair.vtn.refuse = Some(ResponseCode::OK);
    pair.run(Span::from_seconds(30));
    assert_eq!((pair.store.registration.as_ref(), pair.vtn.count(PayloadKind::Poll)), (None, 0));
    pair.vtn.refuse = None;
    pair.run(Span::MINUTE * 3);
    assert!(pair.store.registration.is_some());
}

#[test]
fn rule_404_a_query_registers_nobody() {
    let mut pair = Pair::new();
    pair.vtn.stumbles_over = Some(PayloadKind::CreatePartyRegistration);
    pair.run(Span::MINUTE);
    assert_eq!(pair.vtn.count(PayloadKind::QueryRegistration), 1);
    assert_eq!((pair.store.registration.as_ref(), pair.vtn.registered()), (None, None));
}

#[test]
fn rule_405_an_unregistered_ven_hears_and_does_nothing() {
    let mut pair = Pair::registered();
    pair.vtn.cancel_registration();
    pair.run(Span::from_seconds(12));
    let sent = pair.vtn.received.len();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now(), Span::HOUR));
    pair.vtn.request_reports(vec![wish("r", &["power"], Span::ZERO, Span::ZERO, None)]);
    pair.run(Span::MINUTE * 50);
    assert_eq!(pair.vtn.received.len(), sent);
    assert!(pair.asked.is_empty() && pair.store.requests.is_empty());
}

/// Everything that a VEN says, it says as somebody; the mock VTN notes what has no venID.
#[test]
fn rule_508_every_message_has_a_ven_id() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::MINUTE, Span::HOUR));
    pair.vtn.request_reports(vec![wish("r", &["power"], Span::SECOND, Span::SECOND * 5, None)]);
    pair.run(Span::MINUTE);
    pair.vtn.cancel_reports(&["r"], false);
    pair.vtn.request_reregistration();
    pair.run(Span::MINUTE);
    pair.input(Input::Unregister);
    pair.run(Span::MINUTE);
    let kinds: std::collections::BTreeSet<_> = kinds(&pair).into_iter().collect();
    assert_eq!(kinds.len(), 11, "{kinds:?}");
    pair.assert_lawful();
}

#[test]
fn the_operator_may_end_the_registration() {
    let mut pair = Pair::registered();
    pair.input(Input::Unregister);
    pair.run(Span::DAY);
    assert_eq!(pair.vtn.registered(), None);
    assert_eq!(pair.store.registration, None);
    assert_eq!(
        pair.vtn.count(PayloadKind::CreatePartyRegistration),
        1,
        "it does not register again by itself"
    );
}

/// The answer to oadrCreatePartyRegistration is lost: the same request is sent again, and the VTN has made one orphan at most.
#[test]
fn a_lost_registration_answer_is_asked_for_again() {
    let mut pair = Pair::new();
    pair.vtn.faults.extend([Fault::LoseAnswer, Fault::LoseAnswer, Fault::LoseAnswer]);
    pair.run(Span::from_seconds(20));
    assert!(pair.vtn.registered().is_some());
    assert_eq!(pair.store.registration.as_ref().map(|r| &r.ven_id), pair.vtn.registered());
}
