//! Damaged lines: no panic, little memory, the same in pieces of any size, and the good telegram behind the damage is found.

use super::{decoder, objects, t, told};
use crate::dice::Dice;
use crate::metering::Simulator;
use crate::metering::checksum::arc;
use crate::metering::decoder::{Decoder as _, Why};
use crate::metering::dsmr::{P1Decoder, P1Telegram};
use crate::metering::tests::fuzzing::rounds;
use crate::time::Span;

/// No meter's undecided bytes take more.
const MEMORY: usize = 32 * 1024;

/// What breaks readers.
const WORDS: &[&[u8]] = &[
    b"/",
    b"/ABC",
    b"/ABC5\r\n\r\n",
    b"!",
    b"\r\n!",
    b"\r\n!0000\r\n",
    b"(",
    b")",
    b"()",
    b"*",
    b"\r\n",
    b"\n(",
    b"(632525252525S)",
    b"0-1:24.3.0(090212160000)(00)(60)(24)(0-1:24.2.1)(m3)\r\n",
    b"1-0:99.97.0(2147483647)(0-0:96.7.19)",
    b"(99999999999999999999.9*kWh)",
    b"-",
    b"\0",
    b"\xFF\xFF\xFF",
    b"\xC2\xB3",
    b"\xDB\x08",
    b"\xDB\x08SAGg\x00\x00\x00\x01\x82\x40\x00\x30",
];

/// Damages bytes in some places.
pub(super) fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(4) {
        let at = dice.place(bytes.len());
        let end = (at + dice.place(60)).min(bytes.len());
        match dice.below(7) {
            0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => bytes[at..end].iter_mut().for_each(|byte| *byte = dice.octet()),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(..at)),
            5 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            _ => drop(bytes.splice(at..at, dice.one_of(WORDS).iter().copied())),
        }
    }
}

/// What the decoder says of the bytes in pieces of random sizes up to that one, and then of silence.
pub(super) fn in_pieces(
    dice: &mut Dice,
    mut decoder: P1Decoder,
    bytes: &[u8],
    most: usize,
) -> Vec<Result<P1Telegram, Why>> {
    let (mut outcomes, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((1 + dice.place(most)).min(rest.len()));
        decoder.push(piece);
        outcomes.extend(told(&mut decoder));
        assert!(decoder.held() <= MEMORY, "{} bytes are held", decoder.held());
        rest = more;
    }
    decoder.quiet();
    outcomes.extend(told(&mut decoder));
    outcomes
}

/// The same for pieces of any size; gives what was said.
pub(super) fn the_same_in_any_pieces(
    dice: &mut Dice,
    decoder: impl Fn() -> P1Decoder,
    bytes: &[u8],
) -> Vec<Result<P1Telegram, Why>> {
    let most = dice.one_of(&[1, 7, 64, 500]);
    let outcomes = in_pieces(dice, decoder(), bytes, most);
    let other = in_pieces(dice, decoder(), bytes, 4096);
    assert_eq!(outcomes, other, "{:?}", String::from_utf8_lossy(bytes));
    outcomes
}

/// A telegram with what the meters of many countries say.
fn everything() -> Vec<u8> {
    let lines = [
        "/FLU5\\253769484_A",
        "",
        "0-0:96.1.4(50221)",
        "0-0:1.0.0(260115080000W)",
        "1-0:1.8.1(000000.034*kWh)",
        "1-0:2.8.0(00123.5)",
        "1-1:31.4.0(100*A)(-063*A)",
        "1-0:1.6.0(260109134558W)(02.589*kW)",
        "0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)(251201000000W)(251123192538W)(03.695*kW)(251101000000W)(251005122139W)(05.980*kW)",
        "1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)",
        "7-0:23.1.0(260115070000)(00)(60)(3)(7-0:0.0.0)(m3)(3.5)(2.5)(1.5)",
        "0-1:24.1.0(003)",
        "0-1:24.3.0(260115070000)(00)(60)(1)(0-1:24.2.1)(m3)",
        "(00001.001)",
        "0-2:24.2.1(632525252525S)(00000.000)",
        "!",
    ];
    let text = lines.join("\r\n").into_bytes();
    let crc = arc(&text);
    [&text[..], format!("{crc:04X}\r\n").as_bytes()].concat()
}

#[test]
fn fuzz_plain_telegrams() {
    let start = t("2026-01-15T07:00:00Z");
    let mut corpus = vec![everything()];
    for number in 0..4 {
        let at = start + Span::from_seconds(10 * number);
        corpus.extend([Simulator::v5(start).telegram(at), Simulator::v2(start).telegram(at)]);
    }
    let (mut found, mut refused, mut tried, mut by_chance) = (0_u32, 0_u32, 0_u32, 0_u32);
    rounds(|dice| {
        let mut bytes = Vec::new();
        for _ in 0..=dice.below(3) {
            let mut telegram = dice.one_of(&corpus);
            if !dice.one_in(4) {
                damage(dice, &mut telegram);
            }
            bytes.extend(telegram);
        }
        let good = Simulator::v5(start).telegram(start + Span::from_seconds(100));
        let outcomes = the_same_in_any_pieces(dice, decoder, &[&bytes[..], &good].concat());
        for outcome in &outcomes {
            match outcome {
                Ok(telegram) => found += u32::from(!telegram.general().objects.is_empty()),
                Err(why) => refused += u32::from(!why.to_string().is_empty()),
            }
        }
        let last = outcomes.iter().flatten().next_back().and_then(P1Telegram::clock);
        tried += 1;
        by_chance += u32::from(last != Some(start + Span::from_seconds(100)));
    });
    assert!(found > refused / 10 && refused > found / 10, "{found} found and {refused} refused");
    // A checksum of 16 bits fits the good telegram and what was cut before it once in 65,536 times.
    assert!(by_chance <= 1 + tried / 10_000, "{by_chance} of {tried} good telegrams were lost");
}

/// Lines of any shape: what is read of them is what stands there, and nothing breaks.
#[test]
fn fuzz_lines_of_a_telegram() {
    let whole = everything();
    // A telegram has one clock, and that is there already.
    let has_clock = |line: &&[u8]| line.starts_with(b"0-0:1.0.0");
    let lines: Vec<&[u8]> =
        whole.split(|byte| *byte == b'\n').skip(2).filter(|line| !has_clock(line)).collect();
    rounds(|dice| {
        let mut line = dice.one_of(&lines).to_vec();
        damage(dice, &mut line);
        let text: String =
            line.iter().filter(|byte| **byte & 0x7F != b'!').map(|byte| char::from(*byte)).collect();
        // Whatever the line says, the register before it is read.
        objects::objects(&text);
    });
}
