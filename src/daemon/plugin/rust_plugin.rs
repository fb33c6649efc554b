//! Tells a plugin that the embedding program brings, without ever being hurt by it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::is_name;
use crate::fact::{Fact, Topics};
use crate::plugin::{Health, Plugin, PluginContext, PluginError, Request, Response, Route};

use super::Room;
use super::reader::Reader;
use super::rust_seat::{Pace, REQUESTS, RustSeat, Seat};

/// Calls of each plugin that may be under way, those that never return among them: one that tells it something, what it does of its own
/// accord, one that asks how it is, one that closes it, and requests.
const CALLS_OF_EACH: usize = 4 + REQUESTS;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Plugin`] without its type.
pub(crate) trait DynPlugin: Send + Sync + 'static {
    fn topics(&self) -> Vec<String>;
    fn initialize(&self, context: PluginContext) -> Boxed<'_, Result<(), PluginError>>;
    fn on_event(&self, fact: Arc<Fact>) -> Boxed<'_, Result<(), PluginError>>;
    fn run(&self, context: PluginContext) -> Boxed<'_, Result<(), PluginError>>;
    fn routes(&self) -> Vec<Route>;
    fn on_request(&self, request: Request) -> Boxed<'_, Response>;
    fn health(&self) -> Health;
    fn close(&self) -> Boxed<'_, ()>;
}

impl<P: Plugin> DynPlugin for P {
    fn topics(&self) -> Vec<String> {
        Plugin::topics(self)
    }

    fn initialize(&self, context: PluginContext) -> Boxed<'_, Result<(), PluginError>> {
        Box::pin(Plugin::initialize(self, context))
    }

    fn on_event(&self, fact: Arc<Fact>) -> Boxed<'_, Result<(), PluginError>> {
        Box::pin(Plugin::on_event(self, fact))
    }

    fn run(&self, context: PluginContext) -> Boxed<'_, Result<(), PluginError>> {
        Box::pin(Plugin::run(self, context))
    }

    fn routes(&self) -> Vec<Route> {
        Plugin::routes(self)
    }

    fn on_request(&self, request: Request) -> Boxed<'_, Response> {
        Box::pin(Plugin::on_request(self, request))
    }

    fn health(&self) -> Health {
        Plugin::health(self)
    }

    fn close(&self) -> Boxed<'_, ()> {
        Box::pin(Plugin::close(self))
    }
}

/// Where the plugins of the embedding program sit.
#[derive(Debug)]
pub(crate) struct RustPlugins {
    /// `None` where there is no plugin, and while it is being dropped.
    threads: Option<Runtime>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    seats: Vec<RustSeat>,
}

/// A plugin that the program which embeds us brings, and what is configured for it.
pub(crate) struct BroughtPlugin {
    pub(crate) plugin: Arc<dyn DynPlugin>,
    pub(crate) settings: Map<String, Value>,
}

impl RustPlugins {
    /// Starts these, each in a task of its own.
    ///
    /// # Errors
    ///
    /// Where one wants a topic that there is not, or the system has no threads left.
    pub(crate) fn start(plugins: BTreeMap<String, BroughtPlugin>, room: &Room) -> Result<Self, String> {
        Self::start_at(Pace::USUAL, plugins, room)
    }

    pub(super) fn start_at(
        pace: Pace,
        plugins: BTreeMap<String, BroughtPlugin>,
        room: &Room,
    ) -> Result<Self, String> {
        let (stop, stopped) = watch::channel(false);
        if plugins.is_empty() {
            return Ok(Self { threads: None, stop, tasks: Vec::new(), seats: Vec::new() });
        }
        let mut wanted = Vec::new();
        for (name, brought) in plugins {
            if !is_name(&name) {
                return Err(format!(
                    "plugin \"{name}\": a name is a small letter, and small letters, digits, _ and -"
                ));
            }
            let patterns = brought.plugin.topics();
            let topics = Topics::parse(patterns.iter().map(String::as_str));
            wanted.push((topics.map_err(|error| format!("plugin {name}: {error}"))?, name, brought));
        }
        let most = CALLS_OF_EACH.saturating_mul(wanted.len());
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(1).max_blocking_threads(most).thread_name("plugin").enable_all();
        let threads = builder.build().map_err(|error| format!("plugins: {error}"))?;
        let (mut tasks, mut seats) = (Vec::new(), Vec::new());
        for (topics, name, brought) in wanted {
            let reader = Reader::new(&name, &room.bus);
            let (seat, found) = Seat::new(name, brought, (threads.handle(), pace), room);
            tasks.push(tokio::spawn(seat.run(topics, reader, stopped.clone())));
            seats.push(found);
        }
        Ok(Self { threads: Some(threads), stop, tasks, seats })
    }

    /// Where others find them.
    pub(crate) fn seats(&self) -> Vec<RustSeat> {
        self.seats.clone()
    }

    /// Closes all of them.
    pub(crate) async fn close(mut self) {
        self.stop.send_replace(true);
        let mut closing: JoinSet<()> = JoinSet::new();
        for task in self.tasks.drain(..) {
            closing.spawn(async move { drop(task.await) });
        }
        while closing.join_next().await.is_some() {}
    }
}

impl Drop for RustPlugins {
    /// Does not wait for calls that hang.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use serde_json::{Map, Value};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::super::Room;
    use super::{BroughtPlugin, RustPlugins};
    use crate::daemon::bus::Bus;
    use crate::daemon::clock::Clock;
    use crate::fact::{Draft, Fact};
    use crate::plugin::{Plugin, PluginContext, PluginError};
    use crate::time::Timestamp;

    /// Does what the subject of a fact says.
    struct Moody {
        topics: &'static str,
        heard: UnboundedSender<String>,
        context: Mutex<Option<PluginContext>>,
    }

    impl Plugin for Moody {
        fn topics(&self) -> Vec<String> {
            vec![self.topics.to_owned()]
        }

        async fn initialize(&self, context: PluginContext) -> Result<(), PluginError> {
            self.heard.send("initialize".to_owned())?;
            *self.context.lock().unwrap() = Some(context);
            Ok(())
        }

        async fn on_event(&self, fact: Arc<Fact>) -> Result<(), PluginError> {
            let what = fact.subject.clone().unwrap();
            self.heard.send(what.clone())?;
            match what.as_str() {
                "panics" => panic!("as it was told to"),
                "fails" => Err("as it was told to".into()),
                "hangs" => std::future::pending().await,
                "publishes" => {
                    let context = self.context.lock().unwrap().clone().unwrap();
                    assert!(context.publish("Bad", None, Map::new()).is_err());
                    Ok(context.publish("state", None, Map::new())?)
                }
                _ => Ok(()),
            }
        }

        async fn close(&self) {
            self.heard.send("close".to_owned()).unwrap();
        }
    }

    fn start(
        bus: &Bus,
        names: &[(&str, &'static str)],
    ) -> (Result<RustPlugins, String>, UnboundedReceiver<String>) {
        let (heard, hears) = unbounded_channel();
        let plugin = |(name, topics): &(&str, &'static str)| {
            let moody = Moody { topics, heard: heard.clone(), context: Mutex::default() };
            let brought = BroughtPlugin { plugin: Arc::new(moody), settings: Map::new() };
            ((*name).to_owned(), brought)
        };
        let plugins: BTreeMap<_, _> = names.iter().map(plugin).collect();
        (RustPlugins::start(plugins, &Room::without_meters(bus, Clock::start())), hears)
    }

    fn happens(bus: &Bus, topic: &str, subject: &str) {
        let data = Map::from_iter([("a".to_owned(), Value::Null)]);
        let draft =
            Draft { topic: topic.into(), subject: Some(subject.into()), time: Timestamp::EPOCH, data };
        bus.reserve(vec![draft]).publish();
    }

    #[tokio::test]
    async fn it_is_told_and_closed_and_a_panic_is_tried_again_and_hurts_nothing() {
        let bus = Bus::new(Clock::start());
        let (plugins, mut hears) = start(&bus, &[("moody", "meter.*")]);
        for (topic, what) in [
            ("meter.day", "one"),
            ("meter.day", "panics"),
            ("event.near", "not wanted"),
            ("meter.day", "fails"),
            ("meter.day", "two"),
        ] {
            happens(&bus, topic, what);
        }
        let expected = ["initialize", "one", "panics", "panics", "panics", "fails", "fails", "fails", "two"];
        for what in expected {
            assert_eq!(hears.recv().await.unwrap(), what);
        }
        plugins.unwrap().close().await;
        assert_eq!(hears.recv().await.unwrap(), "close");
    }

    #[tokio::test]
    async fn one_that_hangs_holds_up_neither_others_nor_the_end() {
        let bus = Bus::new(Clock::start());
        let (plugins, mut hears) = start(&bus, &[("one", "meter.day"), ("two", "meter.reading")]);
        happens(&bus, "meter.day", "hangs");
        while hears.recv().await.unwrap() != "hangs" {}
        happens(&bus, "meter.reading", "fine");
        while hears.recv().await.unwrap() != "fine" {}
        plugins.unwrap().close().await;
        assert_eq!([hears.recv().await.unwrap(), hears.recv().await.unwrap()], ["close", "close"]);
    }

    #[tokio::test]
    async fn it_publishes_below_its_own_name_and_is_not_told_that() {
        let bus = Bus::new(Clock::start());
        let (plugins, mut hears) = start(&bus, &[("moody", "**")]);
        happens(&bus, "meter.day", "publishes");
        while hears.recv().await.unwrap() != "publishes" {}
        let published = async {
            loop {
                if let Some(draft) = bus.owed().await.into_iter().find(|draft| draft.topic == "x.moody.state")
                {
                    break draft;
                }
            }
        };
        let published = published.await;
        bus.reserve(vec![published]).publish();
        happens(&bus, "meter.day", "next");
        assert_eq!(hears.recv().await.unwrap(), "next");
        plugins.unwrap().close().await;
    }

    #[tokio::test]
    async fn wrong_names_and_topics_are_refused_at_the_start() {
        let bus = Bus::new(Clock::start());
        for (name, topics, why) in [("a.b", "meter.*", "a name is"), ("a", "meters.*", "invalid-topic")] {
            let error = start(&bus, &[(name, topics)]).0.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
