//! Looks whether what was written is what its content type says, before it is sent.

use quick_xml::XmlVersion;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde::de::IgnoredAny;

use super::escape;
use super::media::Kind;

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsound {
    #[error("is no JSON: {0}")]
    Json(String),
    #[error("is no JSON in line {line}: {why}")]
    JsonLine { line: usize, why: String },
    #[error("is no well-formed XML: {0}")]
    Xml(String),
}

/// Whether a body is what it must be.
pub(super) fn check(kind: Kind, body: &str) -> Result<(), Unsound> {
    let json = |text: &str| serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string());
    match kind {
        Kind::Json => json(body).map(|_| ()).map_err(Unsound::Json),
        Kind::JsonLines => {
            let lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            for (at, line) in lines {
                json(line).map_err(|why| Unsound::JsonLine { line: at + 1, why })?;
            }
            Ok(())
        }
        Kind::Xml => xml(body).map_err(Unsound::Xml),
        Kind::Form | Kind::Text => Ok(()),
    }
}

/// Whether a document is well-formed, without a document type: one root, tags that match, attributes that are said once,
/// references that mean something, characters that there are.
fn xml(body: &str) -> Result<(), String> {
    means(body)?;
    let mut reader = Reader::from_str(body);
    let config = reader.config_mut();
    config.check_comments = true;
    config.check_end_names = true;
    config.allow_unmatched_ends = false;
    config.allow_dangling_amp = false;
    let (mut depth, mut roots, mut first) = (0_usize, 0_usize, true);
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let outside = depth == 0;
        match event {
            Event::Start(tag) => {
                start(&tag)?;
                roots += usize::from(outside);
                depth += 1;
            }
            Event::Empty(tag) => {
                start(&tag)?;
                roots += usize::from(outside);
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) if outside && !text.chars().all(|letter| letter.is_ascii_whitespace()) => {
                return Err("it has text outside of its root".to_owned());
            }
            Event::Text(text) if text.contains("]]>") => {
                return Err("it has ]]> in a text".to_owned());
            }
            Event::CData(_) | Event::GeneralRef(_) if outside => {
                return Err("it has text outside of its root".to_owned());
            }
            Event::GeneralRef(name) => {
                means(&unescape(&format!("&{};", &*name)).map_err(|error| error.to_string())?)?;
            }
            Event::Decl(_) if !first => return Err("its declaration is not at its beginning".to_owned()),
            Event::Decl(declaration) => drop(declaration.version().map_err(|error| error.to_string())?),
            Event::PI(instruction) => {
                let target = instruction.target();
                name(target)?;
                if target.eq_ignore_ascii_case("xml") {
                    return Err("its declaration is misspelt".to_owned());
                }
            }
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Eof => break,
            Event::Text(_) | Event::CData(_) | Event::Comment(_) => {}
        }
        first = false;
    }
    match (depth, roots) {
        (0, 1) => Ok(()),
        (0, 0) => Err("it has no element".to_owned()),
        (0, _) => Err("it has more than one root".to_owned()),
        _ => Err("an element is not closed".to_owned()),
    }
}

fn start(tag: &BytesStart<'_>) -> Result<(), String> {
    name(tag.name().as_ref())?;
    apart(tag)?;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        name(attribute.key.as_ref())?;
        if attribute.value.contains('<') {
            return Err("an attribute has < in its value".to_owned());
        }
        means(&attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?)?;
    }
    Ok(())
}

/// That XML knows these characters, whether they stand there or are referred to.
fn means(text: &str) -> Result<(), String> {
    let unknown = text.chars().find(|letter| !escape::of_xml(*letter));
    unknown.map_or(Ok(()), |letter| Err(format!("it has the character U+{:04X}", u32::from(letter))))
}

/// That there is white space after each attribute, which the reader does not ask for.
fn apart(tag: &str) -> Result<(), String> {
    let (mut quote, mut closed) = (None, false);
    for letter in tag.chars() {
        if closed && !letter.is_ascii_whitespace() {
            return Err("two attributes are not apart".to_owned());
        }
        closed = quote == Some(letter);
        quote = match quote {
            Some(_) if closed => None,
            None if letter == '"' || letter == '\'' => Some(letter),
            _ => quote,
        };
    }
    Ok(())
}

/// Names of XML begin with a letter; of what is not ASCII all is taken.
fn name(name: &str) -> Result<(), String> {
    let begins = |letter: char| letter.is_ascii_alphabetic() || "_:".contains(letter) || !letter.is_ascii();
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || "-.".contains(letter);
    if name.starts_with(begins) && name.chars().all(goes_on) {
        return Ok(());
    }
    Err(format!("\"{name}\" is no name"))
}

#[cfg(test)]
mod tests {
    use super::{Unsound, check};
    use crate::hook::render::media::Kind;

    #[test]
    fn json_is_told_from_what_is_none() {
        for body in ["{}", "[1,{\"a\":\"b\"}]", " 1 ", "\"x\""] {
            check(Kind::Json, body).unwrap();
        }
        for body in ["", "{", "{\"a\":}", "{\"a\":\"b\nc\"}", "{} {}", "NaN", "{\"a\":01}"] {
            assert!(matches!(check(Kind::Json, body), Err(Unsound::Json(_))), "{body}");
        }
        check(Kind::JsonLines, "{}\n[1]\n\n").unwrap();
        let error = check(Kind::JsonLines, "{}\n\n{\n").unwrap_err();
        assert!(error.to_string().starts_with("is no JSON in line 3"), "{error}");
    }

    #[test]
    fn xml_is_told_from_what_is_none() {
        for body in [
            "<a/>",
            "<?xml version=\"1.0\"?>\n<a x='1' y=\"2\"><b>t &amp; &#38; &lt;</b><!-- c --><![CDATA[<x>]]></a>\n",
            "<é:a xmlns:é='u'>ü</é:a>",
            "<a b = '\"1'\tc=\"'2\" ><?p x?></a >",
        ] {
            check(Kind::Xml, body).unwrap();
        }
        for body in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "&amp;<a/>",
            "<a>&</a>",
            "<a>&nbsp;</a>",
            "<a>&#0;</a>",
            "<a>&#xFFFF;</a>",
            "<a x='&#1;'/>",
            "<a x='1' x='2'/>",
            "<a x='<'/>",
            "<a x='&nope;'/>",
            "<a x=1/>",
            "<1a/>",
            "<a>]]></a>",
            "<a><!-- -- --></a>",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<a/><?xml version='1.0'?>",
            "<a>\u{1}</a>",
            "<a b></a>",
            "<a b='1'c='2'/>",
            "<?xml?><a/>",
            "<?XML x?><a/>",
            "<a/><?1?>",
        ] {
            assert!(matches!(check(Kind::Xml, body), Err(Unsound::Xml(_))), "{body}");
        }
    }

    #[test]
    fn of_other_bodies_nothing_is_asked() {
        check(Kind::Text, "<{").unwrap();
        check(Kind::Form, "<{").unwrap();
    }
}
