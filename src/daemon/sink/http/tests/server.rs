//! A server that does what it is told to, and remembers what has arrived.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the server does with a request.
#[derive(Clone)]
pub(super) enum Act {
    /// Says this, and listens on.
    Say(String),
    /// Says this, and closes.
    SayAndClose(Vec<u8>),
    /// Says this, and nothing more.
    Stall(&'static str),
    /// Says this, and then one letter again and again: with pauses, or 64 MiB without.
    Endless { head: &'static str, pause_ms: u64 },
    /// Resets the connection.
    Reset,
}

pub(super) fn say(text: impl Into<String>) -> Act {
    Act::Say(text.into())
}

pub(super) fn status(line: &str, headers: &str) -> Act {
    say(format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n"))
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Over which connection it came.
    connection: usize,
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) port: u16,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    exhausted: Arc<AtomicUsize>,
}

impl Server {
    /// Does these in turn; after them it answers 200.
    pub(super) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::start_with(acts, None).await
    }

    pub(super) async fn start_with(acts: impl IntoIterator<Item = Act>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acts = Arc::new(Mutex::new(acts.into_iter().collect()));
        let server = Self { port, acts, ..Self::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = serving.connections.fetch_add(1, Ordering::SeqCst);
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve(stream, connection).await,
                        Some(tls) => serving.serve(tls.accept(stream).await.ok()?, connection).await,
                    }
                });
            }
        });
        server
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Linger>(
        &self,
        mut stream: S,
        connection: usize,
    ) -> Option<()> {
        loop {
            let seen = read_request(&mut stream, connection).await?;
            self.seen.lock().unwrap().push(seen);
            let act = self.acts.lock().unwrap().pop_front().unwrap_or_else(|| say(OK));
            match act {
                Act::Say(text) => stream.write_all(text.as_bytes()).await.ok()?,
                Act::SayAndClose(octets) => {
                    stream.write_all(&octets).await.ok()?;
                    stream.shutdown().await.ok()?;
                    return None;
                }
                Act::Stall(text) => {
                    stream.write_all(text.as_bytes()).await.ok()?;
                    std::future::pending::<()>().await;
                }
                Act::Endless { head, pause_ms } => {
                    stream.write_all(head.as_bytes()).await.ok()?;
                    if pause_ms > 0 {
                        loop {
                            stream.write_all(b"a").await.ok()?;
                            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                        }
                    }
                    for _ in 0..64 << 10 {
                        stream.write_all(&[b'a'; 1024]).await.ok()?;
                    }
                    self.exhausted.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                Act::Reset => {
                    stream.linger_not();
                    return None;
                }
            }
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Over which connection each request came.
    pub(super) fn connections_seen(&self) -> Vec<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bombs were taken to the end.
    pub(super) fn exhausted(&self) -> usize {
        self.exhausted.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Can make its end a reset.
trait Linger {
    fn linger_not(&self);
}

impl Linger for TcpStream {
    fn linger_not(&self) {
        socket2::SockRef::from(self).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl Linger for TlsStream<TcpStream> {
    fn linger_not(&self) {
        self.get_ref().0.linger_not();
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { connection, line, headers, body })
}
