//! Keys of others in the place of the key that is trusted.

use rustls_pki_types::CertificateDer;

use super::{good, part, refused, resigned};
use crate::openadr::signature::tests::keys::{Identity, dice};
use crate::openadr::signature::tests::{WINDOW, gate, now, poll, signed};
use crate::openadr::signature::{Gate, Policy, SigningKey, Trust, sign};
use crate::openadr::xml::Limits;
use crate::time::Timestamp;

/// Another key whose certificate bears the same names.
fn impostor() -> Identity {
    Identity::certified(&rcgen::CertificateParams::new(vec!["vtn.example.org".into()]).unwrap())
}

fn certificate(text: &str) -> &str {
    part(text, "<ds:X509Certificate>", "</ds:X509Certificate>")
}

#[test]
fn a_self_signed_certificate_with_the_same_subject_is_refused() {
    refused(&signed(&poll(), &impostor()), "is not the one that is pinned");
}

/// The trusted certificate stands there, before or behind the attacker's, whose signature it is.
#[test]
fn the_trusted_certificate_beside_the_attackers_does_not_vouch_for_it() {
    let (good, theirs) = (good(), signed(&poll(), &impostor()));
    let (own, foreign) = (certificate(&good), certificate(&theirs));
    for both in [
        format!("{own}{foreign}"),
        format!("{foreign}{own}"),
        format!("{foreign}</ds:X509Data><ds:X509Data>{own}"),
    ] {
        refused(&theirs.replace(foreign, &both), "signature value does not match");
    }
}

#[test]
fn the_attackers_key_value_beside_the_certificate_is_passed_over() {
    let attacker = impostor();
    let good = good();
    let value = "<ds:KeyInfo><ds:KeyValue><ECKeyValue xmlns=\"http://www.w3.org/2009/xmldsig11#\">\
                 <NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/><PublicKey>BAAA</PublicKey></ECKeyValue></ds:KeyValue>";
    let text = good.replace("ven-01", "evil").replace("<ds:KeyInfo>", value);
    refused(&resigned(&text, &attacker), "signature value does not match");
}

#[test]
fn a_retrieval_method_is_not_followed() {
    let good = good();
    let info = part(&good, "<ds:KeyInfo>", "</ds:KeyInfo>");
    let retrieval = "<ds:KeyInfo><ds:RetrievalMethod URI=\"http://evil.example.org/key\" \
                     Type=\"http://www.w3.org/2000/09/xmldsig#X509Data\"/></ds:KeyInfo>";
    refused(&good.replace(info, retrieval), "there is no certificate");
}

#[test]
fn only_the_expected_certificate_is_believed() {
    let ours = Identity::p256();
    let foreign =
        Identity::certified(&rcgen::CertificateParams::new(vec!["vtn.example.org".into()]).unwrap());
    refused(&signed(&poll(), &foreign), "is not the one that is pinned");
    // The foreign signature under our certificate.
    let certificate = |text: &str| part(text, "<ds:X509Certificate>", "</ds:X509Certificate>").to_owned();
    let (theirs, good) = (signed(&poll(), &foreign), signed(&poll(), ours));
    refused(&theirs.replace(&certificate(&theirs), &certificate(&good)), "signature value does not match");
    refused(&good.replace(part(&good, "<ds:KeyInfo>", "</ds:KeyInfo>"), ""), "there is no certificate");
    let key_value = "<ds:KeyInfo><ds:KeyValue/></ds:KeyInfo>";
    refused(
        &good.replace(part(&good, "<ds:KeyInfo>", "</ds:KeyInfo>"), key_value),
        "there is no certificate",
    );
    refused(
        &good.replace(&certificate(&good), "<ds:X509Certificate>AAAA</ds:X509Certificate>"),
        "is not the one that is pinned",
    );
}

/// Some VTNs name nothing but their key; then the certificate itself must be known, and its key alone counts.
#[test]
fn where_the_certificate_is_known_a_message_need_not_bring_it_along() {
    let (ours, attacker) = (Identity::p256(), impostor());
    let known = CertificateDer::from(ours.key.certificate().to_vec());
    let open = |text: &str| {
        let mut gate = Gate::new(Policy::Require(Trust::Known(known.clone())), WINDOW, Limits::VEN);
        gate.open(text.as_bytes(), now()).map(|_| ()).map_err(|refusal| refusal.to_string())
    };
    let value = "<ds:KeyInfo><ds:KeyValue><ECKeyValue xmlns=\"http://www.w3.org/2009/xmldsig11#\">\
                 <NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/><PublicKey>BAAA</PublicKey></ECKeyValue></ds:KeyValue></ds:KeyInfo>";
    let key_only = |text: &str| text.replace(part(text, "<ds:KeyInfo>", "</ds:KeyInfo>"), value);
    let (good, theirs) = (signed(&poll(), ours), signed(&poll(), &attacker));
    assert_eq!(open(&good), Ok(()));
    assert_eq!(open(&key_only(&good)), Ok(()));
    assert_eq!(open(&key_only(&theirs)), Err("signature value does not match".into()));
    assert!(open(&theirs).unwrap_err().contains("is not the one that is pinned"));
    let gate = Gate::new(Policy::Require(Trust::Known(known.clone())), WINDOW, Limits::VEN);
    let expired = Timestamp::EPOCH;
    assert!(
        { gate }.open(key_only(&good).as_bytes(), expired).unwrap_err().to_string().contains("is valid from")
    );
}

#[test]
fn a_certificate_is_believed_only_while_it_is_valid() {
    let mut params = rcgen::CertificateParams::new(vec!["vtn.example.org".into()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2029, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let expired = Identity::certified(&params);
    let refusal = gate(&expired).open(signed(&poll(), &expired).as_bytes(), now()).unwrap_err().to_string();
    assert!(refusal.contains("is valid from 2029-01-01T00:00:00Z to 2030-01-01T00:00:00Z only"), "{refusal}");
}

/// A chain alone is no identity: another certificate of the same authority is refused by its name.
#[test]
fn a_chain_is_believed_with_the_expected_name_only() {
    let authority_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &authority_key);
    let leaf = |name: &str| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &issuer).unwrap();
        let (key_pem, certificate_pem) = (key.serialize_pem(), certificate.pem());
        SigningKey::from_pem(key_pem.as_bytes(), certificate_pem.as_bytes(), &dice()).unwrap()
    };
    let open = |key: &SigningKey| {
        let roots = vec![root.der().clone()];
        let trust = Trust::Chain { roots, name: "VTN.example.org".into() };
        let text = sign(&poll(), key, now(), &dice()).unwrap();
        let opened = Gate::new(Policy::Require(trust), WINDOW, Limits::VEN).open(text.as_bytes(), now());
        opened.map(|_| ()).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(open(&leaf("vtn.example.org")), Ok(()));
    assert!(open(&leaf("ven-7.example.org")).unwrap_err().contains("is for"));
    assert!(open(&Identity::p256().key).unwrap_err().contains("does not lead to a trusted root"));
}
