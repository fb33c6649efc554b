//! Opens a store that may be damaged: a VEN without a memory is better than none.
//!
//! What is damaged is set aside, and never deleted: somebody may want to look at it, or SQLite's `.recover` get something out of it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::engine::Snapshot;
use crate::time::Timestamp;

use super::{Sqlite, Store as _, StoreError};

/// What SQLite keeps beside a database, and must go where it goes.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A store that can be read, and what is in it.
pub(super) struct Sound {
    pub(super) store: Sqlite,
    pub(super) snapshot: Snapshot,
    /// The last place that was given to a fact.
    pub(super) last: u64,
    /// When the newest fact happened.
    pub(super) newest: Option<Timestamp>,
    /// What was there was damaged, and is here now.
    pub(super) damaged: Option<PathBuf>,
}

/// Opens the file, or sets it aside where it is damaged and makes a new one.
///
/// # Errors
///
/// Where it cannot be opened for another reason, as a newer schema or a lack of rights; then it stays where it is.
pub(super) fn open(path: &Path, ven: &str, now: Timestamp) -> Result<Sound, StoreError> {
    let why = match read(path, ven) {
        Ok(sound) => return Ok(sound),
        Err(error) if error.is_damage() => error,
        Err(error) => return Err(error),
    };
    let aside = set_aside(path, now)?;
    tracing::error!(
        "the store is damaged, and everything in it lost, as the registration, opts and readings: {why}; it is kept as {}, and a new \
         one begins",
        aside.display()
    );
    Ok(Sound { damaged: Some(aside), ..read(path, ven)? })
}

/// Reads everything that the VEN begins with.
fn read(path: &Path, ven: &str) -> Result<Sound, StoreError> {
    let mut store = Sqlite::open(path, ven)?;
    store.check(path)?;
    let snapshot = store.load().map_err(|error| error.of_content(path))?;
    store.nonces().map_err(|error| error.of_content(path))?;
    let newest = store.facts().newest().map_err(|error| error.of_content(path))?;
    let last = store.facts().begin_places()?;
    Ok(Sound { store, snapshot, last, newest, damaged: None })
}

/// Renames the file and what belongs to it; `<file>.corrupt-<time>`.
fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let time: String = now.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let named = |count: u32| match count {
        0 => with(path, &format!(".corrupt-{time}")),
        more => with(path, &format!(".corrupt-{time}-{more}")),
    };
    let aside = (0..).map(named).find(|aside| !aside.exists()).unwrap_or_else(|| named(0));
    let fails = |path: &Path, source| StoreError::File { path: path.display().to_string(), source };
    // First what is beside it: left alone beside a new file, SQLite would take it for that one's.
    for suffix in BESIDE {
        let from = with(path, suffix);
        match std::fs::rename(&from, with(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fails(&from, error)),
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::rename(path, &aside).map_err(|error| fails(path, error))?;
    Ok(aside)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl StoreError {
    /// The file itself is bad, and will be the next time.
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Database(error) => {
                matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                )
            }
            Self::File { .. } | Self::TooNew { .. } | Self::Unreadable { .. } | Self::Gone => false,
        }
    }

    /// Of a file of the present schema in which something could not be read: it is damaged, unless the system is to blame.
    fn of_content(self, path: &Path) -> Self {
        let is_of_content = match &self {
            Self::Unreadable { .. } => true,
            Self::Database(error) => !error.sqlite_error_code().is_some_and(is_of_system),
            Self::File { .. } | Self::Damaged { .. } | Self::TooNew { .. } | Self::Gone => false,
        };
        if is_of_content {
            Self::Damaged { path: path.display().to_string(), why: self.to_string() }
        } else {
            self
        }
    }
}

/// Another time it may work.
const fn is_of_system(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::OperationInterrupted
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Sound, open, with};
    use crate::daemon::store::{Sqlite, Store as _, StoreError};
    use crate::engine::{RegistrationRecord, Write};
    use crate::fact::{Draft, Fact};
    use crate::openadr::signature::Seen;
    use crate::time::{Span, Timestamp};

    type Spoil = fn(&mut Vec<u8>);

    fn now() -> Timestamp {
        "2030-01-02T12:00:00Z".parse().unwrap()
    }

    fn registration() -> RegistrationRecord {
        RegistrationRecord {
            registration_id: "reg".into(),
            ven_id: "ven".into(),
            vtn_id: "vtn".into(),
            poll_freq: Some(Span::SECOND),
            reports_registered: None,
        }
    }

    /// A store with a registration in it, closed.
    fn written(path: &Path) {
        let mut store = Sqlite::open(path, "a").unwrap();
        store.commit(&[Write::Registration(Some(registration()))], &[]).unwrap();
    }

    fn opened(path: &Path) -> Sound {
        open(path, "a", now()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Every file of the folder, by name.
    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_sound_store_is_opened_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ven.db");
        written(&path);
        let Sound { snapshot, damaged, .. } = opened(&path);
        assert_eq!((snapshot.registration, damaged), (Some(registration()), None));
    }

    #[test]
    fn whatever_is_damaged_is_set_aside_and_a_new_store_begins() {
        let spoil: [(&str, Spoil); 6] = [
            ("its beginning is another", |bytes| bytes[..16].fill(b'x')),
            ("it is no database at all", |bytes| *bytes = b"[ven]\nname = \"a\"\n".repeat(100)),
            ("its end is missing", |bytes| bytes.truncate(bytes.len() / 2)),
            ("a page is empty", |bytes| bytes[4096..8192].fill(0)),
            ("everything but the header is noise", |bytes| {
                let noise = |at: usize| u8::try_from(at.wrapping_mul(2_654_435_761) >> 7 & 0xff).unwrap();
                bytes.iter_mut().enumerate().skip(100).for_each(|(at, byte)| *byte = noise(at));
            }),
            ("the schema is another", |bytes| {
                let text = b"CREATE TABLE registration";
                // It may stand there several times, of which one counts.
                while let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
                    bytes[at..at + 6].copy_from_slice(b"CREATX");
                }
            }),
        ];
        for (what, spoil) in spoil {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ven.db");
            written(&path);
            let mut bytes = std::fs::read(&path).unwrap();
            spoil(&mut bytes);
            std::fs::write(&path, &bytes).unwrap();
            std::fs::write(with(&path, "-wal"), b"").unwrap();
            let Sound { mut store, snapshot, damaged, .. } = opened(&path);
            let aside = damaged.unwrap_or_else(|| panic!("{what}: nobody has noticed"));
            assert_eq!(aside, folder.path().join("ven.db.corrupt-20300102T120000Z"), "{what}");
            assert_eq!(std::fs::read(&aside).unwrap(), bytes, "{what}: nothing is lost of it");
            assert!(snapshot.registration.is_none(), "{what}");
            store.commit(&[Write::Registration(Some(registration()))], &[]).unwrap();
            drop(store);
            assert_eq!(
                opened(&path).snapshot.registration,
                Some(registration()),
                "{what}: the new one is sound"
            );
        }
    }

    #[test]
    fn what_is_beside_the_file_goes_with_it_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ven.db");
        for _ in 0..2 {
            std::fs::write(&path, "no database, but longer than the header of one would be".repeat(20))
                .unwrap();
            std::fs::write(with(&path, "-wal"), "no log").unwrap();
            drop(opened(&path));
        }
        let found = files(folder.path());
        let expected = ["ven.db", "ven.db.corrupt-20300102T120000Z", "ven.db.corrupt-20300102T120000Z-1"];
        let own: Vec<_> =
            found.iter().filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
        assert_eq!(own, expected, "{found:?}");
    }

    /// A record that cannot be read would stop the VEN at every start.
    #[test]
    fn a_record_that_cannot_be_read_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ven.db");
        written(&path);
        let raw = rusqlite::Connection::open(&path).unwrap();
        let row = "INSERT INTO opt_schedule VALUES ('a', 'o', 1, 'optIn', 'economic', NULL, 'no list', '[]', 0, NULL, NULL, 0)";
        raw.execute(row, []).unwrap();
        drop(raw);
        assert!(opened(&path).damaged.is_some());
    }

    #[test]
    fn a_store_of_a_newer_version_or_one_that_cannot_be_opened_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ven.db");
        written(&path);
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 99).unwrap();
        drop(raw);
        assert!(matches!(open(&path, "a", now()), Err(StoreError::TooNew { found: 99, .. })));
        assert_eq!(files(folder.path()), ["ven.db"]);
        let missing = folder.path().join("nowhere/ven.db");
        assert!(matches!(open(&missing, "a", now()), Err(StoreError::File { .. })));
    }

    #[test]
    fn when_something_was_told_last_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ven.db");
        let mut store = Sqlite::open(&path, "a").unwrap();
        let Draft { topic, subject, time, data } =
            Draft::new(&crate::fact::topic::own::STOPPING, None, now(), [("reason", "x".into())]);
        let fact = Fact { id: "1".into(), seq: 7, topic, subject, time, data };
        let told = crate::daemon::store::Told { fact: fact.into(), hooks: Vec::new() };
        store.commit(&[], &[told]).unwrap();
        let nonces: [Seen; 0] = [];
        store.put_nonces(&nonces, now()).unwrap();
        drop(store);
        let sound = opened(&path);
        assert_eq!((sound.newest, sound.last), (Some(now()), 7));
    }
}
