//! Reads the clocks; nothing else does.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Now, Span, Timestamp};

/// Both clocks, the second counted from when this was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    /// What the wall clock said then, where time is virtual.
    #[cfg(test)]
    virtually: Option<Timestamp>,
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            #[cfg(test)]
            virtually: None,
        }
    }

    /// Starts counting in the paused time of a test's runtime, at which it is that time.
    #[cfg(test)]
    pub(crate) fn start_virtually(wall: Timestamp) -> Self {
        Self { started: Instant::now(), virtually: Some(wall) }
    }

    /// What both clocks say now.
    pub(crate) fn now(self) -> Now {
        let since_start = Span::from_std(self.started.elapsed());
        #[cfg(test)]
        if let Some(wall) = self.virtually {
            return Now { wall: wall + since_start, since_start };
        }
        // A clock before 1970 is a clock that was never set.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map(Span::from_std).unwrap_or_default();
        Now { wall: Timestamp::EPOCH + wall, since_start }
    }

    /// That moment as the runtime's timers want it.
    pub(crate) fn instant(self, since_start: Span) -> Instant {
        self.started + since_start.to_std()
    }
}
