//! Reads `type = "http"`.

use std::net::IpAddr;
use std::path::Path;

use crate::hook::settings::HttpTarget;

use super::super::read::or;
use super::super::reader::{Found, Section};
use super::secrets::{References, has_secret};

/// Set by the request itself (RFC 9110, RFC 9112), or by the signature.
const OURS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
const OF_SIGNATURE: &str = "webhook-";
/// What stands in these is a secret (RFC 9110, RFC 6265).
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
const METHODS: &[(&str, &str)] =
    &[("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("GET", "GET"), ("DELETE", "DELETE")];

pub(super) fn target(section: &Section<'_, '_>, folder: &Path) -> Option<HttpTarget> {
    let allow_http = or(section.boolean("allow_http"), false);
    let allow_private = or(section.boolean("allow_private"), false);
    let advice = "say where it goes, as url = \"https://example.net/hook\"";
    let url =
        section.required("url", advice).map(|found| Found { value: found.value.trim().to_owned(), ..found });
    if let Some(found) = &url
        && let Err(what) = check_url(&found.value, allow_http, allow_private)
    {
        section.reader.fault(found.line, &found.key, what);
    }
    let method = or(section.choice("method", METHODS), "POST").to_owned();
    let headers = headers(section);
    let expect = expect(section);
    let gzip = or(section.choice("compression", &[("none", false), ("gzip", true)]), false);
    let secrets = secrets(section, "secret");
    let ca = section.text("ca").filter(|found| found.value != "system").map(|found| folder.join(found.value));
    Some(HttpTarget { url: url?.value, method, headers, expect, gzip, secrets, allow_private, ca })
}

/// Secrets, of which each must be somewhere else.
pub(super) fn secrets(section: &Section<'_, '_>, name: &'static str) -> Vec<String> {
    let found = section.texts(name);
    for found in &found {
        match References::of(&found.value) {
            Err(what) => section.reader.fault(found.line, &found.key, what),
            Ok(references) if references.is_empty() => {
                // What stands there may be the secret, and faults are printed.
                let what = "expected \"${env:NAME}\" or \"${file:/path}\"; the secret itself does not belong in this file: put \
                            it into a file that only the VEN's user can read";
                section.reader.fault(found.line, &found.key, what);
            }
            Ok(_) => {}
        }
    }
    found.into_iter().map(|found| found.value).collect()
}

/// Statuses that mean that it is there.
fn expect(section: &Section<'_, '_>) -> Vec<u16> {
    let mut expect = Vec::new();
    for found in section.numbers("expect") {
        match u16::try_from(found.value).ok().filter(|status| (200..=599).contains(status)) {
            Some(status) => expect.push(status),
            None => {
                let what = format!("expected statuses of HTTP, 200 to 599, found {}", found.value);
                section.reader.fault(found.line, &found.key, what);
            }
        }
    }
    expect
}

fn headers(section: &Section<'_, '_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, found) in section.pairs("headers") {
        let twice = headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name));
        let what = if twice {
            Err("stands twice; capital letters make no difference in names of headers".to_owned())
        } else {
            check_header(&name, &found.value)
        };
        match what {
            Ok(()) => headers.push((name, found.value)),
            Err(what) => section.reader.fault(found.line, &found.key, format!("invalid-header: {what}")),
        }
    }
    headers
}

/// Names by RFC 9110, 5.6.2; values by 5.5.
fn check_header(name: &str, value: &str) -> Result<(), String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err("no header can be called that: letters, digits and - are usual".into());
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) {
        return Err("is set by the request itself; leave it out".into());
    }
    if lower.starts_with(OF_SIGNATURE) {
        return Err("names that begin with webhook- are those of the signature; see secret".into());
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err("the value has control characters, as a line end".into());
    }
    if References::of(value)?.is_empty() && CREDENTIALS.contains(&lower.as_str()) {
        return Err("what stands there is a secret, which does not belong in this file; expected \
                    \"${env:NAME}\" or \"Bearer ${file:/path}\""
            .into());
    }
    Ok(())
}

/// A URL in which there may be secrets behind the host.
pub(super) fn check_url(url: &str, allow_http: bool, allow_private: bool) -> Result<(), String> {
    References::of(url)?;
    let form = "expected \"https://HOST[:PORT]/PATH\"";
    if let Some(wrong) = url.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!(
            "{wrong:?} cannot stand in a URL; write it as %XX, a host of another script as xn--…"
        ));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{form}; there is no :// in it"))?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(format!("{form}, found {scheme}://")),
    };
    if rest.contains('#') {
        return Err("what stands behind # is never sent; leave it out".into());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if has_secret(authority) {
        return Err("a secret can stand behind the host only".into());
    }
    if authority.contains('@') {
        return Err("credentials do not belong into it; say headers = { Authorization = \"…\" }".into());
    }
    let host = host(authority).ok_or_else(|| format!("{form}, found \"{authority}\" as host and port"))?;
    let at_home = at_home(host);
    if !secure && at_home != Some(Home::Machine) && !allow_http {
        return Err(
            "by http everybody on the way reads and changes it; use https, or say allow_http = true".into()
        );
    }
    match at_home {
        Some(home) if !allow_private => {
            let home = match home {
                Home::Machine => "this machine",
                Home::Network => "a private network",
            };
            Err(format!("{host} is {home}; say allow_private = true if that is meant"))
        }
        _ => Ok(()),
    }
}

/// The host of `HOST[:PORT]`, where both are well formed.
pub(super) fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_fits = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    (port_fits && !host.is_empty() && host.chars().all(fits)).then_some(host)
}

/// Places that others mean when they make one speak to oneself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Machine,
    Network,
}

/// By what is written; where names lead is seen when it is connected.
fn at_home(host: &str) -> Option<Home> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Home::Machine);
    }
    match host.parse::<IpAddr>().ok()? {
        address if address.is_loopback() => Some(Home::Machine),
        IpAddr::V4(address) if address.is_private() => Some(Home::Network),
        IpAddr::V6(address) if address.is_unique_local() => Some(Home::Network),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
