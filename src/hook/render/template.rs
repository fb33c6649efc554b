//! Writes by a template of the operator, who may err: strictly, within bounds, and with the line in what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use rust_decimal::Decimal;

use super::media::Kind;
use super::samples::Samples;
use super::zone::{self, Zone};
use super::{RenderFault, escape, values};

/// Steps that a template may take; a list of a thousand facts has room in them.
pub(super) const FUEL: u64 = 100_000;
/// Bytes that a template may write.
pub(super) const OUTPUT_MAX: usize = 256 << 10;
/// Functions that a template may call.
const FUNCTIONS: [&str; 2] = ["dict", "range"];

/// What a template can speak of.
pub(in crate::hook) type Names = BTreeMap<&'static str, Value>;

/// A template that can be read.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Where it stands, for people: `template`, `form.telegram`.
    pub(super) place: String,
    text: String,
    /// What it speaks of, as `data.level`.
    pub(super) paths: BTreeSet<String>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTemplate {
    #[error("{place}, line {line}: {why}")]
    Unreadable { place: String, line: usize, why: String },
    #[error("{place} speaks of \"{name}\", which there is not; known are {known}")]
    UnknownName { place: String, name: String, known: String },
    #[error("{place} speaks of \"{name}\", which no fact of this hook has; data has {known}")]
    UnknownMember { place: String, name: String, known: String },
}

impl Template {
    /// Reads a template that may speak of these names, and of the data of these samples.
    pub(super) fn new(
        place: &str,
        text: &str,
        environment: &Environment<'static>,
        known: &[&str],
        samples: &Samples,
    ) -> Result<Self, BadTemplate> {
        let template = environment.template_from_str(text).map_err(|error| BadTemplate::Unreadable {
            place: place.to_owned(),
            line: error.line().unwrap_or(1),
            why: reason(&error),
        })?;
        let paths: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
        check_names(place, &paths, known, samples)?;
        Ok(Self { place: place.to_owned(), text: text.to_owned(), paths })
    }

    /// Whether it speaks of this name.
    pub(super) fn speaks_of(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path.split('.').next() == Some(name))
    }

    pub(super) fn render(
        &self,
        environment: &Environment<'static>,
        names: &Names,
    ) -> Result<String, RenderFault> {
        let place = || self.place.clone();
        let fault = |error: &Error| {
            if error.kind() == ErrorKind::OutOfFuel {
                return RenderFault::OutOfFuel { place: place() };
            }
            if error.kind() == ErrorKind::WriteFailure {
                return RenderFault::TooLong { place: place() };
            }
            let (line, why) = (error.line().unwrap_or(1), why(error, &self.paths, names));
            RenderFault::Template { place: place(), line, why }
        };
        let mut page = Page(Vec::new());
        let template = environment.template_from_str(&self.text).map_err(|error| fault(&error))?;
        template.render_captured_to(names.clone(), &mut page).map_err(|error| fault(&error))?;
        String::from_utf8(page.0).map_err(|_| RenderFault::TooLong { place: place() })
    }
}

/// Paper of a certain size.
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(octets.len()) > OUTPUT_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// That everything that is spoken of can be there.
pub(in crate::hook) fn check_names(
    place: &str,
    paths: &BTreeSet<String>,
    known: &[&str],
    samples: &Samples,
) -> Result<(), BadTemplate> {
    for path in paths {
        let (name, member) =
            path.split_once('.').map_or((path.as_str(), None), |(name, rest)| (name, Some(rest)));
        if !known.contains(&name) && !FUNCTIONS.contains(&name) {
            let (place, name) = (place.to_owned(), name.to_owned());
            return Err(BadTemplate::UnknownName { place, name, known: known.join(", ") });
        }
        if let ("data", Some(member)) = (name, member)
            && !samples.know(member)
        {
            let (place, name) = (place.to_owned(), path.clone());
            return Err(BadTemplate::UnknownMember { place, name, known: samples.members() });
        }
    }
    Ok(())
}

/// What went wrong with a fact: if something is undefined, what.
pub(in crate::hook) fn why(error: &Error, paths: &BTreeSet<String>, names: &Names) -> String {
    let gone = (error.kind() == ErrorKind::UndefinedError).then(|| missing(paths, names)).flatten();
    gone.unwrap_or_else(|| reason(error))
}

/// What was spoken of and is not there.
fn missing(paths: &BTreeSet<String>, names: &Names) -> Option<String> {
    let absent = |path: &&String| {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|name| names.get(name)).cloned();
        let value = parts.try_fold(first?, |value, name| value.get_attr(name).ok());
        Some(value.is_none_or(|value| value.is_undefined()))
    };
    let gone: Vec<&str> =
        paths.iter().filter(|path| absent(path) == Some(true)).map(String::as_str).collect();
    (!gone.is_empty()).then(|| format!("there is no {} in this fact", gone.join(", ")))
}

/// What went wrong, without the name and the line of the template, and all in one line.
pub(in crate::hook) fn reason(error: &Error) -> String {
    let kind = error.kind().to_string();
    let text = error.detail().map_or_else(|| kind.clone(), |detail| format!("{kind}: {detail}"));
    text.replace(['\n', '\r'], " ")
}

/// The language of templates and filters: what is not there is an error, and everything has an end.
pub(super) fn environment(zone: &Zone, kind: Kind) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("hook".into()));
    environment.set_formatter(move |out, _, value| write(out, kind, value));
    for name in ["debug", "namespace"] {
        environment.remove_global(name);
    }
    let json_is_markup = kind == Kind::Xml;
    environment.add_filter("tojson", move |state: &mut State<'_, '_>, value: &Value| {
        let text = values::json(value)?.to_string();
        state.consume_fuel(u64::try_from(text.len() / 16).unwrap_or(u64::MAX))?;
        Ok::<_, Error>(if json_is_markup { Value::from(text) } else { Value::from_safe_string(text) })
    });
    let here = zone.clone();
    environment.add_filter("localtime", move |text: &str, name: Option<&str>| {
        let there =
            name.map(|name| Zone::named(name).map_err(|error| refused(&error.to_string()))).transpose()?;
        there.as_ref().unwrap_or(&here).rewrite(text).ok_or_else(|| no_time(text))
    });
    let here = zone.clone();
    environment.add_filter("strftime", move |text: &str, pattern: &str| {
        zone::unix(text).ok_or_else(|| no_time(text))?;
        here.format(text, pattern).ok_or_else(|| refused(&format!("\"{pattern}\" is no pattern of times")))
    });
    environment.add_filter("unix", |text: &str| zone::unix(text).ok_or_else(|| no_time(text)));
    environment.add_filter("scale", scale);
    environment
}

/// One value into the output: a string so that it stays text between the author's quotes, everything else as JSON; null as
/// nothing where there is no JSON.
fn write(out: &mut Output<'_>, kind: Kind, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let json = matches!(kind, Kind::Json | Kind::JsonLines);
    match (value.as_str(), kind) {
        (Some(text), _) if value.is_safe() => out.write_str(text)?,
        (Some(text), Kind::Json | Kind::JsonLines) => escape::json(out, text)?,
        (Some(text), Kind::Xml) => escape::xml(out, text)?,
        (Some(text), Kind::Form | Kind::Text) => out.write_str(text)?,
        (None, _) if value.kind() == ValueKind::None => {
            if json {
                out.write_fmt(format_args!("{}", escape::NULL))?;
            }
        }
        (None, Kind::Xml) => escape::xml(out, &values::json(value)?.to_string())?,
        (None, _) => out.write_str(&values::json(value)?.to_string())?,
    }
    Ok(())
}

/// `|scale(-3)` moves the point of a decimal, and nothing else: 1234 becomes 1.234.
fn scale(value: &Value, places: i32) -> Result<Value, Error> {
    let text = value.to_string();
    let no_number =
        || refused(&format!("\"{}\" is no decimal number", text.chars().take(32).collect::<String>()));
    let number: Decimal = text.parse().map_err(|_| no_number())?;
    let power = 10_i64.checked_pow(places.unsigned_abs()).map(Decimal::from);
    let moved = power
        .and_then(|power| if places < 0 { number.checked_div(power) } else { number.checked_mul(power) });
    let moved = moved.ok_or_else(|| refused("the number becomes too long"))?.normalize().to_string();
    // Digits that a reader must not take for text.
    Ok(Value::from_safe_string(moved))
}

fn no_time(text: &str) -> Error {
    refused(&format!("\"{}\" is no time of RFC 3339", text.chars().take(40).collect::<String>()))
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.to_owned())
}
