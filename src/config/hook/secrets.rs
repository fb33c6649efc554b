//! Puts secrets where `${env:NAME}` and `${file:/path}` stand, when a hook is made ready and not before.
//!
//! So what is printed of a configuration shows none, and commands that deliver nothing need none.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::secret::SecretSource;
use crate::hook::settings::{HookSettings, HttpTarget, Target};

const OPEN: &str = "${";

/// Whether something like a reference stands there.
pub(super) fn has_secret(text: &str) -> bool {
    text.contains(OPEN)
}

/// A text in pieces: what stands between references, and the references.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct References<'t> {
    /// Before each reference, and the reference with its brackets.
    pieces: Vec<(&'t str, &'t str)>,
    rest: &'t str,
}

impl<'t> References<'t> {
    /// Takes a text apart.
    ///
    /// # Errors
    ///
    /// Where something begins like a reference and is none; without the text, which may be a secret.
    pub(in crate::config) fn of(text: &'t str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected ${env:NAME} or ${file:/path} where ${ stands";
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find(OPEN) {
            let length = rest[start..].find('}').ok_or(EXPECTED)? + 1;
            let reference = &rest[start..start + length];
            SecretSource::parse(reference, Path::new("")).ok_or(EXPECTED)?;
            pieces.push((&rest[..start], reference));
            rest = &rest[start + length..];
        }
        Ok(Self { pieces, rest })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// The text with its secrets, each written as `write` has it.
pub(in crate::config) fn filled(text: &str, folder: &Path, write: Write) -> Result<String, String> {
    let references = References::of(text)?;
    let mut filled = String::new();
    for (before, reference) in references.pieces {
        filled.push_str(before);
        let source = SecretSource::parse(reference, folder).ok_or("is no reference")?;
        let secret: Zeroizing<String> = source.text()?;
        filled.push_str(&write(&secret));
    }
    filled.push_str(references.rest);
    Ok(filled)
}

/// For the path and the query of a URL: whatever could end a part of it is written as %XX (RFC 3986, 2.1); a path may be secret as a
/// whole, so / stays.
fn encoded(secret: &str) -> String {
    let mut text = String::new();
    for octet in secret.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet) {
            text.push(char::from(octet));
        } else {
            text.push_str(&format!("%{octet:02X}"));
        }
    }
    text
}

fn as_it_is(secret: &str) -> String {
    secret.to_owned()
}

/// The same hook with its secrets in it.
///
/// # Errors
///
/// Which setting lacks its secret, and why; never what was found.
pub(crate) fn with_secrets(hook: &HookSettings, folder: &Path) -> Result<HookSettings, String> {
    let mut hook = hook.clone();
    for (text, setting, write) in settings(&mut hook.target) {
        *text = filled(text, folder, write).map_err(|error| format!("{setting}: {error}"))?;
    }
    Ok(hook)
}

/// Where the secrets of a hook stand.
pub(super) fn secret_sources(hook: &HookSettings, folder: &Path) -> Vec<SecretSource> {
    let mut target = hook.target.clone();
    let mut sources = Vec::new();
    for (text, ..) in settings(&mut target) {
        // What is no reference was refused when it was read.
        let references = References::of(text).map_or_else(|_| Vec::new(), |references| references.pieces);
        sources.extend(
            references.into_iter().filter_map(|(_, reference)| SecretSource::parse(reference, folder)),
        );
    }
    sources
}

/// The files in which the secrets of a hook stand.
pub(crate) fn secret_files(hook: &HookSettings, folder: &Path) -> Vec<PathBuf> {
    let files = secret_sources(hook, folder).into_iter().filter_map(|source| match source {
        SecretSource::File(path) => Some(path),
        SecretSource::Env(_) => None,
    });
    files.collect()
}

/// How a secret is written into a setting.
type Write = fn(&str) -> String;

/// Every setting in which a secret may stand, what it is called, and how secrets are written into it.
fn settings(target: &mut Target) -> Vec<(&mut String, String, Write)> {
    match target {
        Target::Http(target) => of_http(target),
        Target::Mqtt(target) => {
            let password = target.password.iter_mut();
            password.map(|password| (password, "password".to_owned(), as_it_is as Write)).collect()
        }
        Target::Exec(target) => {
            let env = target.env.iter_mut();
            env.map(|(name, value)| (value, format!("env.{name}"), as_it_is as Write)).collect()
        }
        Target::PvOutput(target) => vec![(&mut target.api_key, "api_key".to_owned(), as_it_is)],
        Target::File(_) | Target::Tcp(_) | Target::Serial(_) => Vec::new(),
    }
}

fn of_http(target: &mut HttpTarget) -> Vec<(&mut String, String, Write)> {
    let mut settings: Vec<(&mut String, String, Write)> = vec![(&mut target.url, "url".to_owned(), encoded)];
    for (name, value) in &mut target.headers {
        settings.push((value, format!("headers.{name}"), as_it_is));
    }
    settings.extend(target.secrets.iter_mut().map(|secret| (secret, "secret".to_owned(), as_it_is as Write)));
    settings
}
