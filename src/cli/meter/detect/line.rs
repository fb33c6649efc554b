//! A line that can be set, spoken to and listened to: that of a port, or one that a test makes.

use std::io;

use crate::config::MeterSource;
use crate::daemon::clock::Clock;
use crate::daemon::meter_source::{Read, Source};
use crate::metering::{Framing, LineSettings};
use crate::time::Span;

/// How the line is set before anybody has a better idea.
const FIRST: LineSettings = LineSettings { baud: 115_200, framing: Framing::EightNone };

/// What a search needs of a line.
pub(super) trait Line {
    /// Sets speed and framing, and forgets what came before.
    async fn set(&mut self, line: LineSettings) -> io::Result<()>;
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The next bytes that come within that time; none, where none do.
    async fn read(&mut self, within: Span) -> io::Result<Vec<u8>>;
    /// The monotonic clock.
    fn now(&self) -> Span;
    /// Whether it has speeds at all.
    fn has_speeds(&self) -> bool;
}

/// That of a port.
#[derive(Debug)]
pub(super) struct PortLine {
    source: Source,
    serial: bool,
    clock: Clock,
}

impl PortLine {
    /// Opens nothing yet.
    pub(super) fn open(source: MeterSource) -> Self {
        let serial = matches!(source, MeterSource::Serial(_));
        Self { source: Source::new(source, FIRST), serial, clock: Clock::start() }
    }

    /// Opens it.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        self.source.open().await
    }
}

impl Line for PortLine {
    async fn set(&mut self, line: LineSettings) -> io::Result<()> {
        self.source.set(line)?;
        self.source.discard().await;
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.source.send(bytes).await
    }

    async fn read(&mut self, within: Span) -> io::Result<Vec<u8>> {
        match tokio::time::timeout(within.to_std(), self.source.read()).await {
            Ok(read) => Ok(match read? {
                Read::Bytes(bytes) => bytes.to_vec(),
                Read::End => Vec::new(),
            }),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn now(&self) -> Span {
        self.clock.now().since_start
    }

    fn has_speeds(&self) -> bool {
        self.serial
    }
}
