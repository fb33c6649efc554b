//! Reads `type = "pvoutput"`.

use crate::hook::settings::{PvOutputTarget, TimeZone};
use crate::time::Span;

use super::super::read::or;
use super::super::reader::Section;
use super::Around;
use super::http::{check_url, secrets};

/// The last minutes of a day that are left out for the time being are no more than this.
const LONGEST_OFFSET: Span = Span::from_seconds(30 * 60);

/// What one account is told.
pub(super) struct PvOutput {
    pub(super) target: PvOutputTarget,
    /// Which facts are its, as an expression: one meter, and slots as long as those of the system.
    pub(super) filter: String,
}

pub(super) fn target(section: &Section<'_, '_>, around: &Around<'_>) -> Option<PvOutput> {
    let system_id = section.required("system_id", "it stands in the settings of the account, as a number");
    if let Some(found) = &system_id
        && (found.value.is_empty() || !found.value.bytes().all(|octet| octet.is_ascii_digit()))
    {
        section.reader.fault(found.line, &found.key, format!("expected a number, found \"{}\"", found.value));
    }
    if !section.has("api_key") {
        section.fault("api_key", "is missing; put it into a file, and say api_key = \"${file:/path}\"");
    }
    let api_key = secrets(section, "api_key").into_iter().next();
    let url = section.text("url");
    if let Some(found) = &url
        && let Err(what) = check_url(&found.value, false, true)
    {
        section.reader.fault(found.line, &found.key, what);
    }
    let minutes = [("5m", 5), ("10m", 10), ("15m", 15)];
    let minutes: i64 = or(section.choice("interval", &minutes), 5);
    let offset = section.span("offset");
    if let Some(found) = offset.as_ref().filter(|found| found.value > LONGEST_OFFSET) {
        section.reader.fault(found.line, &found.key, format!("expected at most 30m, found {}", found.value));
    }
    let processing_delay = section.span("processing_delay");
    if let Some(found) = processing_delay.as_ref().filter(|found| found.value > Span::MINUTE * 120) {
        section.reader.fault(found.line, &found.key, format!("expected at most 120m, found {}", found.value));
    }
    let max_age = Span::DAY * if processing_delay.is_some() { 90 } else { 14 };
    let meter = meter(section, around);
    let of_meter = meter.map(|meter| format!("data.meter == {meter:?} and ")).unwrap_or_default();
    let target = PvOutputTarget {
        url: or(url, "https://pvoutput.org".to_owned()),
        system_id: system_id?.value,
        api_key: api_key?,
        timezone: section.text("timezone").map_or(TimeZone::Local, |found| found.value.as_str().into()),
        offset: or(offset, Span::ZERO),
        processing_delay: processing_delay.map(|found| found.value),
        max_age,
        ca: section
            .text("ca")
            .filter(|found| found.value != "system")
            .map(|found| around.folder.join(found.value)),
    };
    Some(PvOutput { target, filter: format!("{of_meter}data.duration_seconds == {}", minutes * 60) })
}

/// Values of two meters under one system would be mixed up.
fn meter(section: &Section<'_, '_>, around: &Around<'_>) -> Option<String> {
    let names: Vec<&str> = around.meters.iter().map(|meter| meter.name.as_str()).collect();
    match section.text("meter") {
        Some(found) if names.contains(&found.value.as_str()) => Some(found.value),
        Some(found) => {
            let what = format!("there is no [[meter]] with name = \"{}\"", found.value);
            section.reader.fault(found.line, &found.key, what);
            None
        }
        None if names.len() > 1 => {
            let what = format!("is missing; say which meter it is, one of \"{}\"", names.join("\", \""));
            section.fault("meter", what);
            None
        }
        None => None,
    }
}
