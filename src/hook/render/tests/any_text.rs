//! Whatever a text holds, it arrives as it was.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::{Map, Value};

use super::{Fact, body_of, by, by_as, event, in_zone, parsed, rendered, samples, serialized};
use crate::hook::filter::Filter;
use crate::hook::render::Renderer;
use crate::hook::render::escape::of_xml;
use crate::hook::settings::{Serializer, Words};

/// Texts of all kinds, among them those that break something somewhere.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\"\\\\{}\\[\\]<>&'%\\n\\r\\t\\x00-\\x1f\\x7f🔌]{0,20}",
        "(\\{\\{|\\}\\}|\\{%|%\\}|\\]\\]>|\"\\}|&amp;|\\\\u0000|0x1|1e5|null|true){1,5}",
    ]
}

const PARTS: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{# ",
    " #}",
    "data",
    "data.level",
    "data.comment",
    "data.signals",
    "event",
    "facts",
    "ven",
    "topic",
    ".",
    "[",
    "]",
    "(",
    ")",
    "|",
    "|tojson",
    "|localtime",
    "|strftime('%Y')",
    "|unix",
    "|scale(2)",
    "|scale(-99999)",
    "|join(',')",
    "|map('upper')",
    "|list",
    "|sort",
    "|batch(2)",
    "|groupby('name')",
    "|format(1)",
    "'%s'",
    "'x'",
    "\"",
    "'",
    "<a>",
    "</a>",
    "{",
    "}",
    ":",
    ",",
    " + ",
    " - ",
    " * ",
    " ** ",
    " // ",
    " % ",
    " ~ ",
    " in ",
    " is ",
    " not ",
    " and ",
    " or ",
    " < ",
    " == ",
    "defined",
    "none",
    "true",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "1e308",
    "if ",
    "else",
    "endif",
    "for x in ",
    "endfor",
    "set x = ",
    "x",
    "range",
    "dict",
    "loop",
    "recursive",
    "🔌",
    "\n",
    "\0",
    "\\",
];

/// Templates and conditions, many of them nearly right.
fn code() -> impl Strategy<Value = String> {
    prop_oneof![vec(proptest::sample::select(PARTS), 0..24).prop_map(|parts| parts.concat()), any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::String),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (any::<i32>(), 0_u32..6).prop_map(|(digits, places)| decimal(digits, places)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn decimal(digits: i32, places: u32) -> Value {
    let number = rust_decimal::Decimal::new(i64::from(digits), places);
    serde_json::from_str(&number.to_string()).unwrap()
}

fn fact(id: &str, subject: &str, members: Vec<(String, Value)>) -> Fact {
    let mut data: Map<String, Value> = members.into_iter().collect();
    data.insert("comment".to_owned(), subject.into());
    Fact { id: id.to_owned(), subject: Some(subject.to_owned()), data, ..event() }
}

proptest! {
    #[test]
    fn json_of_every_serializer_and_of_a_quoted_template_reads_back(
        id in text(), subject in text(), members in vec((text(), value()), 0..4)
    ) {
        let fact = fact(&id, &subject, members);
        let told = parsed(&body_of(&Words::default(), &[&fact, &fact]));
        assert_eq!(told[1]["id"], id.as_str());
        assert_eq!(told[1]["data"], Value::Object(fact.data.clone()));
        assert_eq!(told[1].get("subject"), (!subject.is_empty()).then(|| Value::from(subject.as_str())).as_ref());
        assert_eq!(parsed(&body_of(&serialized(Serializer::Data), &[&fact])), Value::Object(fact.data.clone()));
        let template = r#"{"id":"{{ event.id }}","c":"{{ data.comment }}","j":{{ data.comment|tojson }},"all":{{ data }}}"#;
        let told = parsed(&body_of(&by(template), &[&fact]));
        assert_eq!(told["id"], id.as_str());
        assert_eq!(told["c"], subject.as_str());
        assert_eq!(told["j"], subject.as_str());
        assert_eq!(told["all"], Value::Object(fact.data));
    }

    #[test]
    fn xml_reads_back(text in text()) {
        let fact = fact("id", &text, Vec::new());
        let body = body_of(&by_as("<a b='{{ data.comment }}'>{{ data.comment }}</a>", "text/xml"), &[&fact]);
        let expected: String = text.chars().map(|c| if of_xml(c) { c } else { '\u{fffd}' }).collect();
        let mut reader = Reader::from_str(&body);
        let mut read = String::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => {
                    let b = tag.try_get_attribute("b").unwrap().unwrap();
                    let value = b.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap();
                    assert_eq!(value, expected.as_str());
                }
                Event::Text(text) => read.push_str(&text),
                Event::GeneralRef(name) => {
                    read.push_str(&quick_xml::escape::unescape(&format!("&{};", &*name)).unwrap());
                }
                Event::Eof => break,
                Event::End(_) => {}
                Event::Empty(_) | Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                    panic!("there is nothing of the kind in {body}")
                }
            }
        }
        assert_eq!(read, expected);
    }

    #[test]
    fn forms_read_back(text in text()) {
        let fact = fact("id", &text, Vec::new());
        let form = vec![("a".to_owned(), "{{ data.comment }}".to_owned()), ("b".to_owned(), "1".to_owned())];
        let body = body_of(&Words { form, ..Words::default() }, &[&fact]);
        let field = body.strip_prefix("a=").unwrap().strip_suffix("&b=1").unwrap();
        assert_eq!(decoded(field), text);
    }

    /// Whatever the operator writes, it is read or refused, and what is written by it is sound or not sent.
    #[test]
    fn any_template_and_any_condition_are_read_or_refused(text in code()) {
        for content_type in ["application/json", "text/xml", "text/plain"] {
            let Ok(renderer) = Renderer::new(&by_as(&text, content_type), "ops", false, &samples(&["event.started"])) else {
                continue;
            };
            if let Ok(sent) = rendered(&renderer, &[&event()]) {
                let body = String::from_utf8(sent.body).unwrap();
                let read = serde_json::from_str::<Value>(&body);
                // JSON knows numbers that are too big for every reader.
                let sound = read.map_or_else(|error| error.to_string().contains("out of range"), |_| true);
                assert!(content_type != "application/json" || sound, "{body}");
            }
        }
        if let Ok(filter) = Filter::new(&text, &samples(&["event.started"])) {
            drop(filter.holds(&event()));
        }
    }

    /// A zone changes how a time is written, and never which text it is.
    #[test]
    fn a_zone_leaves_texts_alone(text in text()) {
        let fact = fact("id", &text, Vec::new());
        let told = parsed(&body_of(&in_zone("Europe/Amsterdam", serialized(Serializer::Data)), &[&fact]));
        assert_eq!(told["comment"], text.as_str());
    }
}

/// What a form says, read by another way than it is written.
fn decoded(field: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = field.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => octets.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                octets.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8(octets).unwrap()
}
