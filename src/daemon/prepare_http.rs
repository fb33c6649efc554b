//! Loads what the configuration says of the local API: its certificate, its tokens.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::config::{HttpSection, HttpTls, MeterSource, Scope, SecretSource, TokenProof};

use super::http::{SHORTEST, Setup, Token, Tokens, hash};
use super::prepare::Faults;
use super::transport::tls;

/// The local API, where there is one; faults are noted.
pub(super) fn http(faults: &mut Faults<'_>) -> Option<Setup> {
    check_posted(faults);
    let section = faults.config.http.as_ref()?;
    let tokens = tokens(faults, section);
    let tls = match &section.tls {
        None => None,
        Some(section) => Some(Arc::new(server(faults, section)?)),
    };
    let (listen, hosts) = (section.listen, section.hosts.clone());
    Some(Setup { listen, hosts, tls, tokens })
}

/// Notes a meter to which nobody can give a telegram.
fn check_posted(faults: &mut Faults<'_>) {
    let config = faults.config;
    let Some(at) = config.meters.iter().position(|meter| meter.source == MeterSource::Api) else { return };
    if !config.plugins.is_empty() || config.rust_plugins.iter().any(|plugin| plugin.enabled) {
        return;
    }
    let what = match &config.http {
        None => {
            "takes telegrams from the local API, which is not there; add [http] listen = \"127.0.0.1:8410\", or a [[plugin]]"
        }
        Some(http) if http.tokens.iter().any(|token| token.scopes.contains(&Scope::Meter)) => return,
        Some(_) => {
            "takes telegrams from the local API, where nobody may give any; add an [[http.token]] with scopes = [\"meter\"], or a [[plugin]]"
        }
    };
    faults.check::<(), _>(&format!("meter[{at}].source"), None, Err(what));
}

/// Who may ask; faults are noted.
pub(super) fn tokens(faults: &mut Faults<'_>, section: &HttpSection) -> Tokens {
    let mut tokens = Vec::new();
    for (at, token) in section.tokens.iter().enumerate() {
        let hash = match &token.proof {
            TokenProof::Hash(hash) => Some(*hash),
            TokenProof::Secret(source) => {
                faults.check(&format!("http.token[{at}].token"), None, hash_of(source))
            }
        };
        let (name, scopes) = (token.name.clone(), token.scopes.clone());
        tokens.extend(hash.map(|hash| Token { name, hash, scopes }));
    }
    Tokens::new(tokens)
}

/// The hash of a token that stands elsewhere.
fn hash_of(source: &SecretSource) -> Result<[u8; 32], String> {
    if let SecretSource::File(path) = source {
        check_readers(path)?;
    }
    let token = source.text()?;
    if token.len() < SHORTEST {
        return Err(format!(
            "is shorter than {SHORTEST} characters, and can be guessed; `ven token new` makes one"
        ));
    }
    Ok(hash(&token))
}

/// Whoever reads the token can speak in the name of its owner.
fn check_readers(path: &Path) -> Result<(), String> {
    const OTHERS: u32 = 0o077;
    let named = |what: String| format!("{}: {what}", path.display());
    let mode = std::fs::metadata(path).map_err(|error| named(error.to_string()))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(named(format!(
            "others than its owner can use this token; run: chmod 600 {}",
            path.display()
        )));
    }
    Ok(())
}

/// TLS with the certificate of the local API; whoever asks says who it is by a token.
fn server(faults: &mut Faults<'_>, section: &HttpTls) -> Option<rustls::ServerConfig> {
    let cert = faults.certificate("http.cert", &section.cert);
    let key = faults.key("http", &section.key, section.passphrase.as_ref());
    let (cert, key) = (cert?, key?);
    faults.check("http.cert", Some(&section.cert), tls::server_for_anybody(&cert, key))
}
