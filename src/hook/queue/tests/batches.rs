//! Several items in one message.

use super::*;

fn batches(max_items: usize, max_wait: i64) -> Rules {
    Rules { batch: Batching { max_items, max_wait: seconds(max_wait) }, ..rules() }
}

/// Sends until nothing is left, to an endpoint that refuses every message with one of these in it; gives every message.
fn deliver_to_one_who_refuses(bench: &mut Bench, poison: &[u64]) -> Vec<Vec<u64>> {
    let mut sent = Vec::new();
    loop {
        match bench.step() {
            Step::Send(message) => {
                let seqs: Vec<u64> = message.items.iter().map(|item| item.seq).collect();
                let refused = seqs.iter().any(|seq| poison.contains(seq));
                bench.answer(if refused { Outcome::Payload } else { Outcome::Sent });
                sent.push(seqs);
            }
            Step::Wait(until) => bench.pass(until - bench.now.since_start),
            Step::Idle => return sent,
            Step::Write(_) => panic!("it is written"),
        }
    }
}

#[test]
fn a_full_batch_goes_at_once_and_a_part_of_one_after_its_wait() {
    let mut bench = Bench::new(batches(3, 60)).with(1..=4);
    assert_eq!(bench.sends(), [1, 2, 3]);
    bench.answer(Outcome::Sent);
    assert_eq!(bench.waits(), seconds(60));
    bench.pass(seconds(20));
    bench = bench.with([5]);
    assert_eq!(bench.waits(), seconds(40), "counted from the first of them");
    bench.pass(seconds(40));
    assert_eq!(bench.sends(), [4, 5]);
}

#[test]
fn the_id_of_a_single_item_is_its_own() {
    let mut bench = Bench::new(batches(3, 0)).with([1]);
    assert_eq!(bench.message().id, "id-1");
}

#[test]
fn members_and_id_are_frozen_before_the_first_try_and_written_down() {
    let mut bench = Bench::new(batches(10, 0)).with([1, 2]);
    let Step::Write(changes) = bench.queue.next(bench.now) else { panic!("it is to be written first") };
    let batch: Vec<_> = changes
        .iter()
        .map(|change| {
            let Change::Item(item, Fate::Waiting) = change else { panic!("{change:?}") };
            (item.seq, item.batch.is_some())
        })
        .collect();
    assert_eq!(batch, [(1, true), (2, true)]);
    let first = bench.message();
    bench.answer(AWAY);
    bench = bench.with([3]);
    bench.pass(seconds(5));
    let second = bench.message();
    assert_eq!(second.id, first.id);
    assert_eq!(second.items.len(), 2, "no other joins it");
    let uuid: Vec<usize> = first.id.split('-').map(str::len).collect();
    assert_eq!(uuid, [8, 4, 4, 4, 12]);
    assert_eq!(&first.id[14..15], "8");
    assert!(first.id[19..20].contains(['8', '9', 'a', 'b']), "{}", first.id);
    bench.answer(Outcome::Sent);
    assert_eq!(bench.sends(), [3]);
}

#[test]
fn a_single_item_that_was_tried_is_joined_by_no_other() {
    let mut bench = Bench::new(batches(10, 0)).with([1]);
    bench.message();
    bench.answer(AWAY);
    bench = bench.with([2]);
    bench.pass(seconds(5));
    assert_eq!(bench.message().id, "id-1");
}

#[test]
fn a_batch_is_the_same_after_a_restart() {
    let mut bench = Bench::new(batches(10, 0)).with([1, 2, 3]);
    let first = bench.message();
    let written: Vec<Item> = bench
        .written
        .iter()
        .filter_map(|change| match change {
            Change::Item(item, _) => Some(item.clone()),
            Change::Standing(_)
            | Change::Failing
            | Change::Recovered
            | Change::Disabled
            | Change::Overflow(_) => None,
        })
        .collect();
    assert_eq!(written.len(), 3);
    let mut again = Bench::new(batches(10, 0));
    for item in written {
        again.push(item);
    }
    let mut again = again.with([4]);
    let second = again.message();
    assert_eq!(second.id, first.id);
    assert_eq!(second.items.len(), 3);
    again.answer(Outcome::Sent);
    assert_eq!(again.sends(), [4]);
}

#[test]
fn facts_of_control_and_of_meters_share_no_message() {
    let mut bench = Bench::new(batches(10, 60)).with([1]).with_readings([2, 3]).with([4]);
    assert_eq!(bench.sends(), [1], "a strict order leaves nothing to wait for");
    bench.answer(Outcome::Sent);
    assert_eq!(bench.sends(), [2, 3]);
    let rules = Rules { strict_order: false, ..batches(2, 60) };
    let mut bench = Bench::new(rules).with([1]).with_readings([2, 3]).with([4]);
    assert_eq!(bench.sends(), [1, 4]);
    bench.answer(Outcome::Sent);
    assert_eq!(bench.sends(), [2, 3]);
}

#[test]
fn send_now_does_not_wait_for_company() {
    let mut bench = Bench::new(batches(10, 60)).with([1]);
    assert_eq!(bench.waits(), seconds(60));
    bench.queue.send_now(bench.now);
    assert_eq!(bench.sends(), [1]);
}

#[test]
fn a_poisoned_batch_is_cut_in_halves_until_the_culprit_stands_alone() {
    let mut bench = Bench::new(batches(8, 0)).with(1..=8);
    let sent = deliver_to_one_who_refuses(&mut bench, &[6]);
    let expected: [&[u64]; 8] =
        [&[1, 2, 3, 4, 5, 6, 7, 8], &[1, 2, 3, 4], &[5, 6, 7, 8], &[5, 6], &[5], &[6], &[6], &[7, 8]];
    assert_eq!(sent, expected);
    assert_eq!(bench.queue.losses(), Losses { dead: 1, ..Losses::default() });
}

/// The promise is 2·log2(n) + 1 requests more than the one, for each row that is refused.
#[test]
fn a_poisoned_row_costs_few_requests_and_takes_no_other_with_it() {
    for size in 1..=33_u64 {
        for culprit in 1..=size {
            let most = usize::try_from(size).unwrap();
            let mut bench = Bench::new(batches(most, 0)).with(1..=size);
            let sent = deliver_to_one_who_refuses(&mut bench, &[culprit]);
            let halvings = usize::try_from(size.next_power_of_two().ilog2()).unwrap();
            let allowed = if size == 1 { 2 } else { 2 * halvings + 1 };
            assert!(sent.len() - 1 <= allowed, "{culprit} of {size}: {sent:?}");
            let delivered = bench.fates().iter().filter(|(_, fate)| *fate == Fate::Sent).count();
            assert_eq!(delivered, most - 1, "{culprit} of {size}");
            assert_eq!(bench.fates().iter().filter(|fate| **fate == (culprit, Fate::Dead)).count(), 1);
        }
    }
}

#[test]
fn several_poisoned_rows_cost_no_more_each_and_the_order_holds() {
    let mut bench = Bench::new(batches(16, 0)).with(1..=16);
    let sent = deliver_to_one_who_refuses(&mut bench, &[3, 4, 16]);
    assert!(sent.len() - 1 <= 3 * (2 * 4 + 1), "{sent:?}");
    let delivered: Vec<u64> =
        bench.fates().into_iter().filter_map(|(seq, fate)| (fate == Fate::Sent).then_some(seq)).collect();
    assert_eq!(delivered, [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn a_batch_that_cannot_be_put_into_words_is_cut_too_and_costs_no_request() {
    let mut bench = Bench::new(batches(4, 0)).with(1..=4);
    let mut requests = 0;
    while let Step::Send(message) = bench.step() {
        let unsaid = message.items.iter().any(|item| item.seq == 2);
        requests += u32::from(!unsaid);
        bench.answer(if unsaid { Outcome::Unsaid } else { Outcome::Sent });
    }
    assert_eq!(requests, 2, "[1] and [3, 4]");
    assert_eq!(bench.queue.losses(), Losses { unsaid: 1, ..Losses::default() });
}

#[test]
fn a_batch_that_loses_a_member_is_another_message() {
    let limits = QueueLimits { max_items: 3, ..QueueLimits::CONTROL };
    let mut bench = Bench::new(Rules { control: limits, ..batches(3, 0) }).with([1, 2, 3]);
    let whole = bench.message();
    bench.answer(AWAY);
    bench = bench.with([4]);
    bench.pass(seconds(5));
    let rest = bench.message();
    assert_eq!(rest.items.len(), 2);
    assert_ne!(rest.id, whole.id);
}
