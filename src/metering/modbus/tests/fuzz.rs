//! Damaged answers: no value of one register ever comes under the name of another.

use super::{Coming, Line, RegisterMap, SOON, alike, built_in, meter_of, settings, values};
use crate::dice::{Dice, fuzz};
use crate::time::Span;

/// Damages the bytes of an answer.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let at = dice.place(bytes.len());
        let end = (at + dice.place(20)).min(bytes.len());
        match dice.below(6) {
            0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = dice.octet()),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            // A length that lies.
            4 => bytes.iter_mut().skip(2).take(1).for_each(|byte| *byte = dice.octet()),
            _ => {
                let noise: Vec<u8> = (0..dice.below(40)).map(|_| dice.octet()).collect();
                drop(bytes.splice(at..at, noise));
            }
        }
    }
}

/// What comes to a request: the answer, damaged or late or glued to others, in random pieces.
fn hurt(dice: &mut Dice, answer: Vec<u8>, other: &[u8]) -> Coming {
    let mut after = SOON;
    let mut bytes = answer.clone();
    match dice.below(6) {
        0 => damage(dice, &mut bytes),
        // Too late, but not later than what is waited for.
        1 => after = Span::from_micros(i64::try_from(dice.below(2_000_000)).unwrap()),
        2 => return Coming::new(),
        // Glued: the answer is there, and so is one to another request.
        3 => bytes = [other.to_vec(), answer].concat(),
        4 => bytes = [answer, other.to_vec()].concat(),
        _ => {}
    }
    let mut coming = Coming::new();
    while !bytes.is_empty() {
        let rest = bytes.split_off(1 + dice.place(bytes.len()));
        coming.push((after, std::mem::replace(&mut bytes, rest)));
        after = after + Span::from_millis(i64::try_from(dice.below(16)).unwrap());
    }
    coming
}

/// A meter that answers badly for a while, and then well. How many telegrams came of it.
fn round(dice: &mut Dice, maps: &[RegisterMap]) -> usize {
    let map = &maps[dice.place(maps.len())];
    let right = right(map);
    let (mut meter, mut before, mut hurts) = (meter_of(map), Vec::new(), 40_u32);
    let piece = 1 + dice.place(64);
    let mut line = Line::new(settings(map.clone()), piece, |request: &[u8]| {
        let answer = meter.hear(request);
        if hurts == 0 {
            return vec![(SOON, answer)];
        }
        hurts -= 1;
        hurt(dice, answer.clone(), &std::mem::replace(&mut before, answer))
    });
    line.run_to(Span::MINUTE * 10);
    assert!(line.decoder.held() <= 64 * 1024);
    for (code, value) in line.telegrams().into_iter().flat_map(values) {
        let own = right.iter().find(|(known, _)| *known == code).unwrap();
        let others = right.iter().any(|(known, other)| *known != code && *other == value);
        assert!(own.1 == value || !others, "{code} is {value}, which is another's; it should be {}", own.1);
    }
    let last = values(line.telegrams().last().unwrap());
    assert!(last.iter().all(|value| right.contains(value)), "{last:?}");
    assert!(line.refused().len() <= 80);
    line.telegrams().len()
}

/// What the meter says where nothing is damaged.
fn right(map: &RegisterMap) -> Vec<(String, String)> {
    let mut meter = meter_of(map);
    let mut line = Line::new(settings(map.clone()), 64, |request: &[u8]| vec![(SOON, meter.hear(request))]);
    line.run_to(Span::from_seconds(9));
    values(line.telegrams()[0])
}

#[test]
fn fuzz_no_value_comes_under_the_name_of_another() {
    let maps =
        [alike(), built_in("eastron-sdm630"), built_in("carlo-gavazzi-em340"), built_in("abb-b-series")];
    let mut telegrams = 0;
    if std::env::var_os("VEN_FUZZ_SECONDS").is_some() {
        fuzz(|dice| telegrams += round(dice, &maps));
    } else {
        let mut dice = Dice::seeded();
        (0..200).for_each(|_| telegrams += round(&mut dice, &maps));
    }
    assert!(telegrams > 0);
}
