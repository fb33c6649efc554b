//! The way of power: by the sign where that is right, and else by the status word.

use super::super::{PIN_MISSING, SmlDecoder};
use super::{Writer, entry, file, telegrams};
use crate::metering::decoder::Decoder as _;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::metering::telegram::Telegram;
use crate::openadr::message::DataQuality;
use crate::time::Timestamp;

const DZG: &[u8] = b"\x0A\x01DZG\x00\x02\x80\xDE\x80";
const OTHER: &[u8] = b"\x0A\x01OVN\x00\x00\xBC\x61\x4E";

const IMPORT: ObisCode = ObisCode::electricity(1, 8, 0);
const EXPORT: ObisCode = ObisCode::electricity(2, 8, 0);

fn one(file: &[u8]) -> Telegram {
    let telegrams = telegrams(file);
    let [telegram] = &telegrams[..] else { panic!("{telegrams:?}") };
    telegram.clone()
}

fn register(code: ObisCode, status: u64) -> Vec<u8> {
    entry(code, status, 30, -1, |writer| writer.unsigned(12_345, 4))
}

/// What a meter says of a power that it sends in so many bytes.
fn power(server: &[u8], status: u64, quantity: u8, (value, bytes): (i64, usize)) -> String {
    let code = ObisCode::electricity(quantity, 7, 0);
    let power = entry(code, 0, 27, -2, |writer| writer.signed(value, bytes));
    let telegram = one(&file(server, &[power.clone(), register(IMPORT, status)]));
    let late = one(&file(server, &[register(IMPORT, status), power]));
    assert_eq!(telegram.number(code), late.number(code), "the order of the entries does not matter");
    telegram.number(code).unwrap().to_string()
}

#[test]
fn a_power_that_lost_its_sign_is_mended_by_the_status_word() {
    let (import, export) = (0x1C_0104, 0x1C_0904);
    for (status, quantity, value, text) in [
        (import, 16, (-29_912, 2), "356.24"),
        (import, 16, (-1, 1), "2.55"),
        (import, 16, (-1, 3), "167772.15"),
        (import, 16, (29_912, 2), "299.12"),
        (import, 16, (-29_912, 4), "-299.12"),
        (export, 16, (-4_684, 2), "-46.84"),
        (0, 16, (-4_684, 2), "-46.84"),
        (0x182, 16, (-4_684, 2), "-46.84"),
        // Each phase has its own bit, whatever the sum does.
        (0x1C_1904, 36, (-4_684, 2), "-46.84"),
        (0x1C_6904, 36, (-4_684, 2), "608.52"),
        (0x1C_2104, 56, (-4_684, 2), "-46.84"),
        (0x1C_5904, 56, (-4_684, 2), "608.52"),
        (0x1C_4104, 76, (-4_684, 2), "-46.84"),
        (0x1C_3904, 76, (-4_684, 2), "608.52"),
        // Angles and reactive powers may be negative.
        (import, 81, (-4_684, 2), "-46.84"),
    ] {
        assert_eq!(power(DZG, status, quantity, value), text, "{status:#X} {quantity} {value:?}");
    }
    assert_eq!(power(OTHER, import, 16, (-29_912, 2)), "-299.12", "no other maker has the fault");
}

#[test]
fn a_power_without_a_sign_gets_one_from_the_status_word() {
    let net = |status: u64, export: bool| {
        let power = entry(ObisCode::electricity(15, 7, 0), 0, 27, -1, |writer| writer.signed(1371, 4));
        let mut entries = vec![register(IMPORT, status), power];
        entries.extend(export.then(|| register(EXPORT, 0)));
        let telegram = one(&file(OTHER, &entries));
        let reading = Reading::of(&telegram, Timestamp::EPOCH);
        assert_eq!(telegram.number(ObisCode::electricity(15, 7, 0)).unwrap().to_string(), "137.1");
        reading.net_power().map(|power| power.to_string())
    };
    for (status, text) in [
        (0x182, "137.1"),
        (0x1A2, "-137.1"),
        (0x1_0180, "137.1"),
        (0x1_01A2, "-137.1"),
        (0x1C_0104, "137.1"),
        (0x1C_0904, "-137.1"),
    ] {
        assert_eq!(net(status, true).as_deref(), Some(text), "{status:#X}");
    }
    assert_eq!(net(0, false).as_deref(), Some("137.1"), "it counts one way only");
    assert_eq!(net(0, true), None, "nobody knows");
}

#[test]
fn a_power_with_a_sign_is_not_doubled() {
    let power =
        |quantity| entry(ObisCode::electricity(quantity, 7, 0), 0, 27, 0, |writer| writer.signed(5, 1));
    for quantity in [16, 1, 2] {
        let telegram = one(&file(OTHER, &[register(IMPORT, 0x1A2), power(15), power(quantity)]));
        assert_eq!(telegram.objects.len(), 3, "{telegram:?}");
    }
}

#[test]
fn a_meter_without_its_pin_is_told_of() {
    let register = |code, scaler, value| {
        entry(code, 0x182, 30, scaler, move |writer: &mut Writer| writer.unsigned(value, 4))
    };
    let power = || entry(ObisCode::electricity(16, 7, 0), 0, 27, 0, |writer| writer.signed(0, 1));
    for (entries, quality) in [
        (vec![register(IMPORT, 3, 13_024)], PIN_MISSING),
        (vec![register(IMPORT, -1, 130_240_000), register(EXPORT, -1, 0)], PIN_MISSING),
        (vec![register(IMPORT, -1, 130_240_000), register(EXPORT, -1, 1)], DataQuality::Good),
        (vec![register(IMPORT, 3, 13_024), power()], DataQuality::Good),
        (vec![register(IMPORT, -1, 0)], DataQuality::Good),
        (vec![], DataQuality::Good),
    ] {
        let telegram = one(&file(OTHER, &entries));
        assert_eq!(telegram.quality, quality, "{telegram:?}");
    }
    // A fine register passes a whole kilowatt hour now and then.
    let mut decoder = SmlDecoder::new();
    for tenths in [129_999_999, 130_000_000, 130_000_001] {
        decoder.push(&file(OTHER, &[register(IMPORT, -1, tenths)]));
        assert_eq!(decoder.next().unwrap().unwrap().quality, DataQuality::Good, "{tenths}");
    }
    decoder.push(&file(OTHER, &[register(IMPORT, 3, 13_024)]));
    assert_eq!(decoder.next().unwrap().unwrap().quality, PIN_MISSING, "the PIN was taken back");
}
