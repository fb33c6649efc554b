//! Says what is wrong with a configuration: what, where, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The file, where it is not the main one but one beside it.
    pub file: Option<PathBuf>,
    /// The line in the file, where it is about one.
    pub line: Option<usize>,
    /// The setting, as `tls.key` or `meter[0].source`; empty where it is about the file as a whole.
    pub key: String,
    /// What is wrong, and what was expected.
    pub what: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub faults: Vec<ConfigFault>,
}

impl ConfigFault {
    /// One line that says where it is and what it is; `file`: the main one.
    pub(crate) fn in_file(&self, file: &Path) -> String {
        let file = self.file.as_deref().unwrap_or(file);
        let line = self.line.map_or_else(String::new, |line| format!(":{line}"));
        let key = if self.key.is_empty() { String::new() } else { format!(": {}", self.key) };
        format!("{}{line}{key}: {}", file.display(), self.what)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.faults.iter().map(|fault| fault.in_file(&self.file)).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// The candidate that is nearest to a text, if any is near enough to be a slip of the finger.
pub(super) fn nearest<'c>(text: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let scored = candidates.iter().map(|candidate| (distance(text, candidate), *candidate));
    let (distance, candidate) = scored.min()?;
    (distance <= candidate.len().max(text.len()) / 3 + 1).then_some(candidate)
}

/// How many letters must be put in, left out or changed to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn slips_of_the_finger_are_recognised() {
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("a", "a")), (3, 3, 0));
        assert_eq!(nearest("fingerprint", &["vtn_fingerprint", "verify"]), Some("vtn_fingerprint"));
        assert_eq!(nearest("urll", &["url", "mode"]), Some("url"));
        assert_eq!(nearest("zzzzzz", &["url", "mode"]), None);
    }
}
