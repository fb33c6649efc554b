//! Lists the algorithms that are accepted; there is no code for any other.

use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, VerificationAlgorithm,
};

pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(super) const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub(super) const ECDSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// A digest, by its name in a signature.
pub(super) fn digest_by_uri(uri: &str) -> Option<&'static digest::Algorithm> {
    match uri {
        SHA256 => Some(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Some(&digest::SHA512),
        _ => None,
    }
}

/// Which kind of key an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
}

/// How a signature is checked, by its name in a signature; an EC signature is r and s, each padded, not DER.
pub(super) fn signature_by_uri(uri: &str) -> Option<(KeyKind, &'static dyn VerificationAlgorithm)> {
    match uri {
        RSA_SHA256 => Some((KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA256)),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => {
            Some((KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA384))
        }
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => {
            Some((KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA512))
        }
        ECDSA_SHA256 => Some((KeyKind::P256, &ECDSA_P256_SHA256_FIXED)),
        ECDSA_SHA384 => Some((KeyKind::P384, &ECDSA_P384_SHA384_FIXED)),
        _ => None,
    }
}
