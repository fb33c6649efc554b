//! A thermostat that takes part in demand response: it lowers its set point while an event runs.
//!
//! Everything that a handler has to do stands in this file; `main.rs` turns it into a program, and `tests/` tries it out against
//! a VTN. To make your own, keep `on_event`, where you decide, and put your device in place of [`Thermostat::show`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use openadr_ven::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler};
use openadr_ven::message::{EiEvent, EventId, Float, OptType};
use openadr_ven::time::Span;

/// The set point without any event, in °C.
const COMFORT: f64 = 21.0;
/// How much lower it is for each level of a SIMPLE event, in K.
const STEP: f64 = 1.5;
/// The highest level that we take part in; level 3 is for emergencies and would leave us cold.
const HIGHEST: f64 = 2.0;

/// Heats less while an event wants it.
#[derive(Debug, Default)]
pub struct Thermostat {
    /// The level that each running event has at present. Calls for different events may overlap, hence the lock.
    levels: Mutex<BTreeMap<EventId, f64>>,
}

impl Thermostat {
    /// Notes the level of an event, or that it is over, and returns the set point that follows; the highest level counts.
    fn set(&self, event: &EiEvent, level: Option<f64>) -> f64 {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        match level {
            Some(level) => levels.insert(event.id().clone(), level),
            None => levels.remove(event.id()),
        };
        COMFORT - STEP * levels.values().copied().fold(0.0, f64::max)
    }

    /// A real thermostat would be told here. Log lines go to stderr, so stdout is ours.
    fn show(&self, event: &EiEvent, what: &str) {
        println!("thermostat: event {} {what}", event.id());
    }
}

impl EventHandler for Thermostat {
    /// Asked once for each event, and again when the VTN has changed it.
    async fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Decision {
        let signals = event.signals.iter().filter(|signal| signal.name.is_simple());
        let levels =
            signals.flat_map(|signal| &signal.intervals).filter_map(|interval| interval.signal_value());
        let highest = levels.map(Float::to_f64).fold(0.0, f64::max);
        let opt = if highest <= HIGHEST { OptType::OptIn } else { OptType::OptOut };
        let news = if change == Change::New { "is new" } else { "has changed" };
        self.show(&event, &format!("{news}, its highest level is {highest}: {opt}"));
        opt.into()
    }

    /// From here on we hear only of events that we opted into.
    async fn on_start(&self, event: Arc<EiEvent>, _late_by: Span) {
        self.show(&event, "starts");
    }

    /// May come twice for the same interval, after a restart; setting a level twice does no harm.
    async fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) {
        let level = interval.value.filter(|_| interval.signal_name.is_simple());
        if let Some(level) = level.map(Float::to_f64) {
            let set_point = self.set(&event, Some(level));
            self.show(&event, &format!("has level {level} now: set point {set_point:.1} °C"));
        }
    }

    /// Comes also where the VTN calls the event off, even before it started.
    async fn on_end(&self, event: Arc<EiEvent>, why: EndReason) {
        let set_point = self.set(&event, None);
        self.show(&event, &format!("ends, {why}: set point {set_point:.1} °C"));
    }
}
