//! Lets people speak to a VEN that runs: a socket in its state folder, that only its user can open.
//!
//! ```text
//! ven opt, ven reports -> control.sock -> serve -> Desk (of ven_task) -> engine -> stored -> answer
//! ven hooks                                      -> Outbox                            -> answer
//! ven status                                     -> Board                             -> answer
//! ven reload                                     -> Reload                            -> answer
//! ven monitors, events, plugins                  -> Readers                           -> answer
//! ```
//!
//! One request in one line of JSON, one answer in another, and the connection ends. Length, time and number are bounded.

mod facts;
mod hooks;
mod message;
mod monitors;
mod reports;

use std::collections::BTreeMap;
use std::io::{BufRead as _, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::engine::{Fulfilled, Input, Order, OrderError};

use super::monitor::Monitors;
use super::outbox::Outbox;
use super::plugin::Plugins;
use super::reload::{Reload, ReloadError};
use super::status::Board;
use message::Asked;

pub(crate) use facts::Told;
pub(super) use hooks::lines as hook_lines;
pub(crate) use message::{
    FactsRequest, HookLine, HooksRequest, MonitorsRequest, OptWord, Request, Response, ScheduleLine,
    ScheduleWish,
};
pub(crate) use reports::{OfferLine, ReportsLine, RequestLine};
#[cfg(test)]
pub(crate) use reports::{PointLine, RetryLine};

/// The socket, in `[ven] state`.
const SOCKET: &str = "control.sock";
/// No request is longer.
const LONGEST: u64 = 64 * 1024;
/// So many are served at the same time.
const MOST: usize = 8;
/// So many may wait for something to happen; the others have the rest.
const MOST_WAITING: usize = MOST / 2;
/// A request has to come within this.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// A new configuration holds within this: programs that must start have to say hello.
const RELOADED_WITHIN: Duration = Duration::from_secs(120);
/// An answer comes within this, unless the store does not take what it confirms.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

type Answer = Result<Fulfilled, OrderError>;
/// An order, and where its answer goes.
type Ask = (Order, oneshot::Sender<Answer>);

/// The socket's file; removed when this is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Where orders come in, and their answers go out.
#[derive(Debug)]
pub(crate) struct Desk {
    asks: mpsc::Receiver<Ask>,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
    last: u64,
    _socket: Option<SocketFile>,
}

impl Desk {
    /// Opens the socket in this folder and serves it; where that is not possible, nobody comes.
    pub(in crate::daemon) fn open(state: &Path, others: Others) -> Self {
        let (sender, asks) = mpsc::channel(MOST);
        let socket = match bind(state) {
            Ok((listener, socket)) => {
                tokio::spawn(serve(listener, sender, others));
                Some(socket)
            }
            Err(error) => {
                let path = state.join(SOCKET);
                tracing::warn!(
                    "{}: {error}; `ven opt`, `reports`, `hooks`, `monitors`, `plugins`, `status` and `reload` will not work",
                    path.display()
                );
                None
            }
        };
        Self { asks, waiting: BTreeMap::new(), last: 0, _socket: socket }
    }

    /// The next order; never, where there is no socket.
    pub(crate) async fn next(&mut self) -> Input {
        let Some((order, answer)) = self.asks.recv().await else { return std::future::pending().await };
        // Whoever has not waited for the answer needs none.
        self.waiting.retain(|_, waiting| !waiting.is_closed());
        self.last += 1;
        self.waiting.insert(self.last, answer);
        Input::Order { number: self.last, order }
    }

    pub(crate) fn answer(&mut self, number: u64, answer: Answer) {
        if let Some(waiting) = self.waiting.remove(&number) {
            drop(waiting.send(answer));
        }
    }
}

/// Under another name until only its user can open it.
fn bind(state: &Path) -> std::io::Result<(UnixListener, SocketFile)> {
    let path = state.join(SOCKET);
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        return Err(std::io::Error::new(ErrorKind::AddrInUse, "another VEN that runs listens there"));
    }
    let new = state.join(format!("{SOCKET}.{}", std::process::id()));
    drop(std::fs::remove_file(&new));
    let listener = UnixListener::bind(&new)?;
    let named = std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&new, &path));
    if named.is_err() {
        drop(std::fs::remove_file(&new));
    }
    named.map(|()| (listener, SocketFile(path)))
}

/// Those who read what happens, and what they read.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Readers {
    /// `None` where nobody is to be told anything.
    monitors: Option<Monitors>,
    plugins: Plugins,
    waiting: Arc<Semaphore>,
}

impl Readers {
    pub(in crate::daemon) fn new(monitors: Option<Monitors>, plugins: Plugins) -> Self {
        Self { monitors, plugins, waiting: Arc::new(Semaphore::new(MOST_WAITING)) }
    }

    fn restart(&self, plugin: &str) -> Response {
        match self.plugins.restart(plugin) {
            Ok(()) => Response::Ordered,
            Err(fault) => Response::Error { why: fault.to_string() },
        }
    }

    fn monitors(&self) -> Result<&Monitors, String> {
        self.monitors.as_ref().ok_or_else(|| "this VEN has no monitors".to_owned())
    }
}

/// Whom to ask beside the engine.
#[derive(Clone)]
pub(in crate::daemon) struct Others {
    pub(in crate::daemon) outbox: Outbox,
    pub(in crate::daemon) board: Board,
    pub(in crate::daemon) readers: Readers,
    pub(in crate::daemon) reload: Reload,
}

async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>, others: Others) {
    let free = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = asks.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (asks, others) = (asks.clone(), others.clone());
                tokio::spawn(async move {
                    converse(stream, &asks, &others).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("{SOCKET}: {error}");
                // Out of descriptors, perhaps: not at once again.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// One request, one answer; who does not take the answer has had his chance.
async fn converse(mut stream: UnixStream, asks: &mpsc::Sender<Ask>, others: &Others) {
    let Others { outbox, board, readers, reload } = others;
    let request = tokio::time::timeout(REQUEST_WITHIN, request(&mut stream)).await;
    let response = match request {
        Ok(Ok(Asked::Engine(order))) => obeyed(order, asks).await,
        Ok(Ok(Asked::Hooks(request))) => hooks::answer(request, outbox).await,
        Ok(Ok(Asked::Status)) => Response::Status(Box::new(board.look())),
        Ok(Ok(Asked::Reload)) => reloaded(reload).await,
        Ok(Ok(Asked::Monitors(request))) => monitors::answer(request, readers).await,
        Ok(Ok(Asked::RestartPlugin(plugin))) => readers.restart(&plugin),
        Ok(Ok(Asked::Facts(request))) => tokio::select! {
            response = facts::answer(request, readers) => response,
            () = gone(&mut stream) => return,
        },
        Ok(Err(why)) => Response::Error { why },
        Err(_) => Response::Error { why: "the request does not come".into() },
    };
    let mut line = serde_json::to_vec(&response).unwrap_or_default();
    line.push(b'\n');
    drop(tokio::time::timeout(REQUEST_WITHIN, stream.write_all(&line)).await);
}

async fn request(stream: &mut UnixStream) -> Result<Asked, String> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST));
    reader.read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
    if line.last() != Some(&b'\n') {
        return Err(format!("a request is one line of at most {LONGEST} octets"));
    }
    let request: Request = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
    Asked::try_from(request)
}

/// Until whoever has asked is gone.
async fn gone(stream: &mut UnixStream) {
    let mut more = [0; 64];
    while stream.read(&mut more).await.is_ok_and(|length| length > 0) {}
}

async fn obeyed(order: Order, asks: &mpsc::Sender<Ask>) -> Response {
    let (sender, answer) = oneshot::channel();
    let answered = async {
        asks.send((order, sender)).await.ok()?;
        answer.await.ok()
    };
    match tokio::time::timeout(ANSWER_WITHIN, answered).await {
        Ok(Some(answer)) => answer.into(),
        Ok(None) => Response::Error { why: "the VEN is stopping".into() },
        Err(_) => {
            Response::Error { why: "it could not be stored in time; the log of the VEN says why".into() }
        }
    }
}

/// Has the configuration read anew.
async fn reloaded(reload: &Reload) -> Response {
    match tokio::time::timeout(RELOADED_WITHIN, reload.take(None)).await {
        Ok(Ok(reloaded)) => Response::Reloaded {
            file: reloaded.file.display().to_string(),
            changes: reloaded.changes.to_string(),
            warnings: reloaded.warnings,
        },
        Ok(Err(ReloadError::Config(error))) => {
            let faults = error.faults.iter().map(|fault| fault.in_file(&error.file));
            Response::Rejected { faults: faults.collect() }
        }
        Ok(Err(error @ ReloadError::Stopping)) => Response::Error { why: error.to_string() },
        Err(_) => {
            Response::Error { why: "it is still going on; the log of the VEN says what comes of it".into() }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no VEN runs with this configuration: nobody listens at {path}; start it with: ven run")]
    NotRunning { path: String },
    #[error("{path}: {source}")]
    Socket { path: String, source: std::io::Error },
    #[error("{path}: the answer is not understood: {source}")]
    Answer { path: String, source: serde_json::Error },
}

/// Asks the VEN that runs with this state folder.
///
/// # Errors
///
/// Where there is none, or no answer comes.
pub(crate) fn ask(state: &Path, request: &Request) -> Result<Response, AskError> {
    let path = state.join(SOCKET);
    let name = || path.display().to_string();
    let line = exchange(&path, request).map_err(|source| {
        let nobody = matches!(source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        if nobody { AskError::NotRunning { path: name() } } else { AskError::Socket { path: name(), source } }
    })?;
    serde_json::from_str(&line).map_err(|source| AskError::Answer { path: name(), source })
}

fn exchange(path: &Path, request: &Request) -> std::io::Result<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    let within = if *request == Request::Reload { RELOADED_WITHIN } else { ANSWER_WITHIN };
    stream.set_read_timeout(Some(within + ANSWER_WITHIN))?;
    stream.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())?;
    let mut line = String::new();
    if std::io::BufReader::new(stream).read_line(&mut line)? == 0 {
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the VEN has ended without an answer"));
    }
    Ok(line)
}

#[cfg(test)]
#[path = "control/tests/reading.rs"]
mod reading_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::bus::Bus;
    use crate::daemon::clock::Clock;
    use crate::daemon::status::{Status, keep};

    fn board() -> Board {
        let status = Status {
            ven: crate::daemon::status::VenStatus { name: "house".into(), ..Default::default() },
            ..Status::default()
        };
        keep(status, Bus::new(Clock::start()), Clock::start(), std::future::pending())
    }

    fn asked(folder: &Path, line: &[u8]) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(folder.join(SOCKET)).unwrap();
        // A request that is too long is not read to its end.
        drop(stream.write_all(line));
        let mut answer = String::new();
        std::io::BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    }

    pub(super) fn others() -> Others {
        let readers = Readers::new(None, Plugins::default());
        Others { outbox: Outbox::default(), board: board(), readers, reload: Reload::default() }
    }

    /// A desk that confirms everything.
    fn confirming(folder: &Path) -> tokio::task::JoinHandle<()> {
        let mut desk = Desk::open(folder, others());
        tokio::spawn(async move {
            loop {
                if let Input::Order { number, .. } = desk.next().await {
                    desk.answer(number, Ok(Fulfilled::Opted { told: true }));
                }
            }
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_line_is_answered_by_a_line_and_nonsense_by_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let desk = confirming(folder.path());
        let request = Request::Opt { event: "e1".into(), opt: OptWord::In, resources: Vec::new() };
        let answer = ask(folder.path(), &request).unwrap();
        assert_eq!(answer, Response::Opted { told: true });
        let too_long = vec![b'x'; 100_000];
        for (line, why) in [
            (b"nonsense\n".as_slice(), "expected"),
            (b"{\"command\":\"dance\"}\n", "dance"),
            (&too_long, "one line of at most"),
        ] {
            let answer = asked(folder.path(), line);
            assert!(answer.contains("error") && answer.contains(why), "{answer}");
        }
        desk.abort();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_socket_is_its_users_alone_and_goes_with_the_desk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        std::fs::write(&path, "left behind by one that was killed").unwrap();
        let desk = Desk::open(folder.path(), others());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = Desk::open(folder.path(), others());
        assert!(desk._socket.is_some() && second._socket.is_none(), "one listens, the other stays away");
        drop((desk, second));
        let error = ask(folder.path(), &Request::ScheduleList).unwrap_err();
        assert!(matches!(error, AskError::NotRunning { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_that_say_nothing_do_not_keep_others_out_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let desk = confirming(folder.path());
        let silent: Vec<_> = (0..MOST)
            .map(|_| std::os::unix::net::UnixStream::connect(folder.path().join(SOCKET)).unwrap())
            .collect();
        let answer = ask(folder.path(), &Request::ScheduleList).unwrap();
        assert_eq!(answer, Response::Opted { told: true });
        drop(silent);
        desk.abort();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_status_is_told_though_the_engine_answers_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let _silent = Desk::open(folder.path(), others());
        let Response::Status(look) = ask(folder.path(), &Request::Status).unwrap() else {
            panic!("another answer")
        };
        assert_eq!(look.status.ven.name, "house");
        assert_eq!(look.reasons, ["not registered at the VTN"]);
    }
}
