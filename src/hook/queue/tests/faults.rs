//! What follows from faults of the endpoint, and of messages.

use super::*;

#[test]
fn the_standard_schedule_is_0_5s_5min_30min_then_hourly_until_it_is_too_old() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.message();
    bench.answer(AWAY);
    for wait in [5, 300, 1800, 3600, 3600, 3600] {
        assert_eq!(bench.next_try(AWAY), seconds(wait));
    }
    let mut tries = 7;
    while !matches!(bench.step(), Step::Idle) {
        let wait = bench.waits();
        bench.pass(wait);
        if let Step::Send(_) = bench.step() {
            bench.answer(AWAY);
            tries += 1;
        }
    }
    assert_eq!(bench.now.since_start, Span::DAY * 3, "the row ends at its max_age to the second");
    assert_eq!(tries, 4 + 71, "hourly to the end");
    assert_eq!(bench.fates().last(), Some(&(1, Fate::Expired)));
    assert_eq!(bench.queue.losses(), Losses { expired: 1, ..Losses::default() });
}

#[test]
fn other_schedules_are_kept_as_they_are_written() {
    let list = RetrySettings::STANDARD_WEBHOOKS.to_vec();
    let sum = list.iter().copied().fold(Span::ZERO, |sum, step| sum + step);
    assert_eq!(sum, seconds(75 * 3600 + 35 * 60 + 5), "the span that Standard Webhooks names");
    for own in [list, vec![seconds(2), seconds(3), seconds(7)]] {
        let mut rules = rules();
        rules.retry.schedule = own.clone();
        rules.control.max_age = Span::DAY * 300;
        let mut bench = Bench::new(rules).with([1]);
        let mut steps = own.iter();
        if own[0] > Span::ZERO {
            assert_eq!(bench.next_try(AWAY), own[0], "the first step is before the first try");
        } else {
            bench.message();
            bench.answer(AWAY);
        }
        steps.next();
        for step in steps {
            assert_eq!(bench.next_try(AWAY), *step);
        }
        assert_eq!(bench.next_try(AWAY), *own.last().unwrap(), "the last is repeated");
    }
}

#[test]
fn facts_of_meters_are_retried_at_0_5s_30s_2min_5min_and_are_stale_after_15min() {
    let mut bench = Bench::new(rules()).with_readings([1]);
    bench.message();
    bench.answer(AWAY);
    for wait in [5, 30, 120, 300, 300] {
        assert_eq!(bench.next_try(AWAY), seconds(wait));
    }
    let left = seconds(900) - bench.now.since_start;
    assert_eq!(bench.waits(), left);
    bench.pass(left);
    assert_eq!(bench.step(), Step::Idle);
    assert_eq!(bench.fates().last(), Some(&(1, Fate::Expired)));
}

#[test]
fn jitter_is_by_the_dice_that_are_given_and_a_fifth_at_most() {
    let mut waits = Vec::new();
    for throw in 0..200_u64 {
        let mut rules = rules();
        rules.retry.jitter_percent = 20;
        let mut bench = Bench::new(rules).with([1]);
        bench.roll = throw.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bench.message();
        bench.answer(AWAY);
        let wait = bench.waits();
        assert!(wait >= seconds(4) && wait <= seconds(6), "{wait}");
        waits.push(wait);
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 150, "the dice are used: {} different waits", waits.len());
}

#[test]
fn an_endpoint_that_fails_holds_the_whole_hook_and_one_probe_serves_the_queue() {
    for strict_order in [true, false] {
        let mut bench = Bench::new(Rules { strict_order, ..rules() }).with(1..=100);
        assert_eq!(bench.sends(), [1]);
        bench.answer(AWAY);
        let mut probes = 1;
        while bench.now.since_start < Span::DAY {
            let wait = bench.waits();
            bench.pass(wait);
            assert_eq!(bench.sends(), [1], "the probe is always the first");
            bench.answer(AWAY);
            probes += 1;
        }
        assert_eq!(probes, 4 + 24, "one for each step of the schedule, not one for each row");
        let wait = bench.waits();
        bench.pass(wait);
        assert_eq!(bench.deliver_all().len(), 100, "once it is back all go at once");
    }
}

#[test]
fn failing_and_recovered_are_told_once() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(AWAY);
    for _ in 0..5 {
        bench.next_try(AWAY);
    }
    assert_eq!(bench.times_written(&Change::Failing), 1);
    assert_eq!(bench.times_written(&Change::Recovered), 0);
    bench.next_try(Outcome::Sent);
    bench.deliver_all();
    assert_eq!(bench.times_written(&Change::Failing), 1);
    assert_eq!(bench.times_written(&Change::Recovered), 1);
    assert_eq!(bench.queue.standing(), Standing::default());
}

#[test]
fn who_refuses_a_message_is_alive() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(AWAY);
    bench.next_try(Outcome::Payload);
    assert_eq!(bench.times_written(&Change::Recovered), 1);
    assert_eq!(bench.queue.standing().failures, 0);
}

#[test]
fn retry_after_is_honoured_to_the_second_and_capped_at_an_hour() {
    for (asked, wait) in [(6, 6), (90, 90), (3600, 3600), (86_400, 3600), (0, 1), (-5, 1), (i64::MAX, 3600)] {
        let mut bench = Bench::new(rules()).with([1]);
        bench.message();
        bench.answer(Outcome::Endpoint { retry_after: Some(seconds(asked)) });
        assert_eq!(bench.waits(), seconds(wait), "Retry-After: {asked}");
    }
}

#[test]
fn a_message_that_is_refused_is_tried_at_0_5_and_30_s_and_the_next_goes_on_at_once() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    assert_eq!(bench.sends(), [1]);
    bench.answer(Outcome::Payload);
    assert_eq!(bench.next_try(Outcome::Payload), seconds(5));
    assert_eq!(bench.next_try(Outcome::Payload), seconds(25));
    assert_eq!(bench.fates().last(), Some(&(1, Fate::Dead)));
    assert_eq!(bench.sends(), [2], "the next row follows at once");
    assert_eq!(bench.times_written(&Change::Failing), 0, "the endpoint is not failing");
    assert_eq!(bench.queue.losses(), Losses { dead: 1, ..Losses::default() });
}

#[test]
fn three_tries_of_a_poisoned_message_take_36_s_at_most_whatever_the_dice_say() {
    for roll in [0, 1, 12_345_678, u64::MAX, u64::MAX / 3] {
        let mut rules = rules();
        rules.retry.jitter_percent = 20;
        let mut bench = Bench::new(rules).with([1]);
        bench.roll = roll;
        bench.message();
        bench.answer(Outcome::Payload);
        bench.next_try(Outcome::Payload);
        bench.next_try(Outcome::Payload);
        assert_eq!(bench.fates().last(), Some(&(1, Fate::Dead)));
        assert!(bench.now.since_start <= seconds(36), "{}", bench.now.since_start);
    }
}

#[test]
fn poison_attempts_can_be_set() {
    for (attempts, tries) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
        let mut rules = rules();
        rules.retry.poison_attempts = attempts;
        let mut bench = Bench::new(rules).with([1]);
        bench.message();
        bench.answer(Outcome::Payload);
        let mut tried = 1;
        while let Step::Wait(_) = bench.step() {
            bench.next_try(Outcome::Payload);
            tried += 1;
        }
        assert_eq!(tried, tries);
        assert_eq!(bench.fates().last(), Some(&(1, Fate::Dead)));
    }
}

#[test]
fn faults_of_the_endpoint_do_not_make_a_message_poison() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.message();
    bench.answer(AWAY);
    for _ in 0..10 {
        bench.next_try(AWAY);
    }
    bench.next_try(Outcome::Payload);
    assert_eq!(bench.fates().last(), Some(&(1, Fate::Waiting)));
    let Some(Change::Item(item, _)) = bench.written.iter().find(|change| matches!(change, Change::Item(..)))
    else {
        panic!("nothing was written")
    };
    assert_eq!((item.attempts, item.refusals), (1, 0));
}

#[test]
fn what_cannot_be_put_into_words_is_an_error_at_once_and_the_next_goes_on() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    let changes = bench.answer(Outcome::Unsaid);
    let Some(Change::Item(item, Fate::Unsaid)) = changes.first() else { panic!("{changes:?}") };
    assert_eq!((item.seq, item.attempts), (1, 0), "nothing was sent");
    assert_eq!(bench.sends(), [2]);
}

#[test]
fn gone_disables_the_hook_until_it_is_resumed_and_nothing_is_lost() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(Outcome::Gone);
    assert_eq!(bench.times_written(&Change::Disabled), 1);
    assert_eq!(bench.waits(), Span::DAY * 3, "nothing is sent; only age ends it");
    let standing = bench.queue.standing();
    assert!(standing.disabled, "it is kept over a restart");
    let mut again = Bench::restarted(rules(), standing).with([1, 2, 3]);
    assert_eq!(again.waits(), Span::DAY * 3);
    again.queue.send_now(again.now);
    assert_eq!(again.waits(), Span::DAY * 3, "to send now is not to resume");
    let changes = again.queue.resume(again.now);
    assert_eq!(changes, [Change::Standing(Standing::default())]);
    assert_eq!(again.deliver_all(), [[1], [2], [3]]);
}

#[test]
fn a_paused_hook_sends_nothing_and_takes_what_comes() {
    let mut bench = Bench::new(rules());
    bench.queue.pause();
    let mut bench = bench.with([1, 2]);
    assert_eq!(bench.waits(), Span::DAY * 3);
    bench.queue.resume(bench.now);
    assert_eq!(bench.deliver_all(), [[1], [2]]);
}

#[test]
fn send_now_waits_for_nothing() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.message();
    bench.answer(AWAY);
    for _ in 0..5 {
        bench.next_try(AWAY);
    }
    assert_eq!(bench.waits(), Span::HOUR);
    bench.queue.send_now(bench.now);
    assert_eq!(bench.sends(), [1]);
    bench.answer(Outcome::Payload);
    assert_eq!(bench.waits(), seconds(5));
    bench.queue.send_now(bench.now);
    assert_eq!(bench.deliver_all(), [[1]]);
}

#[test]
fn what_is_dead_can_be_sent_again_and_has_all_its_tries_anew() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.message();
    bench.answer(Outcome::Payload);
    bench.next_try(Outcome::Payload);
    bench.next_try(Outcome::Payload);
    let Some(Change::Item(dead, Fate::Dead)) = bench.written.last().cloned() else { panic!("it is dead") };
    bench.pass(Span::DAY * 29);
    bench = bench.with([7]);
    bench.push(Item { since: bench.now.wall, refusals: 0, ..dead });
    assert_eq!(bench.sends(), [1], "however old it is");
    bench.answer(Outcome::Payload);
    assert_eq!(bench.next_try(Outcome::Sent), seconds(5));
    let Some((1, Fate::Sent)) = bench.fates().last() else { panic!("it is sent") };
    assert_eq!(bench.sends(), [7]);
}

#[test]
fn a_hold_goes_on_after_a_restart_at_the_step_where_it_was() {
    let mut bench = Bench::new(rules()).with([1]);
    bench.message();
    bench.answer(AWAY);
    for _ in 0..2 {
        bench.next_try(AWAY);
    }
    let standing = bench.queue.standing();
    let mut again = Bench::restarted(rules(), standing);
    // Down for ten minutes of the half hour.
    again.now = Now { wall: bench.now.wall + seconds(600), since_start: Span::ZERO };
    again.queue = Queue::new(rules(), standing, again.now);
    let mut again = again.with([1]);
    assert_eq!(again.next_try(AWAY), seconds(1200));
    assert_eq!(again.waits(), Span::HOUR);
    assert_eq!(again.times_written(&Change::Failing), 0, "it was told before the restart");
}

#[test]
fn a_clock_that_was_set_back_before_a_restart_delays_by_the_longest_step_at_most() {
    let years_ahead = Timestamp::from_seconds(1_900_000_000) + Span::DAY * 4_000;
    let standing = Standing { failures: 2, next_at: Some(years_ahead), ..Standing::default() };
    let mut bench = Bench::restarted(rules(), standing).with([1]);
    assert_eq!(bench.waits(), Span::HOUR);
    let mut bench = Bench::new(rules());
    let item = Item { next_at: Some(years_ahead), refusals: 1, ..bench.item(1, Class::Control) };
    bench.push(item);
    assert_eq!(bench.waits(), Span::HOUR);
}

#[test]
fn steps_of_the_wall_clock_neither_hold_up_nor_hurry_nor_age_anything() {
    for step in [Span::DAY * 3_650, Span::DAY * -3_650, Span::HOUR, Span::HOUR * -1] {
        let mut bench = Bench::new(rules()).with([1, 2]);
        bench.message();
        bench.answer(AWAY);
        bench.now.wall += step;
        assert_eq!(bench.next_try(AWAY), seconds(5), "after a step by {step}");
        assert_eq!(bench.next_try(Outcome::Sent), seconds(300));
        assert_eq!(bench.deliver_all(), [[2]]);
        assert_eq!(bench.queue.losses(), Losses::default());
    }
}

#[test]
fn what_says_nothing_new_is_left_out_and_is_no_sign_of_life() {
    let mut bench = Bench::new(rules()).with([1, 2]);
    bench.message();
    bench.answer(AWAY);
    bench.pass(seconds(5));
    bench.message();
    let changes = bench.answer(Outcome::Unchanged);
    let Some(Change::Item(item, Fate::Unchanged)) = changes.first() else { panic!("{changes:?}") };
    assert_eq!((item.seq, item.attempts, changes.len()), (1, 1, 1));
    assert_eq!(bench.queue.standing().failures, 1);
    assert_eq!(bench.queue.losses(), Losses::default());
    assert_eq!(bench.sends(), [2]);
}
