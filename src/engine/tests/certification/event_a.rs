//! Events as profile 2.0a had them already: subjects `A_E0` and `A_E1`, what is answered.
//!
//! Of the numbers 0082 to 0104 it is known that they are the states of an event in both its versions, answered always or never;
//! which number is which is not, so each state has a subject of its own. What is carried out is in `execution_a.rs`.

use crate::engine::tests::pair::{Mode, Pair, t};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{
    CurrencyPer, EiTarget, EventStatus, PayloadKind, ResponseCode, SiScale, SignalName, SignalType, Unit,
};
use crate::time::Span;

/// Longer than it takes until the VTN's next word is heard and answered.
const SOON: Span = Span::from_seconds(15);

/// An hour from one o'clock.
fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR)
}

/// What is answered to these events.
fn answers(mode: Mode, events: impl IntoIterator<Item = EventBuilder>) -> Vec<String> {
    let mut pair = Pair::registered_in(mode);
    pair.engine.settings.resources = vec!["boiler".into()];
    pair.engine.settings.groups = vec!["north".into()];
    events.into_iter().for_each(|event| pair.vtn.add_event(event));
    pair.run(SOON);
    pair.assert_lawful();
    pair.opts()
}

subject! {
    /// No events.
    fn a_e1_0020_no_events, a_e0_0020_no_events(mode) {
        assert_eq!(answers(mode, []), [""; 0]);
    }
}

subject! {
    /// A day of prices, hour by hour.
    fn a_e1_0040_twenty_four_prices, a_e0_0040_twenty_four_prices(mode) {
        let mut pair = Pair::registered_in(mode);
        let price = Unit::Currency(CurrencyPer::KWh, "EUR".into(), SiScale::None);
        let day = EventBuilder::new("e1", t("2030-01-02T00:00:00Z"), Span::DAY);
        let day = day.signal(SignalName::ElectricityPrice, SignalType::Price, Some(price));
        pair.vtn.add_event(day.steps((0..24).map(|hour| (Span::HOUR, hour * 3))));
        pair.run_to("2030-01-03T01:00:00Z");
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
        let expected = (0..24).map(|hour| format!("e1 interval {hour} = {}", hour * 3));
        assert_eq!(pair.told[1..25], expected.collect::<Vec<_>>());
        assert_eq!((pair.told.len(), &*pair.told[25]), (26, "e1 end Completed"));
    }
}

subject! {
    /// Everything in an event that may be left out, and nothing of it.
    fn a_e1_0060_optional_elements, a_e0_0060_optional_elements(mode) {
        let full = event("full").priority(3).test("false").start_after(Span::MINUTE).notification(Span::HOUR);
        let mut full = full.ramps(Span::MINUTE, Span::MINUTE).baseline(1).build();
        full.event.descriptor.vtn_comment = Some("for people".into());
        full.event.descriptor.modification_reason = Some("none".into());
        full.event.descriptor.modification_date_time = Some(t("2030-01-01T00:00:00Z"));
        let mut bare = event("bare").build();
        bare.event.active_period.notification = None;
        bare.event.signals[0].current_value = None;
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(full);
        pair.vtn.add_event(bare);
        pair.run(SOON);
        assert_eq!(pair.opts(), ["bare 0 optIn", "full 0 optIn"]);
        pair.assert_lawful();
    }
}

subject! {
    /// Each way of naming the VEN.
    fn a_e1_0070_targets, a_e0_0070_targets(mode) {
        let none = EiTarget::default;
        let targets = [
            none(),
            EiTarget::ven("ven-1".into()),
            EiTarget::resource("boiler".into()),
            EiTarget { group_ids: vec!["north".into()], ..none() },
            EiTarget { resource_ids: vec!["fridge".into(), "boiler".into()], ..none() },
            EiTarget { party_ids: vec!["them".into()], ..EiTarget::ven("ven-1".into()) },
        ];
        let events = targets.into_iter().enumerate();
        let opts = answers(mode, events.map(|(at, target)| event(&format!("e{at}")).target(target)));
        assert_eq!(opts, (0..6).map(|at| format!("e{at} 0 optIn")).collect::<Vec<_>>());
    }
}

/// Where an event is when it comes.
#[derive(Clone, Copy)]
struct State {
    active: bool,
    cancelled: bool,
}

const PENDING: State = State { active: false, cancelled: false };
const ACTIVE: State = State { active: true, cancelled: false };
const CANCELLED_PENDING: State = State { active: false, cancelled: true };
const CANCELLED_ACTIVE: State = State { active: true, cancelled: true };

/// An event comes in that state, in its first version or the next, and wants an answer or not.
fn state(mode: Mode, state: State, modified: bool, always: bool) {
    let mut pair = Pair::registered_in(mode);
    let begins = if state.active { pair.now() - Span::MINUTE } else { pair.now() + Span::HOUR };
    let event = EventBuilder::new("e1", begins, Span::HOUR * 2);
    pair.vtn.add_event(if always { event } else { event.never_answered() });
    pair.run(SOON);
    if modified {
        pair.vtn.modify_event("e1", |event| event.event.descriptor.vtn_comment = Some("changed".into()));
        pair.run(SOON);
    }
    if state.cancelled {
        pair.vtn.cancel_event("e1");
        pair.run(SOON);
    }
    let versions = 1 + usize::from(modified) + usize::from(state.cancelled);
    let opts: Vec<_> = (0..versions).map(|version| format!("e1 {version} optIn")).collect();
    assert_eq!(pair.opts(), if always { opts } else { Vec::new() });
    assert_eq!(pair.asked.len(), 1 + usize::from(modified), "a cancellation is no question");
    assert_eq!(pair.told.iter().any(|told| told == "e1 start"), state.active);
    assert_eq!(pair.told.iter().any(|told| told == "e1 end Cancelled"), state.cancelled);
    pair.run(Span::HOUR * 4);
    let ends = pair.told.iter().filter(|told| told.contains("end")).count();
    assert_eq!(ends, 1, "{:?}", pair.told);
    pair.assert_lawful();
}

subject! {
    fn a_e1_0082_to_0104_pending_0_always, a_e0_0082_to_0104_pending_0_always(mode) {
        state(mode, PENDING, false, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_pending_0_never, a_e0_0082_to_0104_pending_0_never(mode) {
        state(mode, PENDING, false, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_pending_1_always, a_e0_0082_to_0104_pending_1_always(mode) {
        state(mode, PENDING, true, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_pending_1_never, a_e0_0082_to_0104_pending_1_never(mode) {
        state(mode, PENDING, true, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_active_0_always, a_e0_0082_to_0104_active_0_always(mode) {
        state(mode, ACTIVE, false, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_active_0_never, a_e0_0082_to_0104_active_0_never(mode) {
        state(mode, ACTIVE, false, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_active_1_always, a_e0_0082_to_0104_active_1_always(mode) {
        state(mode, ACTIVE, true, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_active_1_never, a_e0_0082_to_0104_active_1_never(mode) {
        state(mode, ACTIVE, true, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_pending_0_always, a_e0_0082_to_0104_cancelled_pending_0_always(mode) {
        state(mode, CANCELLED_PENDING, false, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_pending_0_never, a_e0_0082_to_0104_cancelled_pending_0_never(mode) {
        state(mode, CANCELLED_PENDING, false, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_pending_1_always, a_e0_0082_to_0104_cancelled_pending_1_always(mode) {
        state(mode, CANCELLED_PENDING, true, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_pending_1_never, a_e0_0082_to_0104_cancelled_pending_1_never(mode) {
        state(mode, CANCELLED_PENDING, true, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_active_0_always, a_e0_0082_to_0104_cancelled_active_0_always(mode) {
        state(mode, CANCELLED_ACTIVE, false, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_active_0_never, a_e0_0082_to_0104_cancelled_active_0_never(mode) {
        state(mode, CANCELLED_ACTIVE, false, false);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_active_1_always, a_e0_0082_to_0104_cancelled_active_1_always(mode) {
        state(mode, CANCELLED_ACTIVE, true, true);
    }
}

subject! {
    fn a_e1_0082_to_0104_cancelled_active_1_never, a_e0_0082_to_0104_cancelled_active_1_never(mode) {
        state(mode, CANCELLED_ACTIVE, true, false);
    }
}

subject! {
    /// An event that is not known is new, whatever its number.
    fn a_e1_0110_new_with_a_number, a_e0_0110_new_with_a_number(mode) {
        assert_eq!(answers(mode, [event("e1").modification(4)]), ["e1 4 optIn"]);
    }
}

subject! {
    /// A test is answered like any other event.
    fn a_e1_0130_test_event, a_e0_0130_test_event(mode) {
        assert_eq!(answers(mode, [event("e1").test("true")]), ["e1 0 optIn"]);
    }
}

subject! {
    /// A new event, a modified one and a cancelled one in one message.
    fn a_e1_0180_new_modified_cancelled, a_e0_0180_new_modified_cancelled(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(event("b"));
        pair.vtn.add_event(event("c"));
        pair.run(SOON);
        pair.vtn.add_event(event("a"));
        pair.vtn.modify_event("b", |event| event.event.descriptor.priority = Some(1));
        pair.vtn.cancel_event("c");
        pair.run(SOON);
        let mut opts = pair.opts()[2..].to_vec();
        opts.sort();
        opts.dedup();
        assert_eq!(opts, ["a 0 optIn", "b 1 optIn", "c 1 optIn"]);
        assert_eq!(pair.told, ["c end Cancelled"]);
        pair.assert_lawful();
    }
}

subject! {
    /// Of several events, those are answered that want it, each time.
    fn a_e1_0185_answers, a_e0_0185_answers(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(event("a"));
        pair.vtn.add_event(event("b").never_answered());
        pair.vtn.add_event(event("c"));
        for _ in 0..3 {
            pair.vtn.repeat_events();
            pair.run(SOON);
        }
        assert_eq!(pair.opts(), ["a 0 optIn", "c 0 optIn"].repeat(3));
        assert_eq!(pair.asked.len(), 3);
        pair.assert_lawful();
    }
}

subject! {
    /// A VTN whose messages all have the same requestID.
    fn a_e1_0190_constant_request_id, a_e0_0190_constant_request_id(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.constant_request_id = Some("always the same".into());
        pair.vtn.add_event(event("e1"));
        pair.run(SOON);
        pair.vtn.modify_event("e1", |event| event.event.descriptor.priority = Some(1));
        pair.run(SOON);
        pair.vtn.cancel_event("e1");
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn", "e1 2 optIn"]);
        pair.assert_lawful();
    }
}

subject! {
    /// The least and the most that an event may say.
    fn a_e1_0200_limit_values, a_e0_0200_limit_values(mode) {
        let long = "e".repeat(1000);
        let start = t("2030-01-01T01:00:00Z");
        let events = [
            event("a").level(0).priority(0),
            event("b").level(3).priority(u32::MAX).modification(u32::MAX),
            EventBuilder::new("c", start, Span::SECOND),
            EventBuilder::new("d", start, Span::DAY * 3650).level(1),
            event(&long).start_after(Span::DAY),
        ];
        let expected = ["a 0 optIn", "b 4294967295 optIn", "c 0 optIn", "d 0 optIn", &format!("{long} 0 optIn")];
        assert_eq!(answers(mode, events), expected);
    }
}

subject! {
    /// An event for somebody else.
    fn a_e1_0300_foreign_target, a_e0_0300_foreign_target(mode) {
        let foreign = event("e1").target(EiTarget::ven("another".into()));
        assert_eq!(answers(mode, [foreign]), ["e1 0 optOut 462"]);
    }
}

subject! {
    /// An event without the values that it should have.
    fn a_e1_0310_application_error, a_e0_0310_application_error(mode) {
        let mut empty = event("e1").build();
        empty.event.signals[0].intervals[0].payloads.clear();
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(empty);
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 0 optOut 459"]);
        assert!(pair.asked.is_empty());
        pair.assert_lawful();
    }
}

subject! {
    /// An event of a programme that the VEN does not take part in.
    fn a_e1_0325_foreign_market_context, a_e0_0325_foreign_market_context(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.engine.settings.market_contexts = vec!["http://markets.example.org/dr".into()];
        pair.vtn.add_event(event("e1").market_context("http://elsewhere.example.org/"));
        pair.vtn.add_event(event("e2"));
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 0 optOut 462", "e2 0 optIn"]);
        pair.assert_lawful();
    }
}

subject! {
    /// A cancellation of what is not known is no error.
    fn a_e1_0345_unknown_cancelled, a_e0_0345_unknown_cancelled(mode) {
        let unknown = event("e1").modification(1).status(EventStatus::Cancelled);
        assert_eq!(answers(mode, [unknown]), ["e1 1 optIn"]);
    }
}

subject! {
    /// Of valid and invalid events, the valid ones are taken.
    fn a_e1_0360_valid_and_invalid, a_e0_0360_valid_and_invalid(mode) {
        let events = [event("bad").level(7), event("good"), event("theirs").target(EiTarget::resource("x".into()))];
        assert_eq!(answers(mode, events), ["bad 0 optOut 454", "theirs 0 optOut 462", "good 0 optIn"]);
    }
}

subject! {
    /// A message of a VTN that the VEN is not registered at.
    fn a_e1_0390_unknown_vtn_id, a_e0_0390_unknown_vtn_id(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.vtn_id = "somebody".into();
        pair.vtn.add_event(event("e1"));
        pair.run(SOON);
        assert_eq!(pair.vtn.verdicts, [(PayloadKind::CreatedEvent, ResponseCode::INVALID_ID)]);
        assert!(pair.opts().is_empty() && pair.asked.is_empty());
        pair.assert_lawful();
    }
}

subject! {
    /// A number lower than the one that is known.
    fn a_e1_0392_lower_number, a_e0_0392_lower_number(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(event("e1").modification(2));
        pair.run(SOON);
        pair.vtn.add_event(event("e1").modification(1));
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 2 optIn", "e1 1 optOut 450"]);
        pair.assert_lawful();
    }
}
