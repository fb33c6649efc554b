//! Reads private keys, the encrypted ones too.

use pkcs8::{EncryptedPrivateKeyInfoRef, Error, SecretDocument, pkcs5};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::openadr::trust::Passphrase;

use super::key::KeyError;

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// How the program openssl marked encrypted keys before PKCS#8.
const TRADITIONAL: &str = "Proc-Type: 4,ENCRYPTED";

/// The private key in a PEM text: PKCS#8, PKCS#1, SEC1, or PKCS#8 that is encrypted with this passphrase.
///
/// # Errors
///
/// Where there is none, or it cannot be decrypted.
pub(crate) fn private_key(
    pem: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<PrivateKeyDer<'static>, KeyError> {
    let text = String::from_utf8_lossy(pem);
    if text.contains(TRADITIONAL) {
        return Err(KeyError::OldEncryption);
    }
    let Some(block) = encrypted_block(&text) else {
        return PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoKey);
    };
    decrypt(block, passphrase.ok_or(KeyError::Encrypted)?)
}

fn encrypted_block(text: &str) -> Option<&str> {
    let from = &text[text.find(BEGIN)?..];
    Some(&from[..from.find(END)? + END.len()])
}

fn decrypt(block: &str, passphrase: &Passphrase) -> Result<PrivateKeyDer<'static>, KeyError> {
    let (_, der) = SecretDocument::from_pem(block).map_err(|_| KeyError::NoKey)?;
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| KeyError::OldEncryption)?;
    if encrypted.encryption_algorithm.pbes2().is_none() {
        return Err(KeyError::OldEncryption);
    }
    let key = encrypted.decrypt(passphrase.bytes()).map_err(|error| {
        let unsupported =
            matches!(error, Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. }));
        // A wrong passphrase may leave something like a padding by chance, but no key before it.
        if unsupported { KeyError::OldEncryption } else { KeyError::WrongPassphrase }
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
