//! A disk that is full by a limit on the size of files (`prlimit`), which SQLite meets as it meets a full disk.

use std::path::Path;
use std::process::Command;

use super::Process;

/// A `ven run` that is told of files that grow too large by an error, not by a signal.
pub(crate) fn ven(configuration: &Path) -> Process {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ven"), "run", "--config"]);
    Process::start(shell.arg(configuration).env("NO_COLOR", "1").env("RUST_LOG", "warn,openadr_ven=debug"))
}

/// `0`: full; `unlimited`: as before.
pub(crate) fn limit(prlimit: &Path, process: &Process, bytes: &str) {
    let arguments = [format!("--pid={}", process.id()), format!("--fsize={bytes}:unlimited")];
    assert!(Command::new(prlimit).args(arguments).status().unwrap().success());
}
