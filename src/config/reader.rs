//! Reads settings out of a TOML file, one by one, and notes every fault with its line.
//!
//! An environment variable `VEN__SECTION__KEY` goes before the file.

mod lists;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::time::Span;

use super::fault::{ConfigFault, nearest};

/// What is expected for a length of time.
const SPAN: &str = "a length of time like \"15s\", \"5min\" or \"1h\"";

/// Everything that was read, and what was wrong with it.
pub(super) struct Reader<'t> {
    text: &'t str,
    overrides: BTreeMap<String, String>,
    faults: RefCell<Vec<ConfigFault>>,
    lines: RefCell<BTreeMap<String, usize>>,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t str, overrides: BTreeMap<String, String>) -> Self {
        Self { text, overrides, faults: RefCell::new(Vec::new()), lines: RefCell::new(BTreeMap::new()) }
    }

    /// The faults, in the order of their lines, and the line of each setting.
    pub(super) fn finish(self) -> (Vec<ConfigFault>, BTreeMap<String, usize>) {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        (faults, self.lines.into_inner())
    }

    pub(super) fn fault(&self, line: Option<usize>, key: &str, what: impl Into<String>) {
        self.faults.borrow_mut().push(ConfigFault {
            file: None,
            line,
            key: key.to_owned(),
            what: what.into(),
        });
    }

    /// Where a setting that was read stands.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        self.lines.borrow().get(key).copied()
    }

    /// Remembers where something stands that was read, by the name under which it is looked for later.
    pub(super) fn stands(&self, key: String, line: Option<usize>) {
        self.lines.borrow_mut().extend(line.map(|line| (key, line)));
    }

    pub(super) fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}

/// A setting that was found: its value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) key: String,
    pub(super) line: Option<usize>,
}

impl<T> Found<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        Found { value: change(self.value), key: self.key, line: self.line }
    }
}

/// A table of settings; what nobody asks for is a fault.
pub(super) struct Section<'r, 't> {
    pub(super) reader: &'r Reader<'t>,
    path: String,
    line: Option<usize>,
    table: Option<&'r DeTable<'t>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r, 't> Section<'r, 't> {
    pub(super) const fn root(reader: &'r Reader<'t>, table: &'r DeTable<'t>) -> Self {
        Self { reader, path: String::new(), line: None, table: Some(table), asked: RefCell::new(Vec::new()) }
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn entry(&self, name: &'static str) -> Option<(&'r Spanned<DeValue<'t>>, usize)> {
        self.asked.borrow_mut().push(name);
        let value = self.table?.get(name)?;
        let line = self.reader.line(value.span().start);
        self.reader.lines.borrow_mut().insert(self.key(name), line);
        Some((value, line))
    }

    /// How it is called in faults, and where it begins.
    pub(super) fn place(&self) -> (String, Option<usize>) {
        (self.path.clone(), self.line)
    }

    /// A table below this one; absent is the same as empty.
    pub(super) fn section(&self, name: &'static str) -> Self {
        let found = self.entry(name);
        let table = found.and_then(|(value, line)| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong(name, Some(line), &format!("[{name}]"), value.get_ref());
            }
            table
        });
        let line = found.map(|(_, line)| line);
        Self { reader: self.reader, path: self.key(name), line, table, asked: RefCell::new(Vec::new()) }
    }

    /// The tables of an array.
    pub(super) fn sections(&self, name: &'static str) -> Vec<Self> {
        let Some((value, line)) = self.entry(name) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(name, Some(line), &format!("[[{name}]]"), value.get_ref());
            return Vec::new();
        };
        let section = |(at, item): (usize, &'r Spanned<DeValue<'t>>)| {
            let (line, path) = (self.reader.line(item.span().start), format!("{}[{at}]", self.key(name)));
            let Some(table) = item.get_ref().as_table() else {
                self.wrong(name, Some(line), "a table", item.get_ref());
                return None;
            };
            let asked = RefCell::new(Vec::new());
            Some(Self { reader: self.reader, path, line: Some(line), table: Some(table), asked })
        };
        array.iter().enumerate().filter_map(section).collect()
    }

    /// The setting as text, from the environment or the file.
    fn scalar(
        &self,
        name: &'static str,
        kind: &str,
        in_file: fn(&DeValue<'_>) -> Option<String>,
    ) -> Option<Found<String>> {
        let entry = self.entry(name);
        let key = self.key(name);
        if let Some(value) = self.reader.overrides.get(&key) {
            return Some(Found { value: value.clone(), key, line: None });
        }
        let (value, line) = entry?;
        let text = in_file(value.get_ref());
        if text.is_none() {
            self.wrong(name, Some(line), kind, value.get_ref());
        }
        Some(Found { value: text?, key, line: Some(line) })
    }

    fn wrong(&self, name: &str, line: Option<usize>, expected: &str, found: &DeValue<'_>) {
        let what = format!("expected {expected}, found {}", found.type_str());
        self.reader.fault(line, &self.key(name), what);
    }

    /// A fault of this section as a whole.
    pub(super) fn fault(&self, name: &str, what: impl Into<String>) {
        self.reader.fault(self.line, &self.key(name), what);
    }

    /// A fault of a setting that stands here, or in the environment.
    pub(super) fn fault_at(&self, name: &str, what: impl Into<String>) {
        let value = self.table.and_then(|table| table.get(name));
        let line = value.map(|value| self.reader.line(value.span().start));
        self.reader.fault(line, &self.key(name), what);
    }

    pub(super) fn text(&self, name: &'static str) -> Option<Found<String>> {
        self.scalar(name, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// Whether the setting stands anywhere, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
            || self.reader.overrides.contains_key(&self.key(name))
    }

    /// Whether the setting stands here as a table.
    pub(super) fn is_table(&self, name: &str) -> bool {
        self.table.and_then(|table| table.get(name)).is_some_and(|value| value.get_ref().is_table())
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &'static str, advice: &str) -> Option<Found<String>> {
        let found = self.text(name);
        if !self.has(name) {
            self.fault(name, format!("is missing; {advice}"));
        }
        found
    }

    pub(super) fn boolean(&self, name: &'static str) -> Option<Found<bool>> {
        let kind = "true or false";
        let found = self.scalar(name, kind, |value| value.as_bool().map(|value| value.to_string()))?;
        self.parsed(found, kind, |text| text.parse().ok())
    }

    pub(super) fn number(&self, name: &'static str) -> Option<Found<u32>> {
        let kind = "a whole number";
        let found =
            self.scalar(name, kind, |value| value.as_integer().map(|value| value.as_str().to_owned()))?;
        self.parsed(found, kind, |text| text.replace('_', "").parse().ok())
    }

    /// A number that may have a point, exactly.
    pub(super) fn fraction(&self, name: &'static str) -> Option<Found<Decimal>> {
        let kind = "a number like 0.2";
        let found = self.scalar(name, kind, |value| {
            let whole = value.as_integer().map(|value| value.as_str());
            value.as_float().map(|value| value.as_str()).or(whole).map(str::to_owned)
        })?;
        self.parsed(found, kind, |text| text.replace('_', "").parse().ok())
    }

    /// A whole number in a range.
    pub(super) fn whole(&self, name: &'static str, range: RangeInclusive<u8>) -> Option<Found<u8>> {
        let found = self.number(name)?;
        let value = u8::try_from(found.value).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let what = format!("expected {} to {}, found {}", range.start(), range.end(), found.value);
            self.reader.fault(found.line, &found.key, what);
        }
        found.map(|_| value).transpose()
    }

    /// A length of time, as `15s`, `5min`, `1h 30m`.
    pub(super) fn span(&self, name: &'static str) -> Option<Found<Span>> {
        let found = self.scalar(name, SPAN, |value| value.as_str().map(str::to_owned))?;
        self.parsed_span(found)
    }

    fn parsed_span(&self, found: Found<String>) -> Option<Found<Span>> {
        self.parsed(found, SPAN, |text| humantime::parse_duration(text).ok().map(Span::from_std))
    }

    /// A text that means something.
    pub(super) fn parse_text<T>(
        &self,
        name: &'static str,
        kind: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Found<T>> {
        let found = self.text(name)?;
        self.parsed(found, kind, parse)
    }

    /// A number of octets, as `512KiB`, `32MiB`, `1GiB`.
    pub(super) fn octets(&self, name: &'static str) -> Option<Found<u64>> {
        const UNITS: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let kind = "a size like \"512KiB\" or \"32MiB\"";
        let found = self.scalar(name, kind, |value| value.as_str().map(str::to_owned))?;
        self.parsed(found, kind, |text| {
            let (number, unit) =
                UNITS.iter().find_map(|(unit, octets)| Some((text.strip_suffix(unit)?, *octets)))?;
            number.trim().parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(unit)
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<Found<T>> {
        let found = self.text(name)?;
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let kind = format!("one of \"{}\"", known.join("\", \""));
        self.parsed(found, &kind, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    fn parsed<T>(
        &self,
        found: Found<String>,
        kind: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Found<T>> {
        let value = parse(&found.value);
        if value.is_none() {
            let what = format!("expected {kind}, found \"{}\"", found.value);
            self.reader.fault(found.line, &found.key, what);
        }
        found.map(|_| value).transpose()
    }

    /// Notes every setting that nobody has asked for.
    pub(super) fn end(self) {
        let asked = self.asked.into_inner();
        for (name, _) in self.table.into_iter().flatten() {
            let text: &str = name.get_ref();
            if asked.contains(&text) {
                continue;
            }
            let line = self.reader.line(name.span().start);
            let key = if self.path.is_empty() { text.to_owned() } else { format!("{}.{text}", self.path) };
            let advice = match nearest(text, &asked) {
                Some(near) => format!("; did you mean \"{near}\"?"),
                None => format!("; known here: {}", asked.join(", ")),
            };
            self.reader.fault(Some(line), &key, format!("is not known{advice}"));
        }
    }
}

impl<T> Found<Option<T>> {
    fn transpose(self) -> Option<Found<T>> {
        Some(Found { value: self.value?, key: self.key, line: self.line })
    }
}
