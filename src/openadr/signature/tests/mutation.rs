//! One byte of a signed message is changed: it is refused, or says exactly the same.

use super::keys::Identity;
use super::{gate, now, poll, signed};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{DistributeEvent, Payload};
use crate::time::Span;

fn event() -> Payload {
    DistributeEvent {
        response: None,
        request_id: "r1".into(),
        vtn_id: "vtn".into(),
        events: vec![EventBuilder::new("e1", now(), Span::HOUR).level(2).build()],
    }
    .into()
}

#[test]
fn no_changed_byte_gets_another_message_in() {
    let cases = [(Identity::p256(), poll()), (Identity::rsa(), poll()), (Identity::p256(), event())];
    for (identity, payload) in cases {
        let good = signed(&payload, identity).into_bytes();
        let mut taken = 0;
        for at in 0..good.len() {
            let byte = good[at];
            for other in [byte ^ 1, byte ^ 0x20, b'<', b'>', b'&', b' ', b'A', 0, 0xff] {
                if other == byte {
                    continue;
                }
                let mut changed = good.clone();
                changed[at] = other;
                if let Ok(verified) = gate(identity).open(&changed, now()) {
                    assert_eq!(verified.into_content(), payload, "byte {at} changed from {byte} to {other}");
                    taken += 1;
                }
            }
        }
        // Only bytes that mean nothing may change: the XML declaration, the text of KeyInfo's neighbours, white space in base64.
        assert!(taken < good.len() / 4, "{taken} of {} bytes", good.len());
    }
}

/// Leaving out, doubling and swapping bytes does no better.
#[test]
fn no_missing_or_doubled_byte_gets_another_message_in() {
    let (identity, payload) = (Identity::p256(), event());
    let good = signed(&payload, identity).into_bytes();
    for at in 0..good.len() {
        let mut shorter = good.clone();
        shorter.remove(at);
        let mut longer = good.clone();
        longer.insert(at, good[at]);
        for changed in [shorter, longer, good[..at].to_vec()] {
            if let Ok(verified) = gate(identity).open(&changed, now()) {
                assert_eq!(verified.into_content(), payload, "byte {at}");
            }
        }
    }
}
