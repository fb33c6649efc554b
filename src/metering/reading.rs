//! Holds what a meter says of energy and power at one moment.

use std::fmt;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::obis::ObisCode;
use super::telegram::Telegram;

/// A meter's clock that is further away from ours is not believed.
const CLOCK_TRUST: Span = Span::from_seconds(10);
/// Rates that a meter may have.
const RATES: std::ops::RangeInclusive<u8> = 1..=8;

/// What a meter says at one moment; `None` where it does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) at: Timestamp,
    /// The meter's serial number, as it writes it.
    pub(crate) meter: Option<String>,
    /// Register of energy taken from the grid, all rates, in Wh.
    pub(crate) import: Option<Decimal>,
    /// Register of energy given to the grid, all rates, in Wh.
    pub(crate) export: Option<Decimal>,
    /// Power taken from the grid, in W.
    pub(crate) power_import: Option<Decimal>,
    /// Power given to the grid, in W.
    pub(crate) power_export: Option<Decimal>,
    pub(crate) quality: DataQuality,
}

impl Reading {
    /// What counts for the reports; `received` is our own clock.
    ///
    /// The meter's clock is the time where it is near ours: it says what second the registers are from. A meter whose clock was never
    /// set, or is wrong, works on ours.
    pub(crate) fn of(telegram: &Telegram, received: Timestamp) -> Self {
        let near = |at: &Timestamp| (*at - received).abs() <= CLOCK_TRUST;
        let power = |quantity| telegram.number(ObisCode::electricity(quantity, 7, 0));
        let net = || power(16).or_else(|| telegram.number(ObisCode::electricity(1, 7, 255)));
        let (import, export) = match (power(1), power(2), net()) {
            (None, None, Some(net)) => (Some(net.max(Decimal::ZERO)), Some((-net).max(Decimal::ZERO))),
            (Some(import), None, _) if import.is_sign_negative() => (Some(Decimal::ZERO), Some(-import)),
            (import, export, _) => (import, export),
        };
        Self {
            at: telegram.clock.filter(near).unwrap_or(received),
            meter: telegram.meter.clone(),
            import: register(telegram, 1),
            export: register(telegram, 2),
            power_import: import,
            power_export: export,
            quality: telegram.quality.clone(),
        }
    }

    /// Power in W; positive: taken from the grid.
    pub(crate) fn net_power(&self) -> Option<Decimal> {
        net(self.power_import, self.power_export)
    }
}

/// An energy register in Wh: the total, which is the sum of all rates where the meter sends none.
fn register(telegram: &Telegram, quantity: u8) -> Option<Decimal> {
    let one = |rate| telegram.number(ObisCode::electricity(quantity, 8, rate));
    one(0).or_else(|| RATES.filter_map(one).reduce(|sum, more| sum + more))
}

/// The first less the second; what is not said is nothing, as long as one of them is.
pub(super) fn net(import: Option<Decimal>, export: Option<Decimal>) -> Option<Decimal> {
    import.or(export).map(|_| import.unwrap_or_default() - export.unwrap_or_default())
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilo = Decimal::from(1000);
        let mut parts = Vec::new();
        for (name, register) in [("import", self.import), ("export", self.export)] {
            parts.extend(register.map(|wh| format!("{name} {} kWh", (wh / kilo).normalize())));
        }
        parts.extend(self.net_power().map(|power| match power.is_sign_negative() {
            true => format!("{} W to the grid", -power),
            false => format!("{power} W from the grid"),
        }));
        if parts.is_empty() {
            parts.push("nothing about electricity".into());
        }
        f.write_str(&parts.join(", "))
    }
}
