//! What is told, and how the VEN stands then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Look, Status, keep};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::outbox::View;
use crate::fact::{Draft, Fact};
use crate::handler::{ActiveInterval, EndReason, Timeline};
use crate::hook::queue::{Load, Losses, Standing};
use crate::mock_vtn::EventBuilder;
use crate::notice::{DecidedBy, Delivery, EventPlan, MeterReading, MeterTelegram, Notice, ReportEnd};
use crate::openadr::message::{DataQuality, EiEvent, OptType, ResponseCode, ResponseRequired, UpdateReport};
use crate::time::{Span, Timestamp};

/// Nothing waits so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn noon() -> Timestamp {
    "2030-01-02T12:00:00Z".parse().unwrap()
}

fn event(version: u32) -> Arc<EiEvent> {
    let event = EventBuilder::new("e1", noon(), Span::HOUR).level(2).modification(version);
    Arc::new(event.priority(1).market_context("http://market").build().event)
}

fn timeline() -> Timeline {
    Timeline { ramp_up: None, start: noon(), end: Some(noon() + Span::HOUR), recovery: None }
}

fn received(version: u32) -> Notice {
    let delivery = Delivery {
        ven_id: "ven".into(),
        vtn_id: "vtn".into(),
        request_id: "r".into(),
        response_required: ResponseRequired::Always,
        at: noon(),
    };
    let plan = EventPlan { event: event(version), timeline: timeline(), steps: Vec::new() };
    Notice::EventReceived { plan: Arc::new(plan), modified: version > 0, delivery: Arc::new(delivery) }
}

fn decided(version: u32, opt: OptType) -> Notice {
    Notice::OptDecided {
        event_id: "e1".into(),
        modification: version,
        opt,
        by: DecidedBy::Handler,
        reason: None,
        request_id: "r".into(),
    }
}

fn sent(version: u32) -> Notice {
    Notice::OptSent {
        event_id: "e1".into(),
        modification: version,
        opt: OptType::OptIn,
        code: ResponseCode::new(200).unwrap(),
        request_id: "r".into(),
        at: noon(),
    }
}

fn ended(why: EndReason) -> Notice {
    Notice::EventEnded { event: event(0), timeline: timeline(), why }
}

fn started() -> Notice {
    Notice::EventStarted { event: event(0), timeline: timeline(), late_by: Span::ZERO }
}

fn after(notices: impl IntoIterator<Item = Notice>) -> Status {
    let mut status = Status::default();
    notices.into_iter().for_each(|notice| status.note(&notice, noon()));
    status
}

/// An event in a few words.
fn brief(status: &Status) -> String {
    let Some(event) = status.events.get("e1") else { return "none".into() };
    let opt = event.opt.as_deref().unwrap_or("undecided");
    let mut words = vec![format!("v{} {opt}", event.modification)];
    words.extend(event.answered.then(|| "answered".into()));
    words.extend(event.active.then(|| "active".into()));
    words.extend(event.cancelled.then(|| "cancelled".into()));
    words.extend(
        event.values.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("?"))),
    );
    words.join(" ")
}

#[test]
fn an_event_is_shown_from_its_coming_to_its_end_with_our_opt() {
    let interval = ActiveInterval {
        signal_id: "s".into(),
        signal_name: event(0).signals[0].name.clone(),
        index: 0,
        value: Some(2.into()),
        start: noon(),
        end: None,
        resumed: false,
        overridden_by: None,
        timeline: timeline(),
    };
    let interval =
        Notice::EventInterval { event: event(0), interval: Arc::new(interval), late_by: Span::ZERO };
    let mut told = Vec::new();
    for (notice, expected) in [
        (received(0), "v0 undecided"),
        (decided(0, OptType::OptIn), "v0 optIn"),
        (sent(0), "v0 optIn answered"),
        (started(), "v0 optIn answered active"),
        (interval, "v0 optIn answered active SIMPLE=2"),
        (received(1), "v1 undecided active SIMPLE=2"),
        (sent(0), "v1 undecided active SIMPLE=2"),
        (decided(0, OptType::OptIn), "v1 undecided active SIMPLE=2"),
        (decided(1, OptType::OptOut), "v1 optOut active SIMPLE=2"),
        (ended(EndReason::OptedOut), "v1 optOut"),
        (ended(EndReason::Completed), "none"),
    ] {
        told.push(notice);
        assert_eq!(brief(&after(told.clone())), expected);
    }
}

#[test]
fn an_event_that_is_called_off_runs_out_where_it_runs() {
    let cancelled =
        Notice::EventCancelled { event: event(0), timeline: timeline(), implied: false, stops: noon() };
    assert_eq!(brief(&after([received(0), cancelled.clone()])), "none");
    assert_eq!(brief(&after([received(0), started(), cancelled])), "v0 undecided active cancelled");
    let postponed = after([received(0), started(), ended(EndReason::Postponed)]);
    assert_eq!(brief(&postponed), "v0 undecided");
    let over = Notice::RegistrationCancelled { by_vtn: true, retry_in: None };
    assert_eq!(brief(&after([received(0), over])), "none");
}

pub(in crate::daemon) fn registered() -> Notice {
    Notice::Registered {
        ven_id: "ven-1".into(),
        registration_id: "reg".into(),
        vtn_id: "vtn".into(),
        renewed: false,
        poll: Some(Span::from_seconds(10)),
    }
}

fn fact(topic: &str, data: &Value) -> Fact {
    let data = data.as_object().cloned().unwrap_or_default();
    Fact { id: "id".into(), seq: 1, topic: topic.into(), subject: None, time: noon(), data }
}

#[test]
fn every_reason_for_not_being_ready_comes_and_goes() {
    let mut status = after([registered()]);
    assert_eq!(status.reasons(), [""; 0]);
    let why = || "it broke".to_owned();
    let away = Notice::VtnAway { why: why(), retry_in: Span::SECOND, first: true };
    let refused = Notice::RegistrationRefused {
        code: ResponseCode::new(452).unwrap(),
        why: "who are you".into(),
        retry_in: Span::HOUR,
    };
    let expired = Notice::CertificateExpired { which: "ven.pem".into(), at: noon() };
    for (bad, reason, good) in [
        (away, "the VTN is away: it broke", Notice::VtnBack { after: Span::SECOND }),
        (refused, "not registered at the VTN: 452 who are you", registered()),
        (Notice::StoreFailed { why: why() }, "the store fails: it broke", Notice::StoreRecovered),
        (
            Notice::DiskLow { free: Some(0), why: why() },
            "the disk is low: it broke",
            Notice::DiskRecovered { free: None },
        ),
        (
            Notice::MeterOffline { meter: "main".into(), why: why() },
            "meter main is offline: it broke",
            Notice::MeterOnline { meter: "main".into() },
        ),
        (expired, "certificate ven.pem has expired", Notice::CertificatesReplaced { fingerprint: None }),
    ] {
        status.note(&bad, noon());
        assert_eq!(status.reasons(), [reason]);
        status.note(&good, noon());
        assert_eq!(status.reasons(), [""; 0], "after {reason}");
    }
    for (topic, reason) in
        [("hook.failing", "hook ops fails: it broke"), ("hook.disabled", "hook ops is disabled: it broke")]
    {
        status.take(&fact(topic, &json!({"hook": "ops", "reason": "it broke", "waiting": 3})));
        assert_eq!(status.reasons(), [reason]);
        assert_eq!(status.hooks["ops"].waiting, 3);
        status.take(&fact("hook.recovered", &json!({"hook": "ops", "waiting": 0})));
        assert_eq!((status.reasons(), status.hooks["ops"].waiting), (Vec::new(), 0));
    }
    status.take(&fact("plugin.failed", &json!({"plugin": "peak", "reason": "it broke"})));
    assert_eq!(status.reasons(), ["plugin peak has failed: it broke"]);
    status.take(&fact("plugin.started", &json!({"plugin": "peak"})));
    assert_eq!(status.reasons(), [""; 0]);
    assert_eq!(Status::default().reasons(), ["not registered at the VTN"]);
}

#[test]
fn of_a_plugin_is_known_since_when_how_often_and_what_went_wrong_last() {
    let mut status = Status::default();
    let started = json!({"plugin": "peak", "kind": "exec"});
    let exited = json!({"plugin": "peak", "reason": "exit status 1", "retry_seconds": 1});
    for (topic, data) in
        [("plugin.started", &started), ("plugin.exited", &exited), ("plugin.started", &started)]
    {
        status.take(&fact(topic, data));
    }
    let plugin = &status.plugins["peak"];
    assert_eq!((plugin.running, plugin.starts, plugin.since), (true, 2, Some(fact("a", &started).time)));
    assert_eq!((plugin.kind.as_deref(), plugin.why.as_deref()), (Some("exec"), None));
    assert_eq!(plugin.last_error.as_deref(), Some("exit status 1"), "it is well, but was not always");
}

#[test]
fn what_is_configured_no_more_or_otherwise_fails_no_more() {
    let mut status = Status::default();
    for hook in ["ops", "gone", "other"] {
        status.take(&fact("hook.failing", &json!({"hook": hook, "reason": "it broke", "waiting": 3})));
    }
    status.take(&fact("hook.exhausted", &json!({"hook": "ops", "status": "dead"})));
    status.take(&fact("plugin.failed", &json!({"plugin": "peak", "reason": "it broke"})));
    let changes = json!({
        "file": "ven.toml", "added": ["hook.new"], "changed": ["hook.ops", "handler"], "removed": ["hook.gone", "plugin.peak"],
        "needs_restart": ["vtn"],
    });
    status.take(&fact("config.reloaded", &changes));
    let failing: Vec<_> = status.hooks.iter().map(|(hook, status)| (hook.as_str(), status.failing)).collect();
    assert_eq!(failing, [("new", false), ("ops", false), ("other", true)]);
    assert_eq!((status.hooks["ops"].given_up, status.plugins.len()), (1, 0));
}

#[test]
fn what_hooks_give_up_is_counted_by_cause() {
    let mut status = Status::default();
    for (cause, dropped) in [("items", 17), ("age", 2), ("items", 3)] {
        status.take(&fact("hook.overflow", &json!({"hook": "ops", "cause": cause, "dropped": dropped})));
    }
    status.take(&fact("hook.exhausted", &json!({"hook": "ops", "status": "dead"})));
    let hook = &status.hooks["ops"];
    assert_eq!(hook.dropped, BTreeMap::from([("items".into(), 20), ("age".into(), 2)]));
    assert_eq!(hook.given_up, 1);
}

#[test]
fn topics_that_plugins_invent_take_no_more_memory() {
    let mut status = Status::default();
    for number in 0..1000 {
        status.take(&fact(&format!("x.peak.{number}"), &json!({})));
    }
    assert_eq!(status.bus.facts.len(), 257);
    assert_eq!(status.bus.facts.values().sum::<u64>(), 1000);
}

fn reading(watts: i64) -> Notice {
    let reading = MeterReading {
        at: noon(),
        serial: Some("E0123".into()),
        quality: DataQuality::Good,
        values: BTreeMap::from([("net_w".into(), watts.into())]),
        times: BTreeMap::new(),
        summary: format!("{watts} W"),
    };
    Notice::MeterReading { meter: "main".into(), reading: Arc::new(reading) }
}

#[test]
fn meters_show_what_they_said_last() {
    let telegram =
        MeterTelegram { bytes: Vec::new(), crc_ok: Some(false), source: "x".into(), received: noon() };
    let rejected = Notice::MeterRejected {
        meter: "main".into(),
        why: "checksum".into(),
        kind: "checksum",
        count: 5,
        telegram: Arc::new(telegram),
    };
    let status = after([reading(350), reading(-20), rejected]);
    let meter = &status.meters["main"];
    assert_eq!((meter.readings, meter.rejected), (2, 5));
    assert_eq!(meter.last.as_ref().unwrap().values["net_w"], "-20");
}

#[test]
fn reports_are_shown_while_the_vtn_wants_them() {
    let requested = Notice::ReportRequested {
        request_id: "rr".into(),
        specifier: "usage".into(),
        points: vec!["main.net_power".into()],
        granularity: Span::MINUTE,
        back: Span::HOUR,
    };
    let report = Arc::new(UpdateReport { request_id: "u".into(), reports: Vec::new(), ven_id: None });
    let delivered = Notice::ReportDelivered { request_id: "rr".into(), report };
    let status = after([requested.clone(), delivered.clone()]);
    let request = &status.reports.requests["rr"];
    assert_eq!((request.step_seconds, request.every_seconds), (60, 3600));
    assert_eq!((request.last_delivered, status.reports.delivered), (Some(noon()), 1));
    let over = Notice::ReportEnded { request_id: "rr".into(), why: ReportEnd::Complete };
    assert!(after([requested, delivered, over]).reports.requests.is_empty());
}

#[tokio::test]
async fn the_board_follows_notices_and_facts_and_waits_for_nobody() {
    let (bus, clock) = (Bus::new(Clock::start()), Clock::start());
    bus.go_on_after(40);
    let mut board = keep(Status::default(), bus.clone(), clock, std::future::pending());
    bus.tell(registered());
    // Somebody looks and does not let go; that stops nobody.
    let old = board.status();
    let polled = Draft {
        topic: "vtn.polled".into(),
        subject: None,
        time: noon(),
        data: Map::from_iter([("rtt_ms".to_owned(), json!(84))]),
    };
    bus.publish(polled);
    let ready = board.becomes(|status| status.registration.id.is_some() && status.vtn.last_poll.is_some());
    let status = tokio::time::timeout(PATIENCE, ready).await.unwrap();
    assert_eq!(
        (status.bus.newest, status.vtn.poll_seconds),
        (41, Some(10)),
        "the registration is not stored yet"
    );
    assert_eq!(status.bus.facts, BTreeMap::from([("vtn.polled".into(), 1)]));
    assert!(old.registration.id.is_none());
    let look = board.look();
    assert!(look.ready && look.resident_bytes.unwrap() > 1 << 20, "{look:?}");
    let told = serde_json::to_value(&look).unwrap();
    assert_eq!(told["vtn"]["last_poll"], "2030-01-02T12:00:00Z");
    assert_eq!(serde_json::from_value::<Look>(told).unwrap(), look, "ven status reads what it was told");
}

#[tokio::test]
async fn what_the_board_misses_it_says() {
    let bus = Bus::new(Clock::start());
    let mut board = keep(Status::default(), bus.clone(), Clock::start(), std::future::pending());
    // The keeper has no turn until this is over.
    for watts in 0..3000 {
        bus.tell(reading(watts));
    }
    let all = board.becomes(|status| status.bus.newest == 3000 && status.meters.contains_key("main"));
    let status = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(status.bus.facts["meter.reading"], 3000, "facts wait in their ring");
    assert!(status.bus.missed > 0, "notices do not");
}

#[tokio::test]
async fn a_look_at_the_hooks_shows_what_they_are_about_and_not_what_they_said_last() {
    let clock = Clock::start();
    let mut status = Status::default();
    status.take(&fact("hook.overflow", &json!({"hook": "ops", "dropped": 17, "waiting": 9})));
    let board = keep(status, Bus::new(clock), clock, std::future::pending());
    let losses = Losses { full: 3, expired: 2, dead: 1, ..Losses::default() };
    let standing = Standing { failures: 4, ..Standing::default() };
    let view = View {
        standing,
        control: Load { items: 5, bytes: 500 },
        meter: Load { items: 2, bytes: 200 },
        oldest: Some(noon()),
        losses,
        sent: 40,
        last_fault: Some("HTTP status 503".into()),
        ..View::default()
    };
    board.views.put("ops", view.clone());
    let look = board.look();
    let hook = &look.status.hooks["ops"];
    assert_eq!((hook.waiting, hook.oldest, hook.sent, hook.given_up), (7, Some(noon()), 40, 1));
    let dropped = ["expired", "full", "superseded", "too_large", "unsaid"].map(|reason| hook.dropped[reason]);
    assert_eq!((dropped, hook.dropped.len()), ([2, 3, 0, 0, 0], 5));
    assert!(look.reasons.contains(&"hook ops fails: HTTP status 503".to_owned()), "{:?}", look.reasons);
    board.views.put("ops", View { standing: Standing::default(), ..view });
    assert!(!board.look().reasons.iter().any(|reason| reason.contains("ops")), "it delivers again");
}
