//! Knows what the addresses of data sets mean (IEC 62056-61, EN 1434-3).
//!
//! * A whole code stands for itself.
//! * A reduced code (`1.8.0`, `1.8`) is of electricity, of this meter: `1-0:1.8.0`. `C`, `F`, `L` and `P` stand for 96 to 99 (the general
//!   objects of group C): `C.1.0` is `0-0:96.1.0`, `F.F` is `0-0:97.97.0`, `P.01` is `1-0:99.1.0`.
//! * The reduced codes of heat meters mean something else: `6.8` is the energy, `6-0:1.0.0`, and `6.26` the volume, `6-0:2.0.0`. What
//!   has no code in OBIS keeps its numbers in the maker's channel 128: `9.4` is `6-128:9.4.0`.
//! * An address that cannot be written in numbers is in the maker's channel too, as `0-128:0.0.0`, with the whole set as its text.

use crate::metering::obis::{NOW, ObisCode};
use crate::metering::telegram::{Object, ObjectValue, Telegram};
use crate::metering::unit::{Measure, MeterUnit};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Span;

use super::clock::clock;
use super::data_set::DataSet;

/// Group B from 128 on is the maker's own.
const MAKERS: u8 = 128;
/// What an address has that no numbers express.
const NAMELESS: ObisCode = ObisCode::now(0, MAKERS, 0, 0, 0);
/// No meter writes longer numbers; what can be calculated from shorter ones never overflows.
const LONGEST_NUMBER: usize = 20;
/// Where meters write their serial number, best first; those of heat meters last.
const SERIALS: [ObisCode; 9] = [
    ObisCode::now(0, 0, 96, 1, 0),
    ObisCode::now(0, 0, 96, 1, 255),
    ObisCode::now(0, 0, 96, 1, 1),
    ObisCode::now(1, 0, 96, 1, 0),
    ObisCode::now(1, 0, 0, 0, 0),
    ObisCode::now(0, 0, 42, 0, 0),
    ObisCode::now(1, 0, 0, 0, 9),
    ObisCode::now(6, MAKERS, 9, 21, 0),
    ObisCode::now(6, MAKERS, 0, 0, 0),
];

/// What a block says, in the form that all protocols have in common; `clock_base` is what the meter's clock is ahead of UTC in winter.
pub(super) fn telegram(sets: &[DataSet<'_>], clock_base: Span) -> Telegram {
    let heat = sets.iter().any(is_of_heat);
    let objects: Vec<Object> = sets.iter().map(|set| object(set, heat)).collect();
    let clock = clock(&objects, clock_base);
    let mut telegram = Telegram { meter: None, clock, objects, quality: DataQuality::Good };
    let text = |code| match &telegram.object(code)?.value {
        ObjectValue::Text(text) if !text.is_empty() => Some(text.clone()),
        ObjectValue::Text(_) | ObjectValue::Number(..) => None,
    };
    telegram.meter = SERIALS.into_iter().find_map(text);
    telegram
}

/// Electricity has neither energy nor volume there: `6.8` is reactive, and has three groups.
fn is_of_heat(set: &DataSet<'_>) -> bool {
    let mut units = set.values().filter_map(|(_, unit)| MeterUnit::parse(unit?)).map(|unit| unit.measure);
    match set.address {
        "6.8" => units.any(|measure| matches!(measure, Measure::ActiveEnergy | Measure::Heat)),
        "6.26" => units.any(|measure| measure == Measure::Volume),
        _ => false,
    }
}

fn object(set: &DataSet<'_>, heat: bool) -> Object {
    let (code, value) = match code(set.address, heat) {
        Some(code) => (code, value(set, code)),
        None => (NAMELESS, ObjectValue::Text(format!("{}({})", set.address, set.text))),
    };
    Object { code, value, at: None, quality: DataQuality::Good }
}

/// The code of an address; `heat`: in a telegram of a heat meter.
pub(super) fn code(address: &str, heat: bool) -> Option<ObisCode> {
    if address.contains([':', '-']) {
        return ObisCode::parse(address);
    }
    let (groups, stored) = match address.split_once(['*', '&']) {
        Some((groups, stored)) => (groups, stored.parse().ok()?),
        None => (address, NOW),
    };
    let mut groups = groups.split('.');
    let (c, general) = group(groups.next()?)?;
    let mut other = || groups.next().map_or(Some(0), |text| Some(group(text)?.0));
    let (d, e) = (other()?, other()?);
    if groups.next().is_some() {
        return None;
    }
    let [a, b, c, d, e] = match (general, heat, c, d) {
        // Profiles and logs are of electricity, what is general of no medium.
        (true, _, 98 | 99, _) => [1, 0, c, d, e],
        // The error register is written `F` and `F.F`.
        (true, _, 97, 0) => [0, 0, 97, 97, e],
        (true, ..) => [0, 0, c, d, e],
        (false, true, 6, 8) if e == 0 => [6, 0, 1, 0, 0],
        (false, true, 6, 26) if e == 0 => [6, 0, 2, 0, 0],
        (false, true, c, d) => [6, MAKERS, c, d, e],
        (false, false, c, d) => [1, 0, c, d, e],
    };
    Some(ObisCode([a, b, c, d, e, stored]))
}

/// A group's number, and whether it is one of the letters that stand for those of general objects.
fn group(text: &str) -> Option<(u8, bool)> {
    match text {
        "C" => Some((96, true)),
        "F" => Some((97, true)),
        "L" => Some((98, true)),
        "P" => Some((99, true)),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Some((text.parse().ok()?, false)),
        _ => None,
    }
}

/// A number where it is one and what it counts is sure; the text as the meter writes it otherwise.
fn value(set: &DataSet<'_>, code: ObisCode) -> ObjectValue {
    let mut values = set.values();
    let number = match (values.next(), values.next()) {
        (Some((text, unit)), None) if !set.repeats || unit.is_some() => number(text, unit, code),
        _ => None,
    };
    number.unwrap_or_else(|| ObjectValue::Text(set.text.to_owned()))
}

fn number(text: &str, unit: Option<&str>, code: ObisCode) -> Option<ObjectValue> {
    if text.len() > LONGEST_NUMBER || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = Decimal::from_str_exact(text).ok()?;
    let unit = match unit.filter(|unit| !unit.is_empty()) {
        Some(unit) => Some(MeterUnit::parse(unit)?),
        None => unwritten(value, code)?,
    };
    Some(ObjectValue::Number(value, unit))
}

/// The unit that a meter leaves out, by convention; `None` where the digits may be no number, or nobody knows its unit.
fn unwritten(value: Decimal, code: ObisCode) -> Option<Option<MeterUnit>> {
    let [1, _, c @ 1..96, d, ..] = code.0 else { return None };
    // Phases count as their sum does.
    let quantity = if c > 80 { c } else { c % 20 };
    match (quantity, d) {
        (1 | 2 | 15 | 16, 8 | 9) if value.scale() > 0 => Some(Some(MeterUnit::kilo(Measure::ActiveEnergy))),
        (3..=8, 8 | 9) if value.scale() > 0 => Some(Some(MeterUnit::kilo(Measure::ReactiveEnergy))),
        (11, 7) => Some(Some(MeterUnit::base(Measure::Current))),
        (12, 7) => Some(Some(MeterUnit::base(Measure::Voltage))),
        (14, 7) => Some(Some(MeterUnit::base(Measure::Frequency))),
        (13, 7) => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::data_set::data_sets;
    use super::{Object, ObjectValue, code, telegram};
    use crate::metering::obis::ObisCode;
    use crate::time::Span;

    #[test]
    fn addresses_have_codes() {
        for (address, expected) in [
            ("1-0:1.8.1*255", "1-0:1.8.1"),
            ("1-1:1.8.0", "1-1:1.8.0"),
            ("1-0:1.8.0&02", "1-0:1.8.0*2"),
            ("1.8.0", "1-0:1.8.0"),
            ("1.8", "1-0:1.8.0"),
            ("1.8.1*07", "1-0:1.8.1*7"),
            ("1.6.1&12", "1-0:1.6.1*12"),
            ("0.0.0", "1-0:0.0.0"),
            ("0.9.1", "1-0:0.9.1"),
            ("C.1.0", "0-0:96.1.0"),
            ("C.1", "0-0:96.1.0"),
            ("C.5.0", "0-0:96.5.0"),
            ("C.7.1", "0-0:96.7.1"),
            ("F.F", "0-0:97.97.0"),
            ("F", "0-0:97.97.0"),
            ("F.F.0", "0-0:97.97.0"),
            ("L.1.0", "1-0:98.1.0"),
            ("P.01", "1-0:99.1.0"),
            ("P.98", "1-0:99.98.0"),
        ] {
            assert_eq!(
                code(address, false).map(|code| code.to_string()).as_deref(),
                Some(expected),
                "{address}"
            );
        }
        for address in ["", "1.8.x", "1.8.0.1", "1.8.256", "1.8.0*x", "+1.8.0", "X", "1-0:1.8", ".8.0"] {
            assert_eq!(code(address, false), None, "{address}");
        }
    }

    #[test]
    fn heat_meters_mean_something_else() {
        for (address, expected) in [
            ("6.8", "6-0:1.0.0"),
            ("6.8*01", "6-0:1.0.0*1"),
            ("6.26", "6-0:2.0.0"),
            ("6.8.1", "6-128:6.8.1"),
            ("6.31", "6-128:6.31.0"),
            ("9.21", "6-128:9.21.0"),
            ("F", "0-0:97.97.0"),
        ] {
            assert_eq!(
                code(address, true).map(|code| code.to_string()).as_deref(),
                Some(expected),
                "{address}"
            );
        }
    }

    fn objects(text: &str) -> Vec<(String, String)> {
        let shown = |object: &Object| match &object.value {
            ObjectValue::Number(value, unit) => {
                format!("{value} {}", unit.map_or_else(String::new, |unit| unit.to_string()))
            }
            ObjectValue::Text(text) => format!("\"{text}\""),
        };
        let telegram = telegram(&data_sets(text, true).unwrap(), Span::HOUR);
        telegram.objects.iter().map(|object| (object.code.to_string(), shown(object))).collect()
    }

    #[test]
    fn values_are_numbers_only_where_that_is_sure() {
        for (set, code, shown) in [
            ("1.8.0(012345.678*kWh)", "1-0:1.8.0", "12345.678 kWh"),
            ("1-0:1.8.1*255(032942.0231)", "1-0:1.8.1", "32942.0231 kWh"),
            ("3.8.0(5.5)", "1-0:3.8.0", "5.5 kvarh"),
            ("1.8.0(012345)", "1-0:1.8.0", "\"012345\""),
            ("1.7.0(00.512)", "1-0:1.7.0", "\"00.512\""),
            ("32.7(230.1)", "1-0:32.7.0", "230.1 V"),
            ("13.7(0.98)", "1-0:13.7.0", "0.98 "),
            ("0.0.0(00012345)", "1-0:0.0.0", "\"00012345\""),
            ("F.F(00)", "0-0:97.97.0", "\"00\""),
            ("C.7.0(0003)", "0-0:96.7.0", "\"0003\""),
            ("81.7.6(  80*Deg)", "1-0:81.7.6", "80 deg"),
            ("1.8.0(5*furlong)", "1-0:1.8.0", "\"5*furlong\""),
            ("1.8.0()", "1-0:1.8.0", "\"\""),
            ("1.8.0(--*kWh)", "1-0:1.8.0", "\"--*kWh\""),
            ("1.8.0(123456789012345678901*kWh)", "1-0:1.8.0", "\"123456789012345678901*kWh\""),
            ("Q.X(5*kWh)", "0-128:0.0.0", "\"Q.X(5*kWh)\""),
        ] {
            assert_eq!(objects(set), [(code.to_owned(), shown.to_owned())], "{set}");
        }
        let peak = objects("1.6.1(00.5*kW)(1701011200)");
        assert_eq!(peak[1].1, "\"1701011200\"", "the time of the peak is no power");
        let heat = objects("6.8(0029.055*MWh)9.4(088*C&082*C)6.31(0030710*h)");
        let shown: Vec<&str> = heat.iter().map(|(_, value)| &value[..]).collect();
        assert_eq!(shown, ["29.055 MWh", "\"088*C&082*C\"", "\"0030710*h\""]);
    }

    #[test]
    fn the_serial_number_is_found() {
        let serial = |text| telegram(&data_sets(text, true).unwrap(), Span::HOUR).meter;
        assert_eq!(serial("0.0.0(12)\r\nC.1.0(0034)\r\n").as_deref(), Some("0034"));
        assert_eq!(serial("C.1.0()\r\n0.0.0(12)\r\n").as_deref(), Some("12"));
        assert_eq!(serial("6.8(1*MWh)0.0(1)9.21(0002)").as_deref(), Some("0002"));
        assert_eq!(serial("1.8.0(1*kWh)"), None);
        assert_eq!(ObisCode::parse("6-128:9.21.0"), code("9.21", true));
    }
}
