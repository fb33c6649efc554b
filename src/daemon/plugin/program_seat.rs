//! Keeps a program running, and asks it things, without ever being hurt by it.
//!
//! ```text
//! Starting -> Running -> Starting (pause) -> Running ...
//!     |                      |
//!     └-> Stopped            └-> Stopped: it has ended too often
//!
//! Running, Stopped -> Starting: somebody wants it, or so much time has passed
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::Startup;
use crate::daemon::clock::Clock;
use crate::fact::topic::own;
use crate::fact::{Draft, Member, Topic};
use crate::time::Span;

use super::Room;
use super::conversation::{CallFault, Conversation, Over, Patience, Question, Questions};
use super::process::Program;
use super::protocol::{Answer, Hello, VERSION};
use super::restarts::{MOST, Restarts};

/// Questions that may wait until they are asked.
const WAITING: usize = 64;
/// A program that is told to close has ended within this, whatever it does.
const CLOSED_WITHIN: Duration = Duration::from_secs(8);

/// What is run, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProgramSettings {
    pub(crate) program: Program,
    /// It must know how to do one of these, in the words of its hello.
    pub(crate) needs: &'static [&'static str],
    pub(crate) startup: Startup,
    /// One that has ended too often is tried again after this; `None`: when somebody wants it.
    pub(crate) heals: Option<Span>,
    pub(crate) patience: Patience,
    /// What it is told once.
    pub(crate) initialize: Answer,
}

/// How a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Running(Arc<Hello>),
    /// It has ended too often or could not be started at first, and why; it is not started until it is to be tried again.
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
    /// It has been started successfully.
    has_run: bool,
    room: Room,
}

/// What others want of the keeper.
struct Wishes {
    stopped: oneshot::Receiver<()>,
    restart: Arc<Notify>,
}

/// What the keeper does next.
enum Next {
    /// It is over.
    Stop,
    /// Somebody wants it started anew.
    Anew,
    /// It is started again after this.
    After(Span),
    /// It is not started any more.
    GiveUp(String),
}

impl ProgramSeat {
    /// Starts a program on the current runtime, and waits for its first start where that must not fail.
    ///
    /// # Errors
    ///
    /// Why it cannot be started, for [`Startup::Error`].
    pub(crate) async fn start(settings: ProgramSettings, room: &Room) -> Result<(Self, Keeping), String> {
        let clock = room.clock;
        let name: Arc<str> = settings.program.name.as_str().into();
        let (urgent, waiting_urgent) = mpsc::channel(WAITING);
        let (others, waiting_others) = mpsc::channel(WAITING);
        let (state, seen) = watch::channel(State::Starting);
        let must_start = settings.startup == Startup::Error;
        let questions = Questions { urgent: waiting_urgent, others: waiting_others };
        let (first, first_start) = oneshot::channel();
        let keeper =
            Keeper { settings, questions, state, first: Some(first), has_run: false, room: room.clone() };
        let (stop, stopped) = oneshot::channel();
        let restart = Arc::new(Notify::new());
        let task = tokio::spawn(keeper.run(Wishes { stopped, restart: restart.clone() }));
        let seat = Self { name, urgent, others, state: seen, restart, clock };
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

    /// Waits until it runs, however long that takes; `None`: nobody keeps it any more.
    pub(crate) async fn runs(&mut self) -> Option<Arc<Hello>> {
        let running = |state: &State| matches!(state, State::Running(_));
        match self.state.wait_for(running).await.map(|state| state.clone()) {
            Ok(State::Running(hello)) => Some(hello),
            Ok(State::Starting | State::Stopped(_)) | Err(_) => None,
        }
    }

    /// Starts it anew: one that runs is told to end first, one that is not started any more gets another chance.
    pub(crate) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Waits until it does not run as it did, or runs again; `false` where nobody keeps it any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.state.changed().await.is_ok()
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

impl Wishes {
    /// Waits for one; loses nothing when it is dropped. Not to be called again once it is to stop.
    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            // Where nobody can tell it to stop any more, it stops too.
            _ = &mut self.stopped => Next::Stop,
            () = self.restart.notified() => Next::Anew,
        }
    }
}

impl Keeper {
    async fn run(mut self, mut wishes: Wishes) {
        let restarts = Restarts::new(Span::from_std(self.settings.patience.restart));
        let mut counted = restarts.clone();
        loop {
            let next = match self.life(&mut counted, &mut wishes).await {
                Next::After(pause) => tokio::select! {
                    biased;
                    next = wishes.next() => next,
                    () = tokio::time::sleep(pause.to_std()) => continue,
                },
                Next::GiveUp(why) => self.give_up(&why, &mut wishes).await,
                next @ (Next::Stop | Next::Anew) => next,
            };
            match next {
                Next::Stop => {
                    self.state.send_replace(State::Stopped("it was stopped".to_owned()));
                    return;
                }
                Next::Anew | Next::After(_) | Next::GiveUp(_) => counted = restarts.clone(),
            }
        }
    }

    /// One run of it, from its start to its end.
    async fn life(&mut self, restarts: &mut Restarts, wishes: &mut Wishes) -> Next {
        self.state.send_replace(State::Starting);
        let begun = tokio::select! {
            biased;
            next = wishes.next() => return next,
            begun = self.begin() => begun,
        };
        let started = self.room.clock.now().since_start;
        let (mut conversation, hello) = match begun {
            Ok(begun) => begun,
            Err(why) => {
                let again = match self.settings.startup {
                    _ if self.has_run => restarts.ended(started, started),
                    Startup::Retry => Some(restarts.pause()),
                    Startup::Error | Startup::Ignore => None,
                };
                return self.ended(why, None, again);
            }
        };
        self.has_run = true;
        self.started(hello, conversation.id());
        let over = tokio::select! {
            biased;
            next = wishes.next() => Err(next),
            over = conversation.run(&mut self.questions) => Ok(over),
        };
        self.state.send_replace(State::Starting);
        let over = match over {
            Ok(over) => over,
            Err(next) => {
                let why = conversation.close().await;
                self.exited(&why, None, matches!(next, Next::Anew).then_some(Span::ZERO));
                return next;
            }
        };
        let misbehaved = matches!(over, Over::Bad(_));
        let (why, code) = conversation.finish(over).await;
        let now = self.room.clock.now().since_start;
        let again = restarts.ended(started, now);
        if misbehaved && again.is_some() {
            self.failed(&why);
        }
        self.ended(why, code, again)
    }

    fn ended(&self, why: String, status: Option<i32>, again: Option<Span>) -> Next {
        self.exited(&why, status, again);
        again.map_or(Next::GiveUp(why), Next::After)
    }

    /// Refuses what it is asked until it is to be tried again.
    async fn give_up(&mut self, why: &str, wishes: &mut Wishes) -> Next {
        let heals = self.settings.heals.filter(|_| self.has_run);
        let told = match heals {
            _ if !self.has_run => why.to_owned(),
            None => format!(
                "it has ended {MOST} times within a minute and is not started any more; at last: {why}"
            ),
            Some(pause) => {
                format!(
                    "it has ended {MOST} times within a minute and is tried again in {pause}; at last: {why}"
                )
            }
        };
        self.failed(&told);
        self.state.send_replace(State::Stopped(told.clone()));
        self.tell_first(Err(told.clone()));
        let pause = tokio::time::sleep(heals.unwrap_or(Span::ZERO).to_std());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                biased;
                next = wishes.next() => return next,
                () = &mut pause, if heals.is_some() => return Next::Anew,
                Some(question) = self.questions.next() => {
                    let program = self.settings.program.name.clone();
                    // Where nobody waits any more, nobody is to be told.
                    question.answer.send(Err(CallFault::Gone { program, why: told.clone() })).ok();
                }
            }
        }
    }

    async fn begin(&self) -> Result<(Conversation, Hello), String> {
        let ProgramSettings { program, needs, patience, initialize, .. } = &self.settings;
        let (conversation, hello) = Conversation::begin(program, initialize, *patience, &self.room).await?;
        if !needs.iter().any(|kind| hello.knows(kind)) {
            let why = format!("the kinds of its hello have no \"{}\"", needs.join("\" and no \""));
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

    fn tell_first(&mut self, started: Result<(), String>) {
        if let Some(first) = self.first.take() {
            // Nobody may wait for it.
            first.send(started).ok();
        }
    }

    fn publish<const N: usize>(&self, topic: &Topic, more: [Member; N]) {
        let name = &self.settings.program.name;
        let plugin: Member = ("plugin", Value::from(name.as_str()));
        let now = self.room.clock.now().wall;
        self.room.bus.publish(Draft::new(topic, Some(name.clone()), now, [plugin].into_iter().chain(more)));
    }
}
