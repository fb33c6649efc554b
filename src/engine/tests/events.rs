//! Events: decided once, answered each time, carried out on time.

use std::sync::Arc;

use super::pair::{Pair, t};
use crate::engine::{Input, Settings};
use crate::handler::{Change, Decision, DefaultOpt};
use crate::mock_vtn::{EventBuilder, Fault};
use crate::notice::{DecidedBy, Notice};
use crate::openadr::message::{
    Duration, EiEvent, EventStatus, Float, OptType, PayloadKind, ResponseCode, StreamPayload,
};
use crate::time::Span;

fn event(id: &str, start: &str, lasts: Span) -> EventBuilder {
    EventBuilder::new(id, t(start), lasts)
}

fn changed(pair: &Pair) -> Vec<&Notice> {
    pair.notices.iter().filter(|notice| matches!(notice, Notice::OptChanged { .. })).collect()
}

#[test]
fn rules_32_56_a_new_event_is_decided_answered_and_carried_out() {
    let mut pair = Pair::registered();
    let steps = [(Span::MINUTE * 30, 1), (Span::MINUTE * 30, 2)];
    pair.vtn.add_event(event("e1", "2030-01-01T12:00:00Z", Span::HOUR).steps(steps));
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
    assert_eq!(pair.told, [""; 0]);
    pair.run_to("2030-01-01T12:00:00Z");
    assert_eq!(
        pair.told,
        ["e1 start", "e1 interval 0 = 1"],
        "boundary instants belong to what begins (rule 18)"
    );
    pair.run_to("2030-01-01T12:45:00Z");
    assert_eq!(pair.told[2..], ["e1 interval 1 = 2"]);
    pair.run_to("2030-01-01T13:00:00Z");
    assert_eq!(pair.told[3..], ["e1 end Completed"]);
    pair.run(Span::DAY);
    assert_eq!((pair.asked.len(), pair.told.len(), pair.opts().len()), (1, 4, 1));
    pair.assert_lawful();
}

#[test]
fn an_event_that_is_opted_out_of_is_not_carried_out() {
    let mut pair = Pair::registered();
    pair.decide = Box::new(|_, _| Some(OptType::OptOut.into()));
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::HOUR * 4);
    assert_eq!(pair.opts(), ["e1 0 optOut"]);
    assert_eq!(pair.told, [""; 0]);
}

/// Always is answered on each reception, and always alike; never is not answered.
#[test]
fn rules_12_62_every_reception_is_answered_alike() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("a", "2030-01-01T12:00:00Z", Span::HOUR));
    pair.vtn.add_event(event("n", "2030-01-01T12:00:00Z", Span::HOUR).never_answered());
    pair.run(Span::from_seconds(12));
    for _ in 0..3 {
        pair.vtn.repeat_events();
        pair.run(Span::from_seconds(12));
    }
    assert_eq!(pair.opts(), ["a 0 optIn"; 4]);
    assert_eq!(pair.asked, ["a new", "n new"], "the handler is asked once");
    pair.run_to("2030-01-01T12:00:01Z");
    assert_eq!(pair.told.len(), 4, "an event that wants no answer is carried out too");
    pair.assert_lawful();
}

/// A higher number replaces; the handler sees what it was.
#[test]
fn rule_57_a_modified_event_is_decided_again() {
    let mut pair = Pair::registered();
    pair.decide = Box::new(|event: &Arc<EiEvent>, change: &Change| {
        if let Change::Modified { old } = change {
            assert_eq!((old.modification(), event.modification()), (0, 1));
            return Some(OptType::OptOut.into());
        }
        Some(OptType::OptIn.into())
    });
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.vtn.modify_event("e1", |e| {
        let longer = Duration::from_span(Span::HOUR * 2);
        e.event.active_period.duration = longer;
        e.event.signals[0].intervals[0].duration = Some(longer);
    });
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.asked, ["e1 new", "e1 modified"]);
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optOut"]);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end OptedOut"]);
    assert!(changed(&pair).is_empty(), "another version is another question");
}

#[test]
fn rule_57_a_running_event_that_is_modified_goes_on_with_its_new_values() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.vtn.modify_event("e1", |e| {
        let interval = &mut e.event.signals[0].intervals[0];
        interval.payloads =
            vec![StreamPayload::Signal(crate::openadr::message::PayloadBase::Float(Float::from(3)))];
    });
    pair.run_to("2030-01-01T03:00:00Z");
    let expected = ["e1 start", "e1 interval 0 = 1", "e1 interval 0 = 3", "e1 end Completed"];
    assert_eq!(pair.told, expected);
}

/// A cancellation is confirmed with optIn.
#[test]
fn rules_36_59_a_cancelled_event_stops_and_is_confirmed() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.vtn.add_event(event("e2", "2030-01-01T09:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.vtn.cancel_event("e1");
    pair.vtn.cancel_event("e2");
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end Cancelled", "e2 end Cancelled"]);
    assert_eq!(pair.opts()[2..], ["e1 1 optIn", "e2 1 optIn"]);
    pair.run(Span::DAY);
    pair.vtn.repeat_events();
    pair.run(Span::MINUTE);
    assert!(pair.store.events.is_empty());
    pair.assert_lawful();
}

/// No error for an unknown event that is cancelled, but a confirmation.
#[test]
fn rules_21_60_an_unknown_cancelled_event_is_confirmed_and_nothing_else() {
    let mut pair = Pair::registered();
    let mut unknown = event("x", "2030-01-01T01:00:00Z", Span::HOUR).build();
    unknown.event.descriptor.status = EventStatus::Cancelled;
    unknown.event.descriptor.modification_number = 3;
    pair.vtn.add_event(unknown);
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts(), ["x 3 optIn"]);
    assert!(pair.asked.is_empty() && pair.told.is_empty() && pair.store.events.is_empty());
}

/// A VTN that drops an event from its picture has cancelled it; no answer is due.
#[test]
fn rule_61_event_missing_from_the_picture_is_implied_cancelled() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:10:00Z");
    pair.vtn.drop_event("e1");
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end ImpliedCancelled"]);
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
    assert!(pair.store.events.is_empty());
}

/// A lower modification number is refused with 450, whatever else it says, and changes nothing.
#[test]
fn rule_58_a_modification_number_never_goes_down() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.vtn.modify_event("e1", |_| {});
    pair.vtn.modify_event("e1", |_| {});
    pair.run(Span::from_seconds(12));
    pair.vtn.modify_event("e1", |e| e.event.descriptor.modification_number = 0);
    pair.run(Span::from_seconds(12));
    let mut cancelled = event("e1", "2030-01-01T01:00:00Z", Span::HOUR).build();
    cancelled.event.descriptor.status = EventStatus::Cancelled;
    pair.vtn.add_event(cancelled);
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts(), ["e1 2 optIn", "e1 1 optOut 450", "e1 0 optOut 450"]);
    pair.run_to("2030-01-01T01:00:01Z");
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1"]);
}

/// Bad events are refused one by one, the good ones are taken.
#[test]
fn rules_19_48_a_bad_event_does_not_hurt_its_neighbours() {
    let mut pair = Pair::registered();
    pair.engine.settings.market_contexts = vec!["http://markets.example.org/dr".into()];
    let at = "2030-01-01T01:00:00Z";
    pair.vtn.add_event(event("foreign", at, Span::HOUR).market_context("http://elsewhere.example.org/"));
    pair.vtn.add_event(event("good", at, Span::HOUR));
    let nan: Float = "NaN".parse().unwrap();
    pair.vtn.add_event(event("nan", at, Span::HOUR).steps([(Span::HOUR, nan)]));
    let mut empty = event("none", at, Span::HOUR).build();
    empty.event.signals[0].intervals[0].payloads.clear();
    pair.vtn.add_event(empty);
    pair.run(Span::from_seconds(12));
    assert_eq!(
        pair.opts(),
        ["foreign 0 optOut 462", "nan 0 optOut 454", "none 0 optOut 459", "good 0 optIn"]
    );
    assert_eq!(pair.asked, ["good new"]);
}

/// Case counts in ids; a message of another VTN is refused as a whole.
#[test]
fn rules_21_35_512_a_picture_of_another_vtn_is_refused() {
    let mut pair = Pair::registered();
    pair.vtn.vtn_id = "VTN-1".into();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), 1);
    assert!(pair.opts().is_empty() && pair.asked.is_empty());
}

#[test]
fn a_handler_that_never_returns_gets_the_default_and_nobody_waits() {
    let mut pair = Pair::registered();
    pair.decide = Box::new(|event: &Arc<EiEvent>, _: &Change| {
        (event.id().as_str() != "hang").then(|| OptType::OptIn.into())
    });
    pair.vtn.poll_freq = Span::SECOND;
    pair.vtn.add_event(event("hang", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.vtn.add_event(event("quick", "2030-01-01T01:00:00Z", Span::HOUR));
    let polls = pair.vtn.count(PayloadKind::Poll);
    pair.run(Span::from_seconds(20));
    assert_eq!(pair.opts(), ["hang 0 optOut", "quick 0 optIn"]);
    assert!(pair.vtn.count(PayloadKind::Poll) > polls + 1);
}

#[test]
fn a_handler_that_is_late_changes_the_answer_and_the_change_is_told() {
    let mut pair = Pair::registered();
    pair.decide_after = Span::from_seconds(5);
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::from_seconds(30));
    assert_eq!(pair.opts(), ["e1 0 optOut", "e1 0 optIn"]);
    let expected = Notice::OptChanged {
        event_id: "e1".into(),
        modification: 0,
        from: OptType::OptOut,
        to: OptType::OptIn,
        by: DecidedBy::Handler,
        reason: None,
    };
    assert_eq!(changed(&pair), [&expected]);
}

#[test]
fn a_person_is_awaited_with_the_default_in_force() {
    let mut pair = Pair::registered();
    let until = t("2030-01-01T00:30:00Z");
    pair.decide = Box::new(move |_, _| Some(Decision::Pending { until, default: OptType::OptOut }));
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::MINUTE);
    pair.input(Input::Opt { event: "e1".into(), opt: OptType::OptIn });
    pair.run(Span::HOUR * 3);
    assert_eq!(pair.opts(), ["e1 0 optOut", "e1 0 optIn"]);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end Completed"]);
    assert_eq!(changed(&pair).len(), 1);
}

#[test]
fn a_handler_may_refuse_with_a_code_and_the_code_stays() {
    let mut pair = Pair::registered();
    pair.decide =
        Box::new(|_, _| Some(Decision::Reject(ResponseCode::SIGNAL_NOT_SUPPORTED, "no such device".into())));
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::from_seconds(12));
    pair.vtn.repeat_events();
    pair.restart();
    pair.run(Span::from_seconds(12));
    assert!(
        pair.opts().len() >= 2 && pair.opts().iter().all(|opt| opt == "e1 0 optOut 460"),
        "{:?}",
        pair.opts()
    );
    assert_eq!(pair.asked.len(), 1);
}

/// Start and end move together, and a modification does not draw another offset.
#[test]
fn rule_30_the_start_is_randomised_once_and_the_end_moves_with_it() {
    let mut starts = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut pair = Pair::registered();
        pair.engine.dice = crate::engine::dice::Dice::new(seed);
        pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR).start_after(Span::MINUTE * 10));
        pair.run(Span::MINUTE);
        pair.vtn.modify_event("e1", |e| e.event.descriptor.priority = Some(1));
        let offset = pair.store.events.values().next().unwrap().offset;
        assert!(offset >= Span::ZERO && offset <= Span::MINUTE * 10);
        starts.insert(offset);
        pair.run_to("2030-01-01T01:00:00Z");
        pair.run(offset - Span::from_millis(1));
        assert!(pair.told.is_empty(), "{offset}");
        pair.run(Span::from_millis(1));
        assert_eq!(pair.told.len(), 2);
        pair.run(Span::HOUR);
        assert_eq!(pair.told[2..], ["e1 end Completed"]);
        assert_eq!(pair.store.events.values().next().unwrap().offset, offset, "modified and kept");
    }
    assert!(starts.len() > 15, "the dice are loaded");
}

#[test]
fn rule_65_a_running_randomised_event_that_is_cancelled_stops_within_its_tolerance() {
    let mut stops = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let mut pair = Pair::registered();
        pair.engine.dice = crate::engine::dice::Dice::new(seed);
        pair.vtn
            .add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR * 3).start_after(Span::MINUTE * 10));
        pair.run_to("2030-01-01T02:00:00Z");
        pair.vtn.cancel_event("e1");
        pair.run(Span::from_seconds(12));
        stops.insert(pair.told.len());
        pair.run(Span::MINUTE * 11);
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end Cancelled"]);
    }
    assert!(stops.contains(&2), "it never waited");
}

/// No end until it is cancelled.
#[test]
fn rule_47_an_open_ended_event_runs_until_it_is_called_off() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::ZERO).level(2));
    pair.run(Span::DAY * 3);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 2"]);
    pair.vtn.cancel_event("e1");
    pair.run(Span::MINUTE);
    assert_eq!(pair.told[2..], ["e1 end Cancelled"]);
}

#[test]
fn rule_33_an_event_that_comes_late_is_carried_out_from_where_it_is() {
    let mut pair = Pair::registered();
    pair.run_to("2030-01-01T02:00:00Z");
    let steps = [(Span::MINUTE * 30, 1), (Span::MINUTE * 30, 2), (Span::MINUTE * 30, 3)];
    pair.vtn.add_event(event("e1", "2030-01-01T01:15:00Z", Span::MINUTE * 90).steps(steps));
    pair.vtn.add_event(event("past", "2030-01-01T00:00:00Z", Span::HOUR));
    pair.run(Span::HOUR * 2);
    assert_eq!(pair.told, ["e1 start", "e1 interval 1 = 2", "e1 interval 2 = 3", "e1 end Completed"]);
    assert_eq!(pair.opts(), ["e1 0 optIn", "past 0 optIn"]);
}

/// After a restart the running interval is told again, marked, and nothing is asked or answered differently.
#[test]
fn a_restart_resumes_what_runs() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.decide = Box::new(|_, _| Some(OptType::OptOut.into()));
    pair.restart();
    pair.run_to("2030-01-01T03:00:00Z");
    let expected = ["e1 start", "e1 interval 0 = 1", "e1 interval 0 = 1 resumed", "e1 end Completed"];
    assert_eq!(pair.told, expected);
    assert_eq!(pair.asked, ["e1 new"]);
    assert_eq!(
        pair.opts(),
        ["e1 0 optIn", "e1 0 optIn"],
        "the VEN asks for the events after a start and answers again"
    );
}

#[test]
fn an_event_that_ended_while_we_were_dead_is_ended() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.set_clock(t("2030-01-01T05:00:00Z"));
    pair.restart();
    pair.run(Span::MINUTE);
    assert_eq!(pair.told[2..], ["e1 end Completed"]);
}

/// Callbacks come at least once: what the handler had not finished hearing is told again.
#[test]
fn what_the_handler_did_not_hear_out_is_told_again() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.handler_returns = false;
    pair.run_to("2030-01-01T01:30:00Z");
    pair.restart();
    pair.run_to("2030-01-01T02:30:00Z");
    pair.handler_returns = true;
    pair.restart();
    pair.run(Span::MINUTE);
    pair.restart();
    pair.run(Span::MINUTE);
    let (start, interval, end) = ("e1 start", "e1 interval 0 = 1", "e1 end Completed");
    assert_eq!(pair.told, [start, interval, start, interval, end, end]);
}

/// The wall clock is set: events follow it, polling does not notice.
#[test]
fn a_clock_step_moves_events_and_nothing_else() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::MINUTE);
    let polls = pair.vtn.count(PayloadKind::Poll);
    pair.set_clock(t("2030-01-01T01:30:00Z"));
    pair.run(Span::MINUTE);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1"]);
    pair.set_clock(t("2029-12-31T00:00:00Z"));
    pair.run(Span::MINUTE);
    assert!((10..13).contains(&(pair.vtn.count(PayloadKind::Poll) - polls)));
}

/// A VTN that refuses several answers at once gets them one by one.
#[test]
fn rule_48_a_grouped_answer_that_is_refused_is_sent_one_by_one() {
    let mut pair = Pair::registered();
    for id in ["a", "b", "c"] {
        pair.vtn.add_event(event(id, "2030-01-01T12:00:00Z", Span::HOUR));
    }
    // The poll passes, and the one that asks for more; the answer to the events meets the fault.
    pair.run_to_poll();
    pair.run_to_poll();
    pair.vtn.faults.push_back(Fault::Status(406, None));
    pair.run(Span::MINUTE);
    assert!(pair.vtn.count(PayloadKind::CreatedEvent) >= 1);
    assert!(
        ["a 0 optIn", "b 0 optIn", "c 0 optIn"].iter().all(|opt| pair.opts().contains(&(*opt).to_owned()))
    );
}

/// OpenLEADR distributes an event that is over once more as completed, forgets it, and then answers 500 to every message with an
/// answer about it.
#[test]
fn an_answer_that_the_vtn_stumbles_over_does_not_hold_up_others() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("a-over", "2030-01-01T00:01:00Z", Span::MINUTE));
    pair.run(Span::MINUTE * 5);
    pair.vtn.stumbles_over_event = Some("a-over".into());
    for id in ["new", "newer"] {
        pair.vtn.add_event(event(id, "2030-01-01T12:00:00Z", Span::HOUR));
        pair.run(Span::from_seconds(15));
        assert_eq!(pair.opts().last().map(String::as_str), Some(&*format!("{id} 0 optIn")));
    }
    let sent = pair.vtn.count(PayloadKind::CreatedEvent);
    pair.run(Span::HOUR);
    assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), sent, "it is repeated in vain");
}

#[test]
fn default_may_be_opt_in() {
    let default_opt = DefaultOpt::Always(OptType::OptIn);
    let mut pair = Pair::with(Settings { default_opt, ..Settings::default() });
    pair.run(Span::SECOND);
    pair.decide = Box::new(|_, _| None);
    pair.vtn.add_event(event("e1", "2030-01-01T01:00:00Z", Span::HOUR));
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
}

/// A handler that fails, or does not answer, when an event is changed breaks no promise and makes none.
#[test]
fn default_may_be_what_was_answered_last() {
    for silent in [false, true] {
        let mut pair = Pair::with(Settings { default_opt: DefaultOpt::Last, ..Settings::default() });
        pair.run(Span::SECOND);
        pair.vtn.add_event(event("e1", "2030-01-01T12:00:00Z", Span::HOUR));
        pair.run(Span::MINUTE);
        let undecided = || Decision::Undecided("it is ill".to_owned());
        let change = |pair: &mut Pair, priority| {
            pair.vtn.modify_event("e1", |e| e.event.descriptor.priority = Some(priority));
            pair.run(Span::MINUTE);
        };
        pair.decide = Box::new(move |_, _| (!silent).then(undecided));
        pair.restart();
        change(&mut pair, 1);
        pair.vtn.add_event(event("e2", "2030-01-01T12:00:00Z", Span::HOUR));
        pair.run(Span::MINUTE);
        // A picture has all events, and all of it is answered.
        let opts = |pair: &Pair| {
            pair.opts().into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(opts(&pair), ["e1 0 optIn", "e1 1 optIn", "e2 0 optOut"]);
        pair.decide = Box::new(|_, _| Some(OptType::OptOut.into()));
        change(&mut pair, 2);
        pair.decide = Box::new(move |_, _| (!silent).then(undecided));
        change(&mut pair, 3);
        assert_eq!(opts(&pair)[2..], ["e1 2 optOut", "e1 3 optOut", "e2 0 optOut"]);
    }
}
