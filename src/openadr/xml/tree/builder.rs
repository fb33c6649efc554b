//! Builds the tree from what the reader finds, and refuses what is not well-formed or too much.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::openadr::xml::characters::{is_ncname, is_space, is_xml_char};
use crate::openadr::xml::error::{Place, XmlError, XmlFault};
use crate::openadr::xml::limits::Limits;
use crate::openadr::xml::names::Ns;

use super::{Attribute, Declaration, Document, Node, NodeId, NodeKind, Tag, index, line_and_column};

const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";

/// Different namespaces in one document: each new one is looked for among all others, so their number is bounded.
const MOST_NAMESPACES: usize = 256;

/// Names of elements that are remembered; a message has few different ones, and each of them many times.
const REMEMBERED: usize = 256;

/// Builds the tree from the reader's events.
pub(super) struct Builder<'a, 'l> {
    reader: Reader<&'a [u8]>,
    limits: &'l Limits,
    document: Document<'a>,
    /// Which of the standard's namespaces each URI of the document is.
    known: Vec<Option<Ns>>,
    /// The elements that are open, with the last child of each; first the document itself.
    open: Vec<(NodeId, Option<NodeId>)>,
    /// The declarations that hold, with the depth at which each was made.
    scope: Vec<(usize, Declaration<'a>)>,
    names: [Option<KnownName<'a>>; REMEMBERED],
    /// Counts what is declared and what no longer holds.
    scopes: u32,
    /// The document has carriage returns, so that its line ends may have to be changed.
    has_returns: bool,
    /// It has what ends a CDATA section, and must not stand in a text.
    has_section_ends: bool,
    offset: usize,
    root_seen: bool,
}

/// The name of an element, taken apart, and what it means as long as the same namespaces are in scope.
#[derive(Clone, Copy)]
struct KnownName<'a> {
    name: &'a str,
    prefix: &'a str,
    local: &'a str,
    uri: Option<u16>,
    scopes: u32,
}

impl KnownName<'_> {
    /// Where it is remembered; another of the same place takes it over.
    fn slot(name: &str) -> usize {
        let end = name.as_bytes().last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        let mixed = end.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        usize::try_from(mixed).unwrap_or(0) ^ (name.len() % REMEMBERED)
    }
}

impl<'a, 'l> Builder<'a, 'l> {
    pub(super) fn new(text: &'a str, limits: &'l Limits) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let top =
            Node { kind: NodeKind::Document, parent: None, first_child: None, next_sibling: None, offset: 0 };
        // An element has two tags, and most have one text, so this is room for nearly all documents.
        let tags = text.bytes().filter(|byte| *byte == b'<').count();
        let mut nodes = Vec::with_capacity(tags.min(limits.nodes) + 1);
        nodes.push(top);
        let document = Document {
            text,
            nodes,
            attributes: Vec::new(),
            declarations: Vec::new(),
            uris: Vec::new(),
            root: NodeId::DOCUMENT,
        };
        let open = vec![(NodeId::DOCUMENT, None)];
        Self {
            reader,
            limits,
            document,
            known: Vec::new(),
            open,
            scope: Vec::new(),
            names: [None; REMEMBERED],
            scopes: 0,
            has_returns: has_byte(text, b'\r'),
            has_section_ends: has_byte(text, b']') && text.contains("]]>"),
            offset: 0,
            root_seen: false,
        }
    }

    pub(super) fn build(mut self) -> Result<Document<'a>, XmlError> {
        loop {
            self.offset = self.position();
            let event = self.reader.read_event().map_err(|e| self.malformed(e.to_string()))?;
            match event {
                Event::Start(start) => self.start(&start)?,
                Event::Empty(start) => {
                    self.start(&start)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => {
                    let content = if self.has_returns { text.xml10_content() } else { text.into_inner() };
                    if self.has_section_ends && content.contains("]]>") {
                        return Err(self.malformed("\"]]>\" in text"));
                    }
                    self.text(content)?;
                }
                Event::CData(data) => {
                    if self.open.len() == 1 {
                        return Err(self.malformed("text outside the document element"));
                    }
                    self.text(data.xml10_content())?;
                }
                Event::GeneralRef(reference) => {
                    let name = reference.into_inner();
                    let c = self.reference(&name)?;
                    if self.open.len() == 1 {
                        return Err(self.malformed("text outside the document element"));
                    }
                    self.text(Cow::Owned(c.to_string()))?;
                }
                Event::Comment(comment) => self.comment(&comment.xml10_content())?,
                Event::PI(instruction) => self.instruction(instruction.content())?,
                Event::Decl(declaration) => self.declaration(&declaration)?,
                Event::DocType(_) => return Err(self.fault(XmlFault::Doctype)),
                Event::Eof => break,
            }
        }
        if self.open.len() > 1 {
            return Err(self.malformed("the document ends inside an element"));
        }
        if !self.root_seen {
            return Err(self.malformed("there is no element"));
        }
        Ok(self.document)
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// The start tag as it stands in the document, without `<`.
    fn raw(&self) -> &'a str {
        let end = self.position().min(self.document.text.len());
        self.document.text.get(self.offset + 1..end).unwrap_or("")
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        let depth = self.open.len();
        if depth > self.limits.depth {
            return Err(self.fault(XmlFault::TooMany { what: "levels", limit: self.limits.depth }));
        }
        if depth == 1 && std::mem::replace(&mut self.root_seen, true) {
            return Err(self.malformed("more than one document element"));
        }
        let raw = self.raw();
        let name_length = start.name().as_ref().len();
        let (name, rest) = raw.split_at_checked(name_length).unwrap_or((raw, ""));
        let content = rest.get(..start.len() - name_length).unwrap_or("");
        let (first_attribute, first_declaration) =
            (self.document.attributes.len(), self.document.declarations.len());
        if !content.is_empty() {
            self.read_attributes(content, depth)?;
        }
        let KnownName { prefix, local, uri, .. } = self.known_name(name)?;
        for at in first_attribute..self.document.attributes.len() {
            let prefix = self.document.attributes[at].prefix;
            if !prefix.is_empty() {
                self.document.attributes[at].uri = self.resolve(prefix)?;
            }
        }
        self.refuse_twins(first_attribute)?;
        let ns = uri.and_then(|at| self.known[usize::from(at)]);
        let tag = Tag {
            prefix,
            local,
            uri,
            ns,
            first_attribute: index(first_attribute),
            first_declaration: index(first_declaration),
            attributes: count(self.document.attributes.len() - first_attribute),
            declarations: count(self.document.declarations.len() - first_declaration),
        };
        let id = self.push(NodeKind::Element(tag))?;
        if depth == 1 {
            self.document.root = id;
        }
        self.open.push((id, None));
        Ok(())
    }

    fn end(&mut self) {
        // The reader has matched the names; an end tag without a start is its error.
        self.open.pop();
        let depth = self.open.len();
        while self.scope.last().is_some_and(|(made_at, _)| *made_at >= depth) {
            self.scope.pop();
            self.scopes = self.scopes.wrapping_add(1);
        }
    }

    /// The name of an element, once what the element declares holds.
    fn known_name(&mut self, name: &'a str) -> Result<KnownName<'a>, XmlError> {
        let slot = KnownName::slot(name);
        if let Some(known) =
            self.names[slot].filter(|known| known.scopes == self.scopes && known.name == name)
        {
            return Ok(known);
        }
        let (prefix, local) = self.split(name)?;
        let known = KnownName { name, prefix, local, uri: self.resolve(prefix)?, scopes: self.scopes };
        self.names[slot] = Some(known);
        Ok(known)
    }

    fn read_attributes(&mut self, content: &'a str, depth: usize) -> Result<(), XmlError> {
        let mut count = 0;
        for attribute in Attributes::new(content, 0) {
            let attribute = attribute.map_err(|e| self.malformed(e.to_string()))?;
            count += 1;
            if count > self.limits.attributes {
                return Err(
                    self.fault(XmlFault::TooMany { what: "attributes", limit: self.limits.attributes })
                );
            }
            if attribute.value.len() > self.limits.attribute_bytes {
                let limit = self.limits.attribute_bytes;
                return Err(self.fault(XmlFault::TooMany { what: "bytes in an attribute", limit }));
            }
            if attribute.value.contains('<') {
                return Err(self.malformed("\"<\" in an attribute"));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|e| self.malformed(e.to_string()))?;
            if let Some(c) = value.chars().find(|c| !is_xml_char(*c)) {
                return Err(self.fault(XmlFault::BadCharacter(c.into())));
            }
            let name = attribute.key.into_inner();
            if name == "xmlns" {
                self.declare("", value, depth)?;
            } else if let Some(prefix) = name.strip_prefix("xmlns:") {
                self.declare(prefix, value, depth)?;
            } else {
                let (prefix, local) = self.split(name)?;
                self.document.attributes.push(Attribute { prefix, local, uri: None, value });
            }
        }
        Ok(())
    }

    fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>, depth: usize) -> Result<(), XmlError> {
        if !prefix.is_empty() && !is_ncname(prefix) {
            return Err(self.malformed(format!("\"{prefix}\" is not a prefix")));
        }
        let reserved = prefix == "xmlns" || uri == XMLNS_URI || (prefix == "xml") != (uri == XML_URI);
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return Err(self.malformed(format!("prefix \"{prefix}\" cannot be bound to \"{uri}\"")));
        }
        // C14N 1.0 leaves relative URIs undefined, and no namespace of a message is one.
        if !uri.is_empty() && !is_absolute(&uri) {
            return Err(self.malformed(format!("namespace \"{uri}\" is not absolute")));
        }
        if self.scope.len() >= self.limits.namespaces {
            return Err(
                self.fault(XmlFault::TooMany { what: "namespaces in scope", limit: self.limits.namespaces })
            );
        }
        let uri = (!uri.is_empty()).then(|| self.intern(uri));
        if self.document.uris.len() > MOST_NAMESPACES {
            return Err(self.fault(XmlFault::TooMany { what: "namespaces", limit: MOST_NAMESPACES }));
        }
        let declaration = Declaration { prefix, uri };
        self.document.declarations.push(declaration);
        self.scope.push((depth, declaration));
        self.scopes = self.scopes.wrapping_add(1);
        Ok(())
    }

    fn intern(&mut self, uri: Cow<'a, str>) -> u16 {
        let known = self.document.uris.iter().position(|other| *other == uri);
        let at = known.unwrap_or_else(|| {
            self.known.push(Ns::from_uri(&uri));
            self.document.uris.push(uri);
            self.document.uris.len() - 1
        });
        // There are never more than `MOST_NAMESPACES` and one.
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn resolve(&mut self, prefix: &str) -> Result<Option<u16>, XmlError> {
        if prefix == "xml" {
            return Ok(Some(self.intern(Cow::Borrowed(XML_URI))));
        }
        match self.scope.iter().rev().find(|(_, declaration)| declaration.prefix == prefix) {
            Some((_, declaration)) => Ok(declaration.uri),
            None if prefix.is_empty() => Ok(None),
            None => Err(self.malformed(format!("prefix \"{prefix}\" is not declared"))),
        }
    }

    /// `a:x` and `b:x` are the same attribute where `a` and `b` are the same namespace.
    fn refuse_twins(&self, first: usize) -> Result<(), XmlError> {
        let attributes = &self.document.attributes[first..];
        for (at, one) in attributes.iter().enumerate() {
            if attributes[..at].iter().any(|other| other.uri == one.uri && other.local == one.local) {
                return Err(self.malformed(format!("attribute \"{}\" stands twice", one.local)));
            }
        }
        Ok(())
    }

    fn split(&self, name: &'a str) -> Result<(&'a str, &'a str), XmlError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let colon = name.len() > local.len();
        if !is_ncname(local) || (colon && !is_ncname(prefix)) {
            return Err(self.malformed(format!("\"{name}\" is not a name")));
        }
        Ok((prefix, local))
    }

    fn text(&mut self, text: Cow<'a, str>) -> Result<(), XmlError> {
        if self.open.len() == 1 {
            let blank = text.chars().all(is_space);
            return if blank { Ok(()) } else { Err(self.malformed("text outside the document element")) };
        }
        if text.is_empty() {
            return Ok(());
        }
        // Texts, CDATA sections and references beside each other are one text.
        if let Some((_, Some(last))) = self.open.last()
            && let NodeKind::Text(before) = &mut self.document.nodes[last.index()].kind
        {
            before.to_mut().push_str(&text);
            return Ok(());
        }
        self.push(NodeKind::Text(text)).map(|_| ())
    }

    fn reference(&self, name: &str) -> Result<char, XmlError> {
        let c = match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => {
                let reference = quick_xml::events::BytesRef::new(name);
                let c = reference.resolve_char_ref().map_err(|e| self.malformed(e.to_string()))?;
                c.ok_or_else(|| self.malformed(format!("entity \"{name}\" is not defined")))?
            }
        };
        if is_xml_char(c) { Ok(c) } else { Err(self.fault(XmlFault::BadCharacter(c.into()))) }
    }

    fn comment(&mut self, text: &str) -> Result<(), XmlError> {
        if text.contains("--") || text.ends_with('-') {
            return Err(self.malformed("\"--\" in a comment"));
        }
        self.push(NodeKind::Comment(Cow::Owned(text.to_owned()))).map(|_| ())
    }

    fn instruction(&mut self, content: &str) -> Result<(), XmlError> {
        let raw = self.raw();
        let raw = raw.strip_prefix('?').unwrap_or(raw);
        let target = &raw[..raw.find(|c| is_space(c) || c == '?').unwrap_or(raw.len())];
        if !is_ncname(target) || target.eq_ignore_ascii_case("xml") {
            return Err(self.malformed(format!("\"{target}\" is not the target of an instruction")));
        }
        let data = content.trim_start_matches(is_space).replace("\r\n", "\n").replace('\r', "\n");
        self.push(NodeKind::Instruction { target, data: Cow::Owned(data) }).map(|_| ())
    }

    fn declaration(&self, declaration: &quick_xml::events::BytesDecl<'_>) -> Result<(), XmlError> {
        if self.offset > 0 {
            return Err(self.malformed("an XML declaration stands only at the start"));
        }
        let version = declaration.version().map_err(|e| self.malformed(e.to_string()))?;
        if version != "1.0" {
            return Err(self.malformed(format!("XML version {version}")));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(_) => Err(self.fault(XmlFault::NotUtf8)),
        }
    }

    fn push(&mut self, kind: NodeKind<'a>) -> Result<NodeId, XmlError> {
        if self.document.nodes.len() > self.limits.nodes {
            return Err(self.fault(XmlFault::TooMany { what: "nodes", limit: self.limits.nodes }));
        }
        let id = NodeId::after(self.document.nodes.len());
        let Some((parent, last)) = self.open.last_mut() else {
            unreachable!(
                "the document itself is never closed: the reader refuses an end tag without its start"
            )
        };
        let (parent, before) = (*parent, last.replace(id));
        match before {
            Some(sibling) => self.document.nodes[sibling.index()].next_sibling = Some(id),
            None => self.document.nodes[parent.index()].first_child = Some(id),
        }
        let node = Node {
            kind,
            parent: Some(parent),
            first_child: None,
            next_sibling: None,
            offset: index(self.offset),
        };
        self.document.nodes.push(node);
        Ok(id)
    }

    fn malformed(&self, why: impl Into<String>) -> XmlError {
        self.fault(XmlFault::NotWellFormed(why.into()))
    }

    fn fault(&self, fault: XmlFault) -> XmlError {
        let (line, column) = line_and_column(self.document.text, self.offset);
        let path = self.open.last().map_or_else(String::new, |(id, _)| self.document.place(*id).path);
        XmlError { place: Place { line, column, path }, fault }
    }
}

/// Looks at blocks of bytes, which is quick where it is not there.
fn has_byte(text: &str, wanted: u8) -> bool {
    let any = |block: &[u8]| block.iter().fold(false, |any, byte| any | (*byte == wanted));
    text.as_bytes().chunks(64).any(any)
}

fn is_absolute(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

/// The limits keep the attributes of one element below 2^8.
fn count(many: usize) -> u8 {
    u8::try_from(many).unwrap_or(u8::MAX)
}
