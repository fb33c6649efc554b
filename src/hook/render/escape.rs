//! Writes text so that it stays text inside JSON, XML and forms.

use std::fmt::{self, Write};

/// Stands for a value that is null until [`settle`] says where it stands. No character at all; in texts it is escaped.
pub(super) const NULL: char = '\u{fdd0}';

/// Writes each null as JSON has it, and as nothing inside a string, where it would be the word "null".
pub(super) fn settle(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for letter in text.chars() {
        match letter {
            NULL if inside => {}
            NULL => out.push_str("null"),
            _ => out.push(letter),
        }
        inside ^= letter == '"' && !escaped;
        escaped = letter == '\\' && inside && !escaped;
    }
    out
}

/// A string as it stands between the quotes of a JSON string (RFC 8259, section 7), without them.
pub(super) fn json(out: &mut dyn Write, text: &str) -> fmt::Result {
    for letter in text.chars() {
        match letter {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\0'..='\x1f' | NULL => write!(out, "\\u{:04x}", u32::from(letter))?,
            _ => out.write_char(letter)?,
        }
    }
    Ok(())
}

/// A string as it stands in XML 1.0, in an element or an attribute with either quotes.
///
/// White space is written as references, so that no reader normalises it; what XML 1.0 has no way to say (section 2.2)
/// becomes U+FFFD.
pub(crate) fn xml(out: &mut dyn Write, text: &str) -> fmt::Result {
    for letter in text.chars() {
        match letter {
            '&' => out.write_str("&amp;")?,
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&apos;")?,
            '\n' | '\r' | '\t' => write!(out, "&#{};", u32::from(letter))?,
            _ if !of_xml(letter) => out.write_char('\u{fffd}')?,
            _ => out.write_char(letter)?,
        }
    }
    Ok(())
}

/// Whether XML 1.0 knows this character (production 2, `Char`).
pub(super) fn of_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Fields as `application/x-www-form-urlencoded` (WHATWG URL, section 5.2).
pub(crate) fn form<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        percent(&mut out, name);
        out.push('=');
        percent(&mut out, value);
    }
    out
}

fn percent(out: &mut String, text: &str) {
    for octet in text.bytes() {
        match octet {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' => out.push(char::from(octet)),
            _ if octet.is_ascii_alphanumeric() => out.push(char::from(octet)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(octet >> 4)]));
                out.push(char::from(DIGITS[usize::from(octet & 15)]));
            }
        }
    }
}

/// A name as the specific part of a URN takes it (RFC 8141, section 2): anything else is percent-encoded.
pub(super) fn urn(text: &str) -> String {
    let mut out = String::new();
    percent(&mut out, text);
    // What a form says by a plus sign is a blank, which a URN does not have.
    out.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::{form, json, settle, urn, xml};

    const ODD: &str = "a\"b\\c\n\r\t\u{fdd0}\u{1}\u{7f}\u{2028}<&>'é🔌";

    #[test]
    fn a_text_in_json_reads_back_as_itself() {
        let mut out = String::new();
        json(&mut out, ODD).unwrap();
        assert_eq!(serde_json::from_str::<String>(&format!("\"{out}\"")).unwrap(), ODD);
    }

    #[test]
    fn null_is_nothing_within_a_string() {
        let text = "{\"a\":\u{fdd0},\"b\":\"\u{fdd0}\",\"c\":\"x\\\"\u{fdd0}\\\\\",\"d\":[\u{fdd0}]}";
        assert_eq!(settle(text), r#"{"a":null,"b":"","c":"x\"\\","d":[null]}"#);
    }

    #[test]
    fn a_text_in_xml_is_escaped_and_says_what_it_cannot_say() {
        let mut out = String::new();
        xml(&mut out, ODD).unwrap();
        assert_eq!(out, "a&quot;b\\c&#10;&#13;&#9;\u{fdd0}\u{fffd}\u{7f}\u{2028}&lt;&amp;&gt;&apos;é🔌");
    }

    #[test]
    fn fields_of_a_form_are_encoded() {
        assert_eq!(
            form([("a b", "1&2=3"), ("é", "\r\n🔌~*")]),
            "a+b=1%262%3D3&%C3%A9=%0D%0A%F0%9F%94%8C%7E*"
        );
        assert_eq!(form([]), "");
        assert_eq!(urn("my house+1"), "my%20house%2B1");
    }
}
