//! Signatures of others, and ours before others.

use std::path::Path;
use std::process::{Command, Output};

use super::{WINDOW, gate, now, poll, signed};
use crate::openadr::message::{Payload, PayloadKind};
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::{Gate, Policy, Trust};
use crate::openadr::trust::Fingerprint;
use crate::openadr::xml::{Limits, encode};
use crate::test_support::{peer, samples};
use crate::time::Timestamp;

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output
}

/// What stands between `<...name>` and `</`, by search: the tests' own eyes, not ours.
fn between<'t>(text: &'t str, name: &str) -> &'t str {
    let start = text.find(&format!("{name}>")).unwrap() + name.len() + 1;
    &text[start..start + text[start..].find("</").unwrap()]
}

/// The current time of the machine, which peers compare with.
#[expect(clippy::disallowed_methods, reason = "peers read the clock, so their messages carry it")]
fn real_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

fn messages() -> Vec<Payload> {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let kinds = PayloadKind::ALL.iter();
    let any =
        |kind: &PayloadKind| crate::openadr::message::arbitrary::payload_of(*kind).new_tree(&mut runner);
    kinds.map(any).map(|tree| tree.unwrap().current()).chain([poll()]).collect()
}

fn write_all(folder: &Path, identity: &Identity) -> Vec<std::path::PathBuf> {
    let write = |(at, payload): (usize, Payload)| {
        let path = folder.join(format!("{at}-{}.xml", payload.kind()));
        std::fs::write(&path, signed(&payload, identity)).unwrap();
        path
    };
    messages().into_iter().enumerate().map(write).collect()
}

#[test]
fn xmlsec1_believes_what_we_sign() {
    let Some(xmlsec1) = peer("xmlsec1") else { return };
    let folder = tempfile::tempdir().unwrap();
    for identity in [Identity::p256(), Identity::rsa()] {
        let certificate = folder.path().join("cert.pem");
        std::fs::write(&certificate, &identity.certificate_pem).unwrap();
        for path in write_all(folder.path(), identity) {
            let ids = [
                "--id-attr:Id",
                "http://openadr.org/oadr-2.0b/2012/07:oadrSignedObject",
                "--id-attr:Id",
                "http://www.w3.org/2000/09/xmldsig#:Object",
            ];
            let mut command = Command::new(&xmlsec1);
            let trusted = ["--trusted-pem", certificate.to_str().unwrap()];
            succeed(command.arg("--verify").args(ids).args(trusted).arg(path));
        }
    }
}

/// The very functions with which OpenLEADR's server checks: its schema, then signxml with two references.
#[test]
fn signxml_believes_what_we_sign() {
    let Some(python) = peer("python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/signatures.py");
    for identity in [Identity::p256(), Identity::rsa()] {
        let folder = tempfile::tempdir().unwrap();
        let paths = write_all(folder.path(), identity);
        let output = succeed(Command::new(&python).arg(&script).arg("verify").args(&paths));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), paths.len());
    }
}

#[test]
fn we_believe_what_openleadr_signs() {
    let Some(python) = peer("python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/signatures.py");
    for identity in [Identity::p256(), Identity::rsa()] {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let text = encode(&poll()).signed("");
        // It signs the object as a document of its own, so the object has to declare what it uses.
        let root = text.find("<oadr:oadrPayload").unwrap() + "<oadr:oadrPayload".len();
        let declarations = &text[root..root + text[root..].find('>').unwrap()];
        let object =
            &text[text.find("<oadr:oadrSignedObject").unwrap()..text.find("</oadr:oadrPayload>").unwrap()];
        let object =
            object.replacen("<oadr:oadrSignedObject", &format!("<oadr:oadrSignedObject{declarations}"), 1);
        let (key, certificate) =
            (file("key.pem", &identity.key_pem), file("cert.pem", &identity.certificate_pem));
        let object = file("object.xml", &object);
        let output = succeed(Command::new(&python).arg(&script).arg("sign").args([key, certificate, object]));
        let verified = gate(identity).open(&output.stdout, real_now()).unwrap();
        assert_eq!(verified.into_content(), poll());
    }
}

/// xmlsec1 signs a template of ours: exclusive C14N, Canonical XML 1.1, xml: attributes that are inherited or not, comments, no Transforms, other digests, the signature behind the object.
#[test]
fn we_believe_what_xmlsec1_signs_in_every_lawful_form() {
    let Some(xmlsec1) = peer("xmlsec1") else { return };
    let folder = tempfile::tempdir().unwrap();
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let inclusive11 = "http://www.w3.org/2006/12/xml-c14n11";
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    for identity in [Identity::p256(), Identity::rsa()] {
        for (c14n, transform, hash, behind) in [
            (inclusive, inclusive, "http://www.w3.org/2001/04/xmlenc#sha256", false),
            (exclusive, exclusive, "http://www.w3.org/2001/04/xmlenc#sha256", true),
            (exclusive, "", "http://www.w3.org/2001/04/xmldsig-more#sha384", false),
            (inclusive11, inclusive11, "http://www.w3.org/2001/04/xmlenc#sha256", false),
            (exclusive, inclusive11, "http://www.w3.org/2001/04/xmlenc#sha256", true),
            (
                "http://www.w3.org/2006/12/xml-c14n11#WithComments",
                "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
                "http://www.w3.org/2001/04/xmlenc#sha256",
                false,
            ),
            (
                "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
                "",
                "http://www.w3.org/2001/04/xmlenc#sha512",
                true,
            ),
        ] {
            let template = template(identity.key.algorithm(), c14n, transform, hash, behind)
                .replacen(
                    "<oadr:oadrPayload",
                    "<oadr:oadrPayload xml:id='r' xml:lang='en' xml:base='http://example.org/a/b'",
                    1,
                )
                .replacen(
                    "<oadr:oadrSignedObject",
                    "<oadr:oadrSignedObject xml:space='preserve' xml:base='../c'",
                    1,
                )
                .replacen("<ei:venID>", "<!-- note --><ei:venID><!-- note -->", 1);
            assert!(template.contains("note"), "{template}");
            let (input, output) = (folder.path().join("template.xml"), folder.path().join("signed.xml"));
            let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
            std::fs::write(&input, template).unwrap();
            std::fs::write(&key, &identity.key_pem).unwrap();
            std::fs::write(&certificate, &identity.certificate_pem).unwrap();
            let keys = format!("{},{}", key.display(), certificate.display());
            let ids = ["--id-attr:Id", "http://openadr.org/oadr-2.0b/2012/07:oadrSignedObject"];
            succeed(
                Command::new(&xmlsec1)
                    .args(["--sign", "--privkey-pem", &keys])
                    .args(ids)
                    .args(["--id-attr:Id", "http://www.w3.org/2000/09/xmldsig#:Object", "--output"])
                    .args([&output, &input]),
            );
            let verified = gate(identity).open(&std::fs::read(&output).unwrap(), now());
            assert_eq!(
                verified.map(crate::openadr::trust::Verified::into_content),
                Ok(poll()),
                "{c14n} {hash}"
            );
        }
    }
}

fn template(algorithm: &str, c14n: &str, transform: &str, hash: &str, behind: bool) -> String {
    let transforms = if transform.is_empty() {
        String::new()
    } else {
        format!("<Transforms><Transform Algorithm=\"{transform}\"/></Transforms>")
    };
    let reference = |id: &str| {
        format!(
            "<Reference URI=\"#{id}\">{transforms}<DigestMethod Algorithm=\"{hash}\"/><DigestValue></DigestValue></Reference>"
        )
    };
    let signature = format!(
        "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo>\
         <CanonicalizationMethod Algorithm=\"{c14n}\"/><SignatureMethod Algorithm=\"{algorithm}\"/>{}{}</SignedInfo>\
         <SignatureValue/><KeyInfo><X509Data/></KeyInfo><Object Id=\"prop\"><SignatureProperties>\
         <SignatureProperty Target=\"#x\"><d:ReplayProtect \
         xmlns:d=\"http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties\"><d:timestamp>{}</d:timestamp>\
         <d:nonce>abc</d:nonce></d:ReplayProtect></SignatureProperty></SignatureProperties></Object></Signature>",
        reference("oadrSignedObject"),
        reference("prop"),
        now(),
    );
    let text = encode(&poll()).signed("");
    let at =
        if behind { text.find("</oadr:oadrPayload>") } else { text.find("<oadr:oadrSignedObject") }.unwrap();
    format!("{}{signature}{}", &text[..at], &text[at..])
}

#[test]
fn signed_examples_verify_at_their_own_time() {
    let Some(folder) = samples("protocol/examples") else { return };
    for name in [
        "90-signed-oadrPoll-rsa-sha256.xml",
        "91-signed-oadrPoll-ecdsa-sha256.xml",
        "openleadr/ven-signed-oadrPoll-rsa.xml",
        "openleadr/ven-signed-oadrPoll-ecdsa.xml",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let der: String = between(&text, "X509Certificate").split_whitespace().collect();
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, der).unwrap();
        let at: Timestamp = between(&text, "dsp:timestamp").parse().unwrap();
        let mut gate =
            Gate::new(Policy::Require(Trust::Pinned(vec![Fingerprint::of(&der)])), WINDOW, Limits::VEN);
        let verified = gate.open(text.as_bytes(), at).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(verified.into_content().kind(), PayloadKind::Poll);
    }
}
