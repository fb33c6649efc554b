//! Several events at once: which one governs, and how the handler hears of it.

use super::pair::{Pair, t};
use crate::engine::Input;
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{EiTarget, OptType};
use crate::time::Span;

/// An event of so many minutes, that many minutes after one o'clock.
fn event(id: &str, after: i64, lasts: i64) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z") + Span::MINUTE * after, Span::MINUTE * lasts)
}

fn told(events: impl IntoIterator<Item = EventBuilder>) -> Vec<String> {
    let mut pair = Pair::registered();
    events.into_iter().for_each(|event| pair.vtn.add_event(event));
    pair.run_to("2030-01-01T06:00:00Z");
    pair.assert_lawful();
    pair.told
}

#[test]
fn rules_3_18_the_more_important_event_governs_while_it_lasts() {
    let told = told([event("e1", 0, 60).priority(2), event("e2", 20, 20).priority(1).level(2)]);
    let expected = [
        "e1 start",
        "e1 interval 0 = 1",
        "e1 interval 0 = 1 under e2",
        "e2 start",
        "e2 interval 0 = 2",
        "e2 end Completed",
        "e1 interval 0 = 1",
        "e1 end Completed",
    ];
    assert_eq!(told, expected);
}

/// Whether the first is overridden, or else the second, where they run at the same time.
fn overridden(first: EventBuilder, second: EventBuilder) -> Option<&'static str> {
    let told = told([first, second]);
    let is = |text: &str| told.iter().any(|told| told == text);
    match (is("e1 interval 0 = 1 under e2"), is("e2 interval 0 = 1 under e1")) {
        (true, false) => Some("e1"),
        (false, true) => Some("e2"),
        (false, false) => None,
        (true, true) => panic!("{told:?}"),
    }
}

/// Reading of the standard: overlap is left to the programme (rule 18); priority, then the earlier start, then the lower eventID.
#[test]
fn rule_3_the_lower_number_is_the_more_important_and_zero_is_none() {
    let (e1, e2) = (|| event("e1", 0, 60), || event("e2", 10, 60));
    assert_eq!(overridden(e1().priority(7), e2().priority(6)), Some("e1"));
    assert_eq!(overridden(e1().priority(6), e2().priority(7)), Some("e2"));
    assert_eq!(overridden(e1().priority(0), e2().priority(9)), Some("e1"));
    assert_eq!(overridden(e1(), e2().priority(9)), Some("e1"));
    assert_eq!(overridden(e1().priority(0), e2()), Some("e2"), "the earlier start");
    assert_eq!(overridden(e1().priority(3), e2().priority(3)), Some("e2"), "the earlier start");
    assert_eq!(overridden(event("e1", 10, 60), event("e2", 10, 60)), Some("e2"), "the lower id");
    assert_eq!(overridden(event("e1", 10, 60), event("e2", 0, 60)), Some("e1"), "the earlier start");
}

/// A test must not take the place of what is meant.
#[test]
fn rule_6_a_test_event_gives_way_to_a_real_one() {
    let (e1, e2) = (|| event("e1", 0, 60), || event("e2", 10, 60));
    assert_eq!(overridden(e1().test("true").priority(1), e2()), Some("e1"));
    assert_eq!(overridden(e1(), e2().test("true").priority(1)), Some("e2"));
    assert_eq!(overridden(e1().test("false"), e2().priority(1)), Some("e1"));
}

#[test]
fn rule_18_events_for_other_resources_or_of_other_programmes_do_not_meet() {
    let resource = |id: &str| EiTarget::resource(id.into());
    let both = || EiTarget { resource_ids: vec!["boiler".into(), "pump".into()], ..EiTarget::default() };
    let overridden = |first: EventBuilder, second: EventBuilder| {
        let mut pair = Pair::registered();
        pair.engine.settings.resources = vec!["boiler".into(), "pump".into()];
        pair.vtn.add_event(first);
        pair.vtn.add_event(second);
        pair.run_to("2030-01-01T06:00:00Z");
        assert!(pair.told.len() >= 6, "both are carried out: {:?}", pair.told);
        pair.told.iter().any(|told| told.contains("under"))
    };
    let (e1, e2) = (|| event("e1", 0, 60), || event("e2", 10, 60));
    assert!(overridden(e1().target(resource("boiler")), e2().target(resource("boiler"))));
    assert!(!overridden(e1().target(resource("boiler")), e2().target(resource("pump"))));
    assert!(overridden(e1().target(both()), e2().target(resource("pump"))));
    assert!(overridden(e1(), e2().target(resource("pump"))), "no target is all of us");
    assert!(overridden(e1().target(EiTarget::ven("ven-1".into())), e2().target(resource("pump"))));
    assert!(!overridden(e1(), e2().market_context("http://markets.example.org/other")));
    assert!(overridden(e1(), e2().market_context("http://MARKETS.example.org/dr")));
}

/// What begins as another ends does not overlap it, and the handler has heard of the end before it hears of the beginning.
#[test]
fn rule_18_a_touching_start_is_no_overlap() {
    let told = told([event("e2", 0, 30), event("e1", 30, 30)]);
    let expected = [
        "e2 start",
        "e2 interval 0 = 1",
        "e2 end Completed",
        "e1 start",
        "e1 interval 0 = 1",
        "e1 end Completed",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_handler_that_never_returns_from_an_end_delays_the_next_event_by_a_minute() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", 0, 30));
    pair.vtn.add_event(event("e2", 30, 30));
    pair.vtn.add_event(event("e3", 30, 30).market_context("http://markets.example.org/other"));
    pair.run(Span::MINUTE);
    pair.handler_returns = false;
    pair.run_to("2030-01-01T01:30:59Z");
    let before = ["e1 start", "e1 interval 0 = 1", "e1 end Completed", "e3 start", "e3 interval 0 = 1"];
    assert_eq!(pair.told, before);
    pair.run_to("2030-01-01T01:31:00Z");
    assert_eq!(pair.told[5..], ["e2 start", "e2 interval 0 = 1"]);
}

#[test]
fn an_event_that_is_called_off_or_opted_out_of_governs_no_more() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", 0, 180));
    pair.vtn.add_event(event("e2", 0, 180).priority(2));
    pair.vtn.add_event(event("e3", 0, 180).priority(1));
    pair.run_to("2030-01-01T01:10:00Z");
    let of_e1 =
        |pair: &Pair| pair.told.iter().filter(|told| told.starts_with("e1")).cloned().collect::<Vec<_>>();
    assert_eq!(of_e1(&pair), ["e1 start", "e1 interval 0 = 1 under e3"]);
    pair.input(Input::Opt { event: "e3".into(), opt: OptType::OptOut });
    pair.run(Span::MINUTE);
    assert_eq!(of_e1(&pair)[2..], ["e1 interval 0 = 1 under e2"]);
    pair.vtn.cancel_event("e2");
    pair.run(Span::MINUTE);
    assert_eq!(of_e1(&pair)[3..], ["e1 interval 0 = 1"]);
    pair.input(Input::Opt { event: "e3".into(), opt: OptType::OptIn });
    pair.run(Span::MINUTE);
    assert_eq!(of_e1(&pair)[4..], ["e1 interval 0 = 1 under e3"]);
}

#[test]
fn a_restart_does_not_change_who_governs() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", 0, 60));
    pair.vtn.add_event(event("e2", 20, 20).priority(1));
    pair.run_to("2030-01-01T01:30:00Z");
    pair.told.clear();
    pair.restart();
    pair.run(Span::MINUTE);
    assert_eq!(pair.told, ["e1 interval 0 = 1 resumed under e2", "e2 interval 0 = 1 resumed"]);
}

/// A modification may take an event out of another's way, and back into it.
#[test]
fn a_modified_priority_counts_at_once() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1", 0, 60).priority(2));
    pair.vtn.add_event(event("e2", 0, 60).priority(1));
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(pair.told[1], "e1 interval 0 = 1 under e2");
    pair.told.clear();
    pair.vtn.modify_event("e2", |event| event.event.descriptor.priority = Some(3));
    pair.run(Span::MINUTE);
    assert_eq!(pair.told, ["e1 interval 0 = 1", "e2 interval 0 = 1 under e1"]);
}
