//! Algorithms that are weak, that are none, or that are not the ones that were used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{good, part, refused, resigned};
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::tests::{gate, now, poll, signed};
use crate::openadr::xml::{Canonicalization, Document, Element, Limits, Ns};

const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

fn with_value(text: &str, value: &[u8]) -> String {
    let old = part(text, "<ds:SignatureValue>", "</ds:SignatureValue>");
    text.replace(old, &format!("<ds:SignatureValue>{}</ds:SignatureValue>", BASE64.encode(value)))
}

#[test]
fn rule_514_weak_unknown_and_absent_signature_methods_are_refused() {
    for uri in [
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-md5",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2009/xmldsig11#dsa-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224",
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "none",
        "",
    ] {
        let text = good().replace(ECDSA_SHA256, uri);
        refused(&resigned(&text, Identity::p256()), "is not accepted");
    }
}

#[test]
fn rule_514_weak_and_unknown_digests_are_refused() {
    for uri in [
        "http://www.w3.org/2000/09/xmldsig#sha1",
        "http://www.w3.org/2001/04/xmldsig-more#md5",
        "http://www.w3.org/2001/04/xmldsig-more#sha224",
        "http://www.w3.org/2001/04/xmlenc#ripemd160",
        "",
    ] {
        refused(&resigned(&good().replacen(SHA256, uri, 1), Identity::p256()), "is not accepted");
    }
}

/// The public key is known to everybody, so it must never be the secret of an HMAC.
#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let identity = Identity::p256();
    let text = good().replace(ECDSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256");
    let document = Document::parse(text.as_bytes(), &Limits::VEN).unwrap();
    let info = Element::all(&document).find(|element| element.is(Ns::Ds, "SignedInfo")).unwrap();
    let octets = Canonicalization::DEFAULT.of_element(&document, info.id());
    for secret in [identity.key.certificate(), identity.certificate_pem.as_bytes(), b""] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = ring::hmac::sign(&key, &octets);
        refused(&with_value(&text, tag.as_ref()), "hmac-sha256\" is not accepted");
    }
}

#[test]
fn a_truncated_hmac_is_refused() {
    let method = format!("<ds:SignatureMethod Algorithm=\"{ECDSA_SHA256}\">");
    let truncated = good().replace(&method, &format!("{method}<ds:HMACOutputLength>0</ds:HMACOutputLength>"));
    refused(&resigned(&truncated, Identity::p256()), "expected the end of SignatureMethod");
}

/// What a label says must be what was computed, and what the key can do.
#[test]
fn a_label_that_is_not_the_computation_is_refused() {
    for (label, why) in [
        ("rsa-sha256", "cannot make a signature"),
        ("ecdsa-sha384", "cannot make a signature"),
        ("ecdsa-sha512", "is not accepted"),
    ] {
        let text = good().replace("#ecdsa-sha256", &format!("#{label}"));
        refused(&resigned(&text, Identity::p256()), why);
    }
    for label in ["http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2001/04/xmldsig-more#sha384"]
    {
        let text = resigned(&good().replacen(SHA256, label, 1), Identity::p256());
        refused(&text, "digest of #oadrSignedObject does not match");
    }
    let rsa = signed(&poll(), Identity::rsa());
    for label in ["#rsa-sha384", "#rsa-sha512"] {
        let text = resigned(&rsa.replace("#rsa-sha256", label), Identity::rsa());
        let refusal = gate(Identity::rsa()).open(text.as_bytes(), now()).unwrap_err().to_string();
        assert!(refusal.contains("signature value does not match"), "{refusal}");
    }
}

/// The order of P-256: r or s equal to it are zero, as CVE-2022-21449 has it.
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA,
    0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

#[test]
fn a_signature_of_nothing_is_refused() {
    let good = good();
    let mut one = [0; 64];
    (one[31], one[63]) = (1, 1);
    for value in [
        &[0; 64][..],
        &[],
        &[0; 3],
        &[0xFF; 64],
        &one,
        &[ORDER, ORDER].concat(),
        &[0; 65],
        &[0; 63],
        &[0; 256],
    ] {
        refused(&with_value(&good, value), "signature value does not match");
    }
    refused(&good.replace(part(&good, "<ds:Signature ", "</ds:Signature>"), ""), "is not signed");
    refused(
        &good.replace(part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>"), ""),
        "expected ds:SignatureValue",
    );
    let rsa = signed(&poll(), Identity::rsa());
    for value in [&[0; 256][..], &[], &[1; 256], &[0xFF; 256], &[0; 255], &[0; 512]] {
        let refusal =
            gate(Identity::rsa()).open(with_value(&rsa, value).as_bytes(), now()).unwrap_err().to_string();
        assert!(refusal.contains("signature value does not match"), "{refusal}");
    }
}

/// XML Signature 1.1, section 6.4.3, has r and s side by side; DER is something else.
#[test]
fn an_ec_signature_in_der_is_refused() {
    let good = good();
    let value = part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let raw = BASE64
        .decode(&value["<ds:SignatureValue>".len()..value.len() - "</ds:SignatureValue>".len()])
        .unwrap();
    let integer = |half: &[u8]| [&[0x02, 0x21, 0x00], half].concat();
    let der = [&[0x30, 0x46][..], &integer(&raw[..32]), &integer(&raw[32..])].concat();
    refused(&with_value(&good, &der), "signature value does not match");
    for text in ["*", "AAA", "AAAA=", "\u{410}AAA"] {
        let value = format!("<ds:SignatureValue>{text}</ds:SignatureValue>");
        refused(
            &good.replace(part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>"), &value),
            "is not base64",
        );
    }
}
