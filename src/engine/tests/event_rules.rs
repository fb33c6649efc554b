//! Rules about events, each in a conversation.

use std::cell::Cell;
use std::rc::Rc;

use super::pair::{Pair, t};
use crate::engine::{Input, dice::Dice};
use crate::mock_vtn::{EventBuilder, Fault};
use crate::openadr::message::{
    CurrencyPer, DistributeEvent, Duration, EiResponse, EventStatus, Float, OptType, PayloadKind,
    RequestEvent, ResponseCode, SiScale, SignalName, SignalType, Unit,
};
use crate::time::Span;

/// An hour from one o'clock.
fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR)
}

/// A VEN that has just got this event.
fn with(event: EventBuilder) -> Pair {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event);
    pair.run(Span::from_seconds(12));
    pair
}

const WHOLE: [&str; 3] = ["e1 start", "e1 interval 0 = 1", "e1 end Completed"];

#[test]
fn rule_6_any_text_but_false_makes_a_test_event() {
    for (text, test) in [("true", true), ("false", false), ("False", true), ("no", true), ("", false)] {
        let seen = Rc::new(Cell::new(None));
        let mut pair = Pair::registered();
        let sees = seen.clone();
        pair.decide = Box::new(move |event, _| {
            sees.set(Some(event.descriptor.is_test()));
            Some(OptType::OptIn.into())
        });
        pair.vtn.add_event(event("e1").test(text));
        pair.run_to("2030-01-01T03:00:00Z");
        assert_eq!(seen.get(), Some(test), "{text:?}");
        assert_eq!(pair.opts(), ["e1 0 optIn"], "a test is answered and carried out like any other");
        assert_eq!(pair.told, WHOLE);
    }
}

#[test]
fn rule_23_a_ven_that_is_asked_for_events_has_none() {
    let mut pair = Pair::registered();
    let before = pair.vtn.received.len();
    pair.vtn.queue(RequestEvent { request_id: "r".into(), ven_id: "ven-1".into(), reply_limit: None });
    pair.run(Span::from_seconds(12));
    let sent: Vec<_> = pair.vtn.received[before..].iter().map(|(_, kind)| *kind).collect();
    assert!(
        !sent.contains(&PayloadKind::DistributeEvent) && !sent.contains(&PayloadKind::Response),
        "{sent:?}"
    );
    assert!(pair.notices.iter().any(|notice| notice.to_string().contains("is oadrRequestEvent")));
}

#[test]
fn rule_31_the_handler_is_told_as_the_ramp_up_begins() {
    let mut pair = with(event("e1").ramps(Span::MINUTE * 10, Span::MINUTE * 5));
    pair.run_to("2030-01-01T00:49:59Z");
    assert!(pair.told.is_empty());
    pair.run_to("2030-01-01T00:50:00Z");
    assert_eq!(pair.told, ["e1 near"]);
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.told[1..], WHOLE);
    let mut pair = with(event("e1").ramps(-Span::MINUTE * 10, -Span::MINUTE * 5));
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.told, WHOLE, "a ramp-up within the event begins with it");
}

/// The end of what never began is told to whoever was told that it was near.
#[test]
fn rule_31_an_event_that_is_opted_out_of_while_it_is_near_is_over() {
    let mut pair = with(event("e1").ramps(Span::MINUTE * 10, Span::ZERO));
    pair.run_to("2030-01-01T00:55:00Z");
    pair.input(Input::Opt { event: "e1".into(), opt: OptType::OptOut });
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.told, ["e1 near", "e1 end OptedOut"]);
}

#[test]
fn rule_31_a_notification_is_only_information() {
    let mut pair = with(event("e1").notification(Span::HOUR * 4));
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!((pair.opts(), pair.told), (vec!["e1 0 optIn".to_owned()], WHOLE.map(String::from).to_vec()));
}

#[test]
fn rule_36_a_confirmed_cancellation_is_answered_again_only_where_it_is_told_again() {
    let mut pair = with(event("e1"));
    pair.vtn.cancel_event("e1");
    pair.run(Span::MINUTE);
    let sent = pair.vtn.count(PayloadKind::CreatedEvent);
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"]);
    pair.vtn.add_event(event("e2"));
    pair.run(Span::MINUTE);
    assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), sent + 1);
    assert_eq!(pair.opts()[2..], ["e2 0 optIn"]);
    pair.vtn.add_event(event("e1").modification(1).status(EventStatus::Cancelled));
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts()[3..], ["e1 1 optIn", "e2 0 optIn"]);
    pair.assert_lawful();
}

/// The mock VTN notes every answer under another requestID than that of the last reception.
#[test]
fn rules_42_43_the_request_id_of_the_last_reception_is_repeated_unique_or_not() {
    for constant in [None, Some("the same".into())] {
        let mut pair = with(event("e1"));
        pair.vtn.constant_request_id = constant;
        for id in ["e2", "e3"] {
            pair.vtn.add_event(event(id));
            pair.run(Span::from_seconds(12));
        }
        pair.input(Input::Opt { event: "e1".into(), opt: OptType::OptOut });
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.opts().last().map(String::as_str), Some("e1 0 optOut"));
        assert_eq!(pair.opts().len(), 7);
        pair.assert_lawful();
    }
}

#[test]
fn rule_47_an_open_end_may_become_an_end_and_an_end_open() {
    let lasts = |event: &mut crate::openadr::message::OadrEvent, span| {
        event.event.active_period.duration = Duration::from_span(span);
        event.event.signals[0].intervals[0].duration = Some(Duration::from_span(span));
    };
    let mut pair = with(EventBuilder::new("e1", t("2030-01-01T01:00:00Z"), Span::ZERO));
    pair.run_to("2030-01-02T00:00:00Z");
    pair.vtn.modify_event("e1", |event| lasts(event, Span::HOUR * 24));
    pair.run_to("2030-01-02T00:30:00Z");
    pair.vtn.modify_event("e1", |event| lasts(event, Span::ZERO));
    pair.run_to("2030-01-03T00:00:00Z");
    pair.vtn.modify_event("e1", |event| lasts(event, Span::HOUR * 48));
    pair.run_to("2030-01-03T00:59:59Z");
    assert!(pair.told.iter().all(|told| !told.contains("end")), "{:?}", pair.told);
    pair.run_to("2030-01-03T01:00:00Z");
    assert_eq!(pair.told.last().map(String::as_str), Some("e1 end Completed"));
}

/// A VTN that does not know one of several answers gets them one by one, and one that it does not know at all is given up.
#[test]
fn rule_48_a_vtn_that_denies_one_of_several_answers_gets_them_one_by_one() {
    for code in [ResponseCode::OUT_OF_SEQUENCE, ResponseCode::INVALID_ID] {
        let mut pair = Pair::registered();
        for id in ["a", "b"] {
            pair.vtn.add_event(event(id));
        }
        // The poll passes, and the one that asks for more.
        pair.run_to_poll();
        pair.run_to_poll();
        pair.vtn.faults.extend([Fault::Deny(code), Fault::Deny(code)]);
        let before = pair.vtn.count(PayloadKind::CreatedEvent);
        pair.run(Span::from_seconds(5));
        assert!(pair.vtn.faults.is_empty());
        assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), before + 1, "together, a alone, b alone");
        assert_eq!(pair.opts(), ["b 0 optIn"]);
        assert!(
            pair.vtn.registered().is_some_and(|ven_id| ven_id.as_str() == "ven-1"),
            "452 is not about us"
        );
        pair.run(Span::MINUTE);
        assert_eq!(pair.opts(), ["b 0 optIn"], "a single answer that is denied is not repeated");
    }
}

#[test]
fn rule_56_an_unknown_event_is_new_whatever_its_number() {
    let pair = with(event("e1").modification(7));
    assert_eq!(pair.asked, ["e1 new"]);
    assert_eq!(pair.opts(), ["e1 7 optIn"]);
}

/// Only a picture says that an event is missing; that there is nothing to say does not, and an error neither.
#[test]
fn rule_61_an_empty_picture_cancels_everything_and_no_picture_nothing() {
    let mut pair = with(event("e1"));
    pair.vtn.add_event(event("e2"));
    pair.run_to("2030-01-01T00:30:00Z");
    let response = EiResponse::error(ResponseCode::COMPLIANCE_ERROR, "no", "".into());
    let (vtn_id, events) = (pair.vtn.vtn_id.clone(), Vec::new());
    pair.vtn.queue(DistributeEvent { response: Some(response), request_id: "r".into(), vtn_id, events });
    pair.run(Span::MINUTE);
    assert!(pair.told.is_empty(), "{:?}", pair.told);
    pair.vtn.drop_event("e1");
    pair.vtn.drop_event("e2");
    pair.run(Span::MINUTE);
    assert_eq!(pair.told, ["e1 end ImpliedCancelled", "e2 end ImpliedCancelled"]);
    pair.assert_lawful();
}

/// A list that a `replyLimit` has cut (rule 27) would look like cancellations, so none is ever asked for: with more events
/// than anybody would list at once, all come, and stay.
#[test]
fn rule_61_the_list_of_events_is_never_cut() {
    let mut pair = Pair::registered();
    for at in 0..200 {
        pair.vtn.add_event(event(&format!("e{at}")));
    }
    pair.run(Span::from_seconds(12));
    pair.restart();
    pair.run(Span::MINUTE);
    assert_eq!((pair.store.events.len(), pair.told.len()), (200, 0));
}

/// Explicit or implied, the stop of what runs is spread over `startafter`, and what has not begun is called off at once.
#[test]
fn rule_65_an_implied_cancellation_is_randomised_too() {
    let mut waited = 0;
    for seed in 0..10 {
        let mut pair = Pair::registered();
        pair.engine.dice = Dice::new(seed);
        let start = t("2030-01-01T01:00:00Z");
        pair.vtn.add_event(EventBuilder::new("e1", start, Span::HOUR * 3).start_after(Span::MINUTE * 10));
        pair.run_to("2030-01-01T02:00:00Z");
        pair.vtn.drop_event("e1");
        pair.run(Span::from_seconds(12));
        waited += usize::from(pair.told.len() == 2);
        pair.run(Span::MINUTE * 11);
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end ImpliedCancelled"]);
    }
    assert!(waited > 5, "it never waited");
    let mut pair = with(event("e1").start_after(Span::MINUTE * 10));
    pair.vtn.cancel_event("e1");
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.told, ["e1 end Cancelled"]);
}

/// While a stop is spread, the event goes on: its next interval is told, and it is never longer than it would have been.
#[test]
fn rule_65_an_event_runs_on_until_its_randomised_stop() {
    let (mut went_on, mut completed) = (false, false);
    for seed in 0..20 {
        let mut pair = Pair::registered();
        pair.engine.dice = Dice::new(seed);
        let steps = [(Span::MINUTE * 30, 1), (Span::MINUTE * 30, 2)];
        pair.vtn.add_event(event("e1").steps(steps).start_after(Span::MINUTE * 10));
        pair.run(Span::from_seconds(12));
        let offset = pair.store.events.values().next().unwrap().offset;
        // As the second interval is about to begin, or the event to end.
        pair.run_to(if seed % 2 == 0 { "2030-01-01T01:29:00Z" } else { "2030-01-01T01:59:00Z" });
        pair.run(offset);
        pair.vtn.cancel_event("e1");
        pair.run(Span::HOUR);
        went_on |= pair.told.get(2).is_some_and(|told| told == "e1 interval 1 = 2") && seed % 2 == 0;
        completed |= pair.told.last().is_some_and(|told| told == "e1 end Completed");
        assert!(pair.told.last().is_some_and(|told| told.starts_with("e1 end")));
    }
    assert!(went_on && completed);
}

#[test]
fn rule_66_completed_does_not_stop_an_event_that_started_later() {
    let mut tried = 0;
    for seed in 0..10 {
        let mut pair = Pair::registered();
        pair.engine.dice = Dice::new(seed);
        let moved = || event("e1").start_after(Span::MINUTE * 10);
        pair.vtn.add_event(moved());
        pair.run(Span::MINUTE);
        let offset = pair.store.events.values().next().unwrap().offset;
        if offset < Span::MINUTE {
            continue;
        }
        tried += 1;
        pair.run_to("2030-01-01T02:00:00Z");
        pair.vtn.add_event(moved().status(EventStatus::Completed));
        pair.run(offset - Span::from_millis(1));
        assert_eq!(pair.told, WHOLE[..2]);
        pair.run(Span::from_millis(1));
        assert_eq!(pair.told, WHOLE);
    }
    assert!(tried > 5);
}

/// Reading of the standard: a start in an interval is passed over; its place follows from the durations before it.
#[test]
fn rule_103_starts_of_intervals_are_not_looked_at() {
    let half = Span::MINUTE * 30;
    let mut told = event("e1").steps([(half, 1), (half, 2)]).build();
    told.event.signals[0].intervals[1].start = Some(t("2030-01-01T01:10:00Z"));
    let mut pair = Pair::registered();
    pair.vtn.add_event(told);
    pair.run_to("2030-01-01T01:29:59Z");
    assert_eq!(pair.told, WHOLE[..2]);
    pair.run_to("2030-01-01T01:30:00Z");
    assert_eq!(pair.told[2..], ["e1 interval 1 = 2"]);
}

#[test]
fn rules_106_108_signals_run_side_by_side_and_a_baseline_is_only_information() {
    let price = Unit::Currency(CurrencyPer::KWh, "EUR".into(), SiScale::None);
    let both = event("e1").and_signal(SignalName::ElectricityPrice, SignalType::Price, Some(price), 25);
    let mut pair = with(both.baseline(77));
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 interval 0 = 25", "e1 end Completed"]);
}

#[test]
fn rules_29_110_the_current_value_is_not_believed() {
    let mut lying = event("e1").build();
    lying.event.signals[0].current_value = Some(Float::from(3));
    let mut pair = Pair::registered();
    pair.vtn.add_event(lying);
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.told, WHOLE);
}

/// Of the status, only `cancelled` counts.
#[test]
fn rule_114_the_status_is_computed() {
    use EventStatus::{Active, Completed, Far, Near, None};
    for status in [None, Far, Near, Active, Completed] {
        let mut pair = with(event("e1").status(status));
        pair.run_to("2030-01-01T00:59:59Z");
        assert!(pair.told.is_empty(), "{status}");
        pair.run_to("2030-01-01T03:00:00Z");
        assert_eq!(pair.told, WHOLE, "{status}");
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
    }
}

/// What runs and is moved to a later time stops, and begins again.
#[test]
fn rule_57_a_running_event_that_is_moved_away_stops_until_then() {
    let mut pair = with(event("e1"));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.vtn.modify_event("e1", |event| event.event.active_period.start = t("2030-01-01T04:00:00Z"));
    pair.run_to("2030-01-01T06:00:00Z");
    assert_eq!(pair.told[..3], ["e1 start", "e1 interval 0 = 1", "e1 end Postponed"]);
    assert_eq!(pair.told[3..], WHOLE);
}
