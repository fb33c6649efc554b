//! Writes a document, or a part of it, in the one form that everybody digests: Canonical XML.
//!
//! Canonical XML 1.0 and Exclusive XML Canonicalization 1.0, each with and without comments, over a whole [`Document`] or the
//! subtree of one element. All nodes of the subtree are in the node-set, except one subtree that may be left out.
//!
//! ```text
//! inclusive   the apex carries every namespace in scope and every xml: attribute of its ancestors; below, what is declared there
//! exclusive   an element carries the namespaces that its own name and attributes use, and those of the prefix list
//! ```

use super::cursor::Element;
use super::tree::{Attribute, Document, NodeId, NodeKind, Tag};

/// How to canonicalise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canonicalization {
    pub(crate) inclusion: Inclusion,
    pub(crate) comments: bool,
}

/// Which namespaces and attributes of its surroundings a subtree takes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inclusion {
    /// All of them: Canonical XML 1.0.
    Inclusive,
    /// Those in use, and these prefixes; `#default` is the default namespace.
    Exclusive(Vec<String>),
}

impl Canonicalization {
    /// What XML Signature means where it names no method.
    pub(crate) const DEFAULT: Self = Self { inclusion: Inclusion::Inclusive, comments: false };

    /// Its name in a signature that we write.
    pub(crate) const DEFAULT_URI: &'static str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

    /// By its name in a signature; the prefix list is a parameter of the exclusive ones.
    pub(crate) fn from_uri(uri: &str, prefixes: Vec<String>) -> Option<Self> {
        let (uri, comments) = match uri.strip_suffix("WithComments") {
            Some(uri) => (uri.strip_suffix('#').unwrap_or(uri), true),
            None => (uri, false),
        };
        let inclusion = match uri {
            Self::DEFAULT_URI if prefixes.is_empty() => Inclusion::Inclusive,
            "http://www.w3.org/2001/10/xml-exc-c14n#" if !comments => Inclusion::Exclusive(prefixes),
            "http://www.w3.org/2001/10/xml-exc-c14n" if comments => Inclusion::Exclusive(prefixes),
            _ => return None,
        };
        Some(Self { inclusion, comments })
    }

    /// The canonical form of an element and everything in it.
    pub(crate) fn of_element(&self, document: &Document<'_>, apex: NodeId) -> Vec<u8> {
        self.write(document, |writer| writer.node(apex, true))
    }

    /// The canonical form of the whole document, by which the tests compare with others.
    #[cfg(test)]
    pub(crate) fn of_document(&self, document: &Document<'_>) -> Vec<u8> {
        self.write(document, Writer::whole)
    }

    fn write<'d>(&'d self, document: &'d Document<'d>, what: impl FnOnce(&mut Writer<'d>)) -> Vec<u8> {
        let mut writer = Writer { document, method: self, out: Vec::new(), rendered: Vec::new() };
        what(&mut writer);
        writer.out
    }
}

/// An element as text that means the same wherever it is put (exclusive, without comments).
pub(super) fn exclusive_text(element: Element<'_>) -> String {
    let method = Canonicalization { inclusion: Inclusion::Exclusive(Vec::new()), comments: false };
    let octets = method.of_element(element.document(), element.id());
    String::from_utf8(octets).unwrap_or_else(|_| unreachable!("only pieces of a text were written"))
}

struct Writer<'d> {
    document: &'d Document<'d>,
    method: &'d Canonicalization,
    out: Vec<u8>,
    /// The declarations that hold in the output, innermost last.
    rendered: Vec<(&'d str, &'d str)>,
}

impl<'d> Writer<'d> {
    #[cfg(test)]
    fn whole(&mut self) {
        let document = self.document;
        let mut after_root = false;
        for child in document.children(Document::document_node()) {
            let is_root = child == document.root();
            let before = self.out.len();
            if after_root {
                self.out.push(b'\n');
            }
            let start = self.out.len();
            self.node(child, is_root);
            if self.out.len() == start {
                self.out.truncate(before);
            } else if !is_root && !after_root {
                self.out.push(b'\n');
            }
            after_root |= is_root;
        }
    }

    fn node(&mut self, id: NodeId, apex: bool) {
        match &self.document.node(id).kind {
            NodeKind::Document => {}
            NodeKind::Element(tag) => self.element(id, tag, apex),
            NodeKind::Text(text) => escape_text(text, &mut self.out),
            NodeKind::Comment(text) if self.method.comments => {
                self.put("<!--");
                self.put(text);
                self.put("-->");
            }
            NodeKind::Comment(_) => {}
            NodeKind::Instruction { target, data } => {
                self.put("<?");
                self.put(target);
                if !data.is_empty() {
                    self.put(" ");
                    self.put(data);
                }
                self.put("?>");
            }
        }
    }

    fn element(&mut self, id: NodeId, tag: &'d Tag<'d>, apex: bool) {
        let held = self.rendered.len();
        self.put("<");
        self.name(tag.prefix, tag.local);
        self.namespaces(id, tag, apex);
        self.attributes(id, tag, apex);
        self.put(">");
        for child in self.document.children(id) {
            self.node(child, false);
        }
        self.put("</");
        self.name(tag.prefix, tag.local);
        self.put(">");
        self.rendered.truncate(held);
    }

    fn namespaces(&mut self, id: NodeId, tag: &'d Tag<'d>, apex: bool) {
        let document = self.document;
        let mut wanted: Vec<(&'d str, &'d str)> = Vec::new();
        match &self.method.inclusion {
            Inclusion::Inclusive if apex => {
                // The innermost declaration of a prefix counts.
                for (prefix, uri) in self.in_scope(id) {
                    if wanted.iter().all(|(other, _)| *other != prefix) {
                        wanted.push((prefix, uri));
                    }
                }
            }
            Inclusion::Inclusive => {
                let own = document.declarations(tag).iter();
                wanted
                    .extend(own.map(|declaration| (declaration.prefix, document.declared_uri(declaration))));
            }
            Inclusion::Exclusive(prefixes) => {
                wanted.push((tag.prefix, document.tag_uri(tag)));
                let attributes =
                    document.attributes(tag).iter().filter(|attribute| !attribute.prefix.is_empty());
                wanted.extend(
                    attributes.map(|attribute| (attribute.prefix, document.attribute_uri(attribute))),
                );
                for prefix in prefixes {
                    let prefix = if prefix == "#default" { "" } else { prefix };
                    wanted.extend(self.in_scope(id).find(|(other, _)| *other == prefix));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for (prefix, uri) in wanted {
            let holds =
                self.rendered.iter().rev().find(|(other, _)| *other == prefix).map_or("", |(_, uri)| *uri);
            if prefix != "xml" && holds != uri {
                self.rendered.push((prefix, uri));
                self.put(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
                self.put(prefix);
                self.put("=\"");
                escape_attribute(uri, &mut self.out);
                self.put("\"");
            }
        }
    }

    /// Every declaration on the way from an element to the root, innermost first.
    fn in_scope(&self, id: NodeId) -> impl Iterator<Item = (&'d str, &'d str)> + use<'d> {
        let document = self.document;
        let path = std::iter::successors(Some(id), move |id| document.parent(*id));
        path.filter_map(move |id| document.tag(id)).flat_map(move |tag| {
            let declarations = document.declarations(tag).iter();
            declarations.map(move |declaration| (declaration.prefix, document.declared_uri(declaration)))
        })
    }

    fn attributes(&mut self, id: NodeId, tag: &'d Tag<'d>, apex: bool) {
        let document = self.document;
        let mut all: Vec<&'d Attribute<'d>> = document.attributes(tag).iter().collect();
        if apex && self.method.inclusion == Inclusion::Inclusive {
            let ancestors = std::iter::successors(document.parent(id), |id| document.parent(*id));
            for inherited in
                ancestors.filter_map(|id| document.tag(id)).flat_map(|tag| document.attributes(tag))
            {
                let known = all.iter().any(|own| own.prefix == "xml" && own.local == inherited.local);
                if inherited.prefix == "xml" && !known {
                    all.push(inherited);
                }
            }
        }
        all.sort_by_key(|attribute| (document.attribute_uri(attribute), attribute.local));
        for attribute in all {
            self.put(" ");
            self.name(attribute.prefix, attribute.local);
            self.put("=\"");
            escape_attribute(&attribute.value, &mut self.out);
            self.put("\"");
        }
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.put(prefix);
            self.put(":");
        }
        self.put(local);
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

fn escape_text(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape_attribute(value: &str, out: &mut Vec<u8>) {
    escape(value, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut Vec<u8>, replacement: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(escaped) = replacement(*byte) {
            out.extend_from_slice(&bytes[plain..at]);
            out.extend_from_slice(escaped.as_bytes());
            plain = at + 1;
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openadr::xml::limits::Limits;

    fn inclusive(comments: bool) -> Canonicalization {
        Canonicalization { inclusion: Inclusion::Inclusive, comments }
    }

    fn exclusive(prefixes: &[&str]) -> Canonicalization {
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        Canonicalization { inclusion: Inclusion::Exclusive(prefixes), comments: false }
    }

    fn whole(method: &Canonicalization, text: &str) -> String {
        let document = Document::parse(text.as_bytes(), &Limits::VEN).unwrap();
        String::from_utf8(method.of_document(&document)).unwrap()
    }

    /// The canonical form of the first element of that local name.
    fn part(method: &Canonicalization, text: &str, name: &str) -> String {
        let document = Document::parse(text.as_bytes(), &Limits::VEN).unwrap();
        let (apex, _) = document.elements().find(|(_, tag)| tag.local == name).unwrap();
        String::from_utf8(method.of_element(&document, apex)).unwrap()
    }

    /// Canonical XML 1.0, section 2 and the examples of section 3, in our own data.
    #[test]
    fn a_whole_document_has_one_form() {
        for (text, comments, expected) in [
            ("<?xml version=\"1.0\"?>\n<?pi  a b ?>\n<a/>\n<!-- c -->\n", false, "<?pi a b ?>\n<a></a>"),
            ("<?pi?><!--c--><a/><!--d--><?q?>", true, "<?pi?>\n<!--c-->\n<a></a>\n<!--d-->\n<?q?>"),
            (
                "<a b='2' a='1' xmlns:z='urn:z' xmlns='urn:d'/>",
                false,
                "<a xmlns=\"urn:d\" xmlns:z=\"urn:z\" a=\"1\" b=\"2\"></a>",
            ),
            (
                "<a xmlns:q='urn:a' xmlns:p='urn:b' p:x='1' q:y='2' x='3'/>",
                false,
                "<a xmlns:p=\"urn:b\" xmlns:q=\"urn:a\" x=\"3\" q:y=\"2\" p:x=\"1\"></a>",
            ),
            ("<a><![CDATA[<&]]>&gt;&#13;\t\"</a>", false, "<a>&lt;&amp;&gt;&#xD;\t\"</a>"),
            (
                "<a b='&quot;&lt;&amp;>&#9;&#10;&#13;\n'/>",
                false,
                "<a b=\"&quot;&lt;&amp;>&#x9;&#xA;&#xD; \"></a>",
            ),
            (
                "<a xmlns='urn:d'><b xmlns=''><c xmlns=''/></b></a>",
                false,
                "<a xmlns=\"urn:d\"><b xmlns=\"\"><c></c></b></a>",
            ),
            ("<a xmlns:p='urn:1'><b xmlns:p='urn:1'/></a>", false, "<a xmlns:p=\"urn:1\"><b></b></a>"),
            (
                "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>",
                false,
                "<a xml:lang=\"en\"></a>",
            ),
        ] {
            assert_eq!(whole(&inclusive(comments), text), expected, "{text}");
        }
    }

    #[test]
    fn a_subtree_takes_along_what_its_method_says() {
        let text = "<a xmlns='urn:d' xmlns:p='urn:p' xmlns:q='urn:q' xml:lang='en'><p:b xml:space='preserve'><c q:x='1'/></p:b></a>";
        assert_eq!(
            part(&inclusive(false), text, "b"),
            "<p:b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xml:lang=\"en\" xml:space=\"preserve\"><c q:x=\"1\"></c></p:b>"
        );
        assert_eq!(
            part(&exclusive(&[]), text, "b"),
            "<p:b xmlns:p=\"urn:p\" xml:space=\"preserve\"><c xmlns=\"urn:d\" xmlns:q=\"urn:q\" q:x=\"1\"></c></p:b>"
        );
        assert_eq!(
            part(&exclusive(&["q", "#default"]), text, "b"),
            "<p:b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xml:space=\"preserve\"><c q:x=\"1\"></c></p:b>"
        );
    }

    /// Exclusive C14N, section 3: an empty default namespace is written only where another one holds in the output.
    #[test]
    fn an_undeclared_default_namespace_is_written_where_it_is_needed() {
        assert_eq!(
            part(&exclusive(&[]), "<p:a xmlns:p='urn:p' xmlns='urn:d'><b xmlns=''/></p:a>", "b"),
            "<b></b>"
        );
        assert_eq!(
            part(&exclusive(&[]), "<a xmlns='urn:d'><b xmlns=''/></a>", "a"),
            "<a xmlns=\"urn:d\"><b xmlns=\"\"></b></a>"
        );
    }

    #[test]
    fn methods_are_known_by_their_names() {
        let known = |uri| Canonicalization::from_uri(uri, Vec::new());
        assert_eq!(known("http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), Some(inclusive(false)));
        assert_eq!(
            known("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"),
            Some(inclusive(true))
        );
        assert_eq!(known("http://www.w3.org/2001/10/xml-exc-c14n#"), Some(exclusive(&[])));
        assert!(known("http://www.w3.org/2001/10/xml-exc-c14n#WithComments").unwrap().comments);
        for uri in [
            "",
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/2001/10/xml-exc-c14n",
        ] {
            assert_eq!(known(uri), None, "{uri}");
        }
    }
}
