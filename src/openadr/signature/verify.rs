//! Checks a signature by the fixed places of an OpenADR message.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::UnparsedPublicKey;

use crate::openadr::trust::{Fingerprint, Tolerance};
use crate::openadr::xml::{Canonicalization, Children, Document, Element, Ns, XmlError, is_ncname};
use crate::time::Timestamp;

use super::algorithm::{digest_by_uri, signature_by_uri};
use super::certificate::Trust;
use super::gate::Refusal;
use super::general::ENVELOPED;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Prefixes in the list of an exclusive canonicalisation.
const MOST_PREFIXES: usize = 32;

/// What a good signature covers.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) signer: Fingerprint,
    pub(super) content: Content,
    /// When it was signed, and its nonce; `None` where it says neither, and that is tolerated.
    pub(super) freshness: Option<(Timestamp, String)>,
}

/// The octets whose digest matched.
#[derive(Debug)]
pub(super) enum Content {
    /// Of `oadrSignedObject`.
    Object(Vec<u8>),
    /// Of the document without its signature.
    Document(Vec<u8>),
}

/// Checks the signature of a document; `object` is its `oadrSignedObject`.
pub(super) fn verify(
    document: &Document<'_>,
    signature: Element<'_>,
    object: Element<'_>,
    (trust, tolerance): (&Trust, Tolerance),
    now: Timestamp,
) -> Result<Covered, Refusal> {
    check_structure(document, signature)?;
    let parts = Parts::read(signature, tolerance)?;
    let believed = trust.choose(&parts.certificates, now)?;
    let (kind, algorithm) =
        signature_by_uri(&parts.algorithm).ok_or_else(|| Refusal::Algorithm(parts.algorithm.clone()))?;
    if kind != believed.kind {
        return Err(Refusal::KeyMismatch(parts.algorithm));
    }
    let octets = parts.method.of_element(document, parts.signed_info.id());
    UnparsedPublicKey::new(algorithm, &believed.public_key)
        .verify(&octets, &parts.value)
        .map_err(|_| Refusal::SignatureValue)?;
    let replay_protect = match only(document, Ns::Dsp, "ReplayProtect") {
        Err(Refusal::NotExactlyOne { more: false, .. }) if tolerance.no_replay_protect => None,
        found => Some(found?),
    };
    let (mut content, mut property) = (None, None);
    for reference in &parts.references {
        let Some(id) = &reference.id else {
            let octets = reference.method.without(document, None, signature.id());
            reference.check(&octets)?;
            content = Some(Content::Document(octets));
            continue;
        };
        let target = resolve(document, id)?;
        let octets = reference.method.of_element(document, target.id());
        reference.check(&octets)?;
        let is_property = |protect: Element<'_>| protect.is_within(target) && target.is_within(signature);
        if target.id() == object.id() {
            content = Some(Content::Object(octets));
        } else if replay_protect.is_some_and(is_property) {
            property = Some(octets);
        } else {
            return Err(Refusal::ForeignReference(id.clone()));
        }
    }
    let content = content.ok_or(Refusal::NotCovered("oadrSignedObject"))?;
    let freshness = match property {
        Some(octets) => Some(replay_of(&octets)?),
        None if tolerance.no_replay_protect => None,
        None => return Err(Refusal::NotCovered("ReplayProtect")),
    };
    Ok(Covered { signer: believed.fingerprint, content, freshness })
}

/// One signature, one signed object, no id twice, nothing but elements and texts inside the signature.
fn check_structure(document: &Document<'_>, signature: Element<'_>) -> Result<(), Refusal> {
    for (ns, name) in [(Ns::Ds, "Signature"), (Ns::Ds, "SignedInfo"), (Ns::Oadr, "oadrSignedObject")] {
        only(document, ns, name)?;
    }
    if signature.has_comments_or_instructions() {
        return Err(Refusal::Comment);
    }
    let mut ids: Vec<&str> = Element::all(document).flat_map(Element::ids).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refusal::DuplicateId(pair[0].to_owned())),
        None => Ok(()),
    }
}

/// The only element of that name in the whole document.
pub(super) fn only<'d>(
    document: &'d Document<'d>,
    ns: Ns,
    name: &'static str,
) -> Result<Element<'d>, Refusal> {
    let mut all = Element::all(document).filter(|element| element.is(ns, name));
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (found, _) => Err(Refusal::NotExactlyOne { name, more: found.is_some() }),
    }
}

/// The element that carries this id.
fn resolve<'d>(document: &'d Document<'d>, id: &str) -> Result<Element<'d>, Refusal> {
    let mut all = Element::all(document).filter(|element| element.ids().any(|other| other == id));
    all.next().ok_or_else(|| Refusal::Dangling(id.to_owned()))
}

/// The parts of a `ds:Signature`.
struct Parts<'d> {
    signed_info: Element<'d>,
    method: Canonicalization,
    algorithm: String,
    references: Vec<Reference>,
    value: Vec<u8>,
    certificates: Vec<Vec<u8>>,
}

struct Reference {
    /// `None`: the document without its signature.
    id: Option<String>,
    method: Canonicalization,
    digest: &'static ring::digest::Algorithm,
    value: Vec<u8>,
}

impl<'d> Parts<'d> {
    fn read(signature: Element<'d>, tolerance: Tolerance) -> Result<Self, Refusal> {
        let mut c = signature.children()?;
        let signed_info = c.expect(Ns::Ds, "SignedInfo")?;
        let value = base64(c.expect(Ns::Ds, "SignatureValue")?)?;
        let certificates = match c.optional(Ns::Ds, "KeyInfo") {
            Some(info) => certificates(info)?,
            None => Vec::new(),
        };
        let mut objects = 0;
        while c.optional(Ns::Ds, "Object").is_some() {
            objects += 1;
        }
        if objects == 0 && !tolerance.no_replay_protect {
            return Err(Refusal::NotCovered("ReplayProtect"));
        }
        c.end()?;
        let mut c = signed_info.children()?;
        let method = canonicalization(c.expect(Ns::Ds, "CanonicalizationMethod")?)?;
        let algorithm = c.expect(Ns::Ds, "SignatureMethod")?;
        let name = uri(algorithm, "Algorithm")?;
        // Its parameters could only weaken it, as HMACOutputLength does.
        algorithm.children()?.end()?;
        let mut references = Vec::new();
        while let Some(element) = c.optional(Ns::Ds, "Reference") {
            references.push(Reference::read(element, tolerance)?);
            if references.len() > 2 {
                return Err(Refusal::References(references.len()));
            }
        }
        c.end()?;
        let least = if tolerance.no_replay_protect { 1 } else { 2 };
        if references.len() < least {
            return Err(Refusal::References(references.len()));
        }
        Ok(Self { signed_info, method, algorithm: name, references, value, certificates })
    }
}

impl Reference {
    fn read(element: Element<'_>, tolerance: Tolerance) -> Result<Self, Refusal> {
        let target = uri(element, "URI")?;
        let id = match target.strip_prefix('#') {
            None if target.is_empty() && tolerance.enveloped => None,
            Some(id) if is_ncname(id) => Some(id.to_owned()),
            _ => return Err(Refusal::ReferenceUri(target)),
        };
        let mut c = element.children()?;
        let method = match (c.optional(Ns::Ds, "Transforms"), &id) {
            (Some(transforms), Some(_)) => transforms_of(transforms)?,
            (Some(transforms), None) => after_enveloped(transforms)?,
            (None, Some(_)) => Canonicalization::DEFAULT,
            (None, None) => return Err(Refusal::Transforms(0)),
        };
        // XML Signature 1.1, section 4.4.3.3: what `#id` and `` refer to has no comments, whichever method then writes it.
        let method = Canonicalization { comments: false, ..method };
        let (digest, value) = rest_of_reference(c)?;
        Ok(Self { id, method, digest, value })
    }

    fn check(&self, octets: &[u8]) -> Result<(), Refusal> {
        if ring::digest::digest(self.digest, octets).as_ref() == self.value {
            return Ok(());
        }
        Err(Refusal::Digest(self.id.clone().unwrap_or_default()))
    }
}

/// How a reference is digested, and to what; nothing else follows its transforms.
pub(super) fn rest_of_reference(
    mut c: Children<'_>,
) -> Result<(&'static ring::digest::Algorithm, Vec<u8>), Refusal> {
    let digest_method = c.expect(Ns::Ds, "DigestMethod")?;
    digest_method.children()?.end()?;
    let name = uri(digest_method, "Algorithm")?;
    let digest = digest_by_uri(&name).ok_or(Refusal::Algorithm(name))?;
    let value = base64(c.expect(Ns::Ds, "DigestValue")?)?;
    c.end()?;
    Ok((digest, value))
}

/// One or two canonicalisations, of which the last counts: what comes out of the first is octets again, so they must agree.
fn transforms_of(element: Element<'_>) -> Result<Canonicalization, Refusal> {
    let mut methods = Vec::new();
    let mut c: Children<'_> = element.children()?;
    while let Some(transform) = c.optional(Ns::Ds, "Transform") {
        methods.push(canonicalization(transform)?);
    }
    c.end()?;
    match methods.as_slice() {
        [one] => Ok(one.clone()),
        [one, two] if one == two => Ok(one.clone()),
        _ => Err(Refusal::Transforms(methods.len())),
    }
}

/// The signature taken out, then at most one canonicalisation.
fn after_enveloped(element: Element<'_>) -> Result<Canonicalization, Refusal> {
    let mut c = element.children()?;
    let first = c.expect(Ns::Ds, "Transform")?;
    let name = uri(first, "Algorithm")?;
    if name != ENVELOPED {
        return Err(Refusal::Algorithm(name));
    }
    first.children()?.end()?;
    let method = c.optional(Ns::Ds, "Transform").map(canonicalization).transpose()?;
    c.end()?;
    Ok(method.unwrap_or(Canonicalization::DEFAULT))
}

/// `CanonicalizationMethod` or `Transform`.
pub(super) fn canonicalization(element: Element<'_>) -> Result<Canonicalization, Refusal> {
    let name = uri(element, "Algorithm")?;
    // Where it is another algorithm, that is what is wrong with it, not its parameters.
    if Canonicalization::from_uri(&name, Vec::new()).is_none() {
        return Err(Refusal::Algorithm(name));
    }
    let mut prefixes = Vec::new();
    let mut c = element.children()?;
    if let Some(list) = c.next_if(|element| element.name().1 == "InclusiveNamespaces") {
        let list = list.attribute(None, "PrefixList").unwrap_or_default();
        prefixes.extend(list.split_ascii_whitespace().map(str::to_owned));
    }
    c.end()?;
    if prefixes.len() > MOST_PREFIXES {
        return Err(Refusal::Algorithm(name));
    }
    Canonicalization::from_uri(&name, prefixes).ok_or(Refusal::Algorithm(name))
}

/// Every certificate in a `ds:KeyInfo`; whatever else is in it is a hint that is not needed.
fn certificates(info: Element<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
    let data = info.elements().filter(|element| element.is(Ns::Ds, "X509Data"));
    let all = data.flat_map(Element::elements).filter(|element| element.is(Ns::Ds, "X509Certificate"));
    all.map(base64).collect()
}

pub(super) fn uri(element: Element<'_>, name: &str) -> Result<String, Refusal> {
    let missing = || Refusal::Unreadable(element.unexpected(&format!("an attribute {name}"), "none"));
    element.attribute(None, name).map(str::to_owned).ok_or_else(missing)
}

pub(super) fn base64(element: Element<'_>) -> Result<Vec<u8>, Refusal> {
    let text: String = element.text()?.split_ascii_whitespace().collect();
    BASE64.decode(text).map_err(|_| Refusal::Base64(element.name().1.to_owned()))
}

/// Timestamp and nonce, from the octets that were digested.
fn replay_of(octets: &[u8]) -> Result<(Timestamp, String), Refusal> {
    let document = Document::parse(octets, &crate::openadr::xml::Limits::VTN)?;
    let protect = only(&document, Ns::Dsp, "ReplayProtect")?;
    let read = || -> Result<(Timestamp, String), XmlError> {
        let mut c = protect.children()?;
        let timestamp = c.expect(Ns::Dsp, "timestamp")?;
        let text = timestamp.token()?;
        // A time without zone means another instant to each of us.
        if !text.split_once('T').is_some_and(|(_, time)| time.contains(['Z', '+', '-'])) {
            return Err(timestamp.unexpected("a time with its zone", &text));
        }
        let nonce = c.expect(Ns::Dsp, "nonce")?;
        c.end()?;
        let (at, text) = (timestamp.value()?, nonce.text()?.into_owned());
        if (1..=128).contains(&text.chars().count()) {
            Ok((at, text))
        } else {
            Err(nonce.unexpected("1 to 128 characters", &format!("{}", text.chars().count())))
        }
    };
    Ok(read()?)
}
