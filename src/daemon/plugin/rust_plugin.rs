//! Tells a plugin that the embedding program brings, without ever being hurt by it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::is_name;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::fact::topic::{OF_PLUGINS, own};
use crate::fact::{Draft, Fact, Topics};
use crate::plugin::{Plugin, PluginContext, PluginError};
use crate::time::Span;

use super::protocol::may_publish;
use super::reader::Reader;
use super::restarts::Restarts;

/// A fact that fails is told so often.
const TRIES: u32 = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// The first pause before it is initialized again.
const INITIALIZED_AGAIN: Span = Span::SECOND;
/// A plugin that is told to close has so long.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Calls of all plugins that may be under way, those that never return among them: of each one, and one that closes it.
const CALLS_OF_EACH: usize = 2;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Plugin`] without its type.
pub(crate) trait DynPlugin: Send + Sync + 'static {
    fn topics(&self) -> Vec<String>;
    fn initialize(&self, context: PluginContext) -> Boxed<'_, Result<(), PluginError>>;
    fn on_event(&self, fact: Arc<Fact>) -> Boxed<'_, Result<(), PluginError>>;
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
}

struct Seat {
    name: String,
    plugin: Arc<dyn DynPlugin>,
    threads: Handle,
    bus: Bus,
    clock: Clock,
}

impl RustPlugins {
    /// Starts these, each in a task of its own.
    ///
    /// # Errors
    ///
    /// Where one wants a topic that there is not, or the system has no threads left.
    pub(crate) fn start(
        plugins: BTreeMap<String, Arc<dyn DynPlugin>>,
        bus: &Bus,
        clock: Clock,
    ) -> Result<Self, String> {
        let (stop, stopped) = watch::channel(false);
        if plugins.is_empty() {
            return Ok(Self { threads: None, stop, tasks: Vec::new() });
        }
        let mut wanted = Vec::new();
        for (name, plugin) in plugins {
            if !is_name(&name) {
                return Err(format!(
                    "plugin \"{name}\": a name is a small letter, and small letters, digits, _ and -"
                ));
            }
            let patterns = plugin.topics();
            let topics = Topics::parse(patterns.iter().map(String::as_str));
            wanted.push((topics.map_err(|error| format!("plugin {name}: {error}"))?, name, plugin));
        }
        let most = CALLS_OF_EACH.saturating_mul(wanted.len());
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(1).max_blocking_threads(most).thread_name("plugin").enable_all();
        let threads = builder.build().map_err(|error| format!("plugins: {error}"))?;
        let start = |(topics, name, plugin): (Topics, String, Arc<dyn DynPlugin>)| {
            let reader = Reader::new(&name, bus);
            let seat = Seat { name, plugin, threads: threads.handle().clone(), bus: bus.clone(), clock };
            tokio::spawn(seat.run(topics, reader, stopped.clone()))
        };
        let tasks = wanted.into_iter().map(start).collect();
        Ok(Self { threads: Some(threads), stop, tasks })
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

impl Seat {
    async fn run(self, topics: Topics, reader: Reader, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            // Where nobody can tell it to stop any more, it stops too.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.tell_all(&topics, reader) => {}
        }
        let plugin = self.plugin.clone();
        let close = self.call(move || async move {
            plugin.close().await;
            Ok(())
        });
        match tokio::time::timeout(CLOSED_WITHIN, close).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(plugin = self.name, "cannot be closed: {why}"),
            Err(_) => tracing::warn!(plugin = self.name, "has not closed within {CLOSED_WITHIN:?}"),
        }
    }

    async fn tell_all(&self, topics: &Topics, mut reader: Reader) {
        let mut newest = self.bus.newest();
        self.initialize().await;
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
        let mut restarts = Restarts::new(INITIALIZED_AGAIN);
        loop {
            let (plugin, context) = (self.plugin.clone(), self.context());
            let Err(why) = self.call(move || async move { plugin.initialize(context).await }).await else {
                break;
            };
            let pause = restarts.pause();
            tracing::warn!(plugin = self.name, "cannot be initialized: {why}; trying again in {pause}");
            tokio::time::sleep(pause.to_std()).await;
        }
        let data = [
            ("plugin", json!(self.name)),
            ("kind", json!("rust")),
            ("pid", Value::Null),
            ("version", Value::Null),
        ];
        let now = self.clock.now().wall;
        self.bus.publish(Draft::new(&own::PLUGIN_STARTED, Some(self.name.clone()), now, data));
    }

    fn context(&self) -> PluginContext {
        let (name, bus, clock) = (self.name.clone(), self.bus.clone(), self.clock);
        PluginContext::new(&self.name, move |words, subject, data| {
            let topic = format!("{OF_PLUGINS}{name}.{words}");
            let may = may_publish(&name, &topic);
            if may {
                bus.publish(Draft { topic, subject, time: clock.now().wall, data });
            }
            may
        })
    }

    async fn tell(&self, fact: &Arc<Fact>) {
        for tried in 1..=TRIES {
            let (plugin, told) = (self.plugin.clone(), fact.clone());
            let Err(why) = self.call(move || async move { plugin.on_event(told).await }).await else {
                return;
            };
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

    /// Calls it on a thread of its own, where it may block and panic.
    async fn call<F: Future<Output = Result<(), PluginError>>>(
        &self,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), String> {
        let inner = self.threads.clone();
        let call =
            self.threads.spawn_blocking(move || inner.block_on(begin()).map_err(|error| error.to_string()));
        call.await.unwrap_or_else(|error| {
            Err(if error.is_panic() { "it has panicked".into() } else { error.to_string() })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use serde_json::{Map, Value};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::{DynPlugin, RustPlugins};
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
            ((*name).to_owned(), Arc::new(moody) as Arc<dyn DynPlugin>)
        };
        let plugins: BTreeMap<_, _> = names.iter().map(plugin).collect();
        (RustPlugins::start(plugins, bus, Clock::start()), hears)
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
