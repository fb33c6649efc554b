//! Holds effects back until what they promise is stored.
//!
//! ```text
//! batch -> (no writes, nothing waiting) -> released at once
//!       -> queue -> one transaction for all that wait -> stored -> released in order
//!                                                     -> failed -> notices and 503s released, the rest dropped; tried again
//! ```
//!
//! The control facts that a batch tells of are stored in its transaction: nobody acts on something without others hearing of it. Its
//! facts of meters are never stored, and released with its effects.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::{Batch, Effect, Write};
use crate::fact::{Class, Draft};
use crate::openadr::message::{EventId, OptId, ReportRequestId};
use crate::time::{Span, Timestamp};

use super::store::StoreError;

const FIRST_RETRY: Span = Span::SECOND;
const LONGEST_RETRY: Span = Span::from_seconds(30);
/// Facts that wait for a store that fails.
const FACTS_OWED: usize = 1000;

/// Which record a write is about; a later write makes an earlier one superfluous.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Registration,
    Event(EventId),
    Request(ReportRequestId),
    Owed(u64),
    EventOpt(OptId),
    Schedule(OptId),
}

fn key(write: &Write) -> Key {
    match write {
        Write::Registration(_) => Key::Registration,
        Write::Event(record) => Key::Event(record.event.id().clone()),
        Write::ForgetEvent(id) => Key::Event(id.clone()),
        Write::Request(record) => Key::Request(record.id.clone()),
        Write::ForgetRequest(id) => Key::Request(id.clone()),
        Write::Owe(report) => Key::Owed(report.sequence),
        Write::Delivered(sequence) => Key::Owed(*sequence),
        Write::EventOpt(record) => Key::EventOpt(record.opt_id.clone()),
        Write::ForgetEventOpt(id) => Key::EventOpt(id.clone()),
        Write::Schedule(record) => Key::Schedule(record.schedule.id.clone()),
        Write::ForgetSchedule(id) => Key::Schedule(id.clone()),
    }
}

/// What is to be done after a batch, or after the store has answered.
#[derive(Debug, Default)]
pub(crate) struct Released {
    pub(crate) effects: Vec<Effect>,
    /// The batches that the engine must be told were not stored, and why.
    pub(crate) failed: Option<(Vec<u64>, String)>,
    /// The store takes everything again, up to this batch.
    pub(crate) recovered: Option<u64>,
    /// Control facts that nothing else is stored with, and facts of meters.
    pub(crate) facts: Vec<Draft>,
    /// So many facts could not wait any longer.
    pub(crate) lost: usize,
}

/// A batch, and what it tells of.
#[derive(Debug)]
struct Waiting {
    batch: Batch,
    /// Control facts, which are stored with it.
    facts: Vec<Draft>,
    /// Facts of meters.
    passing: Vec<Draft>,
}

impl Waiting {
    fn new(batch: Batch, now: Timestamp) -> Self {
        let told = batch.then.iter().filter_map(|effect| match effect {
            Effect::Notify(notice) => Some(Draft::of(notice, now)),
            Effect::Send { .. }
            | Effect::Respond { .. }
            | Effect::Offer { .. }
            | Effect::Announce { .. }
            | Effect::Collect { .. }
            | Effect::Answer { .. } => None,
        });
        let (facts, passing) = told.partition(|draft| draft.class() == Class::Control);
        Self { batch, facts, passing }
    }
}

/// Something for the store: all of it or nothing.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) writes: Vec<Write>,
    pub(crate) facts: Vec<Draft>,
}

/// The batches that wait for the store.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    queue: VecDeque<Waiting>,
    /// The last batch of the transaction on its way.
    committing: Option<u64>,
    /// What could not be stored, newest state of each record.
    owed: BTreeMap<Key, Write>,
    /// The facts that come with them.
    owed_facts: VecDeque<Draft>,
    /// Those of them that are on their way.
    committing_facts: Vec<Draft>,
    /// The last batch whose writes are in `owed`.
    failed_to: Option<u64>,
    /// When it is tried again, and how long it is waited after that.
    retry: Option<(Span, Span)>,
}

impl Writer {
    /// Takes what an input has led to, at that time.
    pub(crate) fn take(&mut self, batch: Batch, now: Timestamp) -> Released {
        let waiting = Waiting::new(batch, now);
        let promises = !waiting.batch.persist.is_empty();
        if !promises && (self.failed_to.is_some() || self.queue.is_empty()) {
            // What needs no store goes on, also while the store fails.
            let mut facts = waiting.facts;
            facts.extend(waiting.passing);
            return Released { effects: waiting.batch.then, facts, ..Released::default() };
        }
        if self.failed_to.is_some() {
            let number = waiting.batch.number;
            let mut released = Released::default();
            self.give_up(waiting, &mut released);
            released.failed = Some((vec![number], "the store still fails".into()));
            return released;
        }
        self.queue.push_back(waiting);
        Released::default()
    }

    /// Keeps the writes for later; what others may know they still learn, and a VTN that has pushed learns that it failed.
    fn give_up(&mut self, waiting: Waiting, released: &mut Released) {
        let Waiting { batch, facts, passing } = waiting;
        released.facts.extend(passing);
        self.failed_to = Some(batch.number);
        self.owed.extend(batch.persist.into_iter().map(|write| (key(&write), write)));
        self.owed_facts.extend(facts);
        let excess = self.owed_facts.len().saturating_sub(FACTS_OWED);
        released.lost += self.owed_facts.drain(..excess).count();
        released.effects.extend(batch.then.into_iter().filter_map(Effect::unstored));
    }

    /// The next transaction, if one is due and none is on its way.
    pub(crate) fn next_commit(&mut self, now: Span) -> Option<Transaction> {
        if self.committing.is_some() {
            return None;
        }
        if let Some(to) = self.failed_to {
            if self.retry.is_some_and(|(at, _)| at > now) {
                return None;
            }
            self.committing = Some(to);
            let writes = self.owed.values().cloned().collect();
            self.committing_facts = self.owed_facts.drain(..).collect();
            return Some(Transaction { writes, facts: self.committing_facts.clone() });
        }
        self.committing = Some(self.queue.back()?.batch.number);
        let mut transaction = Transaction::default();
        for Waiting { batch, facts, .. } in &self.queue {
            transaction.writes.extend(batch.persist.iter().cloned());
            transaction.facts.extend(facts.iter().cloned());
        }
        Some(transaction)
    }

    /// When a failed transaction is tried again.
    pub(crate) fn retry_at(&self) -> Option<Span> {
        self.retry.map(|(at, _)| at).filter(|_| self.committing.is_none())
    }

    /// The store has answered.
    pub(crate) fn answered(&mut self, outcome: Result<(), StoreError>, now: Span) -> Released {
        let Some(to) = self.committing.take() else { return Released::default() };
        let facts = std::mem::take(&mut self.committing_facts);
        match outcome {
            Ok(()) => self.stored(to),
            Err(error) => {
                self.owed_facts = facts.into_iter().chain(self.owed_facts.drain(..)).collect();
                self.failed(&error, now)
            }
        }
    }

    fn stored(&mut self, to: u64) -> Released {
        if let Some(failed_to) = self.failed_to {
            // More may have come while it was on its way.
            if failed_to > to {
                self.retry = None;
                return Released::default();
            }
            (self.failed_to, self.retry) = (None, None);
            self.owed.clear();
            return Released { recovered: Some(to), ..Released::default() };
        }
        let waits = |waiting: &Waiting| waiting.batch.number > to && !waiting.batch.persist.is_empty();
        let ready = self.queue.iter().position(waits).unwrap_or(self.queue.len());
        let mut released = Released::default();
        for Waiting { batch, facts, passing } in self.queue.drain(..ready) {
            // One that came behind the transaction promises nothing, and its facts are not stored yet.
            if batch.number > to {
                released.facts.extend(facts);
            }
            released.facts.extend(passing);
            released.effects.extend(batch.then);
        }
        released
    }

    fn failed(&mut self, error: &StoreError, now: Span) -> Released {
        let wait = self.retry.map_or(FIRST_RETRY, |(_, wait)| (wait * 2).min(LONGEST_RETRY));
        self.retry = Some((now + wait, wait));
        let mut released = Released::default();
        let mut numbers = Vec::new();
        for waiting in std::mem::take(&mut self.queue) {
            numbers.push(waiting.batch.number);
            self.give_up(waiting, &mut released);
        }
        if !numbers.is_empty() {
            released.failed = Some((numbers, error.to_string()));
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::{Released, Writer};
    use crate::engine::{Batch, DeliveryId, Effect, PushAnswer, Write};
    use crate::notice::Notice;
    use crate::openadr::message::EventId;
    use crate::time::{Span, Timestamp};

    use crate::daemon::store::StoreError;

    fn batch(number: u64, writes: usize) -> Batch {
        let forget = |at| Write::ForgetEvent(EventId::new(format!("{number}-{at}")));
        let then = vec![
            Effect::Notify(Notice::ReportsDropped { count: usize::try_from(number).unwrap() }),
            Effect::Notify(Notice::StoreRecovered),
        ];
        Batch { number, persist: (0..writes).map(forget).collect(), then }
    }

    fn numbers(released: &Released) -> Vec<usize> {
        let mut numbers = Vec::new();
        for effect in &released.effects {
            if let Effect::Notify(Notice::ReportsDropped { count }) = effect {
                numbers.push(*count);
            }
        }
        numbers
    }

    #[test]
    fn effects_wait_for_the_store_and_keep_their_order() {
        let mut writer = Writer::default();
        assert_eq!(numbers(&writer.take(batch(1, 0), Timestamp::EPOCH)), [1], "nothing to store: at once");
        assert!(numbers(&writer.take(batch(2, 1), Timestamp::EPOCH)).is_empty());
        assert!(numbers(&writer.take(batch(3, 0), Timestamp::EPOCH)).is_empty(), "behind one that waits");
        assert_eq!(writer.next_commit(Span::ZERO).unwrap().writes.len(), 1);
        assert!(numbers(&writer.take(batch(4, 2), Timestamp::EPOCH)).is_empty());
        assert!(numbers(&writer.take(batch(5, 0), Timestamp::EPOCH)).is_empty());
        assert!(writer.next_commit(Span::ZERO).is_none(), "one transaction at a time");
        assert_eq!(numbers(&writer.answered(Ok(()), Span::ZERO)), [2, 3]);
        assert_eq!(writer.next_commit(Span::ZERO).unwrap().writes.len(), 2);
        assert_eq!(numbers(&writer.answered(Ok(()), Span::ZERO)), [4, 5]);
        assert!(writer.next_commit(Span::ZERO).is_none());
    }

    /// Whoever waits for a response gets one.
    #[test]
    fn a_vtn_that_has_pushed_what_could_not_be_stored_is_told_to_try_again() {
        let respond = |answer| Effect::Respond { delivery: DeliveryId(7), answer };
        let pushed = |number| Batch { then: vec![respond(PushAnswer::Empty)], ..batch(number, 1) };
        let mut writer = Writer::default();
        assert!(writer.take(pushed(1), Timestamp::EPOCH).effects.is_empty(), "not before it is stored");
        writer.next_commit(Span::ZERO).unwrap();
        let released = writer.answered(Err(StoreError::Gone), Span::ZERO);
        assert_eq!(released.effects, [respond(PushAnswer::TryAgain)]);
        assert_eq!(
            writer.take(pushed(2), Timestamp::EPOCH).effects,
            [respond(PushAnswer::TryAgain)],
            "while it fails"
        );
    }

    #[test]
    fn what_could_not_be_stored_is_tried_again_and_nothing_of_it_happens() {
        let mut writer = Writer::default();
        writer.take(batch(1, 1), Timestamp::EPOCH);
        writer.next_commit(Span::ZERO).unwrap();
        writer.take(batch(2, 1), Timestamp::EPOCH);
        let released = writer.answered(Err(StoreError::Gone), Span::ZERO);
        assert_eq!(released.failed.as_ref().unwrap().0, [1, 2]);
        assert_eq!(numbers(&released), [1, 2], "notices are told");
        assert_eq!(writer.take(batch(3, 1), Timestamp::EPOCH).failed.unwrap().0, [3]);
        assert_eq!(numbers(&writer.take(batch(4, 0), Timestamp::EPOCH)), [4], "what needs no store goes on");
        assert!(writer.next_commit(Span::from_millis(999)).is_none());
        assert_eq!(writer.retry_at(), Some(Span::SECOND));
        assert_eq!(writer.next_commit(Span::SECOND).unwrap().writes.len(), 3, "all that is owed");
        writer.answered(Err(StoreError::Gone), Span::SECOND);
        assert_eq!(writer.retry_at(), Some(Span::from_seconds(3)), "the wait doubles");
        writer.next_commit(Span::from_seconds(3)).unwrap();
        writer.take(batch(5, 1), Timestamp::EPOCH);
        assert_eq!(writer.answered(Ok(()), Span::from_seconds(3)).recovered, None, "batch 5 is not in it");
        assert_eq!(writer.next_commit(Span::from_seconds(3)).unwrap().writes.len(), 4);
        assert_eq!(writer.answered(Ok(()), Span::from_seconds(3)).recovered, Some(5));
        assert_eq!(numbers(&writer.take(batch(6, 0), Timestamp::EPOCH)), [6]);
    }

    fn told(facts: &[crate::fact::Draft]) -> usize {
        facts.len()
    }

    #[test]
    fn facts_are_in_the_transaction_of_what_caused_them_or_published_alone() {
        let mut writer = Writer::default();
        assert_eq!(told(&writer.take(batch(1, 0), Timestamp::EPOCH).facts), 2, "nothing to store with them");
        assert_eq!(told(&writer.take(batch(2, 1), Timestamp::EPOCH).facts), 0);
        writer.take(batch(3, 0), Timestamp::EPOCH);
        assert_eq!(told(&writer.next_commit(Span::ZERO).unwrap().facts), 4);
        writer.take(batch(4, 0), Timestamp::EPOCH);
        assert_eq!(told(&writer.answered(Ok(()), Span::ZERO).facts), 2, "those that came behind it");
        assert!(writer.next_commit(Span::ZERO).is_none());
    }

    /// What is of the class of meters no transaction has room for, and nobody may wait for it.
    #[test]
    fn facts_of_meters_are_released_with_what_caused_them_and_never_stored() {
        let still_away = |number, writes| {
            let away = Notice::VtnAway { why: String::new(), retry_in: Span::MINUTE, first: false };
            Batch { then: vec![Effect::Notify(away)], ..batch(number, writes) }
        };
        let topics = |released: &Released| -> Vec<String> {
            released.facts.iter().map(|draft| draft.topic.clone()).collect()
        };
        let mut writer = Writer::default();
        let at = Timestamp::from_seconds(1_900_000_000);
        let released = writer.take(still_away(1, 0), at);
        assert_eq!((topics(&released), released.facts[0].time), (vec!["vtn.unreachable".to_owned()], at));
        assert!(topics(&writer.take(still_away(2, 1), at)).is_empty(), "not before what it waits for");
        writer.take(still_away(3, 0), at);
        assert_eq!(told(&writer.next_commit(Span::ZERO).unwrap().facts), 0);
        assert_eq!(topics(&writer.answered(Ok(()), Span::ZERO)), ["vtn.unreachable"; 2]);
        writer.take(still_away(4, 1), at);
        writer.next_commit(Span::ZERO).unwrap();
        assert_eq!(topics(&writer.answered(Err(StoreError::Gone), Span::ZERO)), ["vtn.unreachable"]);
        assert_eq!(topics(&writer.take(still_away(5, 1), at)), ["vtn.unreachable"], "while it fails");
        assert_eq!(told(&writer.next_commit(Span::SECOND).unwrap().facts), 0);
    }

    #[test]
    fn facts_wait_for_a_store_that_fails_and_are_stored_once() {
        let mut writer = Writer::default();
        writer.take(batch(1, 1), Timestamp::EPOCH);
        writer.next_commit(Span::ZERO).unwrap();
        assert_eq!(told(&writer.answered(Err(StoreError::Gone), Span::ZERO).facts), 0);
        assert_eq!(told(&writer.next_commit(Span::SECOND).unwrap().facts), 2);
        writer.take(batch(2, 1), Timestamp::EPOCH);
        writer.answered(Ok(()), Span::SECOND);
        assert_eq!(told(&writer.next_commit(Span::SECOND).unwrap().facts), 2, "only those of the second");
        writer.answered(Err(StoreError::Gone), Span::SECOND);
        let lost: usize = (3..600).map(|number| writer.take(batch(number, 1), Timestamp::EPOCH).lost).sum();
        assert_eq!(lost, 2 * 598 - 1000);
        let transaction = writer.next_commit(Span::from_seconds(9)).unwrap();
        assert_eq!((told(&transaction.facts), transaction.writes.len()), (1000, 599));
    }
}
