//! Speaks with a program that runs, until one of the two has had enough.
//!
//! Nothing here waits without an end: a program that does not read its input, does not answer, writes too much or nothing to the point is
//! ended, and those who wait for its answers are told why.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::fact::Draft;
use crate::time::Span;

use super::Room;
use super::lines::{Lines, Throttle};
use super::process::{Process, Program, log, told};
use super::protocol::{
    Answer, Hello, LONGEST_LINE, Said, is_unsupported, may_publish, question, readable, unsupported,
};

/// Questions that are not urgent and may wait for an answer at the same time.
const IN_FLIGHT: usize = 16;
/// A fact of a plugin is not longer, in octets.
const LONGEST_FACT: usize = 64 << 10;
/// Facts of a plugin in a second; more would push out those of the VEN.
const PUBLISHED_A_SECOND: u32 = 20;
/// Lines about what it does wrong that are logged in a second.
const SCOLDED_A_SECOND: u32 = 5;
/// Octets that are read at a time.
const PIECE: usize = 16 << 10;

/// How long a program has for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// To say hello.
    pub(crate) hello: Duration,
    /// To do what it does once, before it is asked anything.
    pub(crate) initialize: Duration,
    /// To read what it was told, where the pipe is full.
    pub(crate) write: Duration,
    /// To answer after all, when it is too late for the answer to count; then it hangs.
    pub(crate) hang: Duration,
    /// To end when it is told to, and again when it is told by a signal.
    pub(crate) close: Duration,
    /// Of ours: the first pause before it is started again.
    pub(crate) restart: Duration,
}

impl Patience {
    /// With a program that answers within `timeout`.
    pub(crate) const fn with(timeout: Duration) -> Self {
        Self {
            hello: Duration::from_secs(5),
            initialize: Duration::from_secs(10),
            write: timeout,
            hang: Duration::from_secs(10),
            close: Duration::from_secs(2),
            restart: Duration::from_secs(1),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallFault {
    #[error("{program} has not answered within {within}")]
    Late { program: String, within: Span },
    #[error("{program} does not run: {why}")]
    Gone { program: String, why: String },
    #[error("{program} has too much to do")]
    Busy { program: String },
    #[error("{program} answers: {why}")]
    Refused { program: String, why: String },
    #[error("what {program} was to be told is longer than {LONGEST_LINE} octets")]
    TooLong { program: String },
}

/// Something that a program is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) kind: &'static str,
    pub(super) members: Answer,
    /// When nobody waits for the answer any more, since the start of the VEN.
    pub(super) until: Span,
    pub(super) answer: oneshot::Sender<Result<Answer, CallFault>>,
}

/// Questions that wait.
#[derive(Debug)]
pub(super) struct Questions {
    /// Those that do not wait for others.
    pub(super) urgent: mpsc::Receiver<Question>,
    pub(super) others: mpsc::Receiver<Question>,
}

impl Questions {
    /// The next one; `None`: nobody can ask any more.
    pub(super) async fn next(&mut self) -> Option<Question> {
        tokio::select! {
            biased;
            Some(question) = self.urgent.recv() => Some(question),
            Some(question) = self.others.recv() => Some(question),
            else => None,
        }
    }
}

/// Why it is over.
#[derive(Debug)]
pub(super) enum Over {
    /// It has closed its output.
    Closed,
    Ended(std::io::Result<ExitStatus>),
    /// It does what it must not.
    Bad(String),
}

/// One run of a program.
pub(super) struct Conversation {
    name: String,
    room: Room,
    patience: Patience,
    process: Process,
    lines: Lines,
    piece: Vec<u8>,
    /// What it is still to be told.
    out: Vec<u8>,
    /// When it must have read some of that.
    stuck: Option<Span>,
    last_id: u64,
    asked: BTreeMap<u64, Asked>,
    scolding: Throttle,
    publishing: Throttle,
}

#[derive(Debug)]
struct Asked {
    answer: oneshot::Sender<Result<Answer, CallFault>>,
    urgent: bool,
    /// Without an answer until then, it hangs.
    hangs: Span,
}

enum Happening {
    Read(std::io::Result<usize>),
    Wrote(std::io::Result<usize>),
    Ended(std::io::Result<ExitStatus>),
    Asked(Question, bool),
    Due,
}

impl Conversation {
    /// Starts a program, waits for its hello and initializes it.
    ///
    /// # Errors
    ///
    /// Why it cannot be spoken with; it is ended.
    pub(super) async fn begin(
        program: &Program,
        initialize: &Answer,
        patience: Patience,
        room: &Room,
    ) -> Result<(Self, Hello), String> {
        let process = program.start(room.clock).map_err(|error| error.to_string())?;
        let mut conversation = Self {
            name: program.name.clone(),
            room: room.clone(),
            patience,
            process,
            lines: Lines::new(LONGEST_LINE),
            piece: vec![0; PIECE],
            out: Vec::new(),
            stuck: None,
            last_id: 0,
            asked: BTreeMap::new(),
            scolding: Throttle::new(SCOLDED_A_SECOND),
            publishing: Throttle::new(PUBLISHED_A_SECOND),
        };
        match conversation.agree(initialize).await {
            Ok(hello) => Ok((conversation, hello)),
            Err(over) => Err(conversation.finish(over).await.0),
        }
    }

    async fn agree(&mut self, initialize: &Answer) -> Result<Hello, Over> {
        let within = self.patience.hello;
        let hello = tokio::time::timeout(within, self.hello()).await;
        let hello = hello.map_err(|_| Over::Bad(format!("it has said no hello within {within:?}")))??;
        let (answer, mut answered) = oneshot::channel();
        let within = self.patience.initialize;
        let until = self.room.clock.now().since_start + Span::from_std(within);
        self.ask(Question { kind: "initialize", members: initialize.clone(), until, answer }, true);
        let talk = async {
            loop {
                self.turn(None).await?;
                if let Ok(answer) = answered.try_recv() {
                    return Ok(answer);
                }
            }
        };
        let answered = tokio::time::timeout(within, talk).await;
        let late = || Over::Bad(format!("it has not answered \"initialize\" within {within:?}"));
        let answered = answered.map_err(|_| late())??;
        match answered {
            Err(CallFault::Refused { why, .. }) if !is_unsupported(&why) => {
                Err(Over::Bad(format!("it cannot be initialized: {why}")))
            }
            _ => Ok(hello),
        }
    }

    async fn hello(&mut self) -> Result<Hello, Over> {
        loop {
            let count = self.process.out.read(&mut self.piece).await;
            let lines = self.read(&count)?;
            let mut lines = lines.into_iter();
            if let Some(line) = lines.next() {
                let bad = |error| Over::Bad(format!("its first line {error}"));
                let hello = Hello::read(&line).map_err(bad)?;
                lines.for_each(|line| self.hear(&line));
                return Ok(hello);
            }
        }
    }

    /// Its process.
    pub(super) fn id(&self) -> i32 {
        self.process.group.id()
    }

    /// Goes on until it is over.
    pub(super) async fn run(&mut self, questions: &mut Questions) -> Over {
        loop {
            if let Err(over) = self.turn(Some(questions)).await {
                return over;
            }
        }
    }

    /// Waits for one thing to happen and deals with it; loses nothing when it is dropped.
    async fn turn(&mut self, questions: Option<&mut Questions>) -> Result<(), Over> {
        let happening = self.next(questions).await;
        let now = self.room.clock.now().since_start;
        match happening {
            Happening::Read(count) => {
                for line in self.read(&count)? {
                    self.hear(&line);
                }
            }
            Happening::Wrote(Ok(count @ 1..)) => {
                self.out.drain(..count.min(self.out.len()));
                self.stuck = Some(now + Span::from_std(self.patience.write));
            }
            // It has closed its input: what it is told from now on, it will not answer.
            Happening::Wrote(_) => self.process.input = None,
            Happening::Ended(ended) => {
                let rest = self.process.rest(LONGEST_LINE).await;
                for line in self.lines.feed(&rest, now).unwrap_or_default() {
                    self.hear(&line);
                }
                return Err(Over::Ended(ended));
            }
            Happening::Asked(question, urgent) => self.ask(question, urgent),
            Happening::Due => self.check(now)?,
        }
        Ok(())
    }

    async fn next(&mut self, questions: Option<&mut Questions>) -> Happening {
        let has_room = self.out.len() < LONGEST_LINE;
        let few = self.asked.values().filter(|asked| !asked.urgent).count() < IN_FLIGHT;
        let due = self.due().map(|due| self.room.clock.instant(due));
        let Process { group, out, input } = &mut self.process;
        let (urgent, others) =
            questions.map_or((None, None), |all| (Some(&mut all.urgent), Some(&mut all.others)));
        tokio::select! {
            biased;
            count = out.read(&mut self.piece) => Happening::Read(count),
            Some(count) = maybe(input.as_mut().filter(|_| !self.out.is_empty()).map(|input| input.write(&self.out))) => {
                Happening::Wrote(count)
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(|| self.room.clock.instant(Span::ZERO))), if due.is_some() => {
                Happening::Due
            }
            Some(Some(question)) = maybe(urgent.filter(|_| has_room).map(mpsc::Receiver::recv)) => {
                Happening::Asked(question, true)
            }
            Some(Some(question)) = maybe(others.filter(|_| has_room && few).map(mpsc::Receiver::recv)) => {
                Happening::Asked(question, false)
            }
            ended = group.wait() => Happening::Ended(ended),
        }
    }

    /// When something must have happened.
    fn due(&self) -> Option<Span> {
        let stuck = self.stuck.filter(|_| !self.out.is_empty());
        self.asked.values().map(|asked| asked.hangs).chain(stuck).min()
    }

    fn check(&self, now: Span) -> Result<(), Over> {
        if self.stuck.is_some_and(|stuck| stuck <= now) && !self.out.is_empty() {
            return Err(Over::Bad(format!("it has not read its input for {:?}", self.patience.write)));
        }
        if self.asked.values().any(|asked| asked.hangs <= now) {
            return Err(Over::Bad("it hangs: it does not answer what it was asked".to_owned()));
        }
        Ok(())
    }

    /// The lines in what was read.
    fn read(&mut self, count: &std::io::Result<usize>) -> Result<Vec<Vec<u8>>, Over> {
        let Ok(count @ 1..) = *count else { return Err(Over::Closed) };
        let piece = self.piece.get(..count).unwrap_or_default();
        let now = self.room.clock.now().since_start;
        self.lines.feed(piece, now).map_err(|flood| Over::Bad(flood.to_string()))
    }

    /// Asks something; what comes of it the one who asks is told.
    fn ask(&mut self, asks: Question, urgent: bool) {
        let Question { kind, members, until, answer } = asks;
        if answer.is_closed() {
            return;
        }
        let line = question(self.last_id + 1, kind, &members);
        if line.len() > LONGEST_LINE {
            // Where nobody waits any more, nobody is to be told.
            answer.send(Err(CallFault::TooLong { program: self.name.clone() })).ok();
            return;
        }
        self.last_id += 1;
        let hangs = until + Span::from_std(self.patience.hang);
        self.asked.insert(self.last_id, Asked { answer, urgent, hangs });
        self.tell(&line);
    }

    fn tell(&mut self, line: &[u8]) {
        if self.out.is_empty() {
            self.stuck = Some(self.room.clock.now().since_start + Span::from_std(self.patience.write));
        }
        self.out.extend_from_slice(line);
    }

    fn hear(&mut self, line: &[u8]) {
        match Said::read(line) {
            Ok(Said::Answer { id, answer }) => {
                let Some(asked) = self.asked.remove(&id) else {
                    return self.scold(&format!("it answers {id}, which it was not asked"));
                };
                let program = || self.name.clone();
                let answer = answer.map_err(|why| CallFault::Refused { program: program(), why });
                if asked.answer.send(answer).is_err() {
                    self.scold(&format!("its answer {id} comes too late"));
                }
            }
            // One that asks and does not read is ended as stuck.
            Ok(Said::Asks { id }) if self.out.len() < LONGEST_LINE => self.tell(&unsupported(&id)),
            Ok(Said::Asks { .. }) => {}
            Ok(Said::Publish { topic, subject, data }) => self.publish(line.len(), topic, subject, data),
            Ok(Said::Telegram { meter, bytes }) => self.give(meter.as_deref(), bytes),
            Ok(Said::Log { level, text }) => log(&self.name, level, &text),
            Err(error) => {
                let line = String::from_utf8_lossy(line);
                self.scold(&format!("its line {error}: {}", readable(&line)));
            }
        }
    }

    fn publish(&mut self, length: usize, topic: String, subject: Option<String>, data: Map<String, Value>) {
        if !may_publish(&self.name, &topic) {
            let topic = readable(&topic);
            return self.scold(&format!("it publishes {topic}, but its topics are x.{}.<words>", self.name));
        }
        if length > LONGEST_FACT {
            return self.scold(&format!("it publishes {topic} with more than {LONGEST_FACT} octets"));
        }
        let now = self.room.clock.now();
        let Some(dropped) = self.publishing.pass(now.since_start) else { return };
        if dropped > 0 {
            self.scold(&format!(
                "it publishes more than {PUBLISHED_A_SECOND} facts a second: {dropped} are lost"
            ));
        }
        self.room.bus.publish(Draft { topic, subject, time: now.wall, data });
    }

    /// What the meter says to it, the meter tells.
    fn give(&mut self, meter: Option<&str>, telegram: Vec<u8>) {
        if let Err(why) = self.room.inlets.offer(meter, telegram) {
            self.scold(&format!("it gives a telegram, but {}", readable(&why.to_string())));
        }
    }

    fn scold(&mut self, what: &str) {
        match self.scolding.pass(self.room.clock.now().since_start) {
            None => {}
            Some(0) => tracing::warn!(plugin = self.name, "{what}"),
            Some(dropped) => tracing::warn!(plugin = self.name, "{what} ({dropped} other faults not shown)"),
        }
    }

    /// Tells it to end, and sees to it that it does.
    pub(super) async fn close(mut self) -> String {
        let line = question(self.last_id + 1, "close", &Map::new());
        self.tell(&line);
        let patience = self.patience.close;
        let told_to = async {
            loop {
                match self.turn(None).await {
                    Ok(()) if self.out.is_empty() => self.process.input = None,
                    Ok(()) => {}
                    Err(over) => break over,
                }
            }
        };
        let over = tokio::time::timeout(patience, told_to).await;
        let over = match over {
            Ok(over) => over,
            Err(_) => Over::Ended(self.process.group.terminate(patience).await),
        };
        self.finish(over).await.0
    }

    /// Ends it, tells those who wait for answers, and says why it is over and with which exit status.
    pub(super) async fn finish(mut self, over: Over) -> (String, Option<i32>) {
        let (why, ended) = match over {
            Over::Ended(ended) => (told(&ended), ended),
            Over::Bad(why) => (why, self.process.group.kill().await),
            Over::Closed => {
                let ended = tokio::time::timeout(self.patience.close, self.process.group.wait()).await;
                match ended {
                    Ok(ended) => (told(&ended), ended),
                    Err(_) => ("it has closed its output".to_owned(), self.process.group.kill().await),
                }
            }
        };
        for asked in std::mem::take(&mut self.asked).into_values() {
            let gone = CallFault::Gone { program: self.name.clone(), why: why.clone() };
            // Where nobody waits any more, nobody is to be told.
            asked.answer.send(Err(gone)).ok();
        }
        (why, ended.ok().and_then(|status| status.code()))
    }
}

/// What comes of a future, where there is one.
async fn maybe<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}
