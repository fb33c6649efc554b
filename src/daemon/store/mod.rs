//! Keeps what must survive a power cut.
//!
//! A thread owns the database; everybody else sends it orders and waits for the word that they are on the disk.
//!
//! **Invariant (persist, then speak):** [`StoreHandle::commit`] returns after the writes are durable, never before.

mod fact_log;
mod forsaken;
mod monitors;
mod recent;
mod records;
mod salvage;
mod series;
mod sqlite;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::engine::{Snapshot, Write};
use crate::fact::{Draft, Fact};
use crate::metering::Stored;
use crate::openadr::signature::Seen;
use crate::time::Timestamp;

use super::bus::Bus;

pub(crate) use fact_log::{Delivery, DeliveryStatus, FactLog, Retention, Told, Tried, Update, Wanted};
pub(crate) use monitors::{MonitorRecord, Window};
pub(crate) use sqlite::Sqlite;

/// The file of the store, in `[ven] state`.
pub(crate) const STORE: &str = "ven.db";

/// What a store must be able to do; small, so that another database can stand behind it.
pub(crate) trait Store: Send {
    /// Everything that was committed.
    fn load(&mut self) -> Result<Snapshot, StoreError>;
    /// All of these or none of them, durable on return.
    fn commit(&mut self, writes: &[Write], told: &[Told]) -> Result<(), StoreError>;
    /// The facts.
    fn facts(&mut self) -> FactLog<'_>;
    /// Adds or replaces what is stored of a meter, and forgets what is not needed any more; durable on return.
    fn put_series(&mut self, meter: &str, stored: &Stored) -> Result<(), StoreError>;
    /// What is stored of a meter; nothing is said of what is needed.
    fn series(&mut self, meter: &str) -> Result<Stored, StoreError>;
    /// Adds messages that were let in, and forgets those that were signed before `oldest`; durable on return.
    fn put_nonces(&mut self, seen: &[Seen], oldest: Timestamp) -> Result<(), StoreError>;
    /// The messages that were let in.
    fn nonces(&mut self) -> Result<Vec<Seen>, StoreError>;
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{path} is damaged: {why}")]
    Damaged { path: String, why: String },
    #[error("{path} was written by a newer version of this program (schema {found}, known up to {known})")]
    TooNew { path: String, found: u32, known: u32 },
    #[error("stored {what} cannot be read back: {why}")]
    Unreadable { what: String, why: String },
    #[error("the store's thread has ended")]
    Gone,
}

enum Order {
    Commit { writes: Vec<Write>, drafts: Vec<Draft>, done: oneshot::Sender<Result<(), StoreError>> },
    Facts(Box<dyn FnOnce(FactLog<'_>) + Send>),
    PutSeries { meter: String, stored: Stored, done: oneshot::Sender<Result<(), StoreError>> },
    Series(String, oneshot::Sender<Result<Stored, StoreError>>),
    PutNonces { seen: Vec<Seen>, oldest: Timestamp, done: oneshot::Sender<Result<(), StoreError>> },
    Nonces(oneshot::Sender<Result<Vec<Seen>, StoreError>>),
}

/// Orders for the store's thread.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    orders: mpsc::UnboundedSender<Order>,
    full: Full,
}

/// What was last written was too much for the disk.
#[derive(Clone, Debug, Default)]
struct Full(Arc<AtomicBool>);

impl Full {
    /// Something was to be written.
    fn note<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        let full = written.as_ref().is_err_and(StoreError::is_full);
        if full || written.is_ok() {
            self.0.store(full, Ordering::Relaxed);
        }
        written
    }
}

impl StoreError {
    /// There is no room for it.
    fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// A store that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: StoreHandle,
    pub(crate) snapshot: Snapshot,
    /// When the newest fact in it happened.
    pub(crate) newest: Option<Timestamp>,
    /// What was there was damaged, so that it is a new one.
    pub(crate) lost: bool,
}

impl StoreHandle {
    /// Opens the store of a VEN, reads what is in it, and starts its thread.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or what is in it not be read.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, ven_key: &str, bus: Bus) -> Result<(Self, Snapshot), StoreError> {
        let mut store = Sqlite::open(path, ven_key)?;
        let snapshot = store.load()?;
        bus.go_on_after(store.facts().begin_places()?);
        Ok((Self::start(Box::new(store), bus), snapshot))
    }

    /// Opens the store of a VEN, reads what is in it, and starts its thread; makes a new one in place of one that is damaged.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened for another reason.
    pub(crate) fn open_or_begin_anew(
        path: &Path,
        ven_key: &str,
        bus: Bus,
        now: Timestamp,
    ) -> Result<Opened, StoreError> {
        let salvage::Sound { store, snapshot, last, newest, damaged } = salvage::open(path, ven_key, now)?;
        bus.go_on_after(last);
        let store = Self::start(Box::new(store), bus);
        Ok(Opened { store, snapshot, newest, lost: damaged.is_some() })
    }

    /// What was last written was too much for the disk.
    pub(crate) fn is_full(&self) -> bool {
        self.full.0.load(Ordering::Relaxed)
    }

    /// Starts the thread; it ends when the last handle is dropped.
    pub(crate) fn start(mut store: Box<dyn Store>, bus: Bus) -> Self {
        let (orders, mut waiting) = mpsc::unbounded_channel();
        let full = Full::default();
        let of_thread = full.clone();
        std::thread::spawn(move || {
            while let Some(order) = waiting.blocking_recv() {
                obey(store.as_mut(), &bus, &of_thread, order);
            }
        });
        Self { orders, full }
    }

    /// Starts a task in place of the thread, so that virtual time stands still while it writes.
    #[cfg(test)]
    pub(crate) fn start_task(mut store: Box<dyn Store>, bus: Bus) -> Self {
        let (orders, mut waiting) = mpsc::unbounded_channel();
        let full = Full::default();
        let of_task = full.clone();
        tokio::spawn(async move {
            while let Some(order) = waiting.recv().await {
                obey(store.as_mut(), &bus, &of_task, order);
            }
        });
        Self { orders, full }
    }

    /// Commits these writes, and the facts that they cause; when this returns, they are on the disk, and everybody sees the facts.
    pub(crate) async fn commit(&self, writes: Vec<Write>, drafts: Vec<Draft>) -> Result<(), StoreError> {
        self.order(|done| Order::Commit { writes, drafts, done }).await
    }

    /// Does something with the facts.
    pub(crate) async fn facts<T: Send + 'static>(
        &self,
        work: impl FnOnce(FactLog<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.order(|done| Order::Facts(Box::new(move |log| drop(done.send(work(log)))))).await
    }

    /// Adds or replaces what is stored of a meter, and forgets what is not needed any more; durable on return.
    pub(crate) async fn put_series(&self, meter: &str, stored: Stored) -> Result<(), StoreError> {
        self.order(|done| Order::PutSeries { meter: meter.to_owned(), stored, done }).await
    }

    /// What is stored of a meter.
    pub(crate) async fn series(&self, meter: &str) -> Result<Stored, StoreError> {
        self.order(|done| Order::Series(meter.to_owned(), done)).await
    }

    /// Adds messages that were let in, and forgets those that were signed before `oldest`; durable on return.
    pub(crate) async fn put_nonces(&self, seen: Vec<Seen>, oldest: Timestamp) -> Result<(), StoreError> {
        self.order(|done| Order::PutNonces { seen, oldest, done }).await
    }

    /// The messages that were let in.
    pub(crate) async fn nonces(&self) -> Result<Vec<Seen>, StoreError> {
        self.order(Order::Nonces).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).map_err(|_| StoreError::Gone)?;
        answer.await.map_err(|_| StoreError::Gone)?
    }
}

/// Whoever does not wait for the answer any more does not miss it.
fn obey(store: &mut dyn Store, bus: &Bus, full: &Full, order: Order) {
    match order {
        Order::Commit { writes, drafts, done } => {
            drop(done.send(full.note(commit(store, bus, &writes, drafts))));
        }
        Order::Facts(work) => work(store.facts()),
        Order::PutSeries { meter, stored, done } => {
            drop(done.send(full.note(store.put_series(&meter, &stored))));
        }
        Order::Series(meter, done) => drop(done.send(store.series(&meter))),
        Order::PutNonces { seen, oldest, done } => {
            drop(done.send(full.note(store.put_nonces(&seen, oldest))));
        }
        Order::Nonces(done) => drop(done.send(store.nonces())),
    }
}

fn commit(store: &mut dyn Store, bus: &Bus, writes: &[Write], drafts: Vec<Draft>) -> Result<(), StoreError> {
    let places = bus.reserve(drafts);
    let hooks = |fact: &Arc<Fact>| Told { fact: fact.clone(), hooks: bus.takers(fact) };
    let told: Vec<Told> = places.facts().iter().map(hooks).collect();
    store.commit(writes, &told)?;
    places.publish();
    Ok(())
}
