//! Reads and writes frames of HDLC (IEC 62056-46, frame format type 3).
//!
//! ```text
//! 7E | A, S, length: 2 | destination: 1, 2, 4 | source: 1, 2, 4 | control | HCS: 2 | information | FCS: 2 | 7E
//! ```
//!
//! The length counts everything between the flags. Nothing is stuffed: a flag may occur inside. Two frames may share the flag between
//! them, so the one at the end is not taken. HCS and FCS are CRC-16/X-25, low byte first; a frame without information has the FCS alone.

use crate::metering::checksum::x25;
use crate::metering::decoder::Why;

use super::frames::{Begins, Frame};

pub(super) const FLAG: u8 = 0x7E;
/// Before what a server says (IEC 62056-46, logical link control).
pub(super) const LLC: [u8; 3] = [0xE6, 0xE7, 0x00];
/// Frame format type 3.
const FORMAT: u8 = 0xA0;
/// More segments follow.
const SEGMENTED: u8 = 0x08;
/// Of format and length.
const HEAD: usize = 2;
const CRC: usize = 2;
/// The longest that eleven bits can say.
const LONGEST: usize = 0x7FF;

/// What the bytes are, of which the first is a flag.
pub(super) fn begins(bytes: &[u8]) -> Begins {
    let frame = match bytes.get(1..) {
        Some([format, ..]) if format & 0xF0 != FORMAT => return Begins::Nothing,
        Some(frame @ [_, _, ..]) => frame,
        Some(_) | None => return Begins::More { known: false },
    };
    let length = usize::from(frame[0] & 0x07) << 8 | usize::from(frame[1]);
    let Some(header) = header(frame) else {
        // Two addresses of four bytes and a control byte are the most.
        return if frame.len() < HEAD + 9 { Begins::More { known: false } } else { Begins::Nothing };
    };
    if length < header + CRC {
        return Begins::Nothing;
    }
    let has_information = length > header + CRC;
    if has_information {
        if length < header + 2 * CRC {
            return Begins::Nothing;
        }
        match crc(frame, header) {
            Some(Err(why)) => return Begins::Bad { length: 1 + length, why },
            Some(Ok(())) => {}
            None => return Begins::More { known: false },
        }
    }
    match crc(frame, length - CRC) {
        None => Begins::More { known: has_information },
        Some(Err(why)) => Begins::Bad { length: 1 + length, why },
        Some(Ok(())) => {
            let information = frame.get(header + CRC..length - CRC).unwrap_or_default().to_vec();
            let more = frame[0] & SEGMENTED != 0;
            Begins::Whole { length: 1 + length, frame: Frame::Hdlc { more, information } }
        }
    }
}

/// Where the header ends, up to the control byte; nothing where that is not there.
fn header(frame: &[u8]) -> Option<usize> {
    let address = |at: usize| {
        let bytes = frame.get(at..)?;
        // The last byte of an address has the lowest bit set.
        let last = bytes.iter().take(4).position(|byte| byte & 1 == 1)?;
        Some(at + last + 1)
    };
    let end = address(HEAD).and_then(address)? + 1;
    (end <= frame.len()).then_some(end)
}

/// Whether the checksum at that place fits what stands before it; nothing where it is not there yet.
fn crc(frame: &[u8], at: usize) -> Option<Result<(), Why>> {
    let found = frame.get(at..)?.first_chunk::<CRC>()?;
    let (found, expected) = (u16::from_le_bytes(*found), x25(&frame[..at]));
    Some(if found == expected { Ok(()) } else { Err(Why::Crc { found, expected }) })
}

/// Writes a message as frames of HDLC, in segments with at most so many bytes of information each.
pub(super) fn write(apdu: &[u8], most: usize) -> Vec<u8> {
    // Format, one byte of address each, control and two checksums are 9; the first segment has all of the LLC.
    let most = most.clamp(LLC.len(), LONGEST - 9);
    let information = [&LLC, apdu].concat();
    let segments = information.chunks(most);
    let count = segments.len();
    let mut bytes = Vec::new();
    for (number, segment) in segments.enumerate() {
        let segmented = if number + 1 < count { SEGMENTED } else { 0 };
        let [high, low] =
            u16::try_from(HEAD + 3 + CRC + segment.len() + CRC).unwrap_or(u16::MAX).to_be_bytes();
        // From the meter's push setup to the client that listens, unnumbered information.
        let mut frame = vec![FORMAT | segmented | high, low, 0x41, 0x03, 0x13];
        frame.extend(x25(&frame).to_le_bytes());
        frame.extend_from_slice(segment);
        frame.extend(x25(&frame).to_le_bytes());
        bytes.push(FLAG);
        bytes.extend(frame);
        bytes.push(FLAG);
    }
    bytes
}
