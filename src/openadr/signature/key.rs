//! Holds the private key that signs, read once.

use ring::rand::SecureRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::{ECDSA_SHA256, RSA_SHA256};
use super::encrypted::private_key;
use crate::openadr::trust::Fingerprint;

/// A private key and the certificate that belongs to it.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: Pair,
    certificate: CertificateDer<'static>,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// Why a key cannot sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("there is no certificate in it; expected a block -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("there is no private key in it; expected a block -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error(
        "the private key is encrypted; say where its passphrase is, as passphrase = \"${{env:NAME}}\" or \"${{file:/path}}\", \
         or decrypt it with: openssl pkcs8 -topk8 -nocrypt -in KEY -out NEWKEY"
    )]
    Encrypted,
    #[error(
        "the private key is encrypted in an old way that is not read; convert it with: openssl pkcs8 -topk8 -v2 aes256 \
         -in KEY -out NEWKEY"
    )]
    OldEncryption,
    #[error("the private key cannot be decrypted with this passphrase")]
    WrongPassphrase,
    #[error("the private key is neither RSA of 2048 to 4096 bits nor EC on P-256: {0}")]
    Unusable(String),
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl SigningKey {
    /// From PEM: a key as PKCS#8, PKCS#1 or SEC1, not encrypted, and its certificate.
    ///
    /// # Errors
    ///
    /// Where either cannot be read, or they do not belong together.
    pub(crate) fn from_pem(
        key: &[u8],
        certificate: &[u8],
        dice: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        Self::new(&private_key(key, None)?, certificate, dice)
    }

    /// From a key and its certificate in PEM, which may be followed by others of its chain.
    ///
    /// # Errors
    ///
    /// Where either cannot be read, or they do not belong together.
    pub(crate) fn new(
        key: &PrivateKeyDer<'_>,
        certificate: &[u8],
        dice: &dyn SecureRandom,
    ) -> Result<Self, KeyError> {
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| KeyError::NoCertificate)?;
        let pair = Pair::read(key, dice)?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| KeyError::NoCertificate)?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key() {
            return Err(KeyError::Mismatch);
        }
        Ok(Self { pair, certificate })
    }

    /// The certificate in DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// How the other side knows this key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The name of the algorithm that this key signs with.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => RSA_SHA256,
            Pair::P256(_) => ECDSA_SHA256,
        }
    }

    /// The signature of a message; `None` where the dice fail.
    pub(super) fn sign(&self, message: &[u8], dice: &dyn SecureRandom) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, dice, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::P256(pair) => pair.sign(dice, message).ok().map(|signature| signature.as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn read(key: &PrivateKeyDer<'_>, dice: &dyn SecureRandom) -> Result<Self, KeyError> {
        let unusable = |why: ring::error::KeyRejected| KeyError::Unusable(why.to_string());
        let ec = |pkcs8: &[u8]| {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, dice);
            pair.map(|pair| Self::P256(Box::new(pair)))
        };
        match key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .map(|pair| Self::Rsa(Box::new(pair)))
                .map_err(unusable),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                RsaKeyPair::from_pkcs8(der)
                    .map(|pair| Self::Rsa(Box::new(pair)))
                    .or_else(|_| ec(der))
                    .map_err(unusable)
            }
            PrivateKeyDer::Sec1(der) => ec(&p256_as_pkcs8(der.secret_sec1_der())).map_err(unusable),
            _ => Err(KeyError::NoKey),
        }
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) => pair.public_key().as_ref(),
        }
    }
}

/// Wraps a SEC1 key of P-256 in PKCS#8, the form that ring reads: version 0, ecPublicKey on prime256v1, the key as octets.
fn p256_as_pkcs8(sec1: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
        0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
    ];
    let key = der(0x04, sec1);
    der(0x30, &[HEAD, &key].concat())
}

/// A value of DER with its tag and length.
pub(super) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(u8::MAX));
    }
    out.extend_from_slice(digits);
    out.extend_from_slice(content);
    out
}
