//! Runs a command whose output is what a meter says.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// A command that has closed its output ends within this, or is ended.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A command that runs; it and everything that it started is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Command {
    child: Child,
    out: ChildStdout,
    input: ChildStdin,
}

impl Command {
    /// Starts it by the shell, in a group of its own so that whatever it starts can be ended with it.
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let out = child.stdout.take().ok_or_else(missing)?;
        let input = child.stdin.take().ok_or_else(missing)?;
        Ok(Self { child, out, input })
    }

    pub(super) async fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.out.read(piece).await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.write_all(bytes).await
    }

    /// How it ended, for people.
    pub(super) async fn ended(mut self) -> String {
        match tokio::time::timeout(END_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => format!("the command has ended ({status})"),
            Ok(Err(error)) => format!("the command has ended ({error})"),
            Err(_) => "the command has closed its output".to_owned(),
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // Its id is its own as long as it was not waited for.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id {
            // It may have ended meanwhile.
            killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
        }
    }
}
