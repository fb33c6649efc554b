//! Tells a fact as an event of `CloudEvents`: version 1.0, JSON format.

use serde_json::{Map, Value};

use super::{VenNames, escape};
use crate::fact::Fact;

/// The event of a fact whose data and time are in the words of the receiver.
///
/// `source` and `id` together name it once and for all. The place in the log is told by the extension `sequence`, whose
/// texts sort as the numbers do.
pub(crate) fn event(fact: &Fact, data: Map<String, Value>, time: &str, ven: &VenNames) -> Map<String, Value> {
    let mut event = Map::new();
    let mut tell = |name: &str, value: Value| event.insert(name.to_owned(), value);
    tell("specversion", "1.0".into());
    tell("id", fact.id.as_str().into());
    tell("source", format!("urn:ven:{}", escape::urn(&ven.name)).into());
    tell("type", fact.topic.as_str().into());
    // An attribute that is there is not empty.
    if let Some(subject) = fact.subject.as_deref().filter(|subject| !subject.is_empty()) {
        tell("subject", subject.into());
    }
    tell("time", time.into());
    tell("sequence", format!("{:020}", fact.seq).into());
    tell("datacontenttype", "application/json".into());
    tell("data", Value::Object(data));
    event
}
