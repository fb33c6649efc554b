//! Recorded sessions with meters: what another implementation reads in them, ours does.
//!
//! The samples lie beside the project and are read where they lie.

use serde_json::Value as Json;

use super::super::frame::{Listening, Request};
use super::super::number::{NumberType, WordOrder};
use super::{Line, ModbusSimulator, RegisterMap, SOON, built_in, code, number, settings};
use crate::metering::decoder::Why;
use crate::openadr::message::Decimal;
use crate::test_support::samples;
use crate::time::Span;

fn octets(hex: &Json) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
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

/// Each step of a session: the request, what came, and what is expected.
fn steps<'a>(
    session: &'a Json,
    expected: &'a Json,
) -> impl Iterator<Item = (Vec<u8>, Vec<Vec<u8>>, &'a Json)> {
    let steps = session["steps"].as_array().unwrap().iter();
    steps.zip(expected["steps"].as_array().unwrap()).map(|(step, expected)| {
        let came = step["reply"].as_array().unwrap().iter().map(|reply| octets(&reply["hex"]));
        (octets(&step["host_hex"]), came.collect(), expected)
    })
}

fn whole(json: &Json) -> u16 {
    u16::try_from(json.as_u64().unwrap()).unwrap()
}

#[test]
fn every_request_and_reply_is_understood_as_expected() {
    for (name, session, expected) in sessions() {
        for (sent, came, expected) in steps(&session, &expected) {
            let asked = &expected["request"];
            let request = Request {
                unit: u8::try_from(whole(&asked["unit"])).unwrap(),
                function: u8::try_from(whole(&asked["function"])).unwrap(),
                address: whole(&asked["address"]),
                count: whole(&asked["count"]),
            };
            assert_eq!(request.bytes(), sent, "{name}");
            let mut listening = Listening::new(request);
            came.iter().for_each(|piece| listening.push(piece));
            match (listening.outcome(), expected["result"].as_str().unwrap()) {
                (Ok(bytes), "ok") => {
                    let words = bytes.chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
                    let known = expected["decoded_by_pymodbus"]["registers"].as_array().unwrap();
                    assert_eq!(
                        words.collect::<Vec<_>>(),
                        known.iter().map(whole).collect::<Vec<_>>(),
                        "{name}"
                    );
                    values_are_as_expected(name, &session, expected, request.address, bytes);
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

/// The values of a reply, by the map of the session.
fn values_are_as_expected(name: &str, session: &Json, expected: &Json, address: u16, bytes: &[u8]) {
    for value in expected["values"].as_array().unwrap() {
        let entry =
            session["map"].as_array().unwrap().iter().find(|entry| entry["name"] == value["name"]).unwrap();
        let form: NumberType = serde_json::from_value(entry["type"].clone()).unwrap();
        let from = 2 * usize::from(whole(&entry["address"]) - address);
        let bits = WordOrder::HighFirst.bits(&bytes[from..from + 2 * usize::from(form.registers())]);
        let scale: Decimal = entry["scale"].as_str().unwrap().parse().unwrap();
        let found = form.number(bits).unwrap() * scale;
        match &value["value"] {
            Json::String(exact) => assert_eq!(found.to_string(), *exact, "{name}: {entry}"),
            Json::Number(near) => {
                let near = Decimal::from_scientific(&format!("{:e}", near.as_f64().unwrap())).unwrap();
                let off = (found - near).abs();
                assert!(
                    off <= near.abs() * Decimal::new(1, 6),
                    "{name}: {found} of {entry}, expected {near}"
                );
            }
            // A pattern that says so; those are tested by our own map.
            Json::Null => {}
            other @ (Json::Bool(_) | Json::Array(_) | Json::Object(_)) => panic!("{other}"),
        }
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
