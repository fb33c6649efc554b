//! Appends messages to a file, one line each.
//!
//! The file is opened for each message, so that whoever moves it away or deletes it (`logrotate`) need not tell us, and nothing is held
//! meanwhile. What could not be written whole is taken back: no reader finds half a line that another one follows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use tokio::task::JoinHandle;

use crate::hook::outcome::Try;
use crate::hook::settings::FileTarget;

use super::{Delivering, Message, Sink};

/// For the owner alone: facts tell when somebody is at home.
const MODE: u32 = 0o600;

/// Appends to one file.
#[derive(Debug)]
pub(super) struct FileSink {
    target: FileTarget,
    /// A write that was not waited for to the end, and of which message it is. A disk that hangs holds one thread, not one for each try.
    running: Option<(String, JoinHandle<io::Result<()>>)>,
}

impl FileSink {
    pub(super) fn new(target: FileTarget) -> Self {
        Self { target, running: None }
    }

    async fn append(&mut self, message: &Message) -> io::Result<()> {
        if let Some((id, write)) = &mut self.running {
            let (done, same) = (write.await, *id == message.id);
            self.running = None;
            if same {
                return done?;
            }
        }
        let (target, line) = (self.target.clone(), line(message));
        let write = tokio::task::spawn_blocking(move || append(&target, &line));
        let (_, write) = self.running.insert((message.id.clone(), write));
        let done = write.await;
        self.running = None;
        done?
    }
}

impl Sink for FileSink {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            match self.append(message).await {
                Ok(()) => Try::sent(None),
                Err(error) => Try::unreachable(format!("{}: {error}", self.target.path.display())),
            }
        })
    }
}

/// The message as one line. In JSON a line end is white space wherever it stands (RFC 8259, section 2): in texts it is escaped.
pub(super) fn line(message: &Message) -> Vec<u8> {
    let mut line = message.body.trim_ascii_end().to_vec();
    if message.content_type.contains("json") {
        for octet in line.iter_mut().filter(|octet| matches!(octet, b'\r' | b'\n')) {
            *octet = b' ';
        }
    }
    line.push(b'\n');
    line
}

fn append(target: &FileTarget, line: &[u8]) -> io::Result<()> {
    let mut file = open(&target.path)?;
    let mut length = file.metadata()?.len();
    let added = u64::try_from(line.len()).unwrap_or(u64::MAX);
    if length > 0 && length.saturating_add(added) > target.max_bytes {
        put_aside(&target.path, target.keep)?;
        file = open(&target.path)?;
        length = file.metadata()?.len();
    }
    let written = end_line(&mut file, length)
        .and_then(|()| file.write_all(line))
        .and_then(|()| if target.fsync { file.sync_data() } else { Ok(()) });
    if written.is_err() {
        // Where that fails too, the next write begins a new line.
        file.set_len(length).ok();
    } else if target.fsync && length == 0 {
        // Its name is in the folder, and that has to be on the disk too.
        let folder = target.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    written
}

/// Opens it or makes it; where something else has its name (a link, a pipe, a device), that is left alone.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(MODE).custom_flags(flags.bits());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(code) if code == nix::errno::Errno::ELOOP as i32 => other("it is a link; name the file itself"),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other("it is no file")) }
}

fn other(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Ends a line that was cut when the machine went down.
fn end_line(file: &mut File, length: u64) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// `path` becomes `path.1`, that `path.2`, …; the last is deleted.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let name = |number: u32| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (0..keep).rev() {
        match fs::rename(name(number), name(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
