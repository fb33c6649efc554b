//! Lets a program that embeds a VEN hear of everything that happens: who implements [`Plugin`] is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fact::Fact;

/// Why a plugin could not do something; any error of the user's converts to it.
pub type PluginError = Box<dyn std::error::Error + Send + Sync>;

/// Hears what happens, as facts, may publish facts of its own, do things of its own accord, and serve paths of the local API.
///
/// Register it with [`VenBuilder::plugin`](crate::VenBuilder::plugin) or [`Cli::plugin`](crate::Cli::plugin). Facts are told in the
/// order in which they happened, one after the other, on threads of the plugin's own, so a method may block: neither the VEN nor other
/// plugins notice. A plugin that is too slow misses facts, which is logged. `ven topics` lists what can be told. Every method has a default:
/// write those that you need.
///
/// ```
/// use std::sync::Arc;
/// use openadr_ven::fact::Fact;
/// use openadr_ven::plugin::{Plugin, PluginError};
///
/// struct Lamp;
///
/// impl Plugin for Lamp {
///     fn topics(&self) -> Vec<String> {
///         vec!["event.started".to_owned(), "event.completed".to_owned()]
///     }
///
///     async fn on_event(&self, fact: Arc<Fact>) -> Result<(), PluginError> {
///         let on = fact.topic == "event.started";
///         println!("{}: the lamp is {}", fact.time, if on { "on" } else { "off" });
///         Ok(())
///     }
/// }
/// ```
pub trait Plugin: Send + Sync + 'static {
    /// Patterns of the topics that it wants to hear, as `event.*` or `meter.reading`.
    fn topics(&self) -> Vec<String> {
        Vec::new()
    }

    /// Called once before anything else, and again after a pause where it fails.
    fn initialize(&self, context: PluginContext) -> impl Future<Output = Result<(), PluginError>> + Send {
        let _ = context;
        std::future::ready(Ok(()))
    }

    /// Something has happened. Where this fails or panics, it is called again, three times in all.
    fn on_event(&self, fact: Arc<Fact>) -> impl Future<Output = Result<(), PluginError>> + Send {
        let _ = fact;
        std::future::ready(Ok(()))
    }

    /// What it does of its own accord, beside being told: it may go on for ever. Where it fails or panics, it is called again after a
    /// pause; the fifth time within a minute, no more, until somebody restarts the plugin. Where it returns `Ok`, it has nothing more to do.
    /// When the VEN stops or the plugin is restarted, it is dropped where it waits.
    fn run(&self, context: PluginContext) -> impl Future<Output = Result<(), PluginError>> + Send {
        let _ = context;
        std::future::ready(Ok(()))
    }

    /// What it serves under `/plugins/<name>/` of the local API, to those with the scope `plugin:<name>`.
    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    /// Answers a request for one of its [`routes`](Self::routes) within 10 seconds, else 504 is answered. Up to four requests are answered at
    /// the same time.
    fn on_request(&self, request: Request) -> impl Future<Output = Response> + Send {
        std::future::ready(Response::text(
            501,
            format!("nobody answers {} {}\n", request.method, request.path),
        ))
    }

    /// How it is, which is asked every 10 seconds: what ails it makes the VEN not ready in `/readyz` and `ven status`.
    fn health(&self) -> Health {
        Health::Well
    }

    /// The VEN stops; it waits 5 seconds for this.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// How a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does what it is there for.
    Well,
    /// It does not, and why.
    Ill(String),
}

/// A path that a plugin serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// Of HTTP: `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// Below the plugin's own, as `state` or `lamps/kitchen`.
    pub path: String,
}

impl Route {
    /// A path that is served with this method.
    #[must_use]
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self { method: method.into(), path: path.into() }
    }
}

/// What somebody wants of a plugin by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of HTTP, as `GET`.
    pub method: String,
    /// Below the plugin's own, without a slash before it.
    pub path: String,
    /// What stands behind `?`, as it was sent.
    pub query: String,
    /// At most 1 MiB.
    pub body: String,
}

/// What a plugin answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// As `text/plain; charset=utf-8`.
    pub content_type: String,
    /// What is answered.
    pub body: String,
}

impl Response {
    /// Words.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8".to_owned(), body: body.into() }
    }

    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json".to_owned(), body: body.to_string() }
    }
}

/// What a plugin may use; clones do the same.
#[derive(Clone)]
pub struct PluginContext {
    name: Arc<str>,
    config: Arc<Map<String, Value>>,
    publish: Arc<Publish>,
    give: Arc<Give>,
}

/// What a meter says to a telegram.
pub(crate) type Giving = Pin<Box<dyn Future<Output = Result<(), NotTaken>> + Send>>;
type Give = dyn Fn(Option<String>, Vec<u8>) -> Giving + Send + Sync;
type Publish = dyn Fn(String, Option<String>, Map<String, Value>) -> bool + Send + Sync;

/// A topic has words of small letters, digits, `_` and `-` between points.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no topic of a plugin: it is words of small letters, digits, _ and - between points")]
pub struct BadTopic(String);

/// Why a telegram does not count as a reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(pub(crate) String);

impl PluginContext {
    pub(crate) fn new(
        name: &str,
        config: Arc<Map<String, Value>>,
        publish: impl Fn(String, Option<String>, Map<String, Value>) -> bool + Send + Sync + 'static,
        give: impl Fn(Option<String>, Vec<u8>) -> Giving + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), config, publish: Arc::new(publish), give: Arc::new(give) }
    }

    /// What the plugin was called when it was registered.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the configuration says to it: `[[plugin]] kind = "rust", name = "<name>"`, and below that `[plugin.config]`, with secrets in
    /// place of `${env:NAME}` and `${file:/path}`. Empty where nothing stands there.
    #[must_use]
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Publishes a fact under `x.<name>.<words>`, for hooks, monitors and other plugins.
    ///
    /// # Errors
    ///
    /// Where that is no topic.
    pub fn publish(
        &self,
        words: &str,
        subject: Option<String>,
        data: Map<String, Value>,
    ) -> Result<(), BadTopic> {
        let published = (self.publish)(words.to_owned(), subject, data);
        if published { Ok(()) } else { Err(BadTopic(words.to_owned())) }
    }

    /// Gives a telegram that the plugin has got from somewhere to a `[[meter]]` with `source = "api"`; without a name, to the only one.
    /// The meter judges it as it judges what comes from a serial port, and what it finds good counts as a reading.
    ///
    /// # Errors
    ///
    /// Where no such meter is there, it has too much to do, or it refuses the telegram.
    pub async fn telegram(&self, meter: Option<&str>, telegram: Vec<u8>) -> Result<(), NotTaken> {
        (self.give)(meter.map(str::to_owned), telegram).await
    }
}

impl std::fmt::Debug for PluginContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginContext").field("name", &self.name).finish_non_exhaustive()
    }
}
