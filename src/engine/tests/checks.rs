//! Events that are not for us, not of a kind that we know, or that make no sense (rules 9, 22, 48, 100, 102, 104, 109).

use super::pair::Pair;
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{
    CurrencyPer, Decimal, Duration, EiTarget, Float, OadrEvent, PayloadBase, PowerAttributes, PowerKind,
    SiScale, SignalName, SignalType, StreamPayload, Unit,
};
use crate::time::Span;

fn event() -> EventBuilder {
    EventBuilder::new("e1", "2030-01-01T01:00:00Z".parse().unwrap(), Span::HOUR)
}

/// What a VEN that knows the resource `boiler` and the group `north` answers.
fn answer(event: impl Into<OadrEvent>) -> String {
    let mut pair = Pair::registered();
    pair.engine.settings.resources = vec!["boiler".into()];
    pair.engine.settings.groups = vec!["north".into()];
    pair.engine.settings.signals = vec![SignalName::from_token("x-ours")];
    pair.vtn.add_event(event);
    pair.run(Span::from_seconds(12));
    let asked = if pair.asked.is_empty() { "not asked" } else { "asked" };
    format!("{} {asked}", pair.opts().join(", "))
}

fn targeted(target: EiTarget) -> String {
    let mut event = event().build();
    event.event.target = target;
    answer(event)
}

const GOOD: &str = "e1 0 optIn asked";

fn refused(code: u16) -> String {
    format!("e1 0 optOut {code} not asked")
}

#[test]
fn rule_22_entries_of_a_target_are_alternatives_and_none_means_us() {
    let none = EiTarget::default;
    assert_eq!(targeted(none()), GOOD);
    assert_eq!(targeted(EiTarget::ven("ven-1".into())), GOOD);
    assert_eq!(targeted(EiTarget::resource("boiler".into())), GOOD);
    assert_eq!(targeted(EiTarget { group_ids: vec!["north".into()], ..none() }), GOOD);
    assert_eq!(targeted(EiTarget { group_names: vec!["south".into(), "north".into()], ..none() }), GOOD);
    assert_eq!(targeted(EiTarget { group_ids: vec!["x".into()], ..EiTarget::ven("ven-1".into()) }), GOOD);
}

#[test]
fn rule_48_an_event_for_others_is_refused_with_462() {
    for target in [
        EiTarget::ven("VEN-1".into()),
        EiTarget::resource("fridge".into()),
        EiTarget { group_ids: vec!["south".into()], ..EiTarget::default() },
        EiTarget { pnodes: vec!["node 7".into()], ..EiTarget::default() },
    ] {
        assert_eq!(targeted(target), refused(462));
    }
}

fn power() -> Unit {
    let grid = PowerAttributes { hertz: Decimal::from(50), voltage: Decimal::from(230), ac: true };
    Unit::Power(PowerKind::Real, SiScale::Kilo, grid)
}

fn currency(per: CurrencyPer) -> Unit {
    Unit::Currency(per, "EUR".into(), SiScale::None)
}

fn signal(name: SignalName, signal_type: SignalType, unit: Option<Unit>) -> String {
    answer(event().signal(name, signal_type, unit).steps([(Span::HOUR, 0)]))
}

#[test]
fn rule_104_the_signals_of_the_profile_are_taken() {
    use SignalName as N;
    use SignalType as T;
    let energy = || Some(Unit::Energy(PowerKind::Apparent, SiScale::None));
    for (name, signal_type, unit) in [
        (N::Simple, T::Level, None),
        (N::SimpleLowerCase, T::Level, None),
        (N::Simple, T::Delta, None),
        (N::ElectricityPrice, T::Price, Some(currency(CurrencyPer::KWh))),
        (N::EnergyPrice, T::PriceRelative, Some(currency(CurrencyPer::KWh))),
        (N::DemandCharge, T::PriceMultiplier, None),
        (N::BidPrice, T::Price, Some(currency(CurrencyPer::Nothing))),
        (N::BidLoad, T::Setpoint, Some(power())),
        (N::BidEnergy, T::Setpoint, energy()),
        (N::ChargeState, T::Delta, energy()),
        (N::ChargeState, T::Multiplier, None),
        (N::LoadDispatch, T::Setpoint, Some(power())),
        (N::LoadDispatch, T::Level, Some(power())),
        (N::LoadControl, T::LoadControlCapacity, None),
        (N::from_token("x-ours"), T::Price, energy()),
    ] {
        assert_eq!(signal(name.clone(), signal_type, unit), GOOD, "{name} {signal_type}");
    }
}

#[test]
fn rule_109_any_signal_that_is_not_supported_spoils_the_event_with_460() {
    use SignalName as N;
    use SignalType as T;
    for (name, signal_type, unit) in [
        (N::from_token("x-theirs"), T::Level, None),
        (N::ElectricityPrice, T::Level, Some(currency(CurrencyPer::KWh))),
        (N::ElectricityPrice, T::Price, Some(currency(CurrencyPer::KW))),
        (N::ElectricityPrice, T::Price, None),
        (N::Simple, T::Level, Some(power())),
        (N::LoadDispatch, T::Setpoint, None),
        (N::LoadControl, T::Level, None),
        (N::BidPrice, T::Setpoint, None),
    ] {
        assert_eq!(signal(name.clone(), signal_type, unit), refused(460), "{name} {signal_type}");
    }
    let mut two = event().build();
    let mut other = two.event.signals[0].clone();
    other.name = SignalName::from_token("x-theirs");
    two.event.signals.push(other);
    assert_eq!(answer(two), refused(460));
}

#[test]
fn rule_9_values_out_of_their_range_are_refused_with_454() {
    let simple = |value: &str| {
        let value: Float = value.parse().unwrap();
        answer(event().steps([(Span::HOUR, value)]))
    };
    for (value, expected) in [("0", GOOD), ("3", GOOD), ("3.0", GOOD)] {
        assert_eq!(simple(value), expected, "{value}");
    }
    for value in ["4", "-1", "1.5", "INF", "1E30"] {
        assert_eq!(simple(value), refused(454), "{value}");
    }
    let charge = |value: &str| {
        let value: Float = value.parse().unwrap();
        let event = event().signal(SignalName::ChargeState, SignalType::Multiplier, None);
        answer(event.steps([(Span::HOUR, value)]))
    };
    assert_eq!((charge("0.75").as_str(), charge("1.01")), (GOOD, refused(454)));
}

#[test]
fn rule_102_intervals_fill_the_event() {
    let half = Span::MINUTE * 30;
    assert_eq!(answer(event().steps([(half, 1), (half, 2)])), GOOD);
    assert_eq!(answer(event().steps([(half, 1), (Span::MINUTE, 2)])), refused(454));
    assert_eq!(answer(event().steps([(Span::HOUR, 1), (half, 2)])), refused(454));
    let mut without = event().build();
    without.event.signals[0].intervals[0].duration = None;
    assert_eq!(answer(without), refused(459));
    // Rule 47: an open end is filled by anything.
    let mut open = event().build();
    open.event.active_period.duration = Duration::ZERO;
    assert_eq!(answer(open), GOOD);
}

#[test]
fn rules_116_510_every_ven_takes_levels_prices_and_set_points() {
    use SignalName as N;
    use SignalType as T;
    for (name, signal_type, unit) in [
        (N::Simple, T::Level, None),
        (N::ElectricityPrice, T::Price, Some(currency(CurrencyPer::KWh))),
        (N::LoadDispatch, T::Setpoint, Some(power())),
    ] {
        assert_eq!(signal(name.clone(), signal_type, unit), GOOD, "{name}");
    }
}

/// Exactly one number in each interval.
#[test]
fn rule_100_an_interval_without_its_one_number_is_refused_with_459() {
    let with = |payloads: Vec<StreamPayload>| {
        let mut event = event().build();
        event.event.signals[0].intervals[0].payloads = payloads;
        answer(event)
    };
    let number = || StreamPayload::Signal(PayloadBase::Float(Float::from(1)));
    assert_eq!(with(vec![number()]), GOOD);
    assert_eq!(with(Vec::new()), refused(459));
    assert_eq!(with(vec![number(), number()]), refused(459));
    assert_eq!(with(vec![StreamPayload::GreenButton(String::new())]), refused(459));
}

/// Reading of the standard: which resource is meant cannot be told where a signal is for something else than a device class or
/// what is ours; 462 is for the target of the event.
#[test]
fn rules_111_112_a_signal_for_something_unknown_is_refused_with_469() {
    let none = EiTarget::default;
    let class = |class: &str| EiTarget { end_device_assets: vec![class.into()], ..none() };
    let with = |target: EiTarget| {
        let mut event = event().build();
        event.event.signals[0].target = Some(target);
        answer(event)
    };
    for target in [class("Thermostat"), class("x-kiln"), none(), EiTarget::resource("boiler".into())] {
        assert_eq!(with(target), GOOD);
    }
    for target in [
        class("thermostat"),
        EiTarget::resource("fridge".into()),
        EiTarget { pnodes: vec!["node 7".into()], ..class("Thermostat") },
    ] {
        assert_eq!(with(target), refused(469));
    }
}

/// Ids are compared letter by letter, programmes as URIs are.
#[test]
fn rules_48_512_a_programme_is_known_by_its_uri() {
    let with = |ours: &str| {
        let mut pair = Pair::registered();
        pair.engine.settings.market_contexts = vec!["http://other.example.org".into(), ours.into()];
        pair.vtn.add_event(event());
        pair.run(Span::from_seconds(12));
        pair.opts()
    };
    assert_eq!(with("HTTP://Markets.Example.org:80/x/../dr"), ["e1 0 optIn"]);
    assert_eq!(with("http://markets.example.org/DR"), ["e1 0 optOut 462"]);
}

/// What was answered with optOut is not carried out in its earlier version either.
#[test]
fn rules_48_57_a_version_that_is_refused_ends_the_one_before() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event());
    pair.run_to("2030-01-01T01:10:00Z");
    pair.vtn.modify_event("e1", |event| event.event.target = EiTarget::ven("another".into()));
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optOut 462"]);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1", "e1 end OptedOut"]);
    pair.restart();
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.told.len(), 3, "{:?}", pair.told);
    pair.vtn.modify_event("e1", |event| event.event.target = EiTarget::default());
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts().last().map(String::as_str), Some("e1 2 optIn"));
    assert_eq!(pair.told[3..], ["e1 start", "e1 interval 0 = 1"]);
}
