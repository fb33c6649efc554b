//! Changes the monitors of the configuration while the VEN runs.

use crate::daemon::store::{MonitorRecord, StoreError};
use crate::hook::monitor::StaticMonitor;

use super::Monitors;

impl Monitors {
    /// From now on these stand in the configuration. A session of one that is different or gone ends; where a reader of one that is
    /// different goes on, is where it was.
    pub(in crate::daemon) async fn configure(&self, configured: Vec<StaticMonitor>) {
        let gone: Vec<u32> = {
            let held = self.held();
            let stays = |id: u32| configured.iter().any(|one| one.id == id);
            held.monitors.values().filter(|one| one.configured && !stays(one.id)).map(|one| one.id).collect()
        };
        for id in gone {
            self.held().remove(id);
            let forgotten = self.store.facts(move |log| log.forget_monitor(id)).await;
            warn_of(id, forgotten.err());
        }
        for one in configured {
            let id = one.id;
            if let Some(record) = self.placed(one) {
                let written = self.write(record).await;
                warn_of(id, written.err());
            }
        }
    }

    /// The monitor as it is from now on; `None` where it was so before.
    fn placed(&self, one: StaticMonitor) -> Option<MonitorRecord> {
        let StaticMonitor { id, owner, settings } = one;
        let new = self.record(id, owner, settings, true);
        let mut held = self.held();
        let record = match held.monitors.remove(&id) {
            None => new,
            Some(known) if (&known.owner, &known.settings) == (&new.owner, &new.settings) => {
                held.monitors.insert(id, known);
                return None;
            }
            Some(known) => MonitorRecord { owner: new.owner, settings: new.settings, ..known },
        };
        held.monitors.insert(id, record.clone());
        held.sessions.remove(&id);
        Some(record)
    }

    /// Ends the sessions of these owners.
    pub(in crate::daemon) fn cut(&self, owners: &[String]) {
        let mut held = self.held();
        let theirs: Vec<u32> =
            held.monitors.values().filter(|one| owners.contains(&one.owner)).map(|one| one.id).collect();
        held.sessions.retain(|id, _| !theirs.contains(id));
    }
}

/// The next start reads the configuration again, so nothing is lost by it.
fn warn_of(id: u32, error: Option<StoreError>) {
    if let Some(error) = error {
        tracing::warn!("that monitor {id} is changed is not stored: {error}");
    }
}
