//! Damaged signed messages: what is let in says what was signed.

use proptest::strategy::{Strategy as _, ValueTree as _};

use super::keys::Identity;
use super::{gate, now, poll, signed};
use crate::dice::fuzz;
use crate::openadr::message::PayloadKind;
use crate::openadr::message::arbitrary::payload_of;
use crate::openadr::xml::tests::fuzz::damage;

#[test]
fn fuzz_no_damage_gets_another_message_in() {
    let identity = Identity::p256();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let messages: Vec<_> = [PayloadKind::DistributeEvent, PayloadKind::CreateReport, PayloadKind::Response]
        .into_iter()
        .map(|kind| payload_of(kind).new_tree(&mut runner).unwrap().current())
        .chain([poll()])
        .collect();
    let corpus: Vec<_> = messages.iter().map(|message| signed(message, identity).into_bytes()).collect();
    fuzz(|dice| {
        let at = dice.place(corpus.len());
        let mut octets = corpus[at].clone();
        damage(dice, &mut octets, &corpus);
        if let Ok(verified) = gate(identity).open(&octets, now()) {
            let message = verified.into_content();
            // A piece of another message may have brought the whole of it.
            assert!(messages.contains(&message), "{}", String::from_utf8_lossy(&octets));
        }
    });
}
