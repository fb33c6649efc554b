//! Lines with noise, cut telegrams and odd bytes, played with the simulator: no good telegram is lost.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::super::P1Telegram;
use super::{PIECES, decoded, decoder, outcomes, t, telegrams};
use crate::metering::channel::Channel;
use crate::metering::checksum::arc;
use crate::metering::decoder::Decoder as _;
use crate::metering::decoder::Why;
use crate::metering::{Quantity, Reading, Series, Simulator};
use crate::openadr::message::DataQuality;
use crate::time::{Span, Timestamp};

fn start() -> Timestamp {
    t("2026-01-15T07:00:00Z")
}

/// Telegrams ten seconds apart, and what they say.
fn played(mut meter: Simulator, count: i64) -> Vec<(Vec<u8>, Reading)> {
    let at = |number| start() + Span::from_seconds(10) * number;
    (1..=count).map(|number| (meter.telegram(at(number)), meter.reading())).collect()
}

/// The readings of these telegrams, as far as the wanted ones say something, with the moments and the quality of the wanted ones: a meter without a clock says neither.
fn readings(telegrams: &[P1Telegram], wanted: &[Reading]) -> Vec<Reading> {
    let read = |(telegram, wanted): (&P1Telegram, &Reading)| {
        let mut reading = Reading::of(&telegram.general(), wanted.at);
        reading.values.retain(|channel, _| wanted.get(*channel).is_some());
        reading.devices.clear();
        Reading { quality: wanted.quality.clone(), ..reading }
    };
    assert_eq!(telegrams.len(), wanted.len(), "{telegrams:?}");
    telegrams.iter().zip(wanted).map(read).collect()
}

#[test]
fn telegrams_in_one_read_are_all_delivered() {
    for meter in [Simulator::v5 as fn(_) -> _, Simulator::v2] {
        let (bytes, wanted): (Vec<_>, Vec<_>) = played(meter(start()), 5).into_iter().unzip();
        for piece in PIECES {
            assert_eq!(readings(&telegrams(&bytes.concat(), piece), &wanted), wanted, "in pieces of {piece}");
        }
    }
}

#[test]
fn the_clock_of_the_meter_is_the_time_where_it_is_near_ours() {
    let (bytes, said) = played(Simulator::v5(start()), 1).remove(0);
    let telegram = telegrams(&bytes, 64).remove(0);
    let at = said.at;
    assert_eq!(Reading::of(&telegram.general(), at + Span::from_seconds(10)).at, at);
    let wrong = at + Span::from_seconds(11);
    assert_eq!(Reading::of(&telegram.general(), wrong).at, wrong, "a clock that is wrong does not count");
}

#[test]
fn a_meter_whose_clock_was_never_set_works_on_ours() {
    let telegram = |clock: &str, tenths: u32| {
        let text = format!("/ABC5X\r\n\r\n0-0:1.0.0({clock})\r\n1-0:1.8.0(00001.{tenths}*kWh)\r\n!");
        format!("{text}{:04X}\r\n", arc(text.as_bytes()))
    };
    for clock in ["000101000000W", "000101010000W", "010101010000W", "700101010000W", "632525252525W"] {
        let mut series = Series::new(Span::DAY);
        for tenths in 0..=6 {
            let telegram = telegrams(telegram(clock, tenths).as_bytes(), 64).remove(0);
            let received = start() + Span::from_seconds(10) * i64::from(tenths);
            let reading = Reading::of(&telegram.general(), received);
            assert_eq!(reading.at, received, "{clock}: equal clocks are not equal telegrams");
            series.push(reading);
        }
        let minute = series.window(Quantity::IMPORT_ENERGY, start(), start() + Span::MINUTE, Span::MINUTE);
        assert_eq!(minute[0].value, Some(600.into()), "{clock}");
    }
}

#[test]
fn a_first_telegram_without_a_checksum_is_doubtful() {
    let bytes: Vec<u8> = played(Simulator::v2(start()), 3).into_iter().flat_map(|(bytes, _)| bytes).collect();
    let qualities: Vec<_> = telegrams(&bytes, 64)
        .iter()
        .map(|telegram| Reading::of(&telegram.general(), start()).quality)
        .collect();
    assert_eq!(qualities, [DataQuality::Uncertain, DataQuality::Good, DataQuality::Good]);
}

/// A byte of seven bits as a line with even parity carries it.
fn with_parity(byte: &u8) -> u8 {
    if byte.count_ones().is_multiple_of(2) { *byte } else { byte | 0x80 }
}

#[test]
fn even_parity_in_the_eighth_bit_is_taken_off() {
    for meter in [Simulator::v5 as fn(_) -> _, Simulator::v2] {
        let (bytes, wanted): (Vec<_>, Vec<_>) = played(meter(start()), 3).into_iter().unzip();
        let bytes: Vec<u8> = bytes.concat().iter().map(with_parity).collect();
        for piece in PIECES {
            assert_eq!(readings(&telegrams(&bytes, piece), &wanted), wanted, "in pieces of {piece}");
        }
    }
}

#[test]
fn a_byte_with_wrong_parity_spoils_an_unchecked_telegram() {
    let (bytes, wanted): (Vec<_>, Vec<_>) = played(Simulator::v2(start()), 2).into_iter().unzip();
    let mut bytes: Vec<Vec<u8>> = bytes.iter().map(|bytes| bytes.iter().map(with_parity).collect()).collect();
    let digit = bytes[0].iter().position(|byte| byte & 0x7F == b'4').unwrap();
    bytes[0][digit] ^= 0x01;
    for piece in PIECES {
        assert_eq!(readings(&telegrams(&bytes.concat(), piece), &wanted[1..]), wanted[1..]);
    }
}

#[test]
fn a_meter_that_sends_checksums_never_leaves_one_out() {
    let (bytes, wanted): (Vec<_>, Vec<_>) = played(Simulator::v5(start()), 2).into_iter().unzip();
    let without = |bytes: &[u8]| [&bytes[..bytes.len() - 6], b"\r\n"].concat();
    let other = played(Simulator::v2(start()), 1).remove(0).0;

    let refused = |bytes: &[u8], piece| decoded(bytes, piece).remove(0).unwrap_err();
    for piece in PIECES {
        assert_eq!(refused(&without(&bytes[0]), piece), Why::CrcMissing, "it names its version");
        let line = [&bytes[0][..], &without(&bytes[1]), &other, &bytes[1]].concat();
        let outcomes = decoded(&line, piece);
        let good: Vec<_> = outcomes.iter().flatten().cloned().collect();
        assert_eq!(readings(&good, &wanted), wanted);
        let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [Why::CrcMissing, Why::CrcMissing]);
    }
}

#[test]
fn meters_that_tell_the_time_have_checksums() {
    let text = "/FLU5\\253769484_A\r\n\r\n0-0:96.1.4(50217)\r\n1-0:1.8.1(000000.034*kWh)\r\n!\r\n";
    assert_eq!(decoded(text.as_bytes(), 64), [Err(Why::CrcMissing)], "Belgium");
    let text = "/ELL5\\253833635_A\r\n\r\n0-0:1.0.0(220204110650W)\r\n1-0:1.8.0(00010501.076*kWh)\r\n!\r\n";
    assert_eq!(decoded(text.as_bytes(), 64), [Err(Why::CrcMissing)], "Sweden");
}

#[test]
fn a_telegram_that_says_nothing_is_none() {
    assert_eq!(decoded(b"/ABC5 noise\r\n!\r\n", 64), [Err(Why::Cut)]);
    let line = |number| Why::Line { number, text: "1-0:1.8.1(0012".into() };
    assert_eq!(decoded(b"/ABC5\r\n\r\n1-0:1.8.1(0012\r\n!\r\n", 64), [Err(line(3))]);
}

#[test]
fn what_looks_like_a_start_inside_a_telegram_is_none() {
    let text = "/TES5\r\n\r\n1-0:1.8.1(00001.000*kWh)\r\n0-0:96.13.0(see http://example/docs)\r\n1-0:1.8.2(00002.000*kWh)\r\n!\r\n";
    for line in [text.to_owned(), ["/TES5\r\n\r\n1-0:1.8.1(000", text].concat()] {
        let telegram = telegrams(line.as_bytes(), 7).remove(0);
        assert_eq!(
            Reading::of(&telegram.general(), start()).get(Channel::Import),
            Some(3_000.into()),
            "{line}"
        );
    }
}

#[test]
fn a_short_checksum_at_the_end_of_a_line_waits_for_silence_only() {
    let text = b"/NWA-X\r\n\r\n0-1:24.1.0(004)\r\n!".to_vec();
    let crc = arc(&text);
    let telegram = [&text[..], format!("{crc:X}").as_bytes()].concat();
    assert_eq!(telegrams(&telegram, 1).len(), 1);
    let lower = [&text[..], format!("{crc:04x}\0").as_bytes()].concat();
    assert_eq!(outcomes(&mut decoder(), &lower, 1).len(), 1, "lower case, and a byte behind it");
}

/// What stands between telegrams on a bad line.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        Just(b"\0\xFF\xFF".to_vec()),
        Just(b"\r\n!\r\n".to_vec()),
        Just(b"/ABC5 x\r\n\r\n0-0:96.13.0(/ABC)\r\n".to_vec()),
        Just(b"/ABC/DEF/GHI".repeat(8)),
        // A meter that is cut off in the checksum, or before its first byte.
        Just(b"/OVN5\r\n!A".to_vec()),
        Just(Vec::new()),
    ]
}

/// On a line: a whole telegram or a part of one, with noise before it.
fn line() -> impl Strategy<Value = Vec<(Vec<u8>, Option<proptest::sample::Index>)>> {
    proptest::collection::vec((noise(), proptest::option::of(any::<proptest::sample::Index>())), 1..12)
}

/// The bytes of a line, and the readings of its whole telegrams. A cut one loses its end.
fn drawn(
    meter: Simulator,
    line: &[(Vec<u8>, Option<proptest::sample::Index>)],
    may_be_noise: impl Fn(&u8) -> bool,
) -> (Vec<u8>, Vec<Reading>) {
    let count = i64::try_from(line.len()).unwrap();
    let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
    for ((noise, cut), (telegram, reading)) in line.iter().zip(played(meter, count)) {
        bytes.extend(noise.iter().copied().filter(&may_be_noise));
        match cut {
            Some(cut) => bytes.extend(&telegram[..cut.index(telegram.len() - 7)]),
            None => {
                bytes.extend(telegram);
                wanted.push(reading);
            }
        }
    }
    (bytes, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_good_telegram_is_lost_in_noise(line in line()) {
        let (bytes, wanted) = drawn(Simulator::v5(start()), &line, |_| true);
        for piece in PIECES {
            assert_eq!(readings(&telegrams(&bytes, piece), &wanted), wanted, "in pieces of {piece}");
        }
    }

    /// What ends at the end of a line looks whole without a checksum, so there is no `!` in this noise.
    #[test]
    fn no_good_telegram_without_a_checksum_is_lost_in_noise(line in line()) {
        let (bytes, wanted) = drawn(Simulator::v2(start()), &line, |byte| byte & 0x7F != b'!');
        for piece in PIECES {
            assert_eq!(readings(&telegrams(&bytes, piece), &wanted), wanted, "in pieces of {piece}");
        }
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter(line in line(), sizes in proptest::collection::vec(1_usize..300, 1..20)) {
        let (bytes, _) = drawn(Simulator::v5(start()), &line, |_| true);
        let mut decoder = decoder();
        let (mut found, mut rest, mut sizes) = (Vec::new(), &bytes[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            found.extend(outcomes(&mut decoder, piece, 4096).into_iter().flatten());
            rest = more;
        }
        decoder.quiet();
        found.extend(std::iter::from_fn(|| decoder.next_p1()).flatten());
        assert_eq!(found, telegrams(&bytes, 4096));
    }
}

#[test]
fn two_telegrams_that_have_run_into_each_other_are_not_one() {
    for line in ["0-0:1.0.0(260115080000W)", "1-3:0.2.8(50)"] {
        let text = format!(
            "/ABC5X\r\n\r\n{line}\r\n1-0:1.8.0(1*kWh)\r\n/ABC5X\r\n\r\n{line}\r\n1-0:1.8.0(2*kWh)\r\n!"
        );
        let telegram = format!("{text}{:04X}\r\n", arc(text.as_bytes()));
        assert_eq!(decoded(telegram.as_bytes(), 64), [Err(Why::Cut)]);
    }
}
