//! Registration: subjects N0 and N1.

use crate::engine::tests::pair::{Mode, Pair};
use crate::engine::{Input, Settings, Snapshot};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{CancelPartyRegistration, PayloadKind, ResponseCode};
use crate::time::Span;

/// Longer than it takes until the VTN's next word is heard and answered.
const SOON: Span = Span::from_seconds(15);

/// What came, in its order, without the polls.
fn kinds(pair: &Pair) -> Vec<PayloadKind> {
    let kinds = pair.vtn.received.iter().map(|(_, kind)| *kind);
    kinds.filter(|kind| *kind != PayloadKind::Poll).collect()
}

/// The VEN has lost what it knew, the VTN has not.
fn forget(pair: &mut Pair) {
    pair.store = Snapshot::default();
    pair.vtn.received.clear();
    pair.restart();
    pair.run(SOON);
}

const BOOTSTRAP: [PayloadKind; 4] = [
    PayloadKind::QueryRegistration,
    PayloadKind::CreatePartyRegistration,
    PayloadKind::RegisterReport,
    PayloadKind::RequestEvent,
];

subject! {
    /// A VEN asks what the VTN can do, and nothing follows from that alone.
    fn n1_0010_query, n0_5010_query(mode) {
        let mut pair = Pair::in_mode(mode);
        pair.vtn.stumbles_over = Some(PayloadKind::CreatePartyRegistration);
        pair.run(Span::from_seconds(5));
        assert_eq!(kinds(&pair)[0], PayloadKind::QueryRegistration);
        assert_eq!(pair.vtn.count(PayloadKind::QueryRegistration), 1);
        assert_eq!((pair.vtn.registered(), pair.store.registration.as_ref()), (None, None));
        pair.assert_lawful();
    }
}

subject! {
    /// A VEN that the VTN knows asks all the same; what the VTN says of the poll interval holds.
    fn n1_0015_query_while_registered, n0_5015_query_while_registered(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.poll_freq = Span::from_seconds(30);
        forget(&mut pair);
        assert_eq!(kinds(&pair)[0], PayloadKind::QueryRegistration);
        let record = pair.store.registration.clone().unwrap();
        assert_eq!(Some(&record.ven_id), pair.vtn.registered());
        if mode == Mode::Pull {
            assert_eq!(record.poll_freq, Some(Span::from_seconds(30)));
            let before = pair.vtn.count(PayloadKind::Poll);
            pair.run(Span::MINUTE * 10);
            assert!((18..=20).contains(&(pair.vtn.count(PayloadKind::Poll) - before)));
        }
        pair.assert_lawful();
    }
}

subject! {
    /// The whole bootstrap: registration, metadata, events.
    fn n1_0020_bootstrap, n0_5020_bootstrap(mode) {
        let mut pair = Pair::in_mode(mode);
        pair.run(Span::from_seconds(5));
        assert_eq!(kinds(&pair), BOOTSTRAP);
        assert_eq!(pair.vtn.offered.len(), 3);
        pair.assert_lawful();
    }
}

subject! {
    /// The utility has told the VEN's id beforehand.
    fn n1_0025_preallocated_ven_id, n0_5025_preallocated_ven_id(mode) {
        let mut pair = Pair::in_mode(mode);
        pair.settings = Settings { ven_id: Some("theirs".into()), ..pair.settings.clone() };
        pair.restart();
        pair.run(Span::from_seconds(5));
        assert_eq!(pair.vtn.registered(), Some(&"theirs".into()));
        assert_eq!(pair.store.registration.as_ref().unwrap().ven_id, "theirs".into());
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN leaves; whatever belonged to the registration is gone on both sides.
    fn n1_0030_ven_cancels, n0_5030_ven_cancels(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(EventBuilder::new("e1", pair.now(), Span::HOUR));
        pair.run(SOON);
        pair.input(Input::Unregister);
        pair.run(SOON);
        assert_eq!(kinds(&pair).last(), Some(&PayloadKind::CancelPartyRegistration));
        assert_eq!((pair.vtn.registered(), pair.store.registration.as_ref()), (None, None));
        assert_eq!(pair.told.last().map(String::as_str), Some("e1 end Unregistered"));
        assert!(pair.store.events.is_empty());
        pair.assert_lawful();
    }
}

subject! {
    /// The VTN ends the registration; the VEN confirms and falls silent.
    fn n1_0040_vtn_cancels, n0_5040_vtn_cancels(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.cancel_registration();
        pair.run(SOON);
        assert_eq!(pair.vtn.registered(), None);
        assert_eq!(pair.store.registration, None);
        let sent = pair.vtn.received.len();
        pair.run(Span::MINUTE * 30);
        assert_eq!(pair.vtn.received.len(), sent);
        pair.assert_lawful();
    }
}

subject! {
    /// The VTN asks for a re-registration, and gets it with the ids that are known.
    fn n1_0050_vtn_asks_for_re_registration, n0_5050_vtn_asks_for_re_registration(mode) {
        let mut pair = Pair::registered_in(mode);
        let record = pair.store.registration.clone().unwrap();
        pair.vtn.request_reregistration();
        pair.run(SOON);
        assert_eq!(pair.vtn.count(PayloadKind::CreatePartyRegistration), 2);
        assert_eq!(pair.vtn.registrations(), 1);
        let now = pair.store.registration.clone().unwrap();
        assert_eq!((now.ven_id, now.registration_id), (record.ven_id, record.registration_id));
        pair.assert_lawful();
    }
}

subject! {
    /// A VEN that registers without ids while the VTN still knows it is new: everything begins anew.
    fn n1_0060_new_registration_while_registered, n0_5060_new_registration_while_registered(mode) {
        let mut pair = Pair::registered_in(mode);
        forget(&mut pair);
        assert_eq!(kinds(&pair), BOOTSTRAP);
        assert_eq!(pair.vtn.registrations(), 2);
        assert_eq!(pair.store.registration.as_ref().map(|record| &record.ven_id), pair.vtn.registered());
        pair.assert_lawful();
    }
}

subject! {
    /// A VEN whose own data have changed registers with both its ids, and goes on.
    fn n1_0065_re_registration, n0_5065_re_registration(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.received.clear();
        pair.settings = Settings { ven_name: Some("another name".into()), ..pair.settings.clone() };
        pair.restart();
        pair.run(SOON);
        assert_eq!(kinds(&pair)[0], PayloadKind::CreatePartyRegistration);
        assert_eq!(pair.vtn.registrations(), 1);
        assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 0, "metadata are not due again (rule 405)");
        pair.assert_lawful();
    }
}

subject! {
    /// A cancellation with a wrong registrationID is refused, the right one is taken.
    fn n1_0070_wrong_registration_id, n0_5070_wrong_registration_id(mode) {
        let mut pair = Pair::registered_in(mode);
        let (request_id, ven_id) = ("r".into(), pair.vtn.registered().cloned());
        let registration_id = "somebody's".into();
        pair.vtn.queue(CancelPartyRegistration { request_id, registration_id, ven_id });
        pair.run(SOON);
        assert!(pair.store.registration.is_some());
        if mode == Mode::Pull {
            let refused = (PayloadKind::CanceledPartyRegistration, ResponseCode::INVALID_ID);
            assert_eq!(pair.vtn.verdicts, [refused]);
        }
        pair.vtn.cancel_registration();
        pair.run(SOON);
        assert_eq!(pair.store.registration, None);
        if mode == Mode::Pull {
            assert_eq!(pair.vtn.verdicts[1], (PayloadKind::CanceledPartyRegistration, ResponseCode::OK));
        }
        pair.assert_lawful();
    }
}

subject! {
    /// Whatever the VTN has for a VEN that it has let go, the VEN stays silent.
    fn n1_0080_message_while_unregistered, n0_5080_message_while_unregistered(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.cancel_registration();
        pair.run(SOON);
        let sent = pair.vtn.received.len();
        pair.vtn.add_event(EventBuilder::new("e1", pair.now(), Span::HOUR));
        pair.run(Span::MINUTE * 30);
        assert_eq!(pair.vtn.received.len(), sent);
        assert!(pair.asked.is_empty() && pair.told.is_empty() && pair.store.events.is_empty());
    }
}
