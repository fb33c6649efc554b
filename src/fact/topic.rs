//! The topics there are, what each tells, and how its facts are kept.

/// How facts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Few and precious: on the disk together with what caused them, delivered for days.
    Control,
    /// Many and soon stale: in memory, the oldest give way.
    Meter,
}

/// One topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// When it is told.
    pub(crate) about: &'static str,
    /// The data of one fact, a JSON object with every member that there can be.
    pub(crate) sample: &'static str,
}

/// Topics of plugins begin so.
pub(crate) const OF_PLUGINS: &str = "x.";

/// Every topic of our own.
pub(crate) const CATALOGUE: &[Topic] = &[];

/// The topic of this name.
pub(crate) fn find(name: &str) -> Option<&'static Topic> {
    CATALOGUE.iter().find(|topic| topic.name == name)
}

/// How facts of this topic are kept; those of plugins like control facts.
pub(crate) fn class(name: &str) -> Class {
    find(name).map_or(Class::Control, |topic| topic.class)
}
