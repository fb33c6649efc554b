//! Meters that are exchanged, reset, roll over or blunder; clocks that are set; more readings than there is room for.

use super::super::Reading;
use super::super::channel::Channel;
use super::super::quantity::Quantity;
use super::super::series::MOST;
use super::reading;
use super::series::{at, series, window};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Span;

/// Registers ten seconds apart.
fn registers(imports: &[i64]) -> Vec<Reading> {
    (0..).step_by(10).zip(imports).map(|(second, import)| reading(at(second), *import, 0)).collect()
}

#[test]
fn a_glitch_is_stepped_over() {
    let series = series(registers(&[5000, 5001, 0, 5003, 5004, 9_000_000, 5006]));
    assert_eq!(
        window(&series, Quantity::IMPORT_ENERGY, 0, 60, 10),
        "1 1 1 1 1 1",
        "from the readings around it"
    );
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 60), "6");
}

#[test]
fn a_glitch_at_the_end_of_an_interval_is_waited_for() {
    let mut series = series(registers(&[5000, 5001, 5002, 5003, 5004, 5005, 0]));
    assert!(series.is_complete(at(50)) && !series.is_complete(at(60)));
    series.push(reading(at(70), 5007, 0));
    assert!(series.is_complete(at(60)));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 60), "6");
}

#[test]
fn a_glitch_of_one_register_is_no_number_for_the_net() {
    let readings =
        (0..=6).map(|step| reading(at(step * 10), 5000 + step, if step == 3 { 0 } else { 900_000 }));
    let series = series(readings);
    assert_eq!(window(&series, Quantity::NetUse, 0, 60, 30), "3 3");
    assert_eq!(window(&series, Quantity::EXPORT_ENERGY, 0, 60, 30), "0 0");
}

#[test]
fn an_export_register_that_appears_gives_nothing_at_once() {
    let readings = (0..=6).map(|step| {
        let export = (step >= 3).then(|| Decimal::from(12_000 + step * 2));
        reading(at(step * 10), 5000 + step, 0).with(Channel::Export, export)
    });
    let series = series(readings);
    assert_eq!(window(&series, Quantity::NetUse, 0, 60, 10), "1 1 1 -1 -1 -1");
    assert_eq!(window(&series, Quantity::EXPORT_ENERGY, 0, 60, 20), "- - 4");
}

#[test]
fn a_roll_over_goes_on() {
    let series = series(registers(&[99_999_990, 99_999_998, 6, 14]));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 30, 10), "8 8 8");
}

#[test]
fn energy_over_an_exchange_is_uncertain() {
    let meter = |second: i64, import, name: &str| Reading {
        meter: Some(name.to_owned()),
        ..reading(at(second), import, 10)
    };
    let old = [(0, 7000), (10, 7001), (20, 7002)].map(|(second, import)| meter(second, import, "old"));
    let new = [(30, 3), (40, 5), (50, 7), (60, 9)].map(|(second, import)| meter(second, import, "new"));
    let series = series(old.into_iter().chain(new));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 10), "1 1 0? 2 2 2");
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 60), "8?");
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 30), "2? 6");
    assert_eq!(window(&series, Quantity::NetUse, 0, 60, 30), "2? 6");
}

#[test]
fn a_boundary_inside_an_exchange_is_uncertain_on_both_sides() {
    let meter = |second: i64, import, name: &str| Reading {
        meter: Some(name.to_owned()),
        ..reading(at(second), import, 0)
    };
    let old = [(0, 7000), (10, 7001), (20, 7002)].map(|(second, import)| meter(second, import, "old"));
    let new = [(50, 3), (60, 5), (70, 7)].map(|(second, import)| meter(second, import, "new"));
    assert_eq!(window(&series(old.into_iter().chain(new)), Quantity::IMPORT_ENERGY, 0, 70, 35), "2? 4?");
}

#[test]
fn an_exchange_is_noticed_when_the_register_speaks_again() {
    let silent = Reading { meter: Some("new".into()), ..Reading::new(at(10)) };
    let new = Reading { meter: Some("new".into()), ..reading(at(20), 4, 0) };
    let after = Reading { meter: None, ..reading(at(30), 6, 0) };
    let series = series([reading(at(0), 7000, 0), silent, new, after]);
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 30, 30), "2?");
    assert_eq!(
        window(&series, Quantity::IMPORT_ENERGY, 20, 30, 10),
        "2",
        "a telegram without a serial is no other meter"
    );
}

#[test]
fn a_reset_leaves_a_gap_and_goes_on() {
    let imports: Vec<i64> = [800_000; 7].into_iter().chain(0..120).collect();
    let series = series(registers(&imports));
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 840, 60), "0 - - - - - - - - - - - 6 6");
    let over = window(&series, Quantity::IMPORT_ENERGY, 0, 840, 840);
    assert_eq!(over, "77?", "what was counted since the reset");
}

#[test]
fn doubtful_readings_make_doubtful_values() {
    let mut readings = registers(&[0, 1, 2, 3, 4, 5, 6]);
    readings[0].quality = DataQuality::Uncertain;
    readings[4].quality = DataQuality::Uncertain;
    let series = series(readings);
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 60, 10), "1? 1 1 1? 1? 1");
    assert_eq!(window(&series, Quantity::IMPORT_POWER, 0, 60, 20), "500? 500 500?");
}

#[test]
fn the_later_of_two_readings_of_one_second_stays() {
    let double =
        [reading(at(0), 10, 0), reading(at(10), 11, 0), reading(at(10), 12, 0), reading(at(20), 13, 0)];
    let series = series(double);
    assert_eq!(series.len(), 3);
    assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 0, 20, 10), "2 1");
}

#[test]
fn a_clock_that_is_set_back_gives_no_negative_energy() {
    for back in [1, 15, 60, 400] {
        let set = (0..=500).step_by(10).map(|second| reading(at(second), second, 0));
        let again = (0..=1000).step_by(10).map(|second| reading(at(500 - back + second), 500 + second, 0));
        let mut series = series(set);
        again.for_each(|reading| series.push(reading));
        let values = series.window(Quantity::IMPORT_ENERGY, at(0), at(1000), Span::from_seconds(50));
        for value in &values {
            assert!(value.value.is_none_or(|number| number >= Decimal::ZERO), "{value:?}");
        }
        assert!(series.is_complete(at(1000)), "set back by {back} s, it goes on at once");
        assert_eq!(window(&series, Quantity::IMPORT_ENERGY, 600, 1000, 100), "100 100 100 100");
    }
}

#[test]
fn a_glitch_while_the_pace_changes_gives_no_negative_energy() {
    let times =
        [0, 100_000, 200_000, 201_000, 202_100, 203_000].map(|millis| at(0) + Span::from_millis(millis));
    let imports = [0, 100, 200, 201, 0, 209];
    let series = series(times.into_iter().zip(imports).map(|(at, import)| reading(at, import, 0)));
    for value in series.window(Quantity::IMPORT_ENERGY, at(201), at(203), Span::from_millis(50)) {
        assert!(value.value.unwrap() >= Decimal::ZERO, "{value:?}");
    }
}

#[test]
fn stored_readings_give_the_same_values_again() {
    let mut readings = registers(&[5000, 5001, 5002, 0, 5004, 5005, 5006, 5010]);
    readings[5].meter = Some("M2".into());
    readings[6].meter = Some("M2".into());
    let (first, again) = (series(readings.clone()), series(readings));
    for quantity in [Quantity::IMPORT_ENERGY, Quantity::NetUse, Quantity::IMPORT_POWER] {
        for step in [5, 7, 10, 30] {
            assert_eq!(window(&first, quantity, 0, 70, step), window(&again, quantity, 0, 70, step));
        }
    }
}

#[test]
fn what_was_said_of_a_moment_stays_when_readings_come_faster() {
    let slow: Vec<_> = (0..=120).step_by(10).map(|second| reading(at(second), second * 3, 0)).collect();
    let fast = (121..=200).map(|second| reading(at(second), second * 3, 0));
    let before = window(&series(slow.clone()), Quantity::IMPORT_ENERGY, 4, 104, 20);
    assert_eq!(before, "60 60 60 60 60");
    assert_eq!(window(&series(slow.into_iter().chain(fast)), Quantity::IMPORT_ENERGY, 4, 104, 20), before);
}

#[test]
fn however_many_values_are_asked_for_the_answer_is_bounded() {
    let series = series(registers(&[1, 2, 3]));
    assert_eq!(series.window(Quantity::IMPORT_POWER, at(0), at(86_400), Span::from_micros(1)).len(), MOST);
}
