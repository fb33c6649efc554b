//! Knows how it stands with demand response, from what is told of events: brokers keep the last word of a topic, so that is what a
//! reader that comes later should find.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::daemon::status::Status;
use crate::fact::Fact;

/// So many events are remembered; those that have been known longest are forgotten first.
const REMEMBERED: usize = 256;

/// The signal whose values are levels (rule 9).
const SIMPLE: &str = "SIMPLE";

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
    /// As it is known without any facts. What a price is then is told again by the next fact alone.
    pub(super) fn of(status: &Status) -> Self {
        let mut standing = Self::default();
        for (id, event) in &status.events {
            standing.count += 1;
            let simple = event.values.get(SIMPLE).filter(|_| event.overridden_by.is_none());
            let level = simple.and_then(|value| value.as_deref()?.parse::<i64>().ok());
            let known = Known {
                place: standing.count,
                active: event.active,
                level: json!(level),
                start: json!(event.start),
                end: json!(event.end),
                opt: json!(event.opt),
                ..Known::default()
            };
            standing.events.insert(id.clone(), known);
        }
        standing.forget();
        standing
    }

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{REMEMBERED, Standing};
    use crate::fact::Fact;
    use crate::time::Timestamp;

    fn fact(topic: &str, id: &str, more: &Value) -> Fact {
        let mut data = json!({
            "event_id": id, "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T19:00:00Z",
            "event_start": "2030-01-02T17:00:00Z", "event_end": "2030-01-02T19:00:00Z",
        });
        let members = data.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let (topic, data) = (topic.to_owned(), members.clone());
        Fact { id: String::new(), seq: 1, topic, subject: None, time: Timestamp::EPOCH, data }
    }

    /// What is told after these: active, event, level, opt, end.
    fn told(facts: &[(&str, &str, Value)]) -> String {
        let mut standing = Standing::default();
        for (topic, id, more) in facts {
            assert!(standing.note(&fact(topic, id, more)), "{topic}");
        }
        let told = standing.told();
        ["active", "event_id", "level", "opt", "end"]
            .map(|name| told[name].to_string())
            .join(" ")
            .replace('"', "")
    }

    #[test]
    fn an_event_is_told_from_its_coming_to_its_end() {
        let received = ("event.received", "e1", json!({}));
        let decided = ("opt.decided", "e1", json!({"opt": "optIn"}));
        let started = ("event.started", "e1", json!({}));
        let interval = ("event.interval", "e1", json!({"level": 2}));
        let changed = ("opt.changed", "e1", json!({"to": "optOut"}));
        let called_off = ("event.cancelled", "e1", json!({"stops": "2030-01-02T17:30:00Z"}));
        let stopped = ("event.stopped", "e1", json!({}));
        let all = [received, decided, started, interval, changed, called_off, stopped];
        let end = "2030-01-02T19:00:00Z";
        for (count, expected) in [
            (0, "false null 0 null null".to_owned()),
            (1, format!("false e1 0 null {end}")),
            (2, format!("false e1 0 optIn {end}")),
            (3, format!("true e1 null optIn {end}")),
            (4, format!("true e1 2 optIn {end}")),
            (5, format!("true e1 2 optOut {end}")),
            (6, "true e1 2 optOut 2030-01-02T17:30:00Z".to_owned()),
            (7, "false null 0 null null".to_owned()),
        ] {
            assert_eq!(told(&all[..count]), expected, "after {count}");
        }
    }

    #[test]
    fn the_event_that_governs_is_told_before_one_that_it_overrides_and_one_to_come() {
        let overridden = ("event.interval", "e1", json!({"level": 3, "overridden_by": "e2"}));
        let governs = ("event.interval", "e2", json!({"level": 1, "overridden_by": null}));
        let to_come = ("event.received", "e0", json!({"start": "2030-01-01T00:00:00Z"}));
        let all = [overridden, governs, to_come];
        assert!(told(&all).starts_with("true e2 1 "), "{}", told(&all));
        let ended = ("event.completed", "e2", json!({}));
        assert!(told(&[&all[..], &[ended]].concat()).starts_with("true e1 null "));
    }

    #[test]
    fn other_facts_say_nothing_about_events() {
        let mut standing = Standing::default();
        for topic in ["opt.sent", "report.sent", "meter.reading", "x.plugin.event"] {
            assert!(!standing.note(&fact(topic, "e1", &json!({}))), "{topic}");
        }
        assert_eq!(standing.told()["event_id"], Value::Null);
    }

    #[test]
    fn no_flood_of_events_fills_the_memory_or_hides_the_one_that_runs() {
        let mut standing = Standing::default();
        standing.note(&fact("event.started", "runs", &json!({})));
        for number in 0..3 * REMEMBERED {
            standing.note(&fact("event.received", &format!("e{number}"), &json!({})));
        }
        assert_eq!(standing.events.len(), REMEMBERED);
        assert_eq!(standing.told()["event_id"], "runs");
    }
}
