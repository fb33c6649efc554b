//! The queue beside a model so plain that it can be seen to be right, and what holds whatever happens.

use std::collections::BTreeMap;

use super::*;
use crate::dice::{Dice, fuzz};

/// One row of the model: a queue without batches, in which nothing is dropped.
struct Row {
    seq: u64,
    refusals: u32,
    ready: Span,
    ends: Span,
}

/// Every rule once, written down as it is told.
struct Model {
    strict: bool,
    rows: Vec<Row>,
    failures: usize,
    held: Span,
    in_flight: Option<u64>,
    /// How many were too old since that was told last, when that was, and how many minutes the next time waits.
    untold: usize,
    told: Option<Span>,
    minutes: i64,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Send(u64),
    Wait(Span),
    Idle,
}

impl Model {
    fn next(&mut self, now: Span) -> Expected {
        let flying = self.in_flight;
        let before = self.rows.len();
        self.rows.retain(|row| row.ends > now || Some(row.seq) == flying);
        self.untold += before - self.rows.len();
        let pause = Span::MINUTE * self.minutes;
        if self.untold > 0 && self.told.is_none_or(|told| told + pause <= now) {
            let goes_on = self.told.is_some_and(|told| now <= told + pause * 2);
            self.minutes = if goes_on { (self.minutes * 2).min(60) } else { 1 };
            (self.untold, self.told) = (0, Some(now));
        }
        self.rows.sort_by_key(|row| row.seq);
        let first_end = self.rows.iter().filter(|row| Some(row.seq) != flying).map(|row| row.ends).min();
        let mut moments: Vec<Span> = first_end.into_iter().collect();
        moments.extend(self.told.filter(|_| self.untold > 0).map(|told| told + Span::MINUTE * self.minutes));
        if flying.is_none() && !self.rows.is_empty() {
            let of_interest = if self.strict { &self.rows[..1] } else { &self.rows[..] };
            if now >= self.held {
                if let Some(row) = of_interest.iter().find(|row| row.ready <= now) {
                    self.in_flight = Some(row.seq);
                    return Expected::Send(row.seq);
                }
                moments.extend(of_interest.iter().map(|row| row.ready));
            } else {
                moments.push(self.held);
            }
        }
        moments.into_iter().min().map_or(Expected::Idle, Expected::Wait)
    }

    fn answered(&mut self, outcome: &Outcome, now: Span) {
        let seq = self.in_flight.take().unwrap();
        let at = self.rows.iter().position(|row| row.seq == seq).unwrap();
        match outcome {
            Outcome::Endpoint { retry_after } => {
                self.failures += 1;
                let step = RetrySettings::STANDARD[self.failures.min(4)];
                self.held = now + retry_after.map_or(step, |asked| asked.max(Span::SECOND).min(Span::HOUR));
                return;
            }
            Outcome::Payload if self.rows[at].refusals < 2 => {
                let wait = if self.rows[at].refusals == 0 { 5 } else { 25 };
                self.rows[at].refusals += 1;
                self.rows[at].ready = now + seconds(wait);
            }
            Outcome::Sent | Outcome::Payload => drop(self.rows.remove(at)),
            Outcome::Unsaid | Outcome::Unchanged => {
                self.rows.remove(at);
                return;
            }
            Outcome::Gone => panic!("the model knows no 410"),
        }
        (self.failures, self.held) = (0, Span::ZERO);
    }
}

fn any_outcome(dice: &mut Dice) -> Outcome {
    match dice.below(11) {
        0..4 => Outcome::Sent,
        4..6 => AWAY,
        6 => Outcome::Endpoint { retry_after: Some(seconds(i64::try_from(dice.below(5_000)).unwrap())) },
        7..9 => Outcome::Payload,
        9 => Outcome::Unchanged,
        _ => Outcome::Unsaid,
    }
}

#[test]
fn fuzz_the_queue_does_what_a_plain_model_does() {
    fuzz(|dice| {
        let strict = dice.one_in(2);
        let mut bench = Bench::new(Rules { strict_order: strict, ..rules() });
        let mut model = Model {
            strict,
            rows: Vec::new(),
            failures: 0,
            held: Span::ZERO,
            in_flight: None,
            untold: 0,
            told: None,
            minutes: 1,
        };
        let mut seq = 0;
        for _ in 0..200 {
            let now = bench.now.since_start;
            if dice.one_in(3) {
                seq += 1;
                bench.push(bench.item(seq, Class::Control));
                model.rows.push(Row { seq, refusals: 0, ready: now, ends: now + Span::DAY * 3 });
            }
            let expected = model.next(now);
            let step = bench.step();
            match (&step, &expected) {
                (Step::Send(message), Expected::Send(seq)) => assert_eq!(message.items[0].seq, *seq),
                (Step::Wait(until), Expected::Wait(moment)) => assert_eq!(until, moment),
                (Step::Idle, Expected::Idle) => {}
                _ => panic!("at {now}: {step:?}, and the model says {expected:?}"),
            }
            if model.in_flight.is_some() && dice.one_in(2) {
                bench.pass(Span::from_millis(i64::try_from(dice.below(11_000)).unwrap()));
                let outcome = any_outcome(dice);
                bench.answer(outcome.clone());
                model.answered(&outcome, bench.now.since_start);
            } else if let Step::Wait(until) = step {
                let all = until - now;
                let part = dice.below(u64::try_from(all.micros()).unwrap());
                bench.pass(if dice.one_in(3) {
                    Span::from_micros(i64::try_from(part).unwrap())
                } else {
                    all
                });
            }
        }
    });
}

fn any_rules(dice: &mut Dice) -> Rules {
    let limits = |dice: &mut Dice, max_age| QueueLimits {
        max_items: 1 + dice.place(30),
        max_bytes: 200 + dice.place(3_000),
        max_age,
        when_full: dice.one_of(&[WhenFull::DropOldest, WhenFull::DropNewest]),
    };
    Rules {
        strict_order: dice.one_in(2),
        control: limits(dice, Span::DAY),
        meter: limits(dice, seconds(900)),
        batch: Batching {
            max_items: 1 + dice.place(9),
            max_wait: seconds(i64::try_from(dice.below(20)).unwrap()),
        },
        min_interval: dice.one_of(&[Span::ZERO, Span::ZERO, seconds(10)]),
        retry: RetrySettings { poison_attempts: 1 + u32::from(dice.octet() % 4), ..RetrySettings::default() },
    }
}

/// What is known of the world outside: what came in, what was tried, and what was said to have become of it.
#[derive(Default)]
struct Ledger {
    pushed: u64,
    /// What is written down, as the store has it.
    waiting: BTreeMap<u64, Item>,
    ended: BTreeMap<u64, Fate>,
    /// Members of every message that was tried, by its id.
    messages: BTreeMap<String, Vec<u64>>,
    delivered: Vec<u64>,
    overflow: u64,
    /// How many dead ones somebody wanted to have sent again; they come late then.
    brought_back: u64,
    restarts: u64,
}

impl Ledger {
    fn take(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Overflow(items) = change {
                self.overflow += items;
            }
            let Change::Item(item, fate) = change else { continue };
            if *fate == Fate::Waiting {
                assert!(self.waiting.contains_key(&item.seq), "{} waits though it has ended", item.seq);
                self.waiting.insert(item.seq, item.clone());
                continue;
            }
            assert!(self.waiting.remove(&item.seq).is_some(), "{} ends once", item.seq);
            self.ended.insert(item.seq, *fate);
            if *fate == Fate::Sent {
                self.delivered.push(item.seq);
            }
        }
    }
}

fn check(bench: &Bench, ledger: &Ledger, rules: &Rules) {
    for (class, limits) in [(Class::Control, rules.control), (Class::Meter, rules.meter)] {
        let load = bench.queue.load(class);
        assert!(load.items <= limits.max_items && load.bytes <= limits.max_bytes, "{load:?} {limits:?}");
    }
    let there = bench.queue.load(Class::Control).items + bench.queue.load(Class::Meter).items;
    assert_eq!(there, ledger.waiting.len(), "what neither waits nor has ended is lost");
    let losses = bench.queue.losses();
    let lost =
        losses.dead + losses.unsaid + losses.expired + losses.full + losses.too_large + losses.superseded;
    let ended =
        ledger.ended.values().filter(|fate| !matches!(fate, Fate::Sent | Fate::Unchanged)).count() as u64;
    assert_eq!(lost, ended + ledger.brought_back, "each loss is counted");
    assert_eq!(ledger.pushed, (ledger.waiting.len() + ledger.ended.len()) as u64);
}

#[test]
fn fuzz_nothing_is_lost_but_what_is_counted() {
    fuzz(|dice| {
        let rules = any_rules(dice);
        let mut bench = Bench::new(rules.clone());
        let mut ledger = Ledger::default();
        let mut in_flight = false;
        for _ in 0..300 {
            bench.roll = dice.below(u64::MAX);
            if dice.one_in(2) {
                push_something(&mut bench, &mut ledger, dice);
            }
            match bench.queue.next(bench.now) {
                Step::Write(changes) => ledger.take(&changes),
                Step::Send(message) => {
                    assert!(!in_flight, "one message is in flight at most");
                    in_flight = true;
                    assert!(message.items.len() <= rules.batch.max_items);
                    let seqs: Vec<u64> = message.items.iter().map(|item| item.seq).collect();
                    let known = ledger.messages.entry(message.id).or_insert_with(|| seqs.clone());
                    assert_eq!(*known, seqs, "an id is for one content");
                }
                Step::Wait(until) => {
                    let all = u64::try_from((until - bench.now.since_start).micros()).unwrap();
                    let part = if dice.one_in(2) { all } else { dice.below(all) };
                    bench.pass(Span::from_micros(i64::try_from(part).unwrap()));
                }
                Step::Idle => bench.pass(seconds(1)),
            }
            if in_flight && dice.one_in(2) {
                bench.pass(Span::from_millis(i64::try_from(dice.below(12_000)).unwrap()));
                let outcome = if dice.one_in(40) { Outcome::Gone } else { any_outcome(dice) };
                let changes = bench.answer(outcome);
                ledger.take(&changes);
                in_flight = false;
            }
            if dice.one_in(50) {
                restart(&mut bench, &mut ledger, &rules);
                in_flight = false;
            }
            if dice.one_in(20) {
                somebody_interferes(&mut bench, &mut ledger, dice);
            }
            check(&bench, &ledger, &rules);
        }
        if in_flight {
            let changes = bench.answer(Outcome::Sent);
            ledger.take(&changes);
        }
        bench.queue.resume(bench.now);
        finish(&mut bench, &mut ledger);
        check(&bench, &ledger, &rules);
        assert!(ledger.waiting.is_empty(), "once the faults are over everything gets there, or ends");
        let losses = bench.queue.losses();
        let told = losses.expired + losses.full + losses.too_large;
        assert!(
            ledger.overflow <= told && (ledger.restarts > 0 || ledger.overflow == told),
            "all are told of"
        );
        if rules.strict_order && rules.min_interval.is_zero() && ledger.brought_back == 0 {
            assert!(ledger.delivered.is_sorted(), "in strict order: {:?}", ledger.delivered);
        }
    });
}

fn push_something(bench: &mut Bench, ledger: &mut Ledger, dice: &mut Dice) {
    ledger.pushed += 1;
    let item = Item {
        about: dice.below(2),
        weight: 50 + dice.place(300),
        ..bench.item(ledger.pushed, dice.one_of(&[Class::Control, Class::Meter]))
    };
    ledger.waiting.insert(item.seq, item.clone());
    let changes = bench.queue.push(item, bench.now);
    ledger.take(&changes);
}

fn somebody_interferes(bench: &mut Bench, ledger: &mut Ledger, dice: &mut Dice) {
    let changes = match dice.below(5) {
        0 => bench.queue.pause(),
        1 => {
            let dead = ledger.ended.iter().find(|(_, fate)| **fate == Fate::Dead).map(|(seq, _)| *seq);
            let Some(seq) = dead else { return };
            ledger.ended.remove(&seq);
            ledger.brought_back += 1;
            let item = Item { weight: 50, ..bench.item(seq, Class::Control) };
            ledger.waiting.insert(seq, item.clone());
            bench.queue.push(item, bench.now)
        }
        2 => bench.queue.send_now(bench.now),
        _ => bench.queue.resume(bench.now),
    };
    ledger.take(&changes);
}

/// What is written down is all that is known afterwards; the clock may have been set meanwhile.
fn restart(bench: &mut Bench, ledger: &mut Ledger, rules: &Rules) {
    ledger.restarts += 1;
    let standing = bench.queue.standing();
    let losses = bench.queue.losses();
    let now = Now { since_start: Span::ZERO, wall: bench.now.wall + seconds(1) };
    bench.now = now;
    bench.queue = Queue::new(rules.clone(), standing, now);
    bench.queue.tally.losses = losses;
    for item in ledger.waiting.clone().into_values() {
        let changes = bench.queue.push(item, now);
        ledger.take(&changes);
    }
}

fn finish(bench: &mut Bench, ledger: &mut Ledger) {
    for _ in 0..10_000 {
        match bench.queue.next(bench.now) {
            Step::Write(changes) => ledger.take(&changes),
            Step::Send(_) => {
                let changes = bench.answer(Outcome::Sent);
                ledger.take(&changes);
            }
            Step::Wait(until) => bench.pass(until - bench.now.since_start),
            Step::Idle => return,
        }
    }
    panic!("it comes to no end");
}
