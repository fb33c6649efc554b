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

use std::collections::{BTreeMap, BTreeSet};

use crate::openadr::message::{EiEvent, EventId, MarketContext, ResourceId};
use crate::time::Timestamp;

/// The lowest is the strongest.
type Rank = (bool, u32, Timestamp, EventId);

/// What an event that is carried out lays claim to, and how strongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    rank: Rank,
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

    /// What it stands under in a [`Field`]; `None`: all resources.
    fn places(&self) -> impl Iterator<Item = Option<&ResourceId>> {
        let everything = self.resources.is_empty().then_some(None);
        everything.into_iter().chain(self.resources.iter().map(Some))
    }
}

/// Claims in one market context, each set from the strongest down.
#[derive(Debug, Default)]
struct Field {
    all: BTreeSet<Rank>,
    /// Those to all resources.
    unlimited: BTreeSet<Rank>,
    by_resource: BTreeMap<ResourceId, BTreeSet<Rank>>,
}

impl Field {
    fn put(&mut self, claim: &Claim) {
        self.all.insert(claim.rank.clone());
        for place in claim.places() {
            let set = match place {
                None => &mut self.unlimited,
                Some(resource) => self.by_resource.entry(resource.clone()).or_default(),
            };
            set.insert(claim.rank.clone());
        }
    }

    fn take(&mut self, claim: &Claim) {
        self.all.remove(&claim.rank);
        self.unlimited.remove(&claim.rank);
        for resource in &claim.resources {
            if let Some(set) = self.by_resource.get_mut(resource) {
                set.remove(&claim.rank);
                if set.is_empty() {
                    self.by_resource.remove(resource);
                }
            }
        }
    }

    /// The sets that hold everything that lays claim to the same resources.
    fn meeting<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a BTreeSet<Rank>> {
        let first = if claim.resources.is_empty() { &self.all } else { &self.unlimited };
        std::iter::once(first).chain(claim.resources.iter().filter_map(|id| self.by_resource.get(id)))
    }

    /// Whether somebody may be free to go on, now that this claim is gone; who waits may be the last one here itself.
    fn is_freed_by(&self, gone: &Claim) -> bool {
        let few = |set: &BTreeSet<Rank>| set.len() <= 1;
        few(&self.all)
            || gone.places().any(|place| match place {
                None => few(&self.unlimited),
                Some(resource) => self.by_resource.get(resource).is_none_or(few),
            })
    }
}

/// All claims at one time.
#[derive(Debug, Default)]
pub(super) struct Precedence {
    running: BTreeMap<MarketContext, Field>,
    ending: BTreeMap<MarketContext, Field>,
    claims: BTreeMap<EventId, (Option<Claim>, Option<Claim>)>,
    /// Where something has changed for others.
    moved: BTreeSet<MarketContext>,
}

impl Precedence {
    /// The claim of an event while it runs, and while the handler is hearing of its end.
    pub(super) fn update(&mut self, id: &EventId, running: Option<Claim>, ending: Option<Claim>) {
        let (was_running, was_ending) = self.claims.remove(id).unwrap_or_default();
        if was_running != running {
            if let Some(gone) = &was_running {
                self.running.entry(gone.context.clone()).or_default().take(gone);
            }
            if let Some(come) = &running {
                self.running.entry(come.context.clone()).or_default().put(come);
            }
            self.moved.extend(was_running.iter().chain(&running).map(|claim| claim.context.clone()));
        }
        if was_ending != ending {
            if let Some(gone) = was_ending {
                let field = self.ending.entry(gone.context.clone()).or_default();
                field.take(&gone);
                if field.is_freed_by(&gone) {
                    self.moved.insert(gone.context);
                }
            }
            if let Some(come) = &ending {
                self.ending.entry(come.context.clone()).or_default().put(come);
            }
        }
        if running.is_some() || ending.is_some() {
            self.claims.insert(id.clone(), (running, ending));
        }
    }

    /// The running events for which something may have changed since this was asked last.
    pub(super) fn take_moved(&mut self) -> BTreeSet<EventId> {
        let fields = std::mem::take(&mut self.moved).into_iter().filter_map(|at| self.running.get(&at));
        fields.flat_map(|field| &field.all).map(|rank| rank.3.clone()).collect()
    }

    /// The event that governs in place of the one with this claim.
    pub(super) fn over<'a>(&'a self, claim: &'a Claim) -> Option<&'a EventId> {
        let field = self.running.get(&claim.context)?;
        let strongest = field.meeting(claim).filter_map(BTreeSet::first).min()?;
        (*strongest < claim.rank).then_some(&strongest.3)
    }

    /// Whether the handler has heard that those are over that might have governed until now.
    pub(super) fn may_be_told(&self, claim: &Claim) -> bool {
        let Some(field) = self.ending.get(&claim.context) else { return true };
        field.meeting(claim).flatten().all(|rank| rank.3 == claim.rank.3)
    }
}
