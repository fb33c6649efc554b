//! Compares facts with the samples of their topics, for tests: templates are checked against samples, so these must tell the truth.

use serde_json::{Map, Value};

use super::{Draft, topic};
use crate::time::Timestamp;

/// Where a fact is not like the sample of its topic; empty where it is.
pub(crate) fn misfits(draft: &Draft) -> Vec<String> {
    let Some(topic) = topic::find(&draft.topic) else {
        return vec![format!("no topic is called {}", draft.topic)];
    };
    let Ok(sample) = serde_json::from_str(topic.sample) else {
        return vec!["the sample is no object".to_owned()];
    };
    let mut found = Vec::new();
    // Of a meter there is what it says.
    let whole = draft.topic != topic::meter::READING.name;
    of_members(&draft.topic, &draft.data, &sample, whole, &mut found);
    found
}

fn of_members(
    path: &str,
    given: &Map<String, Value>,
    sample: &Map<String, Value>,
    whole: bool,
    found: &mut Vec<String>,
) {
    for (name, value) in given {
        match sample.get(name) {
            Some(sample) => of_value(&format!("{path}.{name}"), value, sample, found),
            None => found.push(format!("{path}.{name} is not in the sample")),
        }
    }
    let missing = sample.keys().filter(|name| whole && !given.contains_key(*name));
    found.extend(missing.map(|name| format!("{path}.{name} is missing")));
}

fn of_value(path: &str, given: &Value, sample: &Value, found: &mut Vec<String>) {
    match (given, sample) {
        (Value::Null, _)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (Value::Array(items), Value::Array(samples)) => {
            for (item, sample) in items.iter().zip(samples.iter().cycle()) {
                of_value(path, item, sample, found);
            }
        }
        (Value::Object(given), Value::Object(sample)) => of_members(path, given, sample, true, found),
        _ => found.push(format!("{path} is {given}, which is not of the kind of {sample}")),
    }
}

#[test]
fn what_is_not_like_the_sample_is_found() {
    let fact = |data: Value| {
        let Value::Object(data) = data else { panic!("{data} is no object") };
        misfits(&Draft { topic: "vtn.polled".into(), subject: None, time: Timestamp::EPOCH, data })
    };
    let good = serde_json::json!({"operation": "polled", "answer": null, "rtt_ms": 3, "next_seconds": 10});
    assert_eq!(fact(good), Vec::<String>::new());
    let bad = serde_json::json!({"operation": "polled", "rtt_ms": "3", "next_seconds": 10, "more": 1});
    assert_eq!(
        fact(bad),
        [
            "vtn.polled.rtt_ms is \"3\", which is not of the kind of 84",
            "vtn.polled.more is not in the sample",
            "vtn.polled.answer is missing"
        ]
    );
}
