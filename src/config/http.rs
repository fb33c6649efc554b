//! Reads `[http]`: where the local API listens, and who may ask it what.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::read::secret;
use super::reader::{Found, Section};
use super::secret::SecretSource;

/// `[http]`: the local API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpSection {
    pub(crate) listen: SocketAddr,
    /// Names beside the usual ones by which it may be asked for.
    pub(crate) hosts: Vec<String>,
    /// `None`: in the clear, on this machine only.
    pub(crate) tls: Option<HttpTls>,
    pub(crate) tokens: Vec<TokenSection>,
}

/// With what the local API shows itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpTls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// What opens the key, where it is encrypted.
    pub(crate) passphrase: Option<SecretSource>,
}

/// `[[http.token]]`: somebody who may ask.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenSection {
    pub(crate) name: String,
    pub(crate) proof: TokenProof,
    pub(crate) scopes: Vec<Scope>,
}

/// By what a token is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenProof {
    /// Its SHA-256.
    Hash([u8; 32]),
    /// Itself.
    Secret(SecretSource),
}

/// What somebody may ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// How the VEN stands; what happens.
    Read,
    /// Monitors of one's own.
    Monitors,
    /// Hooks, and what they were to tell.
    Hooks,
    /// To say who is told what: hooks are made, changed and removed.
    Admin,
    /// To give telegrams of a meter.
    Meter,
    /// The routes of this plugin.
    Plugin(String),
}

impl Scope {
    /// How scopes are written.
    pub(crate) const FORMS: &str =
        "\"read\", \"monitors\", \"hooks\", \"admin\", \"meter\" or \"plugin:NAME\"";

    /// `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "read" => Self::Read,
            "monitors" => Self::Monitors,
            "hooks" => Self::Hooks,
            "admin" => Self::Admin,
            "meter" => Self::Meter,
            _ => Self::Plugin(text.strip_prefix("plugin:").filter(|name| !name.is_empty())?.to_owned()),
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Monitors => f.write_str("monitors"),
            Self::Hooks => f.write_str("hooks"),
            Self::Admin => f.write_str("admin"),
            Self::Meter => f.write_str("meter"),
            Self::Plugin(name) => write!(f, "plugin:{name}"),
        }
    }
}

/// Before the hash of a token.
pub(crate) const HASH: &str = "sha256:";

impl TokenProof {
    /// Reads `sha256:` and 64 hexadecimal digits; `None` where it is something else.
    fn hash(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? * 16 + digit(pair[1])?;
        }
        Some(Self::Hash(hash))
    }
}

/// `None` where there is no local API.
pub(super) fn http(root: &Section<'_, '_>, folder: &Path) -> Option<HttpSection> {
    let section = root.section("http");
    if !root.has("http") && !section.has("listen") {
        return None;
    }
    let advice = "say where the local API listens, as listen = \"127.0.0.1:8410\"";
    let listen = section.required("listen", advice).and_then(|found| address(&section, &found));
    let hosts = hosts(&section);
    let tls = tls(&section, folder);
    let sections = section.sections("token");
    let none = sections.is_empty();
    let tokens: Vec<_> = sections.into_iter().filter_map(|section| token(section, folder)).collect();
    for (at, token) in tokens.iter().enumerate() {
        if tokens[..at].iter().any(|other| other.name == token.name) {
            section.fault("token", format!("the name \"{}\" stands twice", token.name));
        }
    }
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        if tls.is_none() && !section.has("cert") {
            let what =
                format!("is missing: {listen} can be reached from elsewhere, so it needs cert and key");
            section.fault("cert", what);
        }
        if none {
            let what = format!(
                "is missing: {listen} can be reached from elsewhere, so somebody has to be named who may ask; \
                 `ven token new` makes a token"
            );
            section.fault("token", what);
        }
    }
    section.end();
    Some(HttpSection { listen: listen?, hosts, tls, tokens })
}

fn address(section: &Section<'_, '_>, found: &Found<String>) -> Option<SocketAddr> {
    let address = found.value.parse().ok();
    if address.is_none() {
        let what =
            format!("expected an address and a port like \"127.0.0.1:8410\", found \"{}\"", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    address
}

fn hosts(section: &Section<'_, '_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for found in section.texts("hosts") {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if found.value.is_empty() || !found.value.bytes().all(name) {
            let what = format!(
                "expected the name of a host, without port, path or *, as \"ven.local\"; found \"{}\"",
                found.value
            );
            section.reader.fault(found.line, &found.key, what);
        }
        hosts.push(found.value.to_ascii_lowercase());
    }
    hosts
}

fn tls(section: &Section<'_, '_>, folder: &Path) -> Option<HttpTls> {
    let (cert, key) = (section.text("cert"), section.text("key"));
    let passphrase = secret(section, "passphrase", "a passphrase", folder);
    for (one, other) in [("cert", "key"), ("key", "cert"), ("passphrase", "key")] {
        if section.has(one) && !section.has(other) {
            section.fault_at(one, format!("needs {other} beside it"));
        }
    }
    Some(HttpTls { cert: folder.join(cert?.value), key: folder.join(key?.value), passphrase })
}

fn token(section: Section<'_, '_>, folder: &Path) -> Option<TokenSection> {
    let advice = "say whose token it is, as name = \"grafana\"; the log names it so";
    let name = section.required("name", advice);
    let proof = match (section.text("hash"), section.has("token")) {
        (Some(found), true) => {
            section.reader.fault(found.line, &found.key, "stands beside token; take one of them out");
            None
        }
        (Some(found), false) => {
            let hash = TokenProof::hash(&found.value);
            if hash.is_none() {
                // What stands there may be the token, and faults are printed.
                let what = "expected \"sha256:\" and 64 hexadecimal digits, as `ven token new` prints them";
                section.reader.fault(found.line, &found.key, what);
            }
            hash
        }
        (None, true) => secret(&section, "token", "a token", folder).map(TokenProof::Secret),
        (None, false) => {
            if !section.has("hash") {
                section.fault("hash", "is missing; `ven token new` makes a token and prints its hash");
            }
            None
        }
    };
    let mut scopes = Vec::new();
    for found in section.texts("scopes") {
        let scope = Scope::parse(&found.value);
        if scope.is_none() {
            let what = format!("expected {}, found \"{}\"", Scope::FORMS, found.value);
            section.reader.fault(found.line, &found.key, what);
        }
        scopes.extend(scope);
    }
    if !section.has("scopes") {
        section.fault("scopes", format!("is missing; say what it may do: a list of {}", Scope::FORMS));
    }
    section.end();
    Some(TokenSection { name: name?.value, proof: proof?, scopes })
}
