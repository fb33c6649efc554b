//! Tells one plugin of the embedding program what happens, keeps it doing what it does of its own accord, and lets it answer.

mod call;
mod keeping;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::fact::topic::{OF_PLUGINS, own};
use crate::fact::{Draft, Fact, Member, Topic, Topics};
use crate::plugin::{Giving, NotTaken, PluginContext, Request, Response, Route};
use crate::time::Span;

use super::Room;
use super::conversation::CallFault;
use super::exec_plugin::{NotServed, SERVED_WITHIN, checked};
use super::program_seat::State;
use super::protocol::{Hello, may_publish};
use super::reader::Reader;
use super::restarts::Restarts;
use super::rust_plugin::{BroughtPlugin, DynPlugin};
use call::{call, call_while_wanted};

/// A fact that fails is told so often.
const TRIES: u32 = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// A plugin that is told to close has so long.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Requests that a plugin answers at the same time.
pub(super) const REQUESTS: usize = 4;

/// How fast it all goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The first pause before it is initialized, or begun, again.
    pub(super) first_pause: Span,
    /// How it is, it is asked so often.
    pub(super) health_every: Duration,
    /// It says how it is within this.
    pub(super) health_within: Duration,
    /// It answers requests within this.
    pub(super) served_within: Duration,
}

impl Pace {
    pub(super) const USUAL: Self = Self {
        first_pause: Span::SECOND,
        health_every: Duration::from_secs(10),
        health_within: Duration::from_secs(5),
        served_within: SERVED_WITHIN,
    };
}

/// Where others find a plugin that the program brings; clones find the same one.
#[derive(Clone)]
pub(crate) struct RustSeat {
    name: Arc<str>,
    plugin: Arc<dyn DynPlugin>,
    routes: Arc<[Route]>,
    threads: Handle,
    pace: Pace,
    free: Arc<Semaphore>,
    restart: Arc<Notify>,
    state: watch::Receiver<State>,
}

/// The one who tells it what happens, and sees to what it does of its own accord.
pub(super) struct Seat {
    name: String,
    plugin: Arc<dyn DynPlugin>,
    settings: Arc<Map<String, Value>>,
    routes: Arc<[Route]>,
    threads: Handle,
    pace: Pace,
    restart: Arc<Notify>,
    state: watch::Sender<State>,
    room: Room,
}

impl RustSeat {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it is.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Begins what it does of its own accord anew.
    pub(crate) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Lets it answer.
    ///
    /// # Errors
    ///
    /// Where it does not, or not in time.
    pub(crate) async fn answer(&self, request: Request) -> Result<Response, NotServed> {
        let program = || format!("plugin {}", self.name);
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return Err(NotServed::Failed(CallFault::Busy { program: program() }.to_string()));
        };
        let plugin = self.plugin.clone();
        let answer = call_while_wanted(&self.threads, move || async move {
            // One that hangs keeps its place.
            let _permit = permit;
            Ok(plugin.on_request(request).await)
        });
        match tokio::time::timeout(self.pace.served_within, answer).await {
            Ok(Ok(response)) => checked(response),
            Ok(Err(why)) => Err(NotServed::Failed(format!("{}: {why}", program()))),
            Err(_) => {
                let within = Span::from_std(self.pace.served_within);
                Err(NotServed::Late(CallFault::Late { program: program(), within }))
            }
        }
    }
}

impl std::fmt::Debug for RustSeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RustSeat").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Seat {
    /// The seat of a plugin, and where others find it.
    pub(super) fn new(
        name: String,
        BroughtPlugin { plugin, settings }: BroughtPlugin,
        (threads, pace): (&Handle, Pace),
        room: &Room,
    ) -> (Self, RustSeat) {
        let (state, seen) = watch::channel(State::Starting);
        let found = RustSeat {
            name: name.as_str().into(),
            plugin: plugin.clone(),
            routes: plugin.routes().into(),
            threads: threads.clone(),
            pace,
            free: Arc::new(Semaphore::new(REQUESTS)),
            restart: Arc::new(Notify::new()),
            state: seen,
        };
        let seat = Self {
            name,
            plugin,
            settings: Arc::new(settings),
            routes: found.routes.clone(),
            threads: threads.clone(),
            pace,
            restart: found.restart.clone(),
            state,
            room: room.clone(),
        };
        (seat, found)
    }

    /// Goes on until it is stopped.
    pub(super) async fn run(self, topics: Topics, reader: Reader, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            // Where nobody can tell it to stop any more, it stops too.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.serve(&topics, reader) => {}
        }
        let plugin = self.plugin.clone();
        let close = call(&self.threads, move || async move {
            plugin.close().await;
            Ok(())
        });
        match tokio::time::timeout(CLOSED_WITHIN, close).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(plugin = self.name, "cannot be closed: {why}"),
            Err(_) => tracing::warn!(plugin = self.name, "has not closed within {CLOSED_WITHIN:?}"),
        }
    }

    async fn serve(&self, topics: &Topics, reader: Reader) {
        self.initialize().await;
        tokio::select! {
            () = self.tell_all(topics, reader) => {}
            () = async { tokio::join!(self.keep_running(), self.watch()); } => {}
        }
    }

    async fn tell_all(&self, topics: &Topics, mut reader: Reader) {
        let mut newest = self.room.bus.newest();
        loop {
            while let Some(fact) = reader.next(topics) {
                self.tell(&fact).await;
            }
            if newest.changed().await.is_err() {
                return;
            }
        }
    }

    async fn initialize(&self) {
        let mut restarts = Restarts::new(self.pace.first_pause);
        loop {
            let (plugin, context) = (self.plugin.clone(), self.context());
            let initialize = move || async move { plugin.initialize(context).await };
            let Err(why) = call(&self.threads, initialize).await else { break };
            let pause = restarts.pause();
            tracing::warn!(plugin = self.name, "cannot be initialized: {why}; trying again in {pause}");
            tokio::time::sleep(pause.to_std()).await;
        }
        self.works();
    }

    fn works(&self) {
        let (name, routes) = (self.name.clone(), self.routes.to_vec());
        self.state.send_replace(State::Running(Arc::new(Hello { name, routes, ..Hello::default() })));
        let data = [
            ("plugin", json!(self.name)),
            ("kind", json!("rust")),
            ("pid", Value::Null),
            ("version", Value::Null),
        ];
        self.publish(&own::PLUGIN_STARTED, data);
    }

    fn fails(&self, why: &str) {
        tracing::error!(plugin = self.name, "{why}");
        self.state.send_replace(State::Stopped(why.to_owned()));
        let data = [("plugin", json!(self.name)), ("reason", json!(why))];
        self.publish(&own::PLUGIN_FAILED, data);
    }

    fn publish<const N: usize>(&self, topic: &Topic, data: [Member; N]) {
        let now = self.room.clock.now().wall;
        self.room.bus.publish(Draft::new(topic, Some(self.name.clone()), now, data));
    }

    fn context(&self) -> PluginContext {
        let (name, Room { bus, clock, inlets }) = (self.name.clone(), self.room.clone());
        let publish = move |words, subject, data| {
            let topic = format!("{OF_PLUGINS}{name}.{words}");
            let may = may_publish(&name, &topic);
            if may {
                bus.publish(Draft { topic, subject, time: clock.now().wall, data });
            }
            may
        };
        let give = move |meter: Option<String>, telegram| -> Giving {
            let inlets = inlets.clone();
            Box::pin(async move {
                inlets.give(meter.as_deref(), telegram).await.map_err(|why| NotTaken(why.to_string()))
            })
        };
        PluginContext::new(&self.name, self.settings.clone(), publish, give)
    }

    async fn tell(&self, fact: &Arc<Fact>) {
        for tried in 1..=TRIES {
            let (plugin, told) = (self.plugin.clone(), fact.clone());
            let tell = move || async move { plugin.on_event(told).await };
            let Err(why) = call(&self.threads, tell).await else { return };
            let (seq, topic) = (fact.seq, &fact.topic);
            if tried == TRIES {
                tracing::error!(
                    plugin = self.name,
                    "fails for fact {seq} ({topic}), which is given up: {why}"
                );
            } else {
                tracing::warn!(plugin = self.name, "fails for fact {seq} ({topic}): {why}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
