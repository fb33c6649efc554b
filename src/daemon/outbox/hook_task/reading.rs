//! What a hook is to tell: from the log as it grows, and from the store what waited before.

use std::sync::Arc;

use crate::daemon::store::{Delivery, DeliveryStatus, StoreError, Wanted};
use crate::fact::topic::own::TICK;
use crate::fact::{Class, Fact};
use crate::hook::queue::Item;

use super::HookTask;

/// Facts that are read at once.
const PAGE: usize = 256;

impl HookTask {
    /// Takes what is new in the log.
    pub(super) async fn read_log(&mut self) {
        loop {
            let page = self.bus.after(self.place, PAGE);
            if page.gone > self.place {
                // Control facts have rows in the store; facts of meters that were missed are lost.
                self.place = page.gone;
                self.load_waiting().await;
                continue;
            }
            let Some(last) = page.facts.last() else { return };
            self.place = last.seq;
            for fact in page.facts {
                if fact.is_for_hook(&self.parts.name, &self.parts.topics) {
                    if let Some(durable) = &mut self.durable
                        && fact.class() == Class::Meter
                        && fact.topic != TICK.name
                    {
                        durable.keep(fact.clone(), self.clock.now().since_start);
                    }
                    self.take(Item::new(&fact), fact);
                }
            }
        }
    }

    /// Takes what waits in the store.
    pub(super) async fn load_waiting(&mut self) {
        let most = self.parts.rules.control.max_items;
        let wanted = Wanted {
            hook: Some(self.parts.name.clone()),
            status: Some(DeliveryStatus::Waiting),
            most,
            ..Wanted::default()
        };
        let found = self.store.facts(move |log| log.deliveries(&wanted)).await;
        self.take_all(found);
    }

    /// Takes facts of meters that were not told before the start.
    pub(super) async fn load_durable(&mut self) {
        let Some(durable) = &self.durable else { return };
        let found = durable.waiting(self.parts.rules.meter.max_items).await;
        self.take_all(found);
    }

    fn take_all(&mut self, found: Result<Vec<Delivery>, StoreError>) {
        match found {
            Ok(deliveries) => {
                deliveries.into_iter().for_each(|delivery| self.take(delivery.item, delivery.fact));
            }
            Err(error) => tracing::warn!(hook = self.parts.name, "what waits cannot be read: {error}"),
        }
    }

    /// Puts a fact into the queue, unless the filter leaves it out.
    pub(super) fn take(&mut self, item: Item, fact: Arc<Fact>) {
        let wanted = self.parts.filter.as_ref().map_or(Ok(true), |filter| filter.holds(&fact));
        if let Err(fault) = &wanted {
            self.view.filter_faults += 1;
            tracing::debug!(hook = self.parts.name, "filter: {fault}");
            self.bus.complain(|| format!("hook {}: {}: {fault}", self.parts.name, fact.topic));
        }
        if !wanted.unwrap_or(false) {
            self.put_down(item, DeliveryStatus::Filtered, None);
            return;
        }
        if fact.topic == TICK.name && self.facts.contains_key(&self.tick) {
            // One waits already, and says as much.
            return;
        }
        let seq = item.seq;
        if fact.topic == TICK.name {
            self.tick = seq;
        }
        self.facts.insert(seq, fact);
        let changes = self.queue.push(item, self.clock.now());
        self.note(changes, None);
    }
}
