//! What is expected of telegrams of P1.

use openadr_ven::message::Decimal;
use openadr_ven::time::{Span, Timestamp};
use serde_json::Value as Json;

use super::expected::{BAD, Said, each, time};
use super::names;

const CLOCK: &str = "0-0:1.0.0";

/// How many telegrams there are to be, and what they say otherwise than they should.
pub(super) fn differences(expected: &Json, said: &[Said]) -> (u64, Vec<String>) {
    if let Some(all) = expected["telegrams"].as_array() {
        let good: Vec<&Json> = all.iter().filter(|telegram| telegram["crc"] == "ok").collect();
        let wrong = each(said, good.len()).into_iter().zip(&good).flat_map(|(said, one)| streamed(one, said));
        return (good.len() as u64, wrong.collect());
    }
    let one = [if expected["telegram"].is_object() { &expected["telegram"] } else { expected }.clone()];
    let all = expected["accepted"].as_array().map_or(&one[..], Vec::as_slice);
    let wrong = each(said, all.len()).into_iter().zip(all).flat_map(|(said, one)| values(one, said));
    (all.len() as u64, wrong.collect())
}

/// A telegram by the figures that are expected, in base units.
fn streamed(expected: &Json, said: &[Said]) -> Vec<String> {
    let clock = expected["timestamp_by_flag_utc"].as_str().map(time);
    let mut wrong: Vec<String> = said
        .iter()
        .filter(|line| line.meter.as_deref() != expected["meter"].as_str())
        .map(|line| format!("{line:?}: its meter"))
        .collect();
    for (name, value) in expected.as_object().unwrap() {
        let Some((obis, scale)) = names::figure(name) else { continue };
        let value = Decimal::from_str_exact(value.as_str().unwrap()).unwrap();
        let right = |line: &&Said| {
            line.obis == obis
                && line.at() == clock
                && line.number().map(|number| number * scale) == Some(value)
        };
        if !said.iter().any(|line| right(&line)) {
            wrong.push(format!("{name} is not {value} at {clock:?}"));
        }
    }
    let mbus = expected["mbus"].as_array().unwrap();
    let missing = mbus.iter().filter(|value| !is_said(value, said, clock));
    wrong.extend(missing.map(|value| format!("{value} is not said at {clock:?}")));
    wrong
}

/// A telegram by its values, each with its unit and its time.
fn values(expected: &Json, said: &[Said]) -> Vec<String> {
    let all = expected["values"].as_array().unwrap();
    let stated = expected["timestamp_by_flag_utc"].as_str();
    // The flag is right, where it is known.
    let by_zone = all.iter().find(|value| value["obis"] == CLOCK).and_then(|value| value["value"].as_str());
    let by_zone = by_zone.filter(|_| expected.get("timestamp_by_flag_utc").is_none());
    let clock = stated.or(by_zone).map(time);
    let mut peaks = 100;
    let differs = |value: &&Json| {
        if value.get("occurred").is_some() {
            peaks += 1;
            return !is_peak(value, &format!("1-0:1.6.0*{peaks}"), said);
        }
        !is_said(value, said, clock)
    };
    all.iter().filter(differs).map(|value| format!("{value} is not said at {clock:?}")).collect()
}

fn is_said(value: &Json, said: &[Said], clock: Option<Timestamp>) -> bool {
    let obis = value["obis"].as_str().unwrap().trim_end_matches("*255");
    said.iter().any(|line| line.obis == obis && is_right(line, value, clock))
}

fn is_right(line: &Said, value: &Json, clock: Option<Timestamp>) -> bool {
    if let Some(log) = value["log"].as_array() {
        return line.at() == clock
            && failures(&line.value) == (value["buffer_length"].as_u64(), expected_failures(log));
    }
    if line.obis == CLOCK {
        return line.at() == clock;
    }
    let (wanted, unit) = (&value["value"], value["unit"].as_str());
    let said = match wanted.as_str() {
        Some(text) => line.is(text, unit),
        None if wanted.is_null() => line.value.is_empty(),
        None => line.is(&wanted.to_string(), unit),
    };
    let Some(stamp) = value.get("datetime") else { return said && line.at() == clock };
    let stamp = stamp.as_str().map(time);
    // There is a meter whose gas is of two weeks later, and one that was taken away.
    let late = |stamp| clock.is_some_and(|clock| stamp > clock + Span::HOUR);
    let impossible = stamp.is_none_or(|stamp| stamp < time("1999-12-31T23:00:00Z") || late(stamp));
    said && if impossible {
        line.quality == BAD && line.at() == clock
    } else {
        line.quality != BAD && line.at() == stamp
    }
}

/// `(count)(code)(end)(duration)(end)(duration)...`: the count, ends and seconds.
fn failures(text: &str) -> (Option<u64>, Vec<(Timestamp, u64)>) {
    let groups: Vec<&str> = text.split(['(', ')']).filter(|group| !group.is_empty()).collect();
    let end = |text: &str| {
        let ahead = if text.ends_with('S') { "+02:00" } else { "+01:00" };
        let part = |from: usize| &text[from..from + 2];
        let [year, month, day, hour, minute, second] = [0, 2, 4, 6, 8, 10].map(part);
        time(&format!("20{year}-{month}-{day}T{hour}:{minute}:{second}{ahead}"))
    };
    let rows = groups.get(2..).unwrap_or_default().chunks_exact(2);
    let rows = rows.map(|row| (end(row[0]), row[1].trim_end_matches("*s").parse().unwrap()));
    (groups.first().and_then(|count| count.parse().ok()), rows.collect())
}

fn expected_failures(log: &[Json]) -> Vec<(Timestamp, u64)> {
    log.iter().map(|row| (time(row["end"].as_str().unwrap()), row["seconds"].as_u64().unwrap())).collect()
}

/// The peak of a month. The example of the Belgian standard flags months of winter as summer, and the expected times follow the zone.
fn is_peak(value: &Json, obis: &str, said: &[Said]) -> bool {
    let occurred = time(value["occurred"].as_str().unwrap());
    said.iter().filter(|line| line.obis == obis).any(|line| {
        let at = line.at().unwrap();
        line.is(value["value"].as_str().unwrap(), value["unit"].as_str())
            && (at == occurred || at + Span::HOUR == occurred)
    })
}
