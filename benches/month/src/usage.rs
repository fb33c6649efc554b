//! Says what the process and its store use, by what the system and the database count.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Resident memory may vary by so much, in kB.
const VARIES: u64 = 1_024;
/// Of one core, in percent.
const MOST_OF_A_CORE: f64 = 0.5;
/// A day: each five minutes what the meter says; and of each quarter's report that it is owed, the nonce of its answer, and that it is
/// delivered.
const MOST_COMMITS: i64 = 288 + 96 * 3 + 10;

/// What was used up to now.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// Of the processor, without the threads that do not count.
    processor: Duration,
    /// Resident, in kB; and of that what is no file.
    resident: u64,
    anonymous: u64,
    /// Transactions of the store, modulo 2^32.
    commits: u32,
    /// Bytes of the store, and of the whole folder.
    store: u64,
    folder: u64,
}

/// What the process has used of the processor.
fn of_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("a time that runs"),
        time.tv_nsec.try_into().expect("less than a second"),
    )
}

impl Usage {
    /// `others`: the names of threads that do not count.
    pub(crate) fn now(store: &Store, others: &[&str]) -> Self {
        let others: Duration = others.iter().map(|name| of_thread(name)).sum();
        Self {
            processor: of_process() - others,
            resident: of_memory("VmRSS:"),
            anonymous: of_memory("RssAnon:"),
            commits: store.commits(),
            store: store.size("ven.db"),
            folder: size(&store.folder),
        }
    }

    /// In kB.
    pub(crate) const fn resident(&self) -> u64 {
        self.resident
    }
}

/// What the threads of that name have used of the processor.
fn of_thread(name: &str) -> Duration {
    let used = threads().filter(|(_, called)| called == name).map(|(task, _)| {
        let said = std::fs::read_to_string(task.join("schedstat")).expect("a system that counts");
        Duration::from_nanos(
            said.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"),
        )
    });
    used.sum()
}

/// Whether all threads sleep, but for those of these names.
pub(crate) fn sleep(others: &[&str]) -> bool {
    threads().filter(|(_, called)| !others.contains(&called.as_str())).all(|(task, _)| {
        // One that has ended meanwhile does nothing.
        let about = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
        about.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    })
}

/// Folder and name of each thread.
fn threads() -> impl Iterator<Item = (PathBuf, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten().map(|task| task.path());
    tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        Some((task, name.trim().to_owned()))
    })
}

fn of_memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("what Linux says");
    line.trim().trim_end_matches(" kB").parse().expect("kB")
}

/// Where the VEN stores what it must not forget.
pub(crate) struct Store {
    folder: PathBuf,
    /// Stays open: the locks of a process on a file go when it closes it anywhere, also those of SQLite.
    index: File,
}

impl Store {
    pub(crate) fn of_ven(folder: PathBuf) -> Self {
        let index = File::open(folder.join("ven.db-shm")).expect("an index of the WAL");
        Self { folder, index }
    }

    /// Bytes of a database of the store, with what is about to be written to it.
    pub(crate) fn size(&self, database: &str) -> u64 {
        ["", "-wal"].iter().map(|ending| size(&self.folder.join(format!("{database}{ending}")))).sum()
    }

    /// SQLite counts the transactions in the header of its index of the WAL, 8 bytes behind its beginning.
    fn commits(&self) -> u32 {
        let mut counter = [0; 4];
        self.index.read_exact_at(&mut counter, 8).expect("a header");
        u32::from_ne_bytes(counter)
    }
}

fn size(path: &Path) -> u64 {
    if path.is_dir() {
        return std::fs::read_dir(path).expect("a folder").flatten().map(|entry| size(&entry.path())).sum();
    }
    std::fs::metadata(path).map_or(0, |about| about.len())
}

/// A day, and everything up to its end.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) number: i64,
    pub(crate) telegrams: i64,
    pub(crate) reports: u32,
    /// Messages that the VTN got on this day.
    pub(crate) polls: usize,
    pub(crate) usage: Usage,
}

/// A day, and when it began to count.
pub(crate) struct Since<'d> {
    day: &'d Day,
    begun: &'d Day,
}

impl Day {
    pub(crate) const fn since<'d>(&'d self, begun: &'d Self) -> Since<'d> {
        Since { day: self, begun }
    }

    /// Panics where the VEN costs more than it may; `full`: when everything was kept that is kept.
    pub(crate) fn judge(&self, begun: &Self, full: &Self) {
        let since = self.since(begun);
        assert!(since.percent() < MOST_OF_A_CORE, "{since}");
        let commits = since.commits();
        assert!(commits <= MOST_COMMITS, "{commits} transactions a day");
        let (now, then) = (self.usage.anonymous, full.usage.anonymous);
        assert!(now <= then + VARIES, "{now} kB are resident after {then} kB");
        // The last one is on its way.
        assert_eq!(i64::from(self.reports), self.number * 96 - 1, "a report each quarter of an hour");
    }
}

impl Since<'_> {
    fn seconds(&self) -> f64 {
        (self.day.usage.processor - self.begun.usage.processor).as_secs_f64()
    }

    /// A day.
    fn commits(&self) -> i64 {
        i64::from(self.day.usage.commits.wrapping_sub(self.begun.usage.commits)) / self.day.number
    }

    /// Of one core, were this time real.
    fn percent(&self) -> f64 {
        let passed = self.day.telegrams as f64;
        self.seconds() * 100.0 / passed
    }
}

impl fmt::Display for Since<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Day { number, telegrams, reports, polls, usage } = self.day;
        write!(
            f,
            "day {number:>2}: {telegrams} telegrams, {:.1} s of processor, {:.0} us a telegram, {:.3} % of one core; \
             {} kB resident ({} kB no files); {} commits a day, {} kB of store, {} kB in all; {reports} reports, {polls} messages a day",
            self.seconds(),
            self.percent() * 10_000.0,
            self.percent(),
            usage.resident,
            usage.anonymous,
            self.commits(),
            usage.store / 1_024,
            usage.folder / 1_024,
        )
    }
}
