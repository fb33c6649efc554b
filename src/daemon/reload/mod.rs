//! Takes a configuration that has changed while the VEN runs.
//!
//! ```text
//! ven reload, SIGHUP, VenHandle::reload -> Reload ─┐ one after the other
//!                                                  v
//!            file -> Config, everything that it names -> wrong: the old one goes on, config.rejected
//!                      │ Changes                     └─> what must start is started
//!                      v
//!            hooks, plugins, monitors, handler, tokens -> config.reloaded
//! ```
//!
//! What is as it was is left alone: its task, its connection, what waits in its queue. **Invariant:** until everything that can fail
//! has succeeded, nothing of what runs is touched.

mod live;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::{Changes, Config, ConfigError, ConfigFault, Part};
use crate::fact::topic::own::{CONFIG_REJECTED, CONFIG_RELOADED};
use crate::fact::{Draft, Member, Topic};

use super::certificates::{Credentials, Keeper, LOOK};
use super::outbox::Ground;
use super::prepare::{Prepared, PreparedLive};
use super::prepare_programs::check_names;
use super::source_exec::report_sources;
use super::ven::Brought;

pub(super) use live::{Live, start_hooks};

/// Those who want it read may wait for each other.
const WAITING: usize = 8;
/// Characters of faults that a fact tells.
const LONGEST_REASON: usize = 2000;

/// Why a configuration was not taken; the old one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It, or something that it names.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The VEN ends.
    #[error("the VEN is stopping")]
    Stopping,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// What was read.
    pub(crate) file: PathBuf,
    pub(crate) changes: Changes,
    /// What should be put right all the same; one line each.
    pub(crate) warnings: Vec<String>,
}

type Answer = Result<Reloaded, ReloadError>;

/// Has a configuration taken.
#[derive(Clone, Debug)]
pub(crate) struct Reload {
    asks: mpsc::Sender<Ask>,
    /// Has the files of certificates read.
    certificates: Arc<Notify>,
}

#[derive(Debug)]
struct Ask {
    /// `None`: the file of the one that runs.
    config: Option<Box<Config>>,
    answer: oneshot::Sender<Answer>,
}

impl Default for Reload {
    /// Nobody does.
    fn default() -> Self {
        Self { asks: mpsc::channel(1).0, certificates: Arc::default() }
    }
}

impl Reload {
    /// Takes this configuration, or `None`: what stands in the file now.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; then the old one goes on.
    pub(crate) async fn take(&self, config: Option<Config>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { config: config.map(Box::new), answer };
        self.asks.send(ask).await.map_err(|_| ReloadError::Stopping)?;
        answered.await.map_err(|_| ReloadError::Stopping)?
    }

    /// Has certificates, keys and trust read at once, if their files have changed.
    pub(crate) fn read_certificates(&self) {
        self.certificates.notify_one();
    }

    /// Has the file read soon; the log says what came of it.
    pub(crate) fn request(&self) {
        // Whoever waits already reads the file as it is now.
        self.asks.try_send(Ask { config: None, answer: oneshot::channel().0 }).ok();
    }
}

/// Ends the one who takes configurations, and the programs that he keeps, when it is dropped.
#[derive(Debug)]
pub(crate) struct Reloading {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Reloading {
    /// Tells the programs to end, and waits until they have.
    pub(crate) async fn close(self) {
        drop(self.stop);
        // Where he has panicked, the programs have ended too.
        drop(self.task.await);
    }
}

/// The one who takes configurations.
struct Reloader {
    running: watch::Sender<Arc<Config>>,
    live: Live,
    brought: Brought,
    /// Has the files of certificates read.
    certificates: Arc<Notify>,
}

/// A configuration that can be taken.
struct Ready {
    changes: Changes,
    warnings: Vec<String>,
    /// What runs from now on: of what needs a restart, the old.
    config: Config,
    prepared: PreparedLive,
}

/// Begins to take configurations in place of the one that runs, and to look after its certificates until `gone`.
pub(super) fn start(
    config: Config,
    live: Live,
    brought: Brought,
    credentials: watch::Sender<Arc<Credentials>>,
    gone: impl Future<Output = ()> + Send + 'static,
) -> (Reload, Reloading) {
    let running = watch::Sender::new(Arc::new(config));
    let Ground { clock, bus, .. } = live.ground();
    let keeper = Keeper::new(running.subscribe(), *clock, bus.clone(), credentials);
    let certificates = keeper.wanted.clone();
    tokio::spawn(keeper.run(LOOK, gone));
    let (asks, asked) = mpsc::channel(WAITING);
    let (stop, stopped) = oneshot::channel();
    let reloader = Reloader { running, live, brought, certificates: certificates.clone() };
    let task = tokio::spawn(reloader.run(asked, stopped));
    (Reload { asks, certificates }, Reloading { stop, task })
}

impl Reloader {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                biased;
                // It is dropped, not sent.
                _ = &mut stopped => break,
                ask = asked.recv() => {
                    let Some(Ask { config, answer }) = ask else { break };
                    let taken = self.take(config).await;
                    // Whoever asked may be gone.
                    answer.send(taken).ok();
                }
            }
        }
        self.live.programs.close().await;
    }

    async fn take(&mut self, config: Option<Box<Config>>) -> Answer {
        let file = config.as_ref().map_or_else(|| self.running.borrow().file.clone(), |new| new.file.clone());
        let name = file.display().to_string();
        match self.tried(config).await {
            Ok((changes, warnings)) => {
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                tracing::info!("{name} was read anew; {}", changes.to_string().replace('\n', "; "));
                let lists = [
                    ("added", &changes.added),
                    ("changed", &changes.changed),
                    ("removed", &changes.removed),
                    ("needs_restart", &changes.needs_restart),
                ];
                let keys = |parts: &Vec<Part>| parts.iter().map(Part::key).collect::<Vec<_>>().into();
                self.tell(&CONFIG_RELOADED, &name, lists.map(|(list, parts)| (list, keys(parts))));
                Ok(Reloaded { file, changes, warnings })
            }
            Err(error) => {
                let faults: Vec<String> =
                    error.faults.iter().map(|fault| fault.in_file(&error.file)).collect();
                let faults = faults.join("; ");
                tracing::warn!("{name} was read anew and is wrong, the old configuration goes on: {faults}");
                let reason: String = faults.chars().take(LONGEST_REASON).collect();
                self.tell(&CONFIG_REJECTED, &name, [("reason", reason.into())]);
                Err(error.into())
            }
        }
    }

    async fn tried(&mut self, config: Option<Box<Config>>) -> Result<(Changes, Vec<String>), ConfigError> {
        let (old, brought) = (self.running.borrow().clone(), self.brought.clone());
        let of_file = old.file.clone();
        // A disk may hang, and nobody else shall wait for it.
        let ready = tokio::task::spawn_blocking(move || ready(&old, config, brought));
        let ready = ready.await.unwrap_or_else(|panicked| {
            let what = format!("it could not be read: {panicked}");
            let fault = ConfigFault { file: None, line: None, key: String::new(), what };
            Err(ConfigError { file: of_file, faults: vec![fault] })
        });
        let Ready { mut changes, warnings, config, prepared } = ready?;
        self.live.note_secrets(&prepared, &mut changes);
        self.live.exchange(&config, prepared, &changes).await?;
        self.running.send_replace(Arc::new(config));
        self.certificates.notify_one();
        Ok((changes, warnings))
    }

    fn tell<const N: usize>(&self, topic: &Topic, file: &str, members: [Member; N]) {
        let named: Member = ("file", Value::from(file));
        let ground = self.live.ground();
        let (now, members) = (ground.clock.now().wall, [named].into_iter().chain(members));
        ground.bus.publish(Draft::new(topic, Some(file.to_owned()), now, members));
    }
}

/// Reads everything, and judges it as a start would.
fn ready(old: &Config, config: Option<Box<Config>>, brought: Brought) -> Result<Ready, ConfigError> {
    let mut new = match config {
        Some(config) => *config,
        None => Config::load(&old.file)?,
    };
    new.bring_serializers(&brought.serializers);
    if old.bus.hooks_off {
        new = new.without_hooks();
    }
    let Prepared { warnings, .. } = Prepared::new(&new)?;
    report_sources(&new, brought.sources)?;
    check_names(&new, &brought.plugins)?;
    let changes = Changes::between(old, &new);
    let config = old.with_live_of(&new);
    let prepared = PreparedLive::new(&config)?;
    Ok(Ready { changes, warnings, config, prepared })
}
