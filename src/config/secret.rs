//! Says where a secret stands; the file itself holds none.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::openadr::trust::Passphrase;

/// Where a secret is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In a file; a line end behind it does not belong to it.
    File(PathBuf),
}

/// A setting of the user's own in the environment, as `EDITOR`.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

impl SecretSource {
    /// Reads `${env:NAME}` or `${file:/path}`; `None` where it is something else.
    pub(super) fn parse(text: &str, folder: &Path) -> Option<Self> {
        let (kind, name) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
        match kind {
            _ if name.is_empty() => None,
            "env" => Some(Self::Env(name.to_owned())),
            "file" => Some(Self::File(folder.join(name))),
            _ => None,
        }
    }

    /// The secret.
    ///
    /// # Errors
    ///
    /// Says why there is none, and never what was found.
    pub(crate) fn read(&self) -> Result<Passphrase, String> {
        self.text().map(Passphrase::new)
    }

    /// The same as text, wiped when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`SecretSource::read`].
    pub(crate) fn text(&self) -> Result<Zeroizing<String>, String> {
        let (text, place) = match self {
            Self::Env(name) => {
                let text = std::env::var_os(name).ok_or_else(|| format!("${name} is not set"))?;
                let text = text.into_string().map_err(|_| format!("${name} is not UTF-8"))?;
                (text, format!("${name}"))
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                (text.map_err(|error| format!("{}: {error}", path.display()))?, path.display().to_string())
            }
        };
        let text = Zeroizing::new(text);
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            return Err(format!("{place} is empty"));
        }
        Ok(Zeroizing::new(secret.to_owned()))
    }
}
