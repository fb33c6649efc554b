//! Reads `[[opt_schedule]]`.

use crate::openadr::message::{Available, Duration, MarketContext, OptId, OptReason, ResourceId};
use crate::time::Timestamp;

use super::OptScheduleSection;
use super::read::{OPTS, or};
use super::reader::Section;

/// The schedules of the file; their resources must be ours, where it is known which are, and none may replace another unawares.
pub(super) fn opt_schedules(root: &Section<'_, '_>, ours: Option<&[ResourceId]>) -> Vec<OptScheduleSection> {
    let sections = root.sections("opt_schedule").into_iter();
    let schedules: Vec<_> = sections.filter_map(|section| opt_schedule(section, ours)).collect();
    let fault = |key: String, what: String| {
        let line = root.reader.line_of(&key);
        root.reader.fault(line, &key, what);
    };
    for (at, newer) in schedules.iter().enumerate() {
        if schedules[..at].iter().any(|older| older.name == newer.name) {
            fault(format!("opt_schedule[{at}].name"), format!("\"{}\" stands twice", newer.name));
        }
        if let Some(older) = schedules[..at].iter().find(|older| replaces(newer, older)) {
            let what = format!(
                "replaces \"{}\" at the VTN (rule 203); put the periods of both into one schedule",
                older.name
            );
            fault(format!("opt_schedule[{at}].name"), what);
        }
    }
    schedules
}

fn replaces(newer: &OptScheduleSection, older: &OptScheduleSection) -> bool {
    let all = newer.resources.is_empty();
    newer.opt == older.opt
        && (newer.market_context.is_none() || newer.market_context == older.market_context)
        && (all || newer.resources.iter().any(|resource| older.resources.contains(resource)))
}

fn opt_schedule(section: Section<'_, '_>, ours: Option<&[ResourceId]>) -> Option<OptScheduleSection> {
    let name = section.required("name", "give the schedule a name of your choice; it is its optID");
    let opt = section.choice("opt", OPTS);
    if !section.has("opt") {
        section.fault("opt", "is missing; expected opt = \"optIn\" or opt = \"optOut\"");
    }
    let reason = section.parse_text("reason", "economic, emergency, mustRun, ... or x-...", |text| {
        let reason = OptReason::from_token(text);
        let standard = OptReason::ALL.contains(&reason) || text.starts_with("x-");
        standard.then_some(reason)
    });
    let market_context = section.text("market_context").map(|found| MarketContext::from(found.value));
    let mut resources = Vec::new();
    for found in section.texts("resources") {
        let resource = ResourceId::from(found.value.as_str());
        if ours.is_none_or(|ours| ours.contains(&resource)) {
            resources.push(resource);
        } else {
            let what = format!("\"{resource}\" is not in [ven] resources");
            section.reader.fault(found.line, &found.key, what);
        }
    }
    let sections = section.sections("periods");
    let none = sections.is_empty();
    let periods: Vec<_> = sections.into_iter().filter_map(period).collect();
    if none {
        let advice =
            "has none; expected periods = [ { start = \"2030-01-31T18:00:00Z\", duration = \"4h\" } ]";
        section.fault("periods", advice);
    }
    section.end();
    Some(OptScheduleSection {
        name: OptId::from(name?.value),
        opt: opt?.value,
        reason: or(reason, OptReason::Schedule),
        market_context,
        resources,
        periods,
    })
}

/// Without a duration it never ends (rule 210).
fn period(section: Section<'_, '_>) -> Option<Available> {
    let kind = "a time like \"2030-01-31T18:00:00Z\"";
    let start = section.parse_text("start", kind, |text| text.parse::<Timestamp>().ok());
    if !section.has("start") {
        section.fault("start", format!("is missing; expected {kind}"));
    }
    let duration = section.span("duration");
    section.end();
    let duration = duration.map_or(Duration::ZERO, |found| Duration::from_span(found.value));
    Some(Available { start: start?.value, duration })
}
