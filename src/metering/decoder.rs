//! Says what every decoder of a meter's protocol can do.

use std::fmt;

use crate::time::Span;

use super::ciphered::CounterGuard;
use super::telegram::Telegram;

/// Turns the bytes of a line into telegrams. It does no input or output: whoever has the line does what [`Decoder::act`] says.
///
/// Whatever the bytes are, it gives the same telegrams for the same bytes in pieces of any size, finds the good frame inside or behind
/// a bad one, keeps a bounded number of bytes, and never panics.
pub(crate) trait Decoder: fmt::Debug + Send {
    /// Takes bytes as they come from the line; ask for [`Decoder::next`] until there is nothing more before the next piece.
    fn push(&mut self, bytes: &[u8]);

    /// The line has been silent for so long that a frame that has begun will not go on.
    fn quiet(&mut self);

    /// The next telegram, or what was no good one.
    fn next(&mut self) -> Option<Result<Telegram, Refused>>;

    /// The last telegram as it came; `None` where the decoder does not keep that.
    fn raw(&self) -> Option<&RawTelegram> {
        None
    }

    /// What is to be done at the line now, by the monotonic clock; ask again after it was done, after each piece of bytes, and when the
    /// time has come. Meters that speak by themselves are only listened to.
    fn act(&mut self, _now: Span) -> Act {
        Act::Listen
    }

    /// The frame counters of what was encrypted, to be kept for the next run; `None` where nothing is encrypted.
    fn counters(&self) -> Option<&CounterGuard> {
        None
    }
}

/// A good telegram, byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawTelegram {
    /// As they came, but decrypted where the meter encrypts.
    pub(crate) bytes: Vec<u8>,
    /// Its checksum was there, and right.
    pub(crate) checked: bool,
}

/// What a decoder wants done at its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Wait for bytes.
    Listen,
    /// Wait for bytes, and ask again at this time of the monotonic clock.
    ListenUntil(Span),
    /// Nothing is expected: others may have the line. Ask again at this time of the monotonic clock, or later.
    Rest(Span),
    /// Change the settings of the line, once everything that was sent is out.
    Set(LineSettings),
    /// Send these bytes.
    Send(Vec<u8>),
    /// Forget what has come and was not taken yet.
    Discard,
}

/// Speed and bits of a character on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineSettings {
    pub(crate) baud: u32,
    pub(crate) framing: Framing,
}

/// Bits of a character on the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Framing {
    /// 8 data bits, no parity, 1 stop bit.
    #[default]
    EightNone,
    /// 8 data bits, even parity, 1 stop bit.
    EightEven,
    /// 8 data bits, no parity, 2 stop bits.
    EightNoneTwo,
    /// 7 data bits, even parity, 1 stop bit.
    SevenEven,
}

/// Bytes that were no good telegram.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) why: Why,
    /// The bytes, as many as are worth keeping.
    pub(crate) bytes: Vec<u8>,
}

/// So many bytes of a refused frame are kept.
const KEPT: usize = 4096;

impl Refused {
    /// Keeps the beginning of the bytes.
    pub(crate) fn new(why: Why, bytes: &[u8]) -> Self {
        Self { why, bytes: bytes[..bytes.len().min(KEPT)].to_vec() }
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?}, {} bytes)", self.why, self.bytes.len())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

/// Why bytes were no good telegram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("checksum is {found:04X}, expected {expected:04X}")]
    Crc { found: u16, expected: u16 },
    #[error("checksum is missing")]
    CrcMissing,
    #[error("no end after {0} bytes")]
    TooLong(usize),
    #[error("it broke off")]
    Cut,
    #[error("line {number} is unreadable: \"{text}\"")]
    Line { number: usize, text: String },
    /// A frame that is whole, and whose content is not what the protocol says.
    #[error("at byte {at}: {what}")]
    Content { at: usize, what: String },
    #[error("it is encrypted, and no key is configured")]
    KeyMissing,
    /// The tag of no frame has fitted so far.
    #[error("the key or the authentication key is wrong")]
    WrongKey,
    /// The tag of a frame does not fit, though that of earlier ones did.
    #[error("it was damaged or tampered with: its authentication tag does not fit")]
    Tag,
    /// The last one is as it was kept for this run, or later.
    #[error(
        "frame counter {counter} is not above {last}, up to which frames count as taken: a replay, or the first half minute after a \
         power cut"
    )]
    Replayed { counter: u32, last: u32 },
    #[error("no answer")]
    NoAnswer,
    /// A meter that is asked says that it cannot answer.
    #[error("the meter answers with exception {code}: {meaning}")]
    Exception { code: u8, meaning: &'static str },
}

impl Why {
    /// In one word, for programs.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Crc { .. } | Self::CrcMissing => "checksum",
            Self::TooLong(_) | Self::Cut => "cut",
            Self::Line { .. } | Self::Content { .. } => "content",
            Self::KeyMissing | Self::WrongKey | Self::Tag | Self::Replayed { .. } => "key",
            Self::NoAnswer | Self::Exception { .. } => "answer",
        }
    }
}
