//! Keeps what went over the wire, both ways, to the octet: for disputes with a utility.
//!
//! Lines of JSON in files `NUMBER.jsonl`, each named after its first entry. The journal promises nothing and is never waited
//! for: whoever writes puts an entry into a bounded channel, and a thread of its own takes it to the disk without syncing. What
//! does not fit into the channel or onto the disk is counted and told. After `kill -9` at most the last line is cut off.
//!
//! Polls that brought nothing are only counted, in the entry that follows them. Messages stand there as they were, for without
//! each octet no signature can be verified: what is in them are names (the registrationID too, with which nobody can do
//! anything without our key) and readings, so the files can be read by their owner only. Keys and passphrases are never in a
//! message.

mod entry;
mod segments;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::config::JournalSection;
use crate::notice::Notice;
use crate::openadr::message::PayloadKind;
use crate::time::Timestamp;

use super::bus::Bus;
use super::clock::Clock;

pub(crate) use entry::{Direction, Entry};
use segments::Segments;
pub(crate) use segments::read;

/// The folder of the journal, in `[ven] state`.
pub(crate) const FOLDER: &str = "journal";
/// Entries that may wait for the disk.
const WAITING: usize = 16;
/// A larger message is noted without its octets, so that those that wait need little memory.
const LARGEST: usize = 1024 * 1024;
/// So often it is looked for what is too old, where nothing is written.
const LOOK: Duration = Duration::from_secs(3600);

/// Takes entries; never in the way of whoever gives them.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    /// `None`: nothing is kept.
    entries: Option<SyncSender<Entry>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    quiet_polls: AtomicU64,
    lost: AtomicU64,
}

impl Journal {
    /// A journal in that folder, where the section wants one; its thread ends when the last handle is dropped.
    pub(crate) fn start(folder: PathBuf, section: &JournalSection, clock: Clock, bus: Bus) -> Self {
        let counts = Arc::new(Counts::default());
        if !section.enabled {
            return Self { entries: None, counts };
        }
        let (entries, waiting) = sync_channel(WAITING);
        let segments = Segments::new(folder, section.keep, section.max_size);
        let writer = Writer { segments, counts: counts.clone(), bus, clock, failing: false };
        std::thread::spawn(move || writer.run(&waiting));
        Self { entries: Some(entries), counts }
    }

    /// Notes a message of ours.
    pub(crate) fn sent(&self, time: Timestamp, kind: PayloadKind, message: &str) {
        self.put(|| {
            let mut entry = Entry::new(time, Direction::Out, kind.service());
            entry.kind = Some(kind.to_string());
            entry.with(message.as_bytes(), LARGEST)
        });
    }

    /// Notes what came; `entry` is asked only where something is kept.
    pub(crate) fn received(&self, entry: impl FnOnce() -> Entry, message: Option<&[u8]>) {
        self.put(|| match message {
            Some(message) => entry().with(message, LARGEST),
            None => entry(),
        });
    }

    /// A poll has brought nothing.
    pub(crate) fn quiet_poll(&self) {
        self.counts.quiet_polls.fetch_add(1, Ordering::Relaxed);
    }

    fn put(&self, entry: impl FnOnce() -> Entry) {
        let Some(entries) = &self.entries else { return };
        if entries.try_send(entry()).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the thread works with.
struct Writer {
    segments: Segments,
    counts: Arc<Counts>,
    bus: Bus,
    clock: Clock,
    failing: bool,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Entry>) {
        loop {
            match waiting.recv_timeout(LOOK) {
                Ok(entry) => self.write(entry),
                Err(RecvTimeoutError::Timeout) => self.segments.trim(self.clock.now().wall),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, mut entry: Entry) {
        entry.quiet_polls = self.counts.quiet_polls.swap(0, Ordering::Relaxed);
        entry.lost = self.counts.lost.swap(0, Ordering::Relaxed);
        let (quiet_polls, lost) = (entry.quiet_polls, entry.lost);
        match self.segments.append(entry) {
            Ok(()) if self.failing || lost > 0 => {
                self.failing = false;
                self.bus.tell(Notice::JournalRecovered { lost });
            }
            Ok(()) => {}
            Err(error) => {
                self.counts.quiet_polls.fetch_add(quiet_polls, Ordering::Relaxed);
                self.counts.lost.fetch_add(lost + 1, Ordering::Relaxed);
                if !self.failing {
                    self.failing = true;
                    self.bus.tell(Notice::JournalFails { why: error.to_string() });
                }
            }
        }
    }
}
