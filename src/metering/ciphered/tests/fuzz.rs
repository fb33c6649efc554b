//! Damaged frames: none is opened as something that was never sealed.

use super::super::CipheredFrame;
use super::{AUTHENTICATION, PLAIN, opener, sealed};
use crate::metering::tests::fuzzing::rounds;

#[test]
fn fuzz_nothing_is_opened_that_was_not_sealed() {
    let key = Some(AUTHENTICATION);
    rounds(|dice| {
        let security = dice.one_of(&[0x30, 0x20, 0x10, 0x00, 0x31]);
        let mut bytes = sealed(dice.one_of(&[key, None]), security, u32::from(dice.octet()));
        for _ in 0..dice.below(4) {
            let at = dice.place(bytes.len());
            let end = (at + dice.place(20)).min(bytes.len());
            match dice.below(4) {
                0 => bytes[at..end].iter_mut().take(1).for_each(|octet| *octet ^= 1 << dice.below(8)),
                1 => bytes[at..end].iter_mut().for_each(|octet| *octet = dice.octet()),
                2 => drop(bytes.drain(at..end)),
                _ => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            }
        }
        let Ok(Some(frame)) = CipheredFrame::parse(&bytes) else { return };
        assert!(frame.length <= bytes.len() && frame.content.len() < bytes.len());
        let mut opener = opener(key, true);
        if let Ok(opened) = opener.open(&frame, &|_| true) {
            assert_eq!((opened.plain.as_slice(), opened.authenticated), (PLAIN, true));
            assert!(opener.open(&frame, &|_| true).is_err(), "not twice");
        }
    });
}
