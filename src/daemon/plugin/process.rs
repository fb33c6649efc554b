//! Runs a program, whose process group is killed with it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use std::{fmt, io};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use crate::daemon::child;
use crate::daemon::clock::Clock;

use super::lines::Throttle;
use super::protocol::{Level, readable};

/// Lines of its stderr that are logged in a second.
const LOGGED_A_SECOND: u32 = 50;
/// A line of stderr is cut here.
const LONGEST_LOGGED: usize = 4096;
/// What is still in the pipes of a program that has ended is read within this.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// What it is called in the log.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Its environment, beside that which every program has.
    pub(crate) environment: Vec<(String, String)>,
    /// Octets of memory that it may have of its own.
    pub(crate) max_memory: u64,
}

impl fmt::Debug for Program {
    /// Without arguments and environment, in which secrets may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.command.first();
        f.debug_struct("Program").field("name", &self.name).field("program", &program).finish_non_exhaustive()
    }
}

/// A program that runs; it and everything that it started is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) group: Group,
    pub(super) out: ChildStdout,
    /// `None` once it is closed.
    pub(super) input: Option<ChildStdin>,
}

/// The process and those that it has started.
#[derive(Debug)]
pub(super) struct Group {
    leader: Child,
    id: Pid,
    /// How it ended; from then on its id may be somebody else's.
    ended: Option<ExitStatus>,
    /// Dropped with this, which tells the one who reads its stderr to come to an end.
    _read_errors: oneshot::Sender<()>,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// Where there is no such program, or the system has no room for it.
    pub(super) fn start(&self, clock: Clock) -> io::Result<Process> {
        let environment = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut leader = child::start(&self.command, environment, self.max_memory, Stdio::piped())?;
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(missing)?;
        let out = leader.stdout.take().ok_or_else(missing)?;
        let input = leader.stdin.take().ok_or_else(missing)?;
        let errors = leader.stderr.take().ok_or_else(missing)?;
        let (read_errors, over) = oneshot::channel();
        tokio::spawn(log_errors(self.name.clone(), errors, clock, over));
        let group = Group { leader, id: Pid::from_raw(id), ended: None, _read_errors: read_errors };
        Ok(Process { group, out, input: Some(input) })
    }
}

impl Process {
    /// Reads what was left in its output.
    pub(super) async fn rest(&mut self, most: usize) -> Vec<u8> {
        let mut rest = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        drop(tokio::time::timeout(REST_WITHIN, (&mut self.out).take(most).read_to_end(&mut rest)).await);
        rest
    }
}

impl Group {
    pub(super) fn id(&self) -> i32 {
        self.id.as_raw()
    }

    /// Waits until the program has ended, and kills what it has left behind.
    ///
    /// May be dropped and called again.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.leader.wait().await?;
        // Nobody else has its id yet: there was no time for all the others to be used up.
        self.signal(Signal::SIGKILL);
        self.ended = Some(status);
        Ok(status)
    }

    /// Asks it to end, and then does not ask any more; each has so long. How it has ended.
    pub(super) async fn terminate(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(patience, self.wait()).await {
            Ok(ended) => ended,
            Err(_) => self.kill().await,
        }
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGKILL);
        // One that hangs in the kernel is left to the runtime to collect.
        let ended = tokio::time::timeout(REST_WITHIN, self.wait()).await;
        ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // The group may be empty by now.
            killpg(self.id, signal).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// How a program has ended, for people.
pub(super) fn told(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("it has ended ({status})"),
        Err(error) => format!("it has ended ({error})"),
    }
}

/// Logs what a program writes to its stderr, until that is closed, or soon after the program is over.
async fn log_errors(name: String, mut errors: ChildStderr, clock: Clock, over: oneshot::Receiver<()>) {
    let mut throttle = Throttle::new(LOGGED_A_SECOND);
    let mut rest = Vec::new();
    let mut piece = vec![0; LONGEST_LOGGED];
    let read = async {
        while let Ok(count @ 1..) = errors.read(&mut piece).await {
            rest.extend_from_slice(piece.get(..count).unwrap_or_default());
            while let Some(end) = line_end(&rest) {
                let line: Vec<u8> = rest.drain(..end).collect();
                log_line(&name, &String::from_utf8_lossy(&line), clock, &mut throttle);
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = async {
            drop(over.await);
            tokio::time::sleep(REST_WITHIN).await;
        } => {}
    }
    if !rest.is_empty() {
        log_line(&name, &String::from_utf8_lossy(&rest), clock, &mut throttle);
    }
}

/// Where the first line ends, or is cut.
fn line_end(text: &[u8]) -> Option<usize> {
    match text.iter().position(|octet| *octet == b'\n') {
        Some(at) => Some(at + 1),
        None => (text.len() >= LONGEST_LOGGED).then_some(text.len()),
    }
}

fn log_line(name: &str, line: &str, clock: Clock, throttle: &mut Throttle) {
    let line = line.trim_end();
    if line.is_empty() {
        return;
    }
    let Some(dropped) = throttle.pass(clock.now().since_start) else { return };
    if dropped > 0 {
        tracing::warn!(plugin = name, "{dropped} lines of its stderr were too many and are not shown");
    }
    let (level, text) = Level::of_stderr(line);
    log(name, level, text);
}

/// Logs a line of a program.
pub(super) fn log(name: &str, level: Level, text: &str) {
    let text = readable(text);
    match level {
        Level::Error => tracing::error!(plugin = name, "{text}"),
        Level::Warn => tracing::warn!(plugin = name, "{text}"),
        Level::Info => tracing::info!(plugin = name, "{text}"),
        Level::Debug => tracing::debug!(plugin = name, "{text}"),
    }
}

/// Whether a program can be found: by its path, or in `PATH` where it is a name alone.
pub(crate) fn is_there(program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const RUNS: u32 = 0o111;
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & RUNS != 0)
    };
    if program.contains('/') {
        return runs(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| runs(&folder.join(program)))
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn the_environment_of_a_program_is_not_shown() {
        let environment = vec![("KEY".to_owned(), "hunter2".to_owned())];
        let program = Program {
            name: "a".into(),
            command: vec!["/bin/a".into(), "-v".into()],
            environment,
            max_memory: 1,
        };
        assert_eq!(format!("{program:?}"), "Program { name: \"a\", program: Some(\"/bin/a\"), .. }");
    }
}
