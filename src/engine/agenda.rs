//! Knows which events have to be looked at, so that nothing walks over all of them at each input.

use std::collections::{BTreeMap, BTreeSet};

use crate::openadr::message::EventId;
use crate::time::{Now, Span, Timestamp};

/// When an event wants to be looked at again, if nothing happens before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alarm {
    /// On the clock that never jumps.
    pub(super) uptime: Option<Span>,
    pub(super) wall: Option<Timestamp>,
}

/// What is due, and when the rest will be.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    touched: BTreeSet<EventId>,
    alarms: BTreeMap<EventId, Alarm>,
    by_uptime: BTreeSet<(Span, EventId)>,
    by_wall: BTreeSet<(Timestamp, EventId)>,
    /// When everything that was due was looked at last, and whether what followed could be stored.
    looked: Option<(Timestamp, bool)>,
}

impl Agenda {
    /// Something has happened to an event.
    pub(super) fn touch(&mut self, id: &EventId) {
        self.touched.insert(id.clone());
    }

    /// Something has happened to every event.
    pub(super) const fn touch_all(&mut self) {
        self.looked = None;
    }

    /// Whether all events have to be looked at: also where the clock was set back, and where the store has failed or come back.
    pub(super) fn is_everything_due(&self, now: Timestamp, storing: bool) -> bool {
        self.looked.is_none_or(|(last, stored)| now < last || stored != storing)
    }

    /// What has to be looked at by now; from here on it counts as looked at.
    pub(super) fn take_due(&mut self, now: Now, storing: bool) -> BTreeSet<EventId> {
        self.looked = Some((now.wall, storing));
        let mut due = std::mem::take(&mut self.touched);
        due.extend(
            self.by_uptime.iter().take_while(|(at, _)| *at <= now.since_start).map(|(_, id)| id.clone()),
        );
        due.extend(self.by_wall.iter().take_while(|(at, _)| *at <= now.wall).map(|(_, id)| id.clone()));
        due
    }

    /// Replaces the alarm of an event.
    pub(super) fn set(&mut self, id: &EventId, alarm: Alarm) {
        let old = self.alarms.remove(id).unwrap_or_default();
        if let Some(at) = old.uptime {
            self.by_uptime.remove(&(at, id.clone()));
        }
        if let Some(at) = old.wall {
            self.by_wall.remove(&(at, id.clone()));
        }
        if let Some(at) = alarm.uptime {
            self.by_uptime.insert((at, id.clone()));
        }
        if let Some(at) = alarm.wall {
            self.by_wall.insert((at, id.clone()));
        }
        if alarm != Alarm::default() {
            self.alarms.insert(id.clone(), alarm);
        }
    }

    /// The events whose alarms come first.
    pub(super) fn next(&self) -> impl Iterator<Item = &EventId> {
        let uptime = self.by_uptime.first().map(|(_, id)| id);
        uptime.into_iter().chain(self.by_wall.first().map(|(_, id)| id))
    }
}
