//! Carries values into templates and out of them, digit by digit.

use std::collections::BTreeMap;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use serde_json::{Map, Number, Value as Json};

/// Lists and maps within each other that are written at most.
const DEPTH: usize = 64;

/// A JSON value for a template.
pub(super) fn of(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => of_number(number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => values.iter().map(of).collect(),
        Json::Object(members) => of_members(members),
    }
}

pub(super) fn of_members(members: &Map<String, Json>) -> Value {
    members.iter().map(|(name, value)| (name.as_str(), of(value))).collect::<BTreeMap<_, _>>().into()
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
        _ => value
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
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use minijinja::Value;
    use serde_json::Value as Json;

    use super::{json, of};

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
}
