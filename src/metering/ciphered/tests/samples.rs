//! Encrypted telegrams of the samples.

use serde_json::Value as Json;

use super::super::{CipheredFrame, CounterGuard, Keys, Opener};
use super::Why;
use crate::test_support::samples;

/// A sample of an encrypted frame: its bytes and what is expected.
fn sample(name: &str) -> Option<(Vec<u8>, Json)> {
    let folder = samples("meters/samples")?;
    let expected = std::fs::read_to_string(folder.join(format!("{name}.expected.json"))).unwrap();
    Some((std::fs::read(folder.join(name)).unwrap(), serde_json::from_str(&expected).unwrap()))
}

fn opener(keys: &Json) -> Opener {
    let key = |name: &str| keys[name].as_str();
    let keys = Keys::parse(key("encryption_key").unwrap(), key("authentication_key")).unwrap();
    Opener::new(Some(keys), false, CounterGuard::default())
}

#[test]
fn telegrams_are_decrypted() {
    for name in ["p1-lu-encrypted-athom.bin", "p1-lu-encrypted-fixed-ak-syn.bin"] {
        let Some((bytes, expected)) = sample(name) else { return };
        let frame = CipheredFrame::parse(&bytes).unwrap().unwrap();
        assert_eq!(
            frame.title.to_string().to_lowercase(),
            expected["frame"]["system_title_hex"].as_str().unwrap()
        );
        assert_eq!(u64::from(frame.counter), expected["frame"]["frame_counter"].as_u64().unwrap());
        let opened = opener(&expected["frame"]["keys"]).open(&frame, &|_| false).unwrap();
        assert!(opened.authenticated);
        assert_eq!(String::from_utf8(opened.plain).unwrap(), expected["plaintext"].as_str().unwrap());
        assert_eq!(frame.length, bytes.len());
    }
}

#[test]
fn a_wrong_key_is_said() {
    let Some((bytes, expected)) = sample("p1-lu-encrypted-wrong-key-syn.bin") else { return };
    let frame = CipheredFrame::parse(&bytes).unwrap().unwrap();
    assert_eq!((frame.counter, frame.title.to_string()), (7, "5341476700123456".into()));
    assert_eq!(opener(&expected["reader_is_given"]).open(&frame, &|_| true), Err(Why::WrongKey));
}
