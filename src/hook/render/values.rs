//! Carries values into templates and out of them, digit by digit.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value as Json};

/// Lists and maps within each other that are written at most.
const DEPTH: usize = 64;

/// Reads the data of a fact for a template or a filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'s> {
    /// Members that hold decimals, by their paths.
    pub(super) decimals: &'s BTreeSet<String>,
    /// For a filter: null is not there, so that nothing is less than a number by not being one; and of very long decimals the
    /// first digits are enough.
    pub(super) to_compare: bool,
}

impl Reading<'_> {
    pub(super) fn members(self, members: &Map<String, Json>) -> Value {
        self.members_at("", members)
    }

    fn members_at(self, path: &str, members: &Map<String, Json>) -> Value {
        let there = members.iter().filter(|(_, value)| !(self.to_compare && value.is_null()));
        let read = |(name, value): (&String, &Json)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            (name.clone(), self.value_at(&path, value))
        };
        there.map(read).collect::<BTreeMap<_, _>>().into()
    }

    fn value_at(self, path: &str, value: &Json) -> Value {
        match value {
            Json::Null => Value::from(()),
            Json::Bool(value) => Value::from(*value),
            Json::Number(number) => of_number(number),
            Json::String(text) if self.decimals.contains(path) => {
                self.decimal(text).unwrap_or_else(|| Value::from(text.as_str()))
            }
            Json::String(text) => Value::from(text.as_str()),
            Json::Array(values) => values.iter().map(|value| self.value_at(path, value)).collect(),
            Json::Object(members) => self.members_at(path, members),
        }
    }

    /// A decimal as a number, so that it can be compared and counted with; `None` where it would lose digits.
    fn decimal(self, text: &str) -> Option<Value> {
        let digits = decimal(text)?.normalize().to_string();
        if let Ok(whole) = digits.parse::<i128>() {
            return Some(Value::from(whole));
        }
        let value = Value::from(digits.parse::<f64>().ok()?);
        (self.to_compare || value.to_string() == digits).then_some(value)
    }
}

/// A decimal in its usual form, `-12.50`; a text that merely looks like a number, `0012`, is none.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let usual = digits(whole) && digits(fraction) && (whole.len() == 1 || !whole.starts_with('0'));
    usual.then(|| text.parse().ok())?
}

/// A number that is written again as it was, or, where no number of a template has all its digits, those digits as a text.
fn of_number(number: &Number) -> Value {
    let text = number.to_string();
    if let Ok(whole) = text.parse::<i128>() {
        return Value::from(whole);
    }
    let value = text.parse().map_or(Value::UNDEFINED, |value: f64| Value::from(value));
    let again = value.to_string();
    let exact = again == text
        || number.as_f64().is_some_and(|value| Number::from_f64(value).as_ref() == Some(number));
    if exact { value } else { Value::from(text) }
}

/// What a template says, as JSON.
///
/// # Errors
///
/// Where it is undefined, or not a number of JSON (infinite), or nested too deep.
pub(super) fn json(value: &Value) -> Result<Json, Error> {
    json_within(value, DEPTH)
}

fn json_within(value: &Value, depth: usize) -> Result<Json, Error> {
    let refused = |why: &str| Error::new(ErrorKind::BadSerialization, why.to_owned());
    let Some(depth) = depth.checked_sub(1) else { return Err(refused("it is nested too deep")) };
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::Number => {
            number(value).map(Json::Number).ok_or_else(|| refused("it is no number of JSON"))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.map(|item| json_within(&item, depth)).collect::<Result<_, _>>().map(Json::Array)
        }
        ValueKind::Map => {
            let mut members = Map::new();
            for name in value.try_iter()? {
                let member = value.get_item(&name)?;
                members.insert(name.to_string(), json_within(&member, depth)?);
            }
            Ok(Json::Object(members))
        }
        ValueKind::String | ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _ => value
            .as_str()
            .map(|text| Json::String(text.to_owned()))
            .ok_or_else(|| refused("it is no value of JSON")),
    }
}

fn number(value: &Value) -> Option<Number> {
    if value.is_integer() {
        return i128::try_from(value.clone()).ok().and_then(Number::from_i128);
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use minijinja::Value;
    use serde_json::Value as Json;

    use super::{Reading, decimal, json};

    fn of(value: &Json) -> Value {
        Reading { decimals: &BTreeSet::new(), to_compare: false }.value_at("", value)
    }

    #[test]
    fn values_come_out_as_they_went_in() {
        for text in [
            "null",
            "true",
            "0",
            "-1",
            "18446744073709551615",
            "0.1",
            "12345.678",
            "-0.001",
            "230.1",
            "1e300",
            "\"0012.500\"",
            "[1,[2.5,{}],\"x\"]",
            "{\"a\":{\"b\":[]},\"c\":null}",
        ] {
            let before: Json = serde_json::from_str(text).unwrap();
            assert_eq!(json(&of(&before)).unwrap(), before, "{text}");
        }
        for text in ["0.1", "12345.678", "999999.999", "123456789012.123", "17", "-42"] {
            assert_eq!(of(&serde_json::from_str(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert!(json(&Value::from(f64::NAN)).is_err());
        assert!(json(&Value::from(f64::INFINITY)).is_err());
        assert!(json(&Value::UNDEFINED).is_err());
        assert!(json(&Value::from(i128::MAX)).is_err());
        let deep = (0..100).fold(Value::from(1), |inner, _| Value::from(vec![inner]));
        assert!(json(&deep).is_err());
    }

    #[test]
    fn decimals_in_texts_are_numbers_where_the_sample_says_so() {
        let decimals = BTreeSet::from(["w".to_owned(), "list.w".to_owned()]);
        let data: Json = serde_json::from_str(
            r#"{"w":"-417","id":"417","list":[{"w":"230.10"},{"w":"0.12345678901234567891"},{"w":"far"}],"none":null}"#,
        )
        .unwrap();
        let told = Reading { decimals: &decimals, to_compare: false }.value_at("", &data);
        let expected = r#"{"id":"417","list":[{"w":230.1},{"w":"0.12345678901234567891"},{"w":"far"}],"none":null,"w":-417}"#;
        assert_eq!(json(&told).unwrap().to_string(), expected);
        let compared = Reading { decimals: &decimals, to_compare: true }.value_at("", &data);
        let expected = r#"{"id":"417","list":[{"w":230.1},{"w":0.12345678901234568},{"w":"far"}],"w":-417}"#;
        assert_eq!(json(&compared).unwrap().to_string(), expected);
    }

    #[test]
    fn what_merely_looks_like_a_number_is_none() {
        for text in ["0", "-1", "12345.678", "0.10", "-0.5"] {
            assert!(decimal(text).is_some(), "{text}");
        }
        for text in ["", "-", "0012", "1e5", ".5", "5.", "+1", "1_000", "1.2.3", "--1", " 1", "NaN"] {
            assert!(decimal(text).is_none(), "{text}");
        }
    }
}
