//! Reads a content type, and says what it means for what is written under it.

/// A content type (RFC 9110, section 8.3.1) and what a body under it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What a body must be, and how strings are escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One JSON text (RFC 8259).
    Json,
    /// One JSON text in each line.
    JsonLines,
    /// Well-formed XML 1.0.
    Xml,
    /// Fields of a form.
    Form,
    /// Anything; nothing is escaped.
    Text,
}

impl Media {
    /// Reads a content type; `None` where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (main, sub) = parts.next()?.trim().split_once('/')?;
        if !token(main) || !token(sub) || !parts.all(parameter) {
            return None;
        }
        let sub = sub.to_ascii_lowercase();
        let kind = match sub.as_str() {
            "json" => Kind::Json,
            "x-ndjson" | "ndjson" | "jsonl" | "x-jsonl" | "jsonlines" => Kind::JsonLines,
            "xml" => Kind::Xml,
            "x-www-form-urlencoded" => Kind::Form,
            _ if sub.ends_with("+json") => Kind::Json,
            _ if sub.ends_with("+xml") => Kind::Xml,
            _ => Kind::Text,
        };
        Some(Self { text: text.trim().to_owned(), kind })
    }
}

fn parameter(text: &str) -> bool {
    let Some((name, value)) = text.trim().split_once('=') else { return false };
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inside =
        |text: &str| !text.contains(['"', '\\']) && text.chars().all(|c| c == '\t' || !c.is_control());
    token(name) && (token(value) || quoted.is_some_and(inside))
}

/// RFC 9110, section 5.6.2.
fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Media};

    #[test]
    fn a_content_type_says_what_the_body_is() {
        for (text, kind) in [
            ("application/json", Kind::Json),
            ("Application/JSON; charset=utf-8", Kind::Json),
            ("application/cloudevents+json", Kind::Json),
            ("application/x-ndjson", Kind::JsonLines),
            ("text/xml", Kind::Xml),
            ("application/soap+xml;charset=\"utf-8\"", Kind::Xml),
            ("application/x-www-form-urlencoded", Kind::Form),
            ("text/plain", Kind::Text),
            ("application/json-seq", Kind::Text),
        ] {
            assert_eq!(Media::parse(text).unwrap(), Media { text: text.to_owned(), kind }, "{text}");
        }
    }

    #[test]
    fn what_is_no_content_type_is_refused() {
        for text in [
            "",
            "json",
            "/json",
            "application/",
            "application json",
            "a/b/c",
            "text/plain; charset",
            "text/plain; =x",
            "text/plain\r\nx: y",
            "text/plain; a=\"b\r\nc: d\"",
            "téxt/plain",
        ] {
            assert_eq!(Media::parse(text), None, "{text:?}");
        }
    }
}
