//! The queue in virtual time.

mod anew;
mod batches;
mod bounds;
mod faults;
mod model;
mod order;

use super::*;
use crate::hook::settings::WhenFull;
use crate::time::Timestamp;

pub(super) const AWAY: Outcome = Outcome::Endpoint { retry_after: None };

/// A queue, its clocks, and everything that it wanted written down.
pub(super) struct Bench {
    pub(super) queue: Queue,
    pub(super) now: Now,
    pub(super) written: Vec<Change>,
    pub(super) roll: u64,
}

/// Rules without chance, so that every moment is known.
pub(super) fn rules() -> Rules {
    Rules {
        strict_order: true,
        control: QueueLimits::CONTROL,
        meter: QueueLimits::METER,
        batch: Batching { max_items: 1, max_wait: Span::ZERO },
        min_interval: Span::ZERO,
        retry: RetrySettings { jitter_percent: 0, ..RetrySettings::default() },
    }
}

pub(super) fn seconds(number: i64) -> Span {
    Span::from_seconds(number)
}

pub(super) fn tried(outcome: Outcome) -> Try {
    Try { outcome, code: None, why: String::new(), answer: String::new() }
}

impl Bench {
    pub(super) fn new(rules: Rules) -> Self {
        Self::restarted(rules, Standing::default())
    }

    pub(super) fn restarted(rules: Rules, standing: Standing) -> Self {
        let now = Now { wall: Timestamp::from_seconds(1_900_000_000), since_start: Span::ZERO };
        Self { queue: Queue::new(rules, standing, now), now, written: Vec::new(), roll: 0 }
    }

    pub(super) fn item(&self, seq: u64, class: Class) -> Item {
        Item {
            seq,
            id: format!("id-{seq}"),
            class,
            about: 0,
            weight: 100,
            since: self.now.wall,
            attempts: 0,
            refusals: 0,
            next_at: None,
            batch: None,
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        let changes = self.queue.push(item, self.now);
        self.written.extend(changes);
    }

    /// Control facts.
    pub(super) fn with(mut self, seqs: impl IntoIterator<Item = u64>) -> Self {
        for seq in seqs {
            self.push(self.item(seq, Class::Control));
        }
        self
    }

    /// Facts of meters.
    pub(super) fn with_readings(mut self, seqs: impl IntoIterator<Item = u64>) -> Self {
        for seq in seqs {
            self.push(self.item(seq, Class::Meter));
        }
        self
    }

    pub(super) fn pass(&mut self, span: Span) {
        self.now.wall += span;
        self.now.since_start = self.now.since_start + span;
    }

    /// What is to be done, once everything is written down.
    pub(super) fn step(&mut self) -> Step {
        loop {
            match self.queue.next(self.now) {
                Step::Write(changes) => {
                    assert!(!changes.is_empty(), "there is something to be written down");
                    self.written.extend(changes);
                }
                Step::Send(message) => return Step::Send(message),
                Step::Wait(until) => {
                    assert!(until > self.now.since_start, "a wait ends later than now");
                    return Step::Wait(until);
                }
                Step::Idle => return Step::Idle,
            }
        }
    }

    /// What is sent now.
    pub(super) fn message(&mut self) -> Message {
        let step = self.step();
        let Step::Send(message) = step else { panic!("at {}: {step:?}", self.now.since_start) };
        message
    }

    pub(super) fn sends(&mut self) -> Vec<u64> {
        self.message().items.iter().map(|item| item.seq).collect()
    }

    /// For how long nothing is sent.
    pub(super) fn waits(&mut self) -> Span {
        let step = self.step();
        let Step::Wait(until) = step else { panic!("at {}: {step:?}", self.now.since_start) };
        until - self.now.since_start
    }

    pub(super) fn answer(&mut self, outcome: Outcome) -> Vec<Change> {
        let changes = self.queue.answered(&tried(outcome), self.now, self.roll);
        self.written.extend(changes.clone());
        changes
    }

    /// Waits as long as it is told to, sends, and says for how long it was.
    pub(super) fn next_try(&mut self, outcome: Outcome) -> Span {
        let wait = self.waits();
        self.pass(wait);
        self.message();
        self.answer(outcome);
        wait
    }

    pub(super) fn deliver_all(&mut self) -> Vec<Vec<u64>> {
        let mut sent = Vec::new();
        while let Step::Send(message) = self.step() {
            sent.push(message.items.iter().map(|item| item.seq).collect());
            self.answer(Outcome::Sent);
        }
        sent
    }

    /// Of what was written down, what became of items.
    pub(super) fn fates(&self) -> Vec<(u64, Fate)> {
        let fate = |change: &Change| match change {
            Change::Item(item, fate) => Some((item.seq, *fate)),
            Change::Standing(_)
            | Change::Failing
            | Change::Recovered
            | Change::Disabled
            | Change::Overflow(_) => None,
        };
        self.written.iter().filter_map(fate).collect()
    }

    pub(super) fn times_written(&self, change: &Change) -> usize {
        self.written.iter().filter(|written| *written == change).count()
    }
}
