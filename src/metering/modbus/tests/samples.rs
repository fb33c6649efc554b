//! Recorded sessions with meters: what another implementation reads in them, ours does.
//!
//! The samples lie beside the project and are read where they lie.

use serde_json::Value as Json;

use super::super::frame::Request;
use super::super::recorded::RecordedSession;
use super::{Line, ModbusSimulator, RegisterMap, SOON, built_in, code, number, settings};
use crate::metering::decoder::Why;
use crate::metering::telegram::{ObjectValue, Telegram};
use crate::metering::unit::MeterUnit;
use crate::openadr::message::Decimal;
use crate::test_support::samples;
use crate::time::Span;

fn octets(hex: &Json) -> Vec<u8> {
    crate::metering::session::octets(hex.as_str().unwrap()).unwrap()
}

/// Name, session, and what is expected of it.
fn sessions() -> Vec<(&'static str, Json, Json)> {
    let Some(folder) = samples("meters/samples") else { return Vec::new() };
    let read = |name: String| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    ["modbus-sdm120", "modbus-sdm630-export", "modbus-abb-b21", "modbus-faults"]
        .map(|name| {
            (name, read(format!("{name}.session.json")), read(format!("{name}.session.json.expected.json")))
        })
        .into()
}

fn whole(json: &Json) -> u16 {
    u16::try_from(json.as_u64().unwrap()).unwrap()
}

#[test]
fn every_request_is_encoded_as_another_does() {
    for (name, session, expected) in sessions() {
        let steps = session["steps"].as_array().unwrap().iter();
        for (step, expected) in steps.zip(expected["steps"].as_array().unwrap()) {
            let asked = &expected["request"];
            let request = Request {
                unit: u8::try_from(whole(&asked["unit"])).unwrap(),
                function: u8::try_from(whole(&asked["function"])).unwrap(),
                address: whole(&asked["address"]),
                count: whole(&asked["count"]),
            };
            assert_eq!(request.bytes(), octets(&step["host_hex"]), "{name}");
        }
    }
}

#[test]
fn every_step_brings_what_is_expected() {
    for (name, session, expected) in sessions() {
        let recorded: RecordedSession = serde_json::from_value(session).unwrap();
        let expected = expected["steps"].as_array().unwrap();
        let outcomes = recorded.outcomes(64);
        assert_eq!(outcomes.len(), expected.len(), "{name}");
        for (outcome, expected) in outcomes.into_iter().zip(expected) {
            match (outcome.map_err(|refused| refused.why), expected["result"].as_str().unwrap()) {
                (Ok(telegram), "ok") => {
                    let values = expected["values"].as_array().unwrap();
                    let known = values.iter().filter(|value| !value["value"].is_null());
                    assert_eq!(telegram.objects.len(), known.count(), "{name}: {telegram:?}");
                    values.iter().for_each(|value| assert_is_said(&telegram, value));
                }
                (Err(Why::Exception { code, .. }), "exception") => {
                    assert_eq!(u16::from(code), whole(&expected["pymodbus"]["exception_code"]));
                }
                (Err(why), "error") => {
                    let right = match expected["why"].as_str().unwrap() {
                        "CRC" => matches!(why, Why::Crc { .. }),
                        "time-out" => why == Why::NoAnswer,
                        _ => matches!(why, Why::Content { at: 0, .. }),
                    };
                    assert!(right, "{name}: {why}");
                }
                (found, expected) => panic!("{name}: {found:?}, expected {expected}"),
            }
        }
    }
}

/// The telegram says that value, in the unit of the meter; where the expected one is no exact decimal, near enough.
fn assert_is_said(telegram: &Telegram, expected: &Json) {
    let Some(text) = expected["obis_like"].as_str() else { return };
    let found = telegram.object(code(&format!("1-0:{}", text.split('-').next().unwrap())));
    let Some(ObjectValue::Number(found, unit)) = found.map(|object| object.value.clone()) else {
        panic!("{expected} is missing")
    };
    assert_eq!(unit, MeterUnit::parse(expected["unit"].as_str().unwrap()), "{expected}");
    match &expected["value"] {
        Json::String(exact) => assert_eq!(found.to_string(), *exact, "{expected}"),
        Json::Number(near) => {
            let near = Decimal::from_scientific(&format!("{:e}", near.as_f64().unwrap())).unwrap();
            let off = (found - near).abs();
            assert!(off <= near.abs() * Decimal::new(1, 6), "{found}, expected {expected}");
        }
        other @ (Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => panic!("{other}"),
    }
}

/// What our map of that name gives of a meter that has the registers of a session.
fn asked(session: &Json, map: RegisterMap, unit: u8) -> Vec<(String, Option<String>)> {
    let mut meter = ModbusSimulator::untaught(unit);
    for step in session["steps"].as_array().unwrap() {
        let came: Vec<Vec<u8>> =
            step["reply"].as_array().unwrap().iter().map(|reply| octets(&reply["hex"])).collect();
        assert!(meter.learn(&octets(&step["host_hex"]), &came.concat()), "{step}");
    }
    let codes: Vec<String> = map.registers.iter().map(|register| register.code.to_string()).collect();
    let mut settings = settings(map);
    settings.unit = unit;
    let mut line = Line::new(settings, 7, |request: &[u8]| vec![(SOON, meter.hear(request))]);
    line.run_to(Span::from_seconds(9));
    let telegram = line.telegrams()[0];
    codes
        .into_iter()
        .map(|text| (text.clone(), number(telegram, &text)))
        .filter(|(_, value)| value.is_some())
        .collect()
}

#[test]
fn our_maps_give_the_values_of_recorded_meters() {
    for (name, session, _) in sessions() {
        let (map, unit, expected) = match name {
            "modbus-sdm120" => (
                "eastron-sdm120",
                1,
                vec![
                    ("1.8.0", "1234567"),
                    ("2.8.0", "77001"),
                    ("16.7.0", "1003.5"),
                    ("3.7.0", "-55.25"),
                    ("13.7.0", "0.998"),
                    ("32.7.0", "230.2"),
                    ("31.7.0", "4.37"),
                    ("14.7.0", "49.98"),
                    ("3.8.0", "10500"),
                    ("4.8.0", "20250"),
                    ("15.8.0", "1311568"),
                ],
            ),
            "modbus-abb-b21" => (
                "abb-b-series",
                1,
                vec![
                    ("1.8.0", "98765430"),
                    ("16.7.0", "-2844.13"),
                    ("36.7.0", "-2844.13"),
                    ("32.7.0", "230.5"),
                    ("31.7.0", "12.34"),
                    ("14.7.0", "49.99"),
                    ("13.7.0", "-0.997"),
                ],
            ),
            "modbus-sdm630-export" => (
                "eastron-sdm630",
                3,
                vec![
                    ("1.8.0", "20000500"),
                    ("2.8.0", "54321750"),
                    ("16.7.0", "-3573.6"),
                    ("36.7.0", "-2301.1"),
                    ("56.7.0", "115"),
                    ("76.7.0", "-1387.5"),
                ],
            ),
            _ => continue,
        };
        let found = asked(&session, built_in(map), unit);
        for (text, value) in &expected {
            let text = code(&format!("1-0:{text}")).to_string();
            assert!(found.contains(&(text.clone(), Some((*value).to_owned()))), "{name}: {text}: {found:?}");
        }
        if name != "modbus-sdm630-export" {
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        }
    }
}
