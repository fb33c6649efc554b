//! Stores control facts that nothing else is stored with, and forgets old ones.

use std::future::Future;
use std::time::Duration;

use crate::time::Span;

use super::bus::Bus;
use super::clock::Clock;
use super::store::{Retention, StoreHandle};

/// A store that has failed is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often old facts are forgotten, and places are promised.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What is kept where the configuration says nothing.
pub(crate) const RETENTION: Retention = Retention {
    sent: Span::from_seconds(7 * 86_400),
    failed: Span::from_seconds(30 * 86_400),
    max_bytes: 256 << 20,
};

/// Runs until `gone`; what is still owed then, whoever ends the VEN stores.
pub(crate) async fn keep(
    bus: Bus,
    store: StoreHandle,
    clock: Clock,
    retention: Retention,
    gone: impl Future<Output = ()>,
) {
    tokio::pin!(gone);
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    housekeeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut gone => return,
            () = store_owed(&bus, &store) => {}
            _ = housekeeping.tick() => tidy(&bus, &store, clock, retention).await,
        }
    }
}

/// What the store does not take is owed again.
async fn store_owed(bus: &Bus, store: &StoreHandle) {
    let drafts = bus.owed().await;
    if let Err(error) = store.commit(Vec::new(), drafts.clone()).await {
        tracing::debug!("facts wait for the store: {error}");
        bus.owe_again(drafts);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn tidy(bus: &Bus, store: &StoreHandle, clock: Clock, retention: Retention) {
    let (newest, now) = (*bus.newest().borrow(), clock.now().wall);
    let tidied = store.facts(move |mut log| {
        log.claim_places(newest)?;
        log.prune(retention, now)
    });
    match tidied.await {
        Ok(0) => {}
        Ok(given_up) => {
            tracing::warn!(
                "{given_up} deliveries were given up, since facts take more room than [bus] max_size"
            );
        }
        Err(error) => tracing::debug!("old facts are not forgotten: {error}"),
    }
}
