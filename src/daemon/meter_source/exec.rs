//! Runs a command whose output is what a meter says, or a program that is another source of reports.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::daemon::child;
use crate::daemon::plugin::Program;

/// A command that has closed its output ends within this, or is ended.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A command that runs; it and everything that it started is killed when this is dropped.
#[derive(Debug)]
pub(in crate::daemon) struct Command {
    child: Child,
    out: ChildStdout,
    /// `None` once it is closed.
    input: Option<ChildStdin>,
}

impl Command {
    /// Starts it by the shell, in a group of its own so that whatever it starts can be ended with it.
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let mut shell = tokio::process::Command::new("/bin/sh");
        shell.args(["-c", command]).env_clear().envs(child::inherited());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self::of(shell.process_group(0).kill_on_drop(true).spawn()?)
    }

    /// Starts a program with its arguments, in the same way but without the shell, and within the bounds of programs.
    pub(in crate::daemon) fn program(program: &Program) -> io::Result<Self> {
        let environment = program.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self::of(child::start(&program.command, environment, program.max_memory, Stdio::inherit())?)
    }

    fn of(mut child: Child) -> io::Result<Self> {
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let out = child.stdout.take().ok_or_else(missing)?;
        let input = child.stdin.take().ok_or_else(missing)?;
        Ok(Self { child, out, input: Some(input) })
    }

    pub(in crate::daemon) async fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.out.read(piece).await
    }

    pub(in crate::daemon) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.write_all(bytes).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Nothing more will be sent.
    pub(in crate::daemon) fn end_input(&mut self) {
        self.input = None;
    }

    /// How it ended, for people.
    pub(in crate::daemon) async fn ended(mut self) -> String {
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
