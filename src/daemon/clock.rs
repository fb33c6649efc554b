//! Reads the clocks; nothing else does.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Span, Timestamp};

/// Both clocks, the second counted from when this was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// What both clocks say now.
    pub(crate) fn now(self) -> Now {
        let since_start = Span::from_std(self.started.elapsed());
        // A clock before 1970 is a clock that was never set.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map(Span::from_std).unwrap_or_default();
        Now { wall: Timestamp::EPOCH + wall, since_start }
    }

    /// That moment as the runtime's timers want it.
    pub(crate) fn instant(self, since_start: Span) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.started + since_start.to_std())
    }
}
