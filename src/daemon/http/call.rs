//! What is asked: parameters of the path, the query, headers, a body.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::token::{Admission, Who};

/// What somebody asks, after it was found that they may.
#[derive(Debug)]
pub(in crate::daemon) struct Call {
    pub(in crate::daemon) who: Who,
    /// What goes on for long ends with it.
    pub(in crate::daemon) admission: Admission,
    pub(in crate::daemon) headers: HeaderMap,
    /// Empty where there is none.
    pub(in crate::daemon) body: Bytes,
    /// What stands in the place of `{name}` in the path of the route.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    /// The query as it was written.
    pub(in crate::daemon) query_text: String,
}

impl Call {
    /// What stands in the path in the place of `{name}`; empty where the route has no such place.
    pub(in crate::daemon) fn parameter(&self, name: &str) -> &str {
        value(&self.parameters, name).unwrap_or_default()
    }

    /// What stands behind `name=` in the query.
    pub(in crate::daemon) fn query(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// The body as JSON that has to be so.
    ///
    /// # Errors
    ///
    /// The answer that says what is wrong with it, and where.
    pub(in crate::daemon) fn json<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        let fault = |error: serde_json::Error| {
            Answer::problem(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}"))
        };
        serde_json::from_slice(&self.body).map_err(fault)
    }

    /// Whether an answer may be packed as gzip (RFC 9110, 12.5.3).
    pub(in crate::daemon) fn takes_gzip(&self) -> bool {
        takes_gzip(&self.headers)
    }

    /// The type of the body, without what stands behind it.
    pub(in crate::daemon) fn content_type(&self) -> String {
        content_type(&self.headers)
    }
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The type in `Content-Type`, in small letters and without parameters; empty where there is none.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let names_it = |coding: &str| {
        let mut words = coding.split(';').map(|word| word.trim().to_ascii_lowercase());
        // A weight of nothing refuses it.
        words.next().is_some_and(|name| name == "gzip" || name == "x-gzip")
            && !words.any(|word| {
                word.strip_prefix("q=").is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
            })
    };
    values.flat_map(|value| value.split(',')).any(names_it)
}

/// The pairs of a form (`application/x-www-form-urlencoded`, WHATWG URL 5.1), as octets; `None` where a `%` has no two digits behind it.
pub(in crate::daemon) fn form(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let pieces = text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    let pair = |piece: &[u8]| {
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        Some((decoded(halves.next()?)?, decoded(halves.next().unwrap_or_default())?))
    };
    pieces.map(pair).collect()
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? * 16 + digit(*rest.next()?)?,
            byte => *byte,
        });
    }
    Some(bytes)
}

/// The pairs of a query; `None` where they cannot be read.
pub(super) fn query(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = form(text.as_bytes())?.into_iter();
    pairs.map(|(name, value)| Some((String::from_utf8(name).ok()?, String::from_utf8(value).ok()?))).collect()
}

/// One segment of a path, decoded; a `+` is itself there.
pub(super) fn segment(text: &str) -> Option<String> {
    String::from_utf8(decoded(text.replace('+', "%2B").as_bytes())?).ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    use super::{form, query, segment, takes_gzip};

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        for value in ["gzip", "deflate, GZip, br", "br;q=1.0, gzip;q=0.8", "x-gzip", "gzip; q=0.001"] {
            assert!(takes(value), "{value}");
        }
        // Who takes anything does not ask for it.
        for value in ["", "br", "gzip;q=0", "gzip; Q=0.000, br", "gzipped", "*"] {
            assert!(!takes(value), "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn forms_are_read_octet_by_octet() {
        let telegram = form(b"telegram=%2FISk5%0D%0A%0D%0A1-0%3A1.8.0%28000%2A%29+%21&x").unwrap();
        assert_eq!(telegram[0], (b"telegram".to_vec(), b"/ISk5\r\n\r\n1-0:1.8.0(000*) !".to_vec()));
        assert_eq!(telegram[1], (b"x".to_vec(), Vec::new()));
        assert_eq!(form(b"a=%FF").unwrap()[0].1, [0xff]);
        for broken in [b"a=%".as_slice(), b"a=%1", b"a=%zz", b"%g0=1", b"a=%+1"] {
            assert_eq!(form(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn queries_and_segments_are_text() {
        assert_eq!(
            query("a=1&b=x%20y+z"),
            Some(vec![("a".into(), "1".into()), ("b".into(), "x y z".into())])
        );
        assert_eq!(query("a=%FF"), None);
        assert_eq!(segment("a+b%2Fc").as_deref(), Some("a+b/c"));
    }
}
