//! Reads values as A-XDR writes them (IEC 62056-6-2, common data types; IEC 61334-6).

use crate::metering::decoder::Why;
use crate::openadr::message::Decimal;

/// Lists in lists beyond this are none of a meter.
const DEEPEST: usize = 8;
/// Values of one message, lists and what is in them.
const MOST: usize = 1024;

/// A value; octets are those of the message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data<'a> {
    Null,
    /// An array or a structure.
    List(Vec<Self>),
    /// Of any size and sign; a truth value is 0 or 1.
    Number(Decimal),
    /// One of a list that is numbered, as units are.
    Enum(u8),
    /// Octets, bits, and dates.
    Octets(&'a [u8]),
    /// Characters, of ASCII or UTF-8.
    Text(&'a [u8]),
}

/// Where reading is.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

/// A length or a count, and what stands behind it; nothing where it is cut, or longer than two bytes.
pub(super) fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ ..=0x7F, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, short, rest @ ..] => Some((usize::from(*short), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: 0 }
    }

    /// What is wrong at this place.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Why {
        Why::Content { at: self.at, what: what.into() }
    }

    /// Bytes that are left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Why> {
        let left = self.rest().len();
        let taken = self.rest().get(..count);
        let taken =
            taken.ok_or_else(|| self.wrong(format!("{count} bytes must follow, there are {left}")))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Why> {
        let taken = self.take(N)?;
        taken.first_chunk().copied().ok_or(Why::Cut)
    }

    fn length(&mut self) -> Result<usize, Why> {
        let (length, rest) = length(self.rest()).ok_or_else(|| self.wrong("a length is cut, or too long"))?;
        self.at = self.bytes.len() - rest.len();
        Ok(length)
    }

    /// The next value.
    ///
    /// # Errors
    ///
    /// [`Why::Content`] with the place in the message.
    pub(super) fn value(&mut self) -> Result<Data<'a>, Why> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Data<'a>, Why> {
        self.values += 1;
        if self.values > MOST {
            return Err(self.wrong(format!("there are more than {MOST} values")));
        }
        let [tag] = self.array()?;
        let data = match tag {
            0x00 => Data::Null,
            0x01 | 0x02 => self.list(depth)?,
            // Bits are counted, and fill octets.
            0x04 => {
                let octets = self.length()?.div_ceil(8);
                Data::Octets(self.take(octets)?)
            }
            0x03 => Data::Number(u8::from(self.array::<1>()? != [0]).into()),
            0x05 => Data::Number(i32::from_be_bytes(self.array()?).into()),
            0x06 => Data::Number(u32::from_be_bytes(self.array()?).into()),
            0x09 => Data::Octets(self.counted()?),
            0x0A | 0x0C => Data::Text(self.counted()?),
            0x0F => Data::Number(i8::from_be_bytes(self.array()?).into()),
            0x10 => Data::Number(i16::from_be_bytes(self.array()?).into()),
            0x11 => Data::Number(u8::from_be_bytes(self.array()?).into()),
            0x12 => Data::Number(u16::from_be_bytes(self.array()?).into()),
            0x14 => Data::Number(i64::from_be_bytes(self.array()?).into()),
            0x15 => Data::Number(u64::from_be_bytes(self.array()?).into()),
            0x16 => Data::Enum(u8::from_be_bytes(self.array()?)),
            // To the digits that it has for sure, 7 or 16; what is no number, or too large, is nothing.
            0x17 => Decimal::try_from(f32::from_be_bytes(self.array()?)).map_or(Data::Null, Data::Number),
            0x18 => Decimal::try_from(f64::from_be_bytes(self.array()?)).map_or(Data::Null, Data::Number),
            0x19 => Data::Octets(self.take(12)?),
            0x1A => Data::Octets(self.take(5)?),
            0x1B => Data::Octets(self.take(4)?),
            _ => {
                self.at -= 1;
                return Err(self.wrong(format!("{tag:02X} is no type of a value")));
            }
        };
        Ok(data)
    }

    fn counted(&mut self) -> Result<&'a [u8], Why> {
        let length = self.length()?;
        self.take(length)
    }

    /// As many values as are said; each has a byte at least.
    fn list(&mut self, depth: usize) -> Result<Data<'a>, Why> {
        let count = self.length()?;
        let left = self.rest().len();
        if count > left {
            return Err(self.wrong(format!("{count} values must follow in {left} bytes")));
        }
        if depth >= DEEPEST {
            return Err(self.wrong(format!("lists are nested more than {DEEPEST} deep")));
        }
        (0..count).map(|_| self.nested(depth + 1)).collect::<Result<_, _>>().map(Data::List)
    }
}
