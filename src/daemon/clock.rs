//! Reads the clocks; nothing else does.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Now, Span, Timestamp};

/// Both clocks, the second counted from when this was made.
///
/// The second is tokio's, which a program that embeds a VEN may pause and bring a wall clock of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall: WallClock,
    /// What the wall clock said then, where time is virtual.
    #[cfg(test)]
    virtually: Option<Timestamp>,
}

/// No clock that is right says less: it is before this program was made. A machine without a battery behind its clock starts in 1970, or when
/// it was switched off, until the net tells it the time.
///
/// A day in the source and not that of the build, so that the same source always gives the same program.
pub(crate) const EARLIEST: Timestamp = Timestamp::from_seconds(1_767_225_600);
/// What to do where a clock is wrong, for people.
pub(crate) const CLOCK_ADVICE: &str = "does this machine get its time from the net (timedatectl)?";

/// Whether a clock that says this can be right.
pub(crate) fn is_set(wall: Timestamp) -> bool {
    wall >= EARLIEST
}

/// What is wrong with a clock that says this, where it cannot be right.
pub(crate) fn unset(wall: Timestamp) -> Option<String> {
    let day = Timestamp::from_seconds(wall.seconds());
    (!is_set(wall))
        .then(|| format!("the clock of this machine says {day}, when this program was not made yet"))
}

/// Says what time it is.
pub(crate) type WallClock = fn() -> Timestamp;

/// The wall clock of the system; one before 1970 is a clock that was never set.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
pub(crate) fn system() -> Timestamp {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map(Span::from_std).unwrap_or_default();
    Timestamp::EPOCH + wall
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self::by(system)
    }

    /// Starts counting, beside that wall clock.
    pub(crate) fn by(wall: WallClock) -> Self {
        Self {
            started: Instant::now(),
            wall,
            #[cfg(test)]
            virtually: None,
        }
    }

    /// Starts counting in the paused time of a test's runtime, at which it is that time.
    #[cfg(test)]
    pub(crate) fn start_virtually(wall: Timestamp) -> Self {
        Self { virtually: Some(wall), ..Self::start() }
    }

    /// What both clocks say now.
    pub(crate) fn now(self) -> Now {
        let since_start = Span::from_std(self.started.elapsed());
        #[cfg(test)]
        if let Some(wall) = self.virtually {
            return Now { wall: wall + since_start, since_start };
        }
        Now { wall: (self.wall)(), since_start }
    }

    /// That moment as the runtime's timers want it.
    pub(crate) fn instant(self, since_start: Span) -> Instant {
        self.started + since_start.to_std()
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, EARLIEST, Span, Timestamp, is_set, unset};

    #[test]
    fn a_clock_that_was_never_set_is_known_by_its_year() {
        assert_eq!(EARLIEST.to_string(), "2026-01-01T00:00:00Z");
        assert!(is_set(EARLIEST) && unset(EARLIEST).is_none());
        assert!(!is_set(Timestamp::EPOCH) && !is_set(EARLIEST - Span::from_micros(1)));
        let why = unset(Timestamp::EPOCH + Span::MINUTE + Span::from_micros(1)).unwrap();
        assert_eq!(
            why,
            "the clock of this machine says 1970-01-01T00:01:00Z, when this program was not made yet"
        );
    }

    #[test]
    fn a_clock_of_ones_own_says_what_day_it_is_and_time_passes_all_the_same() {
        let clock = Clock::by(|| Timestamp::EPOCH + Span::DAY);
        let before = clock.now();
        assert_eq!(before.wall, Timestamp::EPOCH + Span::DAY);
        let after = clock.now();
        assert_eq!(after.wall, before.wall);
        assert!(after.since_start >= before.since_start);
        let later = clock.instant(after.since_start + Span::SECOND) - clock.instant(after.since_start);
        assert_eq!(Span::from_std(later), Span::SECOND);
    }
}
