//! Real lines: what is damaged is refused, and nothing that is good is lost with it.

use serde_json::Value as Json;

use super::super::P1Telegram;
use super::samples::{expected, figures_that_differ};
use super::{PIECES, decoded, t, telegrams};
use crate::metering::decoder::Why;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::metering::{Quantity, Series};
use crate::openadr::message::{DataQuality, Decimal};
use crate::test_support::samples;
use crate::time::Span;

fn stream(name: &str) -> Option<(Vec<u8>, Json)> {
    let file = samples("meters/samples")?.join(name);
    Some((std::fs::read(&file).unwrap(), expected(&file)))
}

/// The good telegrams are the wanted ones, at each piece size.
fn check(bytes: &[u8], expected: &Json) {
    let wanted: Vec<&Json> =
        expected["telegrams"].as_array().unwrap().iter().filter(|one| one["crc"] == "ok").collect();
    assert_eq!(wanted.len() as u64, expected["telegrams_good"].as_u64().unwrap());
    for piece in PIECES {
        let telegrams = telegrams(bytes, piece);
        let clocks: Vec<_> = telegrams.iter().map(|telegram| telegram.clock().unwrap()).collect();
        let expected_clocks: Vec<_> =
            wanted.iter().map(|one| t(one["timestamp_by_flag_utc"].as_str().unwrap())).collect();
        assert_eq!(clocks, expected_clocks, "in pieces of {piece}");
        for (telegram, wanted) in telegrams.iter().zip(&wanted) {
            check_telegram(telegram, wanted);
        }
    }
}

fn check_telegram(telegram: &P1Telegram, wanted: &Json) {
    let mut figures = wanted.clone();
    for other in ["crc", "timestamp_raw", "timestamp_reference_utc", "timestamp_by_flag_utc", "meter", "mbus"]
    {
        figures.as_object_mut().unwrap().remove(other);
    }
    assert_eq!(figures_that_differ(telegram, &figures), Vec::<String>::new());
    assert_eq!(telegram.serial().as_deref(), wanted["meter"].as_str());
    for device in wanted["mbus"].as_array().unwrap() {
        let code = ObisCode::parse(device["obis"].as_str().unwrap()).unwrap();
        let groups: Vec<&str> = telegram.groups(code).collect();
        assert_eq!(telegram.time(groups[0]), device["datetime"].as_str().map(t));
        let value = format!("{}*{}", device["value"].as_str().unwrap(), device["unit"].as_str().unwrap());
        assert_eq!(groups[1].trim_start_matches('0'), value.trim_start_matches('0'));
    }
}

#[test]
fn a_noisy_line_loses_no_good_telegram() {
    let Some((bytes, expected)) = stream("p1-stream-noise.txt") else { return };
    check(&bytes, &expected);
    for piece in PIECES {
        let refused: Vec<_> = decoded(&bytes, piece).into_iter().filter_map(Result::err).collect();
        assert_eq!(
            refused.len(),
            3,
            "a cut one, a flipped bit and a cut checksum, each told of once: {refused:?}"
        );
        assert!(refused.iter().all(|why| matches!(why, Why::Crc { .. })), "{refused:?}");
    }
}

#[test]
fn in_spring_no_time_is_missing() {
    let Some((bytes, expected)) = stream("p1-stream-dst-spring.txt") else { return };
    check(&bytes, &expected);

    let mut series = Series::new(Span::DAY);
    for telegram in telegrams(&bytes, 64) {
        let at = telegram.clock().unwrap();
        series.push(Reading::of(&telegram.general(), at));
    }
    let (from, to) = (t("2026-03-29T00:58:00Z"), t("2026-03-29T01:03:00Z"));
    assert!(series.is_complete(to));
    let minutes = series.window(Quantity::IMPORT_ENERGY, from, to, Span::MINUTE);
    assert_eq!(minutes.len(), 5);
    for minute in minutes {
        assert_eq!(minute.value, Some(Decimal::from(20)), "{minute:?}");
        assert_eq!(minute.quality, DataQuality::Good, "{minute:?}");
    }
}
