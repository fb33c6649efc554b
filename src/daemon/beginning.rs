//! Knows with what a VEN begins: the folder of its state, its store, and what was before.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::config::Config;
use crate::engine::Snapshot;
use crate::notice::Notice;

use super::bus::Bus;
use super::clock::Clock;
use super::pulse::{Pulse, free};
use super::store::{Opened, STORE, StoreHandle};
use super::ven::StartError;

/// With what a VEN begins.
pub(super) struct Beginning {
    pub(super) state: PathBuf,
    pub(super) bus: Bus,
    pub(super) store: StoreHandle,
    pub(super) snapshot: Snapshot,
    /// What everybody is told of it, once they listen.
    pub(super) told: Notice,
}

impl Beginning {
    /// Makes the folder where it is not there, and opens the store.
    ///
    /// # Errors
    ///
    /// Where that cannot be done.
    pub(super) fn of(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let state = config.ven.state.clone();
        let unusable = |error: std::io::Error| StartError::Store(format!("{}: {error}", state.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).map_err(unusable)?;
        let bus = Bus::new(clock);
        if config.bus.strict {
            bus.be_strict();
        }
        let now = clock.now().wall;
        let opened = StoreHandle::open_or_begin_anew(&state.join(STORE), &config.ven.name, bus.clone(), now)?;
        let Opened { store, snapshot, newest, lost } = opened;
        let told = Notice::Started { lost, off_since: newest };
        Ok(Self { state, bus, store, snapshot, told })
    }
}

/// Tells that the VEN runs, and from then on that it goes on doing so, until `gone`.
pub(super) fn tell_life(
    started: Notice,
    config: &Config,
    (bus, store, clock): (&Bus, &StoreHandle, Clock),
    gone: impl Future<Output = ()> + Send + 'static,
) {
    bus.tell(started);
    let (tick, folder) = (config.bus.tick, config.ven.state.clone());
    let pulse = Pulse { bus: bus.clone(), clock, store: store.clone(), tick, folder, free };
    tokio::spawn(pulse.run(gone));
}
