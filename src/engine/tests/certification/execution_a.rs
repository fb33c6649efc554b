//! Events as profile 2.0a had them already: subjects `A_E0` and `A_E1`, what is carried out.

use crate::engine::Input;
use crate::engine::dice::Dice;
use crate::engine::tests::pair::{Mode, Pair, t};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{
    Decimal, Duration, Float, OadrEvent, OptType, PayloadBase, PowerAttributes, PowerKind, SiScale,
    SignalName, SignalType, StreamPayload, Unit,
};
use crate::time::Span;

/// Longer than it takes until the VTN's next word is heard and answered.
const SOON: Span = Span::from_seconds(15);

const WHOLE: [&str; 3] = ["e1 start", "e1 interval 0 = 1", "e1 end Completed"];

/// An hour from one o'clock.
fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR)
}

fn with(mode: Mode, event: EventBuilder) -> Pair {
    let mut pair = Pair::registered_in(mode);
    pair.vtn.add_event(event);
    pair.run(SOON);
    pair
}

fn set_level(event: &mut OadrEvent, level: i64) {
    event.event.signals[0].intervals[0].payloads =
        vec![StreamPayload::Signal(PayloadBase::Float(Float::from(level)))];
}

subject! {
    /// An event is carried out as it says.
    fn a_e1_0210_simple_event, a_e0_0210_simple_event(mode) {
        let mut pair = with(mode, event("e1"));
        pair.run_to("2030-01-01T00:59:59Z");
        assert!(pair.told.is_empty());
        pair.run_to("2030-01-01T01:00:00Z");
        assert_eq!(pair.told, WHOLE[..2]);
        pair.run_to("2030-01-01T02:00:00Z");
        assert_eq!(pair.told, WHOLE);
    }
}

subject! {
    /// An event that has not begun is modified.
    fn a_e1_0220_modify_pending, a_e0_0220_modify_pending(mode) {
        let mut pair = with(mode, event("e1"));
        pair.vtn.modify_event("e1", |event| {
            event.event.active_period.start = t("2030-01-01T02:00:00Z");
            set_level(event, 2);
        });
        pair.run_to("2030-01-01T01:59:59Z");
        assert!(pair.told.is_empty());
        pair.run_to("2030-01-01T03:00:00Z");
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 2", "e1 end Completed"]);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"]);
    }
}

subject! {
    /// An event that runs is modified: another level, and half an hour more.
    fn a_e1_0230_modify_active, a_e0_0230_modify_active(mode) {
        let mut pair = with(mode, event("e1"));
        pair.run_to("2030-01-01T01:30:00Z");
        pair.vtn.modify_event("e1", |event| {
            let longer = Duration::from_span(Span::MINUTE * 90);
            event.event.active_period.duration = longer;
            event.event.signals[0].intervals[0].duration = Some(longer);
            set_level(event, 3);
        });
        pair.run_to("2030-01-01T02:29:59Z");
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 interval 0 = 3"]);
        pair.run_to("2030-01-01T02:30:00Z");
        assert_eq!(pair.told[3..], ["e1 end Completed"]);
    }
}

subject! {
    /// An event that runs is cancelled.
    fn a_e1_0240_cancel, a_e0_0240_cancel(mode) {
        let mut pair = with(mode, event("e1"));
        pair.run_to("2030-01-01T01:30:00Z");
        pair.vtn.cancel_event("e1");
        pair.run(SOON);
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end Cancelled"]);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"]);
    }
}

subject! {
    /// A dispatch in steps.
    fn a_e1_0250_dispatch, a_e0_0250_dispatch(mode) {
        let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
        let unit = Unit::Power(PowerKind::Real, SiScale::Kilo, grid);
        let dispatch = event("e1").signal(SignalName::LoadDispatch, SignalType::Setpoint, Some(unit));
        let third = Span::MINUTE * 20;
        let mut pair = with(mode, dispatch.steps([(third, 100), (third, -50), (third, 0)]));
        pair.run_to("2030-01-01T01:30:00Z");
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 100", "e1 interval 1 = -50"]);
        pair.run_to("2030-01-01T02:00:00Z");
        assert_eq!(pair.told[3..], ["e1 interval 2 = 0", "e1 end Completed"]);
    }
}

/// VENs that have drawn different offsets of up to ten minutes.
fn randomised(mode: Mode) -> impl Iterator<Item = (Pair, Span)> {
    (0..10).map(move |seed| {
        let mut pair = Pair::registered_in(mode);
        pair.engine.dice = Dice::new(seed);
        pair.vtn.add_event(event("e1").start_after(Span::MINUTE * 10));
        pair.run(SOON);
        let offset = pair.store.events.values().next().unwrap().offset;
        assert!(offset <= Span::MINUTE * 10);
        (pair, offset)
    })
}

/// The event begins so much later than it says, and ends so much later.
fn is_moved_by(pair: &mut Pair, offset: Span) {
    pair.run_to("2030-01-01T01:00:00Z");
    pair.run(offset - Span::from_millis(1));
    assert!(pair.told.is_empty());
    pair.run(Span::from_millis(1));
    assert_eq!(pair.told, WHOLE[..2]);
    pair.run(Span::HOUR - Span::from_millis(1));
    assert_eq!(pair.told, WHOLE[..2]);
    pair.run(Span::from_millis(1));
    assert_eq!(pair.told, WHOLE);
}

subject! {
    /// The start is random, the length is not.
    fn a_e1_0260_randomised_start, a_e0_0260_randomised_start(mode) {
        let mut offsets = std::collections::BTreeSet::new();
        for (mut pair, offset) in randomised(mode) {
            is_moved_by(&mut pair, offset);
            offsets.insert(offset);
        }
        assert!(offsets.len() > 5);
    }
}

subject! {
    /// A modification draws no other offset.
    fn a_e1_0262_randomised_start_and_modification, a_e0_0262_randomised_start_and_modification(mode) {
        for (mut pair, offset) in randomised(mode) {
            pair.vtn.modify_event("e1", |event| event.event.descriptor.priority = Some(1));
            pair.run(SOON);
            assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"]);
            is_moved_by(&mut pair, offset);
        }
    }
}

/// The VTN calls the event off while it runs; the stop is spread over ten minutes.
fn stops_at_random(mode: Mode, call_off: fn(&mut Pair), why: &str) {
    let mut waited = 0;
    for (mut pair, _) in randomised(mode) {
        pair.run_to("2030-01-01T01:30:00Z");
        call_off(&mut pair);
        pair.run(SOON);
        waited += usize::from(pair.told == WHOLE[..2]);
        pair.run(Span::MINUTE * 10);
        assert_eq!(pair.told, [WHOLE[0], WHOLE[1], why]);
    }
    assert!(waited > 5, "{waited}");
}

subject! {
    /// The stop is random where the event is cancelled.
    fn a_e1_0267_randomised_cancellation, a_e0_0267_randomised_cancellation(mode) {
        stops_at_random(mode, |pair| pair.vtn.cancel_event("e1"), "e1 end Cancelled");
    }
}

subject! {
    /// And where it is not spoken of any more.
    fn a_e1_0268_randomised_implied_cancellation, a_e0_0268_randomised_implied_cancellation(mode) {
        stops_at_random(mode, |pair| pair.vtn.drop_event("e1"), "e1 end ImpliedCancelled");
    }
}

subject! {
    /// Several events, one after the other.
    fn a_e1_0270_several_events, a_e0_0270_several_events(mode) {
        let mut pair = with(mode, event("e1"));
        pair.vtn.add_event(EventBuilder::new("e2", t("2030-01-01T02:00:00Z"), Span::HOUR).level(2));
        pair.vtn.add_event(EventBuilder::new("e3", t("2030-01-01T05:00:00Z"), Span::HOUR).level(3));
        pair.run_to("2030-01-01T07:00:00Z");
        let one = |id: &str, level| {
            [format!("{id} start"), format!("{id} interval 0 = {level}"), format!("{id} end Completed")]
        };
        assert_eq!(pair.told, [one("e1", 1), one("e2", 2), one("e3", 3)].concat());
        pair.assert_lawful();
    }
}

subject! {
    /// Who has opted in may still opt out, and what runs stops.
    fn a_e1_0280_later_opt_out, a_e0_0280_later_opt_out(mode) {
        let mut pair = with(mode, event("e1"));
        pair.run_to("2030-01-01T01:30:00Z");
        pair.input(Input::Opt { event: "e1".into(), opt: OptType::OptOut });
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 0 optOut"]);
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end OptedOut"]);
        pair.assert_lawful();
    }
}

subject! {
    /// Events of several programmes at once, each carried out.
    fn a_e1_0285_several_market_contexts, a_e0_0285_several_market_contexts(mode) {
        let mut pair = with(mode, event("e1"));
        pair.vtn.add_event(event("e2").market_context("http://markets.example.org/other").level(2));
        pair.run(SOON);
        assert_eq!(pair.opts().last().map(String::as_str), Some("e2 0 optIn"));
        pair.run_to("2030-01-01T01:30:00Z");
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e2 start", "e2 interval 0 = 2"]);
        pair.assert_lawful();
    }
}

subject! {
    /// One event is running as it comes, another is over.
    fn a_e1_0340_current_and_expired, a_e0_0340_current_and_expired(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.run_to("2030-01-01T01:30:00Z");
        pair.vtn.add_event(event("e1"));
        pair.vtn.add_event(EventBuilder::new("e2", t("2030-01-01T00:00:00Z"), Span::HOUR));
        pair.run(SOON);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e2 0 optIn"]);
        pair.run_to("2030-01-01T03:00:00Z");
        assert_eq!(pair.told, WHOLE, "nothing is told of what is over");
        pair.assert_lawful();
    }
}

subject! {
    /// An event is not spoken of any more.
    fn a_e1_0370_event_disappears, a_e0_0370_event_disappears(mode) {
        let mut pair = with(mode, event("e1"));
        pair.run_to("2030-01-01T01:30:00Z");
        pair.vtn.drop_event("e1");
        pair.run(SOON);
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end ImpliedCancelled"]);
        assert_eq!(pair.opts(), ["e1 0 optIn"], "there is nothing to answer");
        pair.assert_lawful();
    }
}
