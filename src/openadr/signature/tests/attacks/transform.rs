//! Transforms that would make something else of what is signed.

use super::{good, part, refused, resigned};
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::tests::{gate, now};

const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

/// The message with other transforms in its first reference, well signed.
fn with(transforms: &str) -> String {
    let good = good();
    let old = part(&good, "<ds:Transforms>", "</ds:Transforms>");
    let new = format!("<ds:Transforms>{transforms}</ds:Transforms>");
    resigned(&good.replacen(old, &new, 1), Identity::p256())
}

fn transform(uri: &str) -> String {
    format!("<ds:Transform Algorithm=\"{uri}\"></ds:Transform>")
}

#[test]
fn xslt_xpath_filter2_base64_and_unknown_transforms_are_refused() {
    for uri in [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2002/07/decrypt#XML",
        "http://evil.example.org/",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315 ",
        "HTTP://WWW.W3.ORG/TR/2001/REC-xml-c14n-20010315",
        "",
    ] {
        refused(&with(&transform(uri)), "is not accepted");
        refused(&with(&format!("{}{}", transform(uri), transform(C14N))), "is not accepted");
        refused(&with(&format!("{}{}", transform(C14N), transform(uri))), "is not accepted");
    }
    let sheet = "<xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"/>";
    refused(
        &with(&format!("<ds:Transform Algorithm=\"{C14N}\">{sheet}</ds:Transform>")),
        "expected the end of Transform",
    );
    refused(&with("<ds:Transform></ds:Transform>"), "an attribute Algorithm");
}

#[test]
fn one_canonicalisation_or_the_same_twice_and_nothing_else() {
    let twice = transform(C14N).repeat(2);
    assert!(gate(Identity::p256()).open(with(&twice).as_bytes(), now()).is_ok());
    let exclusive = transform("http://www.w3.org/2001/10/xml-exc-c14n#");
    refused(&with(&format!("{}{exclusive}", transform(C14N))), "transforms, found 2");
    refused(&with(""), "transforms, found 0");
    refused(&with(&transform(C14N).repeat(3)), "transforms, found 3");
    refused(&with(&transform(C14N).repeat(10_000)), "transforms, found");
}

#[test]
fn a_long_prefix_list_is_refused() {
    let list = |count: usize| {
        let prefixes: Vec<_> = (0..count).map(|at| format!("p{at}")).collect();
        format!(
            "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">\
             <InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{}\"/></ds:Transform>",
            prefixes.join(" ")
        )
    };
    refused(&with(&list(33)), "is not accepted");
    // With a list of lawful length it is the digest, made in another way, that does not match.
    refused(&with(&list(32)), "digest of #oadrSignedObject does not match");
}
