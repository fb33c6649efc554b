//! Our canonical form beside that of libxml2.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree as _;

use crate::openadr::xml::{Canonicalization, Document, Inclusion, Limits};
use crate::test_support::peer;

const DOCUMENTS: usize = 500;

/// A document of a few prefixes, bound to a few namespaces here and there, with comments, instructions and odd characters.
fn document() -> BoxedStrategy<String> {
    let attributes =
        proptest::collection::btree_map("[a-c]|[pq]:[a-c]|xml:lang", "[a-z&<\"\t\n\r ]{0,4}", 0..3);
    let namespaces =
        proptest::collection::btree_map("|[pq]", proptest::sample::select(vec!["urn:1", "urn:2", ""]), 0..3);
    let name = proptest::sample::select(vec!["a", "b", "p:a", "q:b"]);
    let leaf = prop_oneof![
        "[a-z <>&\r\n\t\u{e4}]{1,6}".prop_map(|text| escape(&text)),
        Just("<!-- note -->".to_owned()),
        Just("<?pi  some data ?>".to_owned()),
        Just("<![CDATA[<raw> & ]]>".to_owned()),
    ];
    let element = leaf.prop_recursive(5, 40, 5, move |inner| {
        (name.clone(), namespaces.clone(), attributes.clone(), proptest::collection::vec(inner, 0..5))
            .prop_map(|(name, namespaces, attributes, content)| {
                let mut tag = format!("<{name}");
                for (prefix, uri) in namespaces {
                    // Only the default namespace can be taken away.
                    match (prefix.as_str(), uri) {
                        ("", uri) => tag.push_str(&format!(" xmlns='{uri}'")),
                        (_, "") => {}
                        (prefix, uri) => tag.push_str(&format!(" xmlns:{prefix}='{uri}'")),
                    }
                }
                for (name, value) in attributes {
                    tag.push_str(&format!(" {name}='{}'", escape(&value).replace('\'', "&apos;")));
                }
                format!("{tag}>{}</{name}>", content.concat())
            })
    });
    element
        .prop_map(|body| {
            format!("<!-- first --><?pi?><root xmlns:p='urn:1' xmlns:q='urn:3'>{body}</root><!-- last -->")
        })
        .boxed()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\r', "&#13;")
}

#[test]
fn our_canonical_form_is_that_of_libxml2() {
    let Some(python) = peer("python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/c14n.py");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut wishes = Vec::new();
    while wishes.len() < DOCUMENTS * 4 {
        let xml = document().new_tree(&mut runner).unwrap().current();
        // Two attributes of one namespace and name make it no document.
        if Document::parse(xml.as_bytes(), &Limits::VEN).is_ok() {
            for (exclusive, comments, prefixes) in
                [(false, false, ""), (false, true, ""), (true, false, ""), (true, true, "q")]
            {
                wishes.push((xml.clone(), exclusive, comments, prefixes));
            }
        }
    }
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<_> = wishes
        .iter()
        .map(|(xml, exclusive, comments, prefixes)| {
            let prefixes: Vec<_> = prefixes.split_whitespace().collect();
            let wish = serde_json::json!({"xml": xml, "exclusive": exclusive, "comments": comments, "prefixes": prefixes});
            format!("{wish}\n")
        })
        .collect();
    let feeder =
        std::thread::spawn(move || lines.iter().for_each(|line| input.write_all(line.as_bytes()).unwrap()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().count(), wishes.len());
    for ((xml, exclusive, comments, prefixes), theirs) in wishes.iter().zip(theirs.lines()) {
        let prefixes = prefixes.split_whitespace().map(str::to_owned).collect();
        let inclusion = if *exclusive { Inclusion::Exclusive(prefixes) } else { Inclusion::Inclusive };
        let document = Document::parse(xml.as_bytes(), &Limits::VEN).unwrap();
        let method = Canonicalization { inclusion, comments: *comments };
        let ours = String::from_utf8(method.of_document(&document)).unwrap();
        let theirs: String = serde_json::from_str(theirs).unwrap();
        assert_eq!(ours, theirs, "{method:?} of {xml}");
    }
}

/// xmllint knows Canonical XML 1.1 too; it writes whole documents with their comments.
#[test]
fn our_canonical_forms_are_those_of_xmllint() {
    let Some(xmllint) = peer("xmllint") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("document.xml");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut left = 100;
    while left > 0 {
        let xml = document().new_tree(&mut runner).unwrap().current();
        let Ok(document) = Document::parse(xml.as_bytes(), &Limits::VEN) else { continue };
        left -= 1;
        std::fs::write(&file, &xml).unwrap();
        for (mode, inclusion) in [
            ("--c14n", Inclusion::Inclusive),
            ("--c14n11", Inclusion::Inclusive11),
            ("--exc-c14n", Inclusion::Exclusive(Vec::new())),
        ] {
            let theirs = Command::new(&xmllint).arg(mode).arg(&file).output().unwrap();
            let ours = Canonicalization { inclusion, comments: true }.of_document(&document);
            assert_eq!(String::from_utf8(ours), String::from_utf8(theirs.stdout), "{mode} of {xml}");
        }
    }
}
