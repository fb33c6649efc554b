//! Reads the messages of a file: opening, lists of values, closing.

use crate::metering::decoder::Why;
use crate::metering::obis::ObisCode;
use crate::time::Timestamp;

use super::tree::{Elements, Item};
use crate::metering::checksum::{kermit, x25};

/// The tag of a response that lists values.
const GET_LIST: u32 = 0x0701;

/// What a list of values says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The server id.
    Meter(&'a [u8]),
    /// The time of the list, or of the gateway that passes it on; only where it is one of a clock.
    Time(Timestamp),
    Entry(Entry<'a>),
}

/// One value of a list, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) code: ObisCode,
    /// The maker's own bits.
    pub(crate) status: Option<u64>,
    /// Where it is one of a clock.
    pub(crate) time: Option<Timestamp>,
    /// By the numbers of DLMS.
    pub(crate) unit: Option<u8>,
    /// The power of ten that the number is multiplied with; nothing is 0.
    pub(crate) scaler: i8,
    pub(crate) value: Item<'a>,
}

/// The checksums of a meter's messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checksums {
    /// The last right one was of KERMIT, as those of some Holley meters are, whose bytes are in the other order too.
    kermit: bool,
}

impl Checksums {
    /// Checks one as it was sent; the one of the last message is tried first.
    fn check(&mut self, message: &[u8], sent: u16) -> Result<(), Why> {
        for kind in [self.kermit, !self.kermit] {
            let right = if kind { kermit(message) == sent } else { x25(message) == sent.swap_bytes() };
            if right {
                self.kermit = kind;
                return Ok(());
            }
        }
        Err(Why::Crc { found: sent.swap_bytes(), expected: x25(message) })
    }
}

/// Reads the payload of a file, and tells its parts as they come; they count only when all of it is right.
pub(crate) fn read<'a>(
    payload: &'a [u8],
    checksums: &mut Checksums,
    mut tell: impl FnMut(Part<'a>),
) -> Result<(), Why> {
    let mut elements = Elements::new(payload);
    while !elements.is_done() {
        message(&mut elements, checksums, &mut tell)?;
    }
    Ok(())
}

/// Transaction id, group, what to do on errors, body, checksum, end.
fn message<'a>(
    elements: &mut Elements<'a>,
    checksums: &mut Checksums,
    tell: &mut impl FnMut(Part<'a>),
) -> Result<(), Why> {
    let start = elements.at();
    elements.list(6, "a message")?;
    for _ in 0..3 {
        elements.skip()?;
    }
    elements.list(2, "the body of a message")?;
    match elements.item()?.number::<u32>() {
        Some(GET_LIST) => list(elements, tell)?,
        Some(_) => elements.skip()?,
        None => return elements.wrong("the tag of a message is no number"),
    }
    let message = elements.since(start);
    let Some(sent) = elements.item()?.number::<u16>() else {
        return elements.wrong("the checksum of a message is no number");
    };
    checksums.check(message, sent)?;
    let end = elements.item()?;
    if end == Item::End { Ok(()) } else { elements.wrong(format!("{end:?} instead of the end of a message")) }
}

/// Client, server, name of the list, time, values, signature, time of the gateway.
fn list<'a>(elements: &mut Elements<'a>, tell: &mut impl FnMut(Part<'a>)) -> Result<(), Why> {
    elements.list(7, "a list of values")?;
    elements.skip()?;
    let Item::Octets(server) = elements.item()? else { return elements.wrong("the server id is no octets") };
    tell(Part::Meter(server));
    elements.skip()?;
    if let Some(time) = time(elements)? {
        tell(Part::Time(time));
    }
    let Item::List(length) = elements.item()? else { return elements.wrong("the values are no list") };
    for _ in 0..length {
        if let Some(entry) = entry(elements)? {
            tell(Part::Entry(entry));
        }
    }
    elements.skip()?;
    if let Some(time) = time(elements)? {
        tell(Part::Time(time));
    }
    Ok(())
}

/// Code, status, time, unit, power of ten, value, signature; nothing where the code or the value is absent, or no such thing.
fn entry<'a>(elements: &mut Elements<'a>) -> Result<Option<Entry<'a>>, Why> {
    elements.list(7, "an entry")?;
    let Item::Octets(code) = elements.item()? else {
        return elements.wrong("the code of an entry is no octets");
    };
    let status = optional(elements)?.number();
    let time = time(elements)?;
    let unit = optional(elements)?.number();
    let scaler = optional(elements)?;
    let scaler = if scaler.is_absent() { Some(0) } else { scaler.number() };
    let value = elements.item()?;
    elements.skip_rest(value)?;
    elements.skip()?;
    let (Ok(code), Some(scaler)) = (code.try_into().map(ObisCode), scaler) else { return Ok(None) };
    let told = match value {
        Item::Boolean(_) | Item::Signed(..) | Item::Unsigned(..) => true,
        Item::Octets(octets) => !octets.is_empty(),
        Item::End => return elements.wrong("the message ends inside an entry"),
        Item::List(_) => false,
    };
    Ok(told.then_some(Entry { code, status, time, unit, scaler, value }))
}

/// An element that is no list, or goes unread.
fn optional<'a>(elements: &mut Elements<'a>) -> Result<Item<'a>, Why> {
    let item = elements.item()?;
    elements.skip_rest(item)?;
    Ok(item)
}

/// A time: a kind, and what belongs to it. Only UTC (kind 2) and local time (kind 3), which begins with UTC, are those of a clock; the
/// others count seconds from when the power came on, also that of Holley meters, which write no kind.
fn time(elements: &mut Elements<'_>) -> Result<Option<Timestamp>, Why> {
    let item = elements.item()?;
    if item != Item::List(2) {
        elements.skip_rest(item)?;
        return Ok(None);
    }
    let kind = elements.item()?;
    elements.skip_rest(kind)?;
    let value = elements.item()?;
    let seconds = match (kind.number::<u8>(), value) {
        (Some(2), _) => {
            elements.skip_rest(value)?;
            value.number::<u32>()
        }
        (Some(3), Item::List(3)) => {
            let utc = elements.item()?;
            elements.skip_rest(utc)?;
            elements.skip()?;
            elements.skip()?;
            utc.number::<u32>()
        }
        _ => {
            elements.skip_rest(value)?;
            None
        }
    };
    // A clock that was never set says zero.
    Ok(seconds.filter(|seconds| *seconds > 0).map(|seconds| Timestamp::from_seconds(seconds.into())))
}
