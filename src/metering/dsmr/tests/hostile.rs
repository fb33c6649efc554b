//! Whatever comes from a line: no panic, little memory, little work.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::{decoder, outcomes, t};
use crate::metering::decoder::Decoder as _;
use crate::metering::reading::Reading;
use crate::metering::{Quantity, Series, Simulator};
use crate::time::Span;

/// No meter's undecided bytes take more.
const MEMORY: usize = 32 * 1024;

/// Scraps of telegrams, so that much of what is drawn gets far.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "[0-9]{1,3}-[0-9]{1,2}:[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9](\\*255)?(\\([0-9.*kWhS-]{0,40}\\)){0,3}\r\n"
            .prop_map(String::into_bytes),
        "1-0:[1-4]\\.[78]\\.[0-8]\\(-?[0-9]{0,25}(\\.[0-9]{0,25})?\\*[kM]?Wh?\\)\r\n"
            .prop_map(String::into_bytes),
        "0-0:1\\.0\\.0\\([0-9: TéŠ-]{0,16}[SW]?\\)\r\n".prop_map(String::into_bytes),
        Just(b"/ABC5\r\n\r\n".to_vec()),
        Just(b"!\r\n".to_vec()),
        Just(b"\r\n!0000".to_vec()),
        Just(Simulator::v5(t("2026-01-15T07:00:00Z")).telegram(t("2026-01-15T07:00:10Z"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_room_panic(
        scraps in proptest::collection::vec(scrap(), 0..40),
        piece in 1_usize..600,
    ) {
        let mut decoder = decoder();
        let mut series = Series::new(Span::DAY);
        let mut found = outcomes(&mut decoder, &scraps.concat(), piece);
        assert!(decoder.held() <= MEMORY);
        decoder.quiet();
        found.extend(std::iter::from_fn(|| decoder.next_p1().map(|found| found.map_err(|refused| refused.why))));
        let mut now = t("2026-01-15T07:00:00Z");
        for outcome in found {
            now += Span::from_seconds(7);
            match outcome {
                Ok(telegram) => {
                    let reading = Reading::of(&telegram.general(), now);
                    assert!(!reading.to_string().is_empty());
                    series.push(reading);
                }
                Err(why) => assert!(!why.to_string().is_empty()),
            }
        }
        for quantity in Quantity::all() {
            series.window(quantity, now - Span::MINUTE, now, Span::from_seconds(5));
            series.latest(quantity, Span::MINUTE, now);
        }
    }
}

/// The beginning of an encrypted frame of that length.
fn encrypted(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    [&b"\xDB\x08SAGg\0\0\0\0\x82"[..], &[high, low, 0x30]].concat()
}

/// Frames in frames, all of which end at the same place.
fn ends_together() -> Vec<u8> {
    let frames = (1..1_000).rev().map(|number| encrypted(number * 14 + 64)).collect::<Vec<_>>().concat();
    [frames, vec![0; 200]].concat().repeat(16)
}

/// Lines that are as much work as can be.
fn adversaries() -> [(&'static str, Vec<u8>); 9] {
    let kilos = |bytes: &[u8], kilobytes: usize| bytes.repeat(kilobytes * 1024 / bytes.len());
    [
        ("slashes", kilos(b"/", 256)),
        ("starts", kilos(b"/ABC", 256)),
        ("starts that fill a telegram", [kilos(b"/ABC", 15), b"\n!0000".to_vec()].concat().repeat(16)),
        (
            "starts in readable lines",
            [kilos(b"0-0:1.0.1(/ABC)\n", 15), b"x\n!\n".to_vec()].concat().repeat(16),
        ),
        ("ends", kilos(b"/ABC\n!0000", 256)),
        ("ends without a checksum", kilos(b"/ABC\n!\n", 256)),
        ("encrypted frames", kilos(&encrypted(16_384), 256)),
        ("encrypted frames that end together", ends_together()),
        ("ends between encrypted frames", kilos(&[&encrypted(16_384)[..], b"/ABC\n!\n"].concat(), 256)),
    ]
}

#[test]
fn no_bytes_take_much_memory() {
    for (name, bytes) in adversaries() {
        for piece in [1, 64, 4096, 1 << 20] {
            let mut decoder = decoder();
            for piece in bytes[..bytes.len().min(60_000 * piece)].chunks(piece) {
                decoder.push(piece);
                assert!(decoder.held() <= MEMORY, "{name} in pieces of {piece:?}");
                while decoder.next_p1().is_some() {}
            }
        }
    }
}

#[test]
fn no_bytes_take_much_work() {
    for (name, bytes) in adversaries() {
        for piece in [64, 4096] {
            let mut decoder = decoder();
            outcomes(&mut decoder, &bytes, piece);
            let each = decoder.work() / bytes.len();
            assert!(each <= 64, "{name} in pieces of {piece}: each byte is looked at {each} times");
        }
    }
}

#[test]
fn what_is_damaged_is_told_of_once() {
    for (name, bytes) in adversaries() {
        let told = outcomes(&mut decoder(), &bytes, 4096).len();
        let most = if name.starts_with("ends") { bytes.len() / 7 + 1 } else { 20 };
        assert!(told <= most, "{name}: told {told} times");
    }
}
