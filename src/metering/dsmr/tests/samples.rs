//! Every sample telegram decodes to what other readers and the standards say of it.
//!
//! The samples lie beside the project and are read where they lie.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::super::{Measured, P1Telegram};
use super::{PIECES, decoded, t, telegrams};
use crate::metering::channel::Channel;
use crate::metering::checksum::arc;
use crate::metering::decoder::Why;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::metering::telegram::{Object, ObjectValue};
use crate::metering::unit::MeterUnit;
use crate::openadr::message::{DataQuality, Decimal};
use crate::test_support::samples;
use crate::time::{Span, Timestamp};

#[test]
fn every_sample_decodes_to_what_is_expected() {
    let mut seen = 0;
    for (name, bytes, expected) in single_telegrams() {
        let bytes = with_right_crc(bytes, &expected);
        for piece in PIECES {
            let telegrams = telegrams(&bytes, piece);
            let [telegram] = &telegrams[..] else {
                panic!("{name} in pieces of {piece}: {} telegrams", telegrams.len());
            };
            assert_eq!(values_that_differ(telegram, &expected), Vec::<String>::new(), "{name}");
            assert_eq!(
                figures_that_differ(telegram, &expected["normalized"]),
                Vec::<String>::new(),
                "{name}"
            );
            assert_eq!(objects_that_differ(telegram, &expected), Vec::<String>::new(), "{name}");
            let clock = expected["timestamp_by_flag_utc"].as_str().map(t);
            assert_eq!(telegram.clock(), clock, "{name}: the flag decides, Swedish ones in summer too");
        }
        seen += 1;
    }
    assert!(seen == 0 || seen >= 14, "only {seen} samples");
}

#[test]
fn a_telegram_with_a_wrong_checksum_is_refused() {
    for (name, bytes, _) in single_telegrams().into_iter().filter(|(.., json)| json["crc"] == "mismatch") {
        for piece in PIECES {
            let outcomes = decoded(&bytes, piece);
            assert!(matches!(&outcomes[..], [Err(Why::Crc { .. })]), "{name}: {outcomes:?}");
        }
    }
}

#[test]
fn one_flipped_bit_is_noticed_wherever_it_is() {
    for (name, bytes, _) in single_telegrams().into_iter().filter(|(.., json)| json["crc"] == "ok") {
        for at in (0..bytes.len() - 2).step_by(13) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x04;
            assert_eq!(telegrams(&bytes, 4096), [], "{name}, byte {at}");
        }
    }
}

/// Name, bytes and expected values of every sample that is one telegram.
fn single_telegrams() -> Vec<(String, Vec<u8>, Json)> {
    let Some(folder) = samples("meters/samples") else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    files.retain(|file| {
        let name = name(file);
        name.starts_with("p1-") && name.ends_with(".txt") && !name.starts_with("p1-stream-")
    });
    files.iter().map(|file| (name(file), std::fs::read(file).unwrap(), expected(file))).collect()
}

/// What is expected of a sample; it stands beside it.
pub(super) fn expected(sample: &Path) -> Json {
    let mut file = sample.as_os_str().to_owned();
    file.push(".expected.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The example of a standard has a placeholder for a checksum.
fn with_right_crc(mut bytes: Vec<u8>, expected: &Json) -> Vec<u8> {
    if expected["crc"] == "mismatch" {
        let end = usize::try_from(expected["frame"]["end_mark"].as_u64().unwrap()).unwrap();
        bytes.truncate(end + 1);
        let crc = arc(&bytes);
        bytes.extend(format!("{crc:04X}\r\n").bytes());
    }
    bytes
}

/// What the telegram says otherwise than it should.
fn values_that_differ(telegram: &P1Telegram, expected: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut peaks = 0;
    for value in expected["values"].as_array().unwrap() {
        let text = value["obis"].as_str().unwrap();
        let code = ObisCode::parse(text).unwrap();
        let groups: Vec<&str> = telegram.groups(code).collect();
        let right = if value.get("log").is_some() {
            failures_match(telegram, &groups, value)
        } else if value.get("occurred").is_some() {
            peaks += 1;
            // A count, two codes, and then three for each month.
            groups.get(peaks * 3..).is_some_and(|peak| peak_matches(telegram, peak, value))
        } else if value.get("datetime").is_some() {
            stamped_matches(telegram, &groups, value)
        } else if code == ObisCode::now(0, 0, 1, 0, 0) {
            is_time(telegram, groups.first(), &value["value"])
        } else {
            is_value(groups.first(), value)
        };
        if !right {
            wrong.push(format!("{groups:?} is not {value}"));
        }
    }
    wrong
}

/// What the objects of the telegram say otherwise than it should: of each value there is an object of its code, or of a row of it.
pub(super) fn objects_that_differ(telegram: &P1Telegram, expected: &Json) -> Vec<String> {
    let general = telegram.general();
    let differs = |value: &&Json| {
        let code = ObisCode::parse(value["obis"].as_str().unwrap()).unwrap();
        let row = value.get("occurred").map(|_| ObisCode::electricity(1, 6, 0));
        let mut objects = general.objects.iter().filter(|object| match row {
            Some(row) => object.code.0[..5] == row.0[..5],
            None => object.code == code,
        });
        !objects.any(|object| object_matches(object, value, general.clock))
    };
    let values = expected["values"].as_array().unwrap().iter().filter(|value| value.get("log").is_none());
    values.filter(differs).map(|value| format!("{value} is not among the objects")).collect()
}

fn object_matches(object: &Object, value: &Json, clock_of: Option<Timestamp>) -> bool {
    let impossible = |at: &Json| {
        let late = |at| clock_of.is_some_and(|clock| at > clock + Span::HOUR);
        at.as_str().map(t).is_none_or(|at| at < t("1999-12-31T23:00:00Z") || late(at))
    };
    // One sample has gas of two weeks later.
    let impossible = value.get("datetime").is_some_and(impossible);
    if impossible && (object.at.is_some() || object.quality != DataQuality::Bad) {
        return false;
    }
    // The clock of the telegram is compared elsewhere, and the times of peaks by the flag, not by the zone.
    let clock = object.code == ObisCode::now(0, 0, 1, 0, 0);
    let at = impossible || value["datetime"].as_str().is_none_or(|at| object.at == Some(t(at)));
    let wanted = &value["value"];
    let wanted = match wanted.as_str() {
        Some(text) => text.to_owned(),
        None => wanted.as_u64().map(|number| number.to_string()).unwrap_or_default(),
    };
    let exact = |number: &Decimal| wanted.parse() == Ok(*number);
    clock
        || at
            && match (&object.value, value["unit"].as_str()) {
                (ObjectValue::Number(number, Some(unit)), Some(wanted)) => {
                    exact(number) && MeterUnit::parse(wanted) == Some(*unit)
                }
                (ObjectValue::Number(number, None), None) => exact(number),
                (ObjectValue::Text(text), None) => *text == wanted,
                _ => false,
            }
}

/// `(count)(code)(end)(duration)(end)(duration)...`.
fn failures_match(telegram: &P1Telegram, groups: &[&str], value: &Json) -> bool {
    let log = value["log"].as_array().unwrap();
    let pairs: Vec<_> = groups.get(2..).unwrap_or_default().chunks_exact(2).collect();
    let matches = |(pair, entry): (&&[&str], &Json)| {
        let seconds = Measured::parse(pair[1]).unwrap();
        is_time(telegram, pair.first(), &entry["end"])
            && seconds.unit == entry["unit"].as_str().unwrap()
            && seconds.value == Decimal::from(entry["seconds"].as_i64().unwrap())
    };
    groups[0].parse().ok() == value["buffer_length"].as_u64()
        && pairs.len() == log.len()
        && pairs.iter().zip(log).all(matches)
}

/// `(end of the month)(time)(power)`.
///
/// The examples of the Belgian standard flag months of winter as summer. The expected times follow the zone, so the comparison
/// does without the flag; ours is an hour earlier in winter then, as the flag decides.
fn peak_matches(telegram: &P1Telegram, peak: &[&str], value: &Json) -> bool {
    let by_zone = |text: Option<&&str>, expected: &Json| {
        let text = text.unwrap().trim_end_matches(['S', 'W']);
        is_time(telegram, Some(&text), expected)
    };
    by_zone(peak.first(), &value["period_end"])
        && by_zone(peak.get(1), &value["occurred"])
        && is_value(peak.get(2), value)
}

/// `(time)(value)`, or the form of DSMR 3, `(time)(status)(minutes)(count)(code)(unit)(value)`.
fn stamped_matches(telegram: &P1Telegram, groups: &[&str], value: &Json) -> bool {
    let measured = match groups {
        [_, _, _, _, _, unit, number] => format!("{number}*{unit}"),
        [_, measured] => (*measured).to_owned(),
        _ => return false,
    };
    is_time(telegram, groups.first(), &value["datetime"]) && is_value(Some(&measured.as_str()), value)
}

fn is_time(telegram: &P1Telegram, text: Option<&&str>, expected: &Json) -> bool {
    text.is_some_and(|text| telegram.time(text) == expected.as_str().map(t))
}

/// Numbers are compared as decimals, texts as texts; nothing is an empty text.
fn is_value(text: Option<&&str>, expected: &Json) -> bool {
    let Some(text) = text else { return false };
    let number = Measured::parse(text).map(|measured| measured.value);
    match (&expected["value"], expected["unit"].as_str()) {
        (Json::Null, _) => text.is_empty(),
        (Json::Number(value), _) => number == value.as_i64().map(Decimal::from),
        (Json::String(value), Some(unit)) => {
            number == Decimal::from_str_exact(value).ok()
                && Measured::parse(text).is_some_and(|measured| measured.unit == unit)
        }
        (Json::String(value), None) => text == value || number == Decimal::from_str_exact(value).ok(),
        (other, _) => panic!("{other}"),
    }
}

/// The figures in base units that the telegram gives otherwise than it should.
pub(super) fn figures_that_differ(telegram: &P1Telegram, expected: &Json) -> Vec<String> {
    let differs = |(name, value): (&String, &Json)| {
        let found = figure(telegram, name).map(|value| value.to_string());
        (found.as_deref() != value.as_str()).then(|| format!("{name} is {found:?}, expected {value}"))
    };
    expected.as_object().unwrap().iter().filter_map(differs).collect()
}

/// A figure by the name that the expected values have for it.
fn figure(telegram: &P1Telegram, name: &str) -> Option<Decimal> {
    let (phase, name) = match name.split_once('_') {
        Some(("l1", name)) => (20, name),
        Some(("l2", name)) => (40, name),
        Some(("l3", name)) => (60, name),
        _ => (0, name),
    };
    let now = |quantity: u8| telegram.value(ObisCode::electricity(phase + quantity, 7, 0));
    let reading = || Reading::of(&telegram.general(), t("2030-01-01T00:00:00Z"));
    let words: Vec<&str> = name.split('_').collect();
    match words[..] {
        ["power", "import", "w"] if phase == 0 => reading().get(Channel::PowerImport),
        ["power", "export", "w"] if phase == 0 => reading().get(Channel::PowerExport),
        ["power", "net", "w"] => reading().net_power(),
        ["power", "import", "w"] => now(1),
        ["power", "export", "w"] => now(2),
        ["reactive", "power", "import", "var"] | ["reactive", "import", "var"] => now(3),
        ["reactive", "power", "export", "var"] | ["reactive", "export", "var"] => now(4),
        ["current", "a"] => now(11),
        ["voltage", "v"] => now(12),
        ["frequency", "hz"] => now(14),
        ["import", "wh"] => reading().get(Channel::Import),
        ["export", "wh"] => reading().get(Channel::Export),
        ["import", rate, "wh"] => telegram.register(1, rate_number(rate)),
        ["export", rate, "wh"] => telegram.register(2, rate_number(rate)),
        ["reactive", "import", "varh"] => telegram.register(3, 0),
        ["reactive", "export", "varh"] => telegram.register(4, 0),
        ["reactive", "import", rate, "varh"] => telegram.register(3, rate_number(rate)),
        ["reactive", "export", rate, "varh"] => telegram.register(4, rate_number(rate)),
        _ => panic!("no figure is called {name}"),
    }
}

fn rate_number(word: &str) -> u8 {
    word.strip_prefix('t').unwrap().parse().unwrap()
}
