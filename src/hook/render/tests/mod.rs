mod any_text;
mod serializers;
mod templates;
mod wrong_words;

use serde_json::{Value, json};

use super::{Around, BadWords, RenderFault, Rendered, Renderer, Samples, VenNames};
use crate::fact::Fact;
use crate::hook::settings::{Serializer, TimeZone, Words};
use crate::time::Timestamp;

const SAMPLES: &[(&str, &str)] = &[
    (
        "event.started",
        r#"{ "event_id": "e1", "level": 2, "price": "0.25", "start": "2030-03-31T00:30:00Z", "comment": "none",
             "test_event": false, "signals": [{ "name": "SIMPLE", "value": 2 }] }"#,
    ),
    (
        "meter.reading",
        r#"{ "meter": "main", "import_kwh": 12345.678, "net_w": -417, "timestamp": "2030-01-01T00:00:00Z" }"#,
    ),
];

/// The samples of these topics and no others, as if there were no plugins.
fn samples(topics: &[&str]) -> Samples {
    Samples::closed(SAMPLES.iter().copied().filter(|(topic, _)| topics.contains(topic)))
}

fn event() -> Fact {
    Fact {
        id: "0198f3a0-0000-7000-8000-00000000000a".to_owned(),
        seq: 42,
        topic: "event.started".to_owned(),
        subject: Some("e1".to_owned()),
        time: "2030-10-27T00:30:00Z".parse().unwrap(),
        data: json!({
            "event_id": "e1", "level": 3, "price": "0.2750", "start": "2030-10-27T01:30:00Z", "comment": "say \"hi\"\n",
            "test_event": false, "signals": [{ "name": "SIMPLE", "value": 3 }],
        })
        .as_object()
        .unwrap()
        .clone(),
    }
}

fn saying(comment: &str) -> Fact {
    let mut fact = event();
    fact.data.insert("comment".to_owned(), comment.into());
    fact
}

fn by(template: &str) -> Words {
    Words { template: Some(template.to_owned()), ..Words::default() }
}

fn by_as(template: &str, content_type: &str) -> Words {
    Words { content_type: Some(content_type.to_owned()), ..by(template) }
}

fn serialized(serializer: Serializer) -> Words {
    Words { serializer: Some(serializer), ..Words::default() }
}

fn in_zone(zone: &str, words: Words) -> Words {
    Words { timezone: TimeZone::from(zone), ..words }
}

fn renderer(words: &Words, batched: bool) -> Renderer {
    Renderer::new(words, "ops", batched, &samples(&["event.started"])).unwrap()
}

fn rendered(renderer: &Renderer, facts: &[&Fact]) -> Result<Rendered, RenderFault> {
    let ven = VenNames { name: "my house".to_owned(), id: Some("ven-1".to_owned()), vtn_id: None };
    renderer.render(facts, Around { ven: &ven, now: Timestamp::from_seconds(1_900_000_000) })
}

/// The body for these facts.
fn body_of(words: &Words, facts: &[&Fact]) -> String {
    let batched = facts.len() > 1;
    String::from_utf8(rendered(&renderer(words, batched), facts).unwrap().body).unwrap()
}

fn body(template: &str, fact: &Fact) -> String {
    body_of(&by(template), &[fact])
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn refused(words: &Words, batched: bool) -> BadWords {
    Renderer::new(words, "ops", batched, &samples(&["event.started"])).unwrap_err()
}
