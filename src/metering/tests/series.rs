//! Values of reports: what an interval is given, and with what quality.

use super::super::channel::Channel;
use super::super::quantity::Quantity;
use super::super::{Reading, Series, Value};
use super::{reading, t};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

/// So many seconds after midnight.
pub(super) fn at(seconds: i64) -> Timestamp {
    t("2026-01-15T00:00:00Z") + Span::from_seconds(seconds)
}

pub(super) fn series(readings: impl IntoIterator<Item = Reading>) -> Series {
    let mut series = Series::new(Span::DAY);
    readings.into_iter().for_each(|reading| series.push(reading));
    series
}

/// Values as people read them: `?` an uncertain one, `~` one between readings that are far apart, `-` a gap.
pub(super) fn told(values: &[Value]) -> String {
    let tell = |value: &Value| match (value.value, value.quality.clone()) {
        (None, DataQuality::Bad) => "-".to_owned(),
        (Some(number), DataQuality::Good) => number.to_string(),
        (Some(number), DataQuality::Uncertain) => format!("{number}?"),
        (Some(number), DataQuality::UncertainLastUsable) => format!("{number}~"),
        other => panic!("{other:?}"),
    };
    values.iter().map(tell).collect::<Vec<_>>().join(" ")
}

pub(super) fn window(series: &Series, quantity: Quantity, from: i64, to: i64, step: i64) -> String {
    told(&series.window(quantity, at(from), at(to), Span::from_seconds(step)))
}

/// Every ten seconds one Wh more, from the second on.
fn steady(first: i64, last: i64) -> impl Iterator<Item = Reading> {
    (first..=last).step_by(10).map(|second| reading(at(second), 5_000 + second / 10, 70 + second / 60))
}

#[test]
fn an_interval_is_given_the_difference_of_its_ends() {
    let series = series(steady(0, 600));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 600, 60), ["6"; 10].join(" "));
    assert_eq!(window(&series, Quantity::EXPORT_ENERGY, 0, 600, 120), ["2"; 5].join(" "));
    assert_eq!(window(&series, Quantity::NetUse, 0, 600, 120), ["10"; 5].join(" "));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 150, 100), "10 5", "the last step is shorter");
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 600, 0), "", "no step, no values");
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 60, 60, 60), "");
    let values = series.window(Quantity::IMPORT_ENERGY, at(0), at(150), Span::from_seconds(100));
    let spans: Vec<_> = values.iter().map(|value| (value.start, value.duration.seconds())).collect();
    assert_eq!(spans, [(at(0), 100), (at(100), 50)]);
}

#[test]
fn a_boundary_has_the_reading_within_half_a_gap_or_lies_on_the_line() {
    let near = series((3..300).step_by(10).map(|second| reading(at(second), 5_000 + second, 0)));
    assert_eq!(window(&near, Quantity::IMPORT_ENERGY, 60, 120, 60), "60", "three seconds away on both sides");
    // The gap from 43 to 55 is the only one that is not ten seconds long.
    let seconds = (3..=43).step_by(10).chain((55..200).step_by(10));
    let between = series(seconds.map(|second| reading(at(second), second * 12, 0)));
    assert_eq!(
        window(&between, Quantity::IMPORT_ENERGY, 43, 49, 6),
        "72",
        "on the line, and near enough to be good"
    );
}

#[test]
fn a_line_over_a_long_gap_is_uncertain() {
    let seconds = (0..=100).step_by(10).chain((150..=300).step_by(10));
    let series = series(seconds.map(|second| reading(at(second), 1_000 + second, 0)));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 240, 60), "60 60~ 60~ 60");
    assert_eq!(
        window(&series, Quantity::IMPORT_ENERGY, 0, 250, 50),
        "50 50 50 50 50",
        "its ends are readings"
    );
    assert_eq!(
        window(&series, Quantity::IMPORT_ENERGY, 0, 240, 30),
        "30 30 30 - - 30 30 30",
        "longer than an interval"
    );
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 100, 150, 50), "50", "nothing is lost over the gap");
}

#[test]
fn where_nothing_was_read_there_is_no_number() {
    let empty = Series::new(Span::DAY);
    for quantity in Quantity::all() {
        assert_eq!(window(&empty, quantity, 0, 180, 60), "- - -");
        assert_eq!(told(&[empty.latest(quantity, Span::MINUTE, at(0))]), "-");
    }
    let series = series(steady(60, 120));
    assert_eq!(
        window(&series, Quantity::IMPORT_ENERGY, 0, 240, 60),
        "- 6 - -",
        "before the first and after the last"
    );
    assert_eq!(window(&series, Quantity::IMPORT_POWER, 0, 240, 60), "- 500 500 -");
}

#[test]
fn what_a_meter_does_not_say_is_a_gap() {
    let quiet = Reading { values: std::collections::BTreeMap::new(), ..reading(at(0), 0, 0) };
    let quiet = series((0..=6).map(|step| Reading { at: at(step * 10), ..quiet.clone() }));
    for quantity in Quantity::all() {
        assert_eq!(window(&quiet, quantity, 0, 60, 20), "- - -", "{quantity}");
    }
    let no_export =
        || steady(0, 600).map(|reading| reading.with(Channel::Export, None).with(Channel::PowerExport, None));
    let series = series(no_export());
    assert_eq!(window(&series, Quantity::NetUse, 0, 120, 60), "6 6", "it has never given anything");
    assert_eq!(window(&series, Quantity::NET_POWER, 0, 120, 60), "500 500");
    assert_eq!(window(&series, Quantity::EXPORT_ENERGY, 0, 120, 60), "- -");
    assert_eq!(window(&series, Quantity::EXPORT_POWER, 0, 120, 60), "- -");
}

#[test]
fn a_power_is_that_of_the_nearest_reading() {
    let power = |second: i64| reading(at(second), 0, 0).with(Channel::PowerImport, Some(second.into()));
    let series = series((0..=60).step_by(10).chain([100]).map(power));
    assert_eq!(window(&series, Quantity::IMPORT_POWER, 4, 44, 20), "0 20");
    assert_eq!(window(&series, Quantity::IMPORT_POWER, 6, 46, 20), "10 30");
    assert_eq!(
        window(&series, Quantity::IMPORT_POWER, 60, 110, 10),
        "60 60 - 100 100",
        "not further than a usual gap"
    );
    let net = reading(at(0), 0, 0).with(Channel::Power, Some((-200).into()));
    assert_eq!(
        window(&super::series::series([net]), Quantity::NET_POWER, 0, 1, 1),
        "-200",
        "given to the grid"
    );
}

#[test]
fn the_latest_energy_is_that_of_the_newest_whole_interval() {
    let series = series(steady(0, 610));
    let latest = |now| series.latest(Quantity::IMPORT_ENERGY, Span::MINUTE * 5, at(now));
    let value = latest(615);
    assert_eq!((value.start, value.duration, told(&[value])), (at(300), Span::MINUTE * 5, "30".to_owned()));
    let value = latest(901);
    assert_eq!(
        (value.start, told(&[value])),
        (at(600), "-".to_owned()),
        "an old interval is not the newest one"
    );
    assert_eq!(
        told(&[series.latest(Quantity::IMPORT_ENERGY, Span::ZERO, at(615))]),
        "-",
        "no time, no energy"
    );
}

#[test]
fn the_latest_power_is_not_an_old_one() {
    let slow = series((0..=600).step_by(100).map(|second| reading(at(second), second, 0)));
    let fast = series(steady(0, 600));
    for (series, fresh) in [(fast, 60), (slow, 200)] {
        let value = series.latest(Quantity::IMPORT_POWER, Span::MINUTE, at(600 + fresh));
        assert_eq!((value.start, told(&[value])), (at(600), "500".to_owned()));
        assert_eq!(told(&[series.latest(Quantity::IMPORT_POWER, Span::MINUTE, at(601 + fresh))]), "-");
    }
    let doubtful = Reading { quality: DataQuality::Uncertain, ..reading(at(0), 0, 0) };
    assert_eq!(told(&[series([doubtful]).latest(Quantity::IMPORT_POWER, Span::MINUTE, at(1))]), "500?");
}

#[test]
fn a_span_is_complete_when_a_reading_has_come_from_its_end() {
    let series = series(steady(0, 600));
    assert!(series.is_complete(at(600)));
    assert!(!series.is_complete(at(601)));
    assert!(!Series::new(Span::DAY).is_complete(at(0)));
}

#[test]
fn what_is_older_than_is_kept_goes() {
    let mut series = Series::new(Span::HOUR);
    steady(0, 7_200).for_each(|reading| series.push(reading));
    assert_eq!(series.len(), 361);
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 3_480, 3_660, 60), "- - 6");
}

#[test]
fn a_value_is_exact_whatever_the_number_of_digits() {
    let kwh = |text: &str| Some(Decimal::from_str_exact(text).unwrap());
    let first = reading(at(0), 0, 0).with(Channel::Import, kwh("52185782.5309"));
    let second = reading(at(60), 0, 0).with(Channel::Import, kwh("52185790.5310"));
    let value =
        series([first, second]).window(Quantity::IMPORT_ENERGY, at(0), at(60), Span::MINUTE).remove(0);
    assert_eq!(value.value, kwh("8.0001"));
}
