//! Finds in what a meter pushes which value is what: with codes beside the values, with a description, or by their places.
//!
//! | list | meters |
//! |---|---|
//! | codes, values, and scaler and unit with each | Aidon, Kaifa and Sagemcom in Austria |
//! | codes and values | Kamstrup, Kaifa in Sweden |
//! | a description (class, code, attribute, index), then the values in its order | Switzerland |
//! | values alone | Kaifa in Norway, Iskra in Slovenia |
//!
//! What a list does not say of scales, a [`Model`](super::models::Model) does.

use crate::metering::decoder::Why;
use crate::metering::obis::{NOW, ObisCode};
use crate::metering::telegram::{Object, ObjectValue};
use crate::metering::unit::MeterUnit;
use crate::openadr::message::{DataQuality, Decimal};

use super::axdr::Data;
use super::clock;
use super::models::{ListModels, Model};
use super::units::kind;

/// The version of a list, where a text stands before all codes.
const VERSION: ObisCode = ObisCode([1, 1, 0, 2, 129, NOW]);
/// The meter's clock; Kamstrup names it by channel 1.
const CLOCKS: [ObisCode; 2] = [ObisCode::now(0, 0, 1, 0, 0), ObisCode::now(0, 1, 1, 0, 0)];
/// Where meters say their type.
const TYPES: [ObisCode; 2] = [ObisCode::now(0, 0, 96, 1, 7), ObisCode::now(1, 1, 96, 1, 1)];
/// The attribute of a value, and that of scaler and unit (IEC 62056-6-2, register).
const VALUE: u8 = 2;
const SCALER_UNIT: u8 = 3;
/// Powers of ten beyond this are none of a meter.
const POWERS: std::ops::RangeInclusive<i8> = -12..=12;

/// A value and what it is.
struct Entry<'a, 'd> {
    code: ObisCode,
    value: &'a Data<'d>,
    /// Power of ten and number of the unit, where the list says them.
    scaler_unit: Option<(i8, u8)>,
}

/// What a list says.
#[derive(Debug)]
pub(super) struct List {
    /// In its order; what is null is not said.
    pub(super) objects: Vec<Object>,
    /// The meter's clock, as it stands there.
    pub(super) clock: Option<[u8; clock::LENGTH]>,
}

impl List {
    /// Reads the body of a message.
    ///
    /// # Errors
    ///
    /// [`Why::Content`] where nothing tells what the values are.
    pub(super) fn read(body: &Data<'_>, models: &ListModels) -> Result<Self, Why> {
        let single = std::slice::from_ref(body);
        let values = if let Data::List(values) = body { values.as_slice() } else { single };
        let (entries, model) = entries(values, models)?;
        let octets = |entry: &Entry<'_, '_>| {
            let Data::Octets(octets) = entry.value else { return None };
            <[u8; clock::LENGTH]>::try_from(*octets).ok()
        };
        let clock = entries.iter().filter(|entry| CLOCKS.contains(&entry.code)).find_map(octets);
        Ok(Self { objects: entries.iter().filter_map(|entry| object(entry, model)).collect(), clock })
    }
}

/// What is what, and the model that says the scales, where the list does not.
fn entries<'a, 'd, 'm>(
    values: &'a [Data<'d>],
    models: &'m ListModels,
) -> Result<(Vec<Entry<'a, 'd>>, Option<&'m Model>), Why> {
    let mut entries = Vec::new();
    let mut model = None;
    if describes(values, &mut entries) {
        model = find_model(models, true, &entries);
    } else {
        walk(values, &mut entries);
        // A list of values alone may begin with its own name, which looks like a code.
        let is_number = |value: &Data<'_>| matches!(value, Data::Number(_));
        let named = entries.iter().any(|entry| is_number(entry.value)) || !values.iter().any(is_number);
        if !named || entries.iter().all(|entry| entry.code == VERSION) {
            let what = || {
                format!(
                    "a list of {} values that says nothing of what they are, and no model does",
                    values.len()
                )
            };
            let (found, order) = models.order(values).ok_or_else(|| Why::Content { at: 0, what: what() })?;
            let entry = |(code, value)| Entry { code, value, scaler_unit: None };
            entries = order.iter().copied().zip(values).map(entry).collect();
            model = Some(found);
        } else if entries.iter().all(|entry| entry.scaler_unit.is_none()) {
            model = find_model(models, false, &entries);
        }
    }
    Ok((entries, model))
}

fn find_model<'m>(models: &'m ListModels, described: bool, entries: &[Entry<'_, '_>]) -> Option<&'m Model> {
    let begins = |entry: &Entry<'_, '_>, begin: &str| match entry.value {
        Data::Octets(text) | Data::Text(text) => text.starts_with(begin.as_bytes()),
        Data::Null | Data::List(_) | Data::Number(_) | Data::Enum(_) => false,
    };
    let text = |text: &str| entries.iter().any(|entry| begins(entry, text));
    let device = |text: &str| entries.iter().any(|entry| TYPES.contains(&entry.code) && begins(entry, text));
    models.of(described, &text, &device)
}

/// Takes the values of a list whose first describes all of them, itself included, or all the others.
fn describes<'a, 'd>(values: &'a [Data<'d>], entries: &mut Vec<Entry<'a, 'd>>) -> bool {
    let Some((Data::List(descriptions), others)) = values.split_first() else { return false };
    let descriptions: Vec<_> = descriptions.iter().map_while(description).collect();
    if descriptions.is_empty() || !matches!(&values[0], Data::List(all) if all.len() == descriptions.len()) {
        return false;
    }
    let described = if descriptions.len() == values.len() { values } else { others };
    if descriptions.len() != described.len() {
        return false;
    }
    for ((code, attribute), value) in descriptions.into_iter().zip(described) {
        match (attribute, entries.last_mut()) {
            (SCALER_UNIT, Some(last)) if last.code == code => last.scaler_unit = scaler_unit(value),
            _ if attribute != VALUE && kind(code).is_some() => {}
            _ => entries.push(Entry { code, value, scaler_unit: None }),
        }
    }
    true
}

/// Code and attribute of `{class, code, attribute, index}`.
fn description(data: &Data<'_>) -> Option<(ObisCode, u8)> {
    let Data::List(fields) = data else { return None };
    match fields.as_slice() {
        [Data::Number(_), code, Data::Number(attribute), Data::Number(_)] => {
            Some((as_code(code)?, u8::try_from(*attribute).ok()?))
        }
        _ => None,
    }
}

/// Takes what follows each code, however deep; nothing else says what it is but a text before all codes.
fn walk<'a, 'd>(values: &'a [Data<'d>], entries: &mut Vec<Entry<'a, 'd>>) {
    let mut rest = values;
    while let [first, after @ ..] = rest {
        rest = after;
        match (as_code(first), first) {
            (Some(code), _) => {
                let [value, after @ ..] = after else { return };
                rest = after;
                if let Data::List(values) = value {
                    walk(values, entries);
                    continue;
                }
                let scaler_unit = after.first().and_then(scaler_unit);
                if scaler_unit.is_some() {
                    rest = after.get(1..).unwrap_or_default();
                }
                entries.push(Entry { code, value, scaler_unit });
            }
            (None, Data::List(values)) => walk(values, entries),
            (None, Data::Text(_)) if entries.is_empty() => {
                entries.push(Entry { code: VERSION, value: first, scaler_unit: None });
            }
            (None, _) => {}
        }
    }
}

/// Six octets that look like a code of a value of now or of an earlier period.
fn as_code(data: &Data<'_>) -> Option<ObisCode> {
    let Data::Octets(octets) = data else { return None };
    let groups = <[u8; 6]>::try_from(*octets).ok()?;
    let [medium, .., stored] = groups;
    (medium <= 9 && (stored == NOW || stored <= 126)).then_some(ObisCode(groups))
}

/// `{scaler, unit}`.
fn scaler_unit(data: &Data<'_>) -> Option<(i8, u8)> {
    let Data::List(fields) = data else { return None };
    match fields.as_slice() {
        [Data::Number(scaler), Data::Enum(unit)] => Some((i8::try_from(*scaler).ok()?, *unit)),
        _ => None,
    }
}

fn object(entry: &Entry<'_, '_>, model: Option<&Model>) -> Option<Object> {
    let code = own(entry.code);
    let mut quality = DataQuality::Good;
    let value = match entry.value {
        Data::Null | Data::List(_) => return None,
        Data::Octets(octets) => ObjectValue::Text(shown(octets, octets.is_ascii())),
        Data::Text(text) => ObjectValue::Text(shown(text, true)),
        Data::Enum(number) => ObjectValue::Number((*number).into(), None),
        Data::Number(number) => match (entry.scaler_unit, kind(code)) {
            (Some((power, number_of_unit)), _) => match times_ten_to(*number, power) {
                Some(value) => ObjectValue::Number(value, MeterUnit::numbered(number_of_unit)),
                None => {
                    quality = DataQuality::Bad;
                    ObjectValue::Number(*number, None)
                }
            },
            (None, Some((kind, unit))) => {
                let scale = model.map_or(Decimal::ONE, |model| model.scale(kind));
                ObjectValue::Number(number.checked_mul(scale)?, unit)
            }
            (None, None) => ObjectValue::Number(*number, None),
        },
    };
    Some(Object { code, value, at: None, quality })
}

/// As text, if it may be one and nothing in it controls a screen; else as hexadecimal digits.
fn shown(octets: &[u8], may_be_text: bool) -> String {
    let text = str::from_utf8(octets).ok().filter(|text| may_be_text && !text.chars().any(char::is_control));
    text.map_or_else(|| octets.iter().map(|octet| format!("{octet:02X}")).collect(), str::to_owned)
}

/// Kamstrup and Swiss meters name their own values by channel 1, all others by 0: both mean the meter itself.
const fn own(code: ObisCode) -> ObisCode {
    match code {
        ObisCode([1, 1, c, d, e, f]) => ObisCode([1, 0, c, d, e, f]),
        other => other,
    }
}

/// Exactly, with the decimals that a negative power gives; nothing where the power is none of a meter.
fn times_ten_to(number: Decimal, power: i8) -> Option<Decimal> {
    if !POWERS.contains(&power) {
        return None;
    }
    let ten_to = |power: u8| 10_i64.checked_pow(power.into()).map(Decimal::from);
    match u8::try_from(power) {
        Ok(power) => number.checked_mul(ten_to(power)?),
        // As by moving the point: a zero keeps its decimals, too.
        Err(_) => {
            let scale = number.scale() + u32::from(power.unsigned_abs());
            Decimal::try_from_i128_with_scale(number.mantissa(), scale).ok()
        }
    }
}
