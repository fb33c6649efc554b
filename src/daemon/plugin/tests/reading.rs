//! Lines of programs are those of strangers.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::daemon::plugin::protocol::{BadLine, Hello, Level, Said, may_publish, question, readable};

#[test]
fn a_hello_says_who_it_is_and_what_it_can() {
    let line = br#"{"v":[2,1],"name":"peak","kinds":["decide","event"],"topics":["event.*"],"routes":[{"method":"GET","path":"state","more":1}],"new":{}}"#;
    let hello = Hello::read(line).unwrap();
    assert_eq!((hello.name.as_str(), hello.topics.as_slice()), ("peak", &["event.*".to_owned()][..]));
    assert!(hello.knows("decide") && !hello.knows("http"));
    assert_eq!(hello.routes[0].path, "state");
    let error = Hello::read(br#"{"v":[1],"name":"p","kinds":[],"routes":[{"path":"x"}]}"#).unwrap_err();
    assert!(error.to_string().contains("routes that is not a list of objects"), "{error}");
}

#[test]
fn numbers_lose_no_digit() {
    let line =
        br#"{"id":18446744073709551615,"a":12345678901234567890.000000001,"b":[1,-2,1e400],"c":{"d":0.10}}"#;
    let Said::Answer { id, answer: Ok(answer) } = Said::read(line).unwrap() else { panic!() };
    assert_eq!(id, u64::MAX);
    let expected = json!({"a": "12345678901234567890.000000001", "b": [1, -2, "1e400"], "c": {"d": "0.10"}});
    assert_eq!(Value::Object(answer), expected);
}

#[test]
fn telegrams_are_text_or_base64() {
    let read = |line: &str| match Said::read(line.as_bytes()) {
        Ok(Said::Telegram { meter, bytes }) => Ok((meter, bytes)),
        other => Err(other),
    };
    let told = read(r#"{"telegram":"/ISk5\r\n!0000\r\n","meter":"main"}"#).unwrap();
    assert_eq!(told, (Some("main".to_owned()), b"/ISk5\r\n!0000\r\n".to_vec()));
    assert_eq!(
        read(r#"{"telegram_base64":"GxsbGwD/"}"#).unwrap(),
        (None, b"\x1b\x1b\x1b\x1b\x00\xff".to_vec())
    );
    let error = read(r#"{"telegram_base64":"GxsbG"}"#).unwrap_err().unwrap_err();
    assert!(error.to_string().contains("telegram_base64 that is not base64"), "{error}");
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested =
            |levels: usize| format!("{{\"id\":1,\"a\":{}0{}}}", open.repeat(levels), close.repeat(levels));
        assert!(Said::read(nested(30).as_bytes()).is_ok());
        for levels in [40, 100_000] {
            let error = Said::read(nested(levels).as_bytes()).unwrap_err();
            assert!(matches!(error, BadLine::NoObject(_)), "{error}");
        }
    }
}

#[test]
fn control_characters_are_shown_and_not_sent_to_the_terminal() {
    assert_eq!(readable("a\u{1b}[31mb\n\u{9b}c\u{7}"), "a\\u{1b}[31mb\\n\\u{9b}c\\u{7}");
    assert_eq!(readable(&"ä".repeat(2000)).chars().count(), 500);
    assert_eq!(Level::of_stderr("W! disk"), (Level::Warn, "disk"));
    assert_eq!(Level::of_stderr("W!disk"), (Level::Info, "W!disk"));
}

#[test]
fn a_plugin_publishes_below_its_own_name_only() {
    for (topic, may) in [
        ("x.peak.state", true),
        ("x.peak.a.b-1", true),
        ("x.peak", false),
        ("x.peak.", false),
        ("x.peak..a", false),
        ("x.peaks.state", false),
        ("x.other.state", false),
        ("event.started", false),
        ("x.peak.*", false),
        ("x.peak.A", false),
    ] {
        assert_eq!(may_publish("peak", topic), may, "{topic}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(Hello::read(&line));
        drop(Said::read(&line));
    }

    #[test]
    fn any_json_is_read_or_refused(name in "(v|id|kind|name|publish|log|data|error|kinds|routes)", more in "[\\[\\]{}:,\"a-z0-9.eE+-]{0,60}") {
        let line = format!("{{\"{name}\":{more}}}");
        drop(Hello::read(line.as_bytes()));
        drop(Said::read(line.as_bytes()));
    }

    #[test]
    fn a_question_is_one_line_whatever_is_in_it(text in any::<String>()) {
        let members = serde_json::Map::from_iter([("a".to_owned(), Value::from(text.clone()))]);
        let line = question(7, "event", &members);
        prop_assert_eq!(line.iter().position(|octet| *octet == b'\n'), Some(line.len() - 1));
        let back: Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(back, json!({"id": 7, "kind": "event", "a": text}));
    }
}
