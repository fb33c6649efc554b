//! Reads numbers with their units, exactly.

use crate::metering::obis::ObisCode;
use crate::metering::telegram::ObjectValue;
use crate::metering::unit::{Measure, MeterUnit};
use crate::openadr::message::Decimal;

use super::objects::assumed_unit;

/// No meter writes longer numbers; what can be calculated from shorter ones never overflows.
const LONGEST: usize = 19;

/// A number and the unit behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::metering) struct Measured<'a> {
    pub(in crate::metering) value: Decimal,
    /// As the meter writes it; empty where it writes none.
    pub(in crate::metering) unit: &'a str,
}

impl<'a> Measured<'a> {
    /// Reads `000123.456*kWh`, also with the unit glued on, padded, or without any.
    pub(in crate::metering) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let number = text.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+'));
        let (number, unit) = text.split_at(number.unwrap_or(text.len()));
        let (number, unit) = match unit.strip_prefix('*') {
            Some(unit) => (number, unit),
            // Blanks before the star.
            None => match unit.split_once('*') {
                Some((blanks, _)) if !blanks.trim_ascii().is_empty() => return None,
                Some((_, unit)) => (number, unit),
                None => (number, unit),
            },
        };
        Some(Self { value: decimal(number)?, unit: unit.trim_ascii() })
    }

    /// In Wh, W, V, A, m3...; without a unit, an energy with decimals is in kWh, as those are.
    pub(in crate::metering) fn in_base_unit(&self, energy: bool) -> Option<Decimal> {
        match self.unit {
            "" if energy && self.value.scale() > 0 => {
                MeterUnit::kilo(Measure::ActiveEnergy).in_base(self.value)
            }
            "" => Some(self.value.normalize()),
            unit => MeterUnit::parse(unit)?.in_base(self.value),
        }
    }

    /// The number of an object, and whether its unit is assumed; `None` where its unit is none that is known.
    pub(super) fn number(&self, code: ObisCode) -> Option<(ObjectValue, bool)> {
        let (unit, assumed) = match self.unit {
            "" => {
                let assumed = assumed_unit(code, self.value.scale() > 0);
                (assumed, assumed.is_some())
            }
            unit => (Some(MeterUnit::parse(unit)?), false),
        };
        Some((ObjectValue::Number(self.value, unit), assumed))
    }
}

/// Reads digits with at most one point, and a sign before them.
fn decimal(text: &str) -> Option<Decimal> {
    let (digits, negative) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, true),
        [b'+', digits @ ..] => (digits, false),
        digits => (digits, false),
    };
    if digits.len() > LONGEST {
        return None;
    }
    let (mut value, mut count, mut point) = (0_u64, 0_u32, None);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    let mut number = Decimal::from(value);
    // No more than there are digits, which is far below the most that a decimal has.
    number.set_scale(count - point.unwrap_or(count)).ok()?;
    number.set_sign_negative(negative && value != 0);
    (count > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::Measured;

    #[test]
    fn numbers_stay_exact_whatever_the_unit() {
        for (text, base) in [
            ("000123.456*kWh", "123456"),
            ("00052185.7825309*kWh", "52185782.5309"),
            ("0.123kWh", "123"),
            (" 006545766*Wh ", "6545766"),
            ("00123.5", "123500"),
            ("00123", "123"),
            ("-063*A", "-63"),
            ("1.5*MWh", "1500000"),
            ("000747*varh", "747"),
            ("+12.0 * kWh", "12000"),
            ("9999999999999999999*Wh", "9999999999999999999"),
            ("-0.0*kWh", "0"),
            (".5*kWh", "500"),
            ("5.*kWh", "5000"),
        ] {
            let base_unit = Measured::parse(text).unwrap().in_base_unit(true).unwrap();
            assert_eq!(base_unit.to_string(), base, "{text}");
        }
        for text in [
            "",
            "*kWh",
            "abc",
            "1.2.3*kWh",
            "-",
            "--1",
            "1-2",
            "1 2*kWh",
            "10000000000000000000*Wh",
            "1e5*kWh5",
            "7922816251426433759354*Wh",
        ] {
            assert!(Measured::parse(text).is_none_or(|m| m.in_base_unit(true).is_none()), "{text}");
        }
    }
}
