//! What a hook is told to do while it runs.

use tokio::sync::oneshot;

use crate::daemon::store::{DeliveryStatus, StoreHandle, Wanted};
use crate::hook::queue::{Change, Item};

use super::{HookTask, Parts, View};

/// Something a hook is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Pause,
    Resume,
    /// Wait no longer.
    SendNow,
    /// Tell these facts again.
    Resend(Vec<u64>),
    /// How it stands.
    Look(oneshot::Sender<View>),
    /// Go on with other parts.
    Change(Box<Changed>),
    /// End; what waits, waits for the next start.
    Finish(oneshot::Sender<()>),
}

/// What a hook is to be from now on.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) parts: Parts,
    /// Where facts of meters are kept until they are told.
    pub(crate) meter_facts: Option<StoreHandle>,
    /// Told when it holds.
    pub(crate) done: oneshot::Sender<()>,
}

impl HookTask {
    /// Does what it is told; where that is to finish, returns whom to tell.
    pub(super) async fn obey(&mut self, order: Order) -> Option<oneshot::Sender<()>> {
        let changes = match order {
            Order::Pause => self.queue.pause(),
            Order::Resume => self.queue.resume(self.clock.now()),
            Order::SendNow => self.queue.send_now(self.clock.now()),
            Order::Resend(places) => self.resend(places).await,
            Order::Look(view) => {
                // Whoever asked may be gone.
                drop(view.send(self.view()));
                Vec::new()
            }
            Order::Change(changed) => {
                self.change(*changed).await;
                Vec::new()
            }
            Order::Finish(done) => return Some(done),
        };
        self.note(changes, None);
        None
    }

    /// Tells facts again, whatever came of them before.
    async fn resend(&mut self, places: Vec<u64>) -> Vec<Change> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        for place in places {
            let wanted = Wanted {
                hook: Some(self.parts.name.clone()),
                after: place.saturating_sub(1),
                most: 1,
                ..Wanted::default()
            };
            let found = self.store.facts(move |log| log.deliveries(&wanted)).await;
            let Some(delivery) =
                found.unwrap_or_default().into_iter().find(|delivery| delivery.fact.seq == place)
            else {
                continue;
            };
            let item = Item { since: now.wall, refusals: 0, next_at: None, batch: None, ..delivery.item };
            self.facts.insert(place, delivery.fact);
            self.put_down(item.clone(), DeliveryStatus::Waiting, None);
            changes.extend(self.queue.push(item, now));
        }
        changes
    }
}
