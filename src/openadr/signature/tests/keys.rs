//! Makes keys and certificates for tests.

use std::process::Command;
use std::sync::OnceLock;

use ring::rand::SystemRandom;

use crate::openadr::signature::{SigningKey, private_key};
use crate::openadr::trust::Passphrase;
use crate::test_support::peer;

/// The system's random numbers.
#[expect(clippy::disallowed_methods, reason = "tests may roll dice")]
pub(super) fn dice() -> SystemRandom {
    SystemRandom::new()
}

/// A key with its certificate.
pub(super) struct Identity {
    pub(super) key: SigningKey,
    pub(super) key_pem: String,
    pub(super) certificate_pem: String,
}

impl Identity {
    fn new(key_pem: String, certificate_pem: String) -> Self {
        let key = SigningKey::from_pem(key_pem.as_bytes(), certificate_pem.as_bytes(), &dice()).unwrap();
        Self { key, key_pem, certificate_pem }
    }

    /// A self-signed certificate on P-256.
    pub(super) fn p256() -> &'static Self {
        static MADE: OnceLock<Identity> = OnceLock::new();
        MADE.get_or_init(|| {
            Self::certified(&rcgen::CertificateParams::new(vec!["vtn.example.org".into()]).unwrap())
        })
    }

    /// A self-signed certificate with these parameters.
    pub(super) fn certified(params: &rcgen::CertificateParams) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self::new(key.serialize_pem(), certificate.pem())
    }

    /// A self-signed certificate of RSA-2048; ring makes no RSA keys, so the openssl program does.
    pub(super) fn rsa() -> &'static Self {
        static MADE: OnceLock<Identity> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
            let openssl = peer("openssl").expect("openssl is on every machine that builds this");
            let made = Command::new(openssl)
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "9999",
                    "-subj",
                    "/CN=vtn-rsa",
                ])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            Self::new(std::fs::read_to_string(key).unwrap(), std::fs::read_to_string(certificate).unwrap())
        })
    }
}

#[test]
fn keys_of_every_form_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (identity, form) in [(Identity::p256(), "ec"), (Identity::rsa(), "rsa")] {
        let pkcs8 = folder.path().join("key.pem");
        std::fs::write(&pkcs8, &identity.key_pem).unwrap();
        let Some(openssl) = peer("openssl") else { return };
        let run =
            |args: &[&str]| Command::new(&openssl).args(args).arg("-in").arg(&pkcs8).output().unwrap().stdout;
        let traditional = run(&[form, if form == "rsa" { "-traditional" } else { "-no_public" }]);
        let traditional = if form == "ec" { run(&["ec"]) } else { traditional };
        let text = String::from_utf8_lossy(&traditional).into_owned();
        assert!(text.contains("RSA PRIVATE KEY") || text.contains("EC PRIVATE KEY"), "{text}");
        let certificate = identity.certificate_pem.as_bytes();
        assert!(SigningKey::from_pem(&traditional, certificate, &dice()).is_ok(), "{text}");
        let encrypted = run(&["pkcs8", "-topk8", "-passout", "pass:secret"]);
        let error = SigningKey::from_pem(&encrypted, certificate, &dice()).unwrap_err().to_string();
        assert!(error.contains("${env:NAME}") && error.contains("openssl pkcs8"), "{error}");
    }
    let (ec, rsa) = (Identity::p256(), Identity::rsa());
    let error = |key: &str, certificate: &str| {
        SigningKey::from_pem(key.as_bytes(), certificate.as_bytes(), &dice()).unwrap_err().to_string()
    };
    assert!(error(&ec.key_pem, &rsa.certificate_pem).contains("does not belong"));
    assert!(error("nothing", &rsa.certificate_pem).contains("no private key"));
    assert!(error(&ec.key_pem, "nothing").contains("no certificate"));
}

#[test]
fn rule_68_our_keys_are_rsa_of_2048_bits_or_more_or_on_p_256() {
    let Some(openssl) = peer("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    for (kind, works) in [
        ("rsa:2048", true),
        ("rsa:1024", false),
        ("ec -pkeyopt ec_paramgen_curve:P-256", true),
        ("ec -pkeyopt ec_paramgen_curve:P-384", false),
    ] {
        let mut command = Command::new(&openssl);
        command.args("req -x509 -nodes -sha256 -days 9 -subj /CN=ven -newkey".split(' '));
        command.args(kind.split(' ')).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let (key, certificate) = (std::fs::read(&key).unwrap(), std::fs::read(&certificate).unwrap());
        let read = SigningKey::from_pem(&key, &certificate, &dice());
        assert_eq!(read.is_ok(), works, "{kind}: {read:?}");
        if let Err(error) = read {
            assert!(
                error.to_string().contains("neither RSA of 2048 to 4096 bits nor EC on P-256"),
                "{error}"
            );
        }
    }
}

/// Every way in which the openssl program encrypts keys, with the ones that it has given up.
#[test]
fn encrypted_keys_are_read_or_the_command_that_converts_them_is_named() {
    let Some(openssl) = peer("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let passphrase = |text: &str| Passphrase::new(text.to_owned().into());
    for (identity, form) in [(Identity::p256(), "ec"), (Identity::rsa(), "rsa")] {
        let plain = folder.path().join("key.pem");
        std::fs::write(&plain, &identity.key_pem).unwrap();
        let encrypt = |args: &str| {
            let args = args.split(' ').chain(["-passout", "pass:s\u{fc}\u{df} 1", "-in"]);
            let made = Command::new(&openssl).args(args).arg(&plain).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            made.stdout
        };
        for args in [
            "pkcs8 -topk8",
            "pkcs8 -topk8 -v2 aes128",
            "pkcs8 -topk8 -v2 des3",
            "pkcs8 -topk8 -v2 aes256 -v2prf hmacWithSHA1",
            "pkcs8 -topk8 -scrypt",
        ] {
            let pem = encrypt(args);
            let read = |text: &str| private_key(&pem, Some(&passphrase(text)));
            let key = read("s\u{fc}\u{df} 1").unwrap_or_else(|error| panic!("{args}: {error}"));
            assert!(SigningKey::new(&key, identity.certificate_pem.as_bytes(), &dice()).is_ok(), "{args}");
            let error = read("wrong").unwrap_err().to_string();
            assert!(error.contains("with this passphrase"), "{args}: {error}");
            let error = private_key(&pem, None).unwrap_err().to_string();
            assert!(error.contains("${file:/path}"), "{args}: {error}");
        }
        for args in [
            "pkcs8 -topk8 -v1 PBE-SHA1-3DES",
            &format!("{form} -aes128 {}", if form == "rsa" { "-traditional" } else { "-outform PEM" }),
        ] {
            let error =
                private_key(&encrypt(args), Some(&passphrase("s\u{fc}\u{df} 1"))).unwrap_err().to_string();
            assert!(error.contains("openssl pkcs8 -topk8 -v2"), "{args}: {error}");
        }
    }
    assert_eq!(format!("{:?}", passphrase("secret")), "Passphrase(..)");
}
