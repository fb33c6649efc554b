//! Names quantities by their codes.

use crate::metering::obis::ObisCode;
use crate::metering::unit::{Measure, MeterUnit};

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
