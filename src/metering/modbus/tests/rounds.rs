//! What is asked for, and what telegrams are made of it.

use super::{
    Coming, Line, ModbusSimulator, PIECES, RegisterMap, SOON, alike, base, built_in, code, meter_of, number,
    settings, values,
};
use crate::metering::channel::Channel;
use crate::metering::modbus::BUILT_IN;
use crate::metering::modbus::number::NumberType;
use crate::metering::reading::Reading;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

/// This meter, answering soon.
fn soon(mut meter: ModbusSimulator) -> impl FnMut(&[u8]) -> Coming {
    move |request| vec![(SOON, meter.hear(request))]
}

#[test]
fn every_built_in_map_gives_every_value_in_one_telegram() {
    for (name, _) in BUILT_IN {
        let map = built_in(name);
        for piece in PIECES {
            let mut line = Line::new(settings(map.clone()), piece, soon(meter_of(&map)));
            line.run_to(Span::from_seconds(9));
            assert_eq!(line.told.len(), 1, "{name}: {:?}", line.told);
            let expected = map.registers.iter().zip(11..).map(|(register, number)| {
                let value = base(register.code, &map, number).normalize().to_string();
                (register.code.to_string(), value)
            });
            assert_eq!(values(line.telegrams()[0]), expected.collect::<Vec<_>>(), "{name}");
            assert_eq!(line.telegrams()[0].quality, DataQuality::Good);
        }
    }
}

#[test]
fn numbers_have_as_many_decimals_as_the_meter_counts() {
    let map = built_in("carlo-gavazzi-em340");
    let mut meter = ModbusSimulator::new(1, &map);
    assert!(meter.set(code("1-0:1.8.0"), Decimal::from(12_345_600)));
    assert!(meter.set(code("1-0:16.7.0"), Decimal::new(-2_300, 0)));
    let mut line = Line::new(settings(map), 64, soon(meter));
    line.run_to(Span::SECOND);
    let shown = |text| format!("{:?}", line.telegrams()[0].object(code(text)).unwrap().value);
    assert!(shown("1-0:1.8.0").contains("12345.6"), "{}", shown("1-0:1.8.0"));
    assert!(shown("1-0:16.7.0").contains("-2300.0"), "{}", shown("1-0:16.7.0"));
    let reading = Reading::of(line.telegrams()[0], Timestamp::EPOCH);
    assert_eq!(
        (reading.get(Channel::Import), reading.get(Channel::PowerExport)),
        (Some(12_345_600.into()), Some(2_300.into()))
    );
}

#[test]
fn neighbours_are_asked_for_together_as_far_as_the_meter_allows() {
    for (name, requests) in [
        ("eastron-sdm630", vec![(0, 80), (342, 16)]),
        ("carlo-gavazzi-em340", vec![(0, 6), (12, 12), (0x28, 2), (0x33, 3), (0x4E, 2)]),
        ("carlo-gavazzi-em24", vec![(0, 6), (12, 10), (0x16, 2), (0x28, 2), (0x37, 1), (0x42, 2), (0x5C, 2)]),
        ("bg-ws100", vec![(0x100, 6), (0x10A, 1), (0x10E, 2), (0x118, 2)]),
    ] {
        let map = built_in(name);
        let mut line = Line::new(settings(map.clone()), 64, soon(meter_of(&map)));
        line.run_to(Span::from_seconds(9));
        assert_eq!(line.asked(), requests, "{name}");
    }
}

#[test]
fn rounds_begin_at_their_interval_and_requests_are_apart() {
    let map = alike();
    let mut line = Line::new(settings(map.clone()), 64, soon(meter_of(&map)));
    line.run_to(Span::from_seconds(45));
    assert_eq!(line.told.len(), 5);
    let times: Vec<Span> = line.sent.iter().map(|(at, _)| *at).collect();
    for (round, first) in times.chunks(4).zip(0..) {
        assert_eq!(round[0], Span::from_seconds(10 * first));
        // 30 ms to the answer, and a pause.
        assert!(round.windows(2).all(|two| two[1] - two[0] == SOON + Span::from_millis(20)), "{round:?}");
    }
}

#[test]
fn a_round_that_takes_longer_than_the_interval_is_followed_by_the_next() {
    let map = alike();
    let mut settings = settings(map.clone());
    settings.interval = Span::from_millis(100);
    let mut line = Line::new(settings, 64, soon(meter_of(&map)));
    line.run_to(Span::from_millis(999));
    assert_eq!(line.sent.len(), 20);
}

#[test]
fn what_changes_slowly_is_asked_for_seldom() {
    let map = built_in("eastron-sdm630");
    let mut line = Line::new(settings(map.clone()), 64, soon(meter_of(&map)));
    line.run_to(Span::from_seconds(205));
    let slow: Vec<i64> =
        line.sent.iter().filter(|(_, request)| request.address == 342).map(|(at, _)| at.seconds()).collect();
    assert_eq!(slow, [0, 100, 200]);
    let counts: Vec<usize> = line.telegrams().iter().map(|telegram| telegram.objects.len()).collect();
    assert_eq!(counts[..2], [map.registers.len(), map.registers.len() - 7]);
}

#[test]
fn what_the_meter_does_not_have_is_no_value() {
    let map = built_in("abb-b-series");
    let mut meter = meter_of(&map);
    let absent = ["1-0:2.8.0", "1-0:52.7.0", "1-0:56.7.0", "1-0:13.7.0", "1-0:14.7.0"];
    for text in absent {
        assert!(meter.set_absent(code(text)), "{text}");
    }
    // All bits set is a value where there is a sign.
    assert!(meter.set(code("1-0:36.7.0"), Decimal::new(-1, 2)));
    let mut line = Line::new(settings(map.clone()), 64, soon(meter));
    line.run_to(Span::from_seconds(9));
    for text in absent {
        assert_eq!(number(line.telegrams()[0], text), None, "{text}");
    }
    assert_eq!(number(line.telegrams()[0], "1-0:36.7.0").unwrap(), "-0.01");
    assert_eq!(line.telegrams()[0].objects.len(), map.registers.len() - absent.len());
}

#[test]
fn a_meter_that_is_built_in_the_wrong_way_is_turned_round() {
    let inverted = |map: RegisterMap, set: &[(&str, i64)]| {
        let mut meter = ModbusSimulator::new(1, &map);
        for (text, value) in set {
            assert!(meter.set(code(text), Decimal::from(*value)), "{text}");
        }
        let mut settings = settings(map);
        settings.invert = true;
        let mut line = Line::new(settings, 64, soon(meter));
        line.run_to(Span::from_seconds(9));
        line.telegrams()[0].clone()
    };
    let set = [
        ("1-0:1.8.0", 1000),
        ("1-0:2.8.0", 2000),
        ("1-0:3.8.0", 3000),
        ("1-0:16.7.0", 500),
        ("1-0:56.7.0", -7),
        ("1-0:23.7.0", 9),
        ("1-0:13.7.0", 1),
        ("1-0:32.7.0", 230),
        ("1-0:31.7.0", 5),
        ("1-0:21.8.0", 6000),
    ];
    let telegram = inverted(built_in("eastron-sdm630"), &set);
    for (text, value) in [
        ("1-0:2.8.0", "1000"),
        ("1-0:1.8.0", "2000"),
        ("1-0:4.8.0", "3000"),
        ("1-0:16.7.0", "-500"),
        ("1-0:56.7.0", "7"),
        ("1-0:23.7.0", "-9"),
        ("1-0:13.7.0", "-1"),
        ("1-0:32.7.0", "230"),
        ("1-0:31.7.0", "5"),
        ("1-0:22.8.0", "6000"),
    ] {
        assert_eq!(number(&telegram, text).as_deref(), Some(value), "{text}");
    }
    let telegram = inverted(built_in("dzg-dvh4013"), &[("1-0:1.7.0", 40), ("1-0:2.7.0", 0)]);
    assert_eq!(number(&telegram, "1-0:2.7.0").as_deref(), Some("40"), "each direction has a register");
    let mut one_way = alike();
    one_way.registers.drain(..3);
    one_way.registers[0].form = NumberType::I32;
    let telegram = inverted(one_way, &[("1-0:1.8.0", 3000)]);
    assert_eq!(number(&telegram, "1-0:2.8.0").as_deref(), Some("3000"), "a register counts one direction");
    let telegram = inverted(built_in("orno-we514"), &[("1-0:1.7.0", 40)]);
    assert_eq!(number(&telegram, "1-0:2.7.0").as_deref(), Some("40"), "it has no sign");
}
