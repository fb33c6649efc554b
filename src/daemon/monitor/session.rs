//! One TCP session of a monitor: batches go out, receipts come in.
//!
//! One block is under way at a time. It is done when it was confirmed, or, where nobody confirms, when it was written; from then on the
//! cursor stands behind it, and the next session goes on there.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{sleep, sleep_until, timeout};

use crate::daemon::clock::Clock;
use crate::fact::Draft;
use crate::fact::topic::own;
use crate::hook::monitor::{Acks, MonitorSettings};
use crate::time::Span;

use super::cursor::{Found, Gap, GapReason, Reader};
use super::document::document;
use super::frames::{BadFrame, ConnectionRequest, Decoder, Received, Said, publish_header};
use super::push::Patience;
use super::registry::{Lease, Monitors};

/// A block has no more bytes of facts than this, and one fact.
const LARGEST_BLOCK: usize = 1 << 20;
/// A store that has failed is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RECEIVED: u16 = 200;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the peer has gone")]
    Gone,
    #[error("the connection failed: {0}")]
    Failed(#[from] std::io::Error),
    #[error("the peer sent {0}")]
    Nonsense(#[from] BadFrame),
    #[error("the peer sent what does not belong here")]
    OutOfPlace,
    #[error("another session has begun, or the monitor was changed")]
    Replaced,
    #[error("the peer has taken nothing for {}", humantime::format_duration(*.0))]
    Slow(Duration),
    #[error("block {block} was not acknowledged within {}{}", humantime::format_duration(*.within), .last.map(|status| format!("; its status was {status}")).unwrap_or_default())]
    NotAcked {
        block: u16,
        within: Duration,
        /// What the peer said of it, where it said something.
        last: Option<u16>,
        /// Messages in the block.
        waiting: usize,
    },
}

impl End {
    /// The peer said what is none of this protocol.
    pub(super) const fn is_nonsense(&self) -> bool {
        matches!(self, Self::Nonsense(_) | Self::OutOfPlace)
    }
}

/// The other end.
pub(super) struct Peer<S> {
    reading: ReadHalf<S>,
    pub(super) writing: WriteHalf<S>,
    decoder: Decoder,
}

impl<S: AsyncRead + AsyncWrite> Peer<S> {
    pub(super) fn new(stream: S) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        Self { reading, writing, decoder: Decoder::default() }
    }

    /// What it says next. May be dropped at any time.
    async fn said(&mut self) -> Result<Said, End> {
        let mut bytes = [0; 1024];
        loop {
            if let Some(said) = self.decoder.next()? {
                return Ok(said);
            }
            match self.reading.read(&mut bytes).await? {
                0 => return Err(End::Gone),
                length => self.decoder.feed(&bytes[..length]),
            }
        }
    }

    /// Who it is.
    pub(super) async fn request(&mut self) -> Result<ConnectionRequest, End> {
        match self.said().await? {
            Said::Connect(request) => Ok(request),
            Said::Received(_) => Err(End::OutOfPlace),
        }
    }

    /// What it has received. May be dropped at any time.
    async fn received(&mut self) -> Result<Received, End> {
        match self.said().await? {
            Said::Received(received) => Ok(received),
            Said::Connect(_) => Err(End::OutOfPlace),
        }
    }
}

/// Facts that are to go out.
struct Batch {
    reader: Reader,
    found: VecDeque<Found>,
    clock: Clock,
    size: usize,
    duration: Span,
    /// Until then the first waits for others.
    until: Span,
}

impl Batch {
    /// Waits until there is enough for a block. May be dropped at any time: what was found stays.
    async fn fill(&mut self) {
        if self.found.is_empty() {
            let first = next(&mut self.reader, self.size).await;
            self.found.extend(first);
            self.until = self.clock.now().since_start + self.duration;
        }
        while self.found.len() < self.size && self.clock.now().since_start < self.until {
            tokio::select! {
                more = next(&mut self.reader, self.size - self.found.len()) => self.found.extend(more),
                () = sleep_until(self.clock.instant(self.until)) => {}
            }
        }
    }

    /// The next block.
    fn take(&mut self) -> Vec<Found> {
        let (mut block, mut weight) = (Vec::new(), 0);
        while block.len() < self.size
            && weight < LARGEST_BLOCK
            && let Some(found) = self.found.pop_front()
        {
            weight += match &found {
                Found::Fact(fact) => fact.weight(),
                Found::Gap(_) => 0,
            };
            block.push(found);
        }
        block
    }

    /// Where the cursor stands after this block.
    fn behind(&self, block: &[Found]) -> u64 {
        if self.found.is_empty() {
            return self.reader.place();
        }
        let place = |found: &Found| match found {
            Found::Fact(fact) => fact.seq,
            Found::Gap(Gap { to, why: GapReason::Expired, .. }) => *to,
            Found::Gap(_) => 0,
        };
        block.iter().map(place).max().unwrap_or_default()
    }
}

/// What the reader finds, whenever the store is there again.
async fn next(reader: &mut Reader, most: usize) -> Vec<Found> {
    loop {
        match reader.next(most).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::debug!("a monitor waits for the store: {error}");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// One session.
pub(super) struct Session<S> {
    peer: Peer<S>,
    lease: Lease,
    batch: Batch,
    settings: MonitorSettings,
    monitors: Monitors,
    patience: Patience,
    /// The number of the last block; none has 0.
    block: u16,
}

impl<S: AsyncRead + AsyncWrite + Send> Session<S> {
    pub(super) fn new(peer: Peer<S>, lease: Lease, monitors: Monitors, patience: Patience) -> Self {
        let settings = lease.monitor.settings.clone();
        let (clock, place) = (monitors.clock, settings.resumes().then_some(lease.monitor.acked));
        let reader = monitors.reader(settings.topics.clone(), place);
        let size = usize::try_from(settings.batch_size).unwrap_or(1);
        let duration = settings.batch_duration;
        let batch = Batch { reader, found: VecDeque::new(), clock, size, duration, until: Span::ZERO };
        Self { peer, lease, batch, settings, monitors, patience, block: 0 }
    }

    /// Until one of both ends it.
    pub(super) async fn run(mut self) {
        let end = match self.talk().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        tracing::info!("a session of monitor {} is over: {end}", self.lease.monitor.id);
        if let End::NotAcked { waiting, .. } = end {
            let data = [("reason", end.to_string().into()), ("waiting", waiting.into())];
            self.tell(&own::MONITOR_SUSPENDED, data);
        }
        self.lease.end().await;
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            tokio::select! {
                () = self.batch.fill() => {}
                received = self.peer.received() => {
                    // Of a block that is done already.
                    received?;
                    continue;
                }
                _ = &mut self.lease.ended => return Err(End::Replaced),
            }
            let block = self.batch.take();
            for found in &block {
                if let Found::Gap(Gap { from, to, count, .. }) = *found {
                    self.tell(
                        &own::MONITOR_GAP,
                        [("from", from.into()), ("to", to.into()), ("count", count.into())],
                    );
                }
            }
            self.send(&block).await?;
            if self.settings.acks == Acks::Explicit {
                self.wait_for_receipt(block.len()).await?;
            }
            self.lease.acked(self.batch.behind(&block)).await;
        }
    }

    async fn send(&mut self, block: &[Found]) -> Result<(), End> {
        self.block = self.block.checked_add(1).unwrap_or(1);
        let MonitorSettings { format, compression, .. } = self.settings;
        let payload = document(block, self.batch.clock.now().wall, format, compression)?;
        let too_much = |_| std::io::Error::other("a block of more than 4 GiB");
        let size = u32::try_from(payload.len()).map_err(too_much)?;
        let count = u16::try_from(block.len()).unwrap_or(u16::MAX);
        let header = publish_header(self.block, count, compression, format, size);
        let frame = [&header[..], &payload].concat();
        let writing = &mut self.peer.writing;
        let write = async {
            writing.write_all(&frame).await?;
            writing.flush().await
        };
        tokio::select! {
            written = timeout(self.patience.block, write) => {
                written.map_err(|_| End::Slow(self.patience.block))??;
            }
            _ = &mut self.lease.ended => return Err(End::Replaced),
        }
        self.lease.sent();
        Ok(())
    }

    async fn wait_for_receipt(&mut self, waiting: usize) -> Result<(), End> {
        let (block, within) = (self.block, self.patience.receipt);
        let mut last = None;
        let wait = async {
            loop {
                let received = self.peer.received().await?;
                match received {
                    Received { block: of, status: RECEIVED } if of == block => return Ok(()),
                    Received { block: of, status } if of == block => last = Some(status),
                    Received { .. } => {}
                }
            }
        };
        let received = tokio::select! {
            received = timeout(within, wait) => received,
            _ = &mut self.lease.ended => return Err(End::Replaced),
        };
        received.unwrap_or(Err(End::NotAcked { block, within, last, waiting }))
    }

    fn tell<const N: usize>(&self, topic: &crate::fact::Topic, data: [crate::fact::Member; N]) {
        let id = self.lease.monitor.id;
        let data = [("monitor", id.into())].into_iter().chain(data);
        let now = self.monitors.clock.now().wall;
        self.monitors.bus.publish(Draft::new(topic, Some(id.to_string()), now, data));
    }
}
