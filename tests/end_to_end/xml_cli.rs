//! `ven xml` as other people's vectors and a support desk meet it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::House;
use crate::support::peers::peer;
use openadr_ven::mock_vtn::KeyKind;

const POLL: &str = "<o:oadrPayload xmlns:o='http://openadr.org/oadr-2.0b/2012/07'><o:oadrSignedObject><o:oadrPoll \
     xmlns:ei='http://docs.oasis-open.org/ns/energyinterop/201110' ei:schemaVersion='2.0b'><ei:venID>ven-1</ei:venID>\
     </o:oadrPoll></o:oadrSignedObject></o:oadrPayload>";

fn xml(command: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ven")).args(["xml", command]).args(arguments).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// Its exit code is this one, nothing stands on stdout, and one line with that text on stderr.
fn refused(output: &Output, code: i32, reason: &str) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(error.matches(reason).count(), 1, "expected \"{reason}\", once, found: {error}");
    assert!(error.lines().count() == 1, "expected one line, found: {error}");
}

/// A folder with certificates and files.
struct Desk(House);

impl Desk {
    fn new(kind: KeyKind) -> Self {
        Self(House::new(kind))
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.path(name), content).unwrap();
        self.path(name)
    }

    fn signed(&self) -> String {
        let unsigned = self.file("unsigned.xml", POLL);
        let (cert, key) = (self.path("certs/vtn.pem"), self.path("certs/vtn.key"));
        let output = xml("sign", &[&unsigned, "--cert", &cert, "--key", &key]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }

    fn verify(&self, message: &str, more: &[&str]) -> Output {
        let (file, trusted) = (self.file("signed.xml", message), self.path("certs/vtn.pem"));
        xml("verify", &[&[file.as_str(), "--openadr", "--trusted", &trusted], more].concat())
    }
}

/// The first element of that name, as its text says.
fn between<'t>(message: &'t str, name: &str) -> &'t str {
    let start = message.find(&format!("<{name}>")).unwrap() + name.len() + 2;
    &message[start..start + message[start..].find('<').unwrap()]
}

#[test]
fn every_mode_has_its_own_canonical_form() {
    let desk = Desk::new(KeyKind::P256);
    let file = desk.file(
        "a.xml",
        "<?xml version='1.0'?><!-- x --><a xmlns:p='urn:p' xmlns:q='urn:q' xml:id='i' xml:base='x/'><b/><p:c xml:base='y'><!-- z --></p:c></a>",
    );
    let c = |attributes: &str, comment: &str| format!("<p:c {attributes} xml:base=\"{comment}</p:c>");
    for (mode, more, expected) in [
        ("inclusive", "", c("xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"", "y\" xml:id=\"i\">")),
        ("inclusive-comments", "", c("xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"", "y\" xml:id=\"i\"><!-- z -->")),
        ("inclusive11", "", c("xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"", "x/y\">")),
        ("inclusive11-comments", "", c("xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"", "x/y\"><!-- z -->")),
        ("exclusive", "", c("xmlns:p=\"urn:p\"", "y\">")),
        ("exclusive-comments", "", c("xmlns:p=\"urn:p\"", "y\"><!-- z -->")),
        ("exclusive", "q #default none", c("xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"", "y\">")),
    ] {
        let prefixes: &[&str] = if more.is_empty() { &[] } else { &["--prefixes", more] };
        let output = xml("c14n", &[&["--mode", mode, "--path", "/1/2", &file], prefixes].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), expected, "{mode} {more}");
    }
    let whole = xml("c14n", &["--mode", "inclusive-comments", &file]);
    assert!(text(&whole.stdout).starts_with("<!-- x -->\n<a xmlns:p="), "{}", text(&whole.stdout));
    let root = xml("c14n", &["--mode", "inclusive-comments", "--path", "/1", &file]);
    assert!(text(&root.stdout).starts_with("<a xmlns:p="), "{}", text(&root.stdout));
}

#[test]
fn what_has_no_canonical_form_ends_with_2_and_prints_nothing() {
    let desk = Desk::new(KeyKind::P256);
    for (content, more, reason) in [
        ("<!DOCTYPE a><a/>", &[][..], "a DOCTYPE is never accepted"),
        ("<a><b></a>", &[], "not well-formed"),
        ("<a xmlns='relative'/>", &[], "is not absolute"),
        ("<a/>", &["--path", "/2"], "leads nowhere at step 1"),
        ("<a><b/></a>", &["--path", "/1/1/1"], "leads nowhere at step 3"),
        ("<a/>", &["--prefixes", "a"], "--prefixes belongs to the exclusive modes"),
    ] {
        let file = desk.file("a.xml", content);
        refused(&xml("c14n", &[&["--mode", "inclusive", &file], more].concat()), 2, reason);
    }
    refused(&xml("c14n", &["--mode", "exclusive", "/nowhere/a.xml"]), 2, "/nowhere/a.xml: No such file");
    let file = desk.file("a.xml", b"<a>\xff</a>");
    refused(&xml("c14n", &["--mode", "inclusive", &file]), 2, "UTF-8");
    for path in ["", "1", "/", "/0", "/1/", "/+1", "/1/x"] {
        let output = xml("c14n", &["--mode", "inclusive", "--path", path, &file]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{path}");
    }
}

#[test]
fn what_was_signed_is_believed_until_a_byte_changes() {
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let desk = Desk::new(kind);
        let message = desk.signed();
        let output = desk.verify(&message, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let expected = format!("valid: oadrPoll, signed by {}\n", desk.0.certificates.vtn_fingerprint());
        assert_eq!(text(&output.stdout), expected);
        refused(&desk.verify(&message.replace("ven-1", "ven-2"), &[]), 1, "digest of #oadrSignedObject");
        refused(&desk.verify(&message.replace("dsp:nonce>", "dsp:nonce> "), &[]), 1, "digest of #prop");
        let value = between(&message, "ds:SignatureValue").to_owned();
        let other = if value.starts_with('A') { "B" } else { "A" };
        let changed = message.replace(&value, &format!("{other}{}", &value[1..]));
        refused(&desk.verify(&changed, &[]), 1, "signature value does not match");
        refused(&desk.verify(&format!("<!DOCTYPE o>{POLL}"), &[]), 1, "a DOCTYPE is never accepted");
        refused(&desk.verify(POLL, &[]), 1, "not signed");
    }
}

#[test]
fn only_the_trusted_certificate_is_believed() {
    let desk = Desk::new(KeyKind::P256);
    let file = desk.file("signed.xml", desk.signed());
    let with = |certificate: &str| xml("verify", &[&file, "--trusted", &desk.path(certificate), "--openadr"]);
    refused(&with("certs/ven.pem"), 1, "is not the one that is pinned");
    // One authority has signed all of them; that is not enough.
    refused(&with("certs/ca.pem"), 1, "is not the one that is pinned");
    refused(&with("certs/vtn.key"), 1, "no certificate");
    refused(&with("certs/nobody.pem"), 1, "No such file");
}

#[test]
fn an_old_message_is_believed_only_at_its_own_time() {
    let desk = Desk::new(KeyKind::P256);
    let message = desk.signed();
    let time = between(&message, "dsp:timestamp").to_owned();
    assert_eq!(desk.verify(&message, &["--at", &time]).status.code(), Some(0));
    let year: u16 = time[..4].parse().unwrap();
    // A year later the test certificates still hold, the message does not.
    let later = format!("{}-01-01T00:00:00Z", year + 2);
    refused(&desk.verify(&message, &["--at", &later]), 1, "message is a repetition: it was signed at");
    assert!(!desk.verify(&message, &["--at", "yesterday"]).status.success());
}

#[test]
fn an_expired_certificate_is_not_believed() {
    let Some(openssl) = peer("openssl") else { return };
    let desk = Desk::new(KeyKind::P256);
    let made = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
        ])
        .args([
            "-subj",
            "/CN=vtn",
            "-keyout",
            &desk.path("certs/vtn.key"),
            "-out",
            &desk.path("certs/vtn.pem"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let message = desk.signed();
    assert_eq!(desk.verify(&message, &[]).status.code(), Some(0));
    for year in ["1999", "2999"] {
        refused(&desk.verify(&message, &["--at", &format!("{year}-01-01T00:00:00Z")]), 1, "is valid from");
    }
}

#[test]
fn only_a_good_and_unsigned_message_is_signed() {
    let desk = Desk::new(KeyKind::P256);
    let (cert, key) = (desk.path("certs/vtn.pem"), desk.path("certs/vtn.key"));
    let sign = |file: &str, key: &str| xml("sign", &[file, "--cert", &cert, "--key", key]);
    let signed = desk.file("signed.xml", desk.signed());
    refused(&sign(&signed, &key), 1, "signed already");
    refused(&sign(&desk.file("other.xml", "<a/>"), &key), 1, "expected oadr:oadrPayload");
    let good = desk.file("good.xml", POLL);
    refused(&sign(&good, &desk.path("certs/ven.key")), 1, "does not belong to the certificate");
    refused(&sign(&good, &cert), 1, "no private key");
}

#[test]
fn a_message_is_shown_with_a_warning() {
    let desk = Desk::new(KeyKind::P256);
    for message in [POLL.to_owned(), desk.signed(), desk.signed().replace("ven-1", "forged")] {
        let output = xml("decode", &[&desk.file("a.xml", &message)]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stderr).starts_with("unverified"), "{}", text(&output.stderr));
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ven = if message.contains("forged") { "forged" } else { "ven-1" };
        assert_eq!(shown, serde_json::json!({ "oadrPoll": { "venID": ven } }));
    }
    refused(&xml("decode", &[&desk.file("a.xml", "<a/>")]), 1, "expected oadr:oadrPayload");
    // What a document says cannot make a second line.
    let two_lines = POLL.replace("2012/07'><", "2012/07'>x\u{85}line<");
    refused(&xml("decode", &[&desk.file("a.xml", two_lines)]), 1, "x\\u{85}line");
}

#[test]
fn xmlsec1_believes_what_is_signed_by_hand() {
    let Some(xmlsec1) = peer("xmlsec1") else { return };
    let desk = Desk::new(KeyKind::P256);
    let file = desk.file("signed.xml", desk.signed());
    let output = Command::new(xmlsec1)
        .args(["--verify", "--id-attr:Id", "http://openadr.org/oadr-2.0b/2012/07:oadrSignedObject"])
        .args(["--id-attr:Id", "http://www.w3.org/2000/09/xmldsig#:Object", "--trusted-pem"])
        .args([desk.path("certs/ca.pem"), file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Whole documents: comments stay, since xmllint keeps them in every mode.
#[test]
fn xmllint_has_the_same_canonical_forms() {
    let Some(xmllint) = peer("xmllint") else { return };
    let desk = Desk::new(KeyKind::P256);
    for file in documents(&desk) {
        for (mode, theirs) in [
            ("inclusive-comments", "--c14n"),
            ("inclusive11-comments", "--c14n11"),
            ("exclusive-comments", "--exc-c14n"),
        ] {
            let expected = Command::new(&xmllint).arg(theirs).arg(&file).output().unwrap();
            assert!(expected.status.success(), "{}", text(&expected.stderr));
            let ours = xml("c14n", &["--mode", mode, file.to_str().unwrap()]);
            assert_eq!(text(&ours.stdout), text(&expected.stdout), "{mode} of {}", file.display());
        }
    }
}

/// Our own examples, and a few documents that pin a clause each.
fn documents(desk: &Desk) -> Vec<PathBuf> {
    let small = [
        "<?pi  x ?><!-- c --><a/><!-- d --><?q?>",
        "<a xmlns='urn:d' xmlns:p='urn:p' xml:base='x/'><b xmlns='' xml:base='../' xml:id='i' p:z='1' a='2'/></a>",
        "<a b='&#9;&#10;&#13;&quot;&lt;&amp;>'>&#13;&gt;<![CDATA[<&>]]>\r\n\t\"</a>",
        "<a xmlns:p='urn:1'><p:b xmlns:p='urn:1'><p:c xmlns:p='urn:2'/></p:b></a>",
        "<a xmlns:z='urn:a' xmlns:y='urn:b' y:k='1' z:k='2' k='3'>\u{e4}\u{1f600}</a>",
        POLL,
    ];
    let write = |(at, content): (usize, &&str)| PathBuf::from(desk.file(&format!("{at}.xml"), content));
    let mut all: Vec<PathBuf> = small.iter().enumerate().map(write).collect();
    let signed = desk.file("signed.xml", desk.signed());
    all.push(Path::new(&signed).to_owned());
    all
}
