//! Knows who wants facts of which topics, so that what nobody wants costs nothing.

use std::collections::BTreeMap;

use crate::fact::Topics;

use super::Bus;

/// Facts of these topics are wanted by somebody who has no deliveries: a plugin, a monitor.
#[derive(Debug, Default)]
pub(super) struct Wants {
    topics: BTreeMap<u64, Vec<Topics>>,
    last: u64,
}

/// Somebody wants facts of some topics, as long as this is held.
#[derive(Debug)]
pub(crate) struct Want {
    bus: Bus,
    number: u64,
}

impl Bus {
    /// From now on facts of these topics are wanted.
    pub(crate) fn want(&self, topics: Vec<Topics>) -> Want {
        let mut log = self.log();
        log.wants.last += 1;
        let number = log.wants.last;
        log.wants.topics.insert(number, topics);
        Want { bus: self.clone(), number }
    }

    /// Whether a hook, a plugin or a monitor wants facts of this topic. Not every fact is worth making where nobody does.
    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        let log = self.log();
        let of_hooks = log.takers.iter().map(|(_, topics)| topics);
        of_hooks.chain(log.wants.topics.values().flatten()).any(|topics| topics.pick(topic))
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        self.bus.log().wants.topics.remove(&self.number);
    }
}
