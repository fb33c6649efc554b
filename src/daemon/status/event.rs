//! How an event stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::handler::{ActiveInterval, Timeline};
use crate::openadr::message::EiEvent;
use crate::time::Timestamp;

/// An event that runs or is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventStatus {
    pub(crate) modification: u32,
    pub(crate) market_context: String,
    /// 1 before 2 before none.
    pub(crate) priority: Option<u32>,
    pub(crate) test: bool,
    pub(crate) start: Timestamp,
    /// `None`: it has no end yet.
    pub(crate) end: Option<Timestamp>,
    pub(crate) active: bool,
    /// The VTN has called it off, and it runs out.
    pub(crate) cancelled: bool,
    /// In or out, as it was decided for this version.
    pub(crate) opt: Option<String>,
    /// Who decided.
    pub(crate) decided_by: Option<String>,
    /// The VTN has our answer.
    pub(crate) answered: bool,
    /// What holds now, while it is active, by the names of its signals.
    pub(crate) values: BTreeMap<String, Option<String>>,
    /// The event that governs in place of this one.
    pub(crate) overridden_by: Option<String>,
}

impl EventStatus {
    /// Undecided, and not begun.
    pub(crate) fn new(event: &EiEvent, timeline: &Timeline) -> Self {
        Self {
            modification: event.modification(),
            market_context: event.descriptor.market_context.to_string(),
            priority: event.descriptor.priority,
            test: event.descriptor.is_test(),
            start: timeline.start,
            end: timeline.end,
            active: false,
            cancelled: false,
            opt: None,
            decided_by: None,
            answered: false,
            values: BTreeMap::new(),
            overridden_by: None,
        }
    }

    pub(super) fn interval(&mut self, interval: &ActiveInterval) {
        let value = interval.value.map(|value| value.to_string());
        self.values.insert(interval.signal_name.to_string(), value);
        self.overridden_by = interval.overridden_by.as_ref().map(ToString::to_string);
    }

    /// It runs no more.
    pub(super) fn rest(&mut self) {
        self.active = false;
        self.values.clear();
        self.overridden_by = None;
    }
}
