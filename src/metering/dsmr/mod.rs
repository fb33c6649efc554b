//! Reads DSMR P1 and its relatives: text telegrams that a meter sends by itself.
//!
//! Sources: DSMR P1 companion standards 2.2 to 5.0.2 and the national standards built on them (Belgium, Luxembourg, Sweden, Hungary,
//! Austria), IEC 62056-21 mode D.

mod clock;
mod frame;
mod number;
mod telegram;

use crate::metering::decoder::{Decoder, Refused, Why};
use crate::metering::telegram::Telegram;
use crate::time::Span;

pub(in crate::metering) use clock::is_summer;
pub(in crate::metering) use frame::crc16_arc;
use frame::{Frame, Frames};
#[cfg(test)]
pub(in crate::metering) use number::Measured;
pub(in crate::metering) use telegram::P1Telegram;

/// Takes bytes in pieces of any size, and gives telegrams.
#[derive(Debug)]
pub(crate) struct P1Decoder {
    frames: Frames,
    /// The line is silent: what has begun will not go on.
    ended: bool,
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
            ended: false,
            clock_base,
            sends_crc: false,
            unchecked_before: false,
        }
    }

    /// The next telegram as it stands in the text, or what was no good one.
    pub(in crate::metering) fn next_p1(&mut self) -> Option<Result<P1Telegram, Refused>> {
        while let Some(candidate) = self.frames.candidate(self.ended) {
            match candidate.and_then(|frame| self.read(frame)) {
                Ok(telegram) => {
                    self.frames.accept();
                    return Some(Ok(telegram));
                }
                Err(why) => {
                    let refused = Refused::new(why, self.frames.candidate_bytes());
                    if self.frames.refuse() {
                        return Some(Err(refused));
                    }
                }
            }
        }
        None
    }

    fn read(&mut self, frame: Frame) -> Result<P1Telegram, Why> {
        let checked = frame.checked;
        if !checked && self.sends_crc {
            return Err(Why::CrcMissing);
        }
        let mut telegram = P1Telegram::read(frame, self.clock_base)?;
        if !checked && telegram.must_have_crc() {
            return Err(Why::CrcMissing);
        }
        if !checked && telegram.counts_nothing() {
            return Err(Why::Cut);
        }
        self.sends_crc |= checked;
        telegram.doubtful = !checked && !std::mem::replace(&mut self.unchecked_before, !checked);
        Ok(telegram)
    }

    /// Bytes of memory that undecided bytes take.
    #[cfg(test)]
    pub(in crate::metering) fn held(&self) -> usize {
        self.frames.held()
    }

    /// Bytes that were looked at as parts of candidates.
    #[cfg(test)]
    pub(in crate::metering) fn work(&self) -> usize {
        self.frames.work
    }
}

impl Decoder for P1Decoder {
    /// Only so much is kept as is good for a few telegrams.
    fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        self.frames.push(bytes);
    }

    fn quiet(&mut self) {
        self.ended = true;
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        Some(self.next_p1()?.map(|telegram| telegram.general()))
    }
}
