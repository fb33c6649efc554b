//! Says what an answer of HTTP means for what is done next.

use hyper::StatusCode;
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER};

use crate::hook::outcome::Outcome;
use crate::time::{Span, Timestamp};

/// Of where a redirect leads no more than these characters are told.
const LOCATION_SHOWN: usize = 200;

/// What an answer means, and why in words where it is not that all is well.
///
/// A fault is the message's only where the status speaks of its content; everything else is told of the endpoint, or of how it is
/// configured, and may well be mended: then the message must still be there.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    expect: &[u16],
    wall: Timestamp,
) -> (Outcome, String) {
    let code = status.as_u16();
    let expected = if expect.is_empty() { status.is_success() } else { expect.contains(&code) };
    if expected {
        return (Outcome::Sent, String::new());
    }
    let answered = format!("answered {status}");
    match code {
        410 => (Outcome::Gone, format!("{answered}: the endpoint wants nothing any more")),
        400 | 406 | 409 | 413 | 415 | 422 => {
            (Outcome::Payload, format!("{answered}: it refuses this message"))
        }
        _ => {
            let why = match code {
                200..=299 => format!("{answered}, expected {}", listed(expect)),
                300..=399 => {
                    let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
                    let to = to.get(..LOCATION_SHOWN).unwrap_or(to);
                    format!(
                        "{answered} to {to}: redirects are not followed, url must name the endpoint itself"
                    )
                }
                401 | 403 => format!("{answered}: check the credentials of the hook"),
                404 | 405 => format!("{answered}: check url and method of the hook"),
                _ => answered,
            };
            (Outcome::Endpoint { retry_after: retry_after(headers, wall) }, why)
        }
    }
}

fn listed(expect: &[u16]) -> String {
    expect.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, by our clock. What lies in the past is no time at all.
fn retry_after(headers: &HeaderMap, wall: Timestamp) -> Option<Span> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()) {
        let seconds = if negative { 0 } else { digits.parse().unwrap_or(i64::MAX) };
        return Some(Span::from_seconds(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).map(Span::from_std).unwrap_or_default();
    Some((Timestamp::EPOCH + since_epoch - wall).max(Span::ZERO))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn outcome(code: u16, expect: &[u16]) -> Outcome {
        judge(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), expect, Timestamp::EPOCH).0
    }

    #[test]
    fn every_status_has_its_outcome() {
        let away = Outcome::Endpoint { retry_after: None };
        for code in 100..=999 {
            let expected = match code {
                200..=299 => Outcome::Sent,
                410 => Outcome::Gone,
                400 | 406 | 409 | 413 | 415 | 422 => Outcome::Payload,
                _ => away.clone(),
            };
            assert_eq!(outcome(code, &[]), expected, "{code}");
        }
        for (code, expected) in [(201, Outcome::Sent), (409, Outcome::Sent), (200, away.clone()), (204, away)]
        {
            assert_eq!(outcome(code, &[201, 409]), expected, "{code} where 201 and 409 are expected");
        }
    }

    #[test]
    fn what_is_amiss_is_told_in_words_that_help() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("https://elsewhere.example/x"));
        let why = |code: u16, expect: &[u16]| {
            judge(StatusCode::from_u16(code).unwrap(), &headers, expect, Timestamp::EPOCH).1
        };
        assert!(why(308, &[]).contains("to https://elsewhere.example/x: redirects are not followed"));
        assert_eq!(why(200, &[201, 202]), "answered 200 OK, expected 201 or 202");
        assert!(why(401, &[]).contains("credentials"));
        assert_eq!(why(204, &[]), "");
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(&[b'x'; 60_000]).unwrap());
        let (_, long) = judge(StatusCode::FOUND, &headers, &[], Timestamp::EPOCH);
        assert!(long.len() < 400, "{} characters", long.len());
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date_by_our_clock() {
        let wall: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, expected) in [
            ("6", Some(6)),
            (" 120 ", Some(120)),
            ("0", Some(0)),
            ("-1", Some(0)),
            ("-99999999999999999999999999", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("", None),
            ("-", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 36 Nov 1994 08:49:37 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after(&headers, wall), expected.map(Span::from_seconds), "{text:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("99999999999999999999999999"));
        assert!(retry_after(&headers, wall).unwrap() > Span::DAY * 36_500, "absurd, and no error");
    }
}
