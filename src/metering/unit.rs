//! Names the units of what meters say.

use std::fmt;

use crate::openadr::message::Decimal;

/// What a number counts, without a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Measure {
    /// Wh.
    ActiveEnergy,
    /// varh.
    ReactiveEnergy,
    /// VAh.
    ApparentEnergy,
    /// W.
    ActivePower,
    /// var.
    ReactivePower,
    /// VA.
    ApparentPower,
    /// V.
    Voltage,
    /// A.
    Current,
    /// Hz.
    Frequency,
    /// Degrees of an angle.
    Angle,
    /// m3.
    Volume,
    /// m3/h.
    Flow,
    /// J.
    Heat,
    /// °C.
    Temperature,
    /// s.
    Duration,
}

/// A unit as a meter writes it: the measure and the power of ten before it (`kWh`: 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MeterUnit {
    pub(crate) measure: Measure,
    pub(crate) prefix: i8,
}

/// No spelling of a unit has more bytes.
const LONGEST: usize = 8;

impl MeterUnit {
    /// Without a prefix.
    pub(crate) const fn base(measure: Measure) -> Self {
        Self { measure, prefix: 0 }
    }

    /// With `k`.
    pub(crate) const fn kilo(measure: Measure) -> Self {
        Self { measure, prefix: 3 }
    }

    /// By its number in DLMS and SML (IEC 62056-6-2, table of units); nothing where it is one that no telegram needs, or 255: a count.
    pub(crate) const fn numbered(number: u8) -> Option<Self> {
        let measure = match number {
            7 => Measure::Duration,
            8 => Measure::Angle,
            9 => Measure::Temperature,
            // As measured, and corrected.
            13 | 14 => Measure::Volume,
            15 | 16 => Measure::Flow,
            19 => return Some(Self { measure: Measure::Volume, prefix: -3 }),
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
        Some(Self::base(measure))
    }

    /// Reads a unit in any of the spellings that meters use; `None` where it is none that is known.
    ///
    /// Prefixes differ in nothing but their case, and no meter measures in milliwatts: `M` and `m` before a power or an energy are mega.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..text.len())?;
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        let (measure, prefix) = match str::from_utf8(lower).ok()? {
            "wh" => (Measure::ActiveEnergy, 0),
            "kwh" => (Measure::ActiveEnergy, 3),
            "mwh" => (Measure::ActiveEnergy, 6),
            "varh" => (Measure::ReactiveEnergy, 0),
            "kvarh" => (Measure::ReactiveEnergy, 3),
            "mvarh" => (Measure::ReactiveEnergy, 6),
            "vah" => (Measure::ApparentEnergy, 0),
            "kvah" => (Measure::ApparentEnergy, 3),
            "w" => (Measure::ActivePower, 0),
            "kw" => (Measure::ActivePower, 3),
            "mw" => (Measure::ActivePower, 6),
            "var" => (Measure::ReactivePower, 0),
            "kvar" => (Measure::ReactivePower, 3),
            "va" => (Measure::ApparentPower, 0),
            "kva" => (Measure::ApparentPower, 3),
            "v" => (Measure::Voltage, 0),
            "a" => (Measure::Current, 0),
            "ma" => (Measure::Current, -3),
            "hz" => (Measure::Frequency, 0),
            "deg" | "°" => (Measure::Angle, 0),
            // Latin-1 and UTF-8 seen as Latin-1.
            "m3" | "m³" | "m\u{c2}³" => (Measure::Volume, 0),
            "dm3" | "l" => (Measure::Volume, -3),
            "m3ph" | "m3/h" => (Measure::Flow, 0),
            "j" => (Measure::Heat, 0),
            "mj" => (Measure::Heat, 6),
            "gj" => (Measure::Heat, 9),
            "c" | "°c" => (Measure::Temperature, 0),
            "s" => (Measure::Duration, 0),
            _ => return None,
        };
        Some(Self { measure, prefix })
    }

    /// A number of this unit in the measure without a prefix, exactly; `None` where it is too large to be one.
    pub(crate) fn in_base(self, value: Decimal) -> Option<Decimal> {
        let ten = |power: i8| Decimal::from(10_i64.pow(power.unsigned_abs().into()));
        let scaled = match self.prefix {
            0 => Some(value),
            1..=18 => value.checked_mul(ten(self.prefix)),
            -18..0 => value.checked_div(ten(self.prefix)),
            _ => None,
        };
        scaled.map(|value| value.normalize())
    }
}

/// Reads a number with its unit, as `20 kW`, in the measure without a prefix; `None` where it is none, or of another measure.
pub(crate) fn amount(text: &str, measure: Measure) -> Option<Decimal> {
    let unit = text.find(|letter: char| letter.is_alphabetic() || letter == '°')?;
    let (number, unit) = text.split_at_checked(unit)?;
    let unit = MeterUnit::parse(unit.trim()).filter(|unit| unit.measure == measure)?;
    unit.in_base(Decimal::from_str_exact(number.trim()).ok()?)
}

impl fmt::Display for MeterUnit {
    /// The usual spelling: `kWh`, `W`, `m3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (self.measure, self.prefix) == (Measure::Volume, -3) {
            return f.write_str("l");
        }
        f.write_str(match self.prefix {
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            _ => "",
        })?;
        f.write_str(match self.measure {
            Measure::ActiveEnergy => "Wh",
            Measure::ReactiveEnergy => "varh",
            Measure::ApparentEnergy => "VAh",
            Measure::ActivePower => "W",
            Measure::ReactivePower => "var",
            Measure::ApparentPower => "VA",
            Measure::Voltage => "V",
            Measure::Current => "A",
            Measure::Frequency => "Hz",
            Measure::Angle => "deg",
            Measure::Volume => "m3",
            Measure::Flow => "m3/h",
            Measure::Heat => "J",
            Measure::Temperature => "C",
            Measure::Duration => "s",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Measure, MeterUnit, amount};

    #[test]
    fn units_are_read_as_meters_write_them_and_stay_exact() {
        for (unit, value, base, written) in [
            ("kWh", "2130.115", "2130115", "kWh"),
            ("KVAR", "0.5", "500", "kvar"),
            ("kVAr", "0.5", "500", "kvar"),
            ("MWh", "0.001", "1000", "MWh"),
            ("mA", "7500", "7.5", "mA"),
            ("GJ", "1.234", "1234000000", "GJ"),
            ("m3", "5.001", "5.001", "m3"),
            ("dm3", "5001", "5.001", "l"),
        ] {
            let parsed = MeterUnit::parse(unit).unwrap();
            assert_eq!(parsed.in_base(value.parse().unwrap()).unwrap().to_string(), base, "{unit}");
            assert_eq!(parsed.to_string(), written);
        }
        assert_eq!(MeterUnit::parse("furlong"), None);
    }

    #[test]
    fn amounts_are_read_with_their_units() {
        for (text, expected) in [
            ("20 kW", Some("20000")),
            ("20kW", Some("20000")),
            (" 0.5 MW ", Some("500000")),
            ("7500 W", Some("7500")),
            ("7500", None),
            ("kW", None),
            ("20 kWh", None),
            ("20 k W", None),
            ("1e3 W", None),
            ("", None),
            ("79228162514264337593543950335 MW", None),
        ] {
            let found = amount(text, Measure::ActivePower).map(|amount| amount.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
