//! Says when a program that has ended is started again, and when no more.

use std::collections::VecDeque;

use crate::time::Span;

const LONGEST: Span = Span::MINUTE;
/// So many ends within [`WINDOW`] are too many.
pub(super) const MOST: usize = 5;
const WINDOW: Span = Span::MINUTE;

/// Pauses that double up to a minute; a program that has run for longer than that begins with the first again.
#[derive(Clone, Debug)]
pub(super) struct Restarts {
    first: Span,
    last: Option<Span>,
    /// When it ended, since the start of the VEN.
    ends: VecDeque<Span>,
}

impl Restarts {
    /// The first pause is that long.
    pub(super) const fn new(first: Span) -> Self {
        Self { first, last: None, ends: VecDeque::new() }
    }

    /// The next pause, however often it has been tried.
    pub(super) fn pause(&mut self) -> Span {
        let pause = self.last.map_or(self.first, |last| (last * 2).min(LONGEST));
        self.last = Some(pause);
        pause
    }

    /// The pause after a program that ran has ended; `None`: it has ended too often.
    pub(super) fn ended(&mut self, started: Span, now: Span) -> Option<Span> {
        if now - started > LONGEST {
            self.last = None;
        }
        self.ends.push_back(now);
        self.ends.retain(|end| now - *end < WINDOW);
        (self.ends.len() < MOST).then(|| self.pause())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Restarts};
    use crate::time::Span;

    fn s(seconds: i64) -> Span {
        Span::from_seconds(seconds)
    }

    #[test]
    fn pauses_double_from_a_second_to_a_minute() {
        let mut restarts = Restarts::new(Span::SECOND);
        let pauses: Vec<_> = (0..8).map(|_| restarts.pause().seconds()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn five_ends_within_a_minute_are_too_many() {
        let mut restarts = Restarts::new(Span::SECOND);
        let pauses: Vec<_> =
            (0..5).map(|at| restarts.ended(s(at * 14), s(at * 14 + 3)).map(Span::seconds)).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), None]);
        let mut slower = Restarts::new(Span::SECOND);
        assert!(
            (0..50).all(|at| slower.ended(s(at * 15), s(at * 15 + 3)).is_some()),
            "four a minute are not"
        );
    }

    #[test]
    fn a_program_that_has_run_for_long_is_started_again_at_once_nearly() {
        let mut restarts = Restarts::new(Span::SECOND);
        assert!((0..MOST - 1).all(|_| restarts.ended(s(0), s(1)).is_some()));
        assert_eq!(restarts.ended(s(100), s(160)), Some(s(16)));
        assert_eq!(restarts.ended(s(200), s(261)), Some(s(1)));
    }
}
