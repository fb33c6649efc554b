//! Writes a document, or a part of it, in the one form that everybody digests: Canonical XML.
//!
//! Canonical XML 1.0 and 1.1 and Exclusive XML Canonicalization 1.0, each with and without comments, over a whole [`Document`]
//! or the subtree of one element. All nodes of the subtree are in the node-set.
//!
//! ```text
//! inclusive     the apex carries every namespace in scope and every xml: attribute of its ancestors; below, what is declared there
//! inclusive 1.1 the same, but of the attributes only xml:lang and xml:space, and xml:base joined with those of its ancestors
//! exclusive     an element carries the namespaces that its own name and attributes use, and those of the prefix list
//! ```

use std::borrow::Cow;

use super::base::join;
use super::cursor::Element;
use super::tree::{Document, NodeId, NodeKind, Tag};

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
    /// All namespaces, and the attributes that mean the same one level down: Canonical XML 1.1.
    Inclusive11,
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
            "http://www.w3.org/2006/12/xml-c14n11" if prefixes.is_empty() => Inclusion::Inclusive11,
            "http://www.w3.org/2001/10/xml-exc-c14n#" if !comments => Inclusion::Exclusive(prefixes),
            "http://www.w3.org/2001/10/xml-exc-c14n" if comments => Inclusion::Exclusive(prefixes),
            _ => return None,
        };
        Some(Self { inclusion, comments })
    }

    /// The canonical form of an element and everything in it.
    pub(crate) fn of_element(&self, document: &Document<'_>, apex: NodeId) -> Vec<u8> {
        self.write(document, Some(apex), None)
    }

    /// The canonical form of the whole document.
    pub(crate) fn of_document(&self, document: &Document<'_>) -> Vec<u8> {
        self.write(document, None, None)
    }

    /// The canonical form of an element, or of the whole document, as if `omitted` did not stand in it.
    pub(crate) fn without(&self, document: &Document<'_>, apex: Option<NodeId>, omitted: NodeId) -> Vec<u8> {
        self.write(document, apex, Some(omitted))
    }

    fn write(&self, document: &Document<'_>, apex: Option<NodeId>, omitted: Option<NodeId>) -> Vec<u8> {
        let out = String::with_capacity(document.length(apex.unwrap_or(Document::document_node())));
        let mut writer = Writer { document, method: self, omitted, out, rendered: Vec::new() };
        match apex {
            Some(apex) => writer.node(apex, true),
            None => writer.whole(),
        }
        writer.out.into_bytes()
    }
}

/// An element as text that means the same wherever it is put (exclusive, without comments).
pub(super) fn exclusive_text(element: Element<'_>) -> String {
    let method = Canonicalization { inclusion: Inclusion::Exclusive(Vec::new()), comments: false };
    let octets = method.of_element(element.document(), element.id());
    String::from_utf8(octets).unwrap_or_else(|_| unreachable!("only pieces of a text were written"))
}

/// An attribute as it is written, which need not be one of the element.
struct Shown<'d> {
    uri: &'d str,
    prefix: &'d str,
    local: &'d str,
    value: Cow<'d, str>,
}

impl Shown<'_> {
    fn is_xml(&self, local: &str) -> bool {
        self.prefix == "xml" && self.local == local
    }
}

struct Writer<'d> {
    document: &'d Document<'d>,
    method: &'d Canonicalization,
    omitted: Option<NodeId>,
    out: String,
    /// The declarations that hold in the output, innermost last.
    rendered: Vec<(&'d str, &'d str)>,
}

impl<'d> Writer<'d> {
    fn whole(&mut self) {
        let document = self.document;
        let mut after_root = false;
        for child in document.children(Document::document_node()) {
            let is_root = child == document.root();
            let before = self.out.len();
            if after_root {
                self.out.push('\n');
            }
            let start = self.out.len();
            self.node(child, is_root);
            if self.out.len() == start {
                self.out.truncate(before);
            } else if !is_root && !after_root {
                self.out.push('\n');
            }
            after_root |= is_root;
        }
    }

    fn node(&mut self, id: NodeId, apex: bool) {
        if self.omitted == Some(id) {
            return;
        }
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
            Inclusion::Inclusive | Inclusion::Inclusive11 if apex => {
                // The innermost declaration of a prefix counts.
                for (prefix, uri) in self.in_scope(id) {
                    if wanted.iter().all(|(other, _)| *other != prefix) {
                        wanted.push((prefix, uri));
                    }
                }
            }
            Inclusion::Inclusive | Inclusion::Inclusive11 => {
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
        let own = document.attributes(tag).iter();
        let mut all: Vec<Shown<'d>> = own
            .map(|own| Shown {
                uri: document.attribute_uri(own),
                prefix: own.prefix,
                local: own.local,
                value: Cow::Borrowed(&*own.value),
            })
            .collect();
        match self.method.inclusion {
            Inclusion::Inclusive if apex => self.inherit(id, &mut all, |_| true),
            Inclusion::Inclusive11 if apex => {
                self.join_bases(id, &mut all);
                self.inherit(id, &mut all, |local| matches!(local, "lang" | "space"));
            }
            Inclusion::Inclusive | Inclusion::Inclusive11 | Inclusion::Exclusive(_) => {}
        }
        all.sort_by_key(|shown| (shown.uri, shown.local));
        for shown in all {
            self.put(" ");
            self.name(shown.prefix, shown.local);
            self.put("=\"");
            escape_attribute(&shown.value, &mut self.out);
            self.put("\"");
        }
    }

    /// The xml: attributes of the ancestors of an element, innermost first: namespace, local name, value.
    fn of_ancestors(&self, id: NodeId) -> impl Iterator<Item = (&'d str, &'d str, &'d str)> + use<'d> {
        let document = self.document;
        let ancestors = std::iter::successors(document.parent(id), move |id| document.parent(*id));
        let attributes =
            ancestors.filter_map(move |id| document.tag(id)).flat_map(move |tag| document.attributes(tag));
        attributes
            .filter(|attribute| attribute.prefix == "xml")
            .map(move |attribute| (document.attribute_uri(attribute), attribute.local, &*attribute.value))
    }

    /// Takes over what the ancestors say in these xml: attributes and the element does not.
    fn inherit(&self, id: NodeId, all: &mut Vec<Shown<'d>>, which: impl Fn(&str) -> bool) {
        for (uri, local, value) in self.of_ancestors(id).filter(|(_, local, _)| which(local)) {
            if all.iter().all(|shown| !shown.is_xml(local)) {
                all.push(Shown { uri, prefix: "xml", local, value: Cow::Borrowed(value) });
            }
        }
    }

    /// Canonical XML 1.1, section 2.4: where ancestors that are left out have an xml:base, all are joined, from the innermost
    /// to the outermost; what comes out empty is not written.
    fn join_bases(&self, id: NodeId, all: &mut Vec<Shown<'d>>) {
        let mut outer = self.of_ancestors(id).filter(|(_, local, _)| *local == "base").peekable();
        let Some(&(uri, local, _)) = outer.peek() else { return };
        let own = all.iter().position(|shown| shown.is_xml("base")).map(|at| all.remove(at).value);
        let joined = outer.fold(own, |inner, (_, _, base)| match inner {
            Some(inner) => Some(Cow::Owned(join(base, &inner))),
            None => Some(Cow::Borrowed(base)),
        });
        if let Some(value) = joined.filter(|value| !value.is_empty()) {
            all.push(Shown { uri, prefix: "xml", local, value });
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
        self.out.push_str(text);
    }
}

pub(super) fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

pub(super) fn escape_attribute(value: &str, out: &mut String) {
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

fn escape(text: &str, out: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escaped) = replacement(byte) {
            out.push_str(&text[plain..at]);
            out.push_str(escaped);
            plain = at + 1;
        }
    }
    out.push_str(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openadr::xml::limits::Limits;

    fn inclusive(comments: bool) -> Canonicalization {
        Canonicalization { inclusion: Inclusion::Inclusive, comments }
    }

    fn inclusive11() -> Canonicalization {
        Canonicalization { inclusion: Inclusion::Inclusive11, comments: false }
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

    /// Canonical XML 1.1, section 2.4: xml:lang and xml:space are inherited, xml:id and whatever else is xml: are not, xml:base is
    /// joined; 1.0 takes all of them along as they are.
    #[test]
    fn version_1_1_inherits_only_what_means_the_same_one_level_down() {
        let text = "<a xml:id='i' xml:lang='en' xml:base='x/' xml:other='o'><b xml:space='preserve' xml:base='../y/'><c/></b></a>";
        assert_eq!(
            part(&inclusive(false), text, "c"),
            "<c xml:base=\"../y/\" xml:id=\"i\" xml:lang=\"en\" xml:other=\"o\" xml:space=\"preserve\"></c>"
        );
        assert_eq!(
            part(&inclusive11(), text, "c"),
            "<c xml:base=\"y/\" xml:lang=\"en\" xml:space=\"preserve\"></c>"
        );
        assert_eq!(part(&exclusive(&[]), text, "c"), "<c></c>");
        assert_eq!(
            part(&inclusive11(), "<a xml:lang='en' xml:id='i'><b xml:lang='de' xml:id='j'><c/></b></a>", "b"),
            "<b xml:id=\"j\" xml:lang=\"de\"><c></c></b>"
        );
        for text in ["<a xml:id='i' xml:base='x'><b xml:base='y'/></a>", "<a xml:base=''/>"] {
            assert_eq!(
                whole(&inclusive11(), text),
                whole(&inclusive(false), text),
                "nothing is left out of {text}"
            );
        }
    }

    /// Section 2.4: fixed up only where an ancestor left out had an xml:base; an empty result is not written.
    #[test]
    fn version_1_1_joins_bases_from_the_innermost_outwards() {
        for (text, expected) in [
            ("<a><b xml:base=''/></a>", "<b xml:base=\"\"></b>"),
            ("<a xml:base='x/'><b xml:base='../'/></a>", "<b></b>"),
            ("<a xml:base=''><b/></a>", "<b></b>"),
            ("<a xml:base='..'><x xml:base='..'><b xml:base='z'/></x></a>", "<b xml:base=\"../../z\"></b>"),
            (
                "<a xml:base='http://example.org/p/'><x><b xml:base='q#r'/></x></a>",
                "<b xml:base=\"http://example.org/p/q\"></b>",
            ),
            ("<a xml:base='p/q#r'><b/></a>", "<b xml:base=\"p/q#r\"></b>"),
        ] {
            assert_eq!(part(&inclusive11(), text, "b"), expected, "{text}");
        }
    }

    /// Canonical XML 1.1, section 2.4, where libxml2 (2.9) errs: bases are joined only where one of the elements left out had an
    /// xml:base, so an empty one of the apex, or below it, stays; a `/` is appended to a trailing `..`; and a base of authority
    /// alone gets the `/` of RFC 3986, section 5.2.3.
    #[test]
    fn version_1_1_joins_bases_as_the_text_says_and_not_as_libxml2_does() {
        for (text, expected) in [
            ("<a><b xml:base=''/></a>", "<b xml:base=\"\"></b>"),
            ("<a xml:base='x'><b><c xml:base=''/></b></a>", "<b xml:base=\"x\"><c xml:base=\"\"></c></b>"),
            ("<a xml:base='..'><b xml:base='..'/></a>", "<b xml:base=\"../../\"></b>"),
            ("<a xml:base='./w'><b xml:base='..'/></a>", "<b xml:base=\"../\"></b>"),
            (
                "<a xml:base='http://example.org'><b xml:base='..'/></a>",
                "<b xml:base=\"http://example.org/\"></b>",
            ),
        ] {
            assert_eq!(part(&inclusive11(), text, "b"), expected, "{text}");
        }
    }

    /// Canonical XML 1.0, section 2.3, on namespace nodes: written as attributes are, so `&` is `&amp;`. libxml2 writes `&#38;`
    /// (2.9) or `&` (2.14).
    #[test]
    fn namespaces_are_escaped_as_attributes_are() {
        for method in [inclusive(false), inclusive11(), exclusive(&[])] {
            assert_eq!(
                whole(&method, "<a xmlns='urn:x?a=1&amp;b=&quot;&lt;'/>"),
                "<a xmlns=\"urn:x?a=1&amp;b=&quot;&lt;\"></a>"
            );
        }
    }

    /// Canonical XML 1.0, section 2.3: `xmlns=""` stands only where the element outside it, in the output, has a default
    /// namespace. lxml writes it in other places of subtrees.
    #[test]
    fn no_empty_default_namespace_is_written_without_need() {
        let text = "<a xmlns='urn:d'><b xmlns=''><c/></b></a>";
        for method in [inclusive(false), inclusive11(), exclusive(&["#default"])] {
            assert_eq!(part(&method, text, "b"), "<b><c></c></b>");
            assert_eq!(part(&method, text, "c"), "<c></c>");
        }
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
        assert_eq!(known("http://www.w3.org/2006/12/xml-c14n11"), Some(inclusive11()));
        assert!(known("http://www.w3.org/2006/12/xml-c14n11#WithComments").unwrap().comments);
        let with_prefixes =
            Canonicalization::from_uri("http://www.w3.org/2006/12/xml-c14n11", vec!["p".into()]);
        assert_eq!(with_prefixes, None, "only the exclusive ones have parameters");
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
