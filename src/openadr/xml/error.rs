//! Says what is wrong with a document, and where.

use std::fmt;

use super::names::Ns;

/// Where in the document: line and column, both from 1, and the path of elements down to there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// `oadrDistributeEvent/oadrEvent[2]/eiEvent`; empty where no element is open.
    pub(crate) path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{} ", self.path)?;
        }
        write!(f, "(line {}, column {})", self.line, self.column)
    }
}

/// A document that cannot be taken for a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub(crate) struct XmlError {
    pub(crate) place: Place,
    pub(crate) fault: XmlFault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlFault {
    #[error("document has {bytes} bytes, at most {limit} are accepted")]
    TooLarge { bytes: usize, limit: usize },
    #[error("not UTF-8")]
    NotUtf8,
    #[error("character U+{0:04X} is not allowed in XML")]
    BadCharacter(u32),
    #[error("not well-formed: {0}")]
    NotWellFormed(String),
    #[error("a DOCTYPE is never accepted")]
    Doctype,
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("expected {expected}, found {found}")]
    Unexpected { expected: String, found: String },
    #[error("{0}")]
    Value(String),
}

/// `ei:venID`, as it is written in messages to people.
pub(super) fn qualified(ns: Ns, name: &str) -> String {
    format!("{}:{name}", ns.prefix())
}
