//! Takes the orders of people: what they may ask of a running VEN, and what it answers.
//!
//! An answer is an effect like any other, so it comes after what it confirms is stored.

use crate::notice::Notice;
use crate::openadr::message::{EventId, OptId, OptType, ResourceId};

use super::report_state::ReportsState;
use super::settings::OptSchedule;
use super::snapshot::ScheduleRecord;
use super::{Effect, Engine, Turn};

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Changes the decision about an event, or about some resources of it.
    Opt { event: EventId, opt: OptType, resources: Vec<ResourceId> },
    /// Declares an opt schedule; an empty id is chosen by the engine.
    Schedule(OptSchedule),
    /// Withdraws one.
    CancelSchedule(OptId),
    /// Lists them.
    Schedules,
    /// Says where the reports stand.
    Reports,
}

/// An order that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fulfilled {
    /// The decision is changed; whether the VTN is told.
    Opted { told: bool },
    /// A schedule is declared, under this id.
    Scheduled(OptId),
    /// It is withdrawn.
    ScheduleCancelled,
    /// These are declared, oldest first.
    Schedules(Vec<ScheduleRecord>),
    /// Where the reports stand.
    Reports(Box<ReportsState>),
}

/// An order that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("there is no event {event}; known are: {}", list(.known, EventId::as_str))]
    UnknownEvent { event: EventId, known: Vec<EventId> },
    #[error("event {event} is over")]
    EventOver { event: EventId },
    #[error("there is no resource {resource}; [ven] resources are: {}", list(.known, ResourceId::as_str))]
    UnknownResource { resource: ResourceId, known: Vec<ResourceId> },
    #[error("event {event} is not for resource {resource} alone (rule 206)")]
    NotOfEvent { event: EventId, resource: ResourceId },
    #[error("there is no schedule {id}; known are: {}", list(.known, OptId::as_str))]
    UnknownSchedule { id: OptId, known: Vec<OptId> },
    #[error("schedule {id} stands in the configuration; change it there")]
    InConfiguration { id: OptId },
    #[error("it cannot be stored at present (is the disk full?); the vtn is told as soon as it can be")]
    Unstored,
    #[error("the whole schedule lies in the past")]
    Past,
    #[error("there are {most} schedules already; cancel some")]
    TooMany { most: usize },
}

fn list<T>(items: &[T], text: impl Fn(&T) -> &str) -> String {
    if items.is_empty() { "none".into() } else { items.iter().map(text).collect::<Vec<_>>().join(", ") }
}

impl Engine {
    /// Carries out an order, and answers it.
    pub(super) fn ordered(&mut self, turn: &mut Turn, number: u64, order: Order) {
        let answer = match order {
            Order::Opt { event, opt, resources } => self.opt(turn, &event, opt, resources),
            Order::Schedule(schedule) => {
                let known = self.know(&schedule.resources);
                known
                    .and_then(|()| self.availability.declare(turn, &mut self.dice, schedule))
                    .map(Fulfilled::Scheduled)
            }
            Order::CancelSchedule(id) => {
                let withdrawn = self.availability.withdraw(turn, &mut self.dice, &id);
                withdrawn.map(|()| Fulfilled::ScheduleCancelled)
            }
            Order::Reports => Ok(Fulfilled::Reports(Box::new(self.reports_state(turn)))),
            Order::Schedules => Ok(Fulfilled::Schedules(self.availability.declared().cloned().collect())),
        };
        turn.effect(Effect::Answer { number, answer });
    }

    fn know(&self, resources: &[ResourceId]) -> Result<(), OrderError> {
        let known = &self.settings.opt_resources;
        match resources.iter().find(|resource| !known.contains(resource)) {
            Some(resource) => {
                Err(OrderError::UnknownResource { resource: resource.clone(), known: known.clone() })
            }
            None => Ok(()),
        }
    }

    fn opt(
        &mut self,
        turn: &mut Turn,
        event: &EventId,
        opt: OptType,
        mut resources: Vec<ResourceId>,
    ) -> Result<Fulfilled, OrderError> {
        self.know(&resources)?;
        resources.sort();
        resources.dedup();
        if resources.is_empty() {
            self.events.change_of_mind(turn, &mut self.dice, event, opt)
        } else {
            let told = self.events.opt_resources(turn, &mut self.dice, event, (opt, &resources))?;
            turn.notify(Notice::ResourcesOpted { event_id: event.clone(), resources, opt });
            Ok(told)
        }
    }
}
