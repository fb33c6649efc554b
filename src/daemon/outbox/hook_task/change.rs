//! Makes another hook of one that runs, and lets nothing fall that waits.

use std::time::Duration;

use crate::daemon::store::StoreHandle;
use crate::fact::Class;
use crate::hook::queue::{Change, Item};
use crate::hook::told::LastTold;

use super::{Changed, Durable, HookTask};

/// A sink that is given up has said goodbye within this.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

impl HookTask {
    /// Goes on with other parts. What waits is told in the new words, to the new endpoint, where the new filter wants it; whatever the
    /// old endpoint has refused or failed is forgiven. A pause stays.
    pub(super) async fn change(&mut self, Changed { parts, meter_facts, done }: Changed) {
        self.read_log().await;
        self.write().await;
        // What came of the last tries is in the store, so that nothing is told again that it still has as waiting.
        let all_written = self.unwritten.is_empty();
        if tokio::time::timeout(CLOSED_WITHIN, self.parts.sink.close()).await.is_err() {
            tracing::debug!(hook = self.parts.name, "its old sink does not close");
        }
        self.parts = parts;
        let waiting = self.queue.begin_anew(self.parts.rules.clone());
        self.keep_in(meter_facts, &waiting).await;
        self.told = LastTold::default();
        self.view.last_fault = None;
        for item in waiting {
            if let Some(fact) = self.facts.remove(&item.seq) {
                self.take(item, fact);
            }
        }
        // Facts of new topics wait in the store since others know that this hook wants them.
        if all_written {
            self.load_waiting().await;
        }
        self.note(vec![Change::Standing(self.queue.standing())], None);
        self.open().await;
        // Whoever wanted to know may be gone.
        done.send(()).ok();
    }

    /// Begins to keep facts of meters on the disk, or ceases to, as the parts want it.
    async fn keep_in(&mut self, store: Option<StoreHandle>, waiting: &[Item]) {
        let (now, most) = (self.clock.now(), self.parts.rules.meter.max_bytes);
        match (&mut self.durable, store.filter(|_| self.parts.durable)) {
            (Some(durable), Some(_)) => durable.bound(most),
            (None, Some(store)) => {
                let mut durable = Durable::new(store, self.parts.name.clone(), most, now);
                let of_meters = waiting.iter().filter(|item| item.class == Class::Meter);
                for fact in of_meters.filter_map(|item| self.facts.get(&item.seq)) {
                    durable.keep(fact.clone(), now.since_start);
                }
                self.durable = Some(durable);
            }
            (Some(durable), None) => {
                // They wait in memory from now on, and are not told again after a restart.
                durable.forsake(now).await;
                self.durable = None;
            }
            (None, None) => {}
        }
    }
}
