//! What is written can be read again, and is the same.

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::openadr::message::arbitrary::payload;
use crate::openadr::xml::{Limits, decode_document, encode};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_message_survives_the_wire(message in payload()) {
        let object = encode(&message);
        prop_assert_eq!(&decode_document(object.unsigned().as_bytes(), &Limits::VEN), &Ok(message.clone()));
        prop_assert_eq!(&decode_document(object.signed("").as_bytes(), &Limits::VEN), &Ok(message));
    }

    #[test]
    fn every_message_is_told_as_json_under_its_name(message in payload()) {
        let told = serde_json::to_value(&message).unwrap();
        let names: Vec<_> = told.as_object().unwrap().keys().collect();
        prop_assert_eq!(names, [message.kind().element()]);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = decode_document(&bytes, &Limits::VEN);
    }

    #[test]
    fn no_damage_makes_the_decoder_panic(
        message in payload(),
        places in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&message).unsigned().into_bytes();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode_document(&bytes, &Limits::VEN);
    }
}
