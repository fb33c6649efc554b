//! Holds our opt schedules: tells the VTN of them, and keeps to them ourselves.
//!
//! ```text
//! configuration, person -> declare, withdraw -> record: cancel? create? -> oadrCancelOpt, oadrCreateOpt
//! ```
//!
//! A newer schedule replaces the older ones of the same optType, as far as its resources and its programme go (rule 203), at the
//! VTN and here. When it is withdrawn, those that it had replaced are told to the VTN once more, so that both sides hold
//! what has been declared and not withdrawn.
//!
//! **Reading of the standard:** what a schedule means for the VEN itself is left open (rule 201). An event that falls into an
//! optOut schedule is opted out of without asking the handler, where the schedule is for all of our resources that the event
//! is for; where only some of them are out, the handler decides, and the VTN knows about the rest. An optIn schedule
//! promises that we can be asked, no more: the handler decides, and where both hold, optOut counts. A test event is put to
//! the handler always. What was decided before a schedule was declared stays.

use std::collections::BTreeMap;

use crate::notice::Notice;
use crate::openadr::message::{
    Available, CancelOpt, CreateOpt, EiEvent, EiTarget, MarketContext, OptId, OptType, Payload, RequestId,
    ResourceId, Vavailability, VenId,
};
use crate::time::Timestamp;

use super::dice::Dice;
use super::exchange::What;
use super::schedule;
use super::settings::OptSchedule;
use super::snapshot::{EventRecord, ScheduleRecord, Write};
use super::{OrderError, Turn};

/// More schedules are not kept.
const MOST: usize = 1000;

/// Our opt schedules, in the order in which they were declared.
#[derive(Debug, Default)]
pub(super) struct Availability {
    records: Vec<ScheduleRecord>,
}

impl Availability {
    pub(super) fn restored(records: BTreeMap<OptId, ScheduleRecord>) -> Self {
        let mut records: Vec<_> = records.into_values().collect();
        records.sort_by_key(|record| record.sequence);
        Self { records }
    }

    /// Those that hold.
    pub(super) fn declared(&self) -> impl Iterator<Item = &ScheduleRecord> {
        self.records.iter().filter(|record| !record.withdrawn)
    }

    /// Makes the schedules of the configuration ours, and withdraws those that it had and has no more.
    pub(super) fn follow(&mut self, turn: &mut Turn, dice: &mut Dice, wanted: &[OptSchedule]) {
        let gone = |record: &&ScheduleRecord| {
            record.configured && !wanted.iter().any(|wanted| wanted.id == record.schedule.id)
        };
        let gone: Vec<_> = self.declared().filter(gone).map(|record| record.schedule.id.clone()).collect();
        for id in gone {
            self.drop(turn, dice, &id);
        }
        let now = turn.now.wall;
        // One that has changed becomes the newest, so those that stand below it have to become newer still.
        let mut again = false;
        for schedule in wanted.iter().filter(|wanted| !wanted.is_over(now)) {
            let old = self.declared().find(|record| record.schedule.id == schedule.id);
            again |= old.is_none_or(|old| !old.configured || old.schedule != *schedule);
            if again {
                self.put(turn, dice, schedule.clone(), true);
            }
        }
    }

    /// A person declares a schedule; one without an id gets one. One with an id that is there replaces that (rule 204).
    pub(super) fn declare(
        &mut self,
        turn: &mut Turn,
        dice: &mut Dice,
        mut schedule: OptSchedule,
    ) -> Result<OptId, OrderError> {
        if schedule.id.is_empty() {
            schedule.id = OptId::from(dice.request_id().as_str());
        }
        let id = schedule.id.clone();
        if self.declared().any(|record| record.configured && record.schedule.id == id) {
            return Err(OrderError::InConfiguration { id });
        }
        if schedule.is_over(turn.now.wall) {
            return Err(OrderError::Past);
        }
        if self.records.len() >= MOST {
            return Err(OrderError::TooMany { most: MOST });
        }
        self.put(turn, dice, schedule, false);
        Ok(id)
    }

    fn put(&mut self, turn: &mut Turn, dice: &mut Dice, schedule: OptSchedule, configured: bool) {
        let at = self.records.iter().position(|record| record.schedule.id == schedule.id);
        let mut cancel = None;
        if let Some(at) = at {
            let old = self.records.remove(at);
            // The newer replaces the older only where it is about the same (rule 203).
            cancel =
                if old.schedule.is_about_the_same(&schedule) { old.cancel } else { Some(dice.request_id()) };
        }
        let sequence = self.records.last().map_or(1, |last| last.sequence + 1);
        let create = Some(dice.request_id());
        let record = ScheduleRecord { schedule, sequence, configured, cancel, create, withdrawn: false };
        turn.write(Write::Schedule(record.clone()));
        self.records.push(record);
    }

    /// A person withdraws a schedule.
    pub(super) fn withdraw(
        &mut self,
        turn: &mut Turn,
        dice: &mut Dice,
        id: &OptId,
    ) -> Result<(), OrderError> {
        let found = self.declared().find(|record| record.schedule.id == *id);
        match found.map(|record| record.configured) {
            None => {
                let known = self.declared().map(|record| record.schedule.id.clone()).collect();
                Err(OrderError::UnknownSchedule { id: id.clone(), known })
            }
            Some(true) => Err(OrderError::InConfiguration { id: id.clone() }),
            Some(false) => {
                self.drop(turn, dice, id);
                Ok(())
            }
        }
    }

    fn drop(&mut self, turn: &mut Turn, dice: &mut Dice, id: &OptId) {
        let Some(at) = self.records.iter().position(|record| record.schedule.id == *id) else { return };
        let record = &mut self.records[at];
        (record.withdrawn, record.create, record.cancel) = (true, None, Some(dice.request_id()));
        turn.write(Write::Schedule(record.clone()));
        let gone = record.schedule.clone();
        // What it had replaced holds again, and so does what had replaced that.
        let replaced = |record: &ScheduleRecord| !record.withdrawn && gone.replaces(&record.schedule);
        let first = self.records[..at].iter().position(replaced).unwrap_or(self.records.len());
        for record in self.records.iter_mut().skip(first) {
            if !record.withdrawn && record.schedule.opt == gone.opt {
                record.create = Some(dice.request_id());
                turn.write(Write::Schedule(record.clone()));
            }
        }
    }

    /// The VTN knows nothing of us: it has to be told everything that holds, and nothing of what does not.
    pub(super) fn owe_all(&mut self, turn: &mut Turn, dice: &mut Dice) {
        self.forget(turn, |record| record.withdrawn);
        for record in &mut self.records {
            (record.cancel, record.create) = (None, Some(dice.request_id()));
            turn.write(Write::Schedule(record.clone()));
        }
    }

    /// Forgets schedules that are over, the oldest first: one that is over still keeps an older one replaced.
    pub(super) fn forget_past(&mut self, turn: &mut Turn) {
        while let Some(first) = self.records.first()
            && first.schedule.is_over(turn.now.wall)
            && first.cancel.is_none()
        {
            turn.write(Write::ForgetSchedule(first.schedule.id.clone()));
            self.records.remove(0);
        }
    }

    fn forget(&mut self, turn: &mut Turn, which: impl Fn(&ScheduleRecord) -> bool) {
        self.records.retain(|record| {
            let forget = which(record);
            if forget {
                turn.write(Write::ForgetSchedule(record.schedule.id.clone()));
            }
            !forget
        });
    }

    /// What the VTN has to be told next: first what holds no more.
    pub(super) fn next_message(&self, ven_id: &VenId, now: Timestamp) -> Option<(What, Payload)> {
        let cancel = self.records.iter().find_map(|record| Some((record, record.cancel.clone()?)));
        if let Some((record, request_id)) = cancel {
            let (opt_id, ven_id) = (record.schedule.id.clone(), ven_id.clone());
            let message = CancelOpt { request_id: request_id.clone(), opt_id, ven_id };
            return Some((What::CancelOpt(request_id), message.into()));
        }
        let owed = self.records.iter().filter(|record| !record.schedule.is_over(now));
        let (record, request_id) =
            owed.into_iter().find_map(|record| Some((record, record.create.clone()?)))?;
        let message = record.schedule.message(request_id.clone(), ven_id, now);
        Some((What::CreateOpt(request_id), message.into()))
    }

    /// The VTN has the schedule that was created under this requestID.
    pub(super) fn created(&mut self, turn: &mut Turn, request_id: &RequestId) {
        let opt = |record: &&ScheduleRecord| record.create.as_ref() == Some(request_id);
        let opt = self.records.iter().find(opt).map(|record| record.schedule.opt);
        if let Some((opt, opt_id)) = opt.zip(self.told(turn, request_id)) {
            turn.notify(Notice::ScheduleSent { opt_id, opt });
        }
    }

    /// The VTN need not be told any more of what was created under this requestID.
    pub(super) fn told(&mut self, turn: &mut Turn, request_id: &RequestId) -> Option<OptId> {
        let owed = |record: &&mut ScheduleRecord| record.create.as_ref() == Some(request_id);
        let record = self.records.iter_mut().find(owed)?;
        record.create = None;
        turn.write(Write::Schedule(record.clone()));
        Some(record.schedule.id.clone())
    }

    /// The VTN holds nothing any more of what was cancelled under this requestID.
    pub(super) fn cancelled(&mut self, turn: &mut Turn, request_id: &RequestId) {
        if let Some(opt_id) = self.let_go(turn, request_id) {
            turn.notify(Notice::ScheduleCancelled { opt_id });
        }
    }

    /// The VTN need not be asked any more to cancel what was to be cancelled under this requestID.
    pub(super) fn let_go(&mut self, turn: &mut Turn, request_id: &RequestId) -> Option<OptId> {
        let owed = |record: &&mut ScheduleRecord| record.cancel.as_ref() == Some(request_id);
        let record = self.records.iter_mut().find(owed)?;
        record.cancel = None;
        turn.write(Write::Schedule(record.clone()));
        let id = record.schedule.id.clone();
        self.forget(turn, |record| record.withdrawn && record.cancel.is_none());
        Some(id)
    }

    /// Whether an optOut schedule takes us out of an event that is for these resources of ours.
    pub(super) fn opts_out(&self, held: &EventRecord, concerned: &[ResourceId]) -> bool {
        if held.event.descriptor.is_test() {
            return false;
        }
        let out = |resource| {
            let newest = self.declared().filter(|record| record.schedule.opt == OptType::OptOut);
            let newest = newest.filter(|record| record.schedule.covers(resource, &held.event)).last();
            newest.is_some_and(|record| record.schedule.overlaps(held))
        };
        if concerned.is_empty() { out(None) } else { concerned.iter().all(|resource| out(Some(resource))) }
    }
}

impl OptSchedule {
    /// Whether all its time has passed.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.periods.iter().all(|period| end_of(period).is_some_and(|end| end <= now))
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        (self.opt, &self.market_context, &self.resources)
            == (other.opt, &other.market_context, &other.resources)
    }

    /// Whether it replaces an older one, at least in part (rule 203).
    fn replaces(&self, older: &Self) -> bool {
        let all = self.resources.is_empty() || older.resources.is_empty();
        self.opt == older.opt
            && (self.market_context.is_none() || self.market_context == older.market_context)
            && (all || self.resources.iter().any(|resource| older.resources.contains(resource)))
    }

    /// Whether it is for this resource (`None`: for the whole VEN) in events like this one (rules 202, 205).
    fn covers(&self, resource: Option<&ResourceId>, event: &EiEvent) -> bool {
        let context: Option<&MarketContext> = self.market_context.as_ref();
        let whole = self.resources.is_empty();
        context.is_none_or(|context| *context == event.descriptor.market_context)
            && (whole || resource.is_some_and(|resource| self.resources.contains(resource)))
    }

    fn overlaps(&self, held: &EventRecord) -> bool {
        let period = &held.event.active_period;
        let (from, to) = (schedule::start(period, held.offset), schedule::end(period, held.offset));
        self.periods.iter().any(|period| {
            to.is_none_or(|to| period.start < to) && end_of(period).is_none_or(|end| from < end)
        })
    }

    /// The target always holds the venID, as section 8.5.2 of the profile says.
    ///
    /// **Reading of the standard:** rule 202 joins the entries by OR; resources beside the venID narrow it down, since they would
    /// mean nothing otherwise.
    fn message(&self, request_id: RequestId, ven_id: &VenId, now: Timestamp) -> CreateOpt {
        CreateOpt {
            opt_id: self.id.clone(),
            opt_type: self.opt,
            opt_reason: self.reason.clone(),
            market_context: self.market_context.clone(),
            ven_id: ven_id.clone(),
            availability: Some(Vavailability { available: self.periods.clone() }),
            created_date_time: now,
            request_id,
            qualified_event_id: None,
            target: EiTarget { resource_ids: self.resources.clone(), ..EiTarget::ven(ven_id.clone()) },
            device_class: None,
        }
    }
}

/// When it ends; `None`: never (rule 210).
fn end_of(period: &Available) -> Option<Timestamp> {
    (!period.duration.is_zero()).then(|| period.duration.after(period.start))
}
