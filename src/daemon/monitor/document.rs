//! Writes messages as the `Document` of the iDigi (Digi Remote Manager) push monitors, in JSON and XML.
//!
//! ```text
//! {"Document": {"Msg": {"topic": "event.started", "operation": "started", "timestamp": …, "group": "*", "Event": {…}}}}
//! ```
//!
//! `Msg` is an object where there is one message, and an array where there are more. What happened stands under the first word of the
//! topic; `id`, `seq` (the cursor) and `subject` stand beside it.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use serde_json::{Map, Value, json};

use crate::hook::monitor::{Compression, Format};
use crate::hook::render::escape_xml;
use crate::time::Timestamp;

use super::cursor::{Found, Gap};

/// How deep XML is written; below this, values are JSON in a text. Facts of our own are not deeper.
const DEEPEST: usize = 16;

/// What is to be told of something found, before it has a notation.
struct Message {
    attributes: Vec<(&'static str, Value)>,
    /// The name under which the data stand.
    kind: String,
    data: Map<String, Value>,
}

/// The messages of a batch in some notation, compressed.
pub(super) fn document(
    found: &[Found],
    now: Timestamp,
    format: Format,
    compression: Compression,
) -> std::io::Result<Vec<u8>> {
    let messages = found.iter().map(|found| message(found, now));
    let text = match format {
        Format::Json => json(messages),
        Format::Xml => xml(messages),
    };
    match compression {
        Compression::None => Ok(text.into_bytes()),
        Compression::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes())?;
            encoder.finish()
        }
    }
}

/// The data of a gap.
pub(in crate::daemon) fn of_gap(gap: Gap) -> Map<String, Value> {
    let Gap { from, to, count, why } = gap;
    let members = [
        ("operation", Value::from("gap")),
        ("from", from.into()),
        ("to", to.into()),
        ("count", count.into()),
        ("reason", why.as_str().into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn message(found: &Found, now: Timestamp) -> Message {
    let common = |topic: &str, operation: Value, time: Timestamp| {
        let time = Value::from(time.to_string());
        vec![("topic", topic.into()), ("operation", operation), ("timestamp", time), ("group", "*".into())]
    };
    match found {
        Found::Fact(fact) => {
            let last = fact.topic.rsplit('.').next().unwrap_or_default();
            let operation = fact.data.get("operation").cloned().unwrap_or_else(|| last.into());
            let mut attributes = common(&fact.topic, operation, fact.time);
            attributes.push(("id", fact.id.as_str().into()));
            attributes.push(("seq", fact.seq.into()));
            if let Some(subject) = &fact.subject {
                attributes.push(("subject", subject.as_str().into()));
            }
            Message { attributes, kind: kind(&fact.topic), data: fact.data.clone() }
        }
        Found::Gap(gap) => Message {
            attributes: common("monitor.gap", "gap".into(), now),
            kind: "Monitor".to_owned(),
            data: of_gap(*gap),
        },
    }
}

/// The first word of a topic with a capital, `Event`; `X` for those of plugins.
fn kind(topic: &str) -> String {
    let mut letters = topic.split('.').next().unwrap_or_default().chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn json(messages: impl Iterator<Item = Message>) -> String {
    let object = |message: Message| {
        let attributes = message.attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
        let data = [(message.kind, Value::Object(message.data))];
        Value::Object(attributes.chain(data).collect())
    };
    let mut messages: Vec<Value> = messages.map(object).collect();
    let messages = if messages.len() == 1 { messages.remove(0) } else { Value::Array(messages) };
    json!({"Document": {"Msg": messages}}).to_string()
}

fn xml(messages: impl Iterator<Item = Message>) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document>");
    for message in messages {
        out.push_str("<Msg");
        for (name, value) in &message.attributes {
            out.push_str(&format!(" {name}=\""));
            escape(&mut out, &plain(value));
            out.push('"');
        }
        out.push('>');
        element(&mut out, &message.kind, &Value::Object(message.data), 0);
        out.push_str("</Msg>");
    }
    out.push_str("</Document>\n");
    out
}

/// A member of an object is an element of its name, or `<member name="…">` where that cannot be one; an item of an array is an element
/// of the array's name within it; what is not known is an element with `nil="true"`.
fn element(out: &mut String, name: &str, value: &Value, depth: usize) {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter));
    let tag = if is_name { name } else { "member" };
    out.push('<');
    out.push_str(tag);
    if !is_name {
        out.push_str(" name=\"");
        escape(out, name);
        out.push('"');
    }
    if value.is_null() {
        return out.push_str(" nil=\"true\"/>");
    }
    out.push('>');
    match (value, depth < DEEPEST) {
        (Value::Object(members), true) => {
            members.iter().for_each(|(name, value)| element(out, name, value, depth + 1));
        }
        (Value::Array(items), true) => items.iter().for_each(|item| element(out, "item", item, depth + 1)),
        _ => escape(out, &plain(value)),
    }
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escape(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    escape_xml(out, text).ok();
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use flate2::read::ZlibDecoder;
    use serde_json::{Map, Value, json};

    use super::{Found, Gap, document};
    use crate::daemon::monitor::cursor::GapReason;
    use crate::dice::fuzz;
    use crate::fact::Fact;
    use crate::hook::monitor::{Compression, Format};
    use crate::time::Timestamp;

    fn fact(topic: &str, data: Value) -> Found {
        let Value::Object(data) = data else { panic!("{data} is no object") };
        let time = Timestamp::from_seconds(1_900_000_000);
        let (id, topic) = ("01".into(), topic.to_owned());
        Found::Fact(Arc::new(Fact { id, seq: 7, topic, subject: Some("e<1".into()), time, data }))
    }

    fn gap() -> Found {
        Found::Gap(Gap { from: 3, to: 9, count: None, why: GapReason::Expired })
    }

    fn write(found: &[Found], format: Format) -> String {
        let now = Timestamp::from_seconds(1_900_000_001);
        String::from_utf8(document(found, now, format, Compression::None).unwrap()).unwrap()
    }

    #[test]
    fn one_message_is_an_object_and_several_are_an_array() {
        let started = fact("event.started", json!({"operation": "started", "level": "2.50"}));
        let msg = json!({"topic": "event.started", "operation": "started", "timestamp": "2030-03-17T17:46:40Z",
            "group": "*", "id": "01", "seq": 7, "subject": "e<1", "Event": {"operation": "started", "level": "2.50"}});
        let read = |found: &[Found]| serde_json::from_str::<Value>(&write(found, Format::Json)).unwrap();
        assert_eq!(read(std::slice::from_ref(&started)), json!({"Document": {"Msg": msg}}));
        let gap_msg = json!({"topic": "monitor.gap", "operation": "gap", "timestamp": "2030-03-17T17:46:41Z", "group": "*",
            "Monitor": {"operation": "gap", "from": 3, "to": 9, "count": null, "reason": "expired"}});
        assert_eq!(read(&[gap(), started]), json!({"Document": {"Msg": [gap_msg, msg]}}));
    }

    #[test]
    fn xml_says_the_same() {
        let found = fact(
            "x.peak.state",
            json!({"a": "<&\r\n", "1.8.0": 5, "list": [1, {"b": null}], "empty": [], "no": "\u{1}"}),
        );
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document><Msg topic=\"x.peak.state\" operation=\"state\" \
            timestamp=\"2030-03-17T17:46:40Z\" group=\"*\" id=\"01\" seq=\"7\" subject=\"e&lt;1\"><X><a>&lt;&amp;&#13;&#10;</a>\
            <member name=\"1.8.0\">5</member><list><item>1</item><item><b nil=\"true\"/></item></list><empty></empty>\
            <no>\u{fffd}</no></X></Msg></Document>\n";
        assert_eq!(write(&[found], Format::Xml), expected);
    }

    #[test]
    fn compressed_is_zlib() {
        let now = Timestamp::EPOCH;
        let packed = document(&[gap()], now, Format::Json, Compression::Zlib).unwrap();
        // RFC 1950, 2.2: deflate with a window of 32 KiB.
        assert_eq!((packed[0], u16::from_be_bytes([packed[0], packed[1]]) % 31), (0x78, 0));
        let mut text = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut text).unwrap();
        assert_eq!(text, document(&[gap()], now, Format::Json, Compression::None).unwrap());
    }

    /// Names and texts of plugins may be anything; what is written is well formed all the same.
    #[test]
    fn any_data_make_a_document_that_can_be_read() {
        fuzz(|dice| {
            let letters =
                ['a', 'Z', '0', '<', '&', '"', '\'', '\r', '\0', '\u{fffe}', 'ü', ':', ' ', '\u{1f600}'];
            let mut text = || (0..dice.below(6)).map(|_| dice.one_of(&letters)).collect::<String>();
            let mut value = Value::from(text());
            for depth in 0..20 {
                let members = Map::from_iter([(text(), value), (text(), Value::Null)]);
                value = if depth % 3 == 0 { json!([members]) } else { Value::Object(members) };
            }
            let found = [fact("x.any", json!({"data": value})), gap()];
            serde_json::from_str::<Value>(&write(&found, Format::Json)).unwrap();
            let xml = write(&found, Format::Xml);
            let mut reader = quick_xml::Reader::from_str(&xml);
            let mut depth = 0_i32;
            loop {
                let event = reader.read_event().unwrap();
                if matches!(event, quick_xml::events::Event::Eof) {
                    break;
                }
                depth += i32::from(matches!(event, quick_xml::events::Event::Start(_)));
                depth -= i32::from(matches!(event, quick_xml::events::Event::End(_)));
            }
            assert_eq!(depth, 0);
        });
    }
}
