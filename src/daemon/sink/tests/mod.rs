//! Sinks against files, pseudo-terminals, sockets, programs and a broker.

mod exec;
mod file;
mod mqtt;
mod pvoutput;
mod serial;
mod tcp;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fact::Fact;
use crate::hook::outcome::{Outcome, Try};
use crate::time::Timestamp;

use super::{Message, Sink};

/// What does not happen within this does not happen.
const SOON: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Noon of the second day of 2030.
fn noon() -> Timestamp {
    Timestamp::from_calendar((2030, 1, 2), (12, 0, 0)).unwrap()
}

fn fact(topic: &str, subject: Option<&str>, data: Value) -> Arc<Fact> {
    let Value::Object(data) = data else { panic!("{data} is no object") };
    Arc::new(Fact {
        id: "01945c5e-0000-7000-8000-000000000001".to_owned(),
        seq: 1,
        topic: topic.to_owned(),
        subject: subject.map(str::to_owned),
        time: noon(),
        data,
    })
}

/// A message in the words of its data.
fn of(fact: &Arc<Fact>) -> Message {
    Message {
        id: fact.id.clone(),
        facts: vec![fact.clone()],
        body: serde_json::to_vec(&fact.data).unwrap(),
        content_type: "application/json".to_owned(),
        at: noon(),
    }
}

fn telegram(bytes: &[u8]) -> Message {
    of(&fact("meter.telegram", Some("main"), json!({"meter": "main", "bytes": STANDARD.encode(bytes)})))
}

fn words(id: &str, body: &str, content_type: &str) -> Message {
    let fact = fact("event.started", Some("e1"), json!({"event_id": "e1"}));
    let (body, content_type) = (body.as_bytes().to_vec(), content_type.to_owned());
    Message { id: id.to_owned(), body, content_type, ..of(&fact) }
}

/// Waits until something holds, and says what it is that does not.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

fn is_endpoint(tried: &Try) -> bool {
    matches!(tried.outcome, Outcome::Endpoint { .. })
}

async fn delivered(sink: &mut dyn Sink, message: &Message) {
    let tried = sink.deliver(message).await;
    assert_eq!(tried.outcome, Outcome::Sent, "{}", tried.why);
}

#[test]
fn a_batch_of_telegrams_is_one_stream_of_bytes() {
    let both = Message {
        facts: [telegram(b"/one\r\n!0001\r\n"), telegram(b"/two\r\n!0002\r\n")]
            .iter()
            .flat_map(|message| message.facts.clone())
            .collect(),
        ..telegram(b"")
    };
    assert_eq!(super::telegram::raw(&both), b"/one\r\n!0001\r\n/two\r\n!0002\r\n");
    let other = words("1", "not a telegram", "text/plain");
    assert_eq!(super::telegram::raw(&other), b"not a telegram");
}
