//! Keeps the status, and shows it.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::daemon::bus::Bus;
use crate::daemon::clock::{CLOCK_ADVICE, Clock, unset};
use crate::daemon::outbox::Views;
use crate::notice::Notice;
use crate::time::Timestamp;

use super::{Look, Status};

/// Facts that are taken at once.
const PAGE: usize = 256;

/// Where the status can be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    status: watch::Receiver<Arc<Status>>,
    clock: Clock,
    /// How the hooks stand, as they show it themselves.
    pub(crate) views: Views,
}

impl Board {
    /// How it stands now.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// How it stands now, and the program with it.
    pub(crate) fn look(&self) -> Look {
        let (now, mut status) = (self.clock.now(), (*self.status()).clone());
        for (name, view) in self.views.all() {
            status.hooks.entry(name).or_default().show(view);
        }
        // First, since much of what follows may be for that.
        let mut reasons: Vec<_> =
            unset(now.wall).map(|unset| format!("{unset}: {CLOCK_ADVICE}")).into_iter().collect();
        reasons.extend(status.reasons());
        Look {
            at: Timestamp::from_seconds(now.wall.seconds()),
            uptime_seconds: now.since_start.seconds(),
            resident_bytes: resident_bytes(),
            ready: reasons.is_empty(),
            reasons,
            status,
        }
    }

    /// Waits until the status is like this.
    #[cfg(test)]
    pub(crate) async fn becomes(&mut self, wanted: impl Fn(&Status) -> bool) -> Arc<Status> {
        let found = self.status.wait_for(|status| wanted(status)).await;
        found.map(|status| status.clone()).unwrap_or_default()
    }
}

/// Keeps a status that begins like this, until `gone`.
pub(crate) fn keep(
    mut status: Status,
    bus: Bus,
    clock: Clock,
    gone: impl Future<Output = ()> + Send + 'static,
) -> Board {
    // From here on nothing is missed.
    let (notices, newest) = (bus.listen(), bus.newest());
    status.bus.newest = *newest.borrow();
    let (told, shown) = watch::channel(Arc::new(status));
    let keeper = Keeper { told, bus, clock };
    tokio::spawn(async move {
        tokio::select! {
            () = gone => {}
            () = keeper.run(notices, newest) => {}
        }
    });
    Board { status: shown, clock, views: Views::default() }
}

struct Keeper {
    told: watch::Sender<Arc<Status>>,
    bus: Bus,
    clock: Clock,
}

impl Keeper {
    async fn run(self, mut notices: broadcast::Receiver<Notice>, mut newest: watch::Receiver<u64>) {
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Ok(notice) => self.change(|status| status.note(&notice, self.clock.now().wall)),
                    Err(RecvError::Lagged(missed)) => self.change(|status| status.bus.missed += missed),
                    Err(RecvError::Closed) => return,
                },
                changed = newest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.change(|status| self.read(status));
                }
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        // Whoever looks at the old one keeps it.
        self.told.send_modify(|status| change(Arc::make_mut(status)));
    }

    /// Takes all facts behind the last one that was taken.
    fn read(&self, status: &mut Status) {
        loop {
            let page = self.bus.after(status.bus.newest, PAGE);
            if page.gone > status.bus.newest {
                status.bus.missed += page.gone - status.bus.newest;
                status.bus.newest = page.gone;
            }
            for fact in &page.facts {
                status.take(fact);
                status.bus.newest = fact.seq;
            }
            if page.facts.len() < PAGE {
                break;
            }
        }
        status.bus.dropped = self.bus.dropped();
    }
}

/// What the program takes of the memory, as Linux counts it.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
