//! Tells others what happened: one task for each hook, none of which ever waits for another.

mod change;
mod durable;
mod hook_task;
mod parts;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::fact::Topics;
use crate::hook::render::VenNames;

use super::bus::Bus;
use super::clock::Clock;
use super::status::Board;
use super::store::StoreHandle;

pub(crate) use change::{HookChanges, forsake_others};
pub(crate) use hook_task::{Changed, HookTask, Order};
pub(crate) use parts::Parts;
pub(crate) use views::{View, Views};

/// Orders that may wait for a hook.
const ORDERS: usize = 16;
/// A hook answers within this, unless a try is under way.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Whoever wants to see how hooks stand does not wait longer for one that is about something.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

/// What hooks stand on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) bus: Bus,
    pub(crate) store: StoreHandle,
    pub(crate) clock: Clock,
    pub(crate) names: watch::Receiver<VenNames>,
    /// Where facts of meters are kept until they are told, where a hook wants that.
    pub(crate) meter_facts: Option<StoreHandle>,
    /// How the VEN stands, and where hooks show how they do.
    pub(crate) board: Board,
}

impl Ground {
    /// What hooks stand on in a VEN; facts of meters are kept nowhere else until `meter_facts` says so.
    pub(crate) fn new(
        bus: &Bus,
        store: &StoreHandle,
        clock: Clock,
        names: watch::Receiver<VenNames>,
        board: &Board,
    ) -> Self {
        let (bus, store, board) = (bus.clone(), store.clone(), board.clone());
        Self { bus, store, clock, names, meter_facts: None, board }
    }
}

/// The hooks that run; clones speak with the same ones.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    held: Arc<Mutex<Held>>,
    views: Views,
}

#[derive(Default)]
struct Held {
    hooks: BTreeMap<String, Running>,
    /// Those that were told to end and are still about it.
    ending: BTreeMap<String, JoinHandle<()>>,
}

struct Running {
    orders: mpsc::Sender<Order>,
    topics: Topics,
}

/// Why a hook cannot be ordered to do something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderFault {
    #[error("no hook that runs is called \"{0}\"; `ven hooks list` shows all")]
    Unknown(String),
    #[error("hook {0} is busy; try again")]
    Busy(String),
}

impl Outbox {
    /// Starts these hooks. From now on control facts of their topics wait for them.
    pub(crate) async fn start(hooks: Vec<Parts>, ground: &Ground) -> Self {
        let takers = hooks.iter().map(|parts| (parts.name.clone(), parts.topics.clone()));
        ground.bus.set_takers(takers.collect());
        let outbox = Self { held: Arc::default(), views: ground.board.views.clone() };
        for parts in hooks {
            outbox.begin(parts, ground).await;
        }
        outbox
    }

    async fn begin(&self, parts: Parts, ground: &Ground) {
        let (orders, waiting) = mpsc::channel(ORDERS);
        let (name, topics) = (parts.name.clone(), parts.topics.clone());
        let before = self.held().ending.remove(&name);
        let ground = ground.clone();
        match before {
            None => drop(tokio::spawn(HookTask::new(parts, ground).await.run(waiting))),
            Some(before) => drop(tokio::spawn(async move {
                // Two of one name would tell the same.
                drop(before.await);
                HookTask::new(parts, ground).await.run(waiting).await;
            })),
        }
        self.held().hooks.insert(name, Running { orders, topics });
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing is done under this lock that could leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the hooks.
    pub(crate) fn names(&self) -> Vec<String> {
        self.held().hooks.keys().cloned().collect()
    }

    /// Tells a hook to do something.
    ///
    /// # Errors
    ///
    /// Where there is no such hook, or it has too much to do.
    pub(crate) fn order(&self, name: &str, order: Order) -> Result<(), OrderFault> {
        let held = self.held();
        let hook = held.hooks.get(name).ok_or_else(|| OrderFault::Unknown(name.to_owned()))?;
        hook.orders.try_send(order).map_err(|_| OrderFault::Busy(name.to_owned()))
    }

    /// How a hook stands.
    ///
    /// # Errors
    ///
    /// Where there is no such hook, or it does not answer in time.
    pub(crate) async fn look(&self, name: &str) -> Result<View, OrderFault> {
        let (answer, view) = oneshot::channel();
        self.order(name, Order::Look(answer))?;
        let view = tokio::time::timeout(ANSWER_WITHIN, view).await;
        view.ok().and_then(Result::ok).ok_or_else(|| OrderFault::Busy(name.to_owned()))
    }

    /// How each hook stands; one that is about something, how it stood when it began.
    pub(crate) async fn seen(&self) -> BTreeMap<String, View> {
        let mut looking = JoinSet::new();
        for name in self.names() {
            let outbox = self.clone();
            looking.spawn(async move {
                let looked = tokio::time::timeout(SEEN_WITHIN, outbox.look(&name)).await;
                let view = looked.ok().and_then(Result::ok).or_else(|| outbox.views.of(&name));
                (name, view.unwrap_or_default())
            });
        }
        looking.join_all().await.into_iter().collect()
    }

    /// Ends every hook; what waits, waits for the next start.
    pub(crate) async fn finish(&self, within: Duration) {
        let Held { hooks, ending } = std::mem::take(&mut *self.held());
        let mut all = JoinSet::new();
        for Running { orders, .. } in hooks.into_values() {
            // One that is about something takes no order before that is over; nor need another wait for it.
            all.spawn(async move {
                let (done, end) = oneshot::channel();
                if orders.send(Order::Finish(done)).await.is_ok() {
                    // A task that has ended otherwise has ended too.
                    drop(end.await);
                }
            });
        }
        for end in ending.into_values() {
            all.spawn(async move { drop(end.await) });
        }
        if tokio::time::timeout(within, all.join_all()).await.is_err() {
            tracing::warn!(
                "some hooks have not ended in time; what they were about is tried again after the next start"
            );
        }
    }
}
