//! Damaged lines of every kind: no panic, little memory, and the good file after the damage is found.

use super::super::{SmlDecoder, SmlReading, sml_file};
use super::{Writer, decoded, entry, list, message, transport, usual};
use crate::dice::Dice;
use crate::metering::decoder::{Decoder as _, Refused};
use crate::metering::obis::ObisCode;
use crate::metering::tests::fuzzing::rounds;

/// Good files: of the simulator, and one that holds escapes and starts.
fn corpus() -> Vec<Vec<u8>> {
    let simulated =
        |power| sml_file(SmlReading { second: 0x1B1B_1B1B, import: 0x1B_1B1B_1B1B, export: 5, power });
    let octets = |octets: &[u8]| {
        let octets = octets.to_vec();
        entry(ObisCode::electricity(96, 1, 0), 0x1C_0104, 255, 0, move |writer| writer.octets(&octets))
    };
    let entries = [octets(&[0x1B; 13]), octets(b"\x1B\x1B\x1B\x1B\x01\x01\x01\x01"), octets(&[0; 50])];
    let content =
        list(b"\x0A\x01DZG\x00\x00\x00\x00\x01", &Writer::default().unsigned(9, 4).done(), &entries);
    vec![simulated(700), simulated(-700), transport(&message(b"t", 0x0701, &content, usual))]
}

/// What confuses readers.
const WORDS: &[&[u8]] = &[
    b"\x1B",
    b"\x1B\x1B\x1B\x1B",
    b"\x01\x01\x01\x01",
    b"\x1B\x1B\x1B\x1B\x01\x01\x01\x01",
    b"\x1B\x1B\x1B\x1B\x1B\x1B\x1B\x1B\x01\x01\x01\x01",
    b"\x1B\x1B\x1B\x1B\x1A",
    b"\x1B\x1B\x1B\x1B\x1A\x03\xFF\xFF",
    b"\x8F\x8F\x8F\x0F",
    b"\x7F",
    b"\xFF\x0F",
    b"\x77",
    b"\x00",
];

fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(4) {
        let at = dice.place(bytes.len());
        let end = (at + dice.place(60)).min(bytes.len());
        match dice.below(7) {
            0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = dice.octet()),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => drop(bytes.splice(at..at, dice.one_of(WORDS).iter().copied())),
            5 => bytes.truncate(at),
            _ => {
                let noise: Vec<u8> = (0..dice.below(50)).map(|_| dice.octet()).collect();
                drop(bytes.splice(at..at, noise));
            }
        }
    }
}

#[test]
fn fuzz_a_damaged_line_loses_no_good_file_after_the_damage() {
    let corpus = corpus();
    let good: Vec<_> = corpus.iter().map(|file| decoded(file, 64).remove(0).unwrap()).collect();
    rounds(|dice| {
        let mut bytes = Vec::new();
        for _ in 0..=dice.below(3) {
            let mut one = dice.one_of(&corpus);
            damage(dice, &mut one);
            bytes.append(&mut one);
        }
        let last = dice.place(corpus.len());
        bytes.extend_from_slice(&corpus[last]);
        let mut decoder = SmlDecoder::new();
        let mut told = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = dice.one_of(&[1, 7, 64, 4096]);
            let (piece, more) = rest.split_at(1 + dice.place(most).min(rest.len() - 1));
            decoder.push(piece);
            told.extend(std::iter::from_fn(|| decoder.next()));
            assert!(decoder.held() <= 64 * 1024);
            rest = more;
        }
        assert_eq!(told.last(), Some(&Ok(good[last].clone())), "{bytes:02X?}");
        assert!(told.iter().flatten().count() <= 5);
        // Pieces do not matter.
        assert_eq!(decoded(&bytes, 4096), told);
    });
}

#[test]
fn fuzz_a_file_with_right_checksums_may_say_anything() {
    let entry = |quantity: u8, bytes| {
        entry(ObisCode::electricity(quantity, 8, 0), 0x1C_0104, 30, -1, |writer| writer.unsigned(5, bytes))
    };
    let time = Writer::default().list(2).unsigned(2, 1).unsigned(1_893_456_000, 4).done();
    let good = list(b"\x0A\x01DZG\x00\x00\x00\x00\x01", &time, &[entry(1, 1), entry(2, 4), entry(15, 8)]);
    let (mut read, mut objects) = (0, 0);
    rounds(|dice| {
        let mut content = good.clone();
        damage(dice, &mut content);
        let mut payload = message(b"t", 0x0701, &content, usual);
        if dice.one_in(4) {
            damage(dice, &mut payload);
        }
        let told = decoded(&transport(&payload), 4096);
        match &told[..] {
            [Ok(telegram)] => (read, objects) = (read + 1, objects + telegram.objects.len()),
            // A start among the values fits the checksum once in 65,536 times.
            refused => {
                assert!(!refused.is_empty());
                let clear = |one: &Result<_, Refused>| !one.as_ref().unwrap_err().to_string().is_empty();
                assert!(refused.iter().all(clear), "{told:?} of {payload:02X?}");
            }
        }
    });
    assert!(read > 0 && objects > 0, "some damage is harmless");
}
