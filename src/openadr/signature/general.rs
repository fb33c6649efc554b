//! Checks XML signatures of every lawful shape, for support work: nobody believes a message because of it.
//!
//! Enveloped, enveloping and detached signatures of one document, by one key that is given. What could make the signed octets
//! something else than they look is refused, however good the cryptography: DOCTYPE, weak or keyed digests, every transform but
//! canonicalisation and the enveloped signature, every reference out of the document.

use ring::signature::{
    ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::openadr::xml::{Canonicalization, Document, Element, Limits, Ns, XmlError, is_ncname};
use crate::time::Timestamp;

use super::algorithm::{ECDSA_SHA256, ECDSA_SHA384, KeyKind, signature_by_uri};
use super::certificate::{Distrust, believe, key_kind};
use super::gate::Refusal;
use super::key::der;
use super::verify::{base64, canonicalization, only, rest_of_reference, uri};

pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// References of one signature.
const MOST_REFERENCES: usize = 32;

/// The public key that must have signed.
#[derive(Debug)]
pub(crate) struct TrustedKey {
    kind: KeyKind,
    /// As ring wants it: PKCS#1 for RSA, the point for EC.
    octets: Vec<u8>,
}

/// Why a signature is not valid, or not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("document is unreadable: {0}")]
    Unreadable(#[from] XmlError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("expected 1 to {MOST_REFERENCES} references, found {0}")]
    References(usize),
    #[error("reference \"{0}\" leads out of the document or into it by other means than an id")]
    ReferenceUri(String),
    #[error(
        "transforms of reference \"{0}\" are not: the enveloped signature, if any, then one canonicalisation, if any"
    )]
    Transforms(String),
    #[error("nothing is left of reference \"{0}\"")]
    Void(String),
    #[error("digest of {0} does not match")]
    Digest(String),
    #[error("the trusted key is neither RSA nor EC on P-256 or P-384")]
    KeyKind,
}

impl TrustedKey {
    /// The key of a certificate, while that is valid.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, is not valid at that time, or is of another kind.
    pub(crate) fn of_certificate(der: &[u8], at: Timestamp) -> Result<Self, Distrust> {
        let believed = believe(der, at)?;
        Ok(Self { kind: believed.kind, octets: believed.public_key })
    }

    /// A bare key, as `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    ///
    /// Where it is no key, or one of another kind.
    pub(crate) fn of_public_key(der: &[u8]) -> Result<Self, Invalid> {
        let (_, key) = SubjectPublicKeyInfo::from_der(der).map_err(|_| Invalid::KeyKind)?;
        let kind = key_kind(&key).ok_or(Invalid::KeyKind)?;
        Ok(Self { kind, octets: key.subject_public_key.data.to_vec() })
    }

    fn verify(&self, algorithm: &str, octets: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let (kind, fixed) =
            signature_by_uri(algorithm).ok_or_else(|| Refusal::Algorithm(algorithm.to_owned()))?;
        let check = |method: &'static dyn VerificationAlgorithm, value: &[u8]| {
            let key = UnparsedPublicKey::new(method, &self.octets);
            key.verify(octets, value).map_err(|_| Refusal::SignatureValue)
        };
        match (algorithm, self.kind) {
            _ if kind == self.kind => check(fixed, value),
            // ring knows these pairs of curve and digest in DER only.
            (ECDSA_SHA256, KeyKind::P384) => check(&ECDSA_P384_SHA256_ASN1, &in_der(value, 48)?),
            (ECDSA_SHA384, KeyKind::P256) => check(&ECDSA_P256_SHA384_ASN1, &in_der(value, 32)?),
            _ => Err(Refusal::KeyMismatch(algorithm.to_owned())),
        }
    }
}

/// Two numbers of that many octets side by side, as a sequence of two integers.
fn in_der(value: &[u8], octets: usize) -> Result<Vec<u8>, Refusal> {
    let Some((r, s)) = value.split_at_checked(octets).filter(|(_, s)| s.len() == octets) else {
        return Err(Refusal::SignatureValue);
    };
    let integer = |number: &[u8]| {
        let digits = number.iter().position(|octet| *octet != 0).map_or(&[0][..], |from| &number[from..]);
        let positive: &[u8] = if digits.first().is_some_and(|octet| octet & 0x80 != 0) { &[0] } else { &[] };
        der(0x02, &[positive, digits].concat())
    };
    Ok(der(0x30, &[integer(r), integer(s)].concat()))
}

/// Checks the one signature of a document; returns what it covers, in words.
///
/// An id is the value of an attribute `Id`, in whatever case and namespace, or of one called `id_attribute`.
///
/// # Errors
///
/// Says what is wrong with it, or not allowed.
pub(crate) fn check(
    bytes: &[u8],
    key: &TrustedKey,
    id_attribute: Option<&str>,
) -> Result<Vec<String>, Invalid> {
    let document = Document::parse(bytes, &Limits::VTN)?;
    let signature = only(&document, Ns::Ds, "Signature")?;
    only(&document, Ns::Ds, "SignedInfo")?;
    let mut c = signature.children()?;
    let signed_info = c.expect(Ns::Ds, "SignedInfo")?;
    let value = c.expect(Ns::Ds, "SignatureValue")?;
    let key_info = c.optional(Ns::Ds, "KeyInfo");
    while c.optional(Ns::Ds, "Object").is_some() {}
    c.end()?;
    // What is in an Object may be anything, the rest is read piece by piece.
    if [Some(signed_info), Some(value), key_info]
        .into_iter()
        .flatten()
        .any(Element::has_comments_or_instructions)
    {
        return Err(Refusal::Comment.into());
    }
    let mut c = signed_info.children()?;
    let method = canonicalization(c.expect(Ns::Ds, "CanonicalizationMethod")?)?;
    let algorithm = c.expect(Ns::Ds, "SignatureMethod")?;
    algorithm.children()?.end()?;
    let references = c.repeated(Ns::Ds, "Reference", Ok)?;
    c.end()?;
    if !(1..=MOST_REFERENCES).contains(&references.len()) {
        return Err(Invalid::References(references.len()));
    }
    let octets = method.of_element(&document, signed_info.id());
    key.verify(&uri(algorithm, "Algorithm")?, &octets, &base64(value)?)?;
    let covered = |reference: Element<'_>| covered(&document, signature, reference, id_attribute);
    references.into_iter().map(covered).collect()
}

/// Checks the digest of a reference.
fn covered(
    document: &Document<'_>,
    signature: Element<'_>,
    reference: Element<'_>,
    id_attribute: Option<&str>,
) -> Result<String, Invalid> {
    let target = uri(reference, "URI")?;
    let apex = match target.strip_prefix('#') {
        None if target.is_empty() => None,
        Some(id) if is_ncname(id) => Some(resolve(document, id, id_attribute)?),
        _ => return Err(Invalid::ReferenceUri(target)),
    };
    let mut c = reference.children()?;
    let (enveloped, method) = match c.optional(Ns::Ds, "Transforms") {
        Some(transforms) => transforms_of(transforms, &target)?,
        None => (false, Canonicalization::DEFAULT),
    };
    let (digest, value) = rest_of_reference(c)?;
    let apex = apex.map(Element::id);
    let octets = match apex {
        _ if enveloped => method.without(document, apex, signature.id()),
        Some(apex) => method.of_element(document, apex),
        None => method.of_document(document),
    };
    if octets.is_empty() {
        return Err(Invalid::Void(target));
    }
    let whole = if target.is_empty() { "the document" } else { &target };
    if ring::digest::digest(digest, &octets).as_ref() != value {
        return Err(Invalid::Digest(whole.to_owned()));
    }
    Ok(if enveloped { format!("{whole} without the signature") } else { whole.to_owned() })
}

/// The one element that carries this id.
fn resolve<'d>(
    document: &'d Document<'d>,
    id: &str,
    id_attribute: Option<&str>,
) -> Result<Element<'d>, Refusal> {
    let is_id = |name: &str| name.eq_ignore_ascii_case("id") || Some(name) == id_attribute;
    let ids = Element::all(document)
        .flat_map(|element| element.attributes().map(move |(name, value)| (element, name, value)));
    let mut found = ids.filter(|(_, name, value)| is_id(name) && *value == id).map(|(element, ..)| element);
    match (found.next(), found.next()) {
        (Some(element), None) => Ok(element),
        (None, _) => Err(Refusal::Dangling(id.to_owned())),
        (Some(_), Some(_)) => Err(Refusal::DuplicateId(id.to_owned())),
    }
}

/// Whether the signature is taken out, and how the rest is written.
fn transforms_of(transforms: Element<'_>, target: &str) -> Result<(bool, Canonicalization), Invalid> {
    let mut c = transforms.children()?;
    let all = c.at_least_one(Ns::Ds, "Transform", Ok)?;
    c.end()?;
    let is_enveloped = |transform: &Element<'_>| transform.attribute(None, "Algorithm") == Some(ENVELOPED);
    let (enveloped, rest) = match all.split_first() {
        Some((first, rest)) if is_enveloped(first) => {
            first.children()?.end()?;
            (true, rest)
        }
        _ => (false, all.as_slice()),
    };
    let method = match rest {
        [] => Canonicalization::DEFAULT,
        // XML Signature 1.1, section 4.4.3.3: a reference inside the document brings no comments along.
        [one] => Canonicalization { comments: false, ..canonicalization(*one)? },
        [first, ..] => {
            canonicalization(*first)?;
            return Err(Invalid::Transforms(target.to_owned()));
        }
    };
    Ok((enveloped, method))
}
