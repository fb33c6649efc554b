//! Reads the log of facts from a place on, and says where something is missing.
//!
//! ```text
//! place ──┬─ control facts that are not kept any more ─┬─ control facts of the store ─┬─ facts in memory ─> live
//!         └ a gap                                      └ a gap of facts of meters     ┘
//! ```
//!
//! **Invariant:** what lies between two places that a reader was at was told, or is within a gap that was told, or is not of its topics.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::store::{StoreError, StoreHandle, Window};
use crate::fact::topic::CATALOGUE;
use crate::fact::{Class, Fact, Topics};
use crate::time::Span;

/// Facts that are looked at at once.
const PAGE: usize = 256;
/// How far back control facts are told to who was away.
const WINDOW_AGE: Span = Span::DAY;
const WINDOW_BYTES: u64 = 64 << 20;

/// What a reader finds.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::daemon) enum Found {
    Fact(Arc<Fact>),
    Gap(Gap),
}

/// Something is missing; it is told before what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Gap {
    /// The first place at which something may be missing; 0: the cursor is of another log.
    pub(in crate::daemon) from: u64,
    /// The last one.
    pub(in crate::daemon) to: u64,
    /// How many facts are missing, where that is known.
    pub(in crate::daemon) count: Option<u64>,
    pub(in crate::daemon) why: GapReason,
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum GapReason {
    /// Control facts that are too old.
    Expired,
    /// Facts of meters, which are in memory only; control facts of that time follow.
    NotKept,
    /// The cursor is no place of this log: it is above all of them.
    Unknown,
}

impl GapReason {
    /// The word for it.
    pub(in crate::daemon) const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotKept => "not_kept",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads the facts of some topics, in order.
#[derive(Debug)]
pub(in crate::daemon) struct Reader {
    bus: Bus,
    store: StoreHandle,
    clock: Clock,
    topics: Topics,
    /// Some of the topics are kept in memory only.
    of_meters: bool,
    /// Everything up to here was told, or was told to be missing.
    place: u64,
    /// That facts of meters are missing was told up to here.
    told_missing: u64,
    /// What the store has was asked since memory was last left behind.
    asked: bool,
}

impl Reader {
    /// Reads on behind a place; without one, what happens from now on.
    pub(in crate::daemon) fn new(
        bus: Bus,
        store: StoreHandle,
        clock: Clock,
        topics: Topics,
        place: Option<u64>,
    ) -> Self {
        let place = place.unwrap_or_else(|| *bus.newest().borrow());
        let of_meters = CATALOGUE.iter().any(|topic| topic.class == Class::Meter && topics.pick(topic.name));
        Self { bus, store, clock, topics, of_meters, place, told_missing: 0, asked: false }
    }

    /// The cursor of what was read last.
    pub(in crate::daemon) const fn place(&self) -> u64 {
        self.place
    }

    /// Waits for something; at most so much, and at least one. May be dropped at any time: what it would have returned is found again.
    ///
    /// # Errors
    ///
    /// Where the store fails; the next call tries again.
    pub(in crate::daemon) async fn next(&mut self, most: usize) -> Result<Vec<Found>, StoreError> {
        let mut newest = self.bus.newest();
        loop {
            newest.borrow_and_update();
            let found = self.ready(most).await?;
            if !found.is_empty() {
                return Ok(found);
            }
            // The bus outlives this: it holds the other end.
            drop(newest.changed().await);
        }
    }

    /// For those who keep nothing but the place: what there is, or happens within `wait`. That facts of meters are missing is told together
    /// with what follows, since the place alone does not say that it was told.
    ///
    /// # Errors
    ///
    /// Where the store fails; the next call tries again.
    pub(in crate::daemon) async fn page(
        &mut self,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Found>, StoreError> {
        let mut found = match tokio::time::timeout(wait, self.next(most)).await {
            Ok(found) => found?,
            // Without waiting, what is there is told all the same.
            Err(_) => self.ready(most).await?,
        };
        if let [Found::Gap(Gap { why: GapReason::NotKept, .. })] = found[..] {
            found.extend(self.ready(most).await?);
        }
        Ok(found)
    }

    /// What there is, at most so much; nothing where everything is read. May be dropped at any time.
    ///
    /// # Errors
    ///
    /// Where the store fails; the next call tries again.
    pub(in crate::daemon) async fn ready(&mut self, most: usize) -> Result<Vec<Found>, StoreError> {
        let newest = *self.bus.newest().borrow();
        if self.place > newest {
            self.place = 0;
            self.asked = false;
            return Ok(vec![Found::Gap(self.unknown(newest))]);
        }
        loop {
            // What is here now is read to its end; what comes meanwhile is for the next time.
            if self.place >= newest {
                return Ok(Vec::new());
            }
            let page = self.bus.after(self.place, PAGE);
            let found = if self.place < page.gone {
                self.of_store(page.gone, most).await?
            } else {
                self.asked = false;
                let last = page.facts.last().map_or(newest, |fact| fact.seq);
                self.pick(page.facts, most, last)
            };
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// What the store has, up to the place from which on everything is in memory.
    async fn of_store(&mut self, gone: u64, most: usize) -> Result<Vec<Found>, StoreError> {
        if !self.asked {
            let window = Window { since: self.clock.now().wall - WINDOW_AGE, bytes: WINDOW_BYTES };
            let (place, topics) = (self.place, self.topics.clone());
            let kept = self.store.facts(move |log| log.kept(place, window, &topics)).await?;
            self.asked = true;
            if kept.from > place {
                self.place = kept.from;
                let count = kept.missed.filter(|_| !self.of_meters);
                if count != Some(0) {
                    self.told_missing = kept.from;
                    return Ok(vec![gap(place + 1, kept.from, count, GapReason::Expired)]);
                }
            }
        }
        let told = self.told_missing.max(self.place);
        if self.of_meters && told < gone {
            self.told_missing = gone;
            return Ok(vec![gap(told + 1, gone, None, GapReason::NotKept)]);
        }
        let place = self.place;
        let mut facts = self.store.facts(move |log| log.after(place, PAGE)).await?;
        let is_last = facts.len() < PAGE;
        facts.retain(|fact| fact.seq <= gone);
        let last = if is_last { gone } else { facts.last().map_or(gone, |fact| fact.seq) };
        Ok(self.pick(facts.into_iter().map(Arc::new), most, last))
    }

    /// Those that are wanted; `last` is where the reader is if all fit.
    fn pick(&mut self, facts: impl IntoIterator<Item = Arc<Fact>>, most: usize, last: u64) -> Vec<Found> {
        let mut found = Vec::new();
        for fact in facts {
            if !self.topics.pick(&fact.topic) {
                continue;
            }
            if found.len() == most {
                return found;
            }
            self.place = fact.seq;
            found.push(Found::Fact(fact));
        }
        self.place = self.place.max(last);
        found
    }

    const fn unknown(&self, newest: u64) -> Gap {
        Gap { from: 0, to: newest, count: None, why: GapReason::Unknown }
    }
}

const fn gap(from: u64, to: u64, count: Option<u64>, why: GapReason) -> Found {
    Found::Gap(Gap { from, to, count, why })
}
