//! Reads a document once, into a tree that both the decoder and the canonicaliser use.
//!
//! **Invariant:** a [`Document`] is well-formed, namespace-well-formed, inside its [`Limits`], and has no DOCTYPE.
//! Texts and names borrow from the input wherever they stand there as they are meant.

mod builder;

use std::borrow::Cow;
use std::num::NonZeroU32;

use super::characters::first_forbidden;
use super::error::{Place, XmlError, XmlFault};
use super::limits::Limits;
use super::names::Ns;

use builder::Builder;

/// Index of a node in its [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(NonZeroU32);

impl NodeId {
    /// The document itself is the first node.
    const DOCUMENT: Self = Self(NonZeroU32::MIN);

    /// The one that is made as next, after so many.
    fn after(count: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index(count)))
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A document as a tree.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node<'a>>,
    attributes: Vec<Attribute<'a>>,
    declarations: Vec<Declaration<'a>>,
    uris: Vec<Cow<'a, str>>,
    root: NodeId,
}

/// A node with its place among the others.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) kind: NodeKind<'a>,
    parent: Option<NodeId>,
    first_child: Option<NodeId>,
    next_sibling: Option<NodeId>,
    offset: u32,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum NodeKind<'a> {
    /// The document itself: parent of the root element and of what stands beside it.
    Document,
    Element(Tag<'a>),
    Text(Cow<'a, str>),
    Comment(Cow<'a, str>),
    Instruction {
        target: &'a str,
        data: Cow<'a, str>,
    },
}

/// The name and the attributes of an element.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    /// Index of the namespace URI; `None` for no namespace.
    uri: Option<u16>,
    /// The namespace, where it is one of the standard's.
    pub(super) ns: Option<Ns>,
    // First and number, apart from each other so that a node is small: a peer can make us hold many.
    first_attribute: u32,
    first_declaration: u32,
    attributes: u8,
    declarations: u8,
}

/// An attribute that is not a namespace declaration.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    /// The namespace URI; empty for no namespace.
    uri: Option<u16>,
    pub(super) value: Cow<'a, str>,
}

/// A namespace declaration; the prefix of the default namespace is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declaration<'a> {
    pub(super) prefix: &'a str,
    /// `None` takes the default namespace away (`xmlns=""`).
    uri: Option<u16>,
}

impl<'a> Document<'a> {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Where it is too large, not well-formed, or has a DOCTYPE.
    pub(crate) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        let nowhere = |fault| XmlError { place: Place::default(), fault };
        if bytes.len() > limits.bytes {
            return Err(nowhere(XmlFault::TooLarge { bytes: bytes.len(), limit: limits.bytes }));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| nowhere(XmlFault::NotUtf8))?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if let Some((offset, c)) = first_forbidden(text) {
            let (line, column) = line_and_column(text, offset);
            let place = Place { line, column, path: String::new() };
            return Err(XmlError { place, fault: XmlFault::BadCharacter(c.into()) });
        }
        Builder::new(text, limits).build()
    }

    /// The document element.
    pub(crate) const fn root(&self) -> NodeId {
        self.root
    }

    /// The node that stands for the document itself.
    pub(super) const fn document_node() -> NodeId {
        NodeId::DOCUMENT
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.index()]
    }

    /// The tag of an element; `None` for other nodes.
    pub(super) fn tag(&self, id: NodeId) -> Option<&Tag<'a>> {
        match &self.node(id).kind {
            NodeKind::Element(tag) => Some(tag),
            NodeKind::Document | NodeKind::Text(_) | NodeKind::Comment(_) | NodeKind::Instruction { .. } => {
                None
            }
        }
    }

    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.node(id).first_child, |child| self.next_sibling(*child))
    }

    pub(super) fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).next_sibling
    }

    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).parent
    }

    pub(super) fn attributes(&self, tag: &Tag<'a>) -> &[Attribute<'a>] {
        &self.attributes[tag.first_attribute as usize..][..tag.attributes.into()]
    }

    pub(super) fn declarations(&self, tag: &Tag<'a>) -> &[Declaration<'a>] {
        &self.declarations[tag.first_declaration as usize..][..tag.declarations.into()]
    }

    /// The namespace URI of an element; empty for none.
    pub(super) fn tag_uri(&self, tag: &Tag<'a>) -> &str {
        tag.uri.map_or("", |at| &self.uris[usize::from(at)])
    }

    /// The namespace URI of an attribute; empty for none.
    pub(super) fn attribute_uri(&self, attribute: &Attribute<'a>) -> &str {
        attribute.uri.map_or("", |at| &self.uris[usize::from(at)])
    }

    /// The namespace URI of a declaration; empty for `xmlns=""`.
    pub(super) fn declared_uri(&self, declaration: &Declaration<'a>) -> &str {
        declaration.uri.map_or("", |at| &self.uris[usize::from(at)])
    }

    /// Every element of the document, in document order.
    pub(super) fn elements(&self) -> impl Iterator<Item = (NodeId, &Tag<'a>)> + '_ {
        self.nodes.iter().zip(0..).filter_map(|(node, at)| match &node.kind {
            NodeKind::Element(tag) => Some((NodeId::after(at), tag)),
            NodeKind::Document | NodeKind::Text(_) | NodeKind::Comment(_) | NodeKind::Instruction { .. } => {
                None
            }
        })
    }

    /// How many bytes of the document a node and everything in it take.
    pub(super) fn length(&self, id: NodeId) -> usize {
        let outwards = std::iter::successors(Some(id), |id| self.parent(*id));
        let next = { outwards }.find_map(|id| self.next_sibling(id));
        let end = next.map_or(self.text.len(), |next| self.node(next).offset as usize);
        end.saturating_sub(self.node(id).offset as usize)
    }

    /// Where a node stands, for messages to people.
    pub(super) fn place(&self, id: NodeId) -> Place {
        let (line, column) = line_and_column(self.text, self.node(id).offset as usize);
        let mut steps = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            if let Some(tag) = self.tag(id) {
                steps.push(self.step(id, tag));
            }
            at = self.parent(id);
        }
        steps.reverse();
        Place { line, column, path: steps.join("/") }
    }

    /// `oadrEvent[2]`, or without the number where it is the only one of its name.
    fn step(&self, id: NodeId, tag: &Tag<'a>) -> String {
        let Some(parent) = self.parent(id) else { return tag.local.to_owned() };
        let mut same =
            self.children(parent).filter(|other| self.tag(*other).is_some_and(|t| t.local == tag.local));
        let place = same.by_ref().position(|other| other == id).unwrap_or(0);
        if place == 0 && same.next().is_none() {
            tag.local.to_owned()
        } else {
            format!("{}[{}]", tag.local, place + 1)
        }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The limits keep every index far below 2^32.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Document::parse(text.as_bytes(), &Limits::VEN).unwrap_err().to_string()
    }

    /// 400,000 of them, and the octets of the document, are what a peer can make a VEN hold.
    #[test]
    fn a_node_is_small() {
        assert!(size_of::<Node<'_>>() <= 64, "{}", size_of::<Node<'_>>());
    }

    #[test]
    fn names_are_resolved_by_scope_not_by_prefix() {
        let text =
            r#"<p:a xmlns:p="urn:1"><p:b xmlns:p="urn:2"/><p:c/><d xmlns="urn:3"><e xmlns=""/></d></p:a>"#;
        let document = Document::parse(text.as_bytes(), &Limits::VEN).unwrap();
        let found: Vec<_> = document.elements().map(|(_, tag)| (tag.local, document.tag_uri(tag))).collect();
        assert_eq!(found, [("a", "urn:1"), ("b", "urn:2"), ("c", "urn:1"), ("d", "urn:3"), ("e", "")]);
    }

    #[test]
    fn text_cdata_and_references_are_one_text() {
        let text = "<a>1 &lt;<![CDATA[ 2 ]]>&#x41;\r\n3</a>";
        let document = Document::parse(text.as_bytes(), &Limits::VEN).unwrap();
        let texts: Vec<_> = document.children(document.root()).map(|id| &document.node(id).kind).collect();
        assert!(matches!(texts.as_slice(), [NodeKind::Text(t)] if t == "1 < 2 A\n3"), "{texts:?}");
    }

    #[test]
    fn what_is_not_well_formed_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "(line 1, column 1): not well-formed: there is no element"),
            ("<a>", "a (line 1, column 4): not well-formed: the document ends inside an element"),
            ("<a><b>\n</a>", "b (line 2, column 1): not well-formed"),
            ("<a/><b/>", "more than one document element"),
            ("<a/>x", "text outside the document element"),
            ("<a/>&#65;", "text outside the document element"),
            ("x<a/>", "text outside the document element"),
            ("<a>&x;</a>", "entity \"x\" is not defined"),
            ("<a>&#0;</a>", "not well-formed"),
            ("<a>&#xFFFF;</a>", "character U+FFFF is not allowed"),
            ("<a>\u{1}</a>", "character U+0001 is not allowed"),
            ("<a>]]></a>", "\"]]>\" in text"),
            ("<a b='<'/>", "\"<\" in an attribute"),
            ("<a b='1' b='2'/>", "not well-formed"),
            ("<a xmlns:p='urn:1' xmlns:q='urn:1' p:b='1' q:b='2'/>", "attribute \"b\" stands twice"),
            ("<p:a/>", "prefix \"p\" is not declared"),
            ("<a xmlns:p=''/>", "cannot be bound"),
            ("<a xmlns='relative'/>", "is not absolute"),
            ("<a xmlns:xml='urn:1'/>", "cannot be bound"),
            ("<1a/>", "is not a name"),
            ("<a:b:c xmlns:a='urn:1'/>", "is not a name"),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "a DOCTYPE is never accepted"),
            (" <?xml version='1.0'?><a/>", "stands only at the start"),
            ("<?xml version='1.1'?><a/>", "XML version 1.1"),
            ("<?xml version='1.0' encoding='latin1'?><a/>", "not UTF-8"),
            ("<a><!-- -- --></a>", "not well-formed"),
        ] {
            let found = fault(text);
            assert!(found.contains(expected), "{text}: {found}");
        }
        let error = Document::parse(b"<a>\xff</a>", &Limits::VEN).unwrap_err();
        assert_eq!(error.fault, XmlFault::NotUtf8);
    }

    #[test]
    fn limits_hold_while_reading() {
        let limits =
            Limits { bytes: 600, depth: 3, attributes: 2, attribute_bytes: 8, nodes: 10, namespaces: 2 };
        for (text, expected) in [
            ("x".repeat(601), "at most 600"),
            ("<a>".repeat(4), "more than 3 levels"),
            ("<a b='1' c='2' d='3'/>".to_owned(), "more than 2 attributes"),
            ("<a b='123456789'/>".to_owned(), "more than 8 bytes in an attribute"),
            (format!("<a>{}</a>", "<b/>".repeat(20)), "more than 10 nodes"),
            (
                "<a xmlns='u:1' xmlns:b='u:2'><c xmlns='u:3'/></a>".to_owned(),
                "more than 2 namespaces in scope",
            ),
        ] {
            let found = Document::parse(text.as_bytes(), &limits).unwrap_err().to_string();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
