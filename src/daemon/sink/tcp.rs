//! Hands telegrams on by TCP: to whoever connects, or to one host.
//!
//! Nobody who reads gets a queue: who is slow misses whole telegrams, never half ones, and who takes nothing for long is sent away.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::hook::outcome::Try;
use crate::hook::settings::TcpTarget;

use super::dial::Peer;
use super::{Delivering, Doing, Message, Sink, telegram};

/// So many may read at once; who comes when all places are taken is sent away.
const READERS: usize = 64;
/// One is on its way to a reader, one is next; what is older is missed.
const BEHIND: usize = 2;
/// A reader that takes nothing for this long is sent away.
const STUCK: Duration = Duration::from_secs(30);
/// What is wrong with a listening socket may be over after this.
const PAUSE: Duration = Duration::from_secs(1);
/// A host that does not answer within this is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn of(target: &TcpTarget) -> Box<dyn Sink> {
    match target {
        TcpTarget::Listen(address) => Box::new(Listener::new(address.clone())),
        TcpTarget::Connect(address) => Box::new(Line { address: address.clone(), stream: None }),
    }
}

/// Speaks to everybody who connects.
#[derive(Debug)]
pub(super) struct Listener {
    address: String,
    /// Read by the tasks of the readers.
    said: broadcast::Sender<Arc<[u8]>>,
    /// Takes new readers and holds their tasks; none before the socket is there.
    door: JoinSet<()>,
    /// Where it listens.
    pub(super) bound: Option<std::net::SocketAddr>,
}

impl Listener {
    pub(super) fn new(address: String) -> Self {
        Self { address, said: broadcast::Sender::new(BEHIND), door: JoinSet::new(), bound: None }
    }

    pub(super) async fn listen(&mut self) -> io::Result<()> {
        if self.door.is_empty() {
            let listener = TcpListener::bind(&self.address).await?;
            let address = listener.local_addr()?;
            tracing::info!("telegrams can be read at tcp://{address}");
            self.bound = Some(address);
            self.door.spawn(admit(listener, self.said.clone()));
        }
        Ok(())
    }

    /// How many read.
    #[cfg(test)]
    pub(super) fn readers(&self) -> usize {
        self.said.receiver_count()
    }
}

impl Sink for Listener {
    fn open(&mut self) -> Doing<'_> {
        Box::pin(async {
            if let Err(error) = self.listen().await {
                tracing::warn!("{}: nobody can read telegrams there: {error}", self.address);
            }
        })
    }

    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            if let Err(error) = self.listen().await {
                return Try::unreachable(format!("listen {}: {error}", self.address));
            }
            // Where nobody reads, nobody misses it.
            self.said.send(telegram::raw(message).into()).ok();
            Try::sent(None)
        })
    }
}

/// Lets readers in, as many as there are places.
async fn admit(listener: TcpListener, said: broadcast::Sender<Arc<[u8]>>) {
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if readers.len() < READERS => {
                    readers.spawn(serve(stream, said.subscribe()));
                }
                Ok((_, from)) => tracing::debug!("{from} may not read telegrams: {READERS} do already"),
                Err(error) => {
                    // No more files, say.
                    tracing::debug!("a reader of telegrams cannot be let in: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = readers.join_next() => {}
        }
    }
}

/// Says to one reader what is said, until it goes or is stuck. What it says itself is thrown away.
async fn serve(mut stream: TcpStream, mut said: broadcast::Receiver<Arc<[u8]>>) {
    let mut heard = [0; 256];
    loop {
        tokio::select! {
            telegram = said.recv() => match telegram {
                Ok(telegram) => {
                    let written = tokio::time::timeout(STUCK, stream.write_all(&telegram)).await;
                    if !matches!(written, Ok(Ok(()))) {
                        return;
                    }
                }
                // It was slow; what comes next is whole again.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            read = stream.read(&mut heard) => if !matches!(read, Ok(1..)) {
                return;
            },
        }
    }
}

/// Speaks to one host.
#[derive(Debug)]
struct Line {
    address: String,
    stream: Option<TcpStream>,
}

impl Line {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        // Whatever ends this before all is out also ends the connection: the next telegram must not follow half of this one.
        let kept = self.stream.take().filter(lives);
        let mut stream = match kept {
            Some(stream) => stream,
            None => peer(&self.address)?.connect(CONNECT_WITHIN).await?,
        };
        stream.write_all(bytes).await.map_err(|error| error.to_string())?;
        self.stream = Some(stream);
        Ok(())
    }
}

/// Displays and loggers stand in the own network, so that may be spoken to.
fn peer(address: &str) -> Result<Peer, String> {
    let (host, port) = address.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let port = port.parse().map_err(|_| "expected HOST:PORT")?;
    Ok(Peer { host: host.trim_matches(['[', ']']).to_owned(), port, allow_private: true })
}

/// The other side has not closed it; what it says is thrown away.
fn lives(stream: &TcpStream) -> bool {
    let mut heard = [0; 256];
    loop {
        match stream.try_read(&mut heard) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

impl Sink for Line {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            let sent = self.send(&telegram::raw(message)).await;
            sent.map_or_else(
                |error| Try::unreachable(format!("{}: {error}", self.address)),
                |()| Try::sent(None),
            )
        })
    }
}
