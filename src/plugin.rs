//! Lets a program that embeds a VEN hear of everything that happens: who implements [`Plugin`] is told.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fact::Fact;

/// Why a plugin could not do something; any error of the user's converts to it.
pub type PluginError = Box<dyn std::error::Error + Send + Sync>;

/// Hears what happens, as facts, and may publish facts of its own.
///
/// Register it with [`VenBuilder::plugin`](crate::VenBuilder::plugin). Facts are told in the order in which they happened, one after
/// the other, on threads of the plugin's own, so a method may block: neither the VEN nor other plugins notice. A plugin that is too slow
/// misses facts, which is logged. `ven topics` lists what can be told.
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
    fn topics(&self) -> Vec<String>;

    /// Called once before anything is told, and again after a pause where it fails.
    fn initialize(&self, context: PluginContext) -> impl Future<Output = Result<(), PluginError>> + Send {
        let _ = context;
        std::future::ready(Ok(()))
    }

    /// Something has happened. Where this fails or panics, it is called again, three times in all.
    fn on_event(&self, fact: Arc<Fact>) -> impl Future<Output = Result<(), PluginError>> + Send;

    /// The VEN stops; it waits 5 seconds for this.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What a plugin may use; clones do the same.
#[derive(Clone)]
pub struct PluginContext {
    name: Arc<str>,
    config: Arc<Map<String, Value>>,
    publish: Arc<Publish>,
}

type Publish = dyn Fn(String, Option<String>, Map<String, Value>) -> bool + Send + Sync;

/// A topic has words of small letters, digits, `_` and `-` between points.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no topic of a plugin: it is words of small letters, digits, _ and - between points")]
pub struct BadTopic(String);

impl PluginContext {
    pub(crate) fn new(
        name: &str,
        config: Arc<Map<String, Value>>,
        publish: impl Fn(String, Option<String>, Map<String, Value>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), config, publish: Arc::new(publish) }
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
}

impl std::fmt::Debug for PluginContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginContext").field("name", &self.name).finish_non_exhaustive()
    }
}
