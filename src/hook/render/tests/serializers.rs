use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::{
    Fact, RenderFault, SAMPLES, body_of, event, in_zone, parsed, rendered, renderer, samples, serialized,
};
use crate::hook::render::Renderer;
use crate::hook::settings::{OwnSerializer, Serializer, Serializers, Words, WriteError, WriteFacts};

#[test]
fn one_fact_is_a_cloud_event() {
    let sent = rendered(&renderer(&Words::default(), false), &[&event()]).unwrap();
    let expected = json!({
        "specversion": "1.0",
        "id": "0198f3a0-0000-7000-8000-00000000000a",
        "source": "urn:ven:my%20house",
        "type": "event.started",
        "subject": "e1",
        "time": "2030-10-27T00:30:00Z",
        "sequence": "00000000000000000042",
        "datacontenttype": "application/json",
        "data": event().data,
    });
    assert_eq!(parsed(&String::from_utf8(sent.body).unwrap()), expected);
    assert_eq!(sent.content_type, "application/cloudevents+json");
}

#[test]
fn several_facts_are_a_batch_of_cloud_events() {
    let mut other = event();
    (other.seq, other.subject) = (43, Some(String::new()));
    let sent = rendered(&renderer(&Words::default(), true), &[&event(), &other]).unwrap();
    let body = parsed(&String::from_utf8(sent.body).unwrap());
    assert_eq!(body[0]["sequence"], "00000000000000000042");
    assert_eq!(body[1]["sequence"], "00000000000000000043");
    assert_eq!(body[1].get("subject"), None, "an attribute is not empty");
    assert_eq!(sent.content_type, "application/cloudevents-batch+json");
}

#[test]
fn the_data_alone_is_told_in_a_zone_and_by_new_names() {
    let words = serialized(Serializer::Data);
    assert_eq!(parsed(&body_of(&words, &[&event()])), json!(event().data));
    assert_eq!(parsed(&body_of(&words, &[&event(), &event()])), json!([event().data, event().data]));
    let fields =
        [("at", "start"), ("cost", "price")].map(|(new, old)| (new.to_owned(), old.to_owned())).to_vec();
    let words = in_zone("Europe/Amsterdam", Words { fields, ..words });
    assert_eq!(body_of(&words, &[&event()]), r#"{"at":"2030-10-27T02:30:00+01:00","cost":"0.2750"}"#);
    let mut poor = event();
    poor.data.remove("price");
    assert_eq!(body_of(&words, &[&poor]), r#"{"at":"2030-10-27T02:30:00+01:00"}"#);
}

#[test]
fn the_data_can_be_the_fields_of_a_form() {
    let fields = ["level", "comment", "signals"].map(|name| (name.to_owned(), name.to_owned())).to_vec();
    let content_type = Some("application/x-www-form-urlencoded".to_owned());
    let words = Words { fields, content_type, ..serialized(Serializer::Data) };
    let body = body_of(&words, &[&event()]);
    assert_eq!(
        body,
        "level=3&comment=say+%22hi%22%0A&signals=%5B%7B%22name%22%3A%22SIMPLE%22%2C%22value%22%3A3%7D%5D"
    );
}

#[test]
fn a_reading_is_told_to_dsmr_reader_and_nothing_else() {
    let meters = samples(&["meter.reading"]);
    let words = in_zone("Europe/Amsterdam", serialized(Serializer::DsmrReading));
    let renderer = Renderer::new(&words, "dsmr", false, &meters).unwrap();
    let mut reading = event();
    reading.topic = "meter.reading".to_owned();
    reading.data = parsed(SAMPLES[1].1).as_object().unwrap().clone();
    let sent = rendered(&renderer, &[&reading]).unwrap();
    let body = parsed(&String::from_utf8(sent.body).unwrap());
    assert_eq!(body["timestamp"], "2030-01-01T01:00:00+01:00");
    assert_eq!(body["electricity_delivered_1"], "12345.678");
    assert_eq!(body["electricity_currently_returned"], "0.417");
    let interval = Fact { topic: "meter.interval".to_owned(), ..reading.clone() };
    let fault = rendered(&renderer, &[&interval]).unwrap_err();
    assert_eq!(
        fault,
        RenderFault::NoReading("meter.interval".to_owned()),
        "the energy of an interval is no register"
    );
    reading.data.remove("import_kwh");
    assert_eq!(rendered(&renderer, &[&reading]), Err(RenderFault::PoorReading("import_kwh")));
    let never = Renderer::new(&words, "dsmr", false, &samples(&["event.started"])).unwrap_err();
    assert!(never.to_string().contains("and event.started is none"), "{never}");
}

/// The words of a serializer that the program brings, called `mine`.
fn by(write: impl Fn(&[&Fact]) -> Result<String, WriteError> + Send + Sync + 'static) -> Words {
    let brought: Serializers = BTreeMap::from([("mine".to_owned(), Arc::new(write) as Arc<WriteFacts>)]);
    let mut mine = OwnSerializer::named("mine".to_owned());
    mine.bring(&brought);
    serialized(Serializer::Own(mine))
}

#[test]
fn a_program_may_bring_words_of_its_own() {
    let words = by(|facts| Ok(facts.iter().map(|fact| format!("\"{}\"", fact.topic)).collect()));
    assert_eq!(body_of(&words, &[&event()]), "\"event.started\"");
    let text =
        Words { content_type: Some("text/plain".to_owned()), ..by(|facts| Ok(facts.len().to_string())) };
    assert_eq!(body_of(&text, &[&event(), &event()]), "2", "those of a batch all at once");
}

#[test]
fn words_of_its_own_that_fail_are_not_sent() {
    type Write = fn(&[&Fact]) -> Result<String, WriteError>;
    let writes: [(Write, &str); 4] = [
        (|_| Err("out of ink".into()), "the serializer mine fails: out of ink"),
        (|_| panic!("as it was told to"), "the serializer mine fails: it has panicked"),
        (|_| Ok("no JSON".to_owned()), "invalid-payload: what was written is no JSON"),
        (|_| Ok("x".repeat(300 << 10)), "the serializer mine writes more than 256 KiB"),
    ];
    for (write, why) in writes {
        // On samples it works.
        let words = by(move |facts| if facts[0].seq == 1 { Ok("1".to_owned()) } else { write(facts) });
        let fault = rendered(&renderer(&words, false), &[&event()]).unwrap_err();
        assert!(fault.to_string().contains(why), "{fault}");
    }
}

#[test]
fn a_serializer_that_nobody_brings_is_refused() {
    let mut mine = OwnSerializer::named("mine".to_owned());
    let refused = |mine: &OwnSerializer| {
        let words = serialized(Serializer::Own(mine.clone()));
        super::refused(&words, false).to_string()
    };
    assert!(refused(&mine).ends_with("and the program brings none"), "{}", refused(&mine));
    let write: Arc<WriteFacts> = Arc::new(|_: &[&Fact]| Ok(String::new()));
    mine.bring(&BTreeMap::from([("other".to_owned(), write)]));
    let expected = "serializer: no serializer is called \"mine\"; there are cloudevents, data and dsmr-reader, and the program brings other";
    assert_eq!(refused(&mine), expected);
}
