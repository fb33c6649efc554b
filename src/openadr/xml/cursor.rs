//! Walks down a tree the way the schema is written: this element, perhaps that one, any number of those.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::characters::is_space;
use super::error::{XmlError, XmlFault, qualified};
use super::names::Ns;
use super::tree::{Document, NodeId, NodeKind};

/// An element of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'d> {
    document: &'d Document<'d>,
    id: NodeId,
}

impl<'d> Element<'d> {
    /// The document element.
    pub(crate) fn root(document: &'d Document<'d>) -> Self {
        Self { document, id: document.root() }
    }

    pub(super) const fn document(self) -> &'d Document<'d> {
        self.document
    }

    pub(crate) const fn id(self) -> NodeId {
        self.id
    }

    pub(crate) fn is(self, ns: Ns, name: &str) -> bool {
        self.document.tag(self.id).is_some_and(|tag| tag.ns == Some(ns) && tag.local == name)
    }

    /// Namespace, where it is one of the standard's, and local name.
    pub(crate) fn name(self) -> (Option<Ns>, &'d str) {
        self.document.tag(self.id).map_or((None, ""), |tag| (tag.ns, tag.local))
    }

    /// The value of an attribute; `None` as namespace is an attribute without prefix.
    pub(crate) fn attribute(self, ns: Option<Ns>, name: &str) -> Option<&'d str> {
        let tag = self.document.tag(self.id)?;
        let uri = ns.map_or("", Ns::uri);
        let mut all = self.document.attributes(tag).iter();
        all.find(|a| a.local == name && self.document.attribute_uri(a) == uri).map(|a| &*a.value)
    }

    /// Every element of a document, in its order.
    pub(crate) fn all(document: &'d Document<'d>) -> impl Iterator<Item = Self> {
        document.elements().map(move |(id, _)| Self { document, id })
    }

    /// Local name and value of each attribute, namespace declarations apart.
    pub(crate) fn attributes(self) -> impl Iterator<Item = (&'d str, &'d str)> {
        let tag = self.document.tag(self.id).into_iter();
        let attributes = tag.flat_map(|tag| self.document.attributes(tag));
        attributes.map(|attribute| (attribute.local, &*attribute.value))
    }

    /// The values of everything on it that could pass for an id, in whatever namespace and spelling.
    pub(crate) fn ids(self) -> impl Iterator<Item = &'d str> {
        self.attributes().filter(|(name, _)| name.eq_ignore_ascii_case("id")).map(|(_, value)| value)
    }

    /// Whether it is `other`, or stands somewhere inside it.
    pub(crate) fn is_within(self, other: Self) -> bool {
        std::iter::successors(Some(self.id), |id| self.document.parent(*id)).any(|id| id == other.id)
    }

    /// Whether anything but elements and texts stands in it, at whatever depth.
    pub(crate) fn has_comments_or_instructions(self) -> bool {
        self.document.children(self.id).any(|id| match self.document.node(id).kind {
            NodeKind::Comment(_) | NodeKind::Instruction { .. } => true,
            NodeKind::Element(_) => Self { document: self.document, id }.has_comments_or_instructions(),
            NodeKind::Document | NodeKind::Text(_) => false,
        })
    }

    /// The child elements, in order, whatever they are called.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let document = self.document;
        document
            .children(self.id)
            .filter(|id| document.tag(*id).is_some())
            .map(move |id| Self { document, id })
    }

    /// Opens the element to read its children in the schema's order.
    ///
    /// # Errors
    ///
    /// Where text stands between them.
    pub(crate) fn children(self) -> Result<Children<'d>, XmlError> {
        for id in self.document.children(self.id) {
            if let NodeKind::Text(text) = &self.document.node(id).kind
                && !text.chars().all(is_space)
            {
                return Err(self.unexpected("an element", &format!("text \"{}\"", shorten(text.trim()))));
            }
        }
        let first = self.document.node_first_element(self.id);
        Ok(Children { parent: self, next: first })
    }

    /// The text inside, joined across comments, with its blanks.
    ///
    /// # Errors
    ///
    /// Where there is an element inside.
    pub(crate) fn text(self) -> Result<Cow<'d, str>, XmlError> {
        let mut joined = Cow::Borrowed("");
        for id in self.document.children(self.id) {
            match &self.document.node(id).kind {
                NodeKind::Text(text) if joined.is_empty() => joined = Cow::Borrowed(text),
                NodeKind::Text(text) => joined.to_mut().push_str(text),
                NodeKind::Element(tag) => return Err(self.unexpected("text", &format!("<{}>", tag.local))),
                NodeKind::Document | NodeKind::Comment(_) | NodeKind::Instruction { .. } => {}
            }
        }
        Ok(joined)
    }

    /// The text inside with its blanks collapsed, as for `xs:token` and everything derived from it.
    pub(crate) fn token(self) -> Result<Cow<'d, str>, XmlError> {
        let text = self.text()?;
        if text.chars().any(is_space) {
            return Ok(Cow::Owned(
                text.split(is_space).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
            ));
        }
        Ok(text)
    }

    /// The text inside, read as a value.
    pub(crate) fn value<T: FromStr<Err: Display>>(self) -> Result<T, XmlError> {
        self.token()?.parse().map_err(|error: T::Err| self.fault(XmlFault::Value(error.to_string())))
    }

    /// The text inside, looked up in a code list.
    pub(crate) fn lookup<T>(self, list: impl FnOnce(&str) -> Option<T>) -> Result<T, XmlError> {
        let token = self.token()?;
        list(&token).ok_or_else(|| {
            self.fault(XmlFault::Value(format!(
                "\"{}\" is not in the code list of {}",
                shorten(&token),
                self.name().1
            )))
        })
    }

    pub(crate) fn boolean(self) -> Result<bool, XmlError> {
        self.lookup(|token| match token {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    pub(crate) fn fault(self, fault: XmlFault) -> XmlError {
        XmlError { place: self.document.place(self.id), fault }
    }

    pub(crate) fn unexpected(self, expected: &str, found: &str) -> XmlError {
        self.fault(XmlFault::Unexpected { expected: expected.to_owned(), found: found.to_owned() })
    }
}

impl Document<'_> {
    fn node_first_element(&self, id: NodeId) -> Option<NodeId> {
        self.children(id).find(|child| self.tag(*child).is_some())
    }
}

/// The children of an element that have not been read yet.
#[derive(Debug)]
pub(crate) struct Children<'d> {
    parent: Element<'d>,
    next: Option<NodeId>,
}

impl<'d> Children<'d> {
    pub(crate) fn peek(&self) -> Option<Element<'d>> {
        self.next.map(|id| Element { document: self.parent.document, id })
    }

    /// The next child, if it is this one.
    pub(crate) fn optional(&mut self, ns: Ns, name: &str) -> Option<Element<'d>> {
        self.next_if(|element| element.is(ns, name))
    }

    pub(crate) fn next_if(&mut self, wanted: impl FnOnce(Element<'d>) -> bool) -> Option<Element<'d>> {
        let element = self.peek().filter(|element| wanted(*element))?;
        let document = element.document;
        let siblings =
            std::iter::successors(document.next_sibling(element.id), |id| document.next_sibling(*id));
        self.next = { siblings }.find(|id| document.tag(*id).is_some());
        Some(element)
    }

    /// The next child, which must be this one.
    pub(crate) fn expect(&mut self, ns: Ns, name: &str) -> Result<Element<'d>, XmlError> {
        self.optional(ns, name).ok_or_else(|| self.missing(&qualified(ns, name)))
    }

    /// All the next children that are of this name, read by `read`.
    pub(crate) fn repeated<T>(
        &mut self,
        ns: Ns,
        name: &str,
        mut read: impl FnMut(Element<'d>) -> Result<T, XmlError>,
    ) -> Result<Vec<T>, XmlError> {
        let mut all = Vec::new();
        while let Some(element) = self.optional(ns, name) {
            all.push(read(element)?);
        }
        Ok(all)
    }

    /// As [`Children::repeated`], but at least one.
    pub(crate) fn at_least_one<T>(
        &mut self,
        ns: Ns,
        name: &str,
        read: impl FnMut(Element<'d>) -> Result<T, XmlError>,
    ) -> Result<Vec<T>, XmlError> {
        let all = self.repeated(ns, name, read)?;
        if all.is_empty() { Err(self.missing(&qualified(ns, name))) } else { Ok(all) }
    }

    /// There must be no child left.
    pub(crate) fn end(self) -> Result<(), XmlError> {
        match self.peek() {
            None => Ok(()),
            Some(extra) => {
                Err(extra.unexpected(&format!("the end of {}", self.parent.name().1), &described(extra)))
            }
        }
    }

    /// An error that says what should have come next.
    pub(crate) fn missing(&self, expected: &str) -> XmlError {
        match self.peek() {
            Some(found) => found.unexpected(expected, &described(found)),
            None => self.parent.unexpected(expected, &format!("the end of {}", self.parent.name().1)),
        }
    }
}

fn described(element: Element<'_>) -> String {
    match element.name() {
        (Some(ns), name) => qualified(ns, name),
        (None, name) => format!("{name} of a foreign namespace"),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
