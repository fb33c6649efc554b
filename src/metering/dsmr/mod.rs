//! Reads DSMR P1 and its relatives: text telegrams that a meter sends by itself.
//!
//! Sources: DSMR P1 companion standards 2.2 to 5.0.2 and the national standards built on them (Belgium, Luxembourg, Sweden, Hungary,
//! Austria), IEC 62056-21 mode D.

mod clock;
mod frame;
mod number;
mod telegram;

use std::collections::VecDeque;

use crate::time::Span;

use frame::Frames;
pub(crate) use frame::Refused;
pub(in crate::metering) use frame::crc16_arc;
pub(crate) use telegram::Telegram;

/// Takes bytes in pieces of any size, and gives telegrams.
#[derive(Debug)]
pub(crate) struct P1Decoder {
    frames: Frames,
    ready: VecDeque<Result<Telegram, Refused>>,
    clock_base: Span,
    /// This meter sends checksums; a telegram without one is a damaged one from now on.
    sends_crc: bool,
    /// A telegram without a checksum has come before.
    unchecked_before: bool,
}

impl P1Decoder {
    /// For a meter whose clock is ahead of UTC by this in winter.
    pub(crate) fn new(clock_base: Span) -> Self {
        Self {
            frames: Frames::default(),
            ready: VecDeque::new(),
            clock_base,
            sends_crc: false,
            unchecked_before: false,
        }
    }

    /// Takes bytes as they come from the line.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        self.search(false);
    }

    /// The line has been silent for so long that a telegram that has begun will not go on.
    pub(crate) fn quiet(&mut self) {
        self.search(true);
    }

    /// The next telegram, or what was no good one.
    pub(crate) fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        self.ready.pop_front()
    }

    fn search(&mut self, ended: bool) {
        while let Some(candidate) = self.frames.candidate(ended) {
            let outcome = candidate.and_then(|frame| {
                let telegram = Telegram::read(&frame, self.clock_base)?;
                if !frame.checked && (self.sends_crc || telegram.must_have_crc()) {
                    return Err(Refused::CrcMissing);
                }
                Ok((telegram, frame.checked))
            });
            match outcome {
                Ok((mut telegram, checked)) => {
                    self.frames.accept();
                    self.sends_crc |= checked;
                    telegram.doubtful = !checked && !std::mem::replace(&mut self.unchecked_before, !checked);
                    self.ready.push_back(Ok(telegram));
                }
                Err(why) => {
                    self.frames.refuse();
                    self.ready.push_back(Err(why));
                }
            }
        }
    }
}
