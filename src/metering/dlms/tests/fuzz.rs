//! Damaged lines of every framing: nothing panics or grows, and the good message behind the damage is found.

use super::super::hdlc;
use super::*;
use crate::dice::Dice;
use crate::metering::tests::fuzzing::rounds;

/// Frames of a good message of that second, in one of the framings.
fn good(dice: &mut Dice, meter: &mut HanSimulator, second: i64) -> Vec<u8> {
    let message = meter.message(&reading(second));
    match dice.below(3) {
        0 => hdlc::write(&message, 2000),
        1 => hdlc::write(&message, 10 + dice.place(200)),
        _ => mbus_parts(&message, 30 + dice.place(200)).concat(),
    }
}

/// Damages bytes in some places.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(5) {
        let at = dice.place(bytes.len());
        let end = (at + dice.place(60)).min(bytes.len());
        match dice.below(7) {
            0 => bytes[at..end].iter_mut().take(1).for_each(|octet| *octet ^= 1 << dice.below(8)),
            1 => bytes[at..end].iter_mut().take(1).for_each(|octet| *octet = dice.octet()),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => bytes[at..end].iter_mut().for_each(|octet| *octet = dice.octet()),
            // Beginnings, and lengths that lie.
            5 => drop(bytes.splice(at..at, [0x7E, 0xA0 | dice.octet() & 0x0F, dice.octet()])),
            _ => {
                let length = dice.octet();
                drop(bytes.splice(at..at, [0x68, length, length, 0x68, 0x53]));
            }
        }
    }
}

/// Says everything of these bytes in pieces of random sizes, and looks at what is held.
fn hear(dice: &mut Dice, decoder: &mut DlmsDecoder, bytes: &[u8]) -> Vec<Telegram> {
    let mut telegrams = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.len().min(1 + dice.place(300)));
        decoder.push(piece);
        telegrams.extend(std::iter::from_fn(|| decoder.next()).flatten());
        rest = more;
        assert!(decoder.held() <= 64 * 1024, "{} bytes", decoder.held());
    }
    decoder.quiet();
    telegrams.extend(std::iter::from_fn(|| decoder.next()).flatten());
    telegrams
}

#[test]
fn fuzz_a_good_message_is_found_behind_every_damage() {
    rounds(|dice| {
        let encrypted = dice.one_in(2);
        let (mut meter, mut decoder) = if encrypted {
            (HanSimulator::encrypted(keys(), TITLE, 0), decoder_with(keys(), false))
        } else {
            (HanSimulator::default(), decoder())
        };
        let count = i64::try_from(dice.below(4)).unwrap();
        let mut bytes: Vec<u8> = (0..count).flat_map(|second| good(dice, &mut meter, second)).collect();
        damage(dice, &mut bytes);
        let heard = hear(dice, &mut decoder, &bytes);
        if encrypted {
            // Nothing comes of a damaged message that is authenticated.
            assert!(
                heard.iter().all(|telegram| (0..count).any(|second| counted(telegram) == reading(second)))
            );
        }
        let last = good(dice, &mut meter, 99);
        assert_eq!(hear(dice, &mut decoder, &last).last().map(counted), Some(reading(99)));
    });
}

#[test]
fn fuzz_messages_of_any_bytes_are_read_or_refused() {
    rounds(|dice| {
        let mut message = HanSimulator::default().message(&reading(1));
        damage(dice, &mut message);
        message.truncate(2000);
        let bytes = hdlc::write(&message, 2000);
        let mut all = PIECES.map(|piece| decoded(decoder(), &bytes, piece));
        assert!(all.iter().all(|outcomes| *outcomes == all[0]), "pieces make no difference");
        let found = all[0].pop();
        assert!(found.is_some() && all[0].is_empty(), "one message, one outcome");
    });
}
