//! What a full queue loses, and what grows too old.

use super::*;

fn limited(max_items: usize, max_bytes: usize, when_full: WhenFull) -> Rules {
    let control = QueueLimits { max_items, max_bytes, when_full, ..QueueLimits::CONTROL };
    let meter = QueueLimits { max_items, max_bytes, when_full, ..QueueLimits::METER };
    Rules { control, meter, ..rules() }
}

#[test]
fn a_full_queue_drops_its_oldest_and_says_so() {
    let mut bench = Bench::new(limited(3, 1_000, WhenFull::DropOldest)).with(1..=5);
    assert_eq!(bench.fates(), [(1, Fate::Dropped(Why::Full)), (2, Fate::Dropped(Why::Full))]);
    assert_eq!(bench.queue.losses(), Losses { full: 2, ..Losses::default() });
    assert_eq!(bench.queue.load(Class::Control), Load { items: 3, bytes: 300 });
    assert_eq!(bench.deliver_all(), [[3], [4], [5]]);
    assert_eq!(bench.queue.load(Class::Control), Load::default());
}

#[test]
fn a_full_queue_drops_its_newest_where_that_is_asked_for() {
    let mut bench = Bench::new(limited(3, 1_000, WhenFull::DropNewest)).with(1..=5);
    assert_eq!(bench.fates(), [(4, Fate::Dropped(Why::Full)), (5, Fate::Dropped(Why::Full))]);
    assert_eq!(bench.deliver_all(), [[1], [2], [3]]);
}

#[test]
fn bytes_are_bounded_too() {
    let mut bench = Bench::new(limited(100, 250, WhenFull::DropOldest)).with(1..=2);
    let heavy = Item { weight: 240, ..bench.item(3, Class::Control) };
    bench.push(heavy);
    assert_eq!(bench.fates(), [(1, Fate::Dropped(Why::Full)), (2, Fate::Dropped(Why::Full))]);
    assert_eq!(bench.deliver_all(), [[3]]);
}

#[test]
fn what_is_larger_than_the_queue_drops_nothing_but_itself() {
    let mut bench = Bench::new(limited(100, 250, WhenFull::DropOldest)).with(1..=2);
    let heavy = Item { weight: 251, ..bench.item(3, Class::Control) };
    bench.push(heavy);
    assert_eq!(bench.fates(), [(3, Fate::Dropped(Why::TooLarge))]);
    assert_eq!(bench.deliver_all(), [[1], [2]]);
}

#[test]
fn facts_of_meters_push_out_no_control_facts() {
    let bench = Bench::new(limited(2, 1_000, WhenFull::DropOldest)).with([1, 2]).with_readings(3..=100);
    assert!(bench.fates().iter().all(|(seq, _)| *seq > 2), "{:?}", bench.fates());
    assert_eq!(bench.queue.load(Class::Control).items, 2);
    assert_eq!(bench.queue.load(Class::Meter).items, 2);
}

#[test]
fn what_is_in_flight_gives_way_to_nobody() {
    let mut bench = Bench::new(limited(2, 1_000, WhenFull::DropOldest)).with([1, 2]);
    assert_eq!(bench.sends(), [1]);
    bench = bench.with([3]);
    assert_eq!(bench.fates(), [(2, Fate::Dropped(Why::Full))]);
    bench.answer(Outcome::Sent);
    assert_eq!(bench.deliver_all(), [[3]]);
    let mut bench = Bench::new(limited(1, 1_000, WhenFull::DropOldest)).with([1]);
    bench.message();
    bench = bench.with([2]);
    assert_eq!(bench.fates(), [(2, Fate::Dropped(Why::Full))], "there is nothing else that could");
}

#[test]
fn rows_age_out_one_by_one_even_while_nothing_can_be_sent() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.queue.pause();
    bench.pass(Span::HOUR);
    bench = bench.with([2]);
    assert_eq!(bench.waits(), Span::DAY * 3 - Span::HOUR);
    bench.pass(Span::DAY * 3 - Span::HOUR);
    assert_eq!(bench.waits(), Span::HOUR);
    assert_eq!(bench.fates(), [(1, Fate::Expired)]);
    bench.pass(Span::HOUR);
    assert_eq!(bench.step(), Step::Idle);
    assert_eq!(bench.queue.losses(), Losses { expired: 2, ..Losses::default() });
}

#[test]
fn what_is_in_flight_does_not_grow_too_old_before_its_answer() {
    let mut bench = Bench::new(rules()).with_readings([1]);
    bench.message();
    bench.pass(seconds(1_000));
    assert_eq!(bench.step(), Step::Idle);
    let mut other = Bench { queue: bench.queue.clone(), written: Vec::new(), ..bench };
    bench.answer(Outcome::Sent);
    assert_eq!(bench.fates(), [(1, Fate::Sent)]);
    other.answer(AWAY);
    assert_eq!(other.step(), Step::Idle);
    assert_eq!(other.fates().last(), Some(&(1, Fate::Expired)));
}

#[test]
fn what_waited_before_a_restart_is_as_old_as_it_is() {
    let mut bench = Bench::new(rules());
    let old = Item { since: bench.now.wall - Span::DAY * 2, ..bench.item(1, Class::Control) };
    let too_old = Item { since: bench.now.wall - Span::DAY * 3, ..bench.item(2, Class::Control) };
    let of_the_future = Item { since: bench.now.wall + Span::DAY * 99, ..bench.item(3, Class::Control) };
    bench.queue.pause();
    for item in [old, too_old, of_the_future] {
        bench.push(item);
    }
    assert_eq!(bench.waits(), Span::DAY);
    assert_eq!(bench.fates(), [(2, Fate::Expired)]);
    bench.pass(Span::DAY);
    assert_eq!(bench.waits(), Span::DAY * 2, "of the future means no older than now");
}

#[test]
fn an_overflow_is_told_at_once_then_ever_more_seldom_and_in_the_end_for_all() {
    let mut bench = Bench::new(limited(1, 1_000, WhenFull::DropOldest)).with([0]);
    bench.queue.pause();
    let lose = |mut bench: Bench, items: std::ops::RangeInclusive<u64>| {
        for item in items {
            bench = bench.with([item]);
            assert!(matches!(bench.step(), Step::Wait(_)));
            bench.pass(Span::SECOND);
        }
        bench
    };
    bench = lose(bench, 1..=150);
    let told = |bench: &Bench| -> Vec<u64> {
        let count = |change: &Change| if let Change::Overflow(items) = change { Some(*items) } else { None };
        bench.written.iter().filter_map(count).collect()
    };
    assert_eq!(told(&bench), [1, 60]);
    let wait = bench.waits();
    assert_eq!(wait, seconds(30), "the rest is not forgotten");
    bench.pass(wait);
    assert!(matches!(bench.step(), Step::Wait(_)));
    assert_eq!(told(&bench), [1, 60, 89]);
    bench = lose(bench, 151..=20_000);
    assert_eq!(told(&bench)[3..], [241, 480, 960, 1920, 3600, 3600, 3600, 3600], "an hour at most");
    bench.pass(Span::HOUR * 3);
    assert!(matches!(bench.step(), Step::Wait(_)));
    let all = bench.queue.losses().full;
    assert_eq!((told(&bench).iter().sum::<u64>(), all), (20_000, 20_000));
    bench.pass(Span::HOUR * 3);
    bench = lose(bench, 20_001..=20_061);
    assert_eq!(told(&bench)[12..], [1, 60], "another one is told at once");
}

#[test]
fn what_an_interval_leaves_out_is_no_overflow() {
    let mut bench = Bench::new(Rules { min_interval: seconds(10), ..rules() }).with_readings(1..=9);
    assert_eq!(bench.deliver_all(), [[9]]);
    assert!(!bench.written.iter().any(|change| matches!(change, Change::Overflow(_))));
}

#[test]
fn ten_thousand_wait_in_bounded_memory_and_go_in_a_moment() {
    let mut bench = Bench::new(rules()).with(1..=25_000);
    assert_eq!(bench.queue.load(Class::Control), Load { items: 10_000, bytes: 1_000_000 });
    assert_eq!(bench.deliver_all().len(), 10_000);
}

#[test]
fn a_day_of_telegrams_to_a_dead_endpoint_keeps_600_and_counts_the_rest() {
    let mut bench = Bench::new(rules());
    let (mut probes, mut told) = (0, 0);
    for second in 0..86_400 {
        bench = bench.with_readings([second]);
        if let Step::Send(_) = bench.step() {
            probes += 1;
            bench.answer(AWAY);
        }
        for change in bench.written.drain(..) {
            told += if let Change::Overflow(items) = change { items } else { 0 };
        }
        assert!(bench.queue.load(Class::Meter).items <= 600);
        bench.pass(Span::SECOND);
    }
    assert!((285..300).contains(&probes), "one in five minutes, found {probes}");
    assert!(matches!(bench.step(), Step::Wait(_)));
    bench.queue.send_now(bench.now);
    assert_eq!(bench.deliver_all().len(), 600);
    assert_eq!(bench.queue.losses(), Losses { full: 86_400 - 600, ..Losses::default() });
    assert!(86_400 - 600 - told <= 3_600, "all but the last hour was told of: {told}");
}

#[test]
fn the_oldest_is_what_has_waited_longest_of_either_class() {
    let mut bench = Bench::new(rules());
    assert_eq!(bench.queue.oldest(), None);
    for (seq, class, born) in [(1, Class::Meter, 20), (2, Class::Control, 30), (3, Class::Control, 10)] {
        let since = bench.now.wall - seconds(born);
        let item = Item { since, ..bench.item(seq, class) };
        assert_eq!(bench.queue.push(item, bench.now), []);
    }
    assert_eq!(bench.queue.oldest(), Some(bench.now.wall - seconds(30)));
}
