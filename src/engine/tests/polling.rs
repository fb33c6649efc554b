//! Polling: at the VTN's interval, with jitter, draining, and backing off.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::pair::{Pair, wish};
use crate::engine::Settings;
use crate::mock_vtn::{EventBuilder, Fault};
use crate::openadr::message::PayloadKind;
use crate::openadr::message::arbitrary::payload_of;
use crate::time::{Span, Timestamp};

fn polls(pair: &Pair) -> Vec<Timestamp> {
    pair.vtn.received.iter().filter(|(_, kind)| *kind == PayloadKind::Poll).map(|(at, _)| *at).collect()
}

fn gaps(pair: &Pair) -> Vec<Span> {
    polls(pair).windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The requested interval is a minimum (rule 500), so jitter only adds.
#[test]
fn rules_500_501_polls_keep_the_interval_of_the_vtn_and_scatter_above_it() {
    let mut pair = Pair::registered();
    pair.run(Span::HOUR);
    let gaps = gaps(&pair);
    let (least, most) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
    assert!(gaps.len() > 300);
    assert!(least >= Span::from_seconds(10), "{least}");
    assert!(most <= Span::from_millis(11_100), "{most}");
    assert!(most - least > Span::from_millis(500), "no jitter");
}

#[test]
fn the_interval_stays_inside_what_is_configured() {
    for (asked, least, most) in [(0, 10, 11), (1, 5, 6), (86_400 * 3, 3600, 3960)] {
        let mut pair = Pair::with(Settings {
            poll_min: Span::from_seconds(5),
            poll_max: Span::HOUR,
            ..Settings::default()
        });
        pair.vtn.poll_freq = Span::from_seconds(asked);
        pair.run(Span::HOUR * 5);
        let gaps = gaps(&pair);
        let lawful = |gap: &Span| (least..=most).contains(&gap.seconds());
        assert!(gaps.len() > 2 && gaps.iter().all(lawful), "asked for {asked} s: {gaps:?}");
    }
}

/// After an answer other than oadrResponse the VEN polls again at once.
#[test]
fn rule_500_the_queue_is_drained() {
    let mut pair = Pair::registered();
    for id in ["a", "b", "c"] {
        pair.vtn.request_reports(vec![wish(id, &["power"], Span::MINUTE, Span::MINUTE, None)]);
    }
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.count(PayloadKind::CreatedReport), 3);
    assert_eq!(pair.vtn.pending.len(), 3);
}

#[test]
fn a_vtn_that_always_has_something_is_not_polled_without_end() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::HOUR, Span::HOUR).never_answered());
    for _ in 0..1000 {
        pair.vtn.request_reports(vec![wish("a", &["power"], Span::MINUTE, Span::MINUTE, None)]);
    }
    pair.run(Span::from_seconds(10));
    let before = polls(&pair).len();
    pair.run(Span::from_seconds(10));
    assert!(polls(&pair).len() - before <= 51, "{}", polls(&pair).len() - before);
}

/// A VTN may repeat what is known; that is no error, and is answered like anything else.
#[test]
fn rule_502_events_that_have_not_changed_may_come_again() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::HOUR, Span::HOUR));
    for _ in 0..10 {
        pair.vtn.repeat_events();
        pair.run(Span::from_seconds(12));
    }
    assert_eq!((pair.asked.len(), pair.opts().len()), (1, 10));
    assert!(pair.notices.iter().all(|notice| !notice.is_trouble()), "{:?}", pair.notices);
    pair.assert_lawful();
}

#[test]
fn an_empty_200_is_an_empty_queue() {
    let mut pair = Pair::registered();
    pair.vtn.faults.extend(std::iter::repeat_n(Fault::Empty, 5));
    pair.run(Span::MINUTE * 2);
    assert!(gaps(&pair).iter().all(|gap| *gap >= Span::from_seconds(10)));
    assert!(pair.vtn.registered().is_some());
}

#[test]
fn retry_after_is_obeyed() {
    let mut pair = Pair::registered();
    pair.vtn.faults.push_back(Fault::Status(503, Some(42)));
    pair.run(Span::MINUTE * 2);
    assert!(gaps(&pair).iter().any(|gap| gap.seconds() >= 52), "{:?}", gaps(&pair));
}

/// A day in which the VTN is gone costs few tries, and the first one after it succeeds within the longest wait.
#[test]
fn a_vtn_that_is_away_is_tried_ever_less_often() {
    let mut pair = Pair::registered();
    pair.vtn.faults.extend(std::iter::repeat_n(Fault::Status(503, None), 60));
    pair.run(Span::HOUR * 4);
    assert!(pair.vtn.faults.len() > 3, "{} of 60 tries left after four hours", pair.vtn.faults.len());
    pair.vtn.faults.clear();
    let back = pair.now();
    let before = polls(&pair).len();
    pair.run(Span::from_seconds(331));
    assert!(polls(&pair).get(before).is_some_and(|first| *first - back <= Span::from_seconds(331)));
}

/// A year of polling once a minute with a hundred events, without codec: nothing grows, nothing is missed.
#[test]
fn a_year_passes() {
    let mut pair = Pair::new();
    pair.vtn.poll_freq = Span::MINUTE;
    pair.run(Span::MINUTE);
    let year = Span::DAY * 365;
    for event in 0..100_i64 {
        let start = pair.now() + Span::HOUR;
        pair.vtn.add_event(EventBuilder::new(&format!("e{event}"), start, Span::HOUR * 2).level(event % 4));
        pair.run(Span::from_seconds(year.seconds() / 200));
        pair.vtn.drop_event(&format!("e{event}"));
        pair.run(Span::from_seconds(year.seconds() / 200));
        pair.vtn.received.retain(|(_, kind)| *kind == PayloadKind::Poll);
    }
    let polls = polls(&pair).len();
    assert!((480_000..=525_700).contains(&polls), "{polls}");
    assert_eq!(pair.opts().len(), 100);
    assert_eq!(pair.told.len(), 300, "start, interval, end of each");
    assert!(pair.store.events.is_empty());
    pair.assert_lawful();
}

/// Only a VEN sends them or is answered with them; a VTN that does is treated as one that makes no sense.
#[test]
fn messages_of_the_opt_service_are_no_answer_to_a_poll() {
    for kind in
        [PayloadKind::CreateOpt, PayloadKind::CreatedOpt, PayloadKind::CancelOpt, PayloadKind::CanceledOpt]
    {
        let mut pair = Pair::registered();
        let message = payload_of(kind).new_tree(&mut TestRunner::deterministic()).unwrap().current();
        let before = pair.vtn.received.len();
        pair.vtn.queue(message);
        pair.run(Span::from_seconds(12));
        let after: Vec<_> = pair.vtn.received[before..].iter().map(|(_, kind)| *kind).collect();
        let answers =
            after.iter().filter(|sent| !matches!(sent, PayloadKind::Poll | PayloadKind::RequestEvent));
        assert_eq!(answers.count(), 0, "{kind} was answered: {after:?}");
        let why = format!("the reply to oadrPoll is {kind}");
        assert!(pair.notices.iter().any(|notice| format!("{notice:?}").contains(&why)), "{:?}", pair.notices);
    }
}
