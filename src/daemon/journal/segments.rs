//! The files of the journal: appended to, begun anew, and removed when they are too many or too old.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::time::{Span, Timestamp};

use super::entry::Entry;

const ENDING: &str = "jsonl";
/// The journal is cut into so many files, of which the oldest goes when there are more.
const PARTS: u64 = 8;

/// The files, of which the newest is written to.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    keep: Span,
    max_size: u64,
    /// `None`: before the first entry, or after a failure.
    newest: Option<Newest>,
}

#[derive(Debug)]
struct Newest {
    file: File,
    length: u64,
    began: Timestamp,
    next: u64,
}

impl Segments {
    pub(super) const fn new(folder: PathBuf, keep: Span, max_size: u64) -> Self {
        Self { folder, keep, max_size, newest: None }
    }

    /// Writes an entry behind the others, and gives it its number.
    pub(super) fn append(&mut self, mut entry: Entry) -> io::Result<()> {
        let time = entry.time;
        let mut newest = match self.newest.take() {
            Some(newest) => newest,
            None => self.resume(time)?,
        };
        entry.number = newest.next;
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let size = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let full = newest.length.saturating_add(size) > self.max_size / PARTS;
        let old = time - newest.began > Span::from_micros(self.keep.micros() / 8);
        if newest.length > 0 && (full || old) {
            newest = begin(&self.folder, newest.next, time)?;
        }
        if newest.length == 0 {
            // What is removed makes room for what comes.
            self.trim(time);
        }
        if let Err(error) = newest.file.write_all(&line) {
            // Half of a line would spoil the next one.
            newest.file.set_len(newest.length)?;
            self.newest = Some(newest);
            return Err(error);
        }
        newest.length += size;
        newest.next += 1;
        self.newest = Some(newest);
        Ok(())
    }

    /// Removes files that are too old, and the oldest while all of them together are too large; never the newest.
    pub(super) fn trim(&self, now: Timestamp) {
        let Ok(mut files) = files(&self.folder) else { return };
        files.pop();
        let part = self.max_size / PARTS;
        let mut left = self.max_size.saturating_sub(part);
        for path in files.iter().rev() {
            let Ok(about) = std::fs::metadata(path) else { continue };
            let written = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let written = Timestamp::EPOCH + written.map(Span::from_std).unwrap_or_default();
            let fits = about.len() <= left;
            left = if fits { left - about.len() } else { 0 };
            if !fits || now - written > self.keep {
                // What cannot be removed now is tried again with the next file.
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// Goes on with what an earlier run has left; a line that was cut off is dropped.
    fn resume(&self, time: Timestamp) -> io::Result<Newest> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let Some(path) = files(&self.folder)?.pop() else { return begin(&self.folder, 1, time) };
        let octets = std::fs::read(&path)?;
        let whole = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let lines = octets.get(..whole).unwrap_or_default();
        let entries: Vec<Entry> = lines
            .split(|octet| *octet == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let file = OpenOptions::new().append(true).open(&path)?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(length)?;
        let next = entries.last().map_or_else(|| first_number(&path), |entry| entry.number + 1);
        Ok(Newest { file, length, began: entries.first().map_or(time, |entry| entry.time), next })
    }
}

fn begin(folder: &Path, number: u64, time: Timestamp) -> io::Result<Newest> {
    let path = folder.join(format!("{number:020}.{ENDING}"));
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok(Newest { file, length, began: time, next: number })
}

fn first_number(path: &Path) -> u64 {
    path.file_stem().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(1)
}

/// The files of the journal, oldest first.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Shows every entry, oldest first; returns how many lines could not be read.
///
/// A line that is being written just now, or was cut off, is none.
///
/// # Errors
///
/// Where a file cannot be read.
pub(crate) fn read(folder: &Path, mut show: impl FnMut(Entry)) -> io::Result<usize> {
    let mut unreadable = 0;
    for path in files(folder)? {
        let file = match File::open(&path) {
            // Trimmed while we read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n") {
                match serde_json::from_slice(&line) {
                    Ok(entry) => show(entry),
                    Err(_) => unreadable += 1,
                }
            }
            line.clear();
        }
    }
    Ok(unreadable)
}
