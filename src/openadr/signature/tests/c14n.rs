//! Our canonical form beside that of libxml2.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::dice::Dice;
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::{TrustedKey, check};
use crate::openadr::xml::{Canonicalization, Document, Inclusion, Limits};
use crate::test_support::peer;

const DOCUMENTS: usize = 10_000;

/// Documents that lxml gets at once.
const BATCH: usize = 1_000;

/// A runner whose throws follow from a seed, which is printed.
fn runner() -> TestRunner {
    let mut dice = Dice::seeded();
    let octets: Vec<u8> = (0..32).map(|_| dice.octet()).collect();
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &octets))
}

/// A document that is one: two attributes of one namespace and name may have come together.
fn lawful(documents: &BoxedStrategy<String>, runner: &mut TestRunner) -> String {
    loop {
        let xml = documents.new_tree(runner).unwrap().current();
        if Document::parse(xml.as_bytes(), &Limits::VEN).is_ok() {
            return xml;
        }
    }
}

/// A document of a few prefixes, bound to a few namespaces here and there, with comments, instructions and odd characters.
fn document() -> BoxedStrategy<String> {
    let attributes = proptest::collection::btree_map(
        "[a-c]|[pq]:[a-c]|xml:(lang|space)",
        "[a-z&<\"\t\n\r \u{e4}\u{1F50C}]{0,4}",
        0..3,
    );
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

type WishedForm = (bool, bool, &'static str);

/// What lxml makes of documents: each in each of the forms.
fn by_lxml(python: &Path, documents: &[String], forms: &[WishedForm]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/c14n.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = String::new();
    for xml in documents {
        for (exclusive, comments, prefixes) in forms {
            let prefixes: Vec<_> = prefixes.split_whitespace().collect();
            let wish = serde_json::json!({"xml": xml, "exclusive": exclusive, "comments": comments, "prefixes": prefixes});
            lines.push_str(&format!("{wish}\n"));
        }
    }
    let feeder = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    let theirs = String::from_utf8(output.stdout).unwrap();
    theirs.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn our_canonical_form_is_that_of_libxml2() {
    let Some(python) = peer("python") else { return };
    let forms = [(false, false, ""), (false, true, ""), (true, false, ""), (true, true, "q")];
    let (mut runner, documents) = (runner(), document());
    for _ in 0..DOCUMENTS / BATCH {
        let batch: Vec<_> = (0..BATCH).map(|_| lawful(&documents, &mut runner)).collect();
        let mut theirs = by_lxml(&python, &batch, &forms).into_iter();
        for xml in &batch {
            let document = Document::parse(xml.as_bytes(), &Limits::VEN).unwrap();
            for (exclusive, comments, prefixes) in forms {
                let prefixes = prefixes.split_whitespace().map(str::to_owned).collect();
                let inclusion = if exclusive { Inclusion::Exclusive(prefixes) } else { Inclusion::Inclusive };
                let method = Canonicalization { inclusion, comments };
                let ours = String::from_utf8(method.of_document(&document)).unwrap();
                assert_eq!(Some(ours), theirs.next(), "{method:?} of {xml}");
            }
        }
        assert_eq!(theirs.next(), None);
    }
}

/// Every element by every method, without comments, as xmlsec1 digests it: it signs references to all of them at once.
#[test]
fn every_part_has_the_canonical_form_of_xmlsec1() {
    let Some(xmlsec1) = peer("xmlsec1") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("template.xml"), folder.path().join("key.pem"));
    std::fs::write(&key, &Identity::p256().key_pem).unwrap();
    let trusted = TrustedKey::of_certificate(Identity::p256().key.certificate(), super::now()).unwrap();
    let (mut runner, documents) = (runner(), document());
    let mut parts = 0;
    for _ in 0..200 {
        let xml = lawful(&documents, &mut runner);
        let (template, references) = with_references(&xml);
        parts += references;
        std::fs::write(&file, &template).unwrap();
        let output =
            Command::new(&xmlsec1).args(["--sign", "--privkey-pem"]).args([&key, &file]).output().unwrap();
        assert!(output.status.success(), "{}: {template}", String::from_utf8_lossy(&output.stderr));
        let covered = check(&output.stdout, &trusted, None);
        assert_eq!(covered.map(|covered| covered.len()), Ok(references), "{template}");
    }
    assert!(parts > 1_000, "{parts}");
}

/// Gives the elements ids, and adds a signature over each of the first of them in three ways.
fn with_references(xml: &str) -> (String, usize) {
    let mut text = String::new();
    let mut ids = 0;
    let mut rest = xml;
    while let Some(at) =
        ["<a", "<b", "<p:a", "<q:b"].iter().filter_map(|tag| Some(rest.find(tag)? + tag.len())).min()
    {
        text.push_str(&rest[..at]);
        text.push_str(&format!(" xml:id='n{ids}'"));
        rest = &rest[at..];
        ids += 1;
    }
    text.push_str(rest);
    let methods = [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
    ];
    let reference = |(id, method): (usize, &str)| {
        format!(
            "<Reference URI='#n{id}'><Transforms><Transform Algorithm='{method}'/></Transforms>\
             <DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><DigestValue/></Reference>"
        )
    };
    let all = (0..ids.min(10)).flat_map(|id| methods.map(|method| (id, method)));
    let references: Vec<_> = all.map(reference).collect();
    let whole = "<Reference URI=''><Transforms><Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/></Transforms>\
                 <DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><DigestValue/></Reference>";
    let signature = format!(
        "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><SignedInfo>\
         <CanonicalizationMethod Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         <SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256'/>{whole}{}</SignedInfo>\
         <SignatureValue/></Signature></root>",
        references.concat()
    );
    (text.replacen("</root>", &signature, 1), references.len() + 1)
}

/// xmllint knows Canonical XML 1.1 too; it writes whole documents with their comments.
#[test]
fn our_canonical_forms_are_those_of_xmllint() {
    let Some(xmllint) = peer("xmllint") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("document.xml");
    let (mut runner, documents) = (runner(), document());
    for _ in 0..100 {
        let xml = lawful(&documents, &mut runner);
        let document = Document::parse(xml.as_bytes(), &Limits::VEN).unwrap();
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
