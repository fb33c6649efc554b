//! Reads a monitor as long as it is there: the other end of `push`, for people and for scripts.
//!
//! ```text
//! connect -> ConnectionRequest -> ConnectionResponse -> PublishMessage -> told -> PublishMessageReceived
//!    ^------- a pause, from 1 s to a minute -------------- whatever goes wrong -------'
//! ```
//!
//! A block is confirmed after it was told, so what was not told comes again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::frames::client::{Block, Heard, Hearing, Nonsense, TooLong, connection_request, receipt};
use crate::daemon::clock::Clock;
use crate::daemon::meter_source::{Backoff, keep_alive};
use crate::time::Span;

pub(crate) use super::frames::ConnectionRequest;

/// A host that does not answer within this is away; the same for TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A VEN says within this whether it lets us in: it answers late where others have guessed tokens.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A frame that has begun is there within this.
const REST_WITHIN: Duration = Duration::from_secs(60);
/// A receipt is taken within this.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After a session that lasted so long, or in which something was told, the pauses begin anew.
const GOOD: Span = Span::from_seconds(300);

/// Where a monitor is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// How to get there.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Without TLS, to this machine only: the token would cross the network in the clear.
    Plain,
    /// Without TLS, wherever it is.
    PlainAnywhere,
    Tls(Arc<ClientConfig>),
}

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error(
        "the VEN refuses us (403): the token is wrong, not that of this name, may not read monitors, or the monitor is not there or another's"
    )]
    Forbidden,
    #[error("the VEN does not understand us (400)")]
    BadRequest,
    #[error("{0}")]
    TooLong(#[from] TooLong),
    /// What was read cannot be told.
    #[error("{0}")]
    Untold(io::Error),
}

/// Why a session is over; another may be better.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    End(#[from] End),
    #[error("the VEN has gone")]
    Gone,
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("it sends {0}")]
    Nonsense(#[from] Nonsense),
    #[error("it sends what does not belong here")]
    OutOfPlace,
    #[error("it answers with status {0}, which is not known")]
    Status(u16),
    #[error("it says nothing for {}", humantime::format_duration(*.0))]
    Silent(Duration),
}

/// Connects.
///
/// # Errors
///
/// Where nobody answers, who answers is not believed, or the way would be in the clear and leave this machine.
pub(crate) async fn connect(place: &Place, way: &Way) -> io::Result<Box<dyn Stream>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the host does not answer");
    let stream = timeout(CONNECT_WITHIN, tcp(place, way)).await.map_err(late)??;
    keep_alive(&stream)?;
    let Way::Tls(config) = way else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(place.host.clone()).map_err(io::Error::other)?;
    let secured = TlsConnector::from(config.clone()).connect(name, stream);
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the host does not answer by TLS");
    Ok(Box::new(timeout(CONNECT_WITHIN, secured).await.map_err(late)??))
}

async fn tcp(place: &Place, way: &Way) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((place.host.as_str(), place.port)).await? {
        if matches!(way, Way::Plain) && !address.ip().to_canonical().is_loopback() {
            last = io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is on another machine, and there is no TLS",
            );
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Both directions of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Reads a monitor, over a connection after the other, and has each block told before it is confirmed.
pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    request: &ConnectionRequest,
    connect: impl AsyncFn() -> io::Result<S>,
    mut tell: impl AsyncFnMut(String) -> io::Result<()>,
    clock: Clock,
) -> End {
    let mut backoff = Backoff::up_to(LONGEST_PAUSE);
    // The first pause is none.
    backoff.next_pause();
    loop {
        let begun = clock.now().since_start;
        let mut told = false;
        let broken = match connect().await {
            Ok(stream) => {
                let mut telling = async |text| {
                    told = true;
                    tell(text).await
                };
                Session { stream, hearing: Hearing::default() }.run(request, &mut telling).await
            }
            Err(error) => Broken::Failed(error),
        };
        if let Broken::End(end) = broken {
            return end;
        }
        if told || clock.now().since_start - begun > GOOD {
            backoff.succeeded();
            backoff.next_pause();
        }
        let pause = backoff.next_pause();
        let rounded = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tracing::warn!(
            "monitor {}: {broken}; trying again in {}",
            request.monitor,
            humantime::format_duration(rounded)
        );
        tokio::time::sleep(pause).await;
    }
}

struct Session<S> {
    stream: S,
    hearing: Hearing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn run(
        mut self,
        request: &ConnectionRequest,
        tell: &mut impl AsyncFnMut(String) -> io::Result<()>,
    ) -> Broken {
        match self.talk(request, tell).await {
            Ok(never) => match never {},
            Err(broken) => broken,
        }
    }

    async fn talk(
        &mut self,
        request: &ConnectionRequest,
        tell: &mut impl AsyncFnMut(String) -> io::Result<()>,
    ) -> Result<std::convert::Infallible, Broken> {
        let frame = connection_request(request).map_err(End::from)?;
        self.send(&frame).await?;
        match timeout(ANSWER_WITHIN, self.heard()).await.map_err(|_| Broken::Silent(ANSWER_WITHIN))?? {
            Heard::Answer(200) => tracing::info!("monitor {} is read as {}", request.monitor, request.user),
            Heard::Answer(400) => return Err(End::BadRequest.into()),
            Heard::Answer(403) => return Err(End::Forbidden.into()),
            Heard::Answer(other) => return Err(Broken::Status(other)),
            Heard::Block(_) => return Err(Broken::OutOfPlace),
        }
        loop {
            let Heard::Block(block) = self.heard().await? else { return Err(Broken::OutOfPlace) };
            self.told(&block, tell).await?;
        }
    }

    async fn told(
        &mut self,
        block: &Block,
        tell: &mut impl AsyncFnMut(String) -> io::Result<()>,
    ) -> Result<(), Broken> {
        tell(block.text()?).await.map_err(End::Untold)?;
        self.send(&receipt(block.number)).await
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Broken> {
        let write = async {
            self.stream.write_all(frame).await?;
            self.stream.flush().await
        };
        Ok(timeout(TAKEN_WITHIN, write).await.map_err(|_| Broken::Silent(TAKEN_WITHIN))??)
    }

    /// The next frame. For one to begin, this waits for ever: nothing may happen for days, and whether the host is still there, the
    /// system finds out.
    async fn heard(&mut self) -> Result<Heard, Broken> {
        if self.hearing.is_empty() {
            self.more().await?;
        }
        let rest = async {
            loop {
                if let Some(heard) = self.hearing.next()? {
                    return Ok(heard);
                }
                self.more().await?;
            }
        };
        timeout(REST_WITHIN, rest).await.map_err(|_| Broken::Silent(REST_WITHIN))?
    }

    async fn more(&mut self) -> Result<(), Broken> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece).await? {
            0 => Err(Broken::Gone),
            length => {
                self.hearing.feed(&piece[..length]);
                Ok(())
            }
        }
    }
}
