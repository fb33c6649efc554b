//! What tests from outside need: a folder with certificates, a VTN, and a `ven` process whose log can be waited for.
#![expect(
    dead_code,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "each test takes what it needs, and may fail by panicking"
)]

/// The tests inside the library look for the same.
#[path = "../../src/test_support.rs"]
pub(crate) mod peers;

pub(crate) mod authority;
pub(crate) mod dice;
pub(crate) mod full_disk;
pub(crate) mod ledger;
pub(crate) mod monitors;
pub(crate) mod push;
pub(crate) mod receiver;
pub(crate) mod telemetry;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, MockVtnSettings, TestCertificates, VtnCore};
use openadr_ven::time::Span;
use tempfile::TempDir;

/// Long enough for a busy machine; nothing waits so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A token of the local API.
pub(crate) const TOKEN: &str = "ven_0123456789012345678901234567890123456789012";

/// Waits until something holds, and holds up no task beside it.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let look = Duration::from_millis(10);
    let mut left = PATIENCE;
    while !holds() {
        left = left.checked_sub(look).unwrap_or_else(|| panic!("waited in vain: {what}"));
        tokio::task::block_in_place(|| std::thread::sleep(look));
    }
}

/// The VTN has an event that begins tomorrow.
pub(crate) fn happens(vtn: &MockVtn, event: &str) {
    vtn.with(|core| {
        let now = core.received.last().unwrap().0;
        core.add_event(EventBuilder::new(event, now + Span::DAY, Span::HOUR).level(1).build());
    });
}

/// New certificates must hold within this (the files are looked at every 5 seconds).
const CERTIFICATES_TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// Of TLS, those that are compiled in.
pub(crate) const BACKENDS: &[&str] =
    if cfg!(feature = "openssl") { &["rustls", "openssl"] } else { &["rustls"] };

/// The configuration for a backend.
pub(crate) fn by(backend: &str, configuration: &str) -> String {
    configuration.replace("[tls]", &format!("[tls]\nbackend = \"{backend}\""))
}

/// A folder with everything that a VEN and a VTN need.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) certificates: TestCertificates,
}

impl House {
    pub(crate) fn new(kind: KeyKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = TestCertificates::create(&folder.path().join("certs"), kind).unwrap();
        Self { folder, certificates }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration for the VTN at that address; `more` is appended.
    pub(crate) fn configuration(&self, url: &str, more: &str) -> String {
        format!(
            r#"[ven]
name = "test-ven"
state = "state"

[vtn]
url = "{url}"

[tls]
ca = "certs/ca.pem"
cert = "certs/ven.pem"
key = "certs/ven.key"

[signature]
vtn_fingerprint = "{}"
{more}"#,
            self.certificates.vtn_fingerprint()
        )
    }

    /// Writes the configuration, and returns its path.
    pub(crate) fn configure(&self, url: &str, more: &str) -> PathBuf {
        let path = self.path("ven.toml");
        std::fs::write(&path, self.configuration(url, more)).unwrap();
        path
    }

    /// Writes a file that only its owner can read, and returns its path.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Waits until the VEN of this house takes orders, which is a moment after it has told its addresses.
    pub(crate) fn wait_for_socket(&self) {
        let socket = self.path("state/control.sock");
        until("the VEN takes orders", || UnixStream::connect(&socket).is_ok());
    }

    pub(crate) fn vtn_settings(&self) -> MockVtnSettings {
        MockVtnSettings::from(&self.certificates)
    }

    /// A mock VTN that wants to be polled so often.
    pub(crate) async fn vtn(&self, poll: Span) -> MockVtn {
        MockVtn::start(VtnCore::new("mock-vtn", poll), &self.vtn_settings()).await.unwrap()
    }
}

/// A process whose output is collected; it is killed when this is dropped. Whoever waits for it holds up no task beside it.
pub(crate) struct Process {
    child: Child,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program; what it writes to stdout and stderr is its log.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let read = |stream| {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    log.0.lock().unwrap().push(line);
                    log.1.notify_all();
                }
            })
        };
        let readers = streams.into_iter().map(read).collect();
        Self { child, log, readers }
    }

    /// `ven run` with that configuration.
    pub(crate) fn ven(configuration: &Path) -> Self {
        Self::ven_logging(configuration, "info")
    }

    /// The same with another `RUST_LOG`.
    pub(crate) fn ven_logging(configuration: &Path, level: &str) -> Self {
        Self::start(ven(configuration).env("RUST_LOG", level))
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// Its stdin, where the command says that it is piped.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Waits until `look` finds `what` in the log.
    pub(crate) fn wait_until<T>(&self, what: &str, look: impl Fn(&[String]) -> Option<T>) -> T {
        let lines = self.lines_within(PATIENCE, |lines| look(lines).is_some());
        look(&lines).unwrap_or_else(|| panic!("\"{what}\" did not come; the log:\n{}", lines.join("\n")))
    }

    /// Waits until a line of the log, from `after` on, contains that text; returns the number of the line behind it.
    pub(crate) fn wait_for(&self, text: &str, after: usize) -> usize {
        self.wait_within(text, after, PATIENCE).unwrap_or_else(|| {
            panic!("\"{text}\" did not come; the log:\n{}", self.log().join("\n"));
        })
    }

    /// The same, but `None` where the line does not come in that time.
    pub(crate) fn wait_within(&self, text: &str, after: usize, within: Duration) -> Option<usize> {
        let found = |lines: &[String]| lines.iter().skip(after).position(|line| line.contains(text));
        found(&self.lines_within(within, |lines| found(lines).is_some())).map(|at| after + at + 1)
    }

    /// The log as soon as it is as wanted, or as it is after that time.
    fn lines_within(
        &self,
        within: Duration,
        wanted: impl Fn(&[String]) -> bool,
    ) -> MutexGuard<'_, Vec<String>> {
        tokio::task::block_in_place(|| {
            let (lines, news) = &*self.log;
            let lines = lines.lock().unwrap();
            news.wait_timeout_while(lines, within, |lines| !wanted(lines)).unwrap().0
        })
    }

    /// Waits for the address that stands at the end of a line of the log, behind that text.
    pub(crate) fn address(&self, behind: &str) -> SocketAddr {
        self.wait_until(behind, |lines| {
            lines.iter().find_map(|line| line.rsplit_once(behind)?.1.trim().parse().ok())
        })
    }

    /// Where its local API is.
    pub(crate) fn api(&self) -> SocketAddr {
        self.address("the local API is at http://")
    }

    /// Waits for a line that tells of certificates that were replaced; returns how many lines there are up to it.
    pub(crate) fn wait_for_news_of_certificates(&self, text: &str, after: usize) -> usize {
        let found = self.wait_within(text, after, CERTIFICATES_TAKEN_WITHIN);
        found.unwrap_or_else(|| panic!("\"{text}\" did not come; the log:\n{}", self.log().join("\n")))
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`; returns everything that it had logged.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        self.log()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for its end; everything that it has logged is there then.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        status
    }

    /// SIGTERM, and waits for a good end.
    pub(crate) fn terminate(mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}; the log:\n{}", self.log().join("\n"));
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `ven run` with that configuration, not yet started.
pub(crate) fn ven(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    command.args(["run", "--config"]).arg(configuration).env("NO_COLOR", "1");
    command
}
