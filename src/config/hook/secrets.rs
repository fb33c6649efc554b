//! Puts secrets where `${env:NAME}` and `${file:/path}` stand, when a hook is made ready and not before.
//!
//! So what is printed of a configuration shows none, and commands that deliver nothing need none.

use std::path::Path;

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
pub(in crate::config) fn filled(
    text: &str,
    folder: &Path,
    write: fn(&str) -> String,
) -> Result<String, String> {
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
    match &mut hook.target {
        Target::Http(target) => fill_http(target, folder)?,
        Target::Mqtt(target) => {
            if let Some(password) = &mut target.password {
                fill(password, "password", folder, as_it_is)?;
            }
        }
        Target::Exec(target) => {
            for (name, value) in &mut target.env {
                fill(value, &format!("env.{name}"), folder, as_it_is)?;
            }
        }
        Target::PvOutput(target) => fill(&mut target.api_key, "api_key", folder, as_it_is)?,
        Target::File(_) | Target::Tcp(_) | Target::Serial(_) => {}
    }
    Ok(hook)
}

fn fill(text: &mut String, setting: &str, folder: &Path, write: fn(&str) -> String) -> Result<(), String> {
    *text = filled(text, folder, write).map_err(|error| format!("{setting}: {error}"))?;
    Ok(())
}

fn fill_http(target: &mut HttpTarget, folder: &Path) -> Result<(), String> {
    fill(&mut target.url, "url", folder, encoded)?;
    for (name, value) in &mut target.headers {
        fill(value, &format!("headers.{name}"), folder, as_it_is)?;
    }
    for secret in &mut target.secrets {
        fill(secret, "secret", folder, as_it_is)?;
    }
    Ok(())
}
