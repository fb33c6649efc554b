//! Finds what tests need and a machine may lack.
#![expect(clippy::print_stderr, reason = "a test that skips says so")]

use std::path::PathBuf;

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
