//! Tells apart why nothing good comes from a meter.

use crate::metering::{LineSettings, Refused, Why};
use crate::time::Span;

/// Why nothing good comes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It cannot be opened, or went away.
    #[error("{0}")]
    Away(String),
    /// A recording is over.
    #[error("the recording has ended")]
    Ended,
    #[error("nothing was heard for {0}; is the cable plugged in?")]
    Silent(Span),
    /// Nobody gives telegrams to the local API.
    #[error("nothing was posted to the local API for {0}")]
    NotPosted(Span),
    /// Bytes, but no beginning and end of anything.
    #[error("{bytes} bytes came in {time}, but no telegram; are protocol, baud and parity right ({line})?")]
    NoFrame { bytes: u64, time: Span, line: String },
    #[error("{frames} telegrams came in {time}, none of them good; the last: {why}")]
    Damaged { frames: u64, time: Span, why: String },
    /// A meter that is asked says nothing.
    #[error("the meter does not answer; are its address, baud and parity right ({line})?")]
    NoAnswer { line: String },
    /// Whole frames that cannot be opened.
    #[error("telegrams come, but {0}")]
    Key(String),
}

/// What is said of a line that is held back.
pub(crate) const HELD_BACK: &str = "more comes than any meter says, or its source ends again and again: it is read no faster than 64 KiB a second, \
     and opened no more often than once a second; nothing is dropped, but is a meter at the other end?";

impl Trouble {
    /// Whether it is of the same kind, whatever its numbers.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Whether this is about a key, and not about damage.
pub(super) const fn is_about_keys(why: &Why) -> bool {
    matches!(why, Why::KeyMissing | Why::WrongKey)
}

/// What came since the last good telegram.
#[derive(Debug, Default)]
pub(super) struct Heard {
    bytes: u64,
    frames: u64,
    unanswered: u64,
    last: Option<Why>,
}

impl Heard {
    pub(super) const fn bytes(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(count as u64);
    }

    pub(super) fn refused(&mut self, refused: &Refused) {
        if refused.why == Why::NoAnswer {
            self.unanswered += 1;
        } else if !matches!(refused.why, Why::TooLong(_) | Why::Cut) {
            self.frames += 1;
        }
        self.last = Some(refused.why.clone());
    }

    /// What all that means, after so long without anything good.
    pub(super) fn verdict(&self, time: Span, line: LineSettings, asked: bool) -> Trouble {
        let line = line.to_string();
        match &self.last {
            Some(why) if is_about_keys(why) => Trouble::Key(why.to_string()),
            Some(why) if self.frames > 0 => {
                Trouble::Damaged { frames: self.frames, time, why: why.to_string() }
            }
            _ if self.bytes > 0 => Trouble::NoFrame { bytes: self.bytes, time, line },
            _ if asked || self.unanswered > 0 => Trouble::NoAnswer { line },
            _ => Trouble::Silent(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Trouble};
    use crate::metering::{Framing, LineSettings, Refused, Why};
    use crate::time::Span;

    #[test]
    fn the_verdicts_are_told_apart() {
        let line = LineSettings { baud: 9600, framing: Framing::SevenEven };
        let mut heard = Heard::default();
        let verdict = |heard: &Heard| heard.verdict(Span::MINUTE, line, false);
        assert!(matches!(verdict(&heard), Trouble::Silent(_)));
        heard.bytes(100);
        let text = verdict(&heard).to_string();
        assert!(text.contains("100 bytes came in 1min") || text.contains("100 bytes came in"), "{text}");
        assert!(text.contains("9600 7E1"), "{text}");
        heard.refused(&Refused::new(Why::Cut, b"x"));
        assert!(matches!(verdict(&heard), Trouble::NoFrame { .. }), "what broke off was no frame");
        heard.refused(&Refused::new(Why::Crc { found: 1, expected: 2 }, b"x"));
        let text = verdict(&heard).to_string();
        assert!(text.contains("1 telegrams came") && text.contains("checksum is 0001"), "{text}");
        heard.refused(&Refused::new(Why::WrongKey, b"x"));
        assert!(verdict(&heard).to_string().contains("the key or the authentication key is wrong"));
        let mut asked = Heard::default();
        asked.refused(&Refused::new(Why::NoAnswer, b""));
        assert!(matches!(verdict(&asked), Trouble::NoAnswer { .. }));
    }
}
