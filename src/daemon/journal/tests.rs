use std::path::Path;

use super::segments::{Segments, read};
use super::{Direction, Entry, Journal, LARGEST, WAITING};
use crate::config::JournalSection;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::notice::Notice;
use crate::openadr::message::{PayloadKind, Service};
use crate::time::{Span, Timestamp};

const KEEP: Span = Span::from_seconds(7 * 24 * 3600);

fn entry(time: Timestamp, message: &str) -> Entry {
    Entry::new(time, Direction::In, Service::EiEvent).with(message.as_bytes(), LARGEST)
}

fn all(folder: &Path) -> (Vec<Entry>, usize) {
    let mut entries = Vec::new();
    let unreadable = read(folder, |entry| entries.push(entry)).unwrap();
    (entries, unreadable)
}

fn numbers(folder: &Path) -> Vec<u64> {
    all(folder).0.iter().map(|entry| entry.number).collect()
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn newest(folder: &Path) -> std::path::PathBuf {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).max().unwrap()
}

fn now() -> Timestamp {
    Clock::start().now().wall
}

#[test]
fn every_octet_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut segments = Segments::new(folder.path().join("journal"), KEEP, 1 << 20);
    let time: Timestamp = "2030-01-02T03:04:05.000006Z".parse().unwrap();
    for message in [&b"<a>\r\n\"\xc3\xbc\\\0</a>"[..], b"", b"\xff\xfe<\0a\0>\0"] {
        let entry = Entry::new(time, Direction::Out, Service::OadrPoll).with(message, LARGEST);
        assert_eq!(entry.message().unwrap(), message);
        segments.append(entry.clone()).unwrap();
        let (mut entries, unreadable) = all(&folder.path().join("journal"));
        let read = entries.pop().unwrap();
        assert_eq!((read.message().unwrap().as_ref(), read.time, unreadable), (message, time, 0));
    }
    assert_eq!(numbers(&folder.path().join("journal")), [1, 2, 3]);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let journal = folder.path().join("journal");
    assert_eq!(
        (mode(&journal), mode(&newest(&journal))),
        (0o700, 0o600),
        "readings are nobody else's business"
    );
    let large = Entry::new(time, Direction::In, Service::EiEvent).with(&vec![b'x'; LARGEST + 1], LARGEST);
    assert_eq!((large.octets, large.message()), (LARGEST + 1, None));
}

#[test]
fn the_oldest_go_when_there_are_too_many_octets() {
    let folder = tempfile::tempdir().unwrap();
    let most = 16 * 1024;
    let mut segments = Segments::new(folder.path().to_owned(), KEEP, most);
    for _ in 0..200 {
        segments.append(entry(now(), &"x".repeat(500))).unwrap();
        assert!(size(folder.path()) <= most, "{}", size(folder.path()));
    }
    let left = numbers(folder.path());
    assert_eq!(left.last(), Some(&200));
    assert!(left.len() > 10 && left.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{left:?}");
}

#[test]
fn what_is_too_old_goes_even_where_nothing_new_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut segments = Segments::new(folder.path().to_owned(), KEEP, 1 << 20);
    segments.append(entry(now(), "old")).unwrap();
    segments.append(entry(now() + Span::DAY, "a file for each day or so")).unwrap();
    assert_eq!(numbers(folder.path()), [1, 2]);
    segments.trim(now() + KEEP - Span::HOUR);
    assert_eq!(numbers(folder.path()), [1, 2]);
    segments.trim(now() + KEEP + Span::HOUR);
    assert_eq!(numbers(folder.path()), [2], "the newest is still written to");
}

#[test]
fn a_line_that_was_cut_off_costs_that_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let append = |message: &str| {
        Segments::new(folder.path().to_owned(), KEEP, 1 << 20).append(entry(now(), message)).unwrap();
    };
    append("one");
    append("two");
    let path = newest(folder.path());
    let octets = std::fs::read(&path).unwrap();
    for cut in 1..60 {
        std::fs::write(&path, &octets[..octets.len() - cut]).unwrap();
        assert_eq!(numbers(folder.path()), [1], "cut by {cut}");
        append("again");
        assert_eq!(numbers(folder.path()), [1, 2], "cut by {cut}");
    }
    let spoilt = [b"no json\n".as_slice(), &octets].concat();
    std::fs::write(&path, spoilt).unwrap();
    append("three");
    let (entries, unreadable) = all(folder.path());
    assert_eq!((entries.len(), unreadable, entries[2].number), (3, 1, 3));
}

fn section() -> JournalSection {
    JournalSection { enabled: true, keep: KEEP, max_size: 1 << 20 }
}

fn sent(journal: &Journal, count: usize) {
    for _ in 0..count {
        journal.sent(now(), PayloadKind::Poll, "<x/>");
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_of_and_what_is_lost_is_counted() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    // A file stands where the folder should be.
    std::fs::write(&folder, "").unwrap();
    let bus = Bus::new(Clock::start());
    let mut told = bus.listen();
    let journal = Journal::start(folder.clone(), &section(), Clock::start(), bus);
    sent(&journal, 1);
    assert!(matches!(told.blocking_recv().unwrap(), Notice::JournalFails { .. }));
    std::fs::remove_file(&folder).unwrap();
    journal.quiet_poll();
    journal.quiet_poll();
    sent(&journal, 1);
    assert_eq!(told.blocking_recv().unwrap(), Notice::JournalRecovered { lost: 1 });
    let (entries, _) = all(&folder);
    assert_eq!((entries.len(), entries[0].lost, entries[0].quiet_polls), (1, 1, 2));
}

#[test]
fn nobody_waits_for_the_journal() {
    let (entries, waiting) = std::sync::mpsc::sync_channel(WAITING);
    let journal = Journal { entries: Some(entries), counts: std::sync::Arc::default() };
    // Nobody takes anything out.
    sent(&journal, WAITING + 5);
    assert_eq!(journal.counts.lost.load(std::sync::atomic::Ordering::Relaxed), 5);
    drop(waiting);
}

#[test]
fn a_journal_that_is_switched_off_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("journal");
    let off = JournalSection { enabled: false, ..section() };
    let journal = Journal::start(folder.clone(), &off, Clock::start(), Bus::new(Clock::start()));
    sent(&journal, 3);
    assert!(!folder.exists());
}
