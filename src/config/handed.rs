//! Reads tables whose settings are a plugin's own, `[plugin.config]` and `[handler.config]`: whatever stands in them is handed on.

use std::path::Path;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hook::{References, filled};
use super::reader::{Reader, Section};

/// The settings, as JSON has them; secrets stand in their texts as `${env:NAME}` and `${file:/path}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Handed(pub(crate) Map<String, Value>);

impl Handed {
    /// The settings with their secrets; paths are relative to that folder.
    ///
    /// # Errors
    ///
    /// Which setting lacks its secret, and why; never what was found.
    pub(crate) fn with_secrets(&self, folder: &Path) -> Result<Map<String, Value>, String> {
        self.0.iter().map(|(name, value)| Ok((name.clone(), with_secrets(value, name, folder)?))).collect()
    }
}

fn with_secrets(value: &Value, key: &str, folder: &Path) -> Result<Value, String> {
    match value {
        Value::String(text) => {
            let text = filled(text, folder, str::to_owned).map_err(|error| format!("{key}: {error}"))?;
            Ok(Value::String(text))
        }
        Value::Array(items) => items.iter().map(|item| with_secrets(item, key, folder)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                Ok((name.clone(), with_secrets(value, &format!("{key}.{name}"), folder)?))
            };
            members.iter().map(member).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}

/// The table `config`, which may stand here.
pub(super) fn handed(section: &Section<'_, '_>) -> Handed {
    let Some((table, key)) = section.table("config") else { return Handed::default() };
    Handed(members(table, &key, section.reader))
}

fn members(table: &DeTable<'_>, key: &str, reader: &Reader<'_>) -> Map<String, Value> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let member = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let name: &str = name.get_ref();
        Some((name.to_owned(), json(value, &format!("{key}.{name}"), reader)?))
    };
    entries.into_iter().filter_map(member).collect()
}

/// A value as JSON has it. A number with a fraction is the double that TOML says it is; a time is a text.
fn json(found: &Spanned<DeValue<'_>>, key: &str, reader: &Reader<'_>) -> Option<Value> {
    let wrong = |what: &str| {
        reader.fault(Some(reader.line(found.span().start)), key, what);
        None
    };
    match found.get_ref() {
        DeValue::String(text) => match References::of(text) {
            Ok(_) => Some(Value::from(text.as_ref())),
            Err(what) => wrong(what),
        },
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(Value::from(number)),
            Err(_) => wrong("expected a whole number of at most 64 bits"),
        },
        DeValue::Float(number) => {
            let double = number.as_str().parse::<f64>().ok().and_then(Number::from_f64);
            double.map(Value::Number).or_else(|| wrong("expected a number that is finite"))
        }
        DeValue::Boolean(value) => Some(Value::from(*value)),
        DeValue::Datetime(time) => Some(Value::from(time.to_string())),
        DeValue::Array(items) => Some(items.iter().filter_map(|item| json(item, key, reader)).collect()),
        DeValue::Table(table) => Some(Value::Object(members(table, key, reader))),
    }
}
