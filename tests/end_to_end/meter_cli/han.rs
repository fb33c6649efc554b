//! What is expected of lists of HAN ports.

use openadr_ven::message::Decimal;
use openadr_ven::time::Span;
use serde_json::Value as Json;

use super::expected::{Said, time};
use super::names;

/// What a list says otherwise than it should.
pub(super) fn differences(expected: &Json, said: &[Said]) -> Vec<String> {
    let (first, second) = (&expected["decoded"], &expected["second_decoded"]);
    if let Some(rows) = first["rows"].as_array() {
        return listed(rows, said);
    }
    let coded = |list: &Json| -> Vec<String> {
        let lines = list.as_array().unwrap().iter().filter(|line| !is_coded(line, said));
        lines.map(|line| format!("{line} is not said")).collect()
    };
    let mut wrong: Vec<String> = match first.get("cosem") {
        Some(cosem) => [coded(&cosem["knownObjects"]), coded(&cosem["unknownObjects"])].concat(),
        None => named(first, said),
    };
    if let Some(id) = first["cosem"]["id"].as_str() {
        wrong.extend(
            (said[0].meter.as_deref() != Some(id)).then(|| format!("{:?} is not {id}", said[0].meter)),
        );
    }
    if second.is_object() {
        wrong.extend(named(second, said));
    }
    wrong
}

/// By names of one tool; its numbers are floats.
fn named(expected: &Json, said: &[Said]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, value) in expected.as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let by_code = |codes: &[&str]| {
            said.iter().any(|line| {
                codes.contains(&line.obis.as_str())
                    && (line.value == text || line.number().is_some() && line.number() == text.parse().ok())
            })
        };
        let right = match name.as_str() {
            // It is the tool's, not the meter's.
            "meter_manufacturer" => true,
            "meter_datetime" => {
                // Without a deviation it is the time of the place in winter.
                let ahead = if text.ends_with("+02:00") { Span::HOUR * 2 } else { Span::HOUR };
                let clock = time(&format!("{}Z", &text[..19])) - ahead;
                said.iter().all(|line| line.at() == Some(clock))
            }
            "meter_id" => said.iter().all(|line| line.meter.as_deref() == Some(&text)),
            "meter_type" => by_code(&["0-0:96.1.7", "1-0:96.1.1"]),
            _ => by_code(&[&names::quantity(name)]),
        };
        if !right {
            wrong.push(format!("{name} is not {value}"));
        }
    }
    wrong
}

/// By the codes of another tool, as `1-0:32.7.0(230.7*V)`; its numbers are floats too, its texts hexadecimal.
fn is_coded(line: &Json, said: &[Said]) -> bool {
    let (code, value) = line.as_str().unwrap().trim_end_matches(')').split_once('(').unwrap();
    let code = code.replacen("1-1:", "1-0:", 1);
    let Some(found) = said.iter().find(|said| said.obis == code) else { return value == "null" };
    match (found.number(), value.split_once('*')) {
        (Some(number), Some((float, unit))) => {
            found.unit.as_deref() == Some(unit) && float.parse::<Decimal>().unwrap().round_dp(6) == number
        }
        (Some(number), None) if Decimal::from_str_exact(value) == Ok(number) => true,
        _ => {
            let hex: String = found.value.bytes().map(|byte| format!("{byte:02x}")).collect();
            found.value.eq_ignore_ascii_case(value) || hex == value
        }
    }
}

/// By rows without codes, in their order; the numbers are without their decimals.
fn listed(rows: &[Json], said: &[Said]) -> Vec<String> {
    // The program says the meter's number too.
    let said: Vec<&Said> = said.iter().filter(|line| line.obis != "0-0:96.1.0").collect();
    let right = |(row, line): &(&Json, &&Said)| match row["value"].as_str() {
        Some(octets) => line.value.eq_ignore_ascii_case(octets),
        None if row["value"][0] == "int" => {
            line.value.replace('.', "").parse().ok() == row["value"][1].as_i64()
        }
        None => row["value"][1].as_str().unwrap() == format!("b'{}'", line.value),
    };
    let pairs = rows.iter().zip(&said);
    let mut wrong: Vec<String> =
        pairs.filter(|pair| !right(pair)).map(|(row, line)| format!("{line:?} is not {row}")).collect();
    wrong.extend((rows.len() != said.len()).then(|| format!("{} values", said.len())));
    wrong
}
