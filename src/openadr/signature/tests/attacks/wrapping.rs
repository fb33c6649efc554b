//! Signature wrapping: what is signed is moved away, and something else stands where a careless reader looks.

use super::{evil, good, part, refused, refused_somehow, resigned};
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::tests::{gate, now, poll};

fn object(text: &str) -> &str {
    part(text, "<oadr:oadrSignedObject", "</oadr:oadrSignedObject>")
}

fn signature(text: &str) -> &str {
    part(text, "<ds:Signature ", "</ds:Signature>")
}

/// The payload without the XML declaration.
fn payload(text: &str) -> &str {
    &text[text.find("<oadr:oadrPayload").unwrap()..]
}

/// Every way to write an id that a reader may look for, and none.
const IDS: [&str; 8] = [
    "",
    " oadr:Id=\"oadrSignedObject\"",
    " Id=\"oadrSignedObject\"",
    " ID=\"oadrSignedObject\"",
    " id=\"oadrSignedObject\"",
    " oadr:id=\"oadrSignedObject\"",
    " xml:id=\"oadrSignedObject\"",
    " oadr:Id=\"other\"",
];

/// The classical eight, after "On Breaking SAML": where the original goes, and where the forgery stands.
fn xsw(number: usize, id: &str) -> String {
    let good = good();
    let (signed, signature, forged) = (object(&good), signature(&good), evil(id));
    let in_object = |what: &str| signature.replace("</ds:Object>", &format!("{what}</ds:Object>"));
    match number {
        // The whole original payload inside the signature, in a forged payload.
        1 => good.replace(signed, &forged).replace(signature, &in_object(payload(&good))),
        // The original payload beside the signature.
        2 => good.replace(signed, &forged).replace(signature, &format!("{}{signature}", payload(&good))),
        // The forgery before the original.
        3 => good.replace(signed, &format!("{forged}{signed}")),
        // The original inside the forgery.
        4 => good.replace(signed, &forged.replace("</oadr:oadrPoll>", &format!("{signed}</oadr:oadrPoll>"))),
        // The forgery in the place of the original, the original at the end.
        5 => good
            .replace(signed, &format!("{forged}{signed}"))
            .replace(signature, "")
            .replace("</oadr:oadrPayload>", &format!("{signature}</oadr:oadrPayload>")),
        // The original inside KeyInfo.
        6 => good
            .replace(signed, &forged)
            .replace(signature, &signature.replace("<ds:KeyInfo>", &format!("<ds:KeyInfo>{signed}"))),
        // The forgery, and before it the original in an element that nobody knows.
        7 => good.replace(signed, &format!("<x xmlns=\"urn:x\">{signed}</x>{forged}")),
        // The original in an object of the signature of its own.
        8 => good.replace(signed, &forged).replace(
            signature,
            &signature.replace("</ds:Signature>", &format!("<ds:Object>{signed}</ds:Object></ds:Signature>")),
        ),
        _ => unreachable!("there are eight"),
    }
}

macro_rules! classical {
    ($($name:ident = $number:literal: $why:literal;)*) => { $(
        #[test]
        fn $name() {
            refused(&xsw($number, ""), $why);
            for id in IDS {
                refused_somehow(&xsw($number, id));
            }
        }
    )* };
}

classical! {
    xsw_1_the_original_payload_inside_the_signature = 1: "exactly one Signature, found several";
    xsw_2_the_original_payload_beside_the_signature = 2: "expected oadr:oadrSignedObject";
    xsw_3_the_forgery_before_the_original = 3: "expected the end of oadrPayload";
    xsw_4_the_original_inside_the_forgery = 4: "expected exactly one oadrSignedObject, found several";
    xsw_5_the_original_behind_the_forgery = 5: "expected the end of oadrPayload";
    xsw_6_the_original_inside_key_info = 6: "expected exactly one oadrSignedObject, found several";
    xsw_7_the_original_inside_an_unknown_element = 7: "expected oadr:oadrSignedObject";
    xsw_8_the_original_inside_an_object_of_the_signature = 8: "expected exactly one oadrSignedObject, found several";
}

/// The same with other places, and with ids that are taken over or lost.
#[test]
fn a_wrapped_signature_is_refused() {
    let good = good();
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
    let good = good();
    for attribute in ["Id", "ID", "id", "oadr:id", "xml:id", "oadr:ID"] {
        let text =
            good.replacen("<oadr:oadrPoll", &format!("<oadr:oadrPoll {attribute}=\"oadrSignedObject\""), 1);
        refused(&text, "id \"oadrSignedObject\" stands twice");
    }
}

/// Attribute pollution: two attributes that both pass for the id of one element, though the signature itself is good.
#[test]
fn attribute_pollution_is_refused_even_with_a_good_signature() {
    let good = good();
    let own = " oadr:Id=\"oadrSignedObject\"";
    for more in [" Id=\"oadrSignedObject\"", " ID=\"oadrSignedObject\"", " xml:id=\"oadrSignedObject\""] {
        let polluted = resigned(&good.replacen(own, &format!("{own}{more}"), 1), Identity::p256());
        refused(&polluted, "id \"oadrSignedObject\" stands twice");
    }
    let twice = good.replacen(own, &format!("{own}{own}"), 1);
    refused(&twice, "not well-formed");
    let aliased =
        good.replacen(own, &format!("{own} xmlns:p=\"http://openadr.org/oadr-2.0b/2012/07\" p:Id=\"x\""), 1);
    refused(&aliased, "attribute \"Id\" stands twice");
}

#[test]
fn a_nested_payload_is_refused_even_with_a_good_signature() {
    let good = good();
    let inner = evil("");
    let nested = good.replacen(
        "</oadr:oadrSignedObject>",
        &format!("<oadr:oadrPayload>{inner}</oadr:oadrPayload></oadr:oadrSignedObject>"),
        1,
    );
    refused(&nested, "expected the end of oadrSignedObject");
    let instead = good.replace(
        part(&good, "<oadr:oadrPoll", "</oadr:oadrPoll>"),
        &format!("<oadr:oadrPayload>{inner}</oadr:oadrPayload>"),
    );
    refused(&resigned(&instead, Identity::p256()), "exactly one oadrSignedObject, found several");
}

#[test]
fn two_signed_infos_are_refused() {
    let good = good();
    let info = part(&good, "<ds:SignedInfo>", "</ds:SignedInfo>");
    refused(&good.replace(info, &format!("{info}{info}")), "exactly one SignedInfo, found several");
    let hidden = good.replace("</ds:Object>", &format!("{info}</ds:Object>"));
    refused(&resigned(&hidden, Identity::p256()), "exactly one SignedInfo, found several");
}

/// What a comment splits, some read in halves (CVE-2025-29775).
#[test]
fn a_comment_or_instruction_inside_the_signature_is_refused() {
    let good = good();
    for place in
        ["<ds:SignedInfo>", "<ds:DigestValue>", "<ds:SignatureValue>", "<ds:X509Certificate>", "<dsp:nonce>"]
    {
        for what in ["<!-- 0 -->", "<?pi?>"] {
            refused(&good.replacen(place, &format!("{place}{what}"), 1), "comment or processing instruction");
        }
    }
}

/// Void canonicalisation: a relative namespace makes libxml2's canonical form fail, and careless callers digest nothing.
#[test]
fn a_canonicalisation_that_would_fail_is_refused_and_never_an_empty_text() {
    let good = good();
    let empty = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        ring::digest::digest(&ring::digest::SHA256, b""),
    );
    let digest = part(&good, "<ds:DigestValue>", "</ds:DigestValue>");
    let void = good.replacen(digest, &format!("<ds:DigestValue>{empty}</ds:DigestValue>"), 1).replacen(
        "<oadr:oadrPayload",
        "<oadr:oadrPayload xmlns:r=\"1\"",
        1,
    );
    refused(&void, "namespace \"1\" is not absolute");
}

/// A comment inside a text splits it for careless readers; the canonical octets have none.
#[test]
fn a_comment_in_the_signed_object_changes_nothing() {
    let good = good();
    let text = good.replace("ven-01", "ven<!-- evil -->-01");
    assert_eq!(gate(Identity::p256()).open(text.as_bytes(), now()).unwrap().into_content(), poll());
}
