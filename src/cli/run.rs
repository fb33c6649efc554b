//! `ven run`: takes part until it is told to stop.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::daemon::{Brought, Ven};

pub(super) fn run(config: &Path, no_hooks: bool, brought: Brought) -> anyhow::Result<()> {
    super::confine::confine();
    let config = Config::load(config)?;
    let config = if no_hooks { config.without_hooks() } else { config };
    super::log("info");
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(async {
        // A signal that comes while it starts is not lost, nor does it end it like a crash.
        let mut hangup = signal(SignalKind::hangup())?;
        let mut stop = super::StopSignals::listen()?;
        let ven = tokio::select! {
            ven = Ven::builder(config).bring(brought).start() => ven?,
            () = stop.told() => {
                tracing::info!("stopping before all of it has started");
                return Ok(());
            }
        };
        // No service manager, nobody to tell.
        drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
        let fault = loop {
            tokio::select! {
                () = stop.told() => break None,
                fault = ven.strict_fault() => break Some(fault),
                Some(()) = hangup.recv() => ven.hang_up(),
            }
        };
        tracing::info!("stopping; the registration stays");
        tokio::select! {
            () = ven.stop() => match fault {
                Some(fault) => Err(anyhow::anyhow!("[bus] strict = true: {fault}")),
                None => Ok(()),
            },
            () = stop.told() => {
                anyhow::bail!("told twice to stop: what was under way is done again after the next start")
            }
        }
    });
    // A name that is being looked up, or a slow disk, has a thread that cannot be ended; nobody waits for it.
    runtime.shutdown_background();
    outcome
}
