//! Finds telegrams in a stream of bytes.
//!
//! ```text
//! hunt for '/' + three letters -> body up to '!' at a line start -> checksum digits -> candidate
//!                                                                       accept: exactly its bytes are taken out
//!                                                                       refuse: the hunt goes on inside
//! ```
//!
//! Going on *inside* a refused candidate is what saves the good telegram behind a cut one. It costs no more than [`STARTS`] checksums
//! for each end, whatever the bytes are; and one end is told of once, however many starts are tried before it.

use crate::metering::checksum::arc;
use crate::metering::decoder::Why;

/// No telegram is longer.
pub(super) const LONGEST: usize = 16 * 1024;
/// Undecided bytes beyond this are dropped, oldest first: room for a telegram and a large piece of the next.
pub(super) const MOST: usize = 2 * LONGEST;
/// So many starts before one end are tried, the last ones: a telegram names few things that look like a start.
const STARTS: usize = 64;
/// The maker's letters after the slash.
const LETTERS: usize = 3;
const DIGITS: usize = 4;

/// A telegram as it stood in the stream, from `/` to `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// As Latin-1, so that no byte is lost: some meters write more than ASCII.
    pub(super) text: String,
    /// Its checksum was there, and right.
    pub(super) checked: bool,
}

/// Bytes that are not decided yet.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// What stands before this is done with.
    head: usize,
    /// Up to here there is no end.
    scanned: usize,
    /// Up to here a refusal was told.
    told: usize,
    /// A start inside what was refused, that is tried.
    inside: Option<usize>,
    /// How many starts were tried before the end that was found.
    tried: usize,
    /// Where the checksum of the candidate ends that was handed out; nothing where there is no end.
    candidate: Option<usize>,
    /// Bytes of all candidates.
    #[cfg(test)]
    pub(super) work: usize,
}

/// Meters of 7 bits and even parity, read as 8 bits, show the parity in the eighth.
const fn plain(byte: u8) -> u8 {
    byte & 0x7F
}

impl Frames {
    /// With room for all that is ever held.
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(MOST),
            head: 0,
            scanned: 0,
            told: 0,
            inside: None,
            tried: 0,
            candidate: None,
            #[cfg(test)]
            work: 0,
        }
    }

    /// Takes more bytes, and gives how many were taken out before them: those that are done with, or too many.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let bytes = &bytes[bytes.len().saturating_sub(MOST)..];
        let over = (self.buffer.len() + bytes.len()).saturating_sub(MOST);
        let gone = self.head.max(over);
        self.forget(gone);
        self.buffer.extend_from_slice(bytes);
        gone
    }

    /// The bytes that were not taken out.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// What stands before this is done with.
    pub(super) fn skip(&mut self, until: usize) {
        self.head = self.head.max(until);
        self.scanned = self.scanned.max(until);
        (self.inside, self.tried) = (None, 0);
    }

    /// A refusal of what stands before this was told.
    pub(super) fn told(&mut self, until: usize) {
        self.told = self.told.max(until);
    }

    fn forget(&mut self, count: usize) {
        self.buffer.drain(..count);
        for place in [&mut self.head, &mut self.scanned, &mut self.told] {
            *place = place.saturating_sub(count);
        }
        (self.inside, self.tried) = (None, 0);
    }

    /// The next candidate or refusal before the place `until`; call [`Frames::accept`] or [`Frames::refuse`] before the next. `ended`:
    /// nothing more will come of what has begun there.
    pub(super) fn candidate(&mut self, until: usize, ended: bool) -> Option<Result<Frame, Why>> {
        let until = until.min(self.buffer.len());
        while self.head < until && !self.is_start(self.head, until) {
            let next = position(&self.buffer[self.head + 1..until], 0x7F, b'/');
            self.head = next.map_or(until, |next| self.head + 1 + next);
        }
        if self.head >= until {
            return None;
        }
        self.candidate = None;
        let Some(end) = self.end(until) else {
            if until - self.head > LONGEST {
                return Some(Err(Why::TooLong(LONGEST)));
            }
            return ended.then_some(Err(Why::Cut));
        };
        let after = &self.buffer[end + 1..until];
        let digits = after.iter().take(DIGITS).take_while(|byte| plain(**byte).is_ascii_hexdigit()).count();
        if digits < DIGITS && digits == after.len() && !ended {
            return None;
        }
        self.candidate = Some(end + 1 + digits);
        let start = self.inside.unwrap_or(self.head);
        #[cfg(test)]
        {
            self.work += end - start;
        }
        let outcome = check(&self.buffer[start..=end], &after[..digits]);
        // A short one that runs into something else has lost its end, and would fit by chance too often.
        let broken = (1..DIGITS).contains(&digits)
            && after.get(digits).is_some_and(|next| !matches!(plain(*next), b'\r' | b'\n' | 0));
        Some(if broken { outcome.and(Err(Why::CrcMissing)) } else { outcome })
    }

    /// A slash and the maker's letters, as far as they have come.
    fn is_start(&self, at: usize, until: usize) -> bool {
        let letters = self.buffer[at + 1..until].iter().take(LETTERS);
        plain(self.buffer[at]) == b'/' && letters.map(|byte| plain(*byte)).all(|b| b.is_ascii_alphabetic())
    }

    /// Where the `!` stands that ends the body.
    fn end(&mut self, until: usize) -> Option<usize> {
        let from = self.scanned.max(self.head + 1);
        let searched = until.min(self.head + LONGEST);
        self.scanned = from;
        while let Some(next) =
            self.buffer.get(self.scanned..searched).and_then(|rest| position(rest, 0x7F, b'!'))
        {
            self.scanned += next;
            if matches!(plain(self.buffer[self.scanned - 1]), b'\r' | b'\n') {
                return Some(self.scanned);
            }
            self.scanned += 1;
        }
        self.scanned = searched.max(from);
        None
    }

    /// The bytes of the candidate, or of what has begun.
    pub(super) fn candidate_bytes(&self) -> &[u8] {
        &self.buffer[self.head..self.candidate.unwrap_or(self.scanned).max(self.head)]
    }

    /// The candidate was good: its bytes are done with.
    pub(super) fn accept(&mut self) {
        self.head = self.candidate.unwrap_or(self.head);
        (self.inside, self.tried) = (None, 0);
    }

    /// It was not: another telegram may begin inside it. Whether that is worth telling, which it is once for the same bytes.
    ///
    /// After the whole, the last start is tried first: every wrong start has a chance of 1 in 65,536 to fit the checksum.
    pub(super) fn refuse(&mut self) -> bool {
        let first = self.inside.is_none() && self.head >= self.told;
        if first {
            self.told = self.scanned.max(self.head + 1);
        }
        if self.candidate.is_none() {
            self.head += 1;
            return first;
        }
        self.tried += 1;
        let before = self.inside.unwrap_or(self.scanned);
        let mut starts = (self.head + 1..before).rev().filter(|at| self.is_start(*at, self.scanned + 1));
        self.inside = starts.next().filter(|_| self.tried <= STARTS);
        if self.inside.is_none() {
            (self.head, self.tried) = (self.scanned, 0);
        }
        first
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }
}

fn check(body: &[u8], digits: &[u8]) -> Result<Frame, Why> {
    let stripped = || body.iter().copied().map(plain).collect::<Vec<u8>>();
    if digits.is_empty() {
        // Where every byte has even parity, the eighth bit is that.
        let parity = body.iter().all(|byte| byte.count_ones() % 2 == 0);
        return Ok(Frame { text: if parity { latin(&stripped()) } else { latin(body) }, checked: false });
    }
    // Meters leave out leading zeros, and write either case.
    let digit = |byte: &u8| char::from(plain(*byte)).to_digit(16).unwrap_or(0);
    let found = digits.iter().fold(0, |crc, byte| crc << 4 | digit(byte));
    let found = u16::try_from(found).unwrap_or(u16::MAX);
    let expected = arc(body);
    if expected == found {
        return Ok(Frame { text: latin(body), checked: true });
    }
    if !body.is_ascii() {
        let body = stripped();
        if arc(&body) == found {
            return Ok(Frame { text: latin(&body), checked: true });
        }
    }
    Err(Why::Crc { found, expected })
}

/// Reads what an encrypted frame holds: the text of a telegram, and nothing else. Where the tag of the frame was right the checksum may be
/// wrong: the meter itself has written it so, and that makes the telegram an unchecked one.
pub(super) fn unsealed(plain: &[u8], authenticated: bool) -> Result<Frame, Why> {
    let no_telegram = |at, what: &str| Err(Why::Content { at, what: format!("decrypted, {what}") });
    if plain.first() != Some(&b'/') {
        return no_telegram(0, "it is no telegram: it does not begin with a slash");
    }
    let is_end = |at: &usize| plain[*at] == b'!' && matches!(plain[at - 1], b'\r' | b'\n');
    let Some(end) = (1..plain.len()).rev().find(is_end) else {
        return no_telegram(plain.len(), "the telegram does not end");
    };
    let (body, after) = plain.split_at(end + 1);
    let digits = after.iter().take(DIGITS).take_while(|byte| byte.is_ascii_hexdigit()).count();
    match check(body, &after[..digits]) {
        Ok(frame) if !frame.checked && !authenticated => Err(Why::CrcMissing),
        Err(Why::Crc { .. }) if authenticated => Ok(Frame { text: latin(body), checked: false }),
        frame => frame,
    }
}

/// Each byte as the letter of its number.
fn latin(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => text.to_owned(),
        _ => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Where this byte is first, not regarding bits that are not in the mask.
///
/// A block at a time, without leaving it early, for which the compiler finds instructions that compare many bytes at once.
pub(super) fn position(bytes: &[u8], mask: u8, wanted: u8) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_it = |byte: &u8| byte & mask == wanted;
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut before = 0;
    for block in blocks {
        if block.iter().fold(false, |found, byte| found | is_it(byte)) {
            return block.iter().position(is_it).map(|at| before + at);
        }
        before += BLOCK;
    }
    rest.iter().position(is_it).map(|at| before + at)
}

#[cfg(test)]
mod tests {
    use super::{Frames, LONGEST, Why, arc, position};

    const TINY: &[u8] = b"/ABC5X\r\n\r\n1-0:1.8.0(000001.000*kWh)\r\n!";

    #[test]
    fn a_byte_is_found_wherever_it_is() {
        for length in 0..100 {
            for at in 0..length {
                let mut bytes = vec![b'x'; length];
                bytes[at] = b'/' | 0x80;
                bytes[length - 1] = b'/' | 0x80;
                assert_eq!(position(&bytes, 0x7F, b'/'), Some(at));
                assert_eq!(position(&bytes, 0xFF, b'/'), None);
            }
        }
    }

    #[test]
    fn a_candidate_waits_for_its_digits() {
        let mut frames = Frames::new();
        frames.push(TINY);
        for piece in [&b"4"[..], b"E", b"F"] {
            assert_eq!(frames.candidate(usize::MAX, false), None);
            frames.push(piece);
        }
        frames.push(b"1");
        assert!(frames.candidate(usize::MAX, false).unwrap().unwrap().checked);
        frames.accept();
        assert_eq!(frames.candidate(usize::MAX, false), None);
    }

    #[test]
    fn a_short_checksum_stands_before_the_end_of_a_line() {
        // The first of many telegrams whose checksum has three digits.
        let telegram = |number: u32| format!("/ABC5X\r\n\r\n1-0:1.8.0({number}*kWh)\r\n!").into_bytes();
        let short = |body: &Vec<u8>| (0x100..0x1000).contains(&arc(body));
        let body = (0..).map(telegram).find(short).unwrap();
        let crc = format!("{:X}", arc(&body));
        for (next, good) in [("\r\n", true), ("\n", true), ("\0", true), ("/ABC", false), ("x", false)] {
            let mut frames = Frames::new();
            frames.push(&[&body[..], crc.as_bytes(), next.as_bytes()].concat());
            let outcome = frames.candidate(usize::MAX, false).unwrap();
            assert_eq!(outcome.as_ref().err(), Some(&Why::CrcMissing).filter(|_| !good), "{next:?}");
        }
    }

    #[test]
    fn silence_ends_what_has_begun() {
        let mut frames = Frames::new();
        frames.push(TINY);
        frames.push(b"4ef1");
        assert!(frames.candidate(usize::MAX, true).unwrap().unwrap().checked);
        frames.accept();
        frames.push(&TINY[..20]);
        assert_eq!(frames.candidate(usize::MAX, true), Some(Err(Why::Cut)));
        assert!(frames.refuse());
        assert_eq!(frames.candidate(usize::MAX, true), None);
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut frames = Frames::new();
        frames.push(b"/ABC5");
        frames.push(&[b'x'; 17_000]);
        assert_eq!(frames.candidate(usize::MAX, false), Some(Err(Why::TooLong(LONGEST))));
        assert!(frames.refuse());
        assert_eq!(frames.candidate(usize::MAX, false), None);
        frames.push(b"");
        assert!(frames.buffer.is_empty());
    }
}
