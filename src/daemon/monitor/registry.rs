//! Knows which monitors there are, who reads them, and how far they are.

mod configured;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::daemon::bus::{Bus, Want};
use crate::daemon::clock::Clock;
use crate::daemon::store::{MonitorRecord, StoreError, StoreHandle};
use crate::fact::Topics;
use crate::hook::monitor::{MonitorSettings, StaticMonitor};
use crate::time::{Span, Timestamp};

use super::cursor::Reader;

/// Monitors that there may be.
const MOST_MONITORS: usize = 1000;
/// Sessions at a time.
const MOST_SESSIONS: usize = 64;
/// The first number of those that are created while the VEN runs.
const FIRST_CREATED: u32 = 1000;
/// Who has not connected for so long finds a gap.
const RECORDED: Span = Span::DAY;
/// How far a reader is, is written down so often at most: what it read since is told again after a crash.
const WRITTEN_EVERY: Span = Span::from_seconds(5);

/// The monitors.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Monitors {
    pub(super) bus: Bus,
    pub(super) store: StoreHandle,
    pub(super) clock: Clock,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    monitors: BTreeMap<u32, MonitorRecord>,
    sessions: BTreeMap<u32, Session>,
    /// Sessions that there have been.
    counted: u64,
    next_id: u32,
    /// Where monitors are pushed.
    pushed_at: PushedAt,
    /// What they tell, all together.
    want: Option<Want>,
}

/// Where monitors are pushed, with the ports that the system has chosen where 0 was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct PushedAt {
    /// In the clear.
    pub(in crate::daemon) tcp: Option<SocketAddr>,
    pub(in crate::daemon) tls: Option<SocketAddr>,
}

#[derive(Debug)]
struct Session {
    number: u64,
    is_active: bool,
    /// Dropped, it ends the session.
    _end: oneshot::Sender<()>,
}

/// The right to be the one session of a monitor. The newest has it.
#[derive(Debug)]
pub(super) struct Lease {
    monitors: Monitors,
    pub(super) monitor: MonitorRecord,
    number: u64,
    written_at: Span,
    /// Resolves when another session begins, or the monitor is changed or deleted.
    pub(super) ended: oneshot::Receiver<()>,
}

impl Held {
    fn new_id(&mut self) -> Result<u32, MonitorFault> {
        if self.monitors.len() >= MOST_MONITORS {
            return Err(MonitorFault::Full);
        }
        let id = self.next_id;
        self.next_id = id.checked_add(1).ok_or(MonitorFault::Full)?;
        Ok(id)
    }

    fn remove(&mut self, id: u32) {
        self.monitors.remove(&id);
        self.sessions.remove(&id);
    }

    /// Something has been added, changed or removed.
    fn want_anew(&mut self, bus: &Bus) {
        let topics = self.monitors.values().map(|one| one.settings.topics.clone());
        self.want = Some(bus.want(topics.collect()));
    }
}

/// What a monitor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum MonitorStatus {
    /// A session begins.
    Connecting,
    /// A session is there.
    Active,
    /// None is there, and what happens is not told later.
    Inactive,
    /// None is there; what happens is told later.
    Suspended,
    /// None has been there for a day: what is older will be missing.
    Disabled,
}

/// Why something cannot be done to a monitor.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum MonitorFault {
    #[error("there is no monitor {0}")]
    Unknown(u32),
    #[error("monitor {0} stands in the configuration, and is changed there")]
    Configured(u32),
    #[error("there are {MOST_MONITORS} monitors, and can be no more; delete one")]
    Full,
    #[error("there are {MOST_SESSIONS} sessions, and can be no more")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MonitorStatus {
    /// The word for it.
    pub(in crate::daemon) const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "CONNECTING",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Disabled => "DISABLED",
        }
    }
}

impl Monitors {
    /// Those of the store and of the configuration; of those that no longer stand in it, nothing is kept.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    pub(in crate::daemon) async fn open(
        bus: Bus,
        store: StoreHandle,
        clock: Clock,
        configured: Vec<StaticMonitor>,
    ) -> Result<Self, StoreError> {
        let stored = store.facts(|log| log.monitors()).await?;
        let monitors = Self { bus, store, clock, held: Arc::default() };
        let mut known: BTreeMap<u32, MonitorRecord> =
            stored.into_iter().map(|record| (record.id, record)).collect();
        let next_id = known.keys().next_back().map_or(FIRST_CREATED, |last| (last + 1).max(FIRST_CREATED));
        let stay = |id: u32| configured.iter().any(|one| one.id == id);
        let leave: Vec<u32> =
            known.values().filter(|one| one.configured && !stay(one.id)).map(|one| one.id).collect();
        for id in leave {
            known.remove(&id);
            monitors.store.facts(move |log| log.forget_monitor(id)).await?;
        }
        for one in configured {
            let new = monitors.record(one.id, one.owner.clone(), one.settings.clone(), true);
            let record = known.entry(one.id).or_insert(new);
            (record.owner, record.settings, record.configured) = (one.owner, one.settings, true);
            monitors.write(record.clone()).await?;
        }
        // A cursor above all places is of another log.
        let newest = *monitors.bus.newest().borrow();
        known.values_mut().for_each(|record| record.acked = record.acked.min(newest));
        let mut held = monitors.held();
        (held.monitors, held.next_id) = (known, next_id);
        held.want_anew(&monitors.bus);
        drop(held);
        Ok(monitors)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing is done under this lock that could leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, id: u32, owner: String, settings: MonitorSettings, configured: bool) -> MonitorRecord {
        let (acked, created) = (*self.bus.newest().borrow(), self.clock.now().wall);
        MonitorRecord {
            id,
            owner,
            settings,
            configured,
            acked,
            created,
            connected: None,
            sent: None,
            left: None,
        }
    }

    async fn write(&self, record: MonitorRecord) -> Result<(), StoreError> {
        self.store.facts(move |log| log.put_monitor(&record)).await
    }

    async fn mark(&self, record: MonitorRecord) -> Result<(), StoreError> {
        self.store.facts(move |log| log.mark_monitor(&record)).await
    }

    /// A new one, which tells what happens from now on.
    ///
    /// # Errors
    ///
    /// Where there are too many, or the store fails.
    pub(in crate::daemon) async fn create(
        &self,
        owner: String,
        settings: MonitorSettings,
    ) -> Result<MonitorRecord, MonitorFault> {
        let id = self.held().new_id()?;
        let record = self.record(id, owner, settings, false);
        self.write(record.clone()).await?;
        let mut held = self.held();
        held.monitors.insert(id, record.clone());
        held.want_anew(&self.bus);
        Ok(record)
    }

    /// Those of one owner, or all.
    pub(in crate::daemon) fn list(&self, owner: Option<&str>) -> Vec<MonitorRecord> {
        let held = self.held();
        let of_owner = |one: &&MonitorRecord| owner.is_none_or(|owner| one.owner == owner);
        held.monitors.values().filter(of_owner).cloned().collect()
    }

    /// One of them; for others than its owner, it is not there.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub(in crate::daemon) fn get(&self, owner: Option<&str>, id: u32) -> Result<MonitorRecord, MonitorFault> {
        let held = self.held();
        let found = held.monitors.get(&id).filter(|one| owner.is_none_or(|owner| one.owner == owner));
        found.cloned().ok_or(MonitorFault::Unknown(id))
    }

    /// Reads facts of these topics behind a place; without one, those that happen from now on.
    pub(in crate::daemon) fn reader(&self, topics: Topics, place: Option<u64>) -> Reader {
        Reader::new(self.bus.clone(), self.store.clone(), self.clock, topics, place)
    }

    /// From now on they are pushed there too.
    pub(in crate::daemon) fn push_at(&self, address: SocketAddr, tls: bool) {
        let mut held = self.held();
        let place = if tls { &mut held.pushed_at.tls } else { &mut held.pushed_at.tcp };
        *place = Some(address);
    }

    /// Where they are pushed.
    pub(in crate::daemon) fn pushed_at(&self) -> PushedAt {
        self.held().pushed_at
    }

    /// What it is doing.
    pub(in crate::daemon) fn status(&self, record: &MonitorRecord) -> MonitorStatus {
        let held = self.held();
        let session = held.sessions.get(&record.id).map(|session| session.is_active);
        status(record, session, self.clock.now().wall)
    }

    /// Has other settings from now on; a session of it ends.
    ///
    /// # Errors
    ///
    /// Where there is none, it stands in the configuration, or the store fails.
    pub(in crate::daemon) async fn change(
        &self,
        owner: Option<&str>,
        id: u32,
        settings: MonitorSettings,
    ) -> Result<MonitorRecord, MonitorFault> {
        let record = MonitorRecord { settings, ..self.changeable(owner, id)? };
        self.write(record.clone()).await?;
        let mut held = self.held();
        if let Some(one) = held.monitors.get_mut(&id) {
            one.settings = record.settings.clone();
        }
        held.want_anew(&self.bus);
        held.sessions.remove(&id);
        Ok(record)
    }

    /// Is no more; a session of it ends.
    ///
    /// # Errors
    ///
    /// Where there is none, it stands in the configuration, or the store fails.
    pub(in crate::daemon) async fn delete(&self, owner: Option<&str>, id: u32) -> Result<(), MonitorFault> {
        self.changeable(owner, id)?;
        {
            let mut held = self.held();
            held.remove(id);
            held.want_anew(&self.bus);
        }
        Ok(self.store.facts(move |log| log.forget_monitor(id)).await?)
    }

    fn changeable(&self, owner: Option<&str>, id: u32) -> Result<MonitorRecord, MonitorFault> {
        let record = self.get(owner, id)?;
        if record.configured { Err(MonitorFault::Configured(id)) } else { Ok(record) }
    }

    /// Begins a session; one that is there ends.
    ///
    /// # Errors
    ///
    /// Where there is no such monitor of this owner, or there are too many sessions.
    pub(super) fn connect(&self, owner: &str, id: u32) -> Result<Lease, MonitorFault> {
        self.get(Some(owner), id)?;
        let now = self.clock.now();
        let mut held = self.held();
        if held.sessions.len() >= MOST_SESSIONS && !held.sessions.contains_key(&id) {
            return Err(MonitorFault::Busy);
        }
        held.counted += 1;
        let number = held.counted;
        let record = held.monitors.get_mut(&id).ok_or(MonitorFault::Unknown(id))?;
        record.connected = Some(now.wall);
        let monitor = record.clone();
        let (end, ended) = oneshot::channel();
        held.sessions.insert(id, Session { number, is_active: false, _end: end });
        drop(held);
        Ok(Lease { monitors: self.clone(), monitor, number, written_at: now.since_start, ended })
    }

    /// Everything up to this place need not be told again, whoever asks.
    pub(in crate::daemon) async fn acked(&self, id: u32, place: u64) -> Result<(), StoreError> {
        let changed = {
            let mut held = self.held();
            held.monitors.get_mut(&id).filter(|one| one.acked < place).map(|one| {
                one.acked = place;
                one.clone()
            })
        };
        match changed {
            Some(record) => self.mark(record).await,
            None => Ok(()),
        }
    }
}

impl Lease {
    /// The session is there.
    pub(super) fn begin(&self) {
        let mut held = self.monitors.held();
        let session = held.sessions.get_mut(&self.monitor.id);
        if let Some(session) = session.filter(|session| session.number == self.number) {
            session.is_active = true;
        }
    }

    /// Something was sent.
    pub(super) fn sent(&self) {
        let now = self.monitors.clock.now().wall;
        if let Some(one) = self.monitors.held().monitors.get_mut(&self.monitor.id) {
            one.sent = Some(now);
        }
    }

    /// Everything up to this place need not be told again.
    pub(super) async fn acked(&mut self, place: u64) {
        let now = self.monitors.clock.now().since_start;
        let record = {
            let mut held = self.monitors.held();
            let Some(one) = held.monitors.get_mut(&self.monitor.id) else { return };
            one.acked = one.acked.max(place);
            one.clone()
        };
        if now - self.written_at >= WRITTEN_EVERY {
            self.written_at = now;
            self.write(record).await;
        }
    }

    async fn write(&self, record: MonitorRecord) {
        if let Err(error) = self.monitors.mark(record).await {
            tracing::warn!("how far the reader of monitor {} is, is not stored: {error}", self.monitor.id);
        }
    }

    /// The session is over.
    pub(super) async fn end(self) {
        let now = self.monitors.clock.now().wall;
        let record = {
            let mut held = self.monitors.held();
            if held.sessions.get(&self.monitor.id).is_some_and(|session| session.number == self.number) {
                held.sessions.remove(&self.monitor.id);
            }
            let Some(one) = held.monitors.get_mut(&self.monitor.id) else { return };
            one.left = Some(now);
            one.clone()
        };
        self.write(record).await;
    }
}

fn status(record: &MonitorRecord, session: Option<bool>, now: Timestamp) -> MonitorStatus {
    let since = record.left.max(record.connected).unwrap_or(record.created);
    match session {
        Some(true) => MonitorStatus::Active,
        Some(false) => MonitorStatus::Connecting,
        None if !record.settings.resumes() => MonitorStatus::Inactive,
        None if now - since >= RECORDED => MonitorStatus::Disabled,
        None => MonitorStatus::Suspended,
    }
}
