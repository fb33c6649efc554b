//! Encrypted telegrams: what is the meter's is read, whatever stands around it, and nothing else is.

use std::path::Path;

use serde_json::Value as Json;

use super::fuzz::{damage, the_same_in_any_pieces};
use super::samples::{expected, objects_that_differ};
use super::{PIECES, t, told};
use crate::metering::Simulator;
use crate::metering::checksum::arc;
use crate::metering::ciphered::{CounterGuard, Keys, Opener, Security, SystemTitle, seal};
use crate::metering::decoder::{Decoder as _, RawTelegram, Why};
use crate::metering::dsmr::{LUXEMBOURG_AUTHENTICATION_KEY, P1Decoder, P1Telegram};
use crate::metering::tests::fuzzing::rounds;
use crate::openadr::message::DataQuality;
use crate::test_support::samples;
use crate::time::Span;

const KEY: [u8; 16] = *b"the meter's key.";
const TITLE: SystemTitle = SystemTitle(*b"SAG\0\x01\x02\x03\x04");

fn keys() -> Keys {
    Keys::new(KEY, Some(LUXEMBOURG_AUTHENTICATION_KEY))
}

fn decoder_with(keys: Keys, unauthenticated: bool) -> P1Decoder {
    P1Decoder::encrypted(Span::HOUR, Opener::new(Some(keys), unauthenticated, CounterGuard::default()))
}

fn decoder() -> P1Decoder {
    decoder_with(keys(), false)
}

/// What the decoder says of these bytes, and then of silence.
fn decoded(mut decoder: P1Decoder, bytes: &[u8], piece: usize) -> Vec<Result<P1Telegram, Why>> {
    let mut outcomes = super::outcomes(&mut decoder, bytes, piece);
    decoder.quiet();
    outcomes.extend(told(&mut decoder));
    outcomes
}

fn kilowatt_hours(telegram: &P1Telegram) -> u32 {
    let wh = u32::try_from(telegram.register(1, 0).unwrap()).unwrap();
    assert_eq!(wh % 1_000, 0);
    wh / 1_000
}

/// The same of pieces of each size: the register of each good telegram, and why the others are none.
fn said(decoder: impl Fn() -> P1Decoder, bytes: &[u8]) -> Vec<Result<u32, Why>> {
    let said = |piece| {
        let outcomes = decoded(decoder(), bytes, piece).into_iter();
        outcomes.map(|outcome| outcome.map(|telegram| kilowatt_hours(&telegram))).collect()
    };
    let first: Vec<_> = said(PIECES[0]);
    for piece in PIECES {
        assert_eq!(said(piece), first, "in pieces of {piece}");
    }
    first
}

/// A telegram whose register stands at so many kWh.
fn text(kilowatt_hours: u32) -> Vec<u8> {
    let text =
        format!("/Lux5X\r\n\r\n0-0:1.0.0(260115080000W)\r\n1-0:1.8.0({kilowatt_hours:06}.000*kWh)\r\n!");
    let crc = arc(text.as_bytes());
    format!("{text}{crc:04X}\r\n").into_bytes()
}

/// The same, encrypted; the frame counter is that number too.
fn sealed(number: u32) -> Vec<u8> {
    seal(&text(number), &keys(), TITLE, Security::BOTH, number).unwrap()
}

/// Whoever copies telegrams to others copies these bytes.
#[test]
fn a_good_telegram_is_kept_byte_by_byte_and_decrypted() {
    let mut damaged = text(9);
    damaged[40] ^= 1;
    let line = [b"noise".to_vec(), text(1), sealed(2), damaged, b"noise \xDB\x08".to_vec(), text(3), text(4)]
        .concat();
    for piece in PIECES {
        let (mut decoder, mut kept) = (decoder(), Vec::new());
        for piece in line.chunks(piece) {
            decoder.push(piece);
            while let Some(outcome) = decoder.next() {
                kept.extend(outcome.ok().map(|_| decoder.raw().unwrap().clone()));
            }
        }
        let expected = [1, 2, 3, 4].map(|number| RawTelegram { bytes: text(number), checked: true });
        assert_eq!(kept, expected, "in pieces of {piece}");
    }
}

#[test]
fn encrypted_and_plain_telegrams_are_read_from_one_line() {
    let line = [sealed(1), text(2), sealed(3), sealed(4), b"noise \xDB\x08".to_vec(), text(5), sealed(6)];
    assert_eq!(said(decoder, &line.concat()), [1, 2, 3, 4, 5, 6].map(Ok));
}

#[test]
fn a_frame_is_read_as_soon_as_it_is_whole() {
    for before in
        [&b""[..], b"/ABC5 cut\r\n1-0:1.8.0(", b"\xDB\x08\0\0\0\0\0\0\0\0\x82\x40\x00\x30 a length that lies"]
    {
        let mut decoder = decoder();
        let outcomes = super::outcomes(&mut decoder, &[before, &sealed(1)].concat(), 1);
        assert_eq!(kilowatt_hours(outcomes.last().unwrap().as_ref().unwrap()), 1);
        let cut = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(cut.eq([&Why::Cut].into_iter().take(before.len().min(1))), "what was cut is told before");
    }
}

#[test]
fn a_short_checksum_ends_where_a_frame_begins() {
    // The first telegram whose checksum has three digits, and nothing behind it.
    let short =
        |number: &u32| text(*number).strip_suffix(b"\r\n").is_some_and(|text| text[text.len() - 4] == b'0');
    let number = (1_000..).find(short).unwrap();
    let mut text = text(number);
    text.truncate(text.len() - 2);
    text.remove(text.len() - 4);
    assert_eq!(said(decoder, &[text, sealed(1)].concat()), [Ok(number), Ok(1)]);
}

#[test]
fn a_wrong_key_a_damaged_frame_and_a_replay_are_told_apart() {
    let other = || decoder_with(Keys::new([7; 16], Some(LUXEMBOURG_AUTHENTICATION_KEY)), false);
    assert_eq!(said(other, &[sealed(1), sealed(2)].concat()), [Err(Why::WrongKey), Err(Why::WrongKey)]);
    let other = || decoder_with(Keys::new(KEY, Some([7; 16])), false);
    assert_eq!(said(other, &sealed(1)), [Err(Why::WrongKey)]);
    assert_eq!(said(|| P1Decoder::new(Span::HOUR), &sealed(1)), [Err(Why::KeyMissing)]);

    let mut damaged = sealed(2);
    damaged[60] ^= 1;
    assert_eq!(said(decoder, &damaged), [Err(Why::WrongKey)], "nothing has fitted yet");
    let replayed = Err(Why::Replayed { counter: 1, last: 3 });
    assert_eq!(
        said(decoder, &[sealed(1), damaged, sealed(3), sealed(1), sealed(4)].concat()),
        [Ok(1), Err(Why::Tag), Ok(3), replayed, Ok(4)]
    );
    assert_eq!(said(decoder, &[text(1), text(2)].concat()), [Ok(1), Ok(2)], "no frame at all");
}

#[test]
fn no_text_is_used_before_its_tag_fits() {
    // One bit of the register, and the checksum put right, as whoever can change bits on the line may do.
    let mut frame = sealed(2);
    let (one, other) = (text(2), text(3));
    for (at, (one, other)) in one.iter().zip(&other).enumerate() {
        frame[18 + at - 1] ^= one ^ other;
    }
    assert_eq!(said(decoder, &[sealed(1), frame].concat()), [Ok(1), Err(Why::Tag)]);
}

#[test]
fn a_length_that_lies_swallows_no_frame() {
    for length in [64_u16, 100, 200, 300, 1_000, 16_384, 65_535] {
        let mut damaged = sealed(2);
        assert!(damaged[10] < 0x80, "a length in one byte");
        let [high, low] = length.to_be_bytes();
        damaged.splice(10..11, [0x82, high, low]);
        let line = [sealed(1), damaged, sealed(3), text(4), sealed(5)].concat();
        let said = said(decoder, &line);
        let good: Vec<_> = said.iter().filter(|outcome| outcome.is_ok()).cloned().collect();
        assert_eq!(good, [1, 3, 4, 5].map(Ok), "{length}");
        assert!(said.len() <= 5, "{said:?}");
    }
}

#[test]
fn a_cut_frame_is_told_of_once_and_loses_nothing() {
    let whole = sealed(2);
    for end in [1, 5, 11, 12, 50, whole.len() - 1] {
        let line = [&sealed(1), &whole[..end], &sealed(3), &whole[..end], &text(4)].concat();
        let said = said(decoder, &line);
        let good: Vec<_> = said.iter().filter(|outcome| outcome.is_ok()).cloned().collect();
        assert_eq!(good, [1, 3, 4].map(Ok), "{end}");
        let told = if end < 12 { 0 } else { 2 };
        assert_eq!(said.len() - good.len(), told, "{end}: {said:?}");
    }
}

#[test]
fn one_key_alone_reads_what_can_be_checked_and_the_rest_only_if_allowed() {
    let alone = |allowed| move || decoder_with(Keys::new(KEY, None), allowed);
    // The tag of some meters is made over no additional data.
    let plain = seal(&text(1), &Keys::new(KEY, None), TITLE, Security::BOTH, 1).unwrap();
    assert_eq!(said(alone(false), &plain), [Ok(1)]);
    let no_tag = seal(&text(2), &keys(), TITLE, Security(0x20), 2).unwrap();
    for frame in [sealed(2), no_tag.clone()] {
        assert!(matches!(said(alone(false), &frame)[..], [Err(Why::Content { .. })]));
        assert_eq!(said(alone(true), &frame), [Ok(2)]);
    }
    assert!(matches!(said(decoder, &no_tag)[..], [Err(Why::Content { .. })]), "a key, and no tag");
    let wrong = || decoder_with(Keys::new([7; 16], None), true);
    assert_eq!(said(wrong, &[sealed(1), no_tag].concat()), [Err(Why::WrongKey), Err(Why::WrongKey)]);
}

#[test]
fn what_is_in_a_frame_must_be_a_telegram() {
    let frame = |text: &[u8], security| seal(text, &keys(), TITLE, Security(security), 1).unwrap();
    let crc = |digits: &str| {
        let mut text = text(1);
        text.splice(text.len() - 6.., digits.bytes());
        text
    };
    // The meter itself has written a wrong checksum, or none, which its tag proves.
    for text in [crc("0000\r\n"), crc("\r\n"), crc("")] {
        let outcomes = decoded(decoder(), &frame(&text, 0x30), 7);
        let telegram = outcomes[0].as_ref().unwrap();
        assert_eq!(kilowatt_hours(telegram), 1);
        assert_eq!(telegram.general().quality, DataQuality::Uncertain);
        let alone = decoder_with(Keys::new(KEY, None), true);
        assert_eq!(decoded(alone, &frame(&text, 0x20), 7), [Err(Why::WrongKey)], "nothing proves that one");
    }
    let telegram = decoded(decoder(), &frame(&text(1), 0x30), 7).remove(0).unwrap();
    assert_eq!(telegram.general().quality, DataQuality::Good);
    let no_telegram = [&b"\x0F"[..], &[0; 60]].concat();
    for text in
        [&no_telegram[..], &text(1)[1..], b"/Lux5X\r\n\r\n and nothing that ends a telegram, however long"]
    {
        let said = said(decoder, &[frame(text, 0x30), sealed(2)].concat());
        assert!(matches!(said[0], Err(Why::Content { .. })), "{said:?}");
        assert_eq!(said[1..], [Ok(2)]);
    }
}

#[test]
fn nothing_in_a_replayed_frame_is_read() {
    // What is authenticated and not encrypted stands in the frame as it is.
    let open = seal(&text(2), &keys(), TITLE, Security(0x10), 2).unwrap();
    let replayed = Err(Why::Replayed { counter: 2, last: 2 });
    assert_eq!(said(decoder, &[&open[..], &open, &sealed(3)].concat()), [Ok(2), replayed, Ok(3)]);
}

#[test]
fn counters_are_kept_from_run_to_run() {
    let mut first = decoder();
    super::outcomes(&mut first, &sealed(5), 64);
    assert_eq!(first.counters().last(TITLE), Some(5));
    let kept = || {
        let opener = Opener::new(Some(keys()), false, first.counters().clone());
        P1Decoder::encrypted(Span::HOUR, opener)
    };
    let replayed = |counter| Err(Why::Replayed { counter, last: 5 });
    assert_eq!(said(kept, &[sealed(4), sealed(5), sealed(6)].concat()), [replayed(4), replayed(5), Ok(6)]);
}

#[test]
fn silence_ends_a_frame_that_has_begun() {
    let mut decoder = decoder();
    assert_eq!(super::outcomes(&mut decoder, &sealed(1)[..50], 7), []);
    decoder.quiet();
    assert_eq!(told(&mut decoder).collect::<Vec<_>>(), [Err(Why::Cut)]);
    assert_eq!(super::outcomes(&mut decoder, &text(2), 64).len(), 1, "and text behind it waits for nothing");
}

/// A sample with its keys, and what is expected of it.
fn sample(folder: &Path, name: &str) -> (Vec<u8>, Keys, Json) {
    let file = folder.join(name);
    let expected = expected(&file);
    let keys = [&expected["keys"], &expected["frame"]["keys"], &expected["reader_is_given"]];
    let keys = keys.into_iter().find(|keys| keys.is_object()).unwrap();
    let key = |name: &str| keys[name].as_str();
    let keys = Keys::parse(key("encryption_key").unwrap(), key("authentication_key")).unwrap();
    (std::fs::read(file).unwrap(), keys, expected)
}

#[test]
fn samples_give_what_is_expected() {
    let Some(folder) = samples("meters/samples") else { return };
    for name in
        ["p1-lu-encrypted-athom.bin", "p1-lu-encrypted-fixed-ak-syn.bin", "p1-lu-encrypted-stream-syn.bin"]
    {
        let (bytes, keys, expected) = sample(&folder, name);
        let one = [expected["telegram"].clone()];
        let wanted = expected["accepted"].as_array().map_or(&one[..], Vec::as_slice);
        for piece in PIECES {
            let outcomes = decoded(decoder_with(keys.clone(), false), &bytes, piece);
            let telegrams: Vec<_> = outcomes.iter().flatten().collect();
            assert_eq!(telegrams.len(), wanted.len(), "{name} in pieces of {piece}: {outcomes:?}");
            for (telegram, wanted) in telegrams.into_iter().zip(wanted) {
                assert_eq!(objects_that_differ(telegram, wanted), Vec::<String>::new(), "{name}");
                let clock =
                    wanted["values"].as_array().unwrap().iter().find(|value| value["obis"] == "0-0:1.0.0");
                assert_eq!(telegram.clock(), clock.unwrap()["value"].as_str().map(t), "{name}");
                let right = wanted["crc"] == "ok" || name.contains("athom");
                assert!(right, "the text of the standard's example has lost its empty line");
            }
            let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
            let replayed = Why::Replayed { counter: 101, last: 103 };
            let stream = [Why::Tag, replayed, Why::Tag];
            assert_eq!(refused, if name.contains("stream") { &stream[..] } else { &[] }, "{name}");
        }
    }
}

#[test]
fn the_sample_with_another_key_says_that_the_key_is_wrong() {
    let Some(folder) = samples("meters/samples") else { return };
    let (bytes, keys, _) = sample(&folder, "p1-lu-encrypted-wrong-key-syn.bin");
    for piece in PIECES {
        assert_eq!(decoded(decoder_with(keys.clone(), false), &bytes, piece), [Err(Why::WrongKey)]);
    }
}

/// Damage of every kind around frames; a frame behind it is found at once, and a plain telegram after a silence.
#[test]
fn fuzz_encrypted_telegrams() {
    let start = t("2026-01-15T07:00:00Z");
    let meter = Simulator::v5(start).telegram(start + Span::MINUTE);
    let mut found = 0_u32;
    rounds(|dice| {
        let mut bytes = Vec::new();
        for number in 1..=1 + u32::try_from(dice.below(3)).unwrap() {
            let mut frame = match dice.below(6) {
                0 => meter.clone(),
                1 => seal(&meter, &keys(), TITLE, Security(0x20), number).unwrap(),
                2 => seal(&meter, &keys(), TITLE, Security(0x10), number).unwrap(),
                _ => sealed(number),
            };
            let lies = frame[0] == 0xDB && dice.one_in(4);
            if lies {
                drop(frame.splice(10..11, [0x82, dice.octet() & 0x7F, dice.octet()]));
            } else if !dice.one_in(3) {
                damage(dice, &mut frame);
            }
            bytes.extend(frame);
        }
        let kept = if dice.one_in(2) { decoder } else { || decoder_with(Keys::new(KEY, None), true) };
        the_same_in_any_pieces(dice, kept, &bytes);
        let outcomes = the_same_in_any_pieces(dice, decoder, &[&bytes[..], &sealed(100)].concat());
        let last = outcomes.last().unwrap().as_ref().unwrap();
        assert_eq!(kilowatt_hours(last), 100, "{bytes:02X?}");
        found += u32::try_from(outcomes.iter().flatten().count()).unwrap() - 1;
        let mut silent = decoder();
        super::outcomes(&mut silent, &bytes, 64);
        silent.quiet();
        told(&mut silent).for_each(drop);
        let after = super::outcomes(&mut silent, &text(101), 64);
        assert_eq!(
            after.last().unwrap().as_ref().unwrap().register(1, 0),
            Some(101_000.into()),
            "{bytes:02X?}"
        );
    });
    assert!(found > 0, "some damage is harmless");
}
