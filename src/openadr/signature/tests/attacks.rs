//! Forged, moved, doubled and old messages: each is refused, and for the right reason.

use super::keys::{Identity, dice};
use super::{WINDOW, gate, now, poll, signed};
use crate::openadr::message::{Payload, Poll};
use crate::openadr::signature::{Gate, Policy, Trust, sign};
use crate::openadr::xml::{Limits, encode};
use crate::time::Span;

/// An object that nobody signed.
fn evil(id: &str) -> String {
    let payload: Payload = Poll { ven_id: "evil".into() }.into();
    let text = encode(&payload).signed("");
    let object =
        &text[text.find("<oadr:oadrSignedObject").unwrap()..text.find("</oadr:oadrPayload>").unwrap()];
    object.replace(" oadr:Id=\"oadrSignedObject\"", id)
}

fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    &text[start..start + text[start..].find(to).unwrap() + to.len()]
}

fn refused(text: &str, why: &str) {
    let refusal = match gate(Identity::p256()).open(text.as_bytes(), now()) {
        Ok(verified) => panic!("let in {:?}: {text}", verified.into_content()),
        Err(refusal) => refusal.to_string(),
    };
    assert!(refusal.contains(why), "\"{refusal}\" is not \"{why}\" of {text}");
}

/// Signature wrapping in all its forms: the signed object is moved away, another one is put where the reader looks.
#[test]
fn a_wrapped_signature_is_refused() {
    let good = signed(&poll(), Identity::p256());
    let object = part(&good, "<oadr:oadrSignedObject", "</oadr:oadrSignedObject>");
    let signature = part(&good, "<ds:Signature ", "</ds:Signature>");
    let (no_id, same_id) = (evil(""), evil(" oadr:Id=\"oadrSignedObject\""));
    let several = "expected exactly one oadrSignedObject, found several";
    for (text, why) in [
        (good.replace(object, &format!("{no_id}{object}")), "expected the end of oadrPayload"),
        (good.replace(object, &format!("{object}{no_id}")), "expected the end of oadrPayload"),
        (good.replace(object, &same_id).replace("</ds:Object>", &format!("{object}</ds:Object>")), several),
        (good.replace(object, &no_id).replace("</ds:Object>", &format!("{object}</ds:Object>")), several),
        (
            good.replace(object, &no_id)
                .replace("</ds:SignatureProperty>", &format!("{object}</ds:SignatureProperty>")),
            several,
        ),
        (
            good.replace(object, &no_id)
                .replace("</ds:Signature>", &format!("<ds:Object>{object}</ds:Object></ds:Signature>")),
            several,
        ),
        (
            good.replace(object, &no_id.replace("</oadr:oadrPoll>", &format!("{object}</oadr:oadrPoll>"))),
            several,
        ),
        (
            good.replace(object, &no_id.replace("<oadr:oadrPoll", &format!("{object}<oadr:oadrPoll"))),
            "expected the end of oadrSignedObject",
        ),
        (good.replace(object, &no_id), "reference #oadrSignedObject leads nowhere"),
        (
            good.replace(object, &no_id).replace("Id=\"prop\"", "Id=\"oadrSignedObject\""),
            "digest of #oadrSignedObject does not match",
        ),
        (good.replace(object, &same_id), "digest of #oadrSignedObject does not match"),
        (good.replace(signature, &format!("{signature}{signature}")), "expected oadr:oadrSignedObject"),
        (
            good.replace("</ds:Object>", &format!("{signature}</ds:Object>")),
            "exactly one Signature, found several",
        ),
        (format!("{good}{object}"), "more than one document element"),
    ] {
        refused(&text, why);
    }
    let inner = good.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    refused(&format!("<x>{inner}</x>"), "expected oadr:oadrPayload");
}

#[test]
fn an_id_that_stands_twice_is_refused_in_every_spelling() {
    let good = signed(&poll(), Identity::p256());
    for attribute in ["Id", "ID", "id", "oadr:id", "xml:id", "oadr:ID"] {
        let text =
            good.replacen("<oadr:oadrPoll", &format!("<oadr:oadrPoll {attribute}=\"oadrSignedObject\""), 1);
        refused(&text, "id \"oadrSignedObject\" stands twice");
    }
}

/// What is inside SignedInfo decides; so it is read by place and from a closed list.
#[test]
fn other_algorithms_references_and_transforms_are_refused() {
    let good = signed(&poll(), Identity::p256());
    let info = part(&good, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let reference = part(info, "<ds:Reference", "</ds:Reference>");
    let transform = part(info, "<ds:Transform ", "</ds:Transform>");
    let method = "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\">";
    let c14n = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let with_method = |uri: &str| good.replace("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", uri);
    let with_transform = |uri: &str| good.replacen(transform, &transform.replace(c14n, uri), 1);
    for (text, why) in [
        (with_method("http://www.w3.org/2000/09/xmldsig#hmac-sha1"), "is not accepted"),
        (with_method("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"), "is not accepted"),
        (with_method("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), "is not accepted"),
        (with_method("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"), "is not accepted"),
        (with_method(""), "is not accepted"),
        (with_method("none"), "is not accepted"),
        (with_method("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"), "cannot make a signature"),
        (with_method("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"), "cannot make a signature"),
        (
            good.replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
            "is not accepted",
        ),
        (
            good.replace(method, &format!("{method}<ds:HMACOutputLength>0</ds:HMACOutputLength>")),
            "expected the end of SignatureMethod",
        ),
        (with_transform("http://www.w3.org/2000/09/xmldsig#enveloped-signature"), "is not accepted"),
        (with_transform("http://www.w3.org/TR/1999/REC-xslt-19991116"), "is not accepted"),
        (with_transform("http://www.w3.org/TR/1999/REC-xpath-19991116"), "is not accepted"),
        (with_transform("http://www.w3.org/2002/06/xmldsig-filter2"), "is not accepted"),
        (with_transform("http://www.w3.org/2000/09/xmldsig#base64"), "is not accepted"),
        (good.replacen(transform, &transform.repeat(3), 1), "transforms, found 3"),
        (good.replacen(transform, "", 1), "transforms, found 0"),
        (good.replacen(reference, "", 1), "expected two references, found 1"),
        (good.replacen(reference, &reference.repeat(2), 1), "expected two references, found 3"),
        (good.replacen("URI=\"#oadrSignedObject\"", "URI=\"\"", 1), "is not of the form #id"),
        (
            good.replacen("URI=\"#oadrSignedObject\"", "URI=\"http://evil.example.org/\"", 1),
            "is not of the form #id",
        ),
        (good.replacen("URI=\"#oadrSignedObject\"", "URI=\"#xpointer(/)\"", 1), "is not of the form #id"),
        (good.replacen(" URI=\"#oadrSignedObject\"", "", 1), "an attribute URI"),
        (good.replace(info, &format!("{info}{info}")), "exactly one SignedInfo, found several"),
        (good.replace("<ds:SignedInfo>", "<ds:SignedInfo><!-- -->"), "comment"),
        (good.replacen("<ds:DigestValue>", "<ds:DigestValue><!-- -->", 1), "comment"),
        (good.replacen("<ds:DigestValue>", "<ds:DigestValue>*", 1), "is not base64"),
    ] {
        refused(&text, why);
    }
}

#[test]
fn a_signature_of_nothing_is_refused() {
    let good = signed(&poll(), Identity::p256());
    let value = part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let zeros = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0; 64]);
    for other in [zeros.as_str(), "", "AAAA"] {
        let text = good.replace(value, &format!("<ds:SignatureValue>{other}</ds:SignatureValue>"));
        refused(&text, "signature value does not match");
    }
    refused(&good.replace(part(&good, "<ds:Signature ", "</ds:Signature>"), ""), "is not signed");
}

#[test]
fn documents_that_are_no_documents_are_refused() {
    let good = signed(&poll(), Identity::p256());
    let declared = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let with_doctype = |doctype: &str| good.replace(declared, &format!("{declared}{doctype}"));
    for text in [
        with_doctype("<!DOCTYPE x>"),
        with_doctype("<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"),
        with_doctype("<!DOCTYPE x SYSTEM \"http://evil.example.org/x.dtd\">"),
    ] {
        refused(&text, "DOCTYPE");
    }
    refused(&good.replace("ven-01", "&xxe;"), "entity \"xxe\" is not defined");
}

/// A comment inside a text splits it for careless readers; the canonical octets have none.
#[test]
fn a_comment_in_the_signed_object_changes_nothing() {
    let good = signed(&poll(), Identity::p256());
    let text = good.replace("ven-01", "ven<!-- evil -->-01");
    assert_eq!(gate(Identity::p256()).open(text.as_bytes(), now()).unwrap().into_content(), poll());
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
        crate::openadr::signature::SigningKey::from_pem(
            key_pem.as_bytes(),
            certificate_pem.as_bytes(),
            &dice(),
        )
        .unwrap()
    };
    let open = |key: &crate::openadr::signature::SigningKey| {
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

#[test]
fn old_future_and_repeated_messages_are_refused() {
    let identity = Identity::p256();
    let text = signed(&poll(), identity);
    for (later, why) in [(WINDOW + Span::SECOND, "was signed at"), (-WINDOW - Span::SECOND, "was signed at")]
    {
        let refusal = gate(identity).open(text.as_bytes(), now() + later).unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
    let mut gate = gate(identity);
    assert!(gate.open(text.as_bytes(), now()).is_ok());
    let refusal = gate.open(text.as_bytes(), now() + Span::SECOND).unwrap_err().to_string();
    assert!(refusal.contains("nonce was used before"), "{refusal}");
}

/// A message that is refused for another reason does not use up its nonce.
#[test]
fn a_forged_copy_does_not_lock_the_good_message_out() {
    let identity = Identity::p256();
    let mut gate = gate(identity);
    let good = signed(&poll(), identity);
    assert!(gate.open(good.replace("ven-01", "ven-02").as_bytes(), now()).is_err());
    assert!(gate.open(good.as_bytes(), now()).is_ok());
}

#[test]
fn replay_protect_must_be_there_once_and_whole() {
    let good = signed(&poll(), Identity::p256());
    let protect = part(&good, "<dsp:ReplayProtect>", "</dsp:ReplayProtect>");
    for (text, why) in [
        (good.replace(protect, ""), "exactly one ReplayProtect, found none"),
        (good.replace(protect, &protect.repeat(2)), "exactly one ReplayProtect, found several"),
        (good.replace("<dsp:nonce>", "<dsp:nonce>x"), "digest of #prop does not match"),
    ] {
        refused(&text, why);
    }
}
