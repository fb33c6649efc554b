//! Finds files in a stream of bytes (SML transport protocol, version 1).
//!
//! ```text
//! 1B1B1B1B 01010101   payload, every 1B1B1B1B of it doubled, 0 to 3 bytes of filling   1B1B1B1B 1A pp cc cc
//! ```
//!
//! What a run of `1B` means depends only on its length and on what follows, so that the stream is looked at once: eight of them are
//! four of the payload; of the rest, the last four are an escape where a start or an end follows, and else payload. A start is
//! always a start, also in the midst of a file, which then broke off. Only where eight come before `01010101`, they may be payload or
//! the remains of an escape and a start: the last such places are tried when the checksum from the first start does not fit.

use std::ops::Range;

use crate::metering::decoder::Why;

use crate::metering::checksum::x25;

/// No file is longer: meters send a few hundred bytes.
pub(super) const LONGEST: usize = 8 * 1024;
/// Undecided bytes beyond this are dropped, oldest first: room for a file and a large piece of the next.
const MOST: usize = 2 * LONGEST;
/// The byte of which four are an escape.
pub(super) const ESCAPE: u8 = 0x1B;
/// So many of them are an escape.
const FOUR: usize = 4;
/// So many starts that may be payload are remembered, the last ones.
const STARTS: usize = 16;
/// Behind an escape: a file begins.
const START: [u8; FOUR] = [1; FOUR];
/// Behind an escape: a file ends; the number of filling bytes and the checksum follow.
const END: u8 = 0x1A;
/// Bytes of an escape and what is behind it.
const MARK: usize = 2 * FOUR;

/// Bytes that are not decided yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Up to here the bytes were looked at.
    scanned: usize,
    /// So many `1B` stand right before that, when it is not known yet what they mean.
    run: usize,
    /// Where the file begins that is being received.
    start: Option<usize>,
    /// Where others begin, unless that is payload of the first; at most [`STARTS`].
    maybe: Vec<usize>,
    /// There is something doubled in the file.
    doubled: bool,
    /// Other starts of a file are tried of which a refusal was told.
    told: bool,
    /// The bytes of the last file or refusal.
    last: Range<usize>,
    /// A payload without its doublings.
    plain: Vec<u8>,
    /// Bytes that went into checksums.
    #[cfg(test)]
    pub(super) work: usize,
}

/// What a run of `1B` turned out to be.
enum Event {
    /// A start at this place; surely one, or perhaps payload.
    Start { at: usize, sure: bool },
    /// An end whose escape stands at this place.
    End(usize),
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MOST)..];
        let over = (self.buffer.len() + bytes.len()).saturating_sub(MOST);
        let done = self.start.unwrap_or_else(|| self.scanned.saturating_sub(FOUR));
        self.forget(done.max(over));
        self.buffer.extend_from_slice(bytes);
    }

    fn forget(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.run = if count > self.scanned { 0 } else { self.run };
        self.scanned = self.scanned.saturating_sub(count);
        self.last = 0..0;
        let maybe = std::mem::take(&mut self.maybe);
        let mut starts = self.start.into_iter().chain(maybe).filter_map(|at| at.checked_sub(count));
        self.start = starts.next();
        self.maybe = starts.collect();
    }

    /// The payload of the next file whose checksum is right, or why there is none; `ended`: nothing more will come of what has begun.
    pub(super) fn next(&mut self, ended: bool) -> Option<Result<&[u8], Why>> {
        if self.start.is_none() {
            self.maybe.clear();
        }
        loop {
            let event = self.event();
            let reached = match &event {
                Some(Event::Start { at, .. } | Event::End(at)) => *at,
                None => self.scanned.saturating_sub(self.run.min(FOUR)),
            };
            if let Some(start) = self.start.filter(|start| reached.saturating_sub(*start) > LONGEST) {
                self.undo(event.as_ref());
                self.give_up(start..reached);
                return Some(Err(Why::TooLong(LONGEST)));
            }
            match event {
                None if !ended => return None,
                None => {
                    self.maybe.clear();
                    (self.scanned, self.run) = (self.buffer.len(), 0);
                    self.last = self.start.take()?..self.scanned;
                    return Some(Err(Why::Cut));
                }
                Some(Event::Start { at, sure: false }) if self.start.is_some() => {
                    if self.maybe.len() == STARTS {
                        self.maybe.remove(0);
                    }
                    self.maybe.push(at);
                }
                Some(Event::Start { at, .. }) => {
                    self.doubled = false;
                    self.maybe.clear();
                    if let Some(before) = self.start.replace(at) {
                        self.last = before..at;
                        return Some(Err(Why::Cut));
                    }
                }
                Some(Event::End(escape)) => {
                    let Some(start) = self.start.take() else { continue };
                    let told = std::mem::take(&mut self.told);
                    match self.check(start, escape) {
                        Err(_) if told => {}
                        checked => return Some(checked.map(|payload| self.plain(payload))),
                    }
                }
            }
        }
    }

    /// Looks at the bytes up to the next escape that means something.
    fn event(&mut self) -> Option<Event> {
        loop {
            let rest = &self.buffer[self.scanned..];
            if self.run == 0 {
                self.scanned += rest.iter().position(|byte| *byte == ESCAPE).unwrap_or(rest.len());
            }
            let rest = &self.buffer[self.scanned..];
            let more = rest.iter().take_while(|byte| **byte == ESCAPE).count();
            (self.scanned, self.run) = (self.scanned + more, self.run + more);
            let after = rest.get(more..).filter(|after| !after.is_empty())?;
            let mark = after.first_chunk::<FOUR>();
            if self.run >= FOUR && mark.is_none() && matches!(after[0], 1 | END) {
                return None;
            }
            let run = std::mem::take(&mut self.run);
            let at = self.scanned.saturating_sub(FOUR);
            self.doubled |= run >= MARK;
            let escape = run % MARK >= FOUR;
            match mark {
                Some(&START) if run >= FOUR => {
                    self.scanned += FOUR;
                    return Some(Event::Start { at, sure: escape });
                }
                // Two bytes of the checksum may be missing, and a start stand there.
                Some([END, ..]) if escape => return Some(Event::End(at)),
                _ => {}
            }
        }
    }

    /// Makes an event come again.
    fn undo(&mut self, event: Option<&Event>) {
        match event {
            Some(Event::Start { at, sure }) => {
                self.scanned = at + FOUR;
                self.run = if *sure { FOUR } else { MARK };
            }
            Some(Event::End(at)) => (self.scanned, self.run) = (at + FOUR, FOUR),
            None => {}
        }
    }

    /// There is no file; one may have begun inside it.
    fn give_up(&mut self, bytes: Range<usize>) {
        self.last = bytes;
        self.start = (!self.maybe.is_empty()).then(|| self.maybe.remove(0));
    }

    /// Where the payload stands.
    fn check(&mut self, start: usize, escape: usize) -> Result<Range<usize>, Why> {
        let end = (escape + MARK).min(self.buffer.len());
        self.last = start..end;
        let [filling, low, high] = self.buffer[escape + FOUR + 1..end] else { return Err(Why::Cut) };
        let found = u16::from_le_bytes([low, high]);
        let crc = |from: usize| x25(&self.buffer[from..=escape + FOUR + 1]);
        let expected = crc(start);
        let right = (expected == found).then_some(start);
        let start = right.or_else(|| self.maybe.iter().copied().find(|maybe| crc(*maybe) == found));
        #[cfg(test)]
        {
            self.work += (escape - self.last.start) * (1 + self.maybe.len());
        }
        self.maybe.retain(|maybe| start.is_some_and(|start| *maybe > start));
        let start = start.ok_or(Why::Crc { found, expected })?;
        self.last = start..end;
        let stop = escape.checked_sub(filling.into()).filter(|stop| filling < 4 && *stop >= start + MARK);
        let what = || format!("{filling} filling bytes at the end");
        Ok(start + MARK..stop.ok_or_else(|| Why::Content { at: escape - start, what: what() })?)
    }

    /// The payload without its doublings.
    fn plain(&mut self, payload: Range<usize>) -> &[u8] {
        let payload = &self.buffer[payload];
        if !self.doubled {
            return payload;
        }
        self.plain.clear();
        for stretch in payload.chunk_by(|one, next| (*one == ESCAPE) == (*next == ESCAPE)) {
            let escaped = if stretch[0] == ESCAPE { stretch.len() / MARK * FOUR } else { 0 };
            self.plain.extend_from_slice(&stretch[escaped..]);
        }
        &self.plain
    }

    /// The content of the last file was none: of 65,536 wrong starts one fits the checksum. The starts behind it are tried next.
    pub(super) fn refuse(&mut self) {
        let escape = self.last.end.saturating_sub(MARK);
        self.give_up(self.last.clone());
        self.told = self.start.is_some();
        if self.told {
            self.undo(Some(&Event::End(escape)));
        }
    }

    /// The bytes of the last file or refusal.
    pub(super) fn last_bytes(&self) -> &[u8] {
        self.buffer.get(self.last.clone()).unwrap_or_default()
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity() + self.plain.capacity()
    }
}
