//! Finds the devices behind a meter, such as a gas meter, and tells the live one from those that were taken away.

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::channel::Medium;
use super::obis::ObisCode;
use super::telegram::{Object, ObjectValue, Telegram};
use super::unit::Measure;

/// No meter of this kind is older: clocks say less when they were never set.
const OLDEST: Timestamp = Timestamp::from_seconds(1_262_304_000);
/// The meter's clock may be wrong by so much for its devices' times to mean something still.
const CLOCK_REACH: Span = Span::DAY;
/// Ports for devices that a meter has.
const PORTS: std::ops::RangeInclusive<u8> = 1..=6;

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
    let device = |object: &Object| {
        let ObjectValue::Number(value, Some(unit)) = &object.value else { return None };
        let [a, port, c, d, ..] = object.code.0;
        let medium = match (a, c, d) {
            (0, 24, 2) if PORTS.contains(&port) => medium_at(telegram, port),
            (5..=9, _, 0 | 1) => Medium::of_obis(a),
            _ => None,
        }?;
        let expected = if medium.is_energy() { Measure::Heat } else { Measure::Volume };
        if unit.measure != expected {
            return None;
        }
        Some(Device {
            medium,
            port,
            serial: serial_at(telegram, port),
            at: object.at.and_then(time),
            value: unit.in_base(*value)?,
        })
    };
    telegram.objects.iter().filter_map(device).collect()
}

/// What the device at a port counts.
fn medium_at(telegram: &Telegram, port: u8) -> Option<Medium> {
    let number = telegram.number(ObisCode::now(0, port, 24, 1, 0))?;
    Medium::of_device_type(u8::try_from(number).ok()?)
}

fn serial_at(telegram: &Telegram, port: u8) -> Option<String> {
    let codes = [ObisCode::now(0, port, 96, 1, 0), ObisCode::now(0, port, 96, 1, 1)];
    let text = |code| match &telegram.object(code)?.value {
        ObjectValue::Text(text) => Some(text.clone()),
        ObjectValue::Number(number, _) => Some(number.to_string()),
    };
    codes.into_iter().filter_map(text).find(|text| !text.is_empty())
}

/// The device of a medium that is alive: the one whose time is the newest; where none has a time, the one that `known` names, or else
/// the last to be installed.
pub(super) fn live<'a>(devices: &'a [Device], medium: Medium, known: Option<&str>) -> Option<&'a Device> {
    let is_known = |device: &Device| known.is_some() && device.serial.as_deref() == known;
    let candidates = devices.iter().filter(|device| device.medium == medium);
    candidates.max_by_key(|device| (device.at, is_known(device), device.port))
}
