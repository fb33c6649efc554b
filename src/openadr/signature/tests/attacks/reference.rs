//! References that lead elsewhere than to the message, though the signature over them is good.

use super::{good, part, refused, resigned};
use crate::openadr::signature::tests::keys::Identity;

fn first_reference(text: &str) -> &str {
    part(text, "<ds:Reference", "</ds:Reference>")
}

/// The message with another first reference, well signed.
fn with_first(reference: impl FnOnce(&str) -> String) -> String {
    let good = good();
    let first = first_reference(&good);
    resigned(&good.replacen(first, &reference(first), 1), Identity::p256())
}

fn to(uri: &str) -> String {
    with_first(|first| first.replace("#oadrSignedObject", uri))
}

#[test]
fn only_replay_protect_signed_is_refused() {
    refused(&with_first(|_| String::new()), "expected two references, found 1");
    refused(&to("#prop"), "the signature does not cover oadrSignedObject");
}

#[test]
fn only_the_message_signed_is_refused() {
    let good = good();
    let text = good.replacen("URI=\"#prop\"", "URI=\"#oadrSignedObject\"", 1);
    refused(&resigned(&text, Identity::p256()), "the signature does not cover ReplayProtect");
}

#[test]
fn a_reference_to_something_round_or_beside_the_message_is_refused() {
    let foreign = "leads to something that is not the message";
    for (place, id) in [
        ("<oadr:oadrPayload", "root"),
        ("<oadr:oadrPoll", "poll"),
        ("<ds:KeyInfo", "key"),
        ("<ds:X509Data", "data"),
    ] {
        let text = good().replacen(place, &format!("{place} Id=\"{id}\""), 1).replacen(
            "#oadrSignedObject",
            &format!("#{id}"),
            1,
        );
        // A digest of the whole payload holds its own value, so it can never match.
        let why = if id == "root" { "does not match" } else { foreign };
        refused(&resigned(&text, Identity::p256()), why);
    }
}

#[test]
fn a_manifest_is_not_followed() {
    let good = good();
    let first = first_reference(&good);
    let manifest =
        format!("<ds:Object Id=\"m\"><ds:Manifest>{first}</ds:Manifest></ds:Object></ds:Signature>");
    let text = good
        .replacen(
            "URI=\"#oadrSignedObject\"",
            "URI=\"#m\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\"",
            1,
        )
        .replacen("</ds:Signature>", &manifest, 1);
    refused(&resigned(&text, Identity::p256()), "leads to something that is not the message");
}

#[test]
fn references_of_other_forms_are_refused() {
    for uri in [
        "",
        "#",
        "#xpointer(/)",
        "#xpointer(id('oadrSignedObject'))",
        "#element(/1/2)",
        "http://evil.example.org/",
        "file:///etc/passwd",
        "cid:part",
        "oadrSignedObject",
        "?#oadrSignedObject",
        "##oadrSignedObject",
        "#oadrSignedObject ",
        "#0",
    ] {
        refused(&to(uri), "is not of the form #id");
    }
    refused(&with_first(|first| first.replace(" URI=\"#oadrSignedObject\"", "")), "an attribute URI");
    refused(&to("#nobody"), "reference #nobody leads nowhere");
}

#[test]
fn more_than_two_references_are_refused_and_thousands_at_once() {
    refused(&with_first(|first| first.repeat(2)), "expected two references, found 3");
    let good = good();
    let first = first_reference(&good);
    refused(&good.replacen(first, &first.repeat(10_000), 1), "expected two references, found 3");
    let info = part(&good, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let none = info.replace(first, "").replace(first_reference(&info.replacen(first, "", 1)), "");
    refused(&resigned(&good.replace(info, &none), Identity::p256()), "expected two references, found 0");
}
