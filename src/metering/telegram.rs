//! Holds what a meter says at one moment, whatever its protocol.

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

use super::obis::ObisCode;
use super::unit::MeterUnit;

/// Everything that a meter said at one moment, in the order in which it said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telegram {
    /// The meter's serial number, as it writes it.
    pub(crate) meter: Option<String>,
    /// The meter's clock, in UTC, where it has one that says so; it may be wrong, or never set.
    pub(crate) clock: Option<Timestamp>,
    pub(crate) objects: Vec<Object>,
    /// Of the telegram as a whole; `Uncertain` where it has no checksum and is the first of its kind.
    pub(crate) quality: DataQuality,
}

/// One thing that a meter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) code: ObisCode,
    pub(crate) value: ObjectValue,
    /// Its own time, where it differs from that of the telegram, as that of a gas meter behind it does.
    pub(crate) at: Option<Timestamp>,
    pub(crate) quality: DataQuality,
}

/// What a meter says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectValue {
    /// With as many decimals as the meter writes, and its unit, where it has one.
    Number(Decimal, Option<MeterUnit>),
    /// Anything else, as the meter writes it; octets as hexadecimal digits.
    Text(String),
}

impl Telegram {
    /// The first object of this code.
    pub(crate) fn object(&self, code: ObisCode) -> Option<&Object> {
        self.objects.iter().find(|object| object.code == code)
    }

    /// The number of this code in the measure without a prefix: Wh, W, V, A, m3.
    pub(crate) fn number(&self, code: ObisCode) -> Option<Decimal> {
        match &self.object(code)?.value {
            ObjectValue::Number(value, Some(unit)) => unit.in_base(*value),
            ObjectValue::Number(value, None) => Some(*value),
            ObjectValue::Text(_) => None,
        }
    }
}
