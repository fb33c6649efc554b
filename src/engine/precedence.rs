//! Finds out which of several running events governs.
//!
//! ```text
//! e1 priority 2   ------------------------------      told:  e1, e1 under e2, e1
//! e2 priority 1             ----------
//! ```
//!
//! **Reading of the standard:** what happens where events overlap is left to the programme (rules 3, 18). Here, of those that concern the
//! same resources in the same market context, the one with the higher priority governs (1 is the highest, 0 and none the lowest);
//! among equals the one that starts first, its random offset included, so that what runs is not disturbed; then the lower eventID.
//! A test event gives way to every real one (rule 6). An event without resources in its target is for all of them, and so
//! is one that names anything else beside them, since entries are alternatives (rule 22).

use crate::openadr::message::{EiEvent, EventId, MarketContext, ResourceId};
use crate::time::Timestamp;

/// What an event that is carried out lays claim to, and how strongly.
#[derive(Debug)]
pub(super) struct Claim {
    rank: (bool, u32, Timestamp, EventId),
    context: MarketContext,
    /// None: all of them.
    resources: Vec<ResourceId>,
}

impl Claim {
    /// The claim of an event that starts then.
    pub(super) fn of(event: &EiEvent, start: Timestamp) -> Self {
        let priority = event.descriptor.priority.filter(|priority| *priority > 0).unwrap_or(u32::MAX);
        let target = &event.target;
        let others =
            !(target.ven_ids.is_empty() && target.group_ids.is_empty() && target.group_names.is_empty());
        Self {
            rank: (event.descriptor.is_test(), priority, start, event.id().clone()),
            context: event.descriptor.market_context.normalised(),
            resources: if others { Vec::new() } else { target.resource_ids.clone() },
        }
    }

    /// Whether both lay claim to the same resources.
    fn meets(&self, other: &Self) -> bool {
        let everything = self.resources.is_empty() || other.resources.is_empty();
        let shared = || self.resources.iter().any(|resource| other.resources.contains(resource));
        self.context == other.context && (everything || shared())
    }
}

/// All claims at one time, the strongest first.
#[derive(Debug)]
pub(super) struct Precedence {
    running: Vec<Claim>,
    ending: Vec<Claim>,
}

impl Precedence {
    /// Of events that run, and of events of whose end the handler is hearing.
    pub(super) fn new(running: impl Iterator<Item = Claim>, ending: impl Iterator<Item = Claim>) -> Self {
        let mut running: Vec<_> = running.collect();
        running.sort_by(|one, other| one.rank.cmp(&other.rank));
        Self { running, ending: ending.collect() }
    }

    /// The event that governs in place of the one with this claim.
    pub(super) fn over(&self, claim: &Claim) -> Option<&EventId> {
        let stronger = self.running.iter().take_while(|other| other.rank < claim.rank);
        stronger.into_iter().find(|other| other.meets(claim)).map(|other| &other.rank.3)
    }

    /// Whether the handler has heard that those are over that might have governed until now.
    pub(super) fn may_be_told(&self, claim: &Claim) -> bool {
        self.ending.iter().all(|other| other.rank.3 == claim.rank.3 || !other.meets(claim))
    }
}
