//! How hooks stand, for whoever looks while they are about something else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hook::queue::{Load, Losses, Standing};
use crate::time::Timestamp;

/// How a hook stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) standing: Standing,
    pub(crate) control: Load,
    pub(crate) meter: Load,
    /// Since when that waits which waits longest.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) losses: Losses,
    pub(crate) sent: u64,
    /// Facts that no filter could judge.
    pub(crate) filter_faults: u64,
    /// What the last try that failed said.
    pub(crate) last_fault: Option<String>,
}

/// How each hook stood when it last did something; clones show the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views(Arc<Mutex<BTreeMap<String, View>>>);

impl Views {
    /// A hook stands like this.
    pub(in crate::daemon) fn put(&self, name: &str, view: View) {
        self.held().insert(name.to_owned(), view);
    }

    /// A hook runs no more.
    pub(super) fn forget(&self, name: &str) {
        self.held().remove(name);
    }

    pub(super) fn of(&self, name: &str) -> Option<View> {
        self.held().get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> BTreeMap<String, View> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, View>> {
        // Nothing is done under this lock that could leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
