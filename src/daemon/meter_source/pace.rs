//! Holds a line back that brings more than any meter says, so that whoever floods it starves nobody else.
//!
//! A bucket of tokens, kept as one number: the moment at which everything that was taken would have come at the rate. Nothing is dropped:
//! what is not read yet waits in the system, and by that the flow control of TCP or of a pipe holds the sender back.

use crate::time::Span;

/// Bytes that a line may bring in a second: five times what 115200 baud do, the fastest line of a real meter.
const RATE: u32 = 64 << 10;
/// So much of it may come at once: what a sender had kept while nobody listened.
const AHEAD: Span = Span::from_seconds(4);
/// A source that ends and begins again counts like so much time of its rate.
const OPENING: Span = Span::SECOND;
/// While it goes on it is told again after this.
const TOLD_AGAIN: Span = Span::HOUR;

/// How fast a line is read.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u32,
    /// When all that was taken would have come at the rate.
    due_at: Span,
    told_at: Option<Span>,
}

impl Pace {
    /// For a line that is set to so many baud: a serial port is never held back, unless it is faster than it says.
    pub(super) fn new(baud: u32) -> Self {
        Self { rate: RATE.max(baud / 8), due_at: Span::ZERO, told_at: None }
    }

    /// When more may be taken.
    pub(super) fn open_at(&self) -> Span {
        self.due_at - AHEAD
    }

    /// So many bytes were taken.
    pub(super) fn took(&mut self, count: usize, now: Span) {
        let micros = count as u64 * 1_000_000 / u64::from(self.rate);
        self.spend(Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)), now);
    }

    /// The source was opened.
    pub(super) fn opened(&mut self, now: Span) {
        self.spend(OPENING, now);
    }

    fn spend(&mut self, time: Span, now: Span) {
        self.due_at = self.due_at.max(now) + time;
    }

    /// Whether it is held back now, and that is to be told.
    pub(super) fn is_to_be_told(&mut self, now: Span) -> bool {
        let news = self.open_at() > now && self.told_at.is_none_or(|told| now - told >= TOLD_AGAIN);
        if news {
            self.told_at = Some(now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, Pace, RATE, Span, TOLD_AGAIN};

    /// Reads so many bytes in pieces as fast as it may; when the last was taken.
    fn flood(pace: &mut Pace, bytes: u32, mut now: Span) -> Span {
        for _ in 0..bytes / 4096 {
            now = now.max(pace.open_at());
            pace.took(4096, now);
        }
        now
    }

    #[test]
    fn a_flood_is_taken_at_the_rate_and_what_was_kept_for_a_while_at_once() {
        let mut pace = Pace::new(9600);
        assert_eq!(flood(&mut pace, RATE * 4, Span::ZERO), Span::ZERO);
        let minute = flood(&mut pace, RATE * 60, Span::ZERO);
        assert!((minute - Span::MINUTE).abs() <= Span::SECOND, "{minute}");
        // After a rest the next may come at once again, but not more than after any other.
        let later = minute + Span::HOUR;
        assert_eq!(flood(&mut pace, RATE * 4, later), later);
        assert!(pace.open_at() <= later && later < pace.open_at() + Span::SECOND, "{}", pace.open_at());
    }

    #[test]
    fn the_fastest_lines_are_never_held_back() {
        for baud in [115_200, 921_600] {
            let mut pace = Pace::new(baud);
            // In pieces of 4096, each of ten bits.
            for piece in 1..10_000_i64 {
                let now = Span::from_micros(piece * 40_960 * 1_000_000 / i64::from(baud));
                assert!(pace.open_at() <= now, "piece {piece} at {baud} baud");
                pace.took(4096, now);
            }
        }
    }

    #[test]
    fn a_source_that_ends_at_once_is_opened_once_a_second() {
        let (mut pace, mut now) = (Pace::new(9600), Span::ZERO);
        for _ in 0..64 {
            now = now.max(pace.open_at());
            pace.opened(now);
            pace.took(1, now);
        }
        assert!(now >= Span::MINUTE - AHEAD && now <= Span::MINUTE, "{now}");
    }

    #[test]
    fn that_it_is_held_back_is_told_once_and_once_an_hour_while_it_lasts() {
        let mut pace = Pace::new(9600);
        pace.took(4096, Span::ZERO);
        assert!(!pace.is_to_be_told(Span::ZERO));
        let mut told = Vec::new();
        let mut now = Span::ZERO;
        while now < TOLD_AGAIN * 2 {
            now = now.max(pace.open_at());
            pace.took(1 << 20, now);
            if pace.is_to_be_told(now) {
                told.push(now);
            }
        }
        let pauses: Vec<_> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            pauses.len() == 2 && pauses.iter().all(|pause| (*pause - Span::HOUR).abs() < Span::MINUTE),
            "{told:?}"
        );
    }
}
