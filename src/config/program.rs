//! Reads which program is run, and how: of `[handler] kind = "exec"` and of `[[plugin]]`.

use std::path::Path;

use super::handed::{Handed, handed};
use super::read::or;
use super::reader::Section;
use super::secret::SecretSource;

/// Octets of memory that a program may have of its own, where nothing else is configured: `python3` and `node` begin with less than 128 MiB.
pub(crate) const MAX_MEMORY: u64 = 512 << 20;
/// With less, `sh` does not begin.
const LEAST_MEMORY: u64 = 8 << 20;

/// A program that is run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProgramSection {
    /// The program and its arguments; no shell reads them.
    pub(crate) command: Vec<String>,
    /// It is run for each question, and does not go on running.
    pub(crate) once: bool,
    pub(crate) startup: Startup,
    /// Its environment, beside what every program is given.
    pub(crate) environment: Vec<(String, EnvValue)>,
    /// Octets of memory that it may have of its own, as may each process that it starts.
    pub(crate) max_memory: u64,
    /// Handed to it when it is initialized.
    pub(crate) config: Handed,
}

/// What is done where a program cannot be started at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Startup {
    /// The VEN does not start.
    Error,
    /// It is tried again for as long as it takes.
    Retry,
    /// The VEN runs without it.
    Ignore,
}

/// A value in the environment of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvValue {
    Text(String),
    Secret(SecretSource),
}

impl EnvValue {
    /// The value.
    ///
    /// # Errors
    ///
    /// Says why a secret cannot be read, and never what was found.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Secret(source) => source.text().map(|text| text.to_string()),
        }
    }
}

/// Reads the settings of a program; a path in `command` is relative to the file.
pub(super) fn program(section: &Section<'_, '_>, startup: Startup, folder: &Path) -> Option<ProgramSection> {
    let mut command: Vec<String> = section.texts("command").into_iter().map(|found| found.value).collect();
    if command.first().is_none_or(String::is_empty) {
        let what = "is missing; name the program and its arguments, as command = [\"/usr/bin/python3\", \"/etc/ven/decide.py\"]";
        section.fault("command", what);
    }
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = folder.join(&*program).to_string_lossy().into_owned();
    }
    let once = or(section.choice("mode", &[("persistent", false), ("oneshot", true)]), false);
    let words = [("error", Startup::Error), ("retry", Startup::Retry), ("ignore", Startup::Ignore)];
    let startup = or(section.choice("startup", &words), startup);
    let environment = environment(section, folder);
    let max_memory = max_memory(section);
    let config = handed(section);
    let program = ProgramSection { command, once, startup, environment, max_memory, config };
    (!program.command.is_empty()).then_some(program)
}

/// The octets of `max_memory`.
pub(super) fn max_memory(section: &Section<'_, '_>) -> u64 {
    let found = section.octets("max_memory");
    if let Some(found) = found.as_ref().filter(|found| found.value < LEAST_MEMORY) {
        let what = format!("expected at least {}MiB: no program begins with less", LEAST_MEMORY >> 20);
        section.reader.fault(found.line, &found.key, what);
    }
    or(found, MAX_MEMORY)
}

pub(super) fn environment(section: &Section<'_, '_>, folder: &Path) -> Vec<(String, EnvValue)> {
    let mut environment = Vec::new();
    for (name, found) in section.pairs("env") {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !name.chars().all(letter) || name.starts_with(|first: char| first.is_ascii_digit()) {
            let what = "is no name of an environment variable: it has letters, digits and _, and begins with no digit";
            section.reader.fault(found.line, &found.key, what);
        }
        let secret = SecretSource::parse(&found.value, folder);
        if secret.is_none() && found.value.starts_with("${") {
            let what = "expected a text, \"${env:NAME}\" or \"${file:/path}\"";
            section.reader.fault(found.line, &found.key, what);
        }
        environment.push((name, secret.map_or(EnvValue::Text(found.value), EnvValue::Secret)));
    }
    environment
}
