//! Compares what the program says of a recording with what is expected of it.

use openadr_ven::message::Decimal;
use openadr_ven::time::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{dsmr, han, names};
use crate::support::peers::{HAS_ITS_OWN_CHECKSUM, Recording};

const GOOD: &str = "Quality Good - Non Specific";
pub(super) const BAD: &str = "Quality Bad - Non Specific";

/// One thing that the program says of a telegram.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Said {
    pub(super) meter: Option<String>,
    pub(super) channel: u8,
    pub(super) obis: String,
    pub(super) value: String,
    pub(super) unit: Option<String>,
    pub(super) time: Option<String>,
    pub(super) quality: String,
}

impl Said {
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.time.as_deref().map(time)
    }

    pub(super) fn number(&self) -> Option<Decimal> {
        Decimal::from_str_exact(&self.value).ok()
    }

    /// Whether it says that: a number with its unit, or a text or a number without one.
    pub(super) fn is(&self, value: &str, unit: Option<&str>) -> bool {
        let number = Decimal::from_str_exact(value).ok();
        let same = self.value == value || number.is_some() && number == self.number();
        same && self.unit == unit.map(names::unit)
    }
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What was said otherwise than it should have been, of a recording of so many good telegrams.
pub(super) fn differences(recording: &Recording, said: &[Said], good: u64) -> Vec<String> {
    let (name, expected) = (recording.name(), &recording.expected);
    let of_one = |length: u64| (good != length).then(|| format!("{good} telegrams, expected {length}"));
    let (kind, _) = name.split_once('-').unwrap();
    let (telegrams, mut wrong): (u64, Vec<String>) = match kind {
        "p1" => dsmr::differences(expected, said),
        "han" => (1, han::differences(expected, said)),
        "sml" => (expected["files_good"].as_u64().unwrap(), sml(expected, said)),
        "iec" => iec(expected, said),
        "modbus" => modbus(&expected["steps"], said),
        "s0" => (expected["pulses_counted"].as_u64().unwrap(), pulses(recording, said)),
        other => panic!("nobody knows what is expected of {other}"),
    };
    wrong.extend(of_one(telegrams));
    wrong.extend(qualities(&name, expected, said));
    wrong
}

/// What is not as good, or as bad, as it should be.
fn qualities(name: &str, expected: &Json, said: &[Said]) -> Vec<String> {
    // They have no checksum, or one that is ignored, or that has never fitted.
    let unproved = HAS_ITS_OWN_CHECKSUM.iter().chain(&["iec-e"]).any(|begin| name.starts_with(begin))
        || expected["crc"] == "not-checked"
        || expected["telegram"]["crc"] == "mismatch";
    let differs = |(place, said): &(usize, &Said)| {
        // The first of two telegrams of mode D was not heard from its beginning; the last one wants its PIN.
        let doubtful = unproved || name.starts_with("iec-d") && *place < 4 || name.contains("ebz-dd3");
        // Those with a time of their own are compared with it.
        let stamped = said.obis.contains(":24.2.");
        !stamped && (said.quality == GOOD) == doubtful
    };
    said.iter().enumerate().filter(differs).map(|(_, said)| format!("{said:?}: its quality")).collect()
}

/// The lines of each of so many telegrams that say the same things.
pub(super) fn each(said: &[Said], telegrams: usize) -> Vec<&[Said]> {
    assert_eq!(said.len() % telegrams.max(1), 0, "{} lines of {telegrams} telegrams", said.len());
    said.chunks((said.len() / telegrams.max(1)).max(1)).collect()
}

fn sml(expected: &Json, said: &[Said]) -> Vec<String> {
    let mut rest = said;
    let mut wrong = Vec::new();
    for file in expected["files"].as_array().unwrap() {
        let values = file["values"].as_array().unwrap();
        let has = |code: &str| values.iter().any(|value| value["obis"] == code);
        // The power with a sign that a meter does not send is added.
        let added = has("1-0:15.7.0*255") && !has("1-0:16.7.0*255");
        let (lines, behind) = rest.split_at((values.len() + usize::from(added)).min(rest.len()));
        rest = behind;
        let meter = names::server(file["server_id"].as_str().unwrap());
        let other = lines.iter().filter(|line| line.meter.as_deref() != Some(&meter) || line.time.is_some());
        wrong.extend(other.map(|line| format!("{line:?} is not of {meter}")));
        if let Some(power) = expected["wanted"]["signed power W"].as_str() {
            let said = lines.iter().any(|line| line.obis == "1-0:16.7.0" && line.is(power, Some("W")));
            wrong.extend((!said).then(|| format!("16.7.0 is not {power}")));
        }
        let said: Vec<&Said> = lines.iter().filter(|line| !(added && line.obis == "1-0:16.7.0")).collect();
        wrong.extend((said.len() != values.len()).then(|| format!("{} values", said.len())));
        let differs = |(line, value): &(&Said, &Json)| !is_sml(line, value, &expected["wanted"]);
        wrong.extend(
            said.into_iter()
                .zip(values)
                .filter(differs)
                .map(|(line, value)| format!("{line:?} is not {value}")),
        );
    }
    wrong.extend(rest.iter().map(|line| format!("{line:?} is said too")));
    wrong
}

fn is_sml(line: &Said, value: &Json, wanted: &Json) -> bool {
    let unit = value["unit"].as_str();
    let corrected = wanted[format!("{} {}", line.obis, unit.unwrap_or_default())].as_str();
    let text = corrected.or_else(|| value["value"].as_str()).or_else(|| value["raw"].as_str());
    let text = text.map_or_else(|| value["raw"].to_string(), str::to_owned);
    line.obis == value["obis"].as_str().unwrap().trim_end_matches("*255")
        && line.value == text
        && line.unit.as_deref() == unit
}

fn iec(expected: &Json, said: &[Said]) -> (u64, Vec<String>) {
    let one = [expected["sets"].clone()];
    let all = expected["telegrams"].as_array().map_or(&one[..], Vec::as_slice);
    let mut wrong = Vec::new();
    for (said, sets) in each(said, all.len()).into_iter().zip(all) {
        let sets = sets.as_array().unwrap();
        let heat = sets.iter().any(|set| set["address"] == "6.26");
        wrong.extend((said.len() != sets.len()).then(|| format!("{} values", said.len())));
        let differs = |(line, set): &(&Said, &Json)| !is_set(line, set, heat);
        wrong.extend(
            said.iter().zip(sets).filter(differs).map(|(line, set)| format!("{line:?} is not {set}")),
        );
    }
    (all.len() as u64, wrong)
}

fn is_set(line: &Said, set: &Json, heat: bool) -> bool {
    let part = |part: &Json| {
        let unit = part["unit"].as_str().map_or_else(String::new, |unit| format!("*{unit}"));
        format!("{}{unit}", part["value"].as_str().unwrap())
    };
    let more = set["more"].as_array().into_iter().flatten().map(|more| format!("&{}", part(more)));
    let text = part(set) + &more.collect::<String>();
    let (value, unit) = (set["value"].as_str().unwrap(), set["unit"].as_str());
    // Energy that has no unit is in kWh.
    let unit = unit.or_else(|| (set["address"] == "1-0:1.8.1*255").then_some("kWh"));
    line.obis == names::address(set["address"].as_str().unwrap(), heat)
        && (line.value == text && line.unit.is_none() || line.is(value, unit))
}

fn modbus(steps: &Json, said: &[Said]) -> (u64, Vec<String>) {
    let answered: Vec<&Json> =
        steps.as_array().unwrap().iter().filter(|step| step["result"] == "ok").collect();
    let values = answered.iter().flat_map(|step| step["values"].as_array().unwrap());
    let known: Vec<&Json> = values.filter(|value| !value["value"].is_null()).collect();
    let mut wrong: Vec<String> = known
        .iter()
        .zip(said)
        .filter(|(value, line)| !is_register(line, value))
        .map(|(value, line)| format!("{line:?} is not {value}"))
        .collect();
    wrong.extend((known.len() != said.len()).then(|| format!("{} values of {}", said.len(), known.len())));
    (answered.len() as u64, wrong)
}

/// Where the expected number is no exact decimal, near enough is right.
fn is_register(line: &Said, value: &Json) -> bool {
    let code = value["obis_like"].as_str().and_then(|code| code.split('-').next());
    let unit = value["unit"].as_str().filter(|unit| !unit.is_empty());
    let right = match value["value"].as_str() {
        Some(exact) => line.is(exact, unit),
        None => {
            let near: Decimal = value["value"].to_string().parse().unwrap();
            let off = (line.number().unwrap() - near).abs();
            off <= near.abs() * Decimal::new(1, 6) && line.unit == unit.map(names::unit)
        }
    };
    right && code.is_none_or(|code| line.obis == format!("1-0:{code}"))
}

/// Each pulse says the energy, and from the second on the power since the one before.
fn pulses(recording: &Recording, said: &[Said]) -> Vec<String> {
    let expected = &recording.expected;
    let whole = |name: &str| expected[name].as_u64().unwrap();
    let text = std::fs::read_to_string(&recording.file).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).count() as u64;
    let mut wrong = Vec::new();
    if lines != whole("pulses_counted") + whole("bounces_rejected") {
        wrong.push(format!("{lines} pulses and bounces"));
    }
    let mut count = 0;
    for line in said {
        let mut right = true;
        if line.obis == "1-0:1.8.0" {
            count += 1;
            right = line.is(&count.to_string(), Some("Wh"));
        }
        for power in expected["power_w"].as_array().unwrap() {
            let (from, to) = (power["from_pulse"].as_u64().unwrap(), power["to_pulse"].as_u64().unwrap());
            if line.obis == "1-0:1.7.0" && from < count && count <= to {
                right = line.is(&power["power"].to_string(), Some("W"));
            }
        }
        wrong.extend((!right).then(|| format!("{line:?} at pulse {count}")));
    }
    wrong.extend((count != whole("energy_wh")).then(|| format!("{count} Wh")));
    wrong
}
