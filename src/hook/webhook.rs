//! Signs messages as Standard Webhooks 1.0.0 has it, so that any of its libraries can check them.
//!
//! Signed is `id.timestamp.body`: by HMAC-SHA256 with a secret `whsec_…` (`v1`), by Ed25519 with a key `whsk_…` (`v1a`). Several secrets
//! give several signatures, of which one is enough for the receiver; that is how a secret is changed without a gap.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use crate::time::Timestamp;

const SECRET: &str = "whsec_";
const PRIVATE_KEY: &str = "whsk_";
/// Octets of a secret: 192 to 512 bits.
const SECRET_SIZE: std::ops::RangeInclusive<usize> = 24..=64;
/// Octets of a private key of Ed25519; some write the public key behind it.
const SEED_SIZE: usize = 32;

/// Secrets are written with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret cannot be used; never with the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSecret {
    #[error("expected whsec_ or whsk_ and base64 after it")]
    Prefix,
    #[error("what follows {0} is not base64")]
    Base64(&'static str),
    #[error(
        "a secret whsec_ has 24 to 64 octets, found {0}; make one by: echo whsec_$(openssl rand -base64 32)"
    )]
    SecretSize(usize),
    #[error("a key whsk_ is an Ed25519 key of 32 octets, or of 64 with its public key, found {0}")]
    KeySize(usize),
    #[error("the key whsk_ and the public key behind it do not belong together")]
    KeyMismatch,
}

enum Key {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    fn read(secret: &str) -> Result<Self, BadSecret> {
        if let Some(text) = secret.strip_prefix(SECRET) {
            let octets = decoded(text, SECRET)?;
            let fits = SECRET_SIZE.contains(&octets.len());
            let key = || Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &octets));
            return fits.then(key).ok_or(BadSecret::SecretSize(octets.len()));
        }
        let text = secret.strip_prefix(PRIVATE_KEY).ok_or(BadSecret::Prefix)?;
        let octets = decoded(text, PRIVATE_KEY)?;
        let pair = match octets.split_at_checked(SEED_SIZE) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) if public.len() == SEED_SIZE => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            _ => return Err(BadSecret::KeySize(octets.len())),
        };
        pair.map(Self::Ed25519).map_err(|_| BadSecret::KeyMismatch)
    }

    fn sign(&self, content: &[u8]) -> String {
        match self {
            Self::Hmac(key) => format!("v1,{}", BASE64.encode(hmac::sign(key, content))),
            Self::Ed25519(pair) => format!("v1a,{}", BASE64.encode(pair.sign(content))),
        }
    }
}

fn decoded(text: &str, prefix: &'static str) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| BadSecret::Base64(prefix))
}

/// Signs with one secret or several.
pub(crate) struct Signer {
    keys: Vec<Key>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer with {} secrets", self.keys.len())
    }
}

/// The headers of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// `webhook-timestamp`: whole seconds since 1970, of this try.
    pub(crate) timestamp: String,
    /// `webhook-signature`: one for each secret, with spaces between.
    pub(crate) signature: String,
}

impl Signer {
    /// With these secrets.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the first that cannot be used.
    pub(crate) fn new(secrets: &[String]) -> Result<Self, BadSecret> {
        let keys = secrets.iter().map(|secret| Key::read(secret)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// For the message of that id, sent at that moment.
    pub(crate) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Signed {
        let timestamp = at.seconds().to_string();
        let content = content(id, &timestamp, body);
        let all: Vec<String> = self.keys.iter().map(|key| key.sign(&content)).collect();
        Signed { timestamp, signature: all.join(" ") }
    }

    /// What receivers of `v1a` have to know: `whpk_…`, one for each private key.
    #[cfg(test)]
    pub(crate) fn public_keys(&self) -> Vec<String> {
        let public = |key: &Key| match key {
            Key::Hmac(_) => None,
            Key::Ed25519(pair) => {
                Some(format!("whpk_{}", BASE64.encode(ring::signature::KeyPair::public_key(pair))))
            }
        };
        self.keys.iter().filter_map(public).collect()
    }
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// Checks what a [`Signer`] has signed, as a receiver does.
#[cfg(test)]
pub(crate) mod receiver {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::time::Span;

    /// How old a message may be, or how far ahead, as in the libraries of Standard Webhooks.
    const TOLERANCE: Span = Span::from_seconds(300);

    /// Whether one of the signatures is by `key` (`whsec_…` or `whpk_…`), and the message no older than it may be.
    pub(crate) fn believes(key: &str, id: &str, signed: &Signed, body: &[u8], now: Timestamp) -> bool {
        let Ok(seconds) = signed.timestamp.parse().map(Timestamp::from_seconds) else { return false };
        if (now - seconds).abs() > TOLERANCE {
            return false;
        }
        let content = content(id, &signed.timestamp, body);
        signed.signature.split(' ').filter_map(|one| one.split_once(',')).any(|(version, text)| {
            let Ok(signature) = BASE64.decode(text) else { return false };
            match (version, key.split_once('_')) {
                ("v1", Some(("whsec", secret))) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(secret).unwrap());
                    hmac::verify(&key, &content, &signature).is_ok()
                }
                ("v1a", Some(("whpk", public))) => {
                    let key = UnparsedPublicKey::new(&ED25519, BASE64.decode(public).unwrap());
                    key.verify(&content, &signature).is_ok()
                }
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::receiver::believes;
    use super::*;
    use crate::test_support::{peer, skip};
    use crate::time::Span;

    /// Of the test vectors in the reference libraries of Standard Webhooks (`libraries/go`).
    const VECTOR_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const VECTOR_KEY: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const VECTOR_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const VECTOR_TIME: Timestamp = Timestamp::from_seconds(1_614_265_330);
    const VECTOR_BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn signer(secrets: &[&str]) -> Signer {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Signer::new(&secrets).unwrap()
    }

    #[test]
    fn the_vectors_of_standard_webhooks_are_met() {
        let v1 = signer(&[VECTOR_SECRET]).sign(VECTOR_ID, VECTOR_TIME, VECTOR_BODY);
        assert_eq!(v1.timestamp, "1614265330");
        assert_eq!(v1.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let v1a = signer(&[VECTOR_KEY]).sign(VECTOR_ID, VECTOR_TIME, VECTOR_BODY);
        let expected =
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";
        assert_eq!(v1a.signature, expected);
    }

    #[test]
    fn several_secrets_give_several_signatures_and_one_is_enough() {
        let old = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let signer = signer(&[VECTOR_SECRET, old, VECTOR_KEY]);
        let signed = signer.sign("0192", VECTOR_TIME, b"{}");
        let versions: Vec<_> =
            signed.signature.split(' ').map(|one| one.split_once(',').unwrap().0).collect();
        assert_eq!(versions, ["v1", "v1", "v1a"]);
        let public = signer.public_keys();
        assert_eq!(public.len(), 1);
        for key in [VECTOR_SECRET, old, &public[0]] {
            assert!(believes(key, "0192", &signed, b"{}", VECTOR_TIME + Span::MINUTE * 5), "{key}");
            assert!(!believes(key, "0193", &signed, b"{}", VECTOR_TIME), "another id");
            assert!(!believes(key, "0192", &signed, b"{ }", VECTOR_TIME), "another body");
            assert!(!believes(key, "0192", &signed, b"{}", VECTOR_TIME + Span::MINUTE * 6), "too old");
            let later = Signed { timestamp: "1614265331".to_owned(), ..signed.clone() };
            assert!(!believes(key, "0192", &later, b"{}", VECTOR_TIME), "another time");
        }
        let other = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
        assert!(!believes(other, "0192", &signed, b"{}", VECTOR_TIME));
    }

    #[test]
    fn secrets_are_read_with_padding_and_without_and_keys_with_their_public_key_too() {
        let pair = VECTOR_KEY.trim_end_matches('=');
        let same = signer(&[VECTOR_KEY, pair]).sign("1", VECTOR_TIME, b"");
        let (one, other) = same.signature.split_once(' ').unwrap();
        assert_eq!(one, other);
        let seed = BASE64.decode(VECTOR_KEY.strip_prefix(PRIVATE_KEY).unwrap()).unwrap();
        let public = &signer(&[VECTOR_KEY]).public_keys()[0];
        let public = BASE64.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let long = format!("whsk_{}", BASE64.encode([seed, public].concat()));
        assert_eq!(signer(&[&long]).sign("1", VECTOR_TIME, b"").signature, one);
    }

    #[test]
    fn bad_secrets_are_named_by_what_is_wrong_and_never_shown() {
        let b64 = |octets: usize| BASE64.encode(vec![0x5A; octets]);
        for (secret, error) in [
            (String::new(), BadSecret::Prefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(), BadSecret::Prefix),
            ("${env:SECRET}".to_owned(), BadSecret::Prefix),
            ("whsec_not base64".to_owned(), BadSecret::Base64("whsec_")),
            (format!("whsec_{}", b64(23)), BadSecret::SecretSize(23)),
            (format!("whsec_{}", b64(65)), BadSecret::SecretSize(65)),
            ("whsec_".to_owned(), BadSecret::SecretSize(0)),
            ("whsk_?".to_owned(), BadSecret::Base64("whsk_")),
            (format!("whsk_{}", b64(31)), BadSecret::KeySize(31)),
            (format!("whsk_{}", b64(33)), BadSecret::KeySize(33)),
            (format!("whsk_{}", b64(64)), BadSecret::KeyMismatch),
        ] {
            let found = Signer::new(std::slice::from_ref(&secret)).unwrap_err();
            assert_eq!(found, error, "{secret}");
            assert!(!found.to_string().contains("Wlpa"), "{found}");
        }
        let shown = format!("{:?}", signer(&[VECTOR_SECRET]));
        assert_eq!(shown, "Signer with 1 secrets");
    }

    /// What the reference library in Python says of our signatures; its clock is put to the moment of the message.
    const CHECK: &str = r"
import sys, datetime, standardwebhooks.webhooks as w
at = int(sys.argv[3])
class Then(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(at, tz)
w.datetime = Then
headers = {'webhook-id': sys.argv[2], 'webhook-timestamp': sys.argv[3], 'webhook-signature': sys.argv[4]}
w.Webhook(sys.argv[1]).verify(sys.argv[5], headers)
print('believed')
";

    fn python_believes(python: &std::path::Path, id: &str, signed: &Signed, body: &str) -> bool {
        let arguments = [VECTOR_SECRET, id, &signed.timestamp, &signed.signature, body];
        let done = Command::new(python).args(["-c", CHECK]).args(arguments).output().unwrap();
        done.status.success() && done.stdout.starts_with(b"believed")
    }

    #[test]
    fn the_library_standardwebhooks_of_python_believes_us() {
        let Some(python) = peer("python3") else { return };
        let has_it = Command::new(&python).args(["-c", "import standardwebhooks"]).output().unwrap();
        if !has_it.status.success() {
            return skip("the Python package standardwebhooks");
        }
        let (id, body) = ("01980000-0000-7000-8000-000000000001", r#"{"text":"ünï \" \u0000 💡"}"#);
        let signer = signer(&["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", VECTOR_SECRET, VECTOR_KEY]);
        let signed = signer.sign(id, Timestamp::from_seconds(1_900_000_000), body.as_bytes());
        assert!(python_believes(&python, id, &signed, body));
        assert!(!python_believes(&python, id, &signed, r#"{"text":"other"}"#));
        assert!(!python_believes(&python, "01980000-0000-7000-8000-000000000002", &signed, body));
    }
}
