//! Brings the bytes of a line in, and carries out what the decoders of its meters wish: a serial port, a host that hands one through,
//! a recording, or a command.
//!
//! ```text
//! source (serial, tcp, file, exec) <-> feed (with the decoders, in turn) -> listener -> telegrams, refused bytes, troubles
//! local API                         -> feed_posted                         ->
//! ```
//!
//! What comes by a network or from a program is read no faster than any meter speaks, see [`pace`].

mod backoff;
mod exec;
mod feed;
mod listener;
mod pace;
mod posted;
mod serial;
#[cfg(test)]
mod tests;
mod trouble;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::MeterSource;
use crate::metering::LineSettings;

pub(super) use backoff::Backoff;
pub(super) use exec::Command;
pub(crate) use feed::{Fed, FeedSettings, Place, feed};
pub(super) use posted::feed_posted;
use serial::SerialLine;
pub(crate) use serial::by_id;
pub(crate) use trouble::{HELD_BACK, Trouble};

/// So much is read at once.
const PIECE: usize = 4096;
/// A host that does not answer within this is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing came for this is asked whether it lives, so often, and this many times.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMES: u32 = 3;
/// How many pieces are thrown away at most when what came is to be forgotten.
const MOST_DISCARDED: usize = 64;

/// Where bytes come from, open or not.
#[derive(Debug)]
pub(crate) struct Source {
    from: MeterSource,
    line: LineSettings,
    open: Option<Open>,
    backoff: Backoff,
    piece: Vec<u8>,
}

#[derive(Debug)]
enum Open {
    Serial(Box<SerialLine>),
    Tcp(TcpStream),
    File(tokio::fs::File),
    Exec(Command),
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Read<'s> {
    Bytes(&'s [u8]),
    /// A recording is over.
    End,
}

impl Source {
    /// Opens nothing yet.
    pub(crate) fn new(from: MeterSource, line: LineSettings) -> Self {
        Self { from, line, open: None, backoff: Backoff::default(), piece: vec![0; PIECE] }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it begins where a telegram begins, and ends.
    pub(crate) const fn is_recording(&self) -> bool {
        matches!(self.from, MeterSource::File(_))
    }

    /// How the line is set now.
    pub(crate) const fn line(&self) -> LineSettings {
        self.line
    }

    /// Opens it, after a pause where the last time is not long ago; a port that is plugged in ends the pause.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened; the next call waits longer.
    pub(crate) async fn open(&mut self) -> io::Result<()> {
        let port = match &self.from {
            MeterSource::Serial(path) => Some(path.as_path()),
            MeterSource::Tcp(_) | MeterSource::File(_) | MeterSource::Exec(_) | MeterSource::Api => None,
        };
        self.backoff.wait(port).await;
        self.open = Some(match &self.from {
            MeterSource::Serial(path) => Open::Serial(Box::new(SerialLine::open(path, self.line)?)),
            MeterSource::Tcp(address) => Open::Tcp(connect(address).await?),
            MeterSource::File(path) => Open::File(tokio::fs::File::open(path).await?),
            MeterSource::Exec(command) => Open::Exec(Command::start(command)?),
            MeterSource::Api => {
                let why = "telegrams are posted to the VEN that runs, and nobody else can read them";
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
        });
        Ok(())
    }

    /// The next bytes, as many as there are. May be dropped at any moment without loss.
    ///
    /// # Errors
    ///
    /// Where the source goes away; it is closed then.
    pub(crate) async fn read(&mut self) -> io::Result<Read<'_>> {
        let read = match &mut self.open {
            None => Err(io::ErrorKind::NotConnected.into()),
            Some(Open::Serial(line)) => line.read(&mut self.piece).await,
            Some(Open::Tcp(stream)) => stream.read(&mut self.piece).await,
            Some(Open::File(file)) => match file.read(&mut self.piece).await {
                Ok(0) => return Ok(Read::End),
                read => read,
            },
            Some(Open::Exec(command)) => command.read(&mut self.piece).await,
        };
        match read {
            Ok(0) => {
                let why = match self.open.take() {
                    // A port that was pulled out answers nothing, at once and for ever.
                    Some(Open::Serial(_)) => "it was unplugged".to_owned(),
                    Some(Open::Exec(command)) => command.ended().await,
                    _ => "the other side closed the connection".to_owned(),
                };
                Err(io::Error::new(io::ErrorKind::NotConnected, why))
            }
            Ok(length) => {
                self.backoff.succeeded();
                Ok(Read::Bytes(&self.piece[..length]))
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// Sends bytes, and returns when they are out.
    ///
    /// # Errors
    ///
    /// Where they cannot be sent; it is closed then.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match &mut self.open {
            None => Err(io::ErrorKind::NotConnected.into()),
            Some(Open::Serial(line)) => line.send(bytes, self.line).await,
            Some(Open::Tcp(stream)) => stream.write_all(bytes).await,
            // A recording hears nothing.
            Some(Open::File(_)) => Ok(()),
            Some(Open::Exec(command)) => command.send(bytes).await,
        };
        if sent.is_err() {
            self.open = None;
        }
        sent
    }

    /// Sets speed and framing, also for every later opening; only serial ports have them.
    ///
    /// # Errors
    ///
    /// Where the port cannot do that; it is closed then.
    pub(crate) fn set(&mut self, line: LineSettings) -> io::Result<()> {
        self.line = line;
        let Some(Open::Serial(port)) = &mut self.open else { return Ok(()) };
        let set = port.set(line);
        if set.is_err() {
            self.open = None;
        }
        set
    }

    /// Forgets what has come and was not read yet.
    pub(crate) async fn discard(&mut self) {
        for _ in 0..MOST_DISCARDED {
            let read = match &mut self.open {
                Some(Open::Serial(line)) => {
                    tokio::time::timeout(Duration::ZERO, line.read(&mut self.piece)).await
                }
                Some(Open::Tcp(stream)) => {
                    tokio::time::timeout(Duration::ZERO, stream.read(&mut self.piece)).await
                }
                Some(Open::Exec(command)) => {
                    tokio::time::timeout(Duration::ZERO, command.read(&mut self.piece)).await
                }
                Some(Open::File(_)) | None => return,
            };
            // An end or an error comes again at the next read.
            if !matches!(read, Ok(Ok(length)) if length > 0) {
                return;
            }
        }
    }

    /// Closes it; the next opening does not wait.
    pub(crate) fn close(&mut self) {
        self.open = None;
        self.backoff.succeeded();
    }
}

/// Connects, and lets the system find out whether a silent host is still there.
async fn connect(address: &str) -> io::Result<TcpStream> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the host does not answer");
    let stream = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await.map_err(late)??;
    keep_alive(&stream)?;
    Ok(stream)
}

/// Lets the system find out whether a silent host is still there.
///
/// # Errors
///
/// Where the system does not.
pub(super) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let often = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    socket2::SockRef::from(stream).set_tcp_keepalive(&often.with_retries(KEEP_ALIVE_TIMES))
}
