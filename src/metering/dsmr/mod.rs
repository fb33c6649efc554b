//! Reads DSMR P1 and its relatives: text telegrams that a meter sends by itself.
//!
//! Sources: DSMR P1 companion standards 2.2 to 5.0.2 and the national standards built on them (Belgium, Luxembourg, Sweden, Hungary,
//! Austria), IEC 62056-21 mode D.

mod clock;
mod frame;
mod number;
mod objects;
mod sealed;
mod telegram;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::metering::ciphered::{CipheredFrame, CounterGuard, Opener};
use crate::metering::decoder::{Decoder, RawTelegram, Refused, Why};
use crate::metering::telegram::Telegram;
use crate::time::Span;

pub(in crate::metering) use clock::{is_summer, utc};
use frame::{Frame, Frames, unsealed};
#[cfg(test)]
pub(in crate::metering) use number::Measured;
use sealed::Sealed;
pub(in crate::metering) use telegram::P1Telegram;

/// The authentication key of all meters in Luxembourg, which is public (Smarty P1 specification 1.1.3).
pub(crate) const LUXEMBOURG_AUTHENTICATION_KEY: [u8; 16] =
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];

/// Takes bytes in pieces of any size, and gives telegrams, encrypted ones too.
#[derive(Debug)]
pub(crate) struct P1Decoder {
    frames: Frames,
    sealed: Sealed,
    opener: Opener,
    /// A telegram that was encrypted, and where its frame ends; what stands before the frame is told of first.
    opened: Option<Opened>,
    /// The line is silent: what has begun will not go on.
    ended: bool,
    clock_base: Span,
    /// This meter sends checksums; a telegram without one is a damaged one from now on.
    sends_crc: bool,
    /// A telegram without a checksum has come before.
    unchecked_before: bool,
    /// The last good telegram.
    raw: Option<RawTelegram>,
}

/// A telegram is taken as soon as its checksum is there, whether the end of that line has come or not; whoever gets a copy wants it.
fn with_line_end(telegram: &[u8]) -> Vec<u8> {
    let end: &[u8] = if telegram.windows(2).any(|pair| pair == b"\r\n") { b"\r\n" } else { b"\n" };
    [telegram.trim_ascii_end(), end].concat()
}

/// What an encrypted frame held, and where that stands.
#[derive(Debug)]
struct Opened {
    start: usize,
    end: usize,
    telegram: Result<(P1Telegram, RawTelegram), Refused>,
}

impl P1Decoder {
    /// For a meter whose clock is ahead of UTC by this in winter, and that does not encrypt.
    #[cfg(test)]
    pub(crate) fn new(clock_base: Span) -> Self {
        Self::encrypted(clock_base, Opener::default())
    }

    /// For a meter that encrypts, or may.
    pub(crate) fn encrypted(clock_base: Span, opener: Opener) -> Self {
        Self {
            frames: Frames::new(),
            sealed: Sealed::default(),
            opener,
            opened: None,
            ended: false,
            clock_base,
            sends_crc: false,
            unchecked_before: false,
            raw: None,
        }
    }

    /// The frame counters of the telegrams that were encrypted, to be kept for the next run.
    pub(crate) fn counters(&self) -> &CounterGuard {
        self.opener.counters()
    }

    /// The next telegram as it stands in the text, or what was no good one.
    pub(in crate::metering) fn next_p1(&mut self) -> Option<Result<P1Telegram, Refused>> {
        loop {
            let sealed = match &self.opened {
                Some(_) => None,
                None => self.sealed.whole(self.frames.bytes(), self.ended),
            };
            if let Some(outcome) = self.next_text() {
                return Some(outcome);
            }
            if let Some(opened) = self.opened.take() {
                self.frames.skip(opened.end);
                return Some(opened.telegram.map(|(telegram, raw)| {
                    self.raw = Some(raw);
                    telegram
                }));
            }
            let refused = match sealed {
                Some(frame) => self.open(frame),
                None if self.ended && self.sealed.has_begun() => {
                    let broken = self.sealed.give_up(self.frames.bytes().len());
                    broken.map(|broken| self.refused(Why::Cut, broken))
                }
                None => return None,
            };
            if refused.is_some() {
                return refused.map(Err);
            }
        }
    }

    /// The next telegram that is not encrypted.
    fn next_text(&mut self) -> Option<Result<P1Telegram, Refused>> {
        let (until, ended) = match &self.opened {
            Some(opened) => (opened.start, true),
            None => {
                let until = self.sealed.text_until();
                (until, self.ended && until == self.frames.bytes().len())
            }
        };
        while let Some(candidate) = self.frames.candidate(until, ended) {
            let checked = candidate.as_ref().is_ok_and(|frame| frame.checked);
            match candidate.and_then(|frame| self.read(frame)) {
                Ok(telegram) => {
                    let bytes = with_line_end(self.frames.candidate_bytes());
                    self.raw = Some(RawTelegram { bytes, checked });
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

    /// Opens an encrypted frame; gives what is to be told before it.
    fn open(&mut self, frame: Range<usize>) -> Option<Refused> {
        #[cfg(test)]
        {
            self.frames.work += frame.len();
        }
        match self.unseal(frame.clone()) {
            Ok(telegram) => {
                let broken = self.sealed.accept(&frame);
                self.opened = Some(Opened { start: frame.start, end: frame.end, telegram });
                broken.map(|broken| self.refused(Why::Cut, broken))
            }
            Err(why) => self.sealed.refuse(&frame).then(|| self.refused(why, frame)),
        }
    }

    /// What an encrypted frame holds: a telegram, or what is no good one though the frame is one of the meter's.
    fn unseal(&mut self, frame: Range<usize>) -> Result<Result<(P1Telegram, RawTelegram), Refused>, Why> {
        let bytes = self.frames.bytes().get(frame).unwrap_or_default();
        let Some(frame) = CipheredFrame::parse(bytes)? else { return Err(Why::Cut) };
        let base = self.clock_base;
        let read = |plain: &[u8], authenticated| {
            let frame = unsealed(plain, authenticated)?;
            let checked = frame.checked;
            let mut telegram = P1Telegram::read(frame, base)?;
            telegram.doubtful = !checked;
            Ok((telegram, checked))
        };
        let telegram = match self.opener.open(&frame, &|plain| read(plain, false).is_ok()) {
            Ok(opened) => read(&opened.plain, opened.authenticated)
                .map(|(telegram, checked)| (telegram, RawTelegram { bytes: opened.plain, checked })),
            // Its tag fits, so it is a frame, and nothing else begins in it.
            Err(replayed @ Why::Replayed { .. }) => Err(replayed),
            Err(why) => return Err(why),
        };
        Ok(telegram.map_err(|why| Refused::new(why, bytes)))
    }

    /// Keeps the bytes that were refused; what looks like a telegram in them is not told of again.
    fn refused(&mut self, why: Why, bytes: Range<usize>) -> Refused {
        self.frames.told(bytes.end);
        Refused::new(why, self.frames.bytes().get(bytes).unwrap_or_default())
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
    fn counters(&self) -> Option<&CounterGuard> {
        Some(self.counters())
    }

    fn raw(&self) -> Option<&RawTelegram> {
        self.raw.as_ref()
    }

    /// Only so much is kept as is good for a few telegrams.
    fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        let gone = self.frames.push(bytes);
        self.sealed.forget(gone);
        if let Some(opened) = &mut self.opened {
            (opened.start, opened.end) = (opened.start.saturating_sub(gone), opened.end.saturating_sub(gone));
        }
    }

    fn quiet(&mut self) {
        self.ended = true;
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        Some(self.next_p1()?.map(|telegram| telegram.general()))
    }
}
