//! Keeps facts of meters on the disk until they are told, for hooks that want that (`durable = "always"`).
//!
//! What is told within seconds never gets there; the rest is written together every few seconds, which is what a power cut takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::daemon::store::{
    Delivery, DeliveryStatus, Retention, StoreError, StoreHandle, Told, Update, Wanted,
};
use crate::fact::Fact;
use crate::time::{Now, Span};

/// Facts wait so long to be written together.
const TOGETHER: Span = Span::from_seconds(5);
/// How often what is done is forgotten.
const TIDY: Span = Span::MINUTE;

/// The facts of meters that one hook is still to tell.
pub(super) struct Durable {
    store: StoreHandle,
    hook: String,
    retention: Retention,
    /// They are not on the disk yet.
    fresh: BTreeMap<u64, Arc<Fact>>,
    updates: BTreeMap<u64, Update>,
    write_at: Option<Span>,
    tidy_at: Span,
}

impl Durable {
    /// In that store, at most so many bytes.
    pub(super) fn new(store: StoreHandle, hook: String, max_bytes: usize, now: Now) -> Self {
        let max_bytes = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        let retention = Retention { sent: Span::HOUR, failed: Span::DAY, max_bytes };
        let (fresh, updates) = (BTreeMap::new(), BTreeMap::new());
        Self { store, hook, retention, fresh, updates, write_at: None, tidy_at: now.since_start }
    }

    /// Takes so many bytes at most from now on.
    pub(super) fn bound(&mut self, max_bytes: usize) {
        self.retention.max_bytes = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    }

    /// Nothing that is on the disk is to be told any more.
    pub(super) async fn forsake(&mut self, now: Now) {
        self.fresh.clear();
        self.updates.clear();
        let hook = self.hook.clone();
        if let Err(error) = self.store.facts(move |mut log| log.forsake(&hook, now.wall)).await {
            tracing::warn!(
                hook = self.hook,
                "facts of meters that wait on the disk may be told again: {error}"
            );
        }
    }

    /// What was still to be told when the VEN ended.
    pub(super) async fn waiting(&self, most: usize) -> Result<Vec<Delivery>, StoreError> {
        let wanted = Wanted {
            hook: Some(self.hook.clone()),
            status: Some(DeliveryStatus::Waiting),
            most,
            ..Wanted::default()
        };
        self.store.facts(move |log| log.deliveries(&wanted)).await
    }

    /// A fact that is to be told.
    pub(super) fn keep(&mut self, fact: Arc<Fact>, now: Span) {
        self.fresh.insert(fact.seq, fact);
        self.write_at.get_or_insert(now + TOGETHER);
    }

    /// What has become of one.
    pub(super) fn note(&mut self, update: Update, now: Span) {
        let is_over = update.status != DeliveryStatus::Waiting;
        if is_over && self.fresh.remove(&update.item.seq).is_some() {
            self.updates.remove(&update.item.seq);
            return;
        }
        self.updates.insert(update.item.seq, update);
        self.write_at.get_or_insert(now + TOGETHER);
    }

    /// When there is something to write.
    pub(super) const fn write_at(&self) -> Option<Span> {
        self.write_at
    }

    /// Writes what has waited long enough, or all of it.
    pub(super) async fn write(&mut self, now: Now, all: bool) {
        let is_due = self.write_at.is_some_and(|at| all || now.since_start >= at);
        if !is_due {
            return;
        }
        let hooks = vec![self.hook.clone()];
        let told: Vec<Told> =
            self.fresh.values().map(|fact| Told { fact: fact.clone(), hooks: hooks.clone() }).collect();
        let updates: Vec<Update> = self.updates.values().cloned().collect();
        let tidy = (now.since_start >= self.tidy_at).then_some(self.retention);
        let hook = self.hook.clone();
        let written = self.store.facts(move |mut log| {
            log.keep(&told)?;
            log.update(&hook, &updates, None, now.wall)?;
            tidy.map_or(Ok(0), |retention| log.prune(retention, now.wall))
        });
        match written.await {
            Ok(_) => {
                self.fresh.clear();
                self.updates.clear();
                self.write_at = None;
                if tidy.is_some() {
                    self.tidy_at = now.since_start + TIDY;
                }
            }
            Err(error) => {
                tracing::debug!(hook = self.hook, "facts of meters are not written down: {error}");
                self.write_at = Some(now.since_start + TOGETHER);
            }
        }
    }

    /// The queue holds no more than this, so neither does what is not written.
    #[cfg(test)]
    pub(super) fn unwritten(&self) -> usize {
        self.fresh.len() + self.updates.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Map;

    use super::{Durable, TOGETHER, Update};
    use crate::daemon::bus::Bus;
    use crate::daemon::clock::Clock;
    use crate::daemon::store::{DeliveryStatus, StoreHandle};
    use crate::fact::Fact;
    use crate::hook::queue::Item;
    use crate::time::{Now, Span, Timestamp};

    fn fact(seq: u64) -> Arc<Fact> {
        let (topic, time) = ("meter.reading".to_owned(), Timestamp::from_seconds(9));
        Arc::new(Fact { id: format!("id {seq}"), seq, topic, subject: None, time, data: Map::new() })
    }

    fn update(seq: u64, status: DeliveryStatus) -> Update {
        Update { item: Item::new(&fact(seq)), status, tried: None }
    }

    fn at(seconds: i64) -> Now {
        Now {
            wall: Timestamp::from_seconds(1_900_000_000 + seconds),
            since_start: Span::from_seconds(seconds),
        }
    }

    #[tokio::test]
    async fn what_is_not_told_within_seconds_is_told_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let bus = Bus::new(Clock::start());
            let (store, _) = StoreHandle::open(&folder.path().join("meter-facts.db"), "a", bus).unwrap();
            Durable::new(store, "hook".into(), 1 << 20, at(0))
        };
        let mut durable = open();
        for seq in [1, 2, 3] {
            durable.keep(fact(seq), Span::ZERO);
        }
        durable.note(update(2, DeliveryStatus::Sent), Span::SECOND);
        durable.write(at(4), false).await;
        assert_eq!(durable.unwritten(), 2, "they are written together");
        assert_eq!(durable.write_at(), Some(TOGETHER));
        durable.write(at(5), false).await;
        assert_eq!((durable.unwritten(), durable.write_at()), (0, None));
        durable.note(update(3, DeliveryStatus::Dead), Span::from_seconds(6));
        durable.write(at(7), true).await;
        drop(durable);
        let waiting = open().waiting(99).await.unwrap();
        assert_eq!(waiting.iter().map(|delivery| delivery.fact.seq).collect::<Vec<_>>(), [1]);
    }
}
