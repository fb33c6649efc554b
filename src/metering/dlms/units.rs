//! Names units by their numbers (IEC 62056-6-2, table of units), and quantities by their codes.

use crate::metering::obis::ObisCode;
use crate::metering::unit::{Measure, MeterUnit};

/// The unit of that number; nothing where it is one that no telegram needs, or 255: a count.
pub(super) const fn unit(number: u8) -> Option<MeterUnit> {
    let measure = match number {
        7 => Measure::Duration,
        8 => Measure::Angle,
        9 => Measure::Temperature,
        // As measured, and corrected.
        13 | 14 => Measure::Volume,
        15 | 16 => Measure::Flow,
        19 => return Some(MeterUnit { measure: Measure::Volume, prefix: -3 }),
        25 => Measure::Heat,
        27 => Measure::ActivePower,
        28 => Measure::ApparentPower,
        29 => Measure::ReactivePower,
        30 => Measure::ActiveEnergy,
        31 => Measure::ApparentEnergy,
        32 => Measure::ReactiveEnergy,
        33 => Measure::Current,
        35 => Measure::Voltage,
        44 => Measure::Frequency,
        _ => return None,
    };
    Some(MeterUnit::base(measure))
}

/// What kind of quantity a code names, whatever the phase: a maker scales all of a kind alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Energy,
    Power,
    Current,
    Voltage,
    PowerFactor,
    Frequency,
}

/// Kind and unit of a quantity of electricity; nothing for anything else. A power factor has no unit.
pub(super) const fn kind(code: ObisCode) -> Option<(Kind, Option<MeterUnit>)> {
    let ObisCode([1, _, quantity @ 1..=80, processing, ..]) = code else { return None };
    // Each phase has the quantities of the sum, 20 further on.
    let quantity = (quantity - 1) % 20 + 1;
    let (kind, measure) = match (processing, quantity) {
        (8 | 9 | 29, 1 | 2 | 15 | 16) => (Kind::Energy, Measure::ActiveEnergy),
        (8 | 9 | 29, 3..=8) => (Kind::Energy, Measure::ReactiveEnergy),
        (8 | 9 | 29, 10) | (8 | 29, 9) => (Kind::Energy, Measure::ApparentEnergy),
        (4..=7 | 24 | 25, 1 | 2 | 15 | 16) => (Kind::Power, Measure::ActivePower),
        (4..=7 | 24 | 25, 3..=8) => (Kind::Power, Measure::ReactivePower),
        (4..=7 | 24 | 25, 9 | 10) => (Kind::Power, Measure::ApparentPower),
        (7 | 24 | 25, 11) => (Kind::Current, Measure::Current),
        (7 | 24 | 25, 12) => (Kind::Voltage, Measure::Voltage),
        (7 | 24 | 25, 13) => return Some((Kind::PowerFactor, None)),
        (7 | 24 | 25, 14) => (Kind::Frequency, Measure::Frequency),
        _ => return None,
    };
    Some((kind, Some(MeterUnit::base(measure))))
}
