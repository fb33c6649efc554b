//! Keeps browsers of other people's pages out: by which name we are asked for, and from where.
//!
//! A page on the web can have its visitor's browser ask any address that the browser can reach. What such a page sends bears the page's
//! host in `Host` where it lets its own name point to us (DNS rebinding), and otherwise `Origin` or `Sec-Fetch-Site` that say it is
//! another's. Nothing here allows other origins anything (no CORS), so what is answered to them they cannot read.

use std::net::IpAddr;

use hyper::header::{CONTENT_ENCODING, HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};

use super::answer::Answer;
use super::call::content_type;

const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// Names of parameters that somebody may put a token into.
const LIKE_TOKENS: [&str; 5] = ["token", "access_token", "api_key", "apikey", "authkey"];

/// The names by which we may be asked for, beside `localhost` and the address of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) const fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    fn know(&self, host: &str, ours: IpAddr) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if let Some(address) = address {
            // A loopback address is nobody else's, whatever names point to it.
            return address.to_canonical() == ours.to_canonical() || address.is_loopback();
        }
        name == "localhost" || self.0.contains(&name)
    }

    /// By whose name we are asked, where it is ours.
    ///
    /// # Errors
    ///
    /// The answer to whoever means somebody else.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap, ours: IpAddr) -> Result<Authority, Answer> {
        let bad = |why| Err(Answer::problem(StatusCode::BAD_REQUEST, why));
        let mut all = headers.get_all(HOST).iter();
        let (Some(first), None) = (all.next(), all.next()) else {
            return bad("expected one Host");
        };
        let text = first.to_str().ok().filter(|text| !text.contains('@'));
        let Some(host) = text.and_then(|text| text.parse::<Authority>().ok()) else {
            return bad("Host is no name and port");
        };
        for authority in std::iter::once(&host).chain(uri.authority()) {
            if !self.know(authority.host(), ours) {
                let why = format!(
                    "{:?} is not a name of this VEN; if it shall be one, add it to [http] hosts",
                    authority.host()
                );
                return Err(Answer::problem(StatusCode::MISDIRECTED_REQUEST, why));
            }
        }
        Ok(host)
    }
}

/// Whether a call that changes something comes from a page of somebody else.
///
/// # Errors
///
/// The answer to it, if so.
pub(super) fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Answer> {
    let forbidden = |why: &str| Err(Answer::problem(StatusCode::FORBIDDEN, why));
    for site in headers.get_all(SEC_FETCH_SITE) {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return forbidden("pages of other sites change nothing here (Sec-Fetch-Site)");
        }
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
        let same = origin.is_some_and(|origin| origin.scheme().is_some() && origin.authority() == Some(host));
        if !same {
            return forbidden("pages of other sites change nothing here (Origin)");
        }
    }
    Ok(())
}

/// Whether the body, where there is one, is of a type that is taken.
///
/// # Errors
///
/// The answer that names those that are.
pub(super) fn check_type(headers: &HeaderMap, takes: &[&str]) -> Result<(), Answer> {
    let unsupported = |why: String| Err(Answer::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    if headers.contains_key(CONTENT_ENCODING) {
        return unsupported("the body has to be as it is, without Content-Encoding".into());
    }
    let found = content_type(headers);
    if takes.contains(&found.as_str()) {
        return Ok(());
    }
    unsupported(match takes {
        [] => "this takes no body".into(),
        takes => format!("expected Content-Type {}, found {found:?}", takes.join(" or ")),
    })
}

/// Whether there is something like a token in the address, where logs and histories keep it.
///
/// # Errors
///
/// The answer that says where it belongs.
pub(super) fn check_address(query: &[(String, String)]) -> Result<(), Answer> {
    let like_token = query
        .iter()
        .find(|(name, _)| LIKE_TOKENS.contains(&name.replace('-', "_").to_ascii_lowercase().as_str()));
    like_token.map_or(Ok(()), |(name, _)| {
        let why = format!(
            "a token does not belong into an address ({name}=), which logs keep: send \"Authorization: Bearer TOKEN\", and make a new one"
        );
        Err(Answer::problem(StatusCode::BAD_REQUEST, why))
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hyper::Uri;
    use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};

    use super::{Hosts, check_origin, check_type};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn status_of_host(uri: &str, hosts: &[&str], ours: &str) -> u16 {
        let names = Hosts::new(vec!["ven.local".into()]);
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        let ours: IpAddr = ours.parse().unwrap();
        match names.check(&uri.parse::<Uri>().unwrap(), &headers, ours) {
            Ok(_) => 200,
            Err(answer) => answer.status.as_u16(),
        }
    }

    #[test]
    fn only_names_of_ours_are_answered_so_that_no_name_can_be_bound_to_us() {
        for (hosts, ours, expected) in [
            (["localhost:8410"].as_slice(), "127.0.0.1", 200),
            (&["LOCALHOST."], "127.0.0.1", 200),
            (&["127.0.0.1:8410"], "127.0.0.1", 200),
            (&["[::1]:8410"], "::1", 200),
            (&["ven.local"], "192.168.1.5", 200),
            (&["192.168.1.5:8410"], "::ffff:192.168.1.5", 200),
            (&["192.168.1.6"], "192.168.1.5", 421),
            (&["evil.example"], "127.0.0.1", 421),
            (&["localhost.evil.example"], "127.0.0.1", 421),
            (&["127.0.0.1.evil.example"], "127.0.0.1", 421),
            (&["evil.example:80@localhost"], "127.0.0.1", 400),
            (&["x.ven.local"], "127.0.0.1", 421),
            (&["a b"], "127.0.0.1", 400),
            (&[], "127.0.0.1", 400),
            (&["localhost", "evil.example"], "127.0.0.1", 400),
        ] {
            assert_eq!(status_of_host("/", hosts, ours), expected, "{hosts:?}");
        }
        assert_eq!(status_of_host("http://evil.example/", &["localhost"], "127.0.0.1"), 421);
    }

    #[test]
    fn pages_of_others_change_nothing() {
        let host = "localhost:8410".parse().unwrap();
        let check = |pairs: &[(&'static str, &str)]| check_origin(&headers(pairs), &host).is_ok();
        for good in [
            [].as_slice(),
            &[("origin", "http://localhost:8410")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("origin", "https://localhost:8410")],
        ] {
            assert!(check(good), "{good:?}");
        }
        for bad in [
            [("origin", "http://evil.example")].as_slice(),
            &[("origin", "http://localhost")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://localhost:8410"), ("origin", "http://evil.example")],
        ] {
            assert!(!check(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_body_is_of_a_type_that_forms_of_pages_cannot_send() {
        let json = ["application/json"].as_slice();
        for (pairs, takes, good) in [
            ([("content-type", "application/json; charset=utf-8")].as_slice(), json, true),
            (&[("content-type", "Application/JSON")], json, true),
            (&[("content-type", "text/plain")], json, false),
            (&[("content-type", "application/x-www-form-urlencoded")], json, false),
            (&[], json, false),
            (&[("content-type", "application/json")], &[], false),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], json, false),
        ] {
            assert_eq!(check_type(&headers(pairs), takes).is_ok(), good, "{pairs:?}");
        }
    }
}
