//! Writes elements in canonical form, and remembers which namespaces they used.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};

use super::canonical::{escape_attribute, escape_text};
use super::characters::{first_forbidden, is_xml_char};
use super::names::Ns;

/// Writes well-formed text; every element is closed where it was opened. What is written is what Canonical XML makes of it, so
/// that it can be digested as it stands.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    used: [bool; Ns::ALL.len()],
    foreign: bool,
}

impl Writer {
    /// An element with content of its own.
    pub(super) fn element(&mut self, ns: Ns, name: &str, content: impl FnOnce(&mut Self)) {
        self.element_with(ns, name, &[], content);
    }

    /// An element with attributes, in canonical order; `None` as namespace is an attribute without prefix.
    pub(super) fn element_with(
        &mut self,
        ns: Ns,
        name: &str,
        attributes: &[(Option<Ns>, &str, &str)],
        content: impl FnOnce(&mut Self),
    ) {
        self.used[ns as usize] = true;
        self.put(&["<", ns.prefix(), ":", name]);
        for (ns, name, value) in attributes {
            self.text.push(' ');
            if let Some(ns) = ns {
                self.used[*ns as usize] = true;
                self.put(&[ns.prefix(), ":"]);
            }
            self.put(&[name, "=\""]);
            escape_attribute(&allowed(value), &mut self.text);
            self.text.push('"');
        }
        self.text.push('>');
        content(self);
        self.put(&["</", ns.prefix(), ":", name, ">"]);
    }

    /// An element with nothing but a text.
    pub(super) fn text(&mut self, ns: Ns, name: &str, text: &str) {
        self.value(ns, name, text);
    }

    /// An element with nothing but a value.
    pub(super) fn value(&mut self, ns: Ns, name: &str, value: impl Display) {
        self.element(ns, name, |w| {
            // Neither a string nor what we display in it fails.
            let _ = write!(Escaped(&mut w.text), "{value}");
        });
    }

    /// As [`Writer::value`], where there is one.
    pub(super) fn optional(&mut self, ns: Ns, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(ns, name, value);
        }
    }

    /// Text that is XML already and declares its own namespaces.
    pub(super) fn raw(&mut self, xml: &str) {
        self.foreign = true;
        self.text.push_str(xml);
    }

    /// What was written, the namespaces that it needs, and whether anything in it came as XML already, which need not be
    /// canonical in this place.
    pub(super) fn finish(self) -> (String, BTreeSet<Ns>, bool) {
        let used = Ns::ALL.into_iter().filter(|ns| self.used[*ns as usize]).collect();
        (self.text, used, self.foreign)
    }

    fn put(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }
}

/// Escapes whatever is displayed into it.
struct Escaped<'t>(&'t mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_text(&allowed(text), self.0);
        Ok(())
    }
}

/// What XML cannot hold at all becomes U+FFFD.
fn allowed(text: &str) -> Cow<'_, str> {
    match first_forbidden(text) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace(|c| !is_xml_char(c), "\u{FFFD}")),
    }
}
