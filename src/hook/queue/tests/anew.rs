//! A queue that goes on by other rules.

use super::*;

#[test]
fn other_rules_find_all_that_waits_in_its_order_and_forgive_the_endpoint() {
    let mut bench = Bench::new(rules()).with(1..=3).with_readings([4]);
    bench.message();
    bench.answer(AWAY);
    assert_eq!(bench.waits(), seconds(5));
    let waiting = bench.queue.begin_anew(rules());
    assert_eq!(waiting.iter().map(|item| item.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((bench.queue.load(Class::Control).items, bench.queue.standing()), (0, Standing::default()));
    assert_eq!(waiting[0].attempts, 1, "what was tried was tried");
    waiting.into_iter().for_each(|item| bench.push(item));
    assert_eq!(bench.sends(), [1], "at once");
}

#[test]
fn a_message_that_was_refused_has_all_its_tries_again_and_an_endpoint_that_was_gone_is_asked_again() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(Outcome::Payload);
    let waiting = bench.queue.begin_anew(rules());
    assert!(waiting.iter().all(|item| item.refusals == 0 && item.next_at.is_none()));
    waiting.into_iter().for_each(|item| bench.push(item));
    assert_eq!(bench.sends(), [1]);
    bench.answer(Outcome::Gone);
    assert!(!matches!(bench.step(), Step::Send(_)));
    let waiting = bench.queue.begin_anew(rules());
    waiting.into_iter().for_each(|item| bench.push(item));
    assert_eq!(bench.sends(), [1]);
}

#[test]
fn a_pause_stays_and_smaller_bounds_hold_at_once() {
    let mut bench = Bench::new(rules()).with(1..=5);
    bench.queue.pause();
    let control = QueueLimits { max_items: 2, ..QueueLimits::CONTROL };
    let waiting = bench.queue.begin_anew(Rules { control, ..rules() });
    waiting.into_iter().for_each(|item| bench.push(item));
    assert!(bench.queue.standing().paused);
    assert!(!matches!(bench.queue.next(bench.now), Step::Send(_)));
    bench.queue.resume(bench.now);
    assert_eq!(bench.queue.load(Class::Control).items, 2);
    assert_eq!((bench.queue.losses().full, bench.sends()), (3, vec![4]), "the oldest give way");
}
