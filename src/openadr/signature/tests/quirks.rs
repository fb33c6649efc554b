//! Signatures as real VTNs write them, each good, each let in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::attacks::{good, part, resigned};
use super::keys::Identity;
use super::{gate, now, poll};
use crate::openadr::signature::Refusal;
use crate::openadr::trust::Tolerance;
use crate::openadr::xml::{Canonicalization, Document, Limits};

fn let_in(text: &str) {
    let opened = gate(Identity::p256()).open(text.as_bytes(), now());
    assert_eq!(opened.map(crate::openadr::trust::Verified::into_content), Ok(poll()), "{text}");
}

/// The specification's figure, and pyOpenADR, write `Id` without prefix.
#[test]
fn an_unqualified_id_is_found() {
    for id in ["Id", "ID", "id"] {
        let text = good()
            .replace(" oadr:Id=\"oadrSignedObject\"", &format!(" {id}=\"signedObject\""))
            .replace("#oadrSignedObject", "#signedObject");
        let_in(&resigned(&text, Identity::p256()));
    }
}

/// signxml breaks base64 into lines, others indent it.
#[test]
fn base64_may_be_broken_into_lines() {
    let good = good();
    for name in ["SignatureValue", "X509Certificate"] {
        let (open, close) = (format!("<ds:{name}>"), format!("</ds:{name}>"));
        let old = part(&good, &open, &close);
        let digits = &old[open.len()..old.len() - close.len()];
        for gap in ["\n", "\r\n", "&#13;\n", "\n\t  "] {
            let lines: Vec<&str> =
                digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let_in(&good.replace(old, &format!("{open}{gap}{}{gap}{close}", lines.join(gap))));
        }
    }
}

/// avob names the subject beside its certificate; OpenLEADR's targets lead nowhere.
#[test]
fn hints_and_dangling_targets_are_passed_over() {
    let subject = "<ds:X509Data><ds:X509SubjectName>CN=x</ds:X509SubjectName>";
    let_in(&good().replace("<ds:X509Data>", subject));
    let target = good().replace(
        "<ds:SignatureProperty Target=\"#oadrPayloadSignature\"",
        "<ds:SignatureProperty Id=\"myid\" Target=\"#mytarget\"",
    );
    assert!(target.contains("#mytarget"));
    let_in(&resigned(&target, Identity::p256()));
}

/// avob puts the signature behind what it signs.
#[test]
fn the_signature_may_stand_behind_the_object() {
    let good = good();
    let signature = part(&good, "<ds:Signature ", "</ds:Signature>");
    let_in(
        &good
            .replace(signature, "")
            .replace("</oadr:oadrPayload>", &format!("{signature}</oadr:oadrPayload>")),
    );
}

/// EPRI's JAXB makes XML Signature the default namespace. Inclusive C14N digests every namespace in scope, so a declaration
/// that somebody adds on the way breaks the signature, and one that was there belongs to it.
#[test]
fn namespaces_in_scope_belong_to_what_is_signed() {
    let more = good().replacen(
        "<oadr:oadrPayload",
        "<oadr:oadrPayload xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ns14=\"urn:x\"",
        1,
    );
    assert!(gate(Identity::p256()).open(more.as_bytes(), now()).is_err());
    let_in(&resigned(&more, Identity::p256()));
}

/// avob's form: one reference to the document without its signature, one to the property.
fn enveloped(protect: bool) -> String {
    let good = good();
    let reference = part(&good, "<ds:Reference URI=\"#oadrSignedObject\"", "</ds:Reference>");
    let whole = {
        let signature = part(&good, "<ds:Signature ", "</ds:Signature>");
        let without = good.replace(signature, "");
        let document = Document::parse(without.as_bytes(), &Limits::VTN).unwrap();
        let octets = Canonicalization::DEFAULT.of_document(&document);
        BASE64.encode(ring::digest::digest(&ring::digest::SHA256, &octets))
    };
    let ours = format!(
        "<ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
         </ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>{whole}</ds:DigestValue>\
         </ds:Reference>"
    );
    let text = good.replace(reference, &ours);
    if protect {
        return resigned(&text, Identity::p256());
    }
    let property = text.rfind("<ds:Reference URI=\"#").unwrap();
    let property = part(&text[property..], "<ds:Reference", "</ds:Reference>");
    let object = part(&text, "<ds:Object", "</ds:Object>");
    resigned(&text.replace(property, "").replace(object, ""), Identity::p256())
}

#[test]
fn avobs_signatures_are_let_in_where_that_is_wanted() {
    let wanted = Tolerance { enveloped: true, ..Tolerance::NONE };
    let open = |text: &str, tolerance| {
        let opened = gate(Identity::p256()).tolerating(tolerance).open(text.as_bytes(), now());
        opened.map(crate::openadr::trust::Verified::into_content)
    };
    let good = enveloped(true);
    assert_eq!(open(&good, wanted), Ok(poll()));
    assert_eq!(open(&good, Tolerance::NONE), Err(Refusal::ReferenceUri(String::new())));
    // Everything in the document is covered, and the property by a digest of its own.
    for (from, to) in
        [("ven-01", "ven-02"), ("<ds:Object ", "<ds:Object x=\"y\" "), ("<dsp:nonce>", "<dsp:nonce>x")]
    {
        let damaged = good.replace(from, to);
        assert_ne!(damaged, good);
        assert!(matches!(open(&damaged, wanted), Err(Refusal::Digest(_))), "{from}");
    }
    let mut gate = gate(Identity::p256()).tolerating(wanted);
    assert!(gate.open(good.as_bytes(), now()).is_ok());
    assert!(matches!(gate.open(good.as_bytes(), now()), Err(Refusal::Replay(_))));
    // A transform that takes out something else is none that is known.
    let other = good.replace("xmldsig#enveloped-signature", "xmldsig#base64");
    assert!(matches!(open(&resigned(&other, Identity::p256()), wanted), Err(Refusal::Algorithm(_))));
}

#[test]
fn a_signature_without_replay_protect_is_let_in_where_that_is_wanted() {
    let text = enveloped(false);
    assert!(!text.contains("ReplayProtect"));
    let wanted = Tolerance { enveloped: true, no_replay_protect: true };
    let mut gate = gate(Identity::p256()).tolerating(wanted);
    assert_eq!(
        gate.open(text.as_bytes(), now()).map(crate::openadr::trust::Verified::into_content),
        Ok(poll())
    );
    let strict = Tolerance { no_replay_protect: false, ..wanted };
    let mut gate = super::gate(Identity::p256()).tolerating(strict);
    assert_eq!(gate.open(text.as_bytes(), now()).unwrap_err(), Refusal::NotCovered("ReplayProtect"));
}
