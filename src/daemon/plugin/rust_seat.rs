//! Tells one plugin of the embedding program what happens, keeps it doing what it does of its own accord, and lets it answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use crate::fact::topic::{OF_PLUGINS, own};
use crate::fact::{Draft, Fact, Member, Topic, Topics};
use crate::plugin::{Giving, Health, NotTaken, PluginContext, PluginError, Request, Response, Route};
use crate::time::Span;

use super::Room;
use super::conversation::CallFault;
use super::exec_plugin::{NotServed, SERVED_WITHIN, checked};
use super::program_seat::State;
use super::protocol::{Hello, may_publish, readable};
use super::reader::Reader;
use super::restarts::{MOST, Restarts};
use super::rust_plugin::{BroughtPlugin, DynPlugin};

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

    /// Keeps it doing what it does of its own accord.
    async fn keep_running(&self) {
        loop {
            let given_up = tokio::select! {
                biased;
                () = self.restart.notified() => continue,
                given_up = self.runs() => given_up,
            };
            if let Some(why) = &given_up {
                self.fails(why);
            }
            self.restart.notified().await;
            if given_up.is_some() {
                self.works();
            }
        }
    }

    /// Until it has nothing more to do, or has failed too often; why.
    async fn runs(&self) -> Option<String> {
        let mut restarts = Restarts::new(self.pace.first_pause);
        loop {
            let started = self.room.clock.now().since_start;
            let (plugin, context) = (self.plugin.clone(), self.context());
            let run = move || async move { plugin.run(context).await };
            let why = call_while_wanted(&self.threads, run).await.err()?;
            let Some(pause) = restarts.ended(started, self.room.clock.now().since_start) else {
                let often = format!("what it does of its own accord has failed {MOST} times within a minute");
                return Some(format!("{often} and is not begun any more; at last: {why}"));
            };
            tracing::warn!(plugin = self.name, "{why}; it is begun again in {pause}");
            tokio::time::sleep(pause.to_std()).await;
        }
    }

    /// Asks it how it is, and tells what has changed.
    async fn watch(&self) {
        let mut before = Health::Well;
        loop {
            tokio::time::sleep(self.pace.health_every).await;
            let plugin = self.plugin.clone();
            let mut asked = Box::pin(call(&self.threads, move || async move { Ok(plugin.health()) }));
            let within = self.pace.health_within;
            let said = match tokio::time::timeout(within, &mut asked).await {
                Ok(said) => said,
                Err(_) => {
                    let why = format!("it does not say how it is within {within:?}");
                    self.note(&mut before, Health::Ill(why));
                    // It is asked no more before it has answered.
                    asked.await
                }
            };
            self.note(&mut before, said.unwrap_or_else(Health::Ill));
        }
    }

    fn note(&self, before: &mut Health, health: Health) {
        if health == *before {
            return;
        }
        match (&health, &*before) {
            (Health::Ill(why), _) => self.fails(&readable(why)),
            // It may have failed otherwise meanwhile, of which it knows nothing.
            (Health::Well, Health::Ill(why)) if self.is_stopped(&readable(why)) => self.works(),
            (Health::Well, Health::Ill(_) | Health::Well) => {}
        }
        *before = health;
    }

    fn is_stopped(&self, why: &str) -> bool {
        matches!(&*self.state.borrow(), State::Stopped(stopped) if stopped == why)
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

/// Calls a plugin on a thread of its own, where it may block and panic.
async fn call<T: Send + 'static, F: Future<Output = Result<T, PluginError>>>(
    threads: &Handle,
    begin: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let inner = threads.clone();
    let call = threads.spawn_blocking(move || inner.block_on(begin()).map_err(|error| error.to_string()));
    call.await.unwrap_or_else(|error| {
        Err(if error.is_panic() { "it has panicked".to_owned() } else { error.to_string() })
    })
}

/// Calls it in the same way; where nobody waits for it any more, it is dropped where it waits.
async fn call_while_wanted<T: Send + 'static, F: Future<Output = Result<T, PluginError>>>(
    threads: &Handle,
    begin: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let (waits, nobody_waits) = oneshot::channel::<()>();
    let done = call(threads, move || async move {
        tokio::select! {
            biased;
            _ = nobody_waits => Err("nobody waits for it any more".into()),
            done = begin() => done,
        }
    });
    let done = done.await;
    drop(waits);
    done
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use serde_json::{Map, Value, json};
    use tokio::sync::Notify;

    use super::super::Room;
    use super::super::exec_plugin::{NotServed, Plugins};
    use super::super::program_seat::State;
    use super::super::rust_plugin::{BroughtPlugin, RustPlugins};
    use super::{Pace, REQUESTS};
    use crate::daemon::bus::Bus;
    use crate::daemon::clock::Clock;
    use crate::daemon::inlets::Inlets;
    use crate::fact::Draft;
    use crate::plugin::{Health, Plugin, PluginContext, PluginError, Request, Response, Route};
    use crate::time::Span;

    const FAST: Pace =
        Pace { first_pause: Span::from_micros(1000), health_every: Duration::from_millis(1), ..Pace::USUAL };

    /// Nothing waits so long unless it is broken.
    const LONG: Duration = Duration::from_secs(60);

    /// Does what its settings say.
    #[derive(Default)]
    struct Diligent {
        runs: AtomicU32,
        health: Mutex<Option<String>>,
        /// Whoever hangs says so.
        hangs: Notify,
        dropped: Arc<AtomicU32>,
    }

    /// Counts when it is dropped.
    struct Dropped(Arc<AtomicU32>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Plugin for Arc<Diligent> {
        async fn run(&self, context: PluginContext) -> Result<(), PluginError> {
            let _dropped = Dropped(self.dropped.clone());
            let runs = self.runs.fetch_add(1, Ordering::SeqCst);
            match context.config().get("run").and_then(Value::as_str) {
                Some("fails") if runs.is_multiple_of(2) => Err("as it was told to".into()),
                Some("fails") => panic!("as it was told to"),
                Some("goes on") => std::future::pending().await,
                _ => Ok(()),
            }
        }

        fn routes(&self) -> Vec<Route> {
            ["echo", "panics", "hangs", "bad"].map(|path| Route::new("POST", path)).to_vec()
        }

        async fn on_request(&self, request: Request) -> Response {
            match request.path.as_str() {
                "echo" => Response::json(201, &json!({ "query": request.query, "body": request.body })),
                "panics" => panic!("as it was told to"),
                "hangs" => {
                    self.hangs.notify_one();
                    std::future::pending().await
                }
                _ => Response::text(99, ""),
            }
        }

        fn health(&self) -> Health {
            self.health.lock().unwrap().clone().map_or(Health::Well, Health::Ill)
        }
    }

    struct Scene {
        bus: Bus,
        plugin: Arc<Diligent>,
        kept: RustPlugins,
        plugins: Plugins,
    }

    fn start(run: &str, pace: Pace) -> Scene {
        let (bus, plugin) = (Bus::new(Clock::start()), Arc::new(Diligent::default()));
        let settings = Map::from_iter([("run".to_owned(), Value::from(run))]);
        let brought = BroughtPlugin { plugin: Arc::new(plugin.clone()), settings };
        let brought = BTreeMap::from([("own".to_owned(), brought)]);
        let room = Room { bus: bus.clone(), clock: Clock::start(), inlets: Inlets::default() };
        let kept = RustPlugins::start_at(pace, brought, &room).unwrap();
        let plugins = Plugins::default().with(kept.seats());
        Scene { bus, plugin, kept, plugins }
    }

    /// The next fact of this topic.
    async fn told(bus: &Bus, topic: &str) -> Draft {
        let told = async {
            loop {
                let mut owed = bus.owed().await;
                if let Some(at) = owed.iter().position(|draft| draft.topic == topic) {
                    bus.owe_again(owed.split_off(at + 1));
                    return owed.remove(at);
                }
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap_or_else(|_| panic!("{topic} was not told"))
    }

    /// Waits for a condition.
    async fn until(mut reached: impl AsyncFnMut() -> bool) {
        let look = async {
            while !reached().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, look).await.unwrap_or_else(|_| panic!("it did not come to that"));
    }

    fn request(path: &str) -> Request {
        let (method, query, body) = ("POST".to_owned(), "a=1".to_owned(), "x".to_owned());
        Request { method, path: path.to_owned(), query, body }
    }

    #[tokio::test]
    async fn what_it_does_of_its_own_accord_is_begun_again_and_given_up_at_last() {
        let scene = start("fails", Pace { health_every: Duration::from_secs(1000), ..FAST });
        let failed = told(&scene.bus, "plugin.failed").await;
        let why = failed.data["reason"].as_str().unwrap();
        assert!(why.contains("5 times within a minute") && why.ends_with("as it was told to"), "{why}");
        assert_eq!(scene.plugin.runs.load(Ordering::SeqCst), 5);
        assert!(matches!(&scene.plugins.states()["own"], State::Stopped(stopped) if stopped == why));
        scene.plugins.restart("own").unwrap();
        told(&scene.bus, "plugin.failed").await;
        assert_eq!(scene.plugin.runs.load(Ordering::SeqCst), 10);
        scene.kept.close().await;
    }

    #[tokio::test]
    async fn what_it_does_of_its_own_accord_ends_when_it_has_nothing_more_to_do_or_is_not_wanted() {
        for (run, runs) in [("ends", 2), ("goes on", 2)] {
            let scene = start(run, FAST);
            told(&scene.bus, "plugin.started").await;
            let count = |counted: &AtomicU32| counted.load(Ordering::SeqCst);
            until(async || count(&scene.plugin.runs) == 1).await;
            scene.plugins.restart("own").unwrap();
            until(async || count(&scene.plugin.runs) == runs).await;
            scene.kept.close().await;
            until(async || count(&scene.plugin.dropped) == runs).await;
            assert_eq!(count(&scene.plugin.runs), runs, "{run}: it is not begun again by itself");
        }
    }

    #[tokio::test]
    async fn how_it_is_is_told_when_it_changes() {
        let scene = start("ends", FAST);
        told(&scene.bus, "plugin.started").await;
        *scene.plugin.health.lock().unwrap() = Some("no lamp".to_owned());
        assert_eq!(told(&scene.bus, "plugin.failed").await.data["reason"], "no lamp");
        assert_eq!(scene.plugins.states()["own"], State::Stopped("no lamp".to_owned()));
        *scene.plugin.health.lock().unwrap() = None;
        told(&scene.bus, "plugin.started").await;
        assert!(matches!(scene.plugins.states()["own"], State::Running(_)));
        scene.kept.close().await;
    }

    #[tokio::test]
    async fn it_answers_requests_and_hurts_nobody_where_it_does_not() {
        let scene = start("ends", Pace { served_within: LONG, ..Pace::USUAL });
        let answer = scene.plugins.call("own", request("echo")).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (201, r#"{"query":"a=1","body":"x"}"#));
        let error = scene.plugins.call("own", request("panics")).await.unwrap_err();
        assert_eq!(error, NotServed::Failed("plugin own: it has panicked".to_owned()));
        let error = scene.plugins.call("own", request("bad")).await.unwrap_err();
        assert!(matches!(&error, NotServed::Failed(why) if why.contains("status")), "{error}");
        let error = scene.plugins.call("own", request("other")).await.unwrap_err();
        assert!(matches!(error, NotServed::NoRoute { .. }), "{error}");
        scene.kept.close().await;
        let scene = start("ends", Pace { served_within: Duration::from_millis(200), ..Pace::USUAL });
        let error = scene.plugins.call("own", request("hangs")).await.unwrap_err();
        assert!(matches!(error, NotServed::Late(_)), "{error}");
        scene.kept.close().await;
    }

    #[tokio::test]
    async fn requests_are_not_piled_up() {
        let scene = start("ends", Pace::USUAL);
        let mut under_way = tokio::task::JoinSet::new();
        for _ in 0..REQUESTS {
            let plugins = scene.plugins.clone();
            under_way.spawn(async move { plugins.call("own", request("hangs")).await });
            scene.plugin.hangs.notified().await;
        }
        let error = scene.plugins.call("own", request("echo")).await.unwrap_err();
        assert!(error.to_string().contains("too much to do"), "{error}");
        under_way.shutdown().await;
        // Whom nobody waits for any more gives up its place.
        until(async || scene.plugins.call("own", request("echo")).await.is_ok()).await;
        scene.kept.close().await;
    }
}
