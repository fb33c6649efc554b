//! In which order things go, and how densely.

use super::*;

#[test]
fn facts_go_in_the_order_of_the_log_whenever_they_come() {
    let mut bench = Bench::new(rules()).with([5, 2, 9]).with_readings([7, 3]);
    assert_eq!(bench.deliver_all(), [[2], [3], [5], [7], [9]]);
    assert_eq!(bench.step(), Step::Idle);
}

#[test]
fn one_message_is_in_flight_at_most() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    assert_eq!(bench.waits(), Span::DAY * 3, "until the other is too old");
    bench = bench.with([3]);
    assert!(matches!(bench.step(), Step::Wait(_)));
    bench.answer(Outcome::Sent);
    assert_eq!(bench.sends(), [2]);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut bench = Bench::new(rules()).with([1]);
    for outcome in [Outcome::Sent, AWAY, Outcome::Payload, Outcome::Gone, Outcome::Unsaid, Outcome::Unchanged]
    {
        assert_eq!(bench.answer(outcome), []);
    }
    assert_eq!(bench.queue.standing(), Standing::default());
    assert_eq!(bench.sends(), [1]);
}

#[test]
fn in_strict_order_a_refused_message_holds_up_those_behind_it() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(Outcome::Payload);
    assert_eq!(bench.waits(), seconds(5));
    bench.pass(seconds(5));
    assert_eq!(bench.deliver_all(), [[1], [2]]);
}

#[test]
fn in_relaxed_order_those_behind_a_refused_message_go_on() {
    let mut bench = Bench::new(Rules { strict_order: false, ..rules() }).with([1, 2, 3]);
    bench.message();
    bench.answer(Outcome::Payload);
    assert_eq!(bench.deliver_all(), [[2], [3]]);
    assert_eq!(bench.waits(), seconds(5));
    bench.pass(seconds(5));
    assert_eq!(bench.deliver_all(), [[1]]);
}

#[test]
fn between_two_messages_lies_the_smallest_interval() {
    let mut bench = Bench::new(Rules { min_interval: seconds(10), ..rules() }).with([1, 2]);
    bench.message();
    bench.pass(seconds(3));
    bench.answer(Outcome::Sent);
    assert_eq!(bench.waits(), seconds(7), "counted from when the first was sent");
    bench.pass(seconds(7));
    assert_eq!(bench.deliver_all(), [[2]], "control facts wait, but none is left out");
}

#[test]
fn of_facts_of_meters_the_newest_wins_where_there_is_a_smallest_interval() {
    let mut bench = Bench::new(Rules { min_interval: seconds(10), ..rules() }).with_readings([1]);
    bench.message();
    bench.answer(Outcome::Sent);
    for seq in 2..=10 {
        bench.pass(Span::SECOND);
        bench = bench.with_readings([seq]);
    }
    bench.pass(Span::SECOND);
    assert_eq!(bench.deliver_all(), [[10]]);
    assert_eq!(bench.queue.losses(), Losses { superseded: 8, ..Losses::default() });
    assert!(bench.fates().contains(&(9, Fate::Dropped(Why::Superseded))));
}

#[test]
fn of_two_meters_none_starves_the_other() {
    let mut bench = Bench::new(Rules { min_interval: seconds(10), ..rules() });
    let mut sent = [0, 0];
    for second in 0..200 {
        for about in [0, 1] {
            let item = Item { about, ..bench.item(second * 2 + about, Class::Meter) };
            bench.push(item);
        }
        if let Step::Send(message) = bench.step() {
            let Item { seq, about, .. } = message.items[0];
            assert_eq!(seq, second * 2 + about, "it is the newest");
            sent[usize::try_from(about).unwrap()] += 1;
            bench.answer(Outcome::Sent);
        }
        bench.pass(Span::SECOND);
    }
    assert_eq!(sent, [10, 10]);
}

#[test]
fn a_reading_in_flight_is_not_superseded() {
    let mut bench = Bench::new(Rules { min_interval: seconds(10), ..rules() }).with_readings([1]);
    bench.message();
    bench = bench.with_readings([2, 3]);
    bench.answer(AWAY);
    bench.pass(seconds(10));
    assert_eq!(bench.deliver_all(), [[1]]);
    bench.pass(seconds(10));
    assert_eq!(bench.deliver_all(), [[3]]);
}
