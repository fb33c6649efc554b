//! `ven run`: takes part until it is told to stop.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::daemon::{Brought, Ven};

pub(super) fn run(config: &Path, brought: Brought) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    super::log("info");
    super::runtime()?.block_on(async {
        let ven = Ven::builder(config).bring(brought).start().await?;
        // No service manager, nobody to tell.
        drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
        let mut hangup = signal(SignalKind::hangup())?;
        let stop = super::told_to_stop();
        tokio::pin!(stop);
        let fault = loop {
            tokio::select! {
                outcome = &mut stop => {
                    outcome?;
                    break None;
                }
                fault = ven.strict_fault() => break Some(fault),
                Some(()) = hangup.recv() => ven.read_certificates(),
            }
        };
        tracing::info!("stopping; the registration stays");
        ven.stop().await;
        match fault {
            Some(fault) => anyhow::bail!("[bus] strict = true: {fault}"),
            None => Ok(()),
        }
    })
}
