//! Decides whether a certificate belongs to whom we expect.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::openadr::trust::Fingerprint;
use crate::time::Timestamp;

use super::algorithm::KeyKind;

/// By what a signer is known.
///
/// A chain alone is no identity: every VEN of the same authority has one. So a chain always comes with the expected name.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// One of these certificates.
    Pinned(Vec<Fingerprint>),
    /// This certificate; a message need not bring it along, as those of VTNs do that name nothing but their key.
    Known(CertificateDer<'static>),
    /// A certificate under one of these roots, with this name (DNS name or common name).
    Chain {
        /// Certificates of the authorities that sign VTNs.
        roots: Vec<CertificateDer<'static>>,
        /// The expected name.
        name: String,
    },
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("there is no certificate in KeyInfo")]
    NoCertificate,
    #[error("a certificate in KeyInfo cannot be read")]
    Unreadable,
    #[error("certificate {found} is not the one that is pinned, {}", listed(.pinned))]
    NotPinned { found: Fingerprint, pinned: Vec<Fingerprint> },
    #[error("certificate {fingerprint} is valid from {from} to {to} only")]
    NotValidNow { fingerprint: Fingerprint, from: Timestamp, to: Timestamp },
    #[error("certificate {fingerprint} does not lead to a trusted root: {why}")]
    NoChain { fingerprint: Fingerprint, why: String },
    #[error("certificate {fingerprint} is for {names}, not for {expected}")]
    WrongName { fingerprint: Fingerprint, names: String, expected: String },
    #[error("the key of certificate {0} is neither RSA nor EC on P-256 or P-384")]
    KeyKind(Fingerprint),
}

fn listed(pins: &[Fingerprint]) -> String {
    pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// A certificate that is believed.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) fingerprint: Fingerprint,
    pub(super) kind: KeyKind,
    /// As ring wants it: PKCS#1 for RSA, the point for EC.
    pub(super) public_key: Vec<u8>,
}

impl Trust {
    /// Whether a peer is whom we expect who has shown that it has the key of the first of these certificates.
    ///
    /// # Errors
    ///
    /// Says why it is not.
    pub(crate) fn check_peer(&self, certificates: &[Vec<u8>], now: Timestamp) -> Result<(), Distrust> {
        let shown = match self {
            // That somebody passes the pinned certificate along proves nothing.
            Self::Pinned(_) | Self::Known(_) => certificates.get(..1).unwrap_or_default(),
            Self::Chain { .. } => certificates,
        };
        if shown.is_empty() {
            return Err(Distrust::NoCertificate);
        }
        self.choose(shown, now).map(|_| ())
    }

    /// Chooses, among the certificates that came along, the one to believe.
    pub(super) fn choose(&self, certificates: &[Vec<u8>], now: Timestamp) -> Result<Believed, Distrust> {
        let first = match (certificates.first(), self) {
            (Some(first), _) => first,
            (None, Self::Known(known)) => return believe(known, now),
            (None, Self::Pinned(_) | Self::Chain { .. }) => return Err(Distrust::NoCertificate),
        };
        let one_of = |pins: &[Fingerprint]| {
            let pinned = certificates.iter().find(|der| pins.contains(&Fingerprint::of(der)));
            pinned.ok_or_else(|| Distrust::NotPinned { found: Fingerprint::of(first), pinned: pins.to_vec() })
        };
        match self {
            Self::Pinned(pins) => believe(one_of(pins)?, now),
            Self::Known(known) => believe(one_of(&[Fingerprint::of(known)])?, now),
            Self::Chain { roots, name } => {
                let believed = believe(first, now)?;
                check_chain(certificates, roots, now, believed.fingerprint)?;
                check_name(first, name, believed.fingerprint)?;
                Ok(believed)
            }
        }
    }
}

/// Believes a certificate that is known to be the right one, while it is valid.
pub(super) fn believe(der: &[u8], now: Timestamp) -> Result<Believed, Distrust> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Distrust::Unreadable)?;
    let fingerprint = Fingerprint::of(der);
    let (from, to) = validity(&certificate);
    if now < from || now > to {
        return Err(Distrust::NotValidNow { fingerprint, from, to });
    }
    let key = certificate.public_key();
    let kind = key_kind(key).ok_or(Distrust::KeyKind(fingerprint))?;
    Ok(Believed { fingerprint, kind, public_key: key.subject_public_key.data.to_vec() })
}

/// The kind of a public key, where it is one of ours.
pub(super) fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> Option<KeyKind> {
    let algorithm = &key.algorithm;
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return Some(KeyKind::Rsa);
    }
    let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok())?;
    if algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        None
    } else if curve == OID_EC_P256 {
        Some(KeyKind::P256)
    } else if curve == OID_NIST_EC_P384 {
        Some(KeyKind::P384)
    } else {
        None
    }
}

fn check_chain(
    certificates: &[Vec<u8>],
    roots: &[CertificateDer<'static>],
    now: Timestamp,
    fingerprint: Fingerprint,
) -> Result<(), Distrust> {
    let no_chain = |why: webpki::Error| Distrust::NoChain { fingerprint, why: why.to_string() };
    let ders: Vec<CertificateDer<'_>> =
        certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors: Vec<TrustAnchor<'_>> =
        roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
    let (leaf, intermediates) = ders.split_first().ok_or(Distrust::NoCertificate)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(no_chain)?;
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        intermediates,
        time,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .map(|_| ())
    .map_err(no_chain)
}

fn check_name(der: &[u8], expected: &str, fingerprint: Fingerprint) -> Result<(), Distrust> {
    let names = names(der);
    if names.iter().any(|name| name.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    Err(Distrust::WrongName { fingerprint, names: names.join(", "), expected: expected.to_owned() })
}

/// The common name of a certificate.
pub(crate) fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let common_name = certificate.subject().iter_common_name().next()?;
    common_name.as_str().ok().map(str::to_owned)
}

/// From when to when a certificate is valid.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let timestamp = |time: ASN1Time| Timestamp::from_seconds(time.timestamp());
    (timestamp(validity.not_before), timestamp(validity.not_after))
}

/// Whether a certificate names its subject in the modern way.
pub(crate) fn has_alternative_names(der: &[u8]) -> bool {
    let parsed = X509Certificate::from_der(der);
    parsed.is_ok_and(|(_, certificate)| matches!(certificate.subject_alternative_name(), Ok(Some(_))))
}

/// Every DNS name of a certificate, and its common name.
pub(super) fn names(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let mut names: Vec<_> = common_name(der).into_iter().collect();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push((*name).to_owned());
            }
        }
    }
    names
}
