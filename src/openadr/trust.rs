//! Marks what was checked, as a type.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// The last ten bytes of the SHA-256 of a certificate (section 10.5.1), written `AA:BB:...`.
///
/// The other side learns it out of band; one venID or VTN, one fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint([u8; 10]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> Self {
        let mut last = [0; 10];
        last.copy_from_slice(&digest(&SHA256, certificate).as_ref()[22..]);
        Self(last)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&parts.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What some VTNs sign otherwise than the profile says, taken only where the operator wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tolerance {
    /// A signature of the whole document without itself (`URI=""`, enveloped), as avob makes it.
    pub(crate) enveloped: bool,
    /// No `ReplayProtect`, so that repetitions cannot be told.
    pub(crate) no_replay_protect: bool,
}

impl Tolerance {
    /// What section 10.6 says, and nothing else.
    pub(crate) const NONE: Self = Self { enveloped: false, no_replay_protect: false };
}

/// The text is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a fingerprint of 10 bytes like AA:BB:CC:DD:EE:FF:00:11:22:33")]
pub(crate) struct BadFingerprint(String);

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    /// Reads either case, with or without colons and blanks, and a whole SHA-256 too, of which the end counts.
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let bad = || BadFingerprint(text.chars().take(100).collect());
        let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b' ' | b'-')).collect();
        let digits = match digits.len() {
            20 => digits.as_slice(),
            64 => &digits[44..],
            _ => return Err(bad()),
        };
        let mut bytes = [0; 10];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            if pair.starts_with('+') {
                return Err(bad());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// What opens a private key; nothing prints it, and it is wiped when it is dropped.
#[derive(Clone)]
pub(crate) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    pub(in crate::openadr) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Who stands behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The certificate that signed it; `None` where the policy trusts the TLS connection alone.
    pub(crate) signer: Option<Fingerprint>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signer {
            Some(signer) => write!(f, "believed, signed by {signer}"),
            None => f.write_str("believed, unsigned"),
        }
    }
}

/// Something that the policy lets in; only the signature room can make one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verified<T> {
    content: T,
    peer: Peer,
}

impl<T> Verified<T> {
    pub(in crate::openadr) const fn new(content: T, peer: Peer) -> Self {
        Self { content, peer }
    }

    /// For tests of what happens to a message after it was let in.
    #[cfg(test)]
    pub(crate) const fn for_test(content: T) -> Self {
        Self { content, peer: Peer { signer: None } }
    }

    /// Who stands behind it.
    pub(crate) const fn peer(&self) -> Peer {
        self.peer
    }

    /// What was let in.
    pub(crate) const fn content(&self) -> &T {
        &self.content
    }

    /// What was checked.
    pub(crate) fn into_content(self) -> T {
        self.content
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn fingerprints_are_read_in_every_notation() {
        let expected = "2E:55:12:81:B9:EE:9C:46:72:1D";
        let whole = "3F69566E2D7D00112233445566778899AABBCCDDEEFF2E551281B9EE9C46721D";
        for text in [expected, "2e551281b9ee9c46721d", "2E 55 12 81 B9 EE 9C 46 72 1D", whole] {
            assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "2E:55", "GB:55:12:81:B9:EE:9C:46:72:1D", "+E:55:12:81:B9:EE:9C:46:72:1D"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
