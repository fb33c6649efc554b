//! Values, ids and sets that no VTN should send: the handler is not called where they make no sense, the answer has the right
//! code, ids come back as they came, and the VEN goes on.

use std::collections::BTreeSet;

use super::pair::Pair;
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{Duration, EiTarget, Float, OadrEvent, Payload, PayloadKind};
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::time::{Span, Timestamp};

fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, "2030-01-01T01:00:00Z".parse().unwrap(), Span::HOUR)
}

/// Lets the VEN meet these events; then the next good one is answered within 12 s, whatever they were.
fn meet(events: impl IntoIterator<Item = OadrEvent>) -> Pair {
    let mut pair = Pair::registered();
    for event in events {
        pair.vtn.add_event(event);
    }
    pair.run(Span::from_seconds(12));
    pair.vtn.add_event(event("good"));
    pair.run(Span::from_seconds(12));
    assert!(pair.opts().contains(&"good 0 optIn".to_owned()), "{:?}", pair.opts());
    assert!(pair.asked.contains(&"good new".to_owned()), "{:?}", pair.asked);
    pair.assert_lawful();
    pair
}

/// The opt for the one event, and whether the handler was asked.
fn answer(event: impl Into<OadrEvent>) -> (String, bool) {
    let event = event.into();
    let id = event.event.id().to_string();
    let pair = meet([event]);
    let opt = pair.opts().into_iter().find(|opt| opt.starts_with(&format!("{id} "))).unwrap_or_default();
    (opt, pair.asked.contains(&format!("{id} new")))
}

fn refused(event: impl Into<OadrEvent>, code: u16) {
    let (opt, asked) = answer(event);
    assert!(opt.ends_with(&format!(" optOut {code}")), "{opt} is not {code}");
    assert!(!asked, "{opt}");
}

#[test]
fn values_that_are_no_levels_are_refused() {
    for value in ["NaN", "INF", "-INF", "1e30", "-1", "4", "0.5"] {
        let Ok(value) = value.parse::<Float>() else { continue };
        refused(event("e").steps([(Span::HOUR, value)]), 454);
    }
    assert!("1e400".parse::<Float>().is_err() || "1e400".parse::<Float>() == "INF".parse::<Float>());
    for text in ["", "x", "0x10", "1,5", "--1", "\u{661}"] {
        assert!(text.parse::<Float>().is_err(), "{text}");
    }
}

#[test]
fn modification_numbers_at_their_ends_are_taken() {
    let mut first = event("e").build();
    first.event.descriptor.modification_number = u32::MAX;
    assert_eq!(answer(first), (format!("e {} optIn", u32::MAX), true));
}

#[test]
fn priorities_at_their_ends_are_taken() {
    for priority in [0, 1, u32::MAX] {
        let mut event = event("e").build();
        event.event.descriptor.priority = Some(priority);
        assert_eq!(answer(event), ("e 0 optIn".to_owned(), true));
    }
}

/// Times far away, and durations beyond every calendar, are carried or refused, and never computed into a panic.
#[test]
fn dates_and_durations_at_their_ends_are_survived() {
    for start in
        ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2262-04-11T23:47:16Z", "9999-12-31T23:59:59Z"]
    {
        let Ok(start) = start.parse::<Timestamp>() else { continue };
        for lasts in ["PT0S", "PT1S", "P9999Y", "P999999D", "PT999999999S", "PT596523H"] {
            let Ok(lasts) = lasts.parse::<Duration>() else { continue };
            let mut event = event("e").build();
            event.event.active_period.start = start;
            event.event.active_period.duration = lasts;
            event.event.active_period.start_after = Some(lasts);
            event.event.active_period.ramp_up = Some(lasts);
            event.event.active_period.recovery = Some(lasts);
            event.event.active_period.notification = Some(lasts);
            let (opt, _) = answer(event);
            assert!(opt.starts_with("e 0 opt"), "{opt}");
        }
    }
}

#[test]
fn an_event_without_intervals_or_with_contradicting_ones_is_refused() {
    let mut none = event("e").build();
    none.event.signals[0].intervals.clear();
    let (opt, asked) = answer(none);
    assert!(!asked && opt.contains("optOut"), "{opt}");
    let mut none = event("e").build();
    none.event.signals.clear();
    let (opt, _) = answer(none);
    assert!(opt.starts_with("e 0 opt"), "{opt}");
    refused(event("e").steps([(Span::MINUTE, 1)]), 454);
    refused(event("e").steps((0..10_000).map(|_| (Span::SECOND, 1))), 454);
}

#[test]
fn a_thousand_foreign_targets_are_refused_with_462() {
    let mut event = event("e").build();
    event.event.target = EiTarget {
        group_ids: (0..1_000).map(|at| format!("g{at}").as_str().into()).collect(),
        ..EiTarget::default()
    };
    refused(event, 462);
}

/// Every id of the list comes back, byte for byte, through the codec too.
#[test]
fn ids_are_texts_and_come_back_as_they_came() {
    let long = "x".repeat(1_000_000);
    for id in [
        "\u{1F50C}\u{200D}\u{1F469}\u{1F3FD}",
        "a\r\nSet-Cookie: b",
        "<b>&amp;</b>",
        "\"><script>alert(1)</script>",
        "'; DROP TABLE event; --",
        "$(reboot)`id`|;&",
        "../../etc/passwd",
        "%s%n{}{{}}",
        "0012",
        "12",
        "1e3",
        "true",
        "null",
        "None ",
        " padded ",
        "a\u{301}",
        "\u{e1}",
        "\u{202E}drowssap",
        &long,
    ] {
        let pair = meet([event(id).build()]);
        let found: Vec<_> = pair.vtn.opts.iter().filter(|opt| opt.event_id.as_str() == id).collect();
        assert!(!found.is_empty(), "{:.40}", id);
        let message: Payload = crate::openadr::message::DistributeEvent {
            response: None,
            request_id: id.into(),
            vtn_id: "vtn".into(),
            events: vec![event(id).build()],
        }
        .into();
        assert_eq!(decode_document(encode(&message).unsigned().as_bytes(), &Limits::VEN), Ok(message));
    }
}

/// `0012`, `12` and `12.0`, or two ways to write an accent, are different events.
#[test]
fn ids_that_look_alike_are_different_events() {
    let ids = ["0012", "12", "12.0", "E1", "e1", "e1 ", "a\u{301}", "\u{e1}"];
    let pair = meet(ids.map(|id| event(id).build()));
    for id in ids {
        assert!(pair.opts().contains(&format!("{id} 0 optIn")), "{id}: {:?}", pair.opts());
    }
}

#[test]
fn an_empty_id_is_survived() {
    let pair = meet([event("").build()]);
    assert!(pair.vtn.registered().is_some());
}

/// Nothing that happens to one event may cost a walk over all of them.
#[test]
fn ten_thousand_events_in_one_message_are_answered_and_run() {
    const EVENTS: usize = 10_000;
    let mut pair = meet((0..EVENTS).map(|at| event(&format!("e{at}")).build()));
    let answered: BTreeSet<_> = pair.opts().into_iter().filter(|opt| opt.ends_with(" 0 optIn")).collect();
    assert_eq!(answered.len(), EVENTS + 1);
    assert_eq!(pair.asked.len(), EVENTS + 1);
    pair.run_to("2030-01-01T02:10:00Z");
    // Each of start, interval and end is told once; all but one are governed by it.
    assert_eq!(pair.told.len(), 3 * (EVENTS + 1));
    assert_eq!(pair.told.iter().filter(|told| told.ends_with(" under e0")).count(), EVENTS);
    assert_eq!(pair.told.iter().filter(|told| told.ends_with(" end Completed")).count(), EVENTS + 1);
}

#[test]
fn numbers_that_go_down_are_refused_with_450_and_change_nothing() {
    let mut pair = Pair::registered();
    let mut high = event("e").build();
    high.event.descriptor.modification_number = 7;
    pair.vtn.add_event(high);
    pair.run(Span::from_seconds(12));
    for number in [6, 0] {
        let mut low = event("e").level(3).build();
        low.event.descriptor.modification_number = number;
        pair.vtn.add_event(low);
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.opts().last().cloned(), Some(format!("e {number} optOut 450")));
    }
    assert_eq!(pair.asked, ["e new"]);
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(pair.told, ["e start", "e interval 0 = 1"], "the version that is held is carried out");
}

/// Reading of the standard: the same number with other content is no change.
#[test]
fn the_same_number_with_other_content_changes_nothing() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e").level(1));
    pair.run(Span::from_seconds(12));
    pair.vtn.add_event(event("e").level(3));
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(
        (pair.asked.as_slice(), pair.told.last().map(String::as_str)),
        (&["e new".to_owned()][..], Some("e interval 0 = 1"))
    );
    assert!(pair.opts().iter().all(|opt| opt == "e 0 optIn"), "{:?}", pair.opts());
}

/// Poll frequencies that would stop the VEN or make it storm are held to its bounds.
#[test]
fn absurd_poll_frequencies_are_held_to_bounds() {
    for poll in [Span::ZERO, Span::from_micros(1), Span::DAY * 36_500, -Span::HOUR] {
        let mut pair = Pair::new();
        pair.vtn.poll_freq = poll;
        pair.run(Span::HOUR * 48);
        let polls = pair.vtn.count(PayloadKind::Poll);
        assert!((2..=200_000).contains(&polls), "{poll}: {polls} polls in two days");
    }
}
