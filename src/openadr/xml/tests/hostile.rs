//! Documents made to hurt their reader: each is refused by the rule that it breaks, soon, and before it is held.

use std::fmt::Write as _;

use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{DistributeEvent, Payload, Poll};
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::time::Span;

fn refusal(bytes: impl AsRef<[u8]>) -> String {
    let error = decode_document(bytes.as_ref(), &Limits::VEN).expect_err("it is let in").to_string();
    assert!(error.len() < 2_000, "an error is for a person: {} bytes", error.len());
    error
}

fn refused(bytes: impl AsRef<[u8]>, why: &str) {
    let refusal = refusal(bytes);
    assert!(refusal.contains(why), "\"{refusal}\" is not \"{why}\"");
}

fn poll() -> String {
    encode(&Payload::from(Poll { ven_id: "ven-01".into() })).unsigned()
}

/// The good message with something in front of its root.
fn with(doctype: &str, from: &str, to: &str) -> String {
    poll().replacen("<oadr:oadrPayload", &format!("{doctype}<oadr:oadrPayload"), 1).replacen(from, to, 1)
}

#[test]
fn billion_laughs_are_not_laughed() {
    let mut entities = String::from("<!ENTITY l0 \"lol\">");
    for at in 1..10 {
        write!(entities, "<!ENTITY l{at} \"{}\">", format!("&l{};", at - 1).repeat(10)).unwrap();
    }
    refused(with(&format!("<!DOCTYPE x [{entities}]>"), "ven-01", "&l9;"), "a DOCTYPE is never accepted");
    refused(with("", "ven-01", "&l9;"), "entity \"l9\" is not defined");
}

#[test]
fn quadratic_blow_up_is_refused() {
    let entity = format!("<!DOCTYPE x [<!ENTITY a \"{}\">]>", "a".repeat(100_000));
    refused(with(&entity, "ven-01", &"&a;".repeat(100_000)), "a DOCTYPE is never accepted");
}

#[test]
fn external_entities_and_subsets_are_refused() {
    for doctype in [
        "<!DOCTYPE x SYSTEM \"http://evil.example.org/x.dtd\">",
        "<!DOCTYPE x PUBLIC \"-//x\" \"file:///etc/passwd\">",
        "<!DOCTYPE x [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]>",
        "<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://evil.example.org/\"> %p;]>",
        "<!DOCTYPE x [<!ATTLIST oadr:oadrPoll a CDATA \"x\">]>",
        "<!DOCTYPE x>",
        "<!doctype x>",
    ] {
        let error = refusal(with(doctype, "ven-01", "&xxe;"));
        assert!(error.contains("DOCTYPE") || error.contains("not well-formed"), "{doctype}: {error}");
    }
    refused(with("", "<ei:venID>", "<!DOCTYPE x><ei:venID>"), "DOCTYPE");
    refused(with("", "ven-01", "&xxe;"), "entity \"xxe\" is not defined");
}

/// Inclusions and schema hints are attributes and elements like others: nothing is fetched, what does not belong is refused.
#[test]
fn inclusions_and_style_sheets_are_not_followed() {
    let include = "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\" parse=\"text\"/>";
    refused(with("", "ven-01", include), "expected text, found <include>");
    let style = "<?xml-stylesheet href=\"http://evil.example.org/\"?>";
    assert!(decode_document(with(style, "", "").as_bytes(), &Limits::VEN).is_ok());
}

#[test]
fn a_million_levels_are_refused() {
    refused("<a>".repeat(1_000_000), "more than 40 levels");
    refused("<a>".repeat(1_000_000) + &"</a>".repeat(1_000_000), "more than 40 levels");
}

#[test]
fn a_million_attributes_are_refused() {
    let mut attributes = String::new();
    for at in 0..500_000 {
        write!(attributes, " a{at}=''").unwrap();
    }
    refused(format!("<a{attributes}/>"), "more than 32 attributes");
    refused(format!("<a b='{}'/>", "x".repeat(5_000)), "more than 4096 bytes in an attribute");
    refused(format!("<a{}/>", " b=''".repeat(30)), "not well-formed");
}

#[test]
fn a_million_comments_instructions_elements_and_texts_are_refused() {
    for piece in ["<!---->", "<?p?>", "<b/>", "<b>x</b>"] {
        refused(format!("<a>{}</a>", piece.repeat(1_000_000)), "more than 400000 nodes");
    }
    for piece in ["<!---->", "<?p?>"] {
        refused(piece.repeat(1_000_000) + "<a/>", "more than 400000 nodes");
    }
}

/// Thousands of small texts beside each other are one text, and their joining takes no square of time.
#[test]
fn a_million_sections_and_references_are_one_text() {
    for piece in ["<![CDATA[x]]>", "&#120;", "&amp;"] {
        let many = with("", "ven-01", &piece.repeat(500_000));
        let Ok(Payload::Poll(poll)) = decode_document(many.as_bytes(), &Limits::VEN) else {
            panic!("{piece}")
        };
        assert_eq!(poll.ven_id.as_str().len(), 500_000);
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_unread() {
    refused(vec![b' '; 100 * 1024 * 1024], "document has 104857600 bytes, at most 8388608 are accepted");
}

#[test]
fn other_encodings_are_refused() {
    let text = poll();
    let utf16 = |big: bool, mark: bool| -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    for (big, mark) in [(true, true), (false, true), (true, false), (false, false)] {
        refusal(utf16(big, mark));
    }
    let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    refusal(&utf32);
    refusal(utf32.chunks(4).flat_map(|c| [c[3], c[2], c[1], c[0]]).collect::<Vec<u8>>());
    // UTF-7, whose brackets look like text, and EBCDIC, where "<" is 0x4C.
    refusal(text.replace('<', "+ADw-").replace('>', "+AD4-"));
    refusal([0x4C, 0x6F, 0xA7, 0x94, 0x93, 0x40, 0xA5, 0x85, 0x99]);
    for name in ["utf-16", "UTF-32", "utf-7", "ISO-8859-1", "windows-1252", "ebcdic-cp-us", "x"] {
        let declared = text.replacen("encoding=\"UTF-8\"", &format!("encoding=\"{name}\""), 1);
        refused(declared, "not UTF-8");
    }
    for name in ["utf-8", "UTF-8", "Utf-8"] {
        let declared = text.replacen("encoding=\"UTF-8\"", &format!("encoding=\"{name}\""), 1);
        assert!(decode_document(declared.as_bytes(), &Limits::VEN).is_ok(), "{name}");
    }
    assert!(decode_document(format!("\u{FEFF}{text}").as_bytes(), &Limits::VEN).is_ok(), "a mark is lawful");
    refused(format!("\u{FEFF}\u{FEFF}{text}"), "not well-formed");
}

#[test]
fn octets_that_are_no_utf_8_are_refused() {
    for octets in [
        &b"\xC0\x80"[..],
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xFF",
        b"\xC3",
        b"\xF8\x88\x80\x80\x80",
        b"\xE0\x80\xAF",
    ] {
        let mut text = poll().into_bytes();
        let at = text.windows(6).position(|part| part == b"ven-01").unwrap();
        text.splice(at..at + 6, octets.iter().copied());
        refused(&text, "not UTF-8");
    }
}

#[test]
fn nul_surrogates_and_other_forbidden_characters_are_refused() {
    for c in ['\0', '\u{1}', '\u{8}', '\u{B}', '\u{1F}', '\u{FFFE}', '\u{FFFF}'] {
        refused(with("", "ven-01", &c.to_string()), "is not allowed in XML");
    }
    for reference in [
        "&#0;",
        "&#x0;",
        "&#xD800;",
        "&#xDFFF;",
        "&#xD83D;&#xDE00;",
        "&#xFFFE;",
        "&#x110000;",
        "&#99999999999;",
        "&#-1;",
        "&#;",
        "&;",
        "& ",
    ] {
        refusal(with("", "ven-01", reference));
        refusal(with("", "<ei:venID>", &format!("<ei:venID a=\"{reference}\">")));
    }
    let emoji = with("", "ven-01", "&#x1F600;\u{1F600}");
    assert!(decode_document(emoji.as_bytes(), &Limits::VEN).is_ok());
}

#[test]
fn tricks_with_namespaces_are_refused() {
    let uri = "http://docs.oasis-open.org/ns/energyinterop/201110";
    let element = |open: &str, close: &str| {
        let text = poll();
        let at = text.find("<ei:venID>").unwrap();
        let end = text.find("</ei:venID>").unwrap() + "</ei:venID>".len();
        format!("{}<{open}>ven-01</{close}>{}", &text[..at], &text[end..])
    };
    // The prefix is ours, the namespace is not.
    refused(element("ei:venID xmlns:ei=\"urn:evil\"", "ei:venID"), "found venID of a foreign namespace");
    for near in [
        format!("{uri}/"),
        format!(" {uri}"),
        uri.to_uppercase(),
        uri.replace("http:", "https:"),
        format!("{uri}#"),
    ] {
        refusal(element(&format!("x:venID xmlns:x=\"{near}\""), "x:venID"));
    }
    refused(element("venID", "venID"), "found venID of a foreign namespace");
    for open in [
        "xml:venID xmlns:xml=\"urn:evil\"",
        "x:venID xmlns:x=\"http://www.w3.org/XML/1998/namespace\"",
        "x:venID xmlns:x=\"http://www.w3.org/2000/xmlns/\"",
        "xmlns:venID",
        "x:venID xmlns:x=\"\"",
        ":venID",
        "ei:",
        "ei:ei:venID",
        "nobody:venID",
    ] {
        let name = open.split(' ').next().unwrap();
        refusal(element(open, name));
    }
    // Another prefix for the same namespace is the same element, a reference in its name included.
    for open in
        [format!("x:venID xmlns:x=\"{uri}\""), format!("x:venID xmlns:x=\"{}\"", uri.replace(':', "&#58;"))]
    {
        assert!(decode_document(element(&open, "x:venID").as_bytes(), &Limits::VEN).is_ok(), "{open}");
    }
}

/// Each new namespace is looked for among those before: their number is bounded, in scope and in all.
#[test]
fn thousands_of_namespaces_are_refused() {
    let mut many = String::from("<a>");
    for at in 0..300_000 {
        write!(many, "<b xmlns='u:{at}'/>").unwrap();
    }
    refused(many + "</a>", "more than 256 namespaces");
    let nested: String = (0..40).map(|at| format!("<a xmlns:p{at}='u:1' xmlns:q{at}='u:2'>")).collect();
    refused(nested, "more than 64 namespaces in scope");
}

/// Whatever its number of events, a message is read or refused; 2,000 events fit.
#[test]
fn two_thousand_events_fit() {
    let start = "2030-01-01T00:00:00Z".parse().unwrap();
    let event = |at: usize| EventBuilder::new(&format!("e{at}"), start, Span::HOUR).build();
    let picture = |count: usize| -> Payload {
        DistributeEvent {
            response: None,
            request_id: "r".into(),
            vtn_id: "vtn".into(),
            events: (0..count).map(event).collect(),
        }
        .into()
    };
    let message = picture(2_000);
    assert_eq!(decode_document(encode(&message).unsigned().as_bytes(), &Limits::VEN), Ok(message));
    refused(encode(&picture(10_000)).unsigned(), "at most");
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let text = poll();
    for end in 0..text.trim_end().len() {
        refusal(&text.as_bytes()[..end]);
    }
}
