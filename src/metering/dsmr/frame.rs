//! Finds telegrams in a stream of bytes.
//!
//! ```text
//! hunt for '/' + three letters -> body up to '!' at a line start -> checksum digits -> candidate
//!                                                                       accept: exactly its bytes are taken out
//!                                                                       refuse: only its '/' is, and the hunt goes on inside
//! ```
//!
//! Going on *inside* a refused candidate is what saves the good telegram behind a cut one.

/// No telegram is longer.
const LONGEST: usize = 16 * 1024;
/// The maker's letters after the slash.
const LETTERS: usize = 3;
const DIGITS: usize = 4;

/// Why bytes were no good telegram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("checksum is {found:04X}, expected {expected:04X}")]
    Crc { found: u16, expected: u16 },
    #[error("checksum is missing")]
    CrcMissing,
    #[error("no end after {LONGEST} bytes")]
    TooLong,
    #[error("it broke off")]
    Cut,
    #[error("line {number} is unreadable: \"{text}\"")]
    Line { number: usize, text: String },
}

/// A telegram as it stood in the stream, from `/` to `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    /// Its checksum was there, and right.
    pub(super) checked: bool,
}

/// Bytes that are not decided yet; at the front stands a `/`, or nothing at all.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Up to here there is no end.
    scanned: usize,
    /// Length of the candidate that was handed out.
    candidate: usize,
}

/// Meters of 7 bits and even parity, read as 8 bits, show the parity in the eighth.
const fn plain(byte: u8) -> u8 {
    byte & 0x7F
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next candidate or refusal; call [`Frames::accept`] or [`Frames::refuse`] before the next. `ended`: nothing more will come
    /// of what has begun.
    pub(super) fn candidate(&mut self, ended: bool) -> Option<Result<Frame, Refused>> {
        self.hunt();
        if self.buffer.is_empty() {
            return None;
        }
        let Some(end) = self.end() else {
            if self.buffer.len() > LONGEST {
                return Some(Err(Refused::TooLong));
            }
            return ended.then_some(Err(Refused::Cut));
        };
        let after = &self.buffer[end + 1..];
        let digits = after.iter().take(DIGITS).take_while(|byte| plain(**byte).is_ascii_hexdigit()).count();
        if digits < DIGITS && digits == after.len() && !ended {
            return None;
        }
        self.candidate = end + 1 + digits;
        Some(check(&self.buffer[..=end], &after[..digits]))
    }

    /// Drops everything before the next possible start.
    fn hunt(&mut self) {
        let is_start = |at: usize| {
            let letters = self.buffer.iter().skip(at + 1).take(LETTERS);
            plain(self.buffer[at]) == b'/'
                && letters.map(|byte| plain(*byte)).all(|b| b.is_ascii_alphabetic())
        };
        let start = (0..self.buffer.len()).find(|at| is_start(*at)).unwrap_or(self.buffer.len());
        if start > 0 {
            self.buffer.drain(..start);
            self.scanned = self.scanned.saturating_sub(start);
        }
    }

    /// Where the `!` stands that ends the body.
    fn end(&mut self) -> Option<usize> {
        let from = self.scanned.max(1);
        let searched = self.buffer.len().min(LONGEST);
        let found = (from..searched).find(|at| {
            plain(self.buffer[*at]) == b'!' && matches!(plain(self.buffer[at - 1]), b'\r' | b'\n')
        });
        self.scanned = found.unwrap_or(searched);
        found
    }

    /// The candidate was good: its bytes are done with.
    pub(super) fn accept(&mut self) {
        self.buffer.drain(..self.candidate);
        self.scanned = 0;
    }

    /// It was not: another telegram may begin inside it.
    pub(super) fn refuse(&mut self) {
        self.buffer.remove(0);
        self.scanned = self.scanned.saturating_sub(1);
    }
}

fn check(body: &[u8], digits: &[u8]) -> Result<Frame, Refused> {
    let stripped = || body.iter().copied().map(plain).collect::<Vec<_>>();
    if digits.is_empty() {
        // Where every byte has even parity, the eighth bit is that.
        let parity = body.iter().all(|byte| byte.count_ones() % 2 == 0);
        return Ok(Frame { bytes: if parity { stripped() } else { body.to_vec() }, checked: false });
    }
    // Meters leave out leading zeros, and write either case.
    let digit = |byte: &u8| char::from(plain(*byte)).to_digit(16).unwrap_or(0);
    let found = digits.iter().fold(0, |crc, byte| crc << 4 | digit(byte));
    let found = u16::try_from(found).unwrap_or(u16::MAX);
    let expected = crc16_arc(body);
    if expected == found {
        return Ok(Frame { bytes: body.to_vec(), checked: true });
    }
    let bytes = stripped();
    if crc16_arc(&bytes) == found {
        return Ok(Frame { bytes, checked: true });
    }
    Err(Refused::Crc { found, expected })
}

/// CRC-16/ARC, over everything from `/` to `!` (DSMR 4 and later, section 6.2).
pub(in crate::metering) fn crc16_arc(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = table();
    bytes.iter().fold(0, |crc, byte| (crc >> 8) ^ TABLE[usize::from((crc ^ u16::from(*byte)) & 0xFF)])
}

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut value = 0_u16;
    while value < 256 {
        let mut crc = value;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        table[value as usize] = crc;
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Frames, Refused, crc16_arc};

    const TINY: &[u8] = b"/ABC5X\r\n\r\n1-0:1.8.0(000001.000*kWh)\r\n!";

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!((crc16_arc(b"123456789"), crc16_arc(TINY)), (0xBB3D, 0x4EF1));
    }

    #[test]
    fn a_candidate_waits_for_its_digits() {
        let mut frames = Frames::default();
        frames.push(TINY);
        for piece in [&b"4"[..], b"E", b"F"] {
            assert_eq!(frames.candidate(false), None);
            frames.push(piece);
        }
        frames.push(b"1");
        assert!(frames.candidate(false).unwrap().unwrap().checked);
        frames.accept();
        assert_eq!(frames.candidate(false), None);
    }

    #[test]
    fn silence_ends_what_has_begun() {
        let mut frames = Frames::default();
        frames.push(TINY);
        frames.push(b"4ef1");
        assert!(frames.candidate(true).unwrap().unwrap().checked);
        frames.accept();
        frames.push(&TINY[..20]);
        assert_eq!(frames.candidate(true), Some(Err(Refused::Cut)));
        frames.refuse();
        assert_eq!(frames.candidate(true), None);
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut frames = Frames::default();
        frames.push(b"/ABC5");
        frames.push(&[b'x'; 17_000]);
        assert_eq!(frames.candidate(false), Some(Err(Refused::TooLong)));
        frames.refuse();
        assert_eq!(frames.candidate(false), None);
        assert!(frames.buffer.is_empty());
    }
}
