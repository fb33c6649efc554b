//! Signatures as real VTNs write them, each good, each let in.

use super::attacks::{good, part, resigned};
use super::keys::Identity;
use super::{gate, now, poll};

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
