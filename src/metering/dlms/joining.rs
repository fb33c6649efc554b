//! Joins messages that come in parts: segments of HDLC, parts of M-Bus, and blocks of general block transfer.

use crate::metering::decoder::Why;

use super::axdr::length;
use super::frames::Frame;
use super::hdlc::LLC;

/// No message of a meter is longer.
const LONGEST: usize = 8 * 1024;
/// `general-block-transfer` (IEC 62056-5-3).
pub(super) const BLOCK: u8 = 0xE0;

/// What must come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// A beginning.
    #[default]
    First,
    /// The next segment of HDLC, which has no number.
    Segment,
    /// The part of this number of M-Bus.
    Part(u8),
}

/// A frame was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    /// The message that is complete with it.
    pub(super) message: Option<Vec<u8>>,
    /// The beginning of a message whose rest never came, or a rest whose beginning did not.
    pub(super) broken: Option<Vec<u8>>,
}

/// Parts of a message of which the last has not come.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<u8>,
    next: Next,
}

impl Parts {
    /// Takes the next frame.
    pub(super) fn take(&mut self, frame: Frame) -> Joined {
        let (part, first, last, follows, next) = match frame {
            // A frame that says nothing is none of a message.
            Frame::Hdlc { information, .. } if information.is_empty() => return Joined::default(),
            Frame::Hdlc { more, mut information } => {
                let has_llc = information.starts_with(&LLC);
                if has_llc {
                    information.drain(..LLC.len());
                }
                // Landis+Gyr sends the second block and those behind it without.
                let block = self.next == Next::First && information.starts_with(&[BLOCK]);
                (information, has_llc || block, !more, Next::Segment, Next::Segment)
            }
            Frame::Mbus { sequence, last, data } => {
                (data, sequence == 0, last, Next::Part(sequence), Next::Part(sequence + 1))
            }
        };
        let mut joined = Joined::default();
        if first {
            joined.broken = (self.next != Next::First).then(|| std::mem::take(&mut self.parts));
            self.parts.clear();
        } else if self.next != follows || self.parts.len() + part.len() > LONGEST {
            self.next = Next::First;
            joined.broken = Some([std::mem::take(&mut self.parts), part].concat());
            return joined;
        }
        self.parts.extend(part);
        self.next = if last { Next::First } else { next };
        joined.message = last.then(|| std::mem::take(&mut self.parts));
        joined
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.parts.capacity()
    }
}

/// Blocks of a message of which the last has not come.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<u8>,
    /// The last block that was taken.
    last: u16,
    open: bool,
}

impl Blocks {
    /// Takes a block, from its tag on: control (bit 7: the last), block number, number of the acknowledged one, length, content. Gives the
    /// message with the last of them. A block that comes again is taken once; a missing one discards all.
    ///
    /// # Errors
    ///
    /// [`Why::Cut`] where blocks are missing, [`Why::TooLong`], and [`Why::Content`].
    pub(super) fn take(&mut self, apdu: &[u8]) -> Result<Option<Vec<u8>>, Why> {
        let [_, control, high, low, _, _, rest @ ..] = apdu else { return Err(Why::Cut) };
        let number = u16::from_be_bytes([*high, *low]);
        let (length, content) = length(rest).ok_or(Why::Cut)?;
        if length != content.len() {
            let what = format!("the block has {} bytes, and says {length}", content.len());
            return Err(Why::Content { at: 6, what });
        }
        match number {
            1 => self.blocks.clear(),
            _ if number == self.last => return Ok(None),
            _ if !self.open || self.last.checked_add(1) != Some(number) => {
                *self = Self::default();
                return Err(Why::Cut);
            }
            _ => {}
        }
        if self.blocks.len() + content.len() > LONGEST {
            *self = Self::default();
            return Err(Why::TooLong(LONGEST));
        }
        self.blocks.extend_from_slice(content);
        self.last = number;
        self.open = control & 0x80 == 0;
        Ok((!self.open).then(|| std::mem::take(&mut self.blocks)))
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.blocks.capacity()
    }
}
