//! What others may know happened, in the form in which they see it.
//!
//! A [`Fact`] has a topic of the `topic::CATALOGUE`, a subject and data; hooks, monitors and plugins read the same facts.
//!
//! How data are written, everywhere:
//!
//! * every member of a topic's sample is there, `null` where it is not known; but of a meter there is what it says.
//! * times are RFC 3339 in UTC; lengths of time are whole seconds, and their names say so.
//! * counts are numbers; decimals are texts (`"0.25"`), so that no digit is lost on the way.
//! * words of the standard are spelt as there: `optIn`, `ELECTRICITY_PRICE`.
//! * `operation` is what happened in one word; `reason` is for people.

pub(crate) mod of_exchange;
mod of_notice;
mod pattern;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod topic;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use of_notice::content;
pub(crate) use of_notice::of_event;
pub(crate) use pattern::Topics;
pub(crate) use topic::{Class, Topic};

use crate::notice::Notice;
use crate::time::Timestamp;

/// Something that happened, as it was when it happened; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// A UUID of version 7 (RFC 9562), the same at every delivery.
    pub id: String,
    /// Counts up in this installation; the cursor of those who read.
    pub seq: u64,
    /// What kind of thing happened, as `event.started`; `x.<plugin>.` before those of plugins.
    pub topic: String,
    /// What it happened to: an eventID, the name of a meter, a report request.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// All that is known of it, an object.
    pub data: Map<String, Value>,
}

impl Fact {
    /// How it is kept.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        topic::class(&self.topic)
    }

    /// Whether a hook of this name is to tell it: of its own troubles it does not, since that would never end.
    pub(crate) fn is_for_hook(&self, name: &str, topics: &Topics) -> bool {
        let of_itself = self.topic.starts_with("hook.") && self.subject.as_deref() == Some(name);
        topics.pick(&self.topic) && !of_itself
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        /// What surrounds a text on the heap.
        const TEXT: usize = 16;
        /// A name, a value, their hash and their place, with the room that tables keep free.
        const MEMBER: usize = 160;
        fn all(members: &Map<String, Value>) -> usize {
            members.iter().map(|(name, value)| MEMBER + TEXT + name.len() + of(value)).sum()
        }
        fn of(value: &Value) -> usize {
            match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                Value::String(text) => TEXT + text.len(),
                Value::Array(values) => values.iter().map(|value| size_of::<Value>() + of(value)).sum(),
                Value::Object(members) => all(members),
            }
        }
        let subject = self.subject.as_ref().map_or(0, |subject| TEXT + subject.len());
        size_of::<Self>() + 2 * TEXT + self.id.len() + self.topic.len() + subject + all(&self.data)
    }
}

/// A fact before it has its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) topic: String,
    pub(crate) subject: Option<String>,
    /// When it happened.
    pub(crate) time: Timestamp,
    pub(crate) data: Map<String, Value>,
}

impl Draft {
    /// A fact of a topic of our own; `data` has the members of the topic's sample, but for `operation`, which is added.
    pub(crate) fn new(
        topic: &Topic,
        subject: Option<String>,
        time: Timestamp,
        data: impl IntoIterator<Item = Member>,
    ) -> Self {
        Content::new(topic, subject, data).at(time)
    }

    /// The fact that a notice tells of.
    pub(crate) fn of(notice: &Notice, time: Timestamp) -> Self {
        content(notice).at(time)
    }

    /// How it is kept.
    pub(crate) fn class(&self) -> Class {
        topic::class(&self.topic)
    }
}

/// What a fact says, whenever it happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    topic: &'static str,
    subject: Option<String>,
    data: Map<String, Value>,
}

impl Content {
    /// Of a topic of our own; `data` has the members of the topic's sample, but for `operation`, which is added.
    fn new(topic: &Topic, subject: Option<String>, data: impl IntoIterator<Item = Member>) -> Self {
        let operation = ("operation".to_owned(), Value::from(topic.operation()));
        let data = data.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { topic: topic.name, subject, data: [operation].into_iter().chain(data).collect() }
    }

    /// It happened at that time.
    fn at(self, time: Timestamp) -> Draft {
        let Self { topic, subject, data } = self;
        let draft = Draft { topic: topic.to_owned(), subject, time, data };
        // Templates are checked against samples, so whatever a test has made must be like them.
        #[cfg(test)]
        assert_eq!(sample::misfits(&draft), Vec::<String>::new());
        draft
    }
}

/// A member of a fact's data.
pub(crate) type Member = (&'static str, Value);
