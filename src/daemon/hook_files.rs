//! Files of one hook beside the configuration: what is wrong changes nothing, and what is right takes the place of what was there in one
//! step.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, HookFile, folder_of, is_fit_from_afar, is_name, names_no_file};
use crate::hook::settings::Serializers;

use super::outbox::Parts;

/// Why nothing is changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookFileFault {
    #[error(
        "expected a name of a small letter and then at most 62 small letters, digits, _ and -, found \"{0}\""
    )]
    Name(String),
    #[error("{0} is there already")]
    There(PathBuf),
    #[error("{hook} stands in {config}; change it there")]
    Elsewhere { hook: String, config: PathBuf },
    #[error("no hook is called \"{hook}\"; there is no {place}")]
    Unknown { hook: String, place: PathBuf },
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    NotFromAfar(String),
    #[error("{place}: {error}")]
    Io { place: PathBuf, error: io::Error },
}

/// The file of one hook, there or not.
#[derive(Clone, Debug)]
pub(crate) struct OwnFile {
    hook: String,
    /// The main file.
    config: PathBuf,
    pub(crate) place: PathBuf,
}

/// Who wants a hook like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// Somebody who may do on this machine what the VEN may.
    Here,
    /// Somebody who may say whom the VEN tells, and no more.
    Afar,
}

impl OwnFile {
    /// Where the hook of this name stands, if it has a file of its own.
    ///
    /// # Errors
    ///
    /// Where no hook may be called so, or the main file has one of this name.
    pub(crate) fn of(config: &Path, hook: &str) -> Result<Self, HookFileFault> {
        if !is_name(hook) {
            return Err(HookFileFault::Name(hook.to_owned()));
        }
        let place = HookFile::place(config, hook);
        // A configuration with faults may be why somebody changes it.
        let in_main = !place.exists()
            && Config::load(config).is_ok_and(|config| config.hooks.iter().any(|other| other.name == hook));
        if in_main {
            return Err(HookFileFault::Elsewhere { hook: hook.to_owned(), config: config.to_owned() });
        }
        Ok(Self { hook: hook.to_owned(), config: config.to_owned(), place })
    }

    /// It is there.
    pub(crate) fn exists(&self) -> bool {
        self.place.exists()
    }

    /// The same, if it is there.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub(crate) fn there(self) -> Result<Self, HookFileFault> {
        if self.exists() {
            return Ok(self);
        }
        Err(HookFileFault::Unknown { hook: self.hook, place: self.place })
    }

    /// What stands in it.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub(crate) fn text(&self) -> Result<String, HookFileFault> {
        std::fs::read_to_string(&self.place).map_err(|error| self.io(error))
    }

    /// Judges a text as the VEN would when it starts with it; what should be put right all the same.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, and with the rest of the configuration.
    pub(crate) fn check(
        &self,
        text: &str,
        whence: Whence,
        brought: &Serializers,
    ) -> Result<Vec<String>, HookFileFault> {
        let is_from_afar = whence == Whence::Afar;
        if is_from_afar {
            names_no_file(text).map_err(HookFileFault::NotFromAfar)?;
        }
        let wrong = |error: String| HookFileFault::Wrong(format!("{}: {error}", self.place.display()));
        let file = HookFile { path: self.place.clone(), text: Ok(text.to_owned()) };
        let loaded = Config::load_with(&self.config, file);
        let mut loaded = loaded.map_err(|error| HookFileFault::Wrong(error.to_string()))?;
        loaded.bring_serializers(brought);
        let found = loaded.hooks.iter().find(|other| other.name == self.hook);
        let settings = found.ok_or_else(|| wrong("the hook is not there".to_owned()))?;
        if is_from_afar {
            // Before a secret is read, so that nobody learns which files there are.
            is_fit_from_afar(settings, &self.config).map_err(HookFileFault::NotFromAfar)?;
        }
        let parts = Parts::of_configured(settings, folder_of(&self.config)).map_err(wrong)?;
        Ok(parts.renderer.warnings().to_vec())
    }

    /// Puts a text there: readers see the old file or the new one, whole; only its owner reads it. `instead`: of what is there.
    ///
    /// # Errors
    ///
    /// Where it cannot be written, or is there and may not.
    pub(crate) fn write(&self, text: &str, instead: bool) -> Result<(), HookFileFault> {
        let folder = self.place.parent().unwrap_or_else(|| Path::new("."));
        let written = || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            let placed =
                if instead { file.persist(&self.place) } else { file.persist_noclobber(&self.place) };
            placed?;
            std::fs::File::open(folder)?.sync_all()
        };
        written().map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return HookFileFault::There(self.place.clone());
            }
            self.io(error)
        })
    }

    /// Takes it away.
    ///
    /// # Errors
    ///
    /// Where that fails.
    pub(crate) fn remove(&self) -> Result<(), HookFileFault> {
        std::fs::remove_file(&self.place).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> HookFileFault {
        HookFileFault::Io { place: self.place.clone(), error }
    }
}
