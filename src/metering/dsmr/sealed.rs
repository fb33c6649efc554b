//! Finds encrypted telegrams in a stream of bytes: `general-glo-ciphering` around a telegram's text, as Luxembourg and Austria send it.
//!
//! ```text
//! DB 08 | system title, 8 | length, 1 to 3 | security byte | frame counter, 4 | text, encrypted | tag, 12
//!                                          '---------------------- length ----------------------------'
//! ```
//!
//! Only the tag says that a frame is one, and a damaged length may reach over good frames behind it. So frames are tried in the order of
//! their ends, whatever they lie in: a good one ends those that had begun before it. Each is tried once, and no byte belongs to more
//! than [`MOST`] that are.

use std::ops::Range;

use super::frame::{LONGEST, position};

/// `general-glo-ciphering` and the length of a system title.
const BEGIN: [u8; 2] = [0xDB, 8];
/// Where the length stands.
const LENGTH: usize = 10;
/// A security byte, a frame counter, a tag, and a telegram that says something are not shorter.
const SHORTEST: usize = 64;
/// So many frames that have begun are remembered, the last ones.
const MOST: usize = 64;
/// Up to the security byte.
const HEADER: usize = 14;

/// Frames that have begun and are not decided yet, in the order of their starts. All places are those of the buffer.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    begun: Vec<Range<usize>>,
    /// What stands before this and in no frame that has begun is text.
    scanned: usize,
    /// Up to here a refusal was told.
    told: usize,
}

/// What the first bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// They are not all here.
    Short,
    /// It is none.
    None,
    /// It is so long, with its header.
    Length(usize),
}

impl Sealed {
    /// The next frame that is whole. `ended`: nothing more will come of what has begun. It is the same one until it was accepted or
    /// refused.
    pub(super) fn whole(&mut self, buffer: &[u8], ended: bool) -> Option<Range<usize>> {
        loop {
            let first = self.begun.iter().min_by_key(|frame| frame.end).cloned();
            let end = first.as_ref().map_or(usize::MAX, |frame| frame.end);
            let from = self.scanned.min(buffer.len());
            let start = position(&buffer[from..], 0xFF, BEGIN[0]).map(|at| from + at);
            // A frame that ends before this one could be known comes first.
            match start.filter(|start| start + HEADER <= end) {
                Some(start) => match header(&buffer[start..]) {
                    Header::Short if !ended => {
                        self.scanned = start;
                        return None;
                    }
                    Header::Length(length) => {
                        if self.begun.len() == MOST {
                            self.begun.remove(0);
                        }
                        self.begun.push(start..start + length);
                        self.scanned = start + 1;
                    }
                    Header::Short | Header::None => self.scanned = start + 1,
                },
                None if end <= buffer.len() => return first,
                None => {
                    self.scanned = start.unwrap_or(buffer.len());
                    return None;
                }
            }
        }
    }

    /// Up to here the bytes are text, as far as is known.
    pub(super) fn text_until(&self) -> usize {
        self.begun.first().map_or(self.scanned, |frame| frame.start.min(self.scanned))
    }

    /// The frame was a good one. A frame that has begun before it was none then; gives the first of those, if that is worth telling.
    pub(super) fn accept(&mut self, frame: &Range<usize>) -> Option<Range<usize>> {
        let broken = self.begun.first().map(|first| first.start..frame.start);
        let broken = broken.filter(|broken| broken.start < broken.end && broken.start >= self.told);
        self.begun.clear();
        (self.scanned, self.told) = (frame.end, self.told.max(frame.start));
        broken
    }

    /// The frame was none. Whether that is worth telling, which it is once for the same bytes.
    pub(super) fn refuse(&mut self, frame: &Range<usize>) -> bool {
        self.begun.retain(|begun| begun != frame);
        let first = frame.start >= self.told;
        self.told = self.told.max(frame.end);
        first
    }

    /// A frame has begun and is not decided yet.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Nothing more will come of the frames that have begun; gives the first, if that is worth telling.
    pub(super) fn give_up(&mut self, length: usize) -> Option<Range<usize>> {
        let first = self.begun.first()?.start;
        self.begun.clear();
        let worth = first >= self.told;
        self.told = length;
        worth.then_some(first..length)
    }

    /// So many bytes were taken from the beginning of the buffer.
    pub(super) fn forget(&mut self, count: usize) {
        self.begun.retain(|frame| frame.start >= count);
        for frame in &mut self.begun {
            (frame.start, frame.end) = (frame.start - count, frame.end - count);
        }
        (self.scanned, self.told) = (self.scanned.saturating_sub(count), self.told.saturating_sub(count));
    }
}

/// Reads the first bytes of a frame.
fn header(bytes: &[u8]) -> Header {
    if !bytes.iter().zip(BEGIN).all(|(byte, begin)| *byte == begin) {
        return Header::None;
    }
    // Lengths in one, two or three bytes (ISO/IEC 8825-1).
    let (content, at) = match bytes.get(LENGTH..) {
        None | Some([] | [0x81] | [0x82] | [0x82, _]) => return Header::Short,
        Some([short @ ..=0x7F, ..]) => (usize::from(*short), LENGTH + 1),
        Some([0x81, short, ..]) => (usize::from(*short), LENGTH + 2),
        Some([0x82, high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), LENGTH + 3),
        Some(_) => return Header::None,
    };
    if !(SHORTEST..=LONGEST).contains(&content) {
        return Header::None;
    }
    // Encrypted, authenticated, or both, by AES-128.
    match bytes.get(at) {
        None => Header::Short,
        Some(security) if security & 0x30 != 0 && security & 0x8E == 0 => Header::Length(at + content),
        Some(_) => Header::None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, MOST, Sealed, header};

    /// A frame of that length behind its header, of bytes that are no other one's.
    fn frame(content: u16) -> Vec<u8> {
        let mut frame = vec![0xDB, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x82];
        frame.extend(content.to_be_bytes());
        frame.push(0x30);
        frame.resize(13 + usize::from(content), 0xAA);
        frame
    }

    #[test]
    fn lengths_are_read_in_all_their_forms_and_must_be_possible() {
        let with = |length: &[u8], security: u8| {
            header(&[&[0xDB, 8, 1, 2, 3, 4, 5, 6, 7, 8], length, &[security]].concat())
        };
        assert_eq!(with(&[0x40], 0x30), Header::Length(11 + 64));
        assert_eq!(with(&[0x81, 0xC8], 0x20), Header::Length(12 + 200));
        assert_eq!(with(&[0x82, 0x40, 0x00], 0x11), Header::Length(13 + 16_384));
        for (length, security) in [
            (&[0x3F][..], 0x30),
            (&[0x82, 0x40, 0x01], 0x30),
            (&[0x83, 0, 1, 0], 0x30),
            (&[0x80], 0x30),
            (&[0x40], 0x00),
            (&[0x40], 0x40),
            (&[0x40], 0x32),
            (&[0x40], 0xB0),
        ] {
            assert_eq!(with(length, security), Header::None, "{length:?}");
        }
        for end in 0..13 {
            assert_eq!(header(&frame(100)[..end]), Header::Short, "{end}");
        }
        assert_eq!((header(&[0xDB, 9]), header(&[0xDA])), (Header::None, Header::None));
    }

    #[test]
    fn what_stands_before_a_frame_is_text() {
        let mut sealed = Sealed::default();
        let bytes = [&b"text\xDB text"[..], &frame(100), b"more"].concat();
        for length in 0..bytes.len() {
            let whole = sealed.whole(&bytes[..length], false);
            assert_eq!(whole, (length >= 123).then_some(10..123), "{length}");
            assert_eq!(sealed.text_until(), if length == 5 { 4 } else { length.min(10) });
        }
        assert_eq!(sealed.accept(&(10..123)), None);
        assert_eq!((sealed.whole(&bytes, false), sealed.text_until()), (None, bytes.len()));
    }

    #[test]
    fn frames_are_tried_in_the_order_of_their_ends() {
        let outer = [&frame(1_000)[..50], &frame(100), &frame(200), &[0; 1_000]].concat();
        let mut sealed = Sealed::default();
        assert_eq!(sealed.whole(&outer, false), Some(50..163));
        assert_eq!(sealed.whole(&outer, false), Some(50..163), "until it is decided");
        assert!(sealed.refuse(&(50..163)));
        assert_eq!(sealed.whole(&outer, false), Some(163..376));
        assert_eq!(sealed.text_until(), 0);
        let mut other = Sealed { begun: sealed.begun.clone(), ..Sealed::default() };
        assert_eq!(other.accept(&(163..376)), Some(0..163), "what had begun before is broken off");
        assert!(sealed.refuse(&(163..376)));
        assert_eq!(sealed.whole(&outer, false), Some(0..1_013));
        assert!(!sealed.refuse(&(0..1_013)), "the same bytes are told of once");
        assert_eq!((sealed.whole(&outer, false), sealed.text_until()), (None, outer.len()));
    }

    #[test]
    fn what_looks_like_a_beginning_at_the_end_of_a_frame_delays_nothing() {
        for at in 101..=113 {
            let mut bytes = frame(100);
            bytes.truncate(at);
            bytes.extend([0xDB, 8]);
            bytes.resize(113.max(at + 2), 0xAA);
            for length in [113, bytes.len()] {
                assert_eq!(Sealed::default().whole(&bytes[..length], false), Some(0..113), "{at}");
            }
        }
    }

    #[test]
    fn what_ends_in_silence_is_given_up() {
        let mut sealed = Sealed::default();
        let bytes = [&frame(100)[..50], &frame(100)[..60], b"\xDB\x08"].concat();
        assert_eq!((sealed.whole(&bytes, false), sealed.text_until()), (None, 0));
        assert_eq!(sealed.whole(&bytes, true), None);
        assert_eq!(sealed.give_up(bytes.len()), Some(0..bytes.len()));
        assert_eq!(sealed.whole(&bytes, true), None);
        assert_eq!((sealed.give_up(bytes.len()), sealed.text_until()), (None, bytes.len()));
    }

    #[test]
    fn no_more_frames_are_remembered_than_a_byte_may_belong_to() {
        let mut sealed = Sealed::default();
        let bytes = frame(16_384)[..14].repeat(1_000);
        assert_eq!(sealed.whole(&bytes, false), None);
        assert_eq!(sealed.begun.len(), MOST);
        assert_eq!(sealed.begun.last().map(|frame| frame.start), Some(13_986));
        sealed.forget(13_986);
        assert_eq!((sealed.begun.len(), sealed.begun.first(), sealed.scanned), (1, Some(&(0..16_397)), 14));
    }
}
