//! Knows who decides and which programs are told what happens, and exchanges them while the VEN runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::{Config, Part, Startup};

use super::exchange_handler::{ExchangeHandler, Former};
use super::handler_seat::DynHandler;
use super::plugin::{Keeping, Plugins, ProgramSeat, Room};
use super::prepare_programs::{HandlerProgram, PreparedPlugin, handler, start_plugin};
use super::ven::StartError;

/// Questions to a handler that was exchanged have ended within this; the engine answers itself for those that have not.
const LEFT_WITHIN: Duration = Duration::from_secs(120);

/// The programs that run.
pub(super) struct Programs {
    room: Room,
    handler: Arc<ExchangeHandler>,
    /// What decides cannot be exchanged: the embedding program brings it.
    brought: bool,
    decides: Decides,
    /// Those that the local API shows.
    plugins: Plugins,
    running: BTreeMap<String, (PreparedPlugin, Keeping)>,
}

/// Who decides now.
struct Decides {
    program: Option<HandlerProgram>,
    keeping: Option<Keeping>,
    former: Former,
}

/// What has been started and is not in its place yet.
pub(super) struct Started {
    handler: Option<NewHandler>,
    plugins: Vec<(PreparedPlugin, ProgramSeat, Keeping)>,
}

/// Who is to decide.
struct NewHandler {
    handler: Arc<dyn DynHandler>,
    program: Option<HandlerProgram>,
    keeping: Option<Keeping>,
}

impl Programs {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// Why one that must start does not.
    pub(super) async fn start(
        brought: Option<Arc<dyn DynHandler>>,
        config: &Config,
        (program, plugins): (Option<HandlerProgram>, Vec<PreparedPlugin>),
        room: &Room,
    ) -> Result<Self, StartError> {
        let is_brought = brought.is_some();
        let decides = handler(brought, config, program.clone(), room).await;
        let (handler, keeping) = decides.map_err(StartError::Handler)?;
        let (handler, former) = ExchangeHandler::new(handler);
        let mut programs = Self {
            room: room.clone(),
            handler: Arc::new(handler),
            brought: is_brought,
            decides: Decides { program, keeping, former },
            plugins: Plugins::default(),
            running: BTreeMap::new(),
        };
        for plugin in plugins {
            programs.begin(plugin).await.map_err(StartError::Plugin)?;
        }
        Ok(programs)
    }

    /// Asks whoever decides.
    pub(super) fn handler(&self) -> Arc<dyn DynHandler> {
        self.handler.clone()
    }

    /// Those that run, now and later.
    pub(super) fn plugins(&self) -> Plugins {
        self.plugins.clone()
    }

    /// Those that are to be otherwise for what the configuration does not say itself, as a secret.
    pub(super) fn differing(
        &self,
        program: Option<&HandlerProgram>,
        plugins: &[PreparedPlugin],
    ) -> Vec<Part> {
        let mut differing = Vec::new();
        if !self.brought && self.decides.program.as_ref() != program {
            differing.push(Part::section("handler"));
        }
        let is_other = |plugin: &&PreparedPlugin| {
            self.running.get(plugin.name()).is_some_and(|(running, _)| running != *plugin)
        };
        differing.extend(plugins.iter().filter(is_other).map(|plugin| Part::plugin(plugin.name())));
        differing
    }

    /// Starts what must start and may not, beside what runs.
    ///
    /// # Errors
    ///
    /// The setting, and why it does not start; then nothing is started.
    pub(super) async fn prepare(
        &self,
        config: &Config,
        exchange_handler: bool,
        (program, plugins): (Option<HandlerProgram>, &[PreparedPlugin]),
    ) -> Result<Started, (String, String)> {
        let mut started = Started { handler: None, plugins: Vec::new() };
        if exchange_handler && !self.brought {
            let decides = handler(None, config, program.clone(), &self.room).await;
            let (handler, keeping) = decides.map_err(|why| ("handler.command".to_owned(), why))?;
            started.handler = Some(NewHandler { handler, program, keeping });
        }
        for plugin in
            plugins.iter().filter(|plugin| plugin.startup() == Startup::Error && self.is_new(plugin))
        {
            match start_plugin(plugin.clone(), &self.room).await {
                Ok((seat, keeping)) => started.plugins.push((plugin.clone(), seat, keeping)),
                Err(why) => {
                    started.close().await;
                    let section = config.plugins.iter().find(|section| section.name == plugin.name());
                    let key = section.map_or_else(|| "plugin".to_owned(), |section| section.key.clone());
                    return Err((key, why));
                }
            }
        }
        Ok(started)
    }

    /// Whether it does not run like this.
    fn is_new(&self, plugin: &PreparedPlugin) -> bool {
        self.running.get(plugin.name()).is_none_or(|(running, _)| running != plugin)
    }

    /// Puts what was started in its place, ends what is not to run any more, and starts the rest.
    pub(super) async fn exchange(&mut self, started: Started, plugins: Vec<PreparedPlugin>) {
        if let Some(NewHandler { handler, program, keeping }) = started.handler {
            let former = self.handler.exchange(handler);
            let Decides { keeping, former, .. } =
                std::mem::replace(&mut self.decides, Decides { program, keeping, former });
            tokio::spawn(async move {
                drop(tokio::time::timeout(LEFT_WITHIN, former.left()).await);
                if let Some(keeping) = keeping {
                    keeping.close().await;
                }
            });
        }
        let runs_on =
            |name: &String| plugins.iter().any(|plugin| plugin.name() == name && !self.is_new(plugin));
        let over: Vec<String> = self.running.keys().filter(|name| !runs_on(name)).cloned().collect();
        let mut closing: JoinSet<()> = JoinSet::new();
        for name in over {
            self.plugins.remove(&name);
            closing.extend(self.running.remove(&name).map(|(_, keeping)| keeping.close()));
        }
        while closing.join_next().await.is_some() {}
        for (plugin, seat, keeping) in started.plugins {
            self.plugins.add(seat);
            self.running.insert(plugin.name().to_owned(), (plugin, keeping));
        }
        for plugin in plugins {
            if self.is_new(&plugin)
                && let Err(why) = self.begin(plugin).await
            {
                tracing::error!("{why}");
            }
        }
    }

    async fn begin(&mut self, plugin: PreparedPlugin) -> Result<(), String> {
        let (seat, keeping) = start_plugin(plugin.clone(), &self.room).await?;
        self.plugins.add(seat);
        self.running.insert(plugin.name().to_owned(), (plugin, keeping));
        Ok(())
    }

    /// Tells all of them to end, and waits until they have.
    pub(super) async fn close(self) {
        let kept = self.running.into_values().map(|(_, keeping)| keeping).chain(self.decides.keeping);
        let mut closing: JoinSet<()> = kept.map(Keeping::close).collect();
        while closing.join_next().await.is_some() {}
    }
}

impl Started {
    /// It is not wanted after all.
    pub(super) async fn close(self) {
        let kept = self.plugins.into_iter().map(|(_, _, keeping)| keeping);
        let of_handler = self.handler.and_then(|new| new.keeping);
        let mut closing: JoinSet<()> = kept.chain(of_handler).map(Keeping::close).collect();
        while closing.join_next().await.is_some() {}
    }
}
