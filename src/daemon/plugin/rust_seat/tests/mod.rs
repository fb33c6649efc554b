//! Plugins of the embedding program that do what they should, and some that do not.

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
    let room = Room::without_meters(&bus, Clock::start());
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
