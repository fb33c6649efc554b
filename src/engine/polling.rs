//! Decides when to poll.
//!
//! The interval of the VTN is a minimum, so jitter is added, never taken away. After an answer that is not
//! `oadrResponse` the next poll follows at once, until the queue is drained (rule 500); a VTN that always has something is
//! polled [`LONGEST_DRAIN`] times in a row, then at the interval again.

use crate::time::Span;

use super::dice::Dice;

/// Polls in a row without waiting.
const LONGEST_DRAIN: u32 = 50;

/// When the next poll is due.
#[derive(Debug, Default)]
pub(super) struct Polling {
    next: Span,
    drained: u32,
}

impl Polling {
    pub(super) const fn due(&self) -> Span {
        self.next
    }

    /// The queue is empty: wait for the interval.
    pub(super) fn wait(&mut self, now: Span, interval: Span, dice: &mut Dice) {
        self.drained = 0;
        self.next = now + interval + dice.up_to(Span::from_micros(interval.micros() / 10));
    }

    /// There may be more: poll again at once.
    pub(super) fn drain(&mut self, now: Span, interval: Span, dice: &mut Dice) {
        self.drained += 1;
        if self.drained >= LONGEST_DRAIN {
            self.wait(now, interval, dice);
        } else {
            self.next = now;
        }
    }

    /// Poll as soon as possible.
    pub(super) const fn now(&mut self, now: Span) {
        self.next = now;
    }
}
