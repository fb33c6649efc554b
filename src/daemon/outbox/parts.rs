//! What a hook is made of, out of its settings.

use std::fmt;
use std::path::Path;

use crate::config::with_secrets;
use crate::daemon::sink::{self, Sink};
use crate::fact::Topics;
use crate::fact::topic::CATALOGUE;
use crate::hook::filter::Filter;
use crate::hook::hashes::Hashes;
use crate::hook::queue::Rules;
use crate::hook::render::{Renderer, Samples};
use crate::hook::settings::HookSettings;
use crate::time::Span;

/// What makes a hook.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) topics: Topics,
    pub(crate) filter: Option<Filter>,
    pub(crate) renderer: Renderer,
    pub(crate) rules: Rules,
    /// Facts of meters are kept on the disk until they are told.
    pub(crate) durable: bool,
    pub(crate) timeout: Span,
    pub(crate) on_change: bool,
    /// What tells its tries apart.
    pub(crate) hashes: Hashes,
    pub(crate) sink: Box<dyn Sink>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// Everything that is needed to run a hook that is configured like this, with the secrets to which that refers; paths are relative to
    /// `folder`.
    ///
    /// # Errors
    ///
    /// Which secret is missing, and as [`Self::of`].
    pub(crate) fn of_configured(configured: &HookSettings, folder: &Path) -> Result<Self, String> {
        Self::of(&with_secrets(configured, folder)?, Hashes::of(configured))
    }

    /// Everything that is needed to run a hook; its settings have their secrets, its hashes have none.
    ///
    /// # Errors
    ///
    /// What is wrong with its words, its filter or what its sink needs.
    pub(crate) fn of(settings: &HookSettings, hashes: Hashes) -> Result<Self, String> {
        let all = CATALOGUE.iter().map(|topic| (topic.name, topic.sample));
        let samples = Samples::new(&settings.topics, all);
        let batched = settings.batch.max_items > 1;
        let renderer = Renderer::new(&settings.words, &settings.name, batched, &samples);
        let filter = settings.filter.as_ref().map(|text| Filter::new(text, &samples)).transpose();
        Ok(Self {
            name: settings.name.clone(),
            topics: settings.topics.clone(),
            filter: filter.map_err(|error| format!("filter: {error}"))?,
            renderer: renderer.map_err(|error| error.to_string())?,
            rules: Rules::of(settings),
            durable: settings.durable_always,
            timeout: settings.timeout,
            on_change: settings.on_change,
            hashes,
            sink: sink::of(settings)?,
        })
    }
}
