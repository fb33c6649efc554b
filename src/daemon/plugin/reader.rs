//! Reads the facts that a plugin wants, one after the other.

use std::sync::Arc;

use crate::daemon::bus::{Bus, Want};
use crate::fact::topic::OF_PLUGINS;
use crate::fact::{Fact, Topics};

/// Where a plugin is in the log.
#[derive(Debug)]
pub(super) struct Reader {
    plugin: String,
    bus: Bus,
    place: u64,
    /// What it has asked for last.
    wants: Option<(Topics, Want)>,
}

impl Reader {
    /// Behind everything that has happened.
    pub(super) fn new(plugin: &str, bus: &Bus) -> Self {
        let place = *bus.newest().borrow();
        Self { plugin: plugin.to_owned(), bus: bus.clone(), place, wants: None }
    }

    /// The next fact of these topics, where there is one; what the plugin has done itself it is not told, or it would never end.
    pub(super) fn next(&mut self, topics: &Topics) -> Option<Arc<Fact>> {
        if self.wants.as_ref().is_none_or(|(known, _)| known != topics) {
            self.wants = Some((topics.clone(), self.bus.want(vec![topics.clone()])));
        }
        loop {
            let page = self.bus.after(self.place, 1);
            if page.gone > self.place {
                let (from, to) = (self.place + 1, page.gone);
                tracing::warn!(plugin = self.plugin, "has missed facts {from} to {to}: it was too slow");
                self.place = page.gone;
            }
            let fact = page.facts.into_iter().next()?;
            self.place = fact.seq;
            if topics.pick(&fact.topic) && !self.has_done(&fact) {
                return Some(fact);
            }
        }
    }

    fn has_done(&self, fact: &Fact) -> bool {
        let rest = fact.topic.strip_prefix(OF_PLUGINS).and_then(|rest| rest.strip_prefix(&self.plugin));
        rest.is_some_and(|rest| rest.starts_with('.'))
            || (fact.topic.starts_with("plugin.") && fact.subject.as_ref() == Some(&self.plugin))
    }
}
