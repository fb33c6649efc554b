//! Finds frames in a stream of bytes: HDLC and M-Bus, whichever come.
//!
//! A frame that is refused is searched for others inside: the hunt goes on one byte behind its beginning. A frame of HDLC is waited for
//! only if the checksum of its header fits, so that no damaged length holds up what follows; one of M-Bus is short.

use crate::metering::decoder::{Refused, Why};

use super::{hdlc, mbus};

/// Undecided bytes beyond this are dropped, oldest first: several of the longest frames.
const MOST: usize = 16 * 1024;

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The information field; `more`: it is a segment, and not the last.
    Hdlc { more: bool, information: Vec<u8> },
    /// The part of that number of a message.
    Mbus { sequence: u8, last: bool, data: Vec<u8> },
}

/// What begins at a byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// No frame.
    Nothing,
    /// Perhaps a frame, which is not all there; `known`: its header says that it is one.
    More { known: bool },
    /// A frame of so many bytes.
    Whole { length: usize, frame: Frame },
    /// A frame of so many bytes that is damaged, or says what none says.
    Bad { length: usize, why: Why },
}

/// Bytes that are not decided yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// What stands before this is done with.
    head: usize,
    /// Up to here a refusal was told.
    told: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MOST)..];
        let over = (self.buffer.len() + bytes.len()).saturating_sub(MOST);
        let done = self.head.max(over);
        self.buffer.drain(..done);
        self.head = 0;
        self.told = self.told.saturating_sub(done);
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or what was no good one. `ended`: nothing more will come of what has begun.
    pub(super) fn next(&mut self, ended: bool) -> Option<Result<Frame, Refused>> {
        loop {
            let rest = self.buffer.get(self.head..)?;
            let Some(skipped) = rest.iter().position(|byte| matches!(*byte, hdlc::FLAG | mbus::START)) else {
                self.head = self.buffer.len();
                return None;
            };
            self.head += skipped;
            let bytes = &rest[skipped..];
            let begins = if bytes[0] == hdlc::FLAG { hdlc::begins(bytes) } else { mbus::begins(bytes) };
            let (length, why) = match begins {
                Begins::Whole { length, frame } => {
                    self.head += length;
                    return Some(Ok(frame));
                }
                Begins::More { .. } if !ended => return None,
                Begins::More { known: true } => (bytes.len(), Why::Cut),
                Begins::Bad { length, why } => (length.min(bytes.len()), why),
                Begins::More { known: false } | Begins::Nothing => {
                    self.head += 1;
                    continue;
                }
            };
            let refused = Refused::new(why, &bytes[..length]);
            let first = self.head >= self.told;
            self.told = self.told.max(self.head + length);
            self.head += 1;
            if first {
                return Some(Err(refused));
            }
        }
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }
}
