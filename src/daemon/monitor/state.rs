//! How things stand, for whoever begins to read and wants to know more than what happens from now on.

use serde_json::{Map, Value, json};

use crate::daemon::status::Look;
use crate::fact::Topics;
use crate::fact::topic::CATALOGUE;
use crate::hook::render::VenNames;

/// How the VEN stands at one place of the log: what happened up to there is in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::daemon) struct State {
    /// Behind which what follows is read.
    pub(in crate::daemon) place: u64,
    /// As an event of `CloudEvents` 1.0, of type `monitor.state`.
    event: Value,
}

impl State {
    /// As far as topics of theirs would tell of it.
    pub(in crate::daemon) fn of(look: &Look, topics: &Topics, ven: &VenNames) -> Self {
        let status = &look.status;
        let room = |name: &str| {
            CATALOGUE.iter().any(|topic| topic.name.starts_with(name) && topics.pick(topic.name))
        };
        let mut data = Map::from_iter([("operation".to_owned(), json!("state"))]);
        if room("event.") || room("opt.") {
            let with_id = |(id, event)| {
                let mut members = Map::from_iter([("event_id".to_owned(), json!(id))]);
                members.extend(object(json!(event)));
                Value::Object(members)
            };
            data.insert("events".into(), status.events.iter().map(with_id).collect());
        }
        if room("vtn.") || room("registration.") {
            let registered = status.registration.id.is_some();
            let connected = status.vtn.connected;
            let vtn = json!({"id": status.vtn.id, "connected": connected, "registered": registered});
            data.insert("vtn".into(), vtn);
        }
        if room("meter.") {
            data.insert("meters".into(), json!(status.meters));
        }
        let place = status.bus.newest;
        let event = json!({
            "specversion": "1.0",
            "id": format!("state-{place}"),
            "source": format!("urn:ven:{}", ven.name),
            "type": "monitor.state",
            "time": look.at,
            "datacontenttype": "application/json",
            "data": data,
        });
        Self { place, event }
    }

    /// As a server-sent event; who comes back with its id goes on behind it.
    pub(in crate::daemon) fn sse(&self) -> String {
        format!("id: {}\nevent: monitor.state\ndata: {}\n\n", self.place, self.event)
    }

    /// As a line of JSON.
    pub(in crate::daemon) fn ndjson(&self) -> String {
        format!("{}\n", self.event)
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}
