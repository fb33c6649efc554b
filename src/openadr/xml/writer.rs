//! Writes elements, and remembers which namespaces they used.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::characters::is_xml_char;
use super::names::Ns;

/// Writes well-formed text; every element is closed where it was opened.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    used: BTreeSet<Ns>,
}

impl Writer {
    /// An element with content of its own.
    pub(super) fn element(&mut self, ns: Ns, name: &str, content: impl FnOnce(&mut Self)) {
        self.element_with(ns, name, &[], content);
    }

    /// An element with attributes; `None` as namespace is an attribute without prefix.
    pub(super) fn element_with(
        &mut self,
        ns: Ns,
        name: &str,
        attributes: &[(Option<Ns>, &str, &str)],
        content: impl FnOnce(&mut Self),
    ) {
        self.used.insert(ns);
        self.put(&["<", ns.prefix(), ":", name]);
        for (ns, name, value) in attributes {
            self.text.push(' ');
            if let Some(ns) = ns {
                self.used.insert(*ns);
                self.put(&[ns.prefix(), ":"]);
            }
            self.put(&[name, "=\""]);
            self.escaped(value);
            self.text.push('"');
        }
        let open = self.text.len();
        self.text.push('>');
        content(self);
        if self.text.len() == open + 1 {
            self.text.truncate(open);
            self.text.push_str("/>");
        } else {
            self.put(&["</", ns.prefix(), ":", name, ">"]);
        }
    }

    /// An element with nothing but a text.
    pub(super) fn text(&mut self, ns: Ns, name: &str, text: &str) {
        self.element(ns, name, |w| w.escaped(text));
    }

    /// An element with nothing but a value.
    pub(super) fn value(&mut self, ns: Ns, name: &str, value: impl Display) {
        self.text(ns, name, &value.to_string());
    }

    /// As [`Writer::value`], where there is one.
    pub(super) fn optional(&mut self, ns: Ns, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(ns, name, value);
        }
    }

    /// Text that is XML already and declares its own namespaces.
    pub(super) fn raw(&mut self, xml: &str) {
        self.text.push_str(xml);
    }

    /// What was written, and the namespaces that it needs.
    pub(super) fn finish(self) -> (String, BTreeSet<Ns>) {
        (self.text, self.used)
    }

    fn put(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    /// What XML cannot hold at all becomes U+FFFD.
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#xD;"),
                c if is_xml_char(c) => self.text.push(c),
                _ => self.text.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }
}
