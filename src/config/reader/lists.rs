//! Reads settings that are lists, or tables of texts.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Found, Section};
use crate::time::Span;

impl<'r, 't> Section<'r, 't> {
    /// What stands in a list, or alone, and the line of it.
    fn items(&self, name: &'static str) -> Option<(&'r [Spanned<DeValue<'t>>], usize)> {
        let (value, line) = self.entry(name)?;
        let items = value.get_ref().as_array().map(|array| &**array);
        Some((items.unwrap_or_else(|| std::slice::from_ref(value)), line))
    }

    /// One text or a list of them.
    pub(in crate::config) fn texts(&self, name: &'static str) -> Vec<Found<String>> {
        let key = self.key(name);
        if self.reader.overrides.contains_key(&key) {
            return self.text(name).into_iter().collect();
        }
        let Some((items, line)) = self.items(name) else { return Vec::new() };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => {
                    texts.push(Found { value: text.to_owned(), key: key.clone(), line: Some(line) });
                }
                None => self.wrong(name, Some(line), "a text in quotes, or a list of them", item.get_ref()),
            }
        }
        texts
    }

    /// A table whose settings are not ours, and how it is called in faults.
    pub(in crate::config) fn table(&self, name: &'static str) -> Option<(&'r DeTable<'t>, String)> {
        let (value, line) = self.entry(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(name, Some(line), "a table", value.get_ref());
        }
        Some((table?, self.key(name)))
    }

    /// One whole number or a list of them.
    pub(in crate::config) fn numbers(&self, name: &'static str) -> Vec<Found<u32>> {
        let Some((items, line)) = self.items(name) else { return Vec::new() };
        let mut numbers = Vec::new();
        for item in items {
            let number = item.get_ref().as_integer().map(|number| number.as_str().replace('_', ""));
            match number.and_then(|number| number.parse().ok()) {
                Some(value) => numbers.push(Found { value, key: self.key(name), line: Some(line) }),
                None => self.wrong(name, Some(line), "a whole number, or a list of them", item.get_ref()),
            }
        }
        numbers
    }

    /// One length of time or a list of them.
    pub(in crate::config) fn spans(&self, name: &'static str) -> Vec<Found<Span>> {
        let texts = self.texts(name).into_iter();
        texts.filter_map(|found| self.parsed_span(found)).collect()
    }

    /// A table of texts whose names are up to whoever writes it, in the order of the file.
    pub(in crate::config) fn pairs(&self, name: &'static str) -> Vec<(String, Found<String>)> {
        let Some((value, line)) = self.entry(name) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(name, Some(line), "a table like { name = \"text\" }", value.get_ref());
            return Vec::new();
        };
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(name, _)| name.span().start);
        let pair = |(of, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let of: &std::borrow::Cow<'_, str> = of.get_ref();
            let (key, line) =
                (format!("{}.{of}", self.key(name)), Some(self.reader.line(value.span().start)));
            let text = value.get_ref().as_str();
            if text.is_none() {
                let found = value.get_ref().type_str();
                self.reader.fault(line, &key, format!("expected a text in quotes, found {found}"));
            }
            Some((of.to_string(), Found { value: text?.to_owned(), key, line }))
        };
        pairs.into_iter().filter_map(pair).collect()
    }
}
