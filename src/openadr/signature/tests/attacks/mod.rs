//! Forged, moved, doubled and old messages: each is refused, and for the right reason.

mod algorithm;
mod keyinfo;
mod reference;
mod replay;
mod transform;
mod wrapping;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::{Identity, dice};
use super::{gate, now, poll, signed};
use crate::openadr::message::{Payload, Poll};
use crate::openadr::xml::{Canonicalization, Document, Element, Limits, Ns, encode};

/// A message that is let in, as long as nothing is done to it.
pub(super) fn good() -> String {
    signed(&poll(), Identity::p256())
}

/// An object that nobody signed.
fn evil(id: &str) -> String {
    let payload: Payload = Poll { ven_id: "evil".into() }.into();
    let text = encode(&payload).signed("");
    let object =
        &text[text.find("<oadr:oadrSignedObject").unwrap()..text.find("</oadr:oadrPayload>").unwrap()];
    object.replace(" oadr:Id=\"oadrSignedObject\"", id)
}

pub(super) fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    &text[start..start + text[start..].find(to).unwrap() + to.len()]
}

fn refusal(text: &str) -> String {
    match gate(Identity::p256()).open(text.as_bytes(), now()) {
        Ok(verified) => panic!("let in {:?}: {text}", verified.into_content()),
        Err(refusal) => refusal.to_string(),
    }
}

fn refused(text: &str, why: &str) {
    let refusal = refusal(text);
    assert!(refusal.contains(why), "\"{refusal}\" is not \"{why}\" of {text}");
}

fn refused_somehow(text: &str) {
    refusal(text);
}

/// The same document with digests and a signature that are right for it: what is refused then is refused by its form.
///
/// Each reference `#id` is digested by inclusive C14N and SHA-256, whatever its transforms say.
pub(super) fn resigned(text: &str, identity: &Identity) -> String {
    let mut text = text.to_owned();
    let document = Document::parse(text.as_bytes(), &Limits::VTN).unwrap();
    let digest_of = |element: Element<'_>| {
        let octets = Canonicalization::DEFAULT.of_element(&document, element.id());
        BASE64.encode(ring::digest::digest(&ring::digest::SHA256, &octets))
    };
    let referred: Vec<Option<String>> = Element::all(&document)
        .filter(|element| element.is(Ns::Ds, "Reference"))
        .map(|reference| {
            let id = reference.attribute(None, "URI")?.strip_prefix('#')?;
            Element::all(&document).find(|element| element.ids().any(|other| other == id)).map(digest_of)
        })
        .collect();
    let mut from = 0;
    for digest in referred {
        from += text[from..].find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
        let to = from + text[from..].find("</ds:DigestValue>").unwrap();
        if let Some(digest) = digest {
            text.replace_range(from..to, &digest);
        }
    }
    let document = Document::parse(text.as_bytes(), &Limits::VTN).unwrap();
    let info = Element::all(&document).find(|element| element.is(Ns::Ds, "SignedInfo")).unwrap();
    let octets = Canonicalization::DEFAULT.of_element(&document, info.id());
    let value = BASE64.encode(identity.key.sign(&octets, &dice()).unwrap());
    let old = part(&text, "<ds:SignatureValue>", "</ds:SignatureValue>");
    text.replace(old, &format!("<ds:SignatureValue>{value}</ds:SignatureValue>"))
}

/// The tool itself: a message that is changed and signed again by the same key is let in.
#[test]
fn what_is_signed_again_is_let_in() {
    let text = resigned(&good().replace("ven-01", "ven-02"), Identity::p256());
    let expected: Payload = Poll { ven_id: "ven-02".into() }.into();
    assert_eq!(gate(Identity::p256()).open(text.as_bytes(), now()).unwrap().into_content(), expected);
}
