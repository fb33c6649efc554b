//! Bounds what a peer can make us hold and do.

/// How much of a document is accepted; beyond it the document is refused while it is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Size of the whole document.
    pub(crate) bytes: usize,
    /// Elements inside each other.
    pub(crate) depth: usize,
    /// Attributes and namespace declarations of one element.
    pub(crate) attributes: usize,
    /// Length of one attribute's value.
    pub(crate) attribute_bytes: usize,
    /// Elements, texts, comments and instructions together.
    pub(crate) nodes: usize,
    /// Namespace declarations that hold at one place.
    pub(crate) namespaces: usize,
}

impl Limits {
    /// What a VEN takes from a VTN: 2,000 events in one message fit (8 MiB); the deepest lawful message has 18 levels.
    pub(crate) const VEN: Self = Self {
        bytes: 8 * 1024 * 1024,
        depth: 40,
        attributes: 32,
        attribute_bytes: 4096,
        nodes: 400_000,
        namespaces: 64,
    };

    /// What a VTN takes from a VEN: histories are longer than events.
    pub(crate) const VTN: Self = Self { bytes: 32 * 1024 * 1024, nodes: 2_000_000, ..Self::VEN };
}
