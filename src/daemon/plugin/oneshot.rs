//! Runs a program once for each question: the question on its standard input, the answer on its standard output.
//!
//! Its exit status says whether it has done it: 0 is yes. The answer is a line of JSON as that of a program that goes on running, or one
//! word, `optIn` or `optOut`.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::daemon::clock::Clock;
use crate::time::Span;

use super::conversation::CallFault;
use super::process::{Process, Program, told};
use super::protocol::{Answer, Said, question, readable};

/// Programs that run at the same time.
const AT_ONCE: usize = 4;
/// An answer is not longer, in octets.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Asks a program by running it.
#[derive(Debug)]
pub(crate) struct OneShot {
    program: Program,
    clock: Clock,
    free: Semaphore,
}

impl OneShot {
    pub(crate) const fn new(program: Program, clock: Clock) -> Self {
        Self { program, clock, free: Semaphore::const_new(AT_ONCE) }
    }

    /// Asks, and waits so long for the answer; a program that is late is killed.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn ask(
        &self,
        kind: &str,
        members: &Answer,
        within: Duration,
    ) -> Result<Answer, CallFault> {
        let late = |_| CallFault::Late { program: self.program.name.clone(), within: Span::from_std(within) };
        tokio::time::timeout(within, self.run(kind, members)).await.map_err(late)?
    }

    async fn run(&self, kind: &str, members: &Answer) -> Result<Answer, CallFault> {
        let gone = |why: String| CallFault::Gone { program: self.program.name.clone(), why };
        let refused = |why: String| CallFault::Refused { program: self.program.name.clone(), why };
        // It is never closed.
        let _free = self.free.acquire().await;
        let line = question(1, kind, members);
        let mut process = self.program.start(self.clock).map_err(|error| gone(error.to_string()))?;
        let output = exchange(&mut process, &line).await.map_err(|error| gone(error.to_string()))?;
        let ended = process.group.wait().await;
        if !ended.as_ref().is_ok_and(|status| status.success()) {
            return Err(gone(told(&ended)));
        }
        if output.len() as u64 > LONGEST_ANSWER {
            return Err(refused(format!("more than {LONGEST_ANSWER} octets")));
        }
        answer(&String::from_utf8_lossy(&output)).map_err(refused)
    }
}

/// Writes the question and reads the answer, both at the same time: neither pipe may hold the other up.
async fn exchange(process: &mut Process, line: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut input = process.input.take();
    let write = async move {
        if let Some(input) = &mut input {
            // It may know what to say without having read it.
            input.write_all(line).await.ok();
        }
    };
    let mut output = Vec::new();
    let mut out = (&mut process.out).take(LONGEST_ANSWER + 1);
    let ((), read) = tokio::join!(write, out.read_to_end(&mut output));
    read.map(|_| output)
}

/// Reads what a program has said: JSON, a word, or nothing at all.
fn answer(output: &str) -> Result<Answer, String> {
    let text = output.trim();
    match text {
        "" => Ok(Map::new()),
        "optIn" | "optOut" => Ok(Map::from_iter([("opt".to_owned(), Value::from(text))])),
        _ => {
            let line = text.lines().last().unwrap_or_default();
            // A program that answers as one that goes on running has a number in its answer; it needs not.
            let mut members: Map<String, Value> = serde_json::from_str(line).map_err(|_| {
                format!("\"{}\"; expected optIn, optOut or an object of JSON", readable(line))
            })?;
            members.insert("id".to_owned(), Value::from(1));
            match Said::read(Value::Object(members).to_string().as_bytes()) {
                Ok(Said::Answer { answer, .. }) => answer,
                Ok(_) | Err(_) => Err(format!("\"{}\"; expected an answer", readable(line))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn an_answer_is_a_word_or_json() {
        assert_eq!(answer(" optIn\n").unwrap()["opt"], "optIn");
        assert_eq!(answer("{\"opt\":\"optOut\",\"reason\":\"cold\"}").unwrap()["reason"], "cold");
        assert_eq!(answer("thinking…\n{\"id\":7,\"opt\":\"optOut\"}\n").unwrap()["opt"], "optOut");
        assert!(answer("").unwrap().is_empty());
        assert_eq!(answer("{\"error\":\"no network\"}").unwrap_err(), "no network");
        assert!(answer("yes").unwrap_err().contains("expected optIn, optOut"));
    }
}
