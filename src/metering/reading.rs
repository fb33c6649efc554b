//! Holds what a meter says at one moment, as far as a report can carry it.

use std::collections::BTreeMap;
use std::fmt;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::channel::{Channel, Limits, Medium, Phase, RATES};
use super::device::{self, Device};
use super::obis::ObisCode;
use super::telegram::Telegram;

/// A meter's clock that is further away from ours is not believed.
const CLOCK_TRUST: Span = Span::from_seconds(10);
/// Rates that a meter may have.
const ALL_RATES: std::ops::RangeInclusive<u8> = 1..=8;

/// What a meter says at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at: Timestamp,
    /// The meter's serial number, as it writes it.
    pub(crate) meter: Option<String>,
    /// What it says of electricity and can be believed, in Wh, W, V, A and their likes.
    pub(crate) values: BTreeMap<Channel, Decimal>,
    /// What it says and cannot be: those values are left out, and the others stay.
    pub(crate) bad: Vec<Channel>,
    /// What the devices behind it say, such as a gas meter.
    pub(crate) devices: Vec<Device>,
    pub(crate) quality: DataQuality,
}

impl Reading {
    /// Says nothing yet.
    pub(crate) const fn new(at: Timestamp) -> Self {
        Self {
            at,
            meter: None,
            values: BTreeMap::new(),
            bad: Vec::new(),
            devices: Vec::new(),
            quality: DataQuality::Good,
        }
    }

    /// What counts for the reports, within the usual limits; `received` is our own clock.
    #[cfg(test)]
    pub(crate) fn of(telegram: &Telegram, received: Timestamp) -> Self {
        Self::within(telegram, received, &Limits::default())
    }

    /// What counts for the reports; `received` is our own clock.
    ///
    /// The meter's clock is the time where it is near ours: it says what second the registers are from. A meter whose clock was never
    /// set, or is wrong, works on ours.
    pub(crate) fn within(telegram: &Telegram, received: Timestamp, limits: &Limits) -> Self {
        let near = |at: &Timestamp| (*at - received).abs() <= CLOCK_TRUST;
        let mut reading = Self {
            at: telegram.clock.filter(near).unwrap_or(received),
            meter: telegram.meter.clone(),
            devices: device::of(telegram, received, CLOCK_TRUST),
            quality: telegram.quality.clone(),
            ..Self::new(received)
        };
        for (channel, value) in said(telegram) {
            let good =
                |code: ObisCode| telegram.object(code).is_none_or(|found| found.quality != DataQuality::Bad);
            if limits.believe(channel, value) && code_of(channel).is_none_or(good) {
                reading.values.insert(channel, value);
            } else {
                reading.bad.push(channel);
            }
        }
        reading
    }

    /// The value of a channel, where the meter says it.
    pub(crate) fn get(&self, channel: Channel) -> Option<Decimal> {
        self.values.get(&channel).copied()
    }

    /// The same reading with another value, or without one.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn with(mut self, channel: Channel, value: Option<Decimal>) -> Self {
        match value {
            Some(value) => self.values.insert(channel, value),
            None => self.values.remove(&channel),
        };
        self
    }

    /// Power in W; positive: taken from the grid.
    pub(crate) fn net_power(&self) -> Option<Decimal> {
        self.get(Channel::Power)
    }
}

/// The object that a channel comes from, where it is one alone.
const fn code_of(channel: Channel) -> Option<ObisCode> {
    match channel {
        Channel::Import => Some(ObisCode::electricity(1, 8, 0)),
        Channel::Export => Some(ObisCode::electricity(2, 8, 0)),
        Channel::ImportRate(rate) => Some(ObisCode::electricity(1, 8, rate)),
        Channel::ExportRate(rate) => Some(ObisCode::electricity(2, 8, rate)),
        Channel::ReactiveImport => Some(ObisCode::electricity(3, 8, 0)),
        Channel::ReactiveExport => Some(ObisCode::electricity(4, 8, 0)),
        Channel::ApparentImport => Some(ObisCode::electricity(9, 8, 0)),
        Channel::ApparentExport => Some(ObisCode::electricity(10, 8, 0)),
        Channel::ApparentPower => Some(ObisCode::electricity(9, 7, 0)),
        Channel::Voltage(phase) => Some(ObisCode::electricity(12 + phase.offset(), 7, 0)),
        Channel::Current(phase) => Some(ObisCode::electricity(11 + phase.offset(), 7, 0)),
        Channel::PowerFactor => Some(ObisCode::electricity(13, 7, 0)),
        Channel::PhasePowerFactor(phase) => Some(ObisCode::electricity(13 + phase.offset(), 7, 0)),
        Channel::Frequency => Some(ObisCode::electricity(14, 7, 0)),
        Channel::PowerImport
        | Channel::PowerExport
        | Channel::Power
        | Channel::PhasePower(_)
        | Channel::ReactivePower
        | Channel::Device(_) => None,
    }
}

/// Everything that a telegram says of electricity.
fn said(telegram: &Telegram) -> Vec<(Channel, Decimal)> {
    let now = |quantity| telegram.number(ObisCode::electricity(quantity, 7, 0));
    let mut all: Vec<(Channel, Option<Decimal>)> = vec![
        (Channel::Import, register(telegram, 1)),
        (Channel::Export, register(telegram, 2)),
        (Channel::ReactiveImport, register(telegram, 3)),
        (Channel::ReactiveExport, register(telegram, 4)),
        (Channel::ApparentImport, register(telegram, 9)),
        (Channel::ApparentExport, register(telegram, 10)),
        (Channel::ReactivePower, net(now(3), now(4))),
        (Channel::ApparentPower, now(9)),
        (Channel::PowerFactor, now(13)),
        (Channel::Frequency, now(14)),
    ];
    for rate in 1..=RATES {
        let of = |quantity| telegram.number(ObisCode::electricity(quantity, 8, rate));
        all.extend([(Channel::ImportRate(rate), of(1)), (Channel::ExportRate(rate), of(2))]);
    }
    let (import, export) = powers(telegram, 0);
    all.extend([
        (Channel::PowerImport, import),
        (Channel::PowerExport, export),
        (Channel::Power, net(import, export)),
    ]);
    for phase in Phase::ALL {
        let (import, export) = powers(telegram, phase.offset());
        let power = net(import, export);
        // A current has no sign of its own on most meters; the power of its phase says which way it flows.
        let current = now(11 + phase.offset()).map(|current| match power {
            Some(power) if power < Decimal::ZERO => -current.abs(),
            _ => current,
        });
        all.extend([
            (Channel::PhasePower(phase), power),
            (Channel::Voltage(phase), now(12 + phase.offset())),
            (Channel::Current(phase), current),
            (Channel::PhasePowerFactor(phase), now(13 + phase.offset())),
        ]);
    }
    all.into_iter().filter_map(|(channel, value)| Some((channel, value?))).collect()
}

/// The power taken and the power given, of all phases or of one; some meters say their difference alone.
fn powers(telegram: &Telegram, phase: u8) -> (Option<Decimal>, Option<Decimal>) {
    let power = |quantity: u8| telegram.number(ObisCode::electricity(quantity + phase, 7, 0));
    let net = || power(16).or_else(|| telegram.number(ObisCode::electricity(1 + phase, 7, 255)));
    match (power(1), power(2), net()) {
        (None, None, Some(net)) => (Some(net.max(Decimal::ZERO)), Some((-net).max(Decimal::ZERO))),
        (Some(import), None, _) if import.is_sign_negative() => (Some(Decimal::ZERO), Some(-import)),
        (import, export, _) => (import, export),
    }
}

/// An energy register in Wh: the total, which is the sum of all rates where the meter sends none.
fn register(telegram: &Telegram, quantity: u8) -> Option<Decimal> {
    let one = |rate| telegram.number(ObisCode::electricity(quantity, 8, rate));
    one(0).or_else(|| ALL_RATES.filter_map(one).reduce(|sum, more| sum + more))
}

/// The first less the second; what is not said is nothing, as long as one of them is.
fn net(import: Option<Decimal>, export: Option<Decimal>) -> Option<Decimal> {
    import.or(export).map(|_| import.unwrap_or_default() - export.unwrap_or_default())
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilo = Decimal::from(1000);
        let mut parts = Vec::new();
        for (name, register) in [("import", Channel::Import), ("export", Channel::Export)] {
            parts.extend(self.get(register).map(|wh| format!("{name} {} kWh", (wh / kilo).normalize())));
        }
        parts.extend(self.net_power().map(|power| match power.is_sign_negative() {
            true => format!("{} W to the grid", -power),
            false => format!("{power} W from the grid"),
        }));
        if parts.is_empty() {
            parts.push("nothing about electricity".into());
        }
        for medium in Medium::ALL {
            let device = device::live(&self.devices, medium, None);
            let unit = if medium.is_energy() { "J" } else { "m3" };
            parts.extend(device.map(|device| format!("{medium} {} {unit}", device.value)));
        }
        f.write_str(&parts.join(", "))
    }
}
