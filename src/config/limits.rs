//! Reads between which values a meter is believed, each as a number with its unit: `max_power = "20 kW"`.

use crate::metering::{Limits, Measure, amount};
use crate::openadr::message::Decimal;

use super::reader::{Found, Section};

/// What lies outside is left out; what is not set is as wide as any meter needs: 10 MW, 1000 A, 50 V to 500 V, 45 Hz to 65 Hz.
pub(super) fn limits(section: &Section<'_, '_>) -> Limits {
    let usual = Limits::default();
    let power = found(section, "max_power", Measure::ActivePower, "a power like \"20 kW\"");
    let current = found(section, "max_current", Measure::Current, "a current like \"80 A\"");
    Limits {
        voltage: range(section, ["min_voltage", "max_voltage"], usual.voltage, |name| {
            found(section, name, Measure::Voltage, "a voltage like \"230 V\"")
        }),
        current: most(section, current, usual.current),
        power: most(section, power, usual.power),
        frequency: range(section, ["min_frequency", "max_frequency"], usual.frequency, |name| {
            found(section, name, Measure::Frequency, "a frequency like \"50 Hz\"")
        }),
    }
}

/// In the measure without a prefix.
fn found(
    section: &Section<'_, '_>,
    name: &'static str,
    measure: Measure,
    kind: &str,
) -> Option<Found<Decimal>> {
    section.parse_text(name, kind, |text| amount(text, measure).filter(|amount| *amount >= Decimal::ZERO))
}

/// A limit of both directions: none at all would leave nothing.
fn most(section: &Section<'_, '_>, found: Option<Found<Decimal>>, usual: Decimal) -> Decimal {
    let Some(found) = found else { return usual };
    if found.value.is_zero() {
        section.reader.fault(found.line, &found.key, "is zero, which would leave nothing to believe");
    }
    found.value
}

/// The lowest and the highest, which must be above it.
fn range(
    section: &Section<'_, '_>,
    names: [&'static str; 2],
    usual: (Decimal, Decimal),
    read: impl Fn(&'static str) -> Option<Found<Decimal>>,
) -> (Decimal, Decimal) {
    let [low, high] = names.map(read);
    let value = |found: &Option<Found<Decimal>>, usual| found.as_ref().map_or(usual, |found| found.value);
    let (lowest, highest) = (value(&low, usual.0), value(&high, usual.1));
    if let Some(found) = high.or(low).filter(|_| lowest >= highest) {
        let what =
            format!("{} is {lowest} and {} is {highest}; expected one below the other", names[0], names[1]);
        section.reader.fault(found.line, &found.key, what);
    }
    (lowest, highest)
}
