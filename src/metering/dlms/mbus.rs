//! Reads long frames of the wired M-Bus that carry a message in parts (EN 13757-3, CI 00 to 1F: DLMS-based application).
//!
//! ```text
//! 68 L L 68 | control 53 | address | CI | 01 | 67 | data | sum | 16
//!           '------------------ L ----------------'
//! ```
//!
//! The low four bits of CI number the parts from 0, bit 10 marks the last. The two bytes behind it name the access points of server and
//! client.

use crate::metering::decoder::Why;

use super::frames::{Begins, Frame};

pub(super) const START: u8 = 0x68;
const STOP: u8 = 0x16;
/// Two starts and two lengths.
const HEAD: usize = 4;
/// Control, address, CI, and the two access points.
const BEFORE: usize = 5;
/// Bit of the last part.
const LAST: u8 = 0x10;

/// What the bytes are, of which the first is a start.
pub(super) fn begins(bytes: &[u8]) -> Begins {
    let length = match bytes {
        [_, length, again, ..] if length != again || usize::from(*length) < BEFORE => return Begins::Nothing,
        [_, _, _, start, ..] if *start != START => return Begins::Nothing,
        // What a meter sends by itself is "send user data", with either value of the frame count bit.
        [_, _, _, _, control, ..] if !matches!(control, 0x53 | 0x73) => return Begins::Nothing,
        [_, length, _, _, _, ..] => usize::from(*length),
        _ => return Begins::More { known: false },
    };
    let whole = HEAD + length + 2;
    let Some([content @ .., found, stop]) = bytes.get(HEAD..whole) else {
        return Begins::More { known: true };
    };
    let expected = content.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if *found != expected {
        return Begins::Bad {
            length: whole,
            why: Why::Crc { found: (*found).into(), expected: expected.into() },
        };
    }
    let wrong = |at, what: String| Begins::Bad { length: whole, why: Why::Content { at, what } };
    if *stop != STOP {
        return wrong(whole - 1, format!("the frame ends with {stop:02X}, not with 16"));
    }
    let [_, _, control, _, _, data @ ..] = content else { return Begins::Nothing };
    if control & 0xE0 != 0 {
        return wrong(HEAD + 2, format!("CI {control:02X} is none of a DLMS message"));
    }
    let frame = Frame::Mbus { sequence: control & 0x0F, last: control & LAST != 0, data: data.to_vec() };
    Begins::Whole { length: whole, frame }
}
