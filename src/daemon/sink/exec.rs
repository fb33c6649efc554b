//! Hands a message to a program: the words on its standard input, the answer in its exit code.
//!
//! No shell reads anything, so nothing in a message can become a command. The program gets a group of its own, and all of it is killed
//! when it is given up. Its environment is ours to say: what may stand in that of the daemon is none of its business; nor is all of the
//! memory.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

use crate::daemon::child;
use crate::hook::outcome::{ANSWER_KEPT, Outcome, Try};
use crate::hook::settings::ExecTarget;

use super::{Delivering, Message, Sink};

/// `EX_DATAERR` of `sysexits.h`: the input was wrong.
const DATA_ERROR: i32 = 65;
/// What a program has written before it ended is read within this, whoever still holds its output open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Starts one program for each message.
#[derive(Debug)]
pub(super) struct ExecSink {
    target: ExecTarget,
}

impl ExecSink {
    /// Starts nothing yet.
    ///
    /// # Errors
    ///
    /// No program.
    pub(super) fn new(target: &ExecTarget) -> Result<Self, String> {
        if target.command.first().is_none_or(String::is_empty) {
            return Err("command: no program; expected [\"/path/to/program\", \"argument\", …]".to_owned());
        }
        Ok(Self { target: target.clone() })
    }

    fn start(&self, message: &Message) -> io::Result<Child> {
        let topic = message.facts.first().map_or("", |fact| &fact.topic);
        let words = [
            ("VEN_MESSAGE_ID", message.id.as_str()),
            ("VEN_TOPIC", topic),
            ("VEN_CONTENT_TYPE", message.content_type.as_str()),
        ];
        let own = self.target.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = words.into_iter().chain(own);
        child::start(&self.target.command, environment, self.target.max_memory, Stdio::piped())
    }

    async fn run(&self, message: &Message) -> io::Result<(ExitStatus, String)> {
        let mut running = Running(self.start(message)?);
        let group = running.group();
        let child = &mut running.0;
        let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut answer = (Vec::new(), Vec::new());
        let mut talk = Box::pin(async {
            let say = async {
                if let Some(mut input) = input {
                    // One that does not read to the end has its reasons; its exit code tells.
                    input.write_all(&message.body).await.ok();
                }
            };
            tokio::join!(say, hear(out, &mut answer.0), hear(err, &mut answer.1));
        });
        let status = tokio::select! {
            status = child.wait() => {
                end(group);
                tokio::time::timeout(LAST_WORDS, &mut talk).await.ok();
                status?
            }
            () = &mut talk => {
                let status = child.wait().await?;
                end(group);
                status
            }
        };
        drop(talk);
        answer.0.extend_from_slice(&answer.1);
        answer.0.truncate(ANSWER_KEPT);
        Ok((status, String::from_utf8_lossy(&answer.0).into_owned()))
    }
}

impl Sink for ExecSink {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            match self.run(message).await {
                Ok((status, answer)) => judge(status, answer),
                Err(error) => Try::unreachable(error.to_string()),
            }
        })
    }
}

fn judge(status: ExitStatus, answer: String) -> Try {
    let outcome = match status.code() {
        Some(0) => Outcome::Sent,
        Some(DATA_ERROR) => Outcome::Payload,
        Some(_) | None => Outcome::Endpoint { retry_after: None },
    };
    let why = if status.success() { String::new() } else { format!("the program ended with {status}") };
    Try { outcome, code: status.code().and_then(|code| u16::try_from(code).ok()), why, answer }
}

/// Hears to the end, so that the program can go on, and keeps the beginning.
async fn hear(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let room = ANSWER_KEPT - kept.len();
        kept.extend_from_slice(&piece[..length.min(room)]);
    }
}

/// A program that runs; it and what it started is killed where it is not waited for.
struct Running(Child);

impl Running {
    /// Its id is its own as long as it was not waited for; afterwards there is none.
    fn group(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(self.group());
    }
}

/// Kills what is left of a group; right after its leader was waited for there was no time for all other ids to be used up.
fn end(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended meanwhile.
        killpg(group, Signal::SIGKILL).ok();
    }
}
