//! Reads the elements that SML is made of, where they stand: a type and a length, and then the content or the elements of a list.

use crate::metering::decoder::Why;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// The end of a message.
    End,
    /// Without any where an optional element is absent.
    Octets(&'a [u8]),
    Boolean(bool),
    /// With the number of bytes in which it was sent.
    Signed(i64, usize),
    /// With the number of bytes in which it was sent.
    Unsigned(u64, usize),
    /// So many elements follow.
    List(usize),
}

impl Item<'_> {
    /// An optional element that is not there.
    pub(crate) const fn is_absent(self) -> bool {
        matches!(self, Self::Octets([]))
    }

    /// A number of either kind, if it is that small.
    pub(crate) fn number<N: TryFrom<i64> + TryFrom<u64>>(self) -> Option<N> {
        match self {
            Self::Signed(value, _) => N::try_from(value).ok(),
            Self::Unsigned(value, _) => N::try_from(value).ok(),
            Self::End | Self::Octets(_) | Self::Boolean(_) | Self::List(_) => None,
        }
    }
}

/// Reads element by element.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// More bytes for a length are none that a file can have.
const LENGTH_BYTES: usize = 4;

impl<'a> Elements<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next element stands.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes from that place to the next element.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Nothing but zeros follow, which fill a file up.
    pub(crate) fn is_done(&self) -> bool {
        self.bytes.get(self.at..).unwrap_or_default().iter().all(|byte| *byte == 0)
    }

    /// Something is wrong here.
    pub(crate) fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Why> {
        Err(Why::Content { at: self.at, what: what.into() })
    }

    fn byte(&mut self) -> Result<u8, Why> {
        let Some(byte) = self.bytes.get(self.at) else { return self.wrong("the content ends too early") };
        self.at += 1;
        Ok(*byte)
    }

    /// The next element.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, Why> {
        let start = self.at;
        let first = self.byte()?;
        if first == 0 {
            return Ok(Item::End);
        }
        let mut length = usize::from(first & 0x0F);
        let mut last = first;
        while last & 0x80 != 0 {
            last = self.byte()?;
            if last & 0x70 != 0 || self.at - start > LENGTH_BYTES {
                return self.wrong("a length is unreadable");
            }
            length = length << 4 | usize::from(last & 0x0F);
        }
        let kind = first >> 4 & 0x07;
        if kind == 7 {
            return Ok(Item::List(length));
        }
        let content =
            length.checked_sub(self.at - start).and_then(|length| self.bytes[self.at..].get(..length));
        let Some(content) = content else { return self.wrong("a length is wrong") };
        self.at += content.len();
        match (kind, content) {
            (0, octets) => Ok(Item::Octets(octets)),
            (4, [value]) => Ok(Item::Boolean(*value != 0)),
            (5, [_, ..]) if content.len() <= 8 => Ok(Item::Signed(signed(content), content.len())),
            (6, [_, ..]) if content.len() <= 8 => Ok(Item::Unsigned(unsigned(content), content.len())),
            _ => self.wrong(format!("element of type {kind} with {} bytes", content.len())),
        }
    }

    /// A list of so many elements begins here.
    pub(crate) fn list(&mut self, length: usize, what: &str) -> Result<(), Why> {
        let found = self.item()?;
        if found == Item::List(length) {
            return Ok(());
        }
        self.wrong(format!("{what} is {found:?} instead of a list of {length}"))
    }

    /// Goes over the rest of an element, and of all elements inside it.
    pub(crate) fn skip_rest(&mut self, item: Item<'_>) -> Result<(), Why> {
        // Every element takes a byte at least, so that a length that lies ends with the bytes.
        let Item::List(mut left) = item else { return Ok(()) };
        while left > 0 {
            left -= 1;
            if let Item::List(more) = self.item()? {
                left = left.saturating_add(more);
            }
        }
        Ok(())
    }

    /// Goes over an element, and all elements inside it.
    pub(crate) fn skip(&mut self) -> Result<(), Why> {
        let item = self.item()?;
        self.skip_rest(item)
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Any number of bytes from one to eight; the first one says the sign.
fn signed(bytes: &[u8]) -> i64 {
    let missing = 8_usize.saturating_sub(bytes.len()) * 8;
    (unsigned(bytes) << missing).cast_signed() >> missing
}
