//! Tells others what happened: one task for each hook, none of which ever waits for another.

mod durable;
mod hook_task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::fact::topic::CATALOGUE;
use crate::hook::filter::Filter;
use crate::hook::queue::Rules;
use crate::hook::render::{Renderer, Samples, VenNames};
use crate::hook::settings::HookSettings;

use super::bus::Bus;
use super::clock::Clock;
use super::sink;
use super::store::StoreHandle;

pub(crate) use hook_task::{HookTask, Order, Parts, View};

/// Orders that may wait for a hook.
const ORDERS: usize = 16;
/// A hook answers within this, unless a try is under way.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What hooks stand on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) bus: Bus,
    pub(crate) store: StoreHandle,
    pub(crate) clock: Clock,
    pub(crate) names: watch::Receiver<VenNames>,
    /// Where facts of meters are kept until they are told, where a hook wants that.
    pub(crate) meter_facts: Option<StoreHandle>,
}

/// The hooks that run.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    hooks: BTreeMap<String, mpsc::Sender<Order>>,
}

/// Why a hook cannot be ordered to do something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderFault {
    #[error("no hook that runs is called \"{0}\"; `ven hooks list` shows all")]
    Unknown(String),
    #[error("hook {0} is busy; try again")]
    Busy(String),
}

impl Parts {
    /// Everything that is needed to run a hook.
    ///
    /// # Errors
    ///
    /// What is wrong with its words, its filter or what its sink needs.
    pub(crate) fn of(settings: &HookSettings) -> Result<Self, String> {
        let all = CATALOGUE.iter().map(|topic| (topic.name, topic.sample));
        let samples = Samples::new(&settings.topics, all);
        let batched = settings.batch.max_items > 1;
        let renderer = Renderer::new(&settings.words, &settings.name, batched, &samples);
        let filter = settings.filter.as_ref().map(|text| Filter::new(text, &samples)).transpose();
        Ok(Self {
            name: settings.name.clone(),
            topics: settings.topics.clone(),
            filter: filter.map_err(|error| format!("filter: {error}"))?,
            renderer: renderer.map_err(|error| error.to_string())?,
            rules: Rules::of(settings),
            durable: settings.durable_always,
            timeout: settings.timeout,
            on_change: settings.on_change,
            sink: sink::of(settings)?,
        })
    }
}

impl Outbox {
    /// Starts these hooks. From now on control facts of their topics wait for them.
    pub(crate) async fn start(hooks: Vec<Parts>, ground: &Ground) -> Self {
        let takers = hooks.iter().map(|parts| (parts.name.clone(), parts.topics.clone()));
        ground.bus.set_takers(takers.collect());
        let mut orders = BTreeMap::new();
        for parts in hooks {
            let name = parts.name.clone();
            let (order, waiting) = mpsc::channel(ORDERS);
            let task = HookTask::new(parts, ground.clone()).await;
            tokio::spawn(task.run(waiting));
            orders.insert(name, order);
        }
        Self { hooks: orders }
    }

    /// The names of the hooks.
    pub(crate) fn names(&self) -> Vec<String> {
        self.hooks.keys().cloned().collect()
    }

    /// Tells a hook to do something.
    ///
    /// # Errors
    ///
    /// Where there is no such hook, or it has too much to do.
    pub(crate) fn order(&self, name: &str, order: Order) -> Result<(), OrderFault> {
        let hook = self.hooks.get(name).ok_or_else(|| OrderFault::Unknown(name.to_owned()))?;
        hook.try_send(order).map_err(|_| OrderFault::Busy(name.to_owned()))
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

    /// Ends every hook; what waits, waits for the next start.
    pub(crate) async fn finish(&self, within: Duration) {
        let mut all = JoinSet::new();
        for hook in self.hooks.values() {
            let hook = hook.clone();
            // One that is about something takes no order before that is over; nor need another wait for it.
            all.spawn(async move {
                let (done, end) = oneshot::channel();
                if hook.send(Order::Finish(done)).await.is_ok() {
                    // A task that has ended otherwise has ended too.
                    drop(end.await);
                }
            });
        }
        if tokio::time::timeout(within, all.join_all()).await.is_err() {
            tracing::warn!(
                "some hooks have not ended in time; what they were about is tried again after the next start"
            );
        }
    }
}
