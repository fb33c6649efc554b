//! Tells that time passes, that the clock was set, and that the disk fills up.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::fact::Draft;
use crate::fact::topic::own::TICK;
use crate::notice::Notice;
use crate::time::{Now, Span};

use super::bus::Bus;
use super::clock::Clock;
use super::store::StoreHandle;

/// So often the clocks and the disk are looked at.
const LOOK: Span = Span::from_seconds(5);
/// The clocks may differ by so much between two looks: what a clock is slowed down or sped up by is much less.
const JUMP: Span = Span::from_seconds(2);
/// Fewer free bytes are too few ...
const LOW: u64 = 32 << 20;
/// ... until there are so many again.
const ENOUGH: u64 = 64 << 20;

/// Looks at what nobody else looks at.
pub(crate) struct Pulse {
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    /// So often `system.tick` is told; `None`: never.
    pub(crate) tick: Option<Span>,
    /// The folder of the store.
    pub(crate) folder: PathBuf,
    /// Bytes that are free there; `None`: the system does not say.
    pub(crate) free: fn(&Path) -> Option<u64>,
}

impl Pulse {
    /// Runs until `gone`.
    pub(crate) async fn run(self, gone: impl Future<Output = ()>) {
        tokio::pin!(gone);
        let mut seen = self.clock.now();
        let mut low = false;
        let mut look_at = seen.since_start;
        let mut tick_at = self.tick.map(|tick| seen.since_start + tick);
        loop {
            let wake = tick_at.map_or(look_at, |tick_at| tick_at.min(look_at));
            tokio::select! {
                () = &mut gone => return,
                () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
            }
            let now = self.clock.now();
            if let (Some(at), Some(tick)) = (tick_at, self.tick)
                && at <= now.since_start
            {
                self.tell_tick(now);
                // What was slept through is not caught up with.
                tick_at = Some((at + tick).max(now.since_start));
            }
            if look_at <= now.since_start {
                self.look_at_clock(seen, now);
                low = self.look_at_disk(low);
                (seen, look_at) = (now, now.since_start + LOOK);
            }
        }
    }

    fn tell_tick(&self, now: Now) {
        if self.bus.is_wanted(TICK.name) {
            let uptime = json!(now.since_start.seconds());
            self.bus.publish(Draft::new(&TICK, None, now.wall, [("uptime_seconds", uptime)]));
        }
    }

    fn look_at_clock(&self, before: Now, now: Now) {
        let from = before.wall + (now.since_start - before.since_start);
        if (now.wall - from).abs() > JUMP {
            self.bus.tell(Notice::ClockJumped { from, to: now.wall });
        }
    }

    /// Whether there is too little room, which is told when it begins and ends.
    fn look_at_disk(&self, before: bool) -> bool {
        let free = (self.free)(&self.folder);
        let least = if before { ENOUGH } else { LOW };
        let why = match free {
            _ if self.store.is_full() => Some("the store cannot grow any more".to_owned()),
            Some(free) if free < least => {
                Some(format!("{} MiB are free where the store is ({})", free >> 20, self.folder.display()))
            }
            Some(_) | None => None,
        };
        let low = why.is_some();
        if let Some(why) = why.filter(|_| !before) {
            self.bus.tell(Notice::DiskLow { free, why });
        } else if before && !low {
            self.bus.tell(Notice::DiskRecovered { free });
        }
        low
    }
}

/// Bytes that are free for us on the disk of that folder.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use tokio::sync::broadcast::Receiver;

    use super::{Pulse, free};
    use crate::daemon::bus::Bus;
    use crate::daemon::clock::Clock;
    use crate::daemon::store::{Sqlite, StoreHandle};
    use crate::fact::sample::misfits;
    use crate::fact::{Draft, Topics};
    use crate::notice::Notice;
    use crate::time::{Span, Timestamp};

    /// One after the other: they share what the clock and the disk say.
    static TURN: Mutex<()> = Mutex::new(());
    /// Seconds of the wall clock, beside those that pass.
    static WALL: AtomicI64 = AtomicI64::new(0);
    static STARTED: Mutex<Option<tokio::time::Instant>> = Mutex::new(None);
    static FREE: AtomicU64 = AtomicU64::new(u64::MAX);

    #[expect(clippy::disallowed_methods, reason = "it plays the wall clock")]
    fn wall() -> Timestamp {
        let started = *STARTED.lock().unwrap().get_or_insert_with(tokio::time::Instant::now);
        Timestamp::from_seconds(WALL.load(Ordering::Relaxed)) + Span::from_std(started.elapsed())
    }

    struct Told {
        bus: Bus,
        notices: Receiver<Notice>,
        _folder: tempfile::TempDir,
    }

    fn start(tick: Option<Span>) -> Told {
        *STARTED.lock().unwrap() = None;
        WALL.store(1_900_000_000, Ordering::Relaxed);
        FREE.store(u64::MAX, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::by(wall);
        let bus = Bus::new(clock);
        let file = Sqlite::open(&folder.path().join("ven.db"), "a").unwrap();
        let store = StoreHandle::start_task(Box::new(file), bus.clone());
        let notices = bus.listen();
        let pulse = Pulse {
            bus: bus.clone(),
            clock,
            store,
            tick,
            folder: folder.path().to_owned(),
            free: |_| Some(FREE.load(Ordering::Relaxed)).filter(|free| *free != u64::MAX),
        };
        tokio::spawn(pulse.run(std::future::pending()));
        Told { bus, notices, _folder: folder }
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::await_holding_lock, reason = "nothing else of this thread wants it")]
    async fn a_tick_is_told_where_somebody_wants_it_and_only_the_newest_waits() {
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let told = start(Some(Span::from_seconds(10)));
        pass(60).await;
        assert_eq!(*told.bus.newest().borrow(), 0, "nobody wants it");
        let want = told.bus.want(vec![Topics::parse(["system.tick"]).unwrap()]);
        pass(60).await;
        let facts = told.bus.after(0, 9).facts;
        assert_eq!((facts.len(), facts[0].seq), (1, 6), "one waits, and it is the newest");
        let uptime = facts[0].data["uptime_seconds"].as_i64().unwrap();
        assert!((110..=120).contains(&uptime), "{uptime}");
        let fact = (*facts[0]).clone();
        let draft = Draft { topic: fact.topic, subject: None, time: fact.time, data: fact.data };
        assert_eq!(misfits(&draft), Vec::<String>::new());
        drop(want);
        pass(60).await;
        assert_eq!(*told.bus.newest().borrow(), 6);
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::await_holding_lock, reason = "nothing else of this thread wants it")]
    async fn a_clock_that_is_set_is_told_with_both_times() {
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut told = start(None);
        pass(3600).await;
        WALL.fetch_add(1, Ordering::Relaxed);
        pass(3600).await;
        assert!(told.notices.try_recv().is_err(), "that may be a clock that is set slowly");
        WALL.fetch_add(3600, Ordering::Relaxed);
        pass(6).await;
        let Ok(Notice::ClockJumped { from, to }) = told.notices.try_recv() else { panic!("nothing is told") };
        assert_eq!(to - from, Span::HOUR);
        WALL.fetch_sub(1800, Ordering::Relaxed);
        pass(6).await;
        let Ok(Notice::ClockJumped { from, to }) = told.notices.try_recv() else { panic!("nothing is told") };
        assert_eq!(from - to, Span::MINUTE * 30);
        pass(3600).await;
        assert!(told.notices.try_recv().is_err(), "told once");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::await_holding_lock, reason = "nothing else of this thread wants it")]
    async fn a_disk_that_fills_up_is_told_once_and_so_is_room_on_it() {
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut told = start(None);
        pass(60).await;
        assert!(told.notices.try_recv().is_err(), "a system that does not say it is believed");
        FREE.store(20 << 20, Ordering::Relaxed);
        pass(60).await;
        let Ok(Notice::DiskLow { free: Some(free), why }) = told.notices.try_recv() else {
            panic!("not told")
        };
        assert!(free == 20 << 20 && why.starts_with("20 MiB are free where the store is"), "{why}");
        FREE.store(40 << 20, Ordering::Relaxed);
        pass(60).await;
        assert!(told.notices.try_recv().is_err(), "neither again nor too early");
        FREE.store(100 << 20, Ordering::Relaxed);
        pass(60).await;
        assert_eq!(told.notices.try_recv().unwrap(), Notice::DiskRecovered { free: Some(100 << 20) });
        assert!(told.notices.try_recv().is_err());
    }

    #[test]
    fn the_system_says_what_is_free() {
        assert!(free(Path::new("/")).is_some());
        assert_eq!(free(Path::new("/no/such/folder")), None);
    }
}
