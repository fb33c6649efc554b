//! Finds identifications and blocks in a stream of bytes (IEC 62056-21, 6.3).
//!
//! ```text
//! '/' XXXZ... CR LF               identification, wherever a line ends so: it ends everything that has begun before it
//! STX data ETX BCC                block with a checksum, from the last STX before the ETX
//! SOH command STX data ETX BCC    command of the programming mode
//! identification, lines, '!'      data without a frame (mode A, mode D)
//! ```
//!
//! Everything is looked at once: a refused block ends at its ETX, and what comes behind may begin anew.

use crate::metering::decoder::{Refused, Why};

use super::identification::{IDENTIFICATION, Identification, identification};

/// No block is longer.
pub(super) const LONGEST: usize = 20 * 1024;
/// Undecided bytes beyond this are dropped, oldest first.
const MOST: usize = 2 * LONGEST;
const SOH: u8 = 0x01;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const ACK: u8 = 0x06;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Identification(Identification),
    Block(Block),
    Refused(Refused),
}

/// Data of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Without the marks of the frame.
    pub(super) text: String,
    /// Its checksum was there, and right.
    pub(super) checked: bool,
    /// There were several beginnings before its end: bytes of the first may have become that of the last.
    pub(super) doubtful: bool,
    /// The command, where it is one.
    pub(super) command: Option<[u8; 2]>,
}

/// What has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begun {
    /// Nothing.
    #[default]
    Nothing,
    /// Data without a frame, from here.
    Lines { from: usize },
    /// A command, whose letters stand here.
    Command { from: usize },
    /// A block: the checksum is over everything from here, the data stand from there.
    Block { from: usize, data: usize, doubtful: bool },
}

/// Bytes that are not decided yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Everything before this was looked at.
    scanned: usize,
    /// Where the line begins.
    line: usize,
    begun: Begun,
    /// Nothing more will come of what has begun.
    ended: bool,
    /// Data without a frame may end with more than `!`: wait for what comes next, or for silence.
    pub(super) patient: bool,
    /// Blocks with a wrong checksum are taken as those without one.
    pub(super) ignore_bcc: bool,
}

impl Frames {
    /// Takes bytes; the eighth bit is that of parity.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        let bytes = &bytes[bytes.len().saturating_sub(MOST)..];
        if self.buffer.len() + bytes.len() > MOST {
            self.clear();
        }
        let needed = self.buffer.len() + bytes.len();
        if needed > self.buffer.capacity() {
            let room = needed.next_power_of_two().min(MOST);
            self.buffer.reserve_exact(room - self.buffer.len());
        }
        self.buffer.extend(bytes.iter().map(|byte| byte & 0x7F));
    }

    /// Nothing more comes of what has begun.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        (self.scanned, self.line, self.begun) = (0, 0, Begun::Nothing);
    }

    /// A frame has begun, and is not complete.
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self.begun, Begun::Nothing)
    }

    /// The next identification, block, or what was no good one.
    pub(super) fn next(&mut self) -> Option<Found> {
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            let at = self.scanned;
            self.scanned += 1;
            let found = match byte {
                SOH => self.begin(Begun::Command { from: at + 1 }),
                STX => self.begin_block(at),
                ETX => {
                    if at + 1 == self.buffer.len() && !self.ended && self.has_begun() {
                        // The checksum is to come.
                        self.scanned = at;
                        break;
                    }
                    self.end_of_block(at)
                }
                b'\r' | b'\n' => self.end_of_line(at),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
            if self.is_too_long() {
                return Some(self.refuse(Why::TooLong(LONGEST), self.scanned));
            }
        }
        if self.ended && self.has_begun() {
            return self.broken_off(self.buffer.len());
        }
        self.tidy();
        None
    }

    /// Where what has begun stands.
    fn start(&self) -> usize {
        match self.begun {
            Begun::Nothing => self.line,
            Begun::Lines { from } | Begun::Command { from } => from,
            Begun::Block { data, .. } => data,
        }
    }

    fn is_too_long(&self) -> bool {
        self.has_begun() && self.scanned - self.start() > LONGEST
    }

    /// Beside what has begun only the line matters, and no more of it than an identification may have.
    fn tidy(&mut self) {
        let line = self.line.max(self.scanned.saturating_sub(IDENTIFICATION));
        let needed = match self.begun {
            Begun::Nothing => line,
            Begun::Block { from, .. } | Begun::Lines { from } | Begun::Command { from } => from.min(line),
        };
        self.forget(needed);
    }

    /// Drops the bytes before this place.
    fn forget(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count);
        self.scanned = self.scanned.saturating_sub(count);
        self.line = self.line.saturating_sub(count);
        match &mut self.begun {
            Begun::Nothing => {}
            Begun::Lines { from } | Begun::Command { from } => *from = from.saturating_sub(count),
            Begun::Block { from, data, .. } => {
                *from = from.saturating_sub(count);
                *data = data.saturating_sub(count);
            }
        }
    }

    /// What stands before this place is done with, and nothing has begun.
    fn done(&mut self, until: usize) {
        self.begun = Begun::Nothing;
        (self.scanned, self.line) = (until, until);
    }

    /// Gives up what has begun; another may begin from this place on.
    fn refuse(&mut self, why: Why, until: usize) -> Found {
        let refused = Refused::new(why, &self.buffer[self.start().min(until)..until]);
        self.done(until);
        Found::Refused(refused)
    }

    const fn begin(&mut self, begun: Begun) -> Option<Found> {
        self.begun = begun;
        None
    }

    const fn begin_block(&mut self, at: usize) -> Option<Found> {
        let data = at + 1;
        self.begun = match self.begun {
            // A command has two letters before its data.
            Begun::Command { from } if from + 2 == at => Begun::Block { from, data, doubtful: false },
            Begun::Block { .. } => Begun::Block { from: data, data, doubtful: true },
            Begun::Nothing | Begun::Lines { .. } | Begun::Command { .. } => {
                Begun::Block { from: data, data, doubtful: false }
            }
        };
        None
    }

    /// The checksum stands behind this place, unless the line is silent.
    fn end_of_block(&mut self, at: usize) -> Option<Found> {
        let (from, data, doubtful) = match self.begun {
            Begun::Block { from, data, doubtful } => (from, data, doubtful),
            // A command without data, as the end of the programming mode.
            Begun::Command { from } if from + 2 == at => (from, at, false),
            Begun::Command { .. } => {
                self.begun = Begun::Nothing;
                return None;
            }
            // The beginning of a block is lost.
            Begun::Lines { .. } if self.patient => return Some(self.refuse(Why::Cut, at + 1)),
            Begun::Nothing | Begun::Lines { .. } => return None,
        };
        let Some(found) = self.buffer.get(at + 1).copied() else {
            return Some(self.refuse(Why::Cut, at + 1));
        };
        let expected = bcc(&self.buffer[from..=at]);
        if expected != found && !self.ignore_bcc {
            let why = Why::Crc { found: found.into(), expected: expected.into() };
            // What looked like the checksum may be a beginning.
            return Some(self.refuse(why, at + 1));
        }
        let command = match self.buffer.get(from..from + 2) {
            Some(&[first, second]) if from + 2 < data || data == at && from + 2 == at => {
                Some([first, second])
            }
            _ => None,
        };
        let text = text(&self.buffer[data..at]);
        let checked = expected == found;
        self.done(at + 2);
        Some(Found::Block(Block { text, checked, doubtful, command }))
    }

    /// A line may be an identification, or the end of data without a frame.
    fn end_of_line(&mut self, at: usize) -> Option<Found> {
        let line = self.line.max(at.saturating_sub(IDENTIFICATION));
        self.line = at + 1;
        if let Some((start, identification)) = identification(&self.buffer[line..at]) {
            if self.has_begun()
                && self.buffer[self.start()..line + start].iter().any(|b| !b.is_ascii_whitespace())
            {
                // What has begun before ends there; then this line is read again.
                return self.broken_off(line + start);
            }
            self.done(at + 1);
            self.begun = Begun::Lines { from: at + 1 };
            return Some(Found::Identification(identification));
        }
        let Begun::Lines { from } = self.begun else { return None };
        if self.buffer.get(line) == Some(&ACK) {
            // The echo of our own acknowledgement.
            self.begun = Begun::Lines { from: at + 1 };
        } else if !self.patient && self.buffer[from..at].ends_with(b"!") && is_over(&self.buffer[from..at]) {
            return self.broken_off(at + 1);
        }
        None
    }

    /// What has begun does not go on: it is whole where its `!` has come, and cut otherwise.
    fn broken_off(&mut self, until: usize) -> Option<Found> {
        let start = self.start().min(until);
        let body = &self.buffer[start..until];
        let is_data = matches!(self.begun, Begun::Lines { .. } | Begun::Block { .. });
        if is_data && is_over(body) {
            let (text, doubtful) = (text(body), matches!(self.begun, Begun::Block { doubtful: true, .. }));
            self.done(until);
            return Some(Found::Block(Block { text, checked: false, doubtful, command: None }));
        }
        // At a wrong speed there is nothing but noise.
        let is_noise = self.patient && matches!(self.begun, Begun::Lines { .. }) && !body.contains(&b'(');
        if is_noise || body.iter().all(u8::is_ascii_whitespace) {
            self.done(until);
            return None;
        }
        Some(self.refuse(Why::Cut, until))
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }
}

/// Data end with `!`, at the beginning of a line or behind the last set.
fn is_over(data: &[u8]) -> bool {
    matches!(data.trim_ascii_end(), [.., b'\r' | b'\n' | b')', b'!'])
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The block check character: the exclusive or of all bytes, of seven bits.
pub(super) fn bcc(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |bcc, byte| bcc ^ byte)
}

#[cfg(test)]
mod tests {
    use super::{Block, Found, Frames, LONGEST, MOST, Why, bcc};

    fn all(bytes: &[u8], piece: usize, patient: bool) -> Vec<Found> {
        let mut frames = Frames { patient, ..Frames::default() };
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.push(piece);
            found.extend(std::iter::from_fn(|| frames.next()));
        }
        frames.end();
        found.extend(std::iter::from_fn(|| frames.next()));
        found
    }

    /// The texts of the blocks, and reasons.
    fn told(bytes: &[u8]) -> Vec<String> {
        let shown = |found: &Found| match found {
            Found::Identification(identification) => format!("{:?}", identification.mode),
            Found::Block(block) => format!("{}{}", if block.checked { "" } else { "?" }, block.text.trim()),
            Found::Refused(refused) => refused.to_string(),
        };
        let whole = all(bytes, bytes.len(), true);
        for piece in [1, 7, 64] {
            assert_eq!(all(bytes, piece, true), whole, "in pieces of {piece}");
        }
        whole.iter().map(shown).collect()
    }

    fn block(text: &str) -> Vec<u8> {
        let mut body = [text.as_bytes(), b"\x03"].concat();
        body.push(bcc(&body));
        [b"\x02", &body[..]].concat()
    }

    #[test]
    fn a_block_is_good_with_its_checksum_alone() {
        let mut bytes = block("1.8.0(5)\r\n!\r\n");
        let good = Block { text: "1.8.0(5)\r\n!\r\n".into(), checked: true, doubtful: false, command: None };
        assert_eq!(all(&bytes, 1, true), [Found::Block(good)]);
        let parity: Vec<u8> =
            bytes.iter().map(|byte| byte | u8::from(byte.count_ones() % 2 == 1) << 7).collect();
        assert_eq!(told(&parity), told(&bytes), "the eighth bit is that of parity");
        bytes[3] ^= 1;
        assert_eq!(told(&bytes), ["checksum is 002F, expected 002E"]);
    }

    #[test]
    fn a_good_block_inside_or_behind_a_bad_one_is_found() {
        let good = block("1.8.0(5)\r\n!\r\n");
        let mut wrong = good.clone();
        wrong[2] ^= 0x10;
        for bad in
            [&good[..6], &wrong, b"\x02\x02", b"\x01", b"\x01R1\x02", b"\x03\x02", b"/", b"/AB", b"\x02/"]
        {
            let bytes = [bad, &good[..]].concat();
            assert!(told(&bytes).contains(&"1.8.0(5)\r\n!".to_owned()), "{bad:?}: {:?}", told(&bytes));
        }
        let before = [&good[..9], b"/ABC5X\r\n", &good[..]].concat();
        assert_eq!(told(&before), ["it broke off", "C(53, 9600)", "1.8.0(5)\r\n!"]);
    }

    #[test]
    fn commands_have_their_letters() {
        let command = |bytes: &[u8]| match &all(bytes, 1, true)[..] {
            [Found::Block(block)] => (block.command, block.text.clone()),
            other => panic!("{other:?}"),
        };
        let mut prompt = b"\x01P0\x02(12)\x03".to_vec();
        prompt.push(bcc(&prompt[1..]));
        assert_eq!(command(&prompt), (Some(*b"P0"), "(12)".into()));
        assert_eq!(command(b"\x01B0\x03q"), (Some(*b"B0"), String::new()));
        assert_eq!(command(&block("ab(1)")), (None, "ab(1)".into()));
        assert_eq!(command(&block("ab")), (None, "ab".into()));
    }

    #[test]
    fn data_without_a_frame_end_with_their_mark() {
        let lines = b"/ABC5X\r\n\r\n1.8.0(a/ABCd)\r\n!\r\n";
        assert_eq!(told(lines), ["C(53, 9600)", "?1.8.0(a/ABCd)\r\n!"]);
        let twice = [&lines[..], lines].concat();
        for patient in [false, true] {
            assert_eq!(all(&twice, 7, patient).len(), 4);
        }
        let mut frames = Frames::default();
        frames.push(lines);
        frames.next();
        assert!(matches!(frames.next(), Some(Found::Block(_))), "a meter that is not patient does not wait");
        assert_eq!(told(&lines[..20]), ["C(53, 9600)", "it broke off"]);
        assert_eq!(
            told(b"/ABC5X\r\n1.8.0(5)\r\n!\r\n\x03x"),
            ["C(53, 9600)", "it broke off"],
            "its STX is lost"
        );
        assert_eq!(told(b"/ABC5X\r\n\x06050\r\n1.8.0(5)\r\n!\r\n"), ["C(53, 9600)", "?1.8.0(5)\r\n!"]);
        assert_eq!(told(b"\x021.8.0(5)\r\n!\r\n"), ["?1.8.0(5)\r\n!"], "neither ETX nor checksum");
    }

    #[test]
    fn the_time_it_takes_is_that_of_the_bytes() {
        let hostile: [&[u8]; 6] = [b"\x02\x03x", b"/ABC5\r\n(", b"\r", b"!\r", b"/ABC", b"\x01"];
        for pattern in hostile {
            let mut frames = Frames::default();
            // Every byte is looked at a few times; were it every byte for every byte, this would take minutes.
            for _ in 0..100 {
                frames.push(b"/ABC5\r\n");
                frames.push(&pattern.repeat(LONGEST / pattern.len()));
                while frames.next().is_some() {}
                assert!(frames.held() <= MOST);
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_what_never_ends_is_given_up() {
        let mut frames = Frames::default();
        frames.push(&vec![b'x'; 3 * MOST]);
        assert!(frames.next().is_none() && frames.buffer.len() < 100);
        for begin in [&b"\x02"[..], b"/ABC5\r\n", b"\x01"] {
            let mut refused = 0;
            frames.push(begin);
            for _ in 0..3 * MOST / 100 {
                frames.push(&[b'y'; 100]);
                let found = std::iter::from_fn(|| frames.next());
                refused += found
                    .filter(|found| matches!(found, Found::Refused(r) if r.why == Why::TooLong(LONGEST)))
                    .count();
                assert!(frames.held() <= MOST);
            }
            assert_eq!(refused, 1);
        }
    }
}
