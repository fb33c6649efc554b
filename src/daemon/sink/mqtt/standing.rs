//! Knows how it stands with demand response, from what is told of events: brokers keep the last word of a topic, so that is what a
//! reader that comes later should find.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fact::Fact;

/// So many events are remembered; those that have been known longest are forgotten first.
const REMEMBERED: usize = 256;

/// What is known of one event.
#[derive(Clone, Debug, Default)]
struct Known {
    /// When it was first heard of.
    place: u64,
    active: bool,
    start: Value,
    end: Value,
    level: Value,
    price: Value,
    opt: Value,
}

/// What is known of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    events: BTreeMap<String, Known>,
    count: u64,
}

impl Standing {
    /// Takes note of a fact; returns whether it is about events.
    pub(super) fn note(&mut self, fact: &Fact) -> bool {
        let (room, what) = fact.topic.split_once('.').unwrap_or_default();
        let Some(id) = fact.data.get("event_id").and_then(Value::as_str) else { return false };
        if !matches!((room, what), ("event", _) | ("opt", "decided" | "changed")) {
            return false;
        }
        if matches!((room, what), ("event", "completed" | "cancelled" | "stopped" | "rejected")) {
            return self.end(id, what, fact);
        }
        self.count += 1;
        let place = self.count;
        let known = self.events.entry(id.to_owned()).or_insert_with(|| Known { place, ..Known::default() });
        let said = |name: &str| fact.data.get(name).cloned().unwrap_or_default();
        match what {
            "started" => known.active = true,
            "interval" => {
                known.active = true;
                // While another event governs, the values of this one say nothing.
                let governs = said("overridden_by").is_null();
                known.level = if governs { said("level") } else { Value::Null };
                known.price = if governs { said("price") } else { Value::Null };
            }
            "decided" => known.opt = said("opt"),
            "changed" => known.opt = said("to"),
            _ => {}
        }
        let (start, end) = if what == "interval" { ("event_start", "event_end") } else { ("start", "end") };
        if room == "event" {
            (known.start, known.end) = (said(start), said(end));
        }
        self.forget();
        true
    }

    /// An event is over; one that is called off goes on until it is told that it has stopped.
    fn end(&mut self, id: &str, what: &str, fact: &Fact) -> bool {
        let goes_on = what == "cancelled" && self.events.get(id).is_some_and(|known| known.active);
        match self.events.get_mut(id) {
            Some(known) if goes_on => {
                known.end = fact.data.get("stops").cloned().unwrap_or_default();
            }
            _ => {
                self.events.remove(id);
            }
        }
        true
    }

    fn forget(&mut self) {
        while self.events.len() > REMEMBERED {
            let oldest = self.events.iter().min_by_key(|(_, known)| (known.active, known.place));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.events.remove(&oldest);
        }
    }

    /// The event that is told of: one that runs before those to come, of those that run the one that governs, of those to come the next.
    pub(super) fn told(&self) -> Map<String, Value> {
        let first = |(_, known): &(&String, &Known)| {
            let silent = known.level.is_null() && known.price.is_null();
            (!known.active, silent, known.start.as_str().unwrap_or("~").to_owned())
        };
        let told = self.events.iter().min_by_key(first);
        let known = told.map_or_else(Known::default, |(_, known)| known.clone());
        let id = told.map(|(id, _)| id);
        let level = if known.level.is_null() && !known.active { json!(0) } else { known.level };
        let members = json!({
            "active": known.active, "event_id": id, "level": level, "price": known.price,
            "opt": known.opt, "start": known.start, "end": known.end,
        });
        if let Value::Object(members) = members { members } else { Map::new() }
    }
}
