//! Holds what was said about one event by `oadrCreateOpt`.
//!
//! Such an opt is for some resources of the event, or for all of them. From then on it alone counts for these resources, here and at
//! the VTN: a later `oadrCreatedEvent` says nothing about them, whatever version of the event it answers (rule 206).

use crate::notice::Notice;
use crate::openadr::message::{
    CreateOpt, EiEvent, EiTarget, EventId, OptId, OptReason, OptType, QualifiedEventId, RequestId,
    ResourceId, VenId,
};
use crate::time::Timestamp;

use super::Turn;
use super::snapshot::{EventOptRecord, Standing, Write};

/// The opts about one event, oldest first.
#[derive(Debug, Default)]
pub(super) struct EventOpts {
    records: Vec<EventOptRecord>,
    /// The resources of ours that the event is for.
    concerned: Vec<ResourceId>,
}

impl EventOpts {
    pub(super) fn restored(mut records: Vec<EventOptRecord>) -> Self {
        records.sort_by_key(|record| record.sequence);
        Self { records, concerned: Vec::new() }
    }

    /// Which of our resources the event is for: those that it names, where it names nothing else; else all.
    pub(super) fn look_at(&mut self, event: &EiEvent, ours: &[ResourceId]) {
        let named = &event.target.resource_ids;
        let nothing_else = EiTarget { resource_ids: Vec::new(), ..event.target.clone() }.is_empty();
        let all = named.is_empty() || !nothing_else;
        self.concerned = ours.iter().filter(|id| all || named.contains(id)).cloned().collect();
    }

    pub(super) fn concerned(&self) -> &[ResourceId] {
        &self.concerned
    }

    /// Whether anything takes part, where the answers of `oadrCreatedEvent` say this about the whole event.
    pub(super) fn take_part(&self, decided: OptType) -> bool {
        let of_all = self.records.iter().find(|record| record.resources.is_empty());
        let rest = of_all.map_or(decided, |record| record.opt);
        let named = |id: &&ResourceId| self.records.iter().any(|record| record.resources.contains(id));
        let no_rest = !self.concerned.is_empty() && self.concerned.iter().all(|id| named(&id));
        let last_of = |id: &ResourceId| {
            self.records.iter().rfind(|record| record.resources.contains(id)).map(|record| record.opt)
        };
        let mut named = self.records.iter().flat_map(|record| &record.resources).filter_map(last_of);
        (rest == OptType::OptIn && !no_rest) || named.any(|opt| opt == OptType::OptIn)
    }

    /// What the VTN was told of all resources, or will be.
    pub(super) fn of_all(&self) -> Option<OptType> {
        let spoken =
            |record: &&EventOptRecord| record.resources.is_empty() && record.standing != Standing::Unspoken;
        self.records.iter().find(spoken).map(|record| record.opt)
    }

    /// Whether the VTN does not listen any more to everything that `oadrCreatedEvent` says.
    pub(super) fn are_used(&self) -> bool {
        self.records.iter().any(|record| record.standing != Standing::Unspoken)
    }

    /// Adds one; older ones that say nothing more are forgotten.
    pub(super) fn add(
        &mut self,
        turn: &mut Turn,
        (opt_id, event_id): (OptId, EventId),
        opt: OptType,
        resources: Vec<ResourceId>,
        standing: Standing,
    ) {
        let sequence = self.records.last().map_or(1, |last| last.sequence + 1);
        let silent = |old: &EventOptRecord| {
            let within = !old.resources.is_empty() && old.resources.iter().all(|id| resources.contains(id));
            resources.is_empty() || within
        };
        self.forget(turn, silent);
        let record = EventOptRecord { opt_id, sequence, event_id, resources, opt, standing };
        turn.write(Write::EventOpt(record.clone()));
        self.records.push(record);
    }

    pub(super) fn clear(&mut self, turn: &mut Turn) {
        self.forget(turn, |_| true);
    }

    fn forget(&mut self, turn: &mut Turn, which: impl Fn(&EventOptRecord) -> bool) {
        self.records.retain(|record| {
            let forget = which(record);
            if forget {
                turn.write(Write::ForgetEventOpt(record.opt_id.clone()));
            }
            !forget
        });
    }

    /// Whether the VTN has to be told of any.
    pub(super) fn are_owed(&self) -> bool {
        self.records.iter().any(|record| record.standing == Standing::Owed)
    }

    /// The first that the VTN has to be told.
    pub(super) fn next_message(&self, event: &EiEvent, ven_id: &VenId, now: Timestamp) -> Option<CreateOpt> {
        let owed = self.records.iter().find(|record| record.standing == Standing::Owed)?;
        let reason = match owed.opt {
            OptType::OptIn => OptReason::Participating,
            OptType::OptOut => OptReason::NotParticipating,
        };
        let event =
            QualifiedEventId { event_id: event.id().clone(), modification_number: event.modification() };
        Some(CreateOpt {
            opt_id: owed.opt_id.clone(),
            opt_type: owed.opt,
            opt_reason: reason,
            market_context: None,
            ven_id: ven_id.clone(),
            availability: None,
            created_date_time: now,
            request_id: RequestId::from(owed.opt_id.as_str()),
            qualified_event_id: Some(event),
            target: EiTarget { resource_ids: owed.resources.clone(), ..EiTarget::ven(ven_id.clone()) },
            device_class: None,
        })
    }

    /// The VTN has taken the one under this requestID, or will never take it.
    pub(super) fn settle(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        standing: Standing,
    ) -> Option<&EventOptRecord> {
        let asked = |record: &&mut EventOptRecord| record.opt_id.as_str() == request_id.as_str();
        let record = self.records.iter_mut().find(asked)?;
        record.standing = standing;
        turn.write(Write::EventOpt(record.clone()));
        if standing == Standing::Held {
            let (event_id, resources) = (record.event_id.clone(), record.resources.clone());
            turn.notify(Notice::EventOptSent { event_id, resources, opt: record.opt, at: turn.now.wall });
        }
        Some(record)
    }
}
