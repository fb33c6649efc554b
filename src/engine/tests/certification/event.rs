//! Events of profile 2.0b: subjects E0 and E1.

use crate::engine::tests::pair::{Pair, t};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{
    CurrencyPer, Decimal, PayloadKind, PowerAttributes, PowerKind, ResponseCode, SiScale, SignalName,
    SignalType, Unit,
};
use crate::time::Span;

/// Longer than it takes until the VTN's next word is heard and answered.
const SOON: Span = Span::from_seconds(15);

/// An hour from one o'clock.
fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR)
}

fn price() -> Unit {
    Unit::Currency(CurrencyPer::KWh, "EUR".into(), SiScale::None)
}

fn power() -> Unit {
    let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
    Unit::Power(PowerKind::Real, SiScale::Kilo, grid)
}

/// The VTN sends these; it is carried out whatever the VEN agreed to.
fn carried_out(pair: &mut Pair, events: impl IntoIterator<Item = EventBuilder>) -> Vec<String> {
    events.into_iter().for_each(|event| pair.vtn.add_event(event));
    pair.run(SOON);
    pair.run_to("2030-01-01T03:00:00Z");
    pair.assert_lawful();
    pair.told.clone()
}

subject! {
    /// A VTN without events gets no answer about any.
    fn e1_1010_no_events, e0_6010_no_events(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.repeat_events();
        pair.run(Span::MINUTE);
        assert_eq!(pair.vtn.count(PayloadKind::RequestEvent), 1);
        assert_eq!(pair.vtn.count(PayloadKind::CreatedEvent), 0);
        pair.assert_lawful();
    }
}

subject! {
    /// A price.
    fn e1_1020_electricity_price, e0_6020_electricity_price(mode) {
        let mut pair = Pair::registered_in(mode);
        let event = event("e1").signal(SignalName::ElectricityPrice, SignalType::Price, Some(price()));
        let told = carried_out(&mut pair, [event.steps([(Span::MINUTE * 30, 25), (Span::MINUTE * 30, 40)])]);
        assert_eq!(told, ["e1 start", "e1 interval 0 = 25", "e1 interval 1 = 40", "e1 end Completed"]);
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
    }
}

subject! {
    /// A set point.
    fn e1_1025_load_dispatch, e0_6025_load_dispatch(mode) {
        let mut pair = Pair::registered_in(mode);
        let event = event("e1").signal(SignalName::LoadDispatch, SignalType::Setpoint, Some(power())).level(-5);
        assert_eq!(carried_out(&mut pair, [event]), ["e1 start", "e1 interval 0 = -5", "e1 end Completed"]);
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
    }
}

subject! {
    /// A baseline changes nothing about what is done.
    fn e1_1027_baseline, e0_6027_baseline(mode) {
        let mut pair = Pair::registered_in(mode);
        let told = carried_out(&mut pair, [event("e1").level(2).baseline(100)]);
        assert_eq!(told, ["e1 start", "e1 interval 0 = 2", "e1 end Completed"]);
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
    }
}

subject! {
    /// The event comes, and comes changed.
    fn e1_1030_two_rounds, e0_6030_two_rounds(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(event("e1"));
        pair.run(SOON);
        pair.vtn.modify_event("e1", |event| event.event.active_period.start = t("2030-01-01T01:30:00Z"));
        pair.run(SOON);
        assert_eq!(pair.asked, ["e1 new", "e1 modified"]);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"]);
        pair.run_to("2030-01-01T01:29:59Z");
        assert!(pair.told.is_empty());
        assert_eq!(carried_out(&mut pair, []), ["e1 start", "e1 interval 0 = 1", "e1 end Completed"]);
    }
}

subject! {
    /// Two events, of which one has several signals.
    fn e1_1040_two_events, e0_6040_two_events(mode) {
        let mut pair = Pair::registered_in(mode);
        let complex = EventBuilder::new("e2", t("2030-01-01T02:00:00Z"), Span::MINUTE * 30);
        let complex = complex.and_signal(SignalName::ElectricityPrice, SignalType::Price, Some(price()), 30);
        let told = carried_out(&mut pair, [event("e1"), complex]);
        assert_eq!(told[..3], ["e1 start", "e1 interval 0 = 1", "e1 end Completed"]);
        assert_eq!(told[3..], ["e2 start", "e2 interval 0 = 1", "e2 interval 0 = 30", "e2 end Completed"]);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e2 0 optIn"]);
    }
}

subject! {
    /// A VEN that has lost sight of the events asks for them, and answers what comes.
    fn e1_1050_request_event, e0_6050_request_event(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.add_event(event("e1"));
        pair.run(SOON);
        pair.restart();
        pair.run(SOON);
        assert_eq!(pair.vtn.count(PayloadKind::RequestEvent), 2);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 0 optIn"]);
        assert_eq!(pair.asked, ["e1 new"]);
        pair.assert_lawful();
    }
}

subject! {
    /// A signal that nobody here understands.
    fn e1_1070_custom_signal, e0_6070_custom_signal(mode) {
        let mut pair = Pair::registered_in(mode);
        let event = event("e1").signal(SignalName::from_token("x-theirs"), SignalType::Level, None);
        assert_eq!(carried_out(&mut pair, [event]), [""; 0]);
        assert_eq!(pair.opts(), ["e1 0 optOut 460"]);
    }
}

subject! {
    /// A vtnID in letters of the other case is another VTN's.
    fn e1_1080_vtn_id_in_other_case, e0_6080_vtn_id_in_other_case(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.vtn_id = "VTN-1".into();
        pair.vtn.add_event(event("e1"));
        pair.run(SOON);
        assert_eq!(pair.vtn.verdicts, [(PayloadKind::CreatedEvent, ResponseCode::INVALID_ID)]);
        assert!(pair.opts().is_empty() && pair.asked.is_empty());
        pair.assert_lawful();
    }
}
