//! Signs messages.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest;
use ring::rand::SecureRandom;

use crate::openadr::message::Payload;
use crate::openadr::xml::{Canonicalization, Document, Limits, Ns, SignedObject, XmlError, encode, envelope};
use crate::time::Timestamp;

use super::algorithm::SHA256;
use super::key::SigningKey;

const SIGNATURE_ID: &str = "oadrPayloadSignature";
const PROPERTY_ID: &str = "prop";

/// Why a message could not be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignError {
    #[error("the system's random numbers failed")]
    Dice,
    #[error("the message cannot be read back: {0}")]
    Unreadable(#[from] XmlError),
}

/// Writes a message as a signed document.
///
/// `now` goes into ReplayProtect, so a message that is sent again is signed again.
///
/// # Errors
///
/// Where the dice fail, or XML that the message brought along cannot be read.
pub(crate) fn sign(
    payload: &Payload,
    key: &SigningKey,
    now: Timestamp,
    dice: &dyn SecureRandom,
) -> Result<String, SignError> {
    let object = encode(payload);
    let in_signature = || object.namespaces().chain([Ns::Ds, Ns::Dsp]);
    let mut nonce = [0; 16];
    dice.fill(&mut nonce).map_err(|_| SignError::Dice)?;
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let property = property(now, &nonce);
    let property_digest =
        sha256(as_apex(in_signature(), "ds:Object", &format!(" Id=\"{PROPERTY_ID}\""), &property).as_bytes());
    let signed_info = signed_info(key, &object_digest(&object)?, &property_digest);
    let octets = as_apex(in_signature(), "ds:SignedInfo", "", &signed_info);
    let value = key.sign(octets.as_bytes(), dice).ok_or(SignError::Dice)?;
    let signature = format!(
        "<ds:Signature xmlns:ds=\"{}\" xmlns:dsp=\"{}\" Id=\"{SIGNATURE_ID}\">\
         <ds:SignedInfo>{signed_info}</ds:SignedInfo>\
         <ds:SignatureValue>{}</ds:SignatureValue>\
         <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         <ds:Object Id=\"{PROPERTY_ID}\">{property}</ds:Object></ds:Signature>",
        Ns::Ds.uri(),
        Ns::Dsp.uri(),
        BASE64.encode(value),
        BASE64.encode(key.certificate()),
    );
    Ok(object.signed(&signature))
}

/// Digests the object as it will stand in the document; the signature beside it changes nothing in it.
fn object_digest(object: &SignedObject) -> Result<String, SignError> {
    if let Some(message) = object.canonical() {
        let id = format!(" oadr:Id=\"{}\"", SignedObject::ID);
        return Ok(sha256(as_apex(object.namespaces(), "oadr:oadrSignedObject", &id, message).as_bytes()));
    }
    let text = object.signed("");
    let document = Document::parse(text.as_bytes(), &Limits::VTN)?;
    let signed_object = envelope(&document)?.signed_object;
    let octets = signed_object.map(|element| Canonicalization::DEFAULT.of_element(&document, element.id()));
    Ok(sha256(&octets.unwrap_or_default()))
}

fn sha256(octets: &[u8]) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, octets))
}

/// The canonical form of an element of ours whose content is written in canonical form already: as
/// apex it carries every namespace in scope, in the order of their prefixes.
fn as_apex(in_scope: impl Iterator<Item = Ns>, name: &str, attributes: &str, content: &str) -> String {
    let in_scope: BTreeMap<&str, &str> = in_scope.map(|ns| (ns.prefix(), ns.uri())).collect();
    let declarations: String =
        in_scope.iter().map(|(prefix, uri)| format!(" xmlns:{prefix}=\"{uri}\"")).collect();
    format!("<{name}{declarations}{attributes}>{content}</{name}>")
}

fn property(now: Timestamp, nonce: &str) -> String {
    format!(
        "<ds:SignatureProperties><ds:SignatureProperty Target=\"#{SIGNATURE_ID}\">\
         <dsp:ReplayProtect><dsp:timestamp>{now}</dsp:timestamp><dsp:nonce>{nonce}</dsp:nonce></dsp:ReplayProtect>\
         </ds:SignatureProperty></ds:SignatureProperties>"
    )
}

fn signed_info(key: &SigningKey, object_digest: &str, property_digest: &str) -> String {
    let c14n = Canonicalization::DEFAULT_URI;
    let reference = |id: &str, digest: &str| {
        format!(
            "<ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{c14n}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
        )
    };
    format!(
        "<ds:CanonicalizationMethod Algorithm=\"{c14n}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{}{}",
        key.algorithm(),
        reference(SignedObject::ID, object_digest),
        reference(PROPERTY_ID, property_digest),
    )
}
