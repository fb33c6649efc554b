//! Finds what tests need and a machine may lack.
#![expect(clippy::print_stderr, reason = "a test that skips says so")]

/// From wherever this file is included.
#[cfg(feature = "daemon")]
#[path = "test_support/mosquitto.rs"]
pub(crate) mod mosquitto;

use std::path::PathBuf;

/// Meters of IEC 62056-21 that calculate their checksum otherwise, or whose recording was changed by hand.
pub(crate) const HAS_ITS_OWN_CHECKSUM: [&str; 2] = ["iec-c-lgz", "iec-c-siemens"];

/// A program or package that a test compares with; `None` where it is missing and that is all right.
///
/// # Panics
///
/// Under `CI=true`, where nothing may be missing.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let venv = root.join("target/venv/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(venv).chain(std::env::split_paths(&path).map(|dir| dir.join(name)));
    let found = found.into_iter().find(|file| file.is_file());
    if found.is_none() {
        skip(name);
    }
    found
}

/// Says that a test does nothing because something is missing.
///
/// # Panics
///
/// Under `CI=true`.
pub(crate) fn skip(missing: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci, "{missing} is missing; tests/run installs it");
    eprintln!("skipped: {missing} is missing; tests/run installs it");
}

/// A folder of sample data beside the project; a test that reads it skips where it is absent.
pub(crate) fn samples(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: there are no samples in {}", path.display());
    None
}

/// What is expected of a sample stands beside it.
const EXPECTED: &str = ".expected.json";

/// What a meter said, and what is expected of it.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    pub(crate) expected: serde_json::Value,
}

/// Every recorded meter among the samples, by name.
///
/// # Panics
///
/// Where nothing is said of what is expected of one.
pub(crate) fn recordings() -> Vec<Recording> {
    let Some(folder) = samples("meters/samples") else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.display().to_string().ends_with(EXPECTED));
    // That tells where they come from.
    files.retain(|file| file.extension().is_none_or(|ending| ending != "md"));
    files.sort();
    let recording = |file: PathBuf| {
        let beside = format!("{}{EXPECTED}", file.display());
        let expected = std::fs::read(&beside)
            .unwrap_or_else(|error| panic!("{beside} must say what is expected: {error}"));
        Recording { file, expected: serde_json::from_slice(&expected).unwrap() }
    };
    files.into_iter().map(recording).collect()
}

impl Recording {
    pub(crate) fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What `ven meter replay` must be told to understand it: the keys, and whether the meter has a checksum of its own.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let keys = ["/keys", "/frame/keys", "/reader_is_given", ""].map(|place| self.expected.pointer(place));
        let key = |name: &str| keys.iter().flatten().find_map(|keys| keys[name].as_str());
        let mut arguments = Vec::new();
        for (name, argument) in [("encryption_key", "--key"), ("authentication_key", "--auth-key")] {
            arguments.extend(key(name).into_iter().flat_map(|key| [argument.to_owned(), key.to_owned()]));
        }
        if HAS_ITS_OWN_CHECKSUM.iter().any(|name| self.name().starts_with(name)) {
            arguments.push("--ignore-bcc".to_owned());
        }
        // A recording without an authentication key steers nothing either.
        if key("authentication_key").is_none() {
            arguments.push("--unauthenticated".to_owned());
        }
        arguments
    }
}
