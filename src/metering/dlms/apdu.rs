//! Reads the message that a meter pushes: `data-notification` (IEC 62056-5-3).

use crate::metering::decoder::Why;

use super::axdr::{Data, Reader};
use super::clock;

/// `data-notification`.
pub(super) const NOTIFICATION: u8 = 0x0F;
/// Bytes of a long invoke id.
const INVOKE_ID: usize = 4;
/// The length of a date-time, and the tag of octets that some meters write before it.
const DATE_TIME: u8 = 0x0C;
const OCTETS: u8 = 0x09;

/// What a meter pushes.
#[derive(Debug, PartialEq)]
pub(super) struct Notification<'a> {
    pub(super) time: Option<[u8; clock::LENGTH]>,
    pub(super) body: Data<'a>,
}

impl<'a> Notification<'a> {
    /// Reads a message, which must use all its bytes.
    ///
    /// # Errors
    ///
    /// [`Why::Content`] where it is none.
    pub(super) fn parse(apdu: &'a [u8]) -> Result<Self, Why> {
        let mut reader = Reader::new(apdu);
        if apdu.first() != Some(&NOTIFICATION) {
            return Err(reader.wrong(match apdu.first() {
                Some(tag) => format!("a message of kind {tag:02X} is not read"),
                None => "the message is empty".to_owned(),
            }));
        }
        reader.take(1 + INVOKE_ID)?;
        let time = match reader.rest() {
            [0, ..] => {
                reader.take(1)?;
                None
            }
            [DATE_TIME, ..] => {
                reader.take(1)?;
                Some(reader.array()?)
            }
            [OCTETS, DATE_TIME, ..] => {
                reader.take(2)?;
                Some(reader.array()?)
            }
            _ => return Err(reader.wrong("a date and time must stand here, or 00")),
        };
        let body = reader.value()?;
        match reader.rest().len() {
            0 => Ok(Self { time, body }),
            left => Err(reader.wrong(format!("{left} bytes are left over"))),
        }
    }
}
