//! Says when an engine wants to be called again, and why.

use crate::time::{Now, Span, Timestamp};

/// Why a deadline exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Registration is tried (again).
    Register,
    /// A poll is due.
    Poll,
    /// Something owed may be tried again.
    Retry,
    /// A handler has had its time to decide.
    DecisionTimeout,
    /// An event starts, changes its value, or ends.
    Event,
    /// A report is due.
    Report,
    /// Report data have not come.
    CollectTimeout,
}

/// Finds the earliest of many deadlines.
#[derive(Debug)]
pub(super) struct Earliest {
    now: Now,
    best: Option<(Span, Timer)>,
}

impl Earliest {
    pub(super) const fn new(now: Now) -> Self {
        Self { now, best: None }
    }

    /// A deadline on the clock that never jumps.
    pub(super) fn at(&mut self, since_start: Span, timer: Timer) {
        if self.best.is_none_or(|best| (since_start, timer) < best) {
            self.best = Some((since_start, timer));
        }
    }

    /// A deadline on the wall clock, as far away as it looks now.
    pub(super) fn at_wall(&mut self, wall: Timestamp, timer: Timer) {
        self.at(self.now.since_start + (wall - self.now.wall), timer);
    }

    pub(super) const fn result(self) -> Option<(Span, Timer)> {
        self.best
    }
}
