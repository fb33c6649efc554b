//! Starts programs of the operator's: no shell, a cleared environment, a process group of their own, and bounds to what they take.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// What programs are given of our environment, in which secrets of the daemon may stand: what they need to find others, files and words.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// Files that it may have open at the same time; each of the processes that it starts, too.
#[cfg(target_os = "linux")]
const OPEN_FILES: u64 = 256;

/// Starts a program with its arguments; its input and its output are pipes, what it complains goes to `errors`.
///
/// It may hold `max_memory` octets of memory of its own, as does each process that it starts; who asks for more is refused it.
///
/// # Errors
///
/// Where there is no such program, or the system has no room for it.
pub(super) fn start<'e>(
    command: &[String],
    environment: impl IntoIterator<Item = (&'e str, &'e str)>,
    max_memory: u64,
    errors: Stdio,
) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(inherited())
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        bound(id, max_memory);
    }
    Ok(child)
}

/// Those variables that every program gets, as far as they are set.
pub(super) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Bounds what it may take. It may have begun already; what it has started by then is not bound.
///
/// Memory is `RLIMIT_DATA`, what it can write to and shares with nobody: `RLIMIT_AS` would count what is only reserved, of which V8 alone
/// wants 700 MiB.
#[cfg(target_os = "linux")]
fn bound(id: i32, max_memory: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limits = [(Resource::Core, 0), (Resource::Nofile, OPEN_FILES), (Resource::Data, max_memory)];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        // Where it has ended already, or the system does not let us, it runs without.
        prlimit(Pid::from_raw(id), resource, limit).ok();
    }
}

#[cfg(not(target_os = "linux"))]
fn bound(_id: i32, _max_memory: u64) {}
