//! The simulated meter itself, and what is found out about a meter by asking it.

use super::{Line, ModbusSimulator, PIECES, RegisterMap, SOON, built_in, code, settings};
use crate::metering::channel::Channel;
use crate::metering::modbus::frame::{Request, framed};
use crate::metering::modbus::{BUILT_IN, likeness};
use crate::metering::reading::Reading;
use crate::metering::simulator::Simulator;
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// A meter in a house.
fn house(map: &RegisterMap) -> (ModbusSimulator, Reading) {
    let start: Timestamp = "2026-01-15T07:06:00Z".parse().unwrap();
    let mut house = Simulator::v5(start);
    house.telegram(start + Span::MINUTE);
    let mut meter = ModbusSimulator::new(1, map);
    meter.show(&house.reading());
    for (text, value) in [("1-0:32.7.0", 230), ("1-0:52.7.0", 231), ("1-0:72.7.0", 229), ("1-0:14.7.0", 50)] {
        meter.set(code(text), Decimal::from(value));
    }
    (meter, house.reading())
}

#[test]
fn a_simulated_meter_says_what_it_was_told_to_by_every_map() {
    for (name, _) in BUILT_IN {
        let map = built_in(name);
        let (mut meter, shown) = house(&map);
        let mut line = Line::new(settings(map), 7, |request: &[u8]| vec![(SOON, meter.hear(request))]);
        line.run_to(Span::from_seconds(9));
        let reading = Reading::of(line.telegrams()[0], shown.at);
        // Some count in steps of 100 Wh.
        let off = (reading.get(Channel::Import).unwrap() - shown.get(Channel::Import).unwrap()).abs();
        assert!(off <= Decimal::from(50), "{name}: {off}");
        assert_eq!(reading.net_power(), shown.net_power(), "{name}");
    }
}

#[test]
fn a_simulated_meter_hears_requests_in_pieces_and_among_others() {
    let map = built_in("eastron-sdm120");
    let request = Request { unit: 1, function: 4, address: 70, count: 2 };
    let other = Request { unit: 2, ..request };
    let said = [other.bytes(), vec![1, 4, 0], request.bytes(), vec![9], request.bytes()].concat();
    for piece in PIECES {
        let (mut meter, _) = house(&map);
        let heard: Vec<u8> = said.chunks(piece).flat_map(|piece| meter.hear(piece)).collect();
        assert_eq!(heard, framed(vec![1, 4, 4, 0x42, 0x48, 0, 0]).repeat(2), "{piece}");
    }
}

#[test]
fn a_simulated_meter_refuses_what_it_lacks() {
    let map = built_in("eastron-sdm120");
    let request = Request { unit: 1, function: 4, address: 70, count: 2 };
    for (request, exception) in [
        (Request { function: 6, ..request }, [1, 0x86, 1]),
        (Request { function: 3, ..request }, [1, 0x83, 2]),
        (Request { address: 300, ..request }, [1, 0x84, 2]),
        (Request { address: 0xFFFF, ..request }, [1, 0x84, 2]),
        (Request { count: 0, ..request }, [1, 0x84, 3]),
        (Request { count: 81, address: 0, ..request }, [1, 0x84, 3]),
        (Request { count: 0xFFFF, ..request }, [1, 0x84, 3]),
    ] {
        let mut meter = ModbusSimulator::new(1, &map);
        assert_eq!(meter.hear(&request.bytes()), framed(exception.to_vec()), "{request:?}");
    }
    let mut meter = ModbusSimulator::new(1, &map);
    assert!(!meter.set(code("1-0:99.7.0"), Decimal::ONE), "no such register");
    let map = built_in("orno-we514");
    assert!(!ModbusSimulator::new(1, &map).set(code("1-0:14.7.0"), Decimal::from(1_000)), "it has no room");
}

#[test]
fn the_map_that_fits_best_is_the_right_one() {
    for (name, _) in BUILT_IN.iter().filter(|(name, _)| *name != "eastron-sdm72dm") {
        let found = BUILT_IN.iter().filter_map(|(tried, _)| {
            let (mut meter, _) = house(&built_in(name));
            let mut line =
                Line::new(settings(built_in(tried)), 7, |request: &[u8]| vec![(SOON, meter.hear(request))]);
            line.run_to(Span::from_seconds(9));
            Some((likeness(line.telegrams().first()?)?, *tried))
        });
        assert_eq!(found.max().unwrap().1, *name);
    }
}
