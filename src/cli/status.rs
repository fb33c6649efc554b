//! `ven status`: how a VEN that runs stands.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::config::Config;
use crate::daemon::control::{Request, Response, ask};
use crate::daemon::status::{EventStatus, HookStatus, Look, MeterStatus};
use crate::time::Span;

use super::plain::plain;

/// Nobody answers.
const NOBODY: u8 = 3;

/// 0: it does what it is there for; 1: it does not; 3: no VEN answers.
pub(super) fn status(path: &Path, json: bool) -> ExitCode {
    match look(path) {
        Ok(look) => match print(&look, json) {
            Ok(()) if look.ready => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(error) => super::exit_code(Err(error)),
        },
        Err(error) => {
            super::exit_code(Err(error));
            ExitCode::from(NOBODY)
        }
    }
}

fn look(path: &Path) -> anyhow::Result<Look> {
    let config = Config::load(path)?;
    let answer = ask(&config.ven.state, &Request::Status)?;
    if let Response::Status(look) = answer { Ok(*look) } else { anyhow::bail!(answer.amiss()) }
}

fn print(look: &Look, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, look)?;
        writeln!(out)?;
    } else {
        for line in text(look).lines() {
            writeln!(out, "{}", plain(line))?;
        }
    }
    Ok(())
}

/// For people.
fn text(look: &Look) -> String {
    let (status, mut text) = (&look.status, String::new());
    let ven = &status.ven;
    let id = ven.id.as_ref().map_or_else(String::new, |id| format!(" ({id})"));
    text +=
        &format!("ven      {}{id}, version {}, up {}", ven.name, ven.version, lasting(look.uptime_seconds));
    text += &look.resident_bytes.map_or_else(String::new, |bytes| format!(", {} MiB", bytes >> 20));
    text += "\n";
    text += &vtn(look);
    let mut events: Vec<_> = status.events.iter().collect();
    events.sort_by_key(|(_, event)| event.start);
    for (id, event) in events {
        text += &format!("event    {} {}\n", plain(id), plain(&of_event(event)));
    }
    for (name, meter) in &status.meters {
        text += &format!("meter    {name} {}\n", of_meter(meter));
    }
    let reports = &status.reports;
    text += &format!(
        "reports  {} requested, {} delivered since the start\n",
        reports.requests.len(),
        reports.delivered
    );
    for (name, why) in &reports.failing_sources {
        text += &format!("source   {name} brings no values: {why}\n");
    }
    for (name, hook) in &status.hooks {
        text += &format!("hook     {name} {}\n", of_hook(hook));
    }
    for (name, plugin) in &status.plugins {
        let state = if plugin.failed {
            "has failed"
        } else if plugin.running {
            "runs"
        } else {
            "has ended"
        };
        text += &format!("plugin   {name} {state}{}\n", because(plugin.why.as_deref()));
    }
    text +=
        &format!("facts    up to {}, {} lost\n", status.bus.newest, status.bus.dropped + status.bus.missed);
    if look.ready {
        return text + "ready\n";
    }
    for reason in &look.reasons {
        text += &format!("not ready: {reason}\n");
    }
    text
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn lasting(seconds: i64) -> String {
    let shown = if seconds >= 3600 { seconds - seconds % 60 } else { seconds };
    let duration = Span::from_seconds(shown).to_std();
    humantime::format_duration(duration).to_string()
}

fn vtn(look: &Look) -> String {
    let vtn = &look.status.vtn;
    let id = vtn.id.as_ref().map_or_else(String::new, |id| format!("{id} at "));
    let mut text = format!("vtn      {id}{}", vtn.url);
    match (&look.status.registration.id, vtn.connected) {
        (None, _) => text += ", not registered",
        (Some(_), Some(false)) => text += ", registered, away",
        (Some(_), Some(true) | None) => text += ", registered",
    }
    match (vtn.pushes, vtn.poll_seconds) {
        (true, _) => text += ", which pushes",
        (false, Some(seconds)) => text += &format!(", polled every {}", lasting(seconds)),
        (false, None) => {}
    }
    if let Some(at) = vtn.last_poll {
        text += &format!(", last at {at}");
    }
    text + "\n"
}

fn of_event(event: &EventStatus) -> String {
    let opt = event.opt.as_deref().unwrap_or("not decided");
    let answered = if event.answered { "" } else { ", the VTN does not know it since the start" };
    let end = event.end.map_or_else(|| "without end".to_owned(), |end| format!("to {end}"));
    let state = match (event.active, event.cancelled) {
        (true, false) => "runs",
        (true, true) => "runs out, it is called off",
        (false, _) => "is to come",
    };
    let values: Vec<_> = event
        .values
        .iter()
        .map(|(name, value)| format!(", {name} = {}", value.as_deref().unwrap_or("?")))
        .collect();
    let test = if event.test { ", a test" } else { "" };
    let answered = if event.opt.is_some() { answered } else { "" };
    format!(
        "(version {}) {state}, from {} {end}: {opt}{answered}{}{test}",
        event.modification,
        event.start,
        values.concat()
    )
}

fn of_meter(meter: &MeterStatus) -> String {
    let online = match meter.online {
        Some(true) => "is online".to_owned(),
        Some(false) => format!("is offline{}", because(meter.why.as_deref())),
        None => "was not heard yet".to_owned(),
    };
    let last =
        meter.last.as_ref().map_or_else(String::new, |last| format!("; {} at {}", last.summary, last.at));
    online + &last
}

fn of_hook(hook: &HookStatus) -> String {
    let state = match (hook.disabled, hook.failing) {
        (true, _) => "is disabled",
        (false, true) => "fails",
        (false, false) => "is well, as far as it has told",
    };
    let lost = hook.given_up + hook.dropped.values().sum::<u64>();
    let lost = if lost == 0 { String::new() } else { format!(", {lost} given up or dropped") };
    format!("{state}{}{lost}", because(hook.why.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::{HookStatus, Look, MeterStatus, lasting, text};
    use crate::daemon::status::{EventStatus, Status};
    use crate::handler::Timeline;
    use crate::mock_vtn::EventBuilder;
    use crate::time::{Span, Timestamp};

    fn look() -> Look {
        let noon: Timestamp = "2030-01-02T12:00:00Z".parse().unwrap();
        let mut status = Status::default();
        (status.ven.name, status.ven.version) = ("house".into(), "0.1.0".into());
        status.vtn.url = "https://vtn.example".into();
        let event = EventBuilder::new("peak", noon, Span::HOUR).level(2).build().event;
        let timeline = Timeline { ramp_up: None, start: noon, end: Some(noon + Span::HOUR), recovery: None };
        let mut shown = EventStatus::new(&event, &timeline);
        (shown.active, shown.answered, shown.opt) = (true, true, Some("optIn".into()));
        shown.values.insert("SIMPLE".into(), Some("2".into()));
        status.events.insert("peak".into(), shown);
        let meter =
            MeterStatus { online: Some(false), why: Some("it was unplugged".into()), ..Default::default() };
        status.meters.insert("main".into(), meter);
        let hook = HookStatus {
            failing: true,
            why: Some("HTTP status 503".into()),
            given_up: 2,
            ..Default::default()
        };
        status.hooks.insert("ops".into(), hook);
        let reasons = status.reasons();
        Look {
            at: noon,
            uptime_seconds: 90_061,
            resident_bytes: Some(12 << 20),
            ready: false,
            reasons,
            status,
        }
    }

    #[test]
    fn people_see_everything_that_matters_in_a_line_each() {
        let expected = "\
ven      house, version 0.1.0, up 1day 1h 1m, 12 MiB
vtn      https://vtn.example, not registered
event    peak (version 0) runs, from 2030-01-02T12:00:00Z to 2030-01-02T13:00:00Z: optIn, SIMPLE = 2
meter    main is offline: it was unplugged
reports  0 requested, 0 delivered since the start
hook     ops fails: HTTP status 503, 2 given up or dropped
facts    up to 0, 0 lost
not ready: not registered at the VTN
not ready: meter main is offline: it was unplugged
not ready: hook ops fails: HTTP status 503
";
        assert_eq!(text(&look()), expected);
        assert_eq!(lasting(59), "59s");
    }

    #[test]
    fn programs_read_what_was_written() {
        let written = serde_json::to_string(&look()).unwrap();
        assert_eq!(serde_json::from_str::<Look>(&written).unwrap(), look());
    }
}
