//! Keeps a program running, and asks it things, without ever being hurt by it.
//!
//! ```text
//! Starting -> Running -> Starting (pause) -> Running ...
//!     |                      |
//!     └-> Stopped            └-> Stopped: it has ended too often
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::Startup;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::fact::topic::own;
use crate::fact::{Draft, Member, Topic};
use crate::time::Span;

use super::conversation::{CallFault, Conversation, Over, Patience, Question, Questions};
use super::process::Program;
use super::protocol::{Answer, Hello, VERSION};
use super::restarts::{MOST, Restarts};

/// Questions that may wait until they are asked.
const WAITING: usize = 64;
/// A program that is told to close has ended within this, whatever it does.
const CLOSED_WITHIN: Duration = Duration::from_secs(8);

/// What is run, and how.
#[derive(Clone, Debug)]
pub(crate) struct ProgramSettings {
    pub(crate) program: Program,
    /// What it must know how to do, in a word of its hello.
    pub(crate) needs: &'static str,
    pub(crate) startup: Startup,
    pub(crate) patience: Patience,
    /// What it is told once.
    pub(crate) initialize: Answer,
}

/// How a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Running(Arc<Hello>),
    /// It is not started any more, and why.
    Stopped(String),
}

/// Where a program sits; clones speak with the same one.
#[derive(Clone, Debug)]
pub(crate) struct ProgramSeat {
    name: Arc<str>,
    urgent: mpsc::Sender<Question>,
    others: mpsc::Sender<Question>,
    state: watch::Receiver<State>,
    restart: Arc<Notify>,
    clock: Clock,
}

/// Ends a program when it is dropped.
#[derive(Debug)]
pub(crate) struct Keeping {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The one who starts it, and starts it again.
struct Keeper {
    settings: ProgramSettings,
    questions: Questions,
    state: watch::Sender<State>,
    /// Told what came of the first start; `None` once it was.
    first: Option<oneshot::Sender<Result<(), String>>>,
    /// Somebody wants it started again.
    restart: Arc<Notify>,
    bus: Bus,
    clock: Clock,
}

impl ProgramSeat {
    /// Starts a program on the current runtime, and waits for its first start where that must not fail.
    ///
    /// # Errors
    ///
    /// Why it cannot be started, for [`Startup::Error`].
    pub(crate) async fn start(
        settings: ProgramSettings,
        bus: &Bus,
        clock: Clock,
    ) -> Result<(Self, Keeping), String> {
        let name: Arc<str> = settings.program.name.as_str().into();
        let (urgent, waiting_urgent) = mpsc::channel(WAITING);
        let (others, waiting_others) = mpsc::channel(WAITING);
        let (state, seen) = watch::channel(State::Starting);
        let must_start = settings.startup == Startup::Error;
        let questions = Questions { urgent: waiting_urgent, others: waiting_others };
        let (first, first_start) = oneshot::channel();
        let (first, restart) = (Some(first), Arc::new(Notify::new()));
        let again = restart.clone();
        let keeper = Keeper { settings, questions, state, first, restart, bus: bus.clone(), clock };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keeper.run(stopped));
        let seat = Self { name, urgent, others, state: seen, restart: again, clock };
        if must_start {
            first_start.await.unwrap_or_else(|_| Err("it was stopped".to_owned()))?;
        }
        Ok((seat, Keeping { stop, task }))
    }

    /// What it is called in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it is.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it runs.
    ///
    /// # Errors
    ///
    /// Why it will not run any more.
    pub(crate) async fn started(&mut self) -> Result<Arc<Hello>, String> {
        let settled = |state: &State| !matches!(state, State::Starting);
        match self.state.wait_for(settled).await.map(|state| state.clone()) {
            Ok(State::Running(hello)) => Ok(hello),
            Ok(State::Stopped(why)) => Err(why),
            Ok(State::Starting) | Err(_) => Err("it was stopped".to_owned()),
        }
    }

    /// Waits until it does not run as it did, or runs again; `false` where nobody keeps it any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.state.changed().await.is_ok()
    }

    /// Ends it where it runs, and starts it again, though it has been given up.
    pub(crate) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Asks what waits for nothing else, and waits so long for the answer.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn ask_at_once(
        &self,
        kind: &'static str,
        members: Answer,
        within: Duration,
    ) -> impl Future<Output = Result<Answer, CallFault>> + Send + use<> {
        self.call(&self.urgent, kind, members, within)
    }

    /// Asks in its turn, behind what was asked before this was called, and waits so long for the answer.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn ask(
        &self,
        kind: &'static str,
        members: Answer,
        within: Duration,
    ) -> impl Future<Output = Result<Answer, CallFault>> + Send + use<> {
        self.call(&self.others, kind, members, within)
    }

    fn call(
        &self,
        queue: &mpsc::Sender<Question>,
        kind: &'static str,
        members: Answer,
        within: Duration,
    ) -> impl Future<Output = Result<Answer, CallFault>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let until = self.clock.now().since_start + Span::from_std(within);
        let queued = queue.try_send(Question { kind, members, until, answer });
        let seat = self.clone();
        async move {
            let program = || seat.name.to_string();
            match queued {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err(CallFault::Busy { program: program() });
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(seat.gone()),
            }
            match tokio::time::timeout(within, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(seat.gone()),
                Err(_) => Err(CallFault::Late { program: program(), within: Span::from_std(within) }),
            }
        }
    }

    fn gone(&self) -> CallFault {
        let why = match self.state() {
            State::Stopped(why) => why,
            State::Starting | State::Running(_) => "it was stopped".to_owned(),
        };
        CallFault::Gone { program: self.name.to_string(), why }
    }
}

impl Keeping {
    /// Tells the program to end, and waits until it has.
    pub(crate) async fn close(self) {
        // One that has stopped already needs not be told.
        self.stop.send(()).ok();
        drop(tokio::time::timeout(CLOSED_WITHIN, self.task).await);
    }
}

impl Keeper {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let anew = Restarts::new(Span::from_std(self.settings.patience.restart));
        let mut restarts = anew.clone();
        let mut has_run = false;
        loop {
            let begun = tokio::select! {
                biased;
                _ = &mut stopped => return,
                begun = self.begin() => begun,
            };
            let now = self.clock.now().since_start;
            let (why, pause) = match begun {
                Ok((mut conversation, hello)) => {
                    has_run = true;
                    self.started(hello, conversation.id());
                    let over = tokio::select! {
                        biased;
                        _ = &mut stopped => Err(None),
                        () = self.restart.notified() => Err(Some(Span::ZERO)),
                        over = conversation.run(&mut self.questions) => Ok(over),
                    };
                    let over = match over {
                        Ok(over) => over,
                        Err(None) => return self.end(conversation, None).await,
                        Err(again) => {
                            self.end(conversation, again).await;
                            restarts = anew.clone();
                            continue;
                        }
                    };
                    self.state.send_replace(State::Starting);
                    let misbehaved = matches!(over, Over::Bad(_));
                    let (why, code) = conversation.finish(over).await;
                    if misbehaved {
                        self.failed(&why);
                    }
                    let pause = restarts.ended(now, self.clock.now().since_start);
                    self.exited(&why, code, pause);
                    (why, pause)
                }
                Err(why) if has_run => {
                    let pause = restarts.ended(now, now);
                    self.exited(&why, None, pause);
                    (why, pause)
                }
                Err(why) => {
                    let again = self.settings.startup == Startup::Retry;
                    let pause = again.then(|| restarts.pause());
                    self.exited(&why, None, pause);
                    (why, pause)
                }
            };
            let Some(pause) = pause else {
                self.give_up(&why, has_run);
                if !self.wanted_again(&mut stopped).await {
                    return;
                }
                self.state.send_replace(State::Starting);
                restarts = anew.clone();
                continue;
            };
            tokio::select! {
                _ = &mut stopped => return,
                () = self.restart.notified() => restarts = anew.clone(),
                () = tokio::time::sleep(pause.to_std()) => {}
            }
        }
    }

    /// Has it end, though it is well.
    async fn end(&self, conversation: Conversation, again: Option<Span>) {
        let why = conversation.close().await;
        self.exited(&why, None, again);
        let stopped = State::Stopped("it was stopped".to_owned());
        self.state.send_replace(again.map_or(stopped, |_| State::Starting));
    }

    /// Whether somebody wants it started again, before it is to stop. Who asks it something meanwhile learns at once that nobody answers.
    async fn wanted_again(&mut self, stopped: &mut oneshot::Receiver<()>) -> bool {
        loop {
            tokio::select! {
                biased;
                _ = &mut *stopped => return false,
                () = self.restart.notified() => return true,
                Some(_) = self.questions.urgent.recv() => {}
                Some(_) = self.questions.others.recv() => {}
            }
        }
    }

    async fn begin(&self) -> Result<(Conversation, Hello), String> {
        let ProgramSettings { program, needs, patience, initialize, .. } = &self.settings;
        let (conversation, hello) =
            Conversation::begin(program, initialize, *patience, (&self.bus, self.clock)).await?;
        if !hello.knows(needs) {
            let why = format!("the kinds of its hello have no \"{needs}\"");
            return Err(conversation.finish(Over::Bad(why)).await.0);
        }
        Ok((conversation, hello))
    }

    fn started(&mut self, hello: Hello, pid: i32) {
        let name = &self.settings.program.name;
        tracing::info!(plugin = name, pid, "runs and calls itself {}", hello.name);
        self.publish(
            &own::PLUGIN_STARTED,
            [("kind", json!("exec")), ("pid", json!(pid)), ("version", json!(VERSION))],
        );
        self.state.send_replace(State::Running(Arc::new(hello)));
        self.tell_first(Ok(()));
    }

    fn exited(&self, why: &str, status: Option<i32>, pause: Option<Span>) {
        let name = &self.settings.program.name;
        match pause {
            Some(pause) => tracing::warn!(plugin = name, "{why}; it is started again in {pause}"),
            None => tracing::info!(plugin = name, "{why}"),
        }
        let retry = pause.map(Span::seconds);
        self.publish(
            &own::PLUGIN_EXITED,
            [("status", json!(status)), ("reason", json!(why)), ("retry_seconds", json!(retry))],
        );
    }

    fn failed(&self, why: &str) {
        tracing::error!(plugin = self.settings.program.name, "{why}");
        self.publish(&own::PLUGIN_FAILED, [("reason", json!(why))]);
    }

    fn give_up(&mut self, why: &str, has_run: bool) {
        let why = if has_run {
            format!("it has ended {MOST} times within a minute and is not started any more; at last: {why}")
        } else {
            why.to_owned()
        };
        self.failed(&why);
        self.state.send_replace(State::Stopped(why.clone()));
        self.tell_first(Err(why));
    }

    fn tell_first(&mut self, started: Result<(), String>) {
        if let Some(first) = self.first.take() {
            // Nobody may wait for it.
            first.send(started).ok();
        }
    }

    fn publish<const N: usize>(&self, topic: &Topic, more: [Member; N]) {
        let name = &self.settings.program.name;
        let plugin: Member = ("plugin", Value::from(name.as_str()));
        let draft = Draft::new(topic, Some(name.clone()), [plugin].into_iter().chain(more));
        self.bus.publish(Draft { time: self.clock.now().wall, ..draft });
    }
}
