//! Changes the hooks while they run: those that are as they were notice nothing.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::daemon::store::StoreHandle;

use super::{Changed, Ground, Order, Outbox, Parts};

/// A hook that is not about to deliver something holds within this.
const HOLDS_WITHIN: Duration = Duration::from_secs(3);

/// What is to be different about the hooks.
#[derive(Debug, Default)]
pub(crate) struct HookChanges {
    /// They did not run before.
    pub(crate) start: Vec<Parts>,
    /// They run, and are to be so.
    pub(crate) change: Vec<Parts>,
    /// They end; what waits, waits until they run again.
    pub(crate) rest: Vec<String>,
    /// They end for good; what waits is told to nobody.
    pub(crate) forsake: Vec<String>,
}

impl Outbox {
    /// Makes these changes. A hook that is about to deliver something is changed after that, and is not waited for longer than seconds.
    pub(crate) async fn change(&self, changes: HookChanges, ground: &Ground) {
        let HookChanges { start, change, rest, forsake } = changes;
        // From here on facts wait for those that are to tell them, and for no others.
        self.set_takers(&start, &change, rest.iter().chain(&forsake), ground);
        let mut done = Vec::new();
        done.extend(rest.iter().filter_map(|name| self.end(name, false, ground)));
        for name in &forsake {
            match self.end(name, true, ground) {
                Some(end) => done.push(end),
                // It was not enabled; something may wait for it all the same.
                None => self::forsake(name, ground).await,
            }
        }
        for parts in change {
            done.extend(self.exchange(parts, ground));
        }
        for parts in start {
            self.begin(parts, ground).await;
        }
        let all = async {
            for done in done {
                // One that has ended meanwhile needs no waiting for.
                drop(done.await);
            }
        };
        if tokio::time::timeout(HOLDS_WITHIN, all).await.is_err() {
            tracing::info!("some hooks are still busy; they change as soon as they are not");
        }
    }

    fn set_takers<'n>(
        &self,
        start: &[Parts],
        change: &[Parts],
        ending: impl Iterator<Item = &'n String>,
        ground: &Ground,
    ) {
        let mut held = self.held();
        for parts in change {
            if let Some(running) = held.hooks.get_mut(&parts.name) {
                running.topics = parts.topics.clone();
            }
        }
        let ending: Vec<&String> = ending.collect();
        let stay = held.hooks.iter().filter(|(name, _)| !ending.contains(name));
        let mut takers: Vec<_> = stay.map(|(name, hook)| (name.clone(), hook.topics.clone())).collect();
        takers.extend(start.iter().map(|parts| (parts.name.clone(), parts.topics.clone())));
        ground.bus.set_takers(takers);
    }

    /// Ends a hook; what it returns resolves when it has.
    fn end(&self, name: &str, for_good: bool, ground: &Ground) -> Option<oneshot::Receiver<()>> {
        let mut held = self.held();
        let hook = held.hooks.remove(name)?;
        let (told, done) = oneshot::channel();
        let (name, ground) = (name.to_owned(), ground.clone());
        let ending = tokio::spawn({
            let name = name.clone();
            async move {
                let (finished, finish) = oneshot::channel();
                // One that has ended otherwise has ended too.
                drop(hook.orders.send(Order::Finish(finished)).await);
                drop(finish.await);
                if for_good {
                    forsake(&name, &ground).await;
                }
                told.send(()).ok();
            }
        });
        held.ending.retain(|_, ending| !ending.is_finished());
        held.ending.insert(name, ending);
        Some(done)
    }

    /// Has a hook go on with other parts; what it returns resolves when it does.
    fn exchange(&self, parts: Parts, ground: &Ground) -> Option<oneshot::Receiver<()>> {
        let (told, done) = oneshot::channel();
        let orders: mpsc::Sender<Order> = self.held().hooks.get(&parts.name)?.orders.clone();
        let changed = Changed { parts, meter_facts: ground.meter_facts.clone(), done: told };
        tokio::spawn(async move {
            // It may have many other orders; where it has ended, the VEN ends.
            drop(orders.send(Order::Change(Box::new(changed))).await);
        });
        Some(done)
    }
}

/// What waits for a hook that is configured no more is told to nobody.
async fn forsake(hook: &str, ground: &Ground) {
    let now = ground.clock.now().wall;
    let stores: Vec<&StoreHandle> = std::iter::once(&ground.store).chain(&ground.meter_facts).collect();
    for store in stores {
        let name = hook.to_owned();
        match store.facts(move |mut log| log.forsake(&name, now)).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::warn!(
                    hook,
                    "{count} facts waited for a hook that is configured no more; they are given up"
                );
            }
            Err(error) => tracing::warn!(hook, "what waits for it is not given up: {error}"),
        }
    }
}

/// After a start: gives up what waits for hooks that are configured no more.
pub(crate) async fn forsake_others(configured: &[String], ground: &Ground) {
    match ground.store.facts(|log| log.known_hooks()).await {
        Ok(known) => {
            for hook in known.iter().filter(|hook| !configured.contains(hook)) {
                forsake(hook, ground).await;
            }
        }
        Err(error) => tracing::warn!("it is not known for which hooks something waits: {error}"),
    }
}
