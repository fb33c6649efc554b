//! Every sample decodes to what other readers say of it, but for the powers that they read with the wrong sign.
//!
//! The samples lie beside the project and are read where they lie.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::super::PIN_MISSING;
use super::super::objects::server_id;
use super::telegrams;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::metering::telegram::{Object, ObjectValue, Telegram};
use crate::openadr::message::{DataQuality, Decimal};
use crate::test_support::samples;
use crate::time::Timestamp;

#[test]
fn every_sample_decodes_to_what_is_expected() {
    let mut seen = 0;
    for (name, bytes, expected) in all() {
        let telegrams = telegrams(&bytes);
        let files = expected["files"].as_array().unwrap();
        assert_eq!(telegrams.len() as u64, expected["files_good"].as_u64().unwrap(), "{name}");
        assert_eq!(telegrams.len(), files.len(), "{name}");
        for (telegram, file) in telegrams.iter().zip(files) {
            assert_eq!(differences(telegram, file, &expected["wanted"]), Vec::<String>::new(), "{name}");
        }
        for telegram in &telegrams {
            let limited = if name.contains("ebz-dd3") { PIN_MISSING } else { DataQuality::Good };
            assert_eq!(telegram.quality, limited, "{name}");
            let power = Reading::of(telegram, Timestamp::EPOCH).net_power();
            assert_eq!(power.is_some(), limited == DataQuality::Good, "{name}: {power:?}");
            if let Some(wanted) = expected["wanted"]["signed power W"].as_str() {
                assert_eq!(power.unwrap().to_string(), wanted, "{name}");
            }
        }
        seen += 1;
    }
    assert!(seen == 0 || seen >= 13, "only {seen} samples");
}

fn all() -> Vec<(String, Vec<u8>, Json)> {
    let Some(folder) = samples("meters/samples") else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    files.retain(|file| name(file).starts_with("sml-") && file.extension().is_some_and(|end| end == "bin"));
    let expected = |file: &PathBuf| {
        let beside = format!("{}.expected.json", file.display());
        serde_json::from_slice(&std::fs::read(beside).unwrap()).unwrap()
    };
    files.iter().map(|file| (name(file), std::fs::read(file).unwrap(), expected(file))).collect()
}

/// What the telegram says otherwise than it should.
fn differences(telegram: &Telegram, file: &Json, wanted: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    let server: Vec<u8> = hex(file["server_id"].as_str().unwrap());
    if telegram.meter != Some(server_id(&server)) {
        wrong.push(format!("{:?}", telegram.meter));
    }
    let has = |code: &str| file["values"].as_array().unwrap().iter().any(|value| value["obis"] == code);
    // The power with a sign that a meter does not send is added.
    let added = has("1-0:15.7.0*255") && !has("1-0:16.7.0*255");
    let net = ObisCode::electricity(16, 7, 0);
    let objects: Vec<&Object> =
        telegram.objects.iter().filter(|object| !(added && object.code == net)).collect();
    if telegram.objects.len() - objects.len() != usize::from(added) || telegram.clock.is_some() {
        wrong.push(format!("{telegram:?}"));
    }
    let values = file["values"].as_array().unwrap();
    if objects.len() != values.len() {
        wrong.push(format!("{} objects instead of {}", objects.len(), values.len()));
    }
    for (object, value) in objects.iter().zip(values) {
        if Some(object.code) != ObisCode::parse(value["obis"].as_str().unwrap())
            || !is_value(object, value, wanted)
        {
            wrong.push(format!("{object:?} is not {value}"));
        }
    }
    wrong
}

fn is_value(object: &Object, value: &Json, wanted: &Json) -> bool {
    match &object.value {
        ObjectValue::Text(text) => value["raw"] == text.as_str(),
        ObjectValue::Number(number, unit) => {
            let unit = unit.map(|unit| unit.to_string());
            let key = format!("{} {}", object.code, unit.as_deref().unwrap_or_default());
            let right = wanted[&key].as_str().or_else(|| value["value"].as_str());
            let right = right.map_or_else(|| value["raw"].to_string(), str::to_owned);
            let exact = Decimal::from_str_exact(&right).unwrap();
            number.to_string() == right && *number == exact && unit.as_deref() == value["unit"].as_str()
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
