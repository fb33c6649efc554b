//! Says which topics are told what of a message.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::daemon::status::Status;
use crate::fact::{Fact, topic};
use crate::hook::settings::{Layout, MqttTarget};

use super::super::telegram;
use super::Message;
use super::standing::Standing;

/// What one topic is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// What one topic is told, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) said: Said,
    /// Values of a reading of a meter.
    pub(super) meter: Option<Reading>,
}

/// A reading, or one value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) meter: Arc<str>,
    /// The names of the values that are in it.
    pub(super) values: Vec<String>,
}

/// How facts are told.
#[derive(Debug)]
pub(super) struct Speech {
    base: String,
    layout: Layout,
    main_meter: Option<String>,
    standing: Standing,
}

impl Speech {
    pub(super) fn new(target: &MqttTarget) -> Self {
        Self {
            base: target.base.clone(),
            layout: target.layout,
            main_meter: target.main_meter.clone(),
            standing: Standing::default(),
        }
    }

    /// Of a message about one fact its words, of a batch the data of each.
    pub(super) fn of(&mut self, message: &Message) -> Vec<Told> {
        let mut all = Vec::new();
        let alone = message.facts.len() == 1;
        for fact in &message.facts {
            let own = alone && !message.content_type.starts_with("application/cloudevents");
            let payload = if own { message.body.clone() } else { text(&Value::Object(fact.data.clone())) };
            self.tell(fact, payload, &mut all);
            if self.standing.note(fact) {
                self.tell_standing(&mut all);
            }
        }
        all
    }

    /// How the VEN stands.
    pub(super) fn stands(&mut self, status: &Status) {
        self.standing = Standing::of(status);
    }

    /// How it stands with events.
    pub(super) fn standing(&self) -> Vec<Said> {
        let mut all = Vec::new();
        self.tell_standing(&mut all);
        all.into_iter().map(|told| told.said).collect()
    }

    fn tell_standing(&self, all: &mut Vec<Told>) {
        let standing = self.standing.told();
        let payload = text(&Value::Object(standing.clone()));
        self.lay_out(&format!("{}/event", self.base), payload, Some(standing), None, all);
    }

    fn tell(&self, fact: &Fact, payload: Vec<u8>, all: &mut Vec<Told>) {
        let topic = topic_of(&self.base, self.main_meter.as_deref(), fact);
        if self.layout == Layout::Raw
            && let Some(payload) = telegram::bytes(fact)
        {
            all.push(Told { said: Said { topic, payload }, meter: None });
            return;
        }
        let members = match serde_json::from_slice(&payload) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        };
        let meter = fact.subject.as_deref().filter(|_| fact.topic == topic::meter::READING.name);
        self.lay_out(&topic, payload, members, meter, all);
    }

    /// As one message, or as one for each member.
    fn lay_out(
        &self,
        topic: &str,
        payload: Vec<u8>,
        members: Option<Map<String, Value>>,
        meter: Option<&str>,
        all: &mut Vec<Told>,
    ) {
        let reading = |values: Vec<String>| meter.map(|meter| Reading { meter: meter.into(), values });
        match members {
            Some(members) if self.layout == Layout::Split => {
                all.extend(members.into_iter().map(|(name, value)| {
                    let said = Said { topic: format!("{topic}/{}", level(&name)), payload: text(&value) };
                    Told { said, meter: reading(vec![name]) }
                }));
            }
            members => {
                let values = members.map(|members| members.keys().cloned().collect()).unwrap_or_default();
                all.push(Told { said: Said { topic: topic.to_owned(), payload }, meter: reading(values) });
            }
        }
    }
}

/// Where a fact is told.
fn topic_of(base: &str, main_meter: Option<&str>, fact: &Fact) -> String {
    if fact.topic == topic::meter::READING.name {
        return meter_topic(base, main_meter, fact.subject.as_deref().unwrap_or_default());
    }
    let levels: Vec<_> = fact.topic.split('.').map(level).collect();
    format!("{base}/{}", levels.join("/"))
}

/// Where readings of a meter are told.
pub(super) fn meter_topic(base: &str, main_meter: Option<&str>, meter: &str) -> String {
    if main_meter == Some(meter) {
        format!("{base}/meter")
    } else {
        format!("{base}/meter/reading/{}", level(meter))
    }
}

/// A name as one level of a topic: what parts levels or stands for any of them gives way.
pub(super) fn level(name: &str) -> String {
    name.replace(['/', '+', '#', '\0'], "_")
}

/// Texts as they are; what is not known is nothing, which also makes a broker forget what it has kept.
fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().into_bytes()
        }
    }
}
