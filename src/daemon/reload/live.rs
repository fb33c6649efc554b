//! Holds what can be exchanged while the VEN runs.

use std::collections::BTreeMap;

use crate::config::{Changes, Config, ConfigError, Part};
use crate::daemon::http::Tokens;
use crate::daemon::monitor::Monitors;
use crate::daemon::outbox::{Ground, HookChanges, Outbox, forsake_others};
use crate::daemon::prepare::{HookImage, PreparedHook, PreparedLive};
use crate::daemon::programs::Programs;
use crate::daemon::ven::meter_facts;

/// What runs and can be exchanged.
pub(in crate::daemon) struct Live {
    pub(in crate::daemon) hooks: LiveHooks,
    pub(in crate::daemon) programs: Programs,
    pub(in crate::daemon) monitors: Monitors,
    /// `None`: there is no local API.
    pub(in crate::daemon) tokens: Option<Tokens>,
}

/// The hooks that run, and of what they were made.
pub(in crate::daemon) struct LiveHooks {
    outbox: Outbox,
    ground: Ground,
    images: BTreeMap<String, HookImage>,
}

/// Starts the hooks, and gives up what waits for those that are configured no more.
pub(in crate::daemon) async fn start_hooks(
    hooks: Vec<PreparedHook>,
    config: &Config,
    ground: Ground,
) -> (Outbox, LiveHooks) {
    let configured: Vec<String> = config.hooks.iter().map(|hook| hook.name.clone()).collect();
    forsake_others(&configured, &ground).await;
    let image = |hook: &PreparedHook| (hook.parts.name.clone(), hook.image.clone());
    let images = hooks.iter().map(image).collect();
    let outbox = Outbox::start(hooks.into_iter().map(|hook| hook.parts).collect(), &ground).await;
    (outbox.clone(), LiveHooks { outbox, ground, images })
}

impl Live {
    pub(super) const fn ground(&self) -> &Ground {
        &self.hooks.ground
    }

    /// Adds what is different though the configuration says the same: a secret stands elsewhere.
    pub(super) fn note_secrets(&self, prepared: &PreparedLive, changes: &mut Changes) {
        let differing = prepared
            .hooks
            .iter()
            .filter(|hook| self.hooks.images.get(&hook.parts.name).is_some_and(|image| *image != hook.image));
        differing.for_each(|hook| changes.note_changed(Part::hook(&hook.parts.name)));
        let programs = self.programs.differing(prepared.handler.as_ref(), &prepared.plugins);
        programs.into_iter().for_each(|part| changes.note_changed(part));
        if let (Some(ours), Some(theirs)) = (&self.tokens, &prepared.tokens) {
            let gone = ours.differing(theirs).into_iter().map(|name| Part::token(&name));
            let gone: Vec<_> = gone.filter(|part| !changes.removed.contains(part)).collect();
            gone.into_iter().for_each(|part| changes.note_changed(part));
        }
    }

    /// Puts everything new in the place of the old; what is the same is not touched.
    ///
    /// # Errors
    ///
    /// What cannot be started and must be; then everything is as it was.
    pub(super) async fn exchange(
        &mut self,
        config: &Config,
        prepared: PreparedLive,
        changes: &Changes,
    ) -> Result<(), ConfigError> {
        let fault = |key: &str, what: String| ConfigError {
            file: config.file.clone(),
            faults: vec![config.fault(key, what)],
        };
        let meter_facts = match &self.hooks.ground.meter_facts {
            Some(there) => Some(there.clone()),
            None => meter_facts(config, self.hooks.ground.clock)
                .map_err(|error| fault("ven.state", error.to_string()))?,
        };
        let PreparedLive { hooks, handler, plugins, tokens } = prepared;
        let decides = changes.changed.contains(&Part::section("handler"));
        let started = self.programs.prepare(config, decides, (handler, &plugins)).await;
        let started = started.map_err(|(key, why)| fault(&key, why))?;
        // From here on nothing fails.
        self.hooks.ground.meter_facts = meter_facts;
        self.admit(config, tokens, changes).await;
        self.programs.exchange(started, plugins).await;
        self.hooks.exchange(hooks, config, changes).await;
        Ok(())
    }

    /// Who may read what from now on.
    async fn admit(&self, config: &Config, tokens: Option<Tokens>, changes: &Changes) {
        self.monitors.configure(config.monitors.clone()).await;
        if let (Some(ours), Some(theirs)) = (&self.tokens, tokens) {
            let gone = ours.differing(&theirs);
            let all = [&changes.added, &changes.changed, &changes.removed];
            let is_of_api = |part: &Part| part.is_of("monitor") || part.is_of("http.token");
            if all.into_iter().flatten().any(is_of_api) {
                // Streams end with it, so that nobody goes on reading what he may not.
                ours.replace(&theirs);
            }
            self.monitors.cut(&gone);
        }
    }
}

impl LiveHooks {
    async fn exchange(&mut self, hooks: Vec<PreparedHook>, config: &Config, changes: &Changes) {
        let mut wanted = HookChanges::default();
        let mut images = BTreeMap::new();
        for PreparedHook { image, parts } in hooks {
            let name = parts.name.clone();
            match self.images.get(&name) {
                Some(running) if *running == image => {}
                Some(_) => wanted.change.push(parts),
                None => wanted.start.push(parts),
            }
            images.insert(name, image);
        }
        let is_configured = |name: &String| config.hooks.iter().any(|hook| hook.name == *name);
        let over = self.images.keys().filter(|name| !images.contains_key(*name));
        wanted.rest.extend(over.filter(|name| is_configured(name)).cloned());
        wanted.forsake.extend(changes.removed.iter().filter_map(Part::as_hook).map(str::to_owned));
        self.images = images;
        self.outbox.change(wanted, &self.ground).await;
    }
}
