//! Recorded sessions, written here.

use super::super::recorded::RecordedSession;
use super::values;
use crate::metering::decoder::Why;

const SESSION: &str = r#"{
    "description": "ignored", "word_order": "low word first",
    "map": [
        {"name": "u", "function": 4, "address": 0, "type": "u32", "scale": "0.1", "unit": "V", "obis_like": "32.7.0"},
        {"name": "q", "function": 4, "address": 2, "type": "i16", "scale": "1", "unit": "var", "obis_like": "23.7.0-24.7.0"},
        {"name": "p", "function": 3, "address": 2, "type": "i16", "scale": "1", "unit": "W", "obis_like": "16.7.0"},
        {"name": "f", "function": 4, "address": 2, "type": "i16", "scale": "1", "unit": "furlong", "obis_like": "1.7.0"},
        {"name": "i", "function": 4, "address": 3, "type": "u16", "scale": "1", "unit": "A", "obis_like": "31.7.0"}
    ],
    "steps": [
        {"host_hex": "010400000004F1C9", "reply": [
            {"after_ms": 30, "hex": "01040808FC0000"}, {"after_ms": 900, "hex": "FFFBFFFF59F1"}]},
        {"host_hex": "010400000004FFFF", "reply": []},
        {"host_hex": "010400000004F1C9", "reply": [{"after_ms": 30, "hex": "0104080"}]},
        {"host_hex": "010400000004F1C9", "reply": [{"after_ms": 1001, "hex": "01040808FC0000FFFBFFFF59F1"}]},
        {"host_hex": "010400000004F1C9", "reply": [{"after_ms": 30, "hex": "018402C2C1"}]}
    ]
}"#;

#[test]
fn each_step_is_what_its_reply_says() {
    let session: RecordedSession = serde_json::from_str(SESSION).unwrap();
    let outcomes = session.outcomes(64);
    let [first, others @ ..] = &outcomes[..] else { panic!() };
    let expected = [("1-0:32.7.0", "230"), ("1-0:23.7.0", "-5")];
    let expected = expected.map(|(code, value)| (code.to_owned(), value.to_owned()));
    assert_eq!(values(first.as_ref().unwrap()), expected);
    let whys: Vec<&Why> = others.iter().map(|outcome| &outcome.as_ref().unwrap_err().why).collect();
    let unreadable = Why::Content { at: 0, what: "the session holds no bytes of Modbus there".to_owned() };
    let exception = Why::Exception { code: 2, meaning: "illegal data address" };
    assert_eq!(whys, [&unreadable, &unreadable, &Why::NoAnswer, &exception]);
}
