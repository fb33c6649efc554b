//! Brings what the devices behind a meter say, such as a gas meter, to our clock, and chooses the live one of each medium.

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::channel::Medium;
use super::mbus_channels::{MbusDevice, mbus_devices};
use super::telegram::Telegram;
use super::unit::Measure;

/// No meter of this kind is older: clocks say less when they were never set.
const OLDEST: Timestamp = Timestamp::from_seconds(1_262_304_000);
/// The meter's clock may be wrong by so much for its devices' times to mean something still.
const CLOCK_REACH: Span = Span::DAY;

/// What a device behind the meter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) medium: Medium,
    /// The channel that it has at the meter, in the order in which devices were installed.
    pub(crate) port: u8,
    /// Its serial number, as the meter writes it.
    pub(crate) serial: Option<String>,
    /// When it said so, by the meter's clock brought to ours; `None` where that says nothing.
    pub(crate) at: Option<Timestamp>,
    /// In m3, or J.
    pub(crate) value: Decimal,
}

/// The devices that a telegram names; `received` is our own clock.
pub(super) fn of(telegram: &Telegram, received: Timestamp, trust: Span) -> Vec<Device> {
    // A clock that is wrong is wrong for the devices too: they get their time from the meter.
    let wrong_by = telegram.clock.map_or(Span::ZERO, |clock| received - clock);
    let shift = if wrong_by.abs() <= trust { Span::ZERO } else { wrong_by };
    let time = |at: Timestamp| {
        let possible = at >= OLDEST && wrong_by.abs() <= CLOCK_REACH && at + shift <= received + CLOCK_REACH;
        possible.then(|| at + shift)
    };
    let device = |found: MbusDevice| {
        let medium = Medium::of_kind(found.kind)?;
        let (value, unit) = (found.value?, found.unit?);
        let expected = if medium.is_energy() { Measure::Heat } else { Measure::Volume };
        (unit.measure == expected).then_some(())?;
        let at = found.at.and_then(time);
        Some(Device { medium, port: found.channel, serial: found.serial, at, value: unit.in_base(value)? })
    };
    mbus_devices(telegram).into_iter().filter_map(device).collect()
}

/// The device of a medium that is alive. After an exchange the old one stays on its channel with its last value for ever, or turns into
/// zeros without a time, and the new one is on another: so it is the one whose time is the newest, in each telegram anew. Where that does
/// not decide it is the one that `known` names, or one that has a number, or the last to be installed.
pub(super) fn live<'a>(devices: &'a [Device], medium: Medium, known: Option<&str>) -> Option<&'a Device> {
    let is_known = |device: &Device| known.is_some() && device.serial.as_deref() == known;
    let candidates = devices.iter().filter(|device| device.medium == medium);
    candidates.max_by_key(|device| (device.at, is_known(device), device.serial.is_some(), device.port))
}
