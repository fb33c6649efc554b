//! Says for one hook what is sent next, and when; and what has to be written down of it.
//!
//! ```text
//! push(item) ──> waiting, in order ──> next() = Write(changes) | Send(message) | Wait(until) | Idle
//!                    ^                              │ one at a time, to a sink
//!                    └── again, later ── answered(try) = changes: sent, dead, hook held, ...
//! ```
//!
//! It keeps no facts, only what has to be known of them to decide. Time is an argument and so are the dice. All waits are on the
//! clock that cannot be set; the wall clock only says how old an item was when it came.
//!
//! **Faults.** One of the endpoint holds the whole hook: whatever is first is tried again at the steps of the schedule, and serves as
//! the probe for all that waits. One of a message is its own: it is tried thrice within 36 s and is dead then; a batch is cut in halves
//! until the culprit stands alone. Whoever refuses a message is alive, so that ends a hold.
//!
//! **Order.** Strict: an item that waits for its next try holds up those behind it. Relaxed: they go on. In either, facts of control and
//! of meters never share a message, because they are not retried alike.
//!
//! **Invariants:** at most one message is in flight. A message that was tried once keeps its id, and its members as long as they are
//! there; no other item ever joins it. An item leaves only by a [`Fate`] that is told.

mod item;
mod losses;
mod message;
mod pace;
mod pick;
mod room;
#[cfg(test)]
mod tests;

use crate::fact::Class;
use crate::time::{Now, Span, Timestamp};

use super::outcome::{Outcome, Try};
use super::settings::{Batching, HookSettings, QueueLimits, RetrySettings};

pub(crate) use item::{Change, Fate, Item, Standing, Why};
pub(crate) use losses::Losses;
pub(crate) use message::Message;
pub(crate) use room::Load;

use losses::Tally;
use pick::{Pick, pick};
use room::{Entry, Room, Turn};

/// The rules of one queue, out of the hook's settings.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) strict_order: bool,
    pub(crate) control: QueueLimits,
    pub(crate) meter: QueueLimits,
    pub(crate) batch: Batching,
    pub(crate) min_interval: Span,
    pub(crate) retry: RetrySettings,
}

impl Rules {
    pub(crate) fn of(settings: &HookSettings) -> Self {
        Self {
            strict_order: settings.strict_order,
            control: settings.queue,
            meter: settings.meter_queue,
            batch: settings.batch,
            min_interval: settings.min_interval,
            retry: settings.retry.clone(),
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Write this down; then ask again.
    Write(Vec<Change>),
    /// Send this, and say what came of it.
    Send(Message),
    /// Ask again at that moment since the start, or when something has happened.
    Wait(Span),
    /// Ask again when something has happened.
    Idle,
}

/// The queue of one hook.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    rules: Rules,
    room: Room,
    standing: Standing,
    /// Before then nothing is sent, because the endpoint fails.
    held_until: Span,
    /// When the last message was sent.
    last_try: Option<Span>,
    /// When the message in flight was sent.
    taken_off: Span,
    tally: Tally,
}

impl Queue {
    /// Empty, with the hook as it stood before a restart.
    pub(crate) fn new(rules: Rules, standing: Standing, now: Now) -> Self {
        let held_until = now.since_start + pace::remaining(&rules.retry, standing.next_at, now);
        Self {
            room: Room::new(rules.control, rules.meter),
            rules,
            standing,
            held_until,
            last_try: None,
            taken_off: Span::ZERO,
            tally: Tally::default(),
        }
    }

    /// Goes on by other rules, with everything forgiven to the endpoint and to what waits; a pause stays.
    ///
    /// It is empty then: gives back what waited, in order, to be added again.
    pub(crate) fn begin_anew(&mut self, rules: Rules) -> Vec<Item> {
        let forgiven = |item: &Item| Item { refusals: 0, next_at: None, ..item.clone() };
        let waiting = self.room.iter().map(|(_, entry)| forgiven(&entry.item)).collect();
        self.room = Room::new(rules.control, rules.meter);
        self.rules = rules;
        self.standing = Standing { paused: self.standing.paused, ..Standing::default() };
        self.held_until = Span::ZERO;
        waiting
    }

    /// Adds an item: a new one, one that waited before a restart, or one that somebody wants to have sent again.
    ///
    /// The changes tell what had to go for it, or that it was not taken itself; where it was taken they do not speak of it.
    pub(crate) fn push(&mut self, item: Item, now: Now) -> Vec<Change> {
        let age = (now.wall - item.since).max(Span::ZERO);
        let born = now.since_start - age;
        let not_before = match item.next_at {
            Some(_) => now.since_start + pace::remaining(&self.rules.retry, item.next_at, now),
            None => born + pace::first(&self.rules.retry, item.class),
        };
        let entry = Entry { born, not_before, gather_until: born + self.rules.batch.max_wait, item };
        let mut changes = Vec::new();
        let turn = self.supersedes(&entry.item).unwrap_or(entry.item.seq);
        if let Some(there) = self.room.get(turn) {
            if there.item.seq >= entry.item.seq {
                return self.is_there(turn, entry.item, now);
            }
            let older = self.room.remove(turn);
            changes.extend(older.map(|older| self.leaves(older.item, Fate::Dropped(Why::Superseded))));
        }
        for (entry, why) in self.room.admit(turn, entry) {
            changes.push(self.leaves(entry.item, Fate::Dropped(why)));
        }
        changes
    }

    /// Where an older item stands that this one makes superfluous.
    fn supersedes(&self, item: &Item) -> Option<Turn> {
        if self.rules.min_interval <= Span::ZERO || item.class != Class::Meter {
            return None;
        }
        let older = |(turn, entry): &(Turn, &Entry)| {
            entry.item.class == Class::Meter
                && entry.item.about == item.about
                && entry.item.batch.is_none()
                && !self.room.is_in_flight(*turn)
        };
        self.room.iter().find(older).map(|(turn, _)| turn)
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Now) -> Step {
        let old = self.room.expire(now.since_start);
        let mut changes: Vec<Change> =
            old.into_iter().map(|entry| self.leaves(entry.item, Fate::Expired)).collect();
        changes.extend(self.tally.tell(now.since_start).map(Change::Overflow));
        if !changes.is_empty() {
            return Step::Write(changes);
        }
        if self.room.is_empty() || self.room.something_is_in_flight() || self.is_shut() {
            return self.wait(None);
        }
        let gap = self.last_try.map_or(now.since_start, |last| last + self.rules.min_interval);
        let open_at = self.held_until.max(gap);
        if now.since_start < open_at {
            return self.wait(Some(open_at));
        }
        match pick(&self.room, self.rules.batch, self.rules.strict_order, now.since_start) {
            Pick::Message(turns) => Step::Send(self.take_off(&turns, now)),
            Pick::Batch(turns) => Step::Write(self.freeze(&turns)),
            Pick::At(at) => self.wait(Some(at)),
            Pick::Nothing => self.wait(None),
        }
    }

    fn wait(&self, until: Option<Span>) -> Step {
        let moments = until.into_iter().chain(self.room.next_end()).chain(self.tally.tells_at());
        moments.min().map_or(Step::Idle, Step::Wait)
    }

    fn take_off(&mut self, turns: &[Turn], now: Now) -> Message {
        self.room.take_off(turns);
        self.taken_off = now.since_start;
        let entries = turns.iter().filter_map(|turn| self.room.get(*turn));
        Message::of(entries.map(|entry| entry.item.clone()).collect())
    }

    /// From now on these are one message.
    fn freeze(&mut self, turns: &[Turn]) -> Vec<Change> {
        let batch = self.unused_batch();
        self.put_together(turns, batch)
    }

    fn put_together(&mut self, turns: &[Turn], batch: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for turn in turns {
            if let Some(entry) = self.room.get_mut(*turn) {
                entry.item.batch = Some(batch);
                changes.push(Change::Item(entry.item.clone(), Fate::Waiting));
            }
        }
        changes
    }

    fn unused_batch(&self) -> u64 {
        self.room.iter().filter_map(|(_, entry)| entry.item.batch).max().unwrap_or_default().saturating_add(1)
    }

    /// What follows from one try of what is in flight; nothing where nothing is. `roll` is any random number.
    pub(crate) fn answered(&mut self, tried: &Try, now: Now, roll: u64) -> Vec<Change> {
        let turns = self.room.land();
        if turns.is_empty() {
            return Vec::new();
        }
        if !matches!(tried.outcome, Outcome::Unsaid | Outcome::Unchanged) {
            self.last_try = Some(self.taken_off);
            for turn in &turns {
                if let Some(entry) = self.room.get_mut(*turn) {
                    entry.item.attempts = entry.item.attempts.saturating_add(1);
                }
            }
        }
        match tried.outcome {
            Outcome::Sent => {
                let mut changes = self.all_leave(&turns, Fate::Sent);
                changes.extend(self.endpoint_lives());
                changes
            }
            Outcome::Endpoint { retry_after } => self.endpoint_fails(&turns, retry_after, now, roll),
            Outcome::Payload => {
                let mut changes = self.refused(&turns, now, roll);
                changes.extend(self.endpoint_lives());
                changes
            }
            Outcome::Gone => {
                self.standing.disabled = true;
                let mut changes = self.still_wait(&turns, None);
                changes.extend([Change::Disabled, Change::Standing(self.standing)]);
                changes
            }
            Outcome::Unsaid if turns.len() > 1 => self.cut(&turns),
            Outcome::Unsaid => self.all_leave(&turns, Fate::Unsaid),
            Outcome::Unchanged => self.all_leave(&turns, Fate::Unchanged),
        }
    }

    fn endpoint_fails(
        &mut self,
        turns: &[Turn],
        retry_after: Option<Span>,
        now: Now,
        roll: u64,
    ) -> Vec<Change> {
        let first = self.standing.failures == 0;
        self.standing.failures = self.standing.failures.saturating_add(1);
        let entry = turns.first().and_then(|turn| self.room.get(*turn));
        let class = entry.map_or(Class::Control, |entry| entry.item.class);
        let step = || pace::hold(&self.rules.retry, class, self.standing.failures, roll);
        let wait = retry_after.map_or_else(step, pace::asked);
        self.held_until = now.since_start + wait;
        self.standing.next_at = Some(now.wall + wait);
        let mut changes = self.still_wait(turns, self.standing.next_at);
        changes.push(Change::Standing(self.standing));
        changes.extend(first.then_some(Change::Failing));
        changes
    }

    /// It answers: the next fault begins a new row.
    fn endpoint_lives(&mut self) -> Vec<Change> {
        if self.standing.failures == 0 {
            return Vec::new();
        }
        self.standing = Standing { failures: 0, next_at: None, ..self.standing };
        vec![Change::Recovered, Change::Standing(self.standing)]
    }

    fn refused(&mut self, turns: &[Turn], now: Now, roll: u64) -> Vec<Change> {
        let most = self.rules.retry.poison_attempts;
        if turns.len() > 1 {
            // Refused together, they are tried twice more each at most once they stand alone.
            for turn in turns {
                if let Some(entry) = self.room.get_mut(*turn) {
                    entry.item.refusals = entry.item.refusals.max(most.saturating_sub(2));
                }
            }
            return self.cut(turns);
        }
        let Some(entry) = turns.first().and_then(|turn| self.room.get_mut(*turn)) else { return Vec::new() };
        entry.item.refusals = entry.item.refusals.saturating_add(1);
        if entry.item.refusals >= most {
            return self.all_leave(turns, Fate::Dead);
        }
        let wait = pace::refused(&self.rules.retry, entry.item.refusals, roll);
        entry.not_before = now.since_start + wait;
        self.still_wait(turns, Some(now.wall + wait))
    }

    /// Of one message that is not taken, two.
    fn cut(&mut self, turns: &[Turn]) -> Vec<Change> {
        let (left, right) = turns.split_at(turns.len().div_ceil(2));
        let batch = self.unused_batch();
        let mut changes = self.put_together(left, batch);
        changes.extend(self.put_together(right, batch.saturating_add(1)));
        changes
    }

    fn still_wait(&mut self, turns: &[Turn], next_at: Option<Timestamp>) -> Vec<Change> {
        let mut changes = Vec::new();
        for turn in turns {
            if let Some(entry) = self.room.get_mut(*turn) {
                entry.item.next_at = next_at;
                changes.push(Change::Item(entry.item.clone(), Fate::Waiting));
            }
        }
        changes
    }

    fn all_leave(&mut self, turns: &[Turn], fate: Fate) -> Vec<Change> {
        let left: Vec<Entry> = turns.iter().filter_map(|turn| self.room.remove(*turn)).collect();
        left.into_iter().map(|entry| self.leaves(Item { next_at: None, ..entry.item }, fate)).collect()
    }

    fn leaves(&mut self, item: Item, fate: Fate) -> Change {
        self.tally.count(fate);
        Change::Item(item, fate)
    }

    /// Sends nothing until it is resumed; what comes meanwhile waits, within bounds.
    pub(crate) fn pause(&mut self) -> Vec<Change> {
        self.standing.paused = true;
        vec![Change::Standing(self.standing)]
    }

    /// Goes on after a pause, or after the endpoint has wanted nothing any more (410); at once.
    pub(crate) fn resume(&mut self, now: Now) -> Vec<Change> {
        self.standing = Standing { disabled: false, paused: false, ..self.standing };
        self.send_now(now)
    }

    /// Waits no longer, neither for an endpoint that fails nor for company; a pause it does not end.
    pub(crate) fn send_now(&mut self, now: Now) -> Vec<Change> {
        self.held_until = Span::ZERO;
        self.last_try = None;
        self.standing.next_at = None;
        for entry in self.room.iter_mut() {
            entry.not_before = entry.not_before.min(now.since_start);
            entry.gather_until = entry.gather_until.min(now.since_start);
        }
        vec![Change::Standing(self.standing)]
    }

    /// This item, or a newer one that makes it superfluous, waits already; it is tried as soon as can be.
    fn is_there(&mut self, turn: Turn, item: Item, now: Now) -> Vec<Change> {
        let Some(entry) = self.room.get_mut(turn) else { return Vec::new() };
        entry.item.refusals = 0;
        entry.not_before = entry.not_before.min(now.since_start);
        if entry.item.seq == item.seq {
            return vec![Change::Item(entry.item.clone(), Fate::Waiting)];
        }
        vec![self.leaves(item, Fate::Dropped(Why::Superseded))]
    }

    fn is_shut(&self) -> bool {
        self.standing.paused || self.standing.disabled
    }

    /// How the hook stands.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// What waits of a class.
    pub(crate) fn load(&self, class: Class) -> Load {
        self.room.load(class)
    }

    /// Since when that waits which has waited longest.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.room.waits_longest().map(|item| item.since)
    }

    /// What was lost since the start.
    pub(crate) fn losses(&self) -> Losses {
        self.tally.losses
    }
}
