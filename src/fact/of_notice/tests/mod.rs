//! Every notice becomes a fact that is like the sample of its topic.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fact::sample::misfits;
use crate::fact::{Draft, topic};
use crate::handler::{ActiveInterval, EndReason, Timeline};
use crate::mock_vtn::EventBuilder;
use crate::notice::{DecidedBy, Delivery, EventPlan, MeterReading, MeterTelegram, Notice, ReportEnd};
use crate::openadr::message::arbitrary::{event, payload_of};
use crate::openadr::message::{
    DataQuality, EiEvent, Float, OptType, Payload, PayloadKind, ResponseCode, ResponseRequired, Service,
    UpdateReport,
};
use crate::time::{Span, Timestamp};

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    t("2030-01-02T12:00:00Z")
}

/// Two hours, of which the handler hears in two intervals.
fn house_event(id: &str) -> Arc<EiEvent> {
    let builder = EventBuilder::new(id, noon(), Span::HOUR * 2);
    Arc::new(builder.steps([(Span::HOUR, 1), (Span::HOUR, 2)]).build().event)
}

fn timeline() -> Timeline {
    let ramp = (noon() - Span::MINUTE, noon());
    Timeline { ramp_up: Some(ramp), start: noon(), end: Some(noon() + Span::HOUR * 2), recovery: None }
}

fn plan(event: Arc<EiEvent>) -> Arc<EventPlan> {
    let steps =
        vec![vec![(noon(), Some(noon() + Span::HOUR)), (noon() + Span::HOUR, Some(noon() + Span::HOUR * 2))]];
    Arc::new(EventPlan { event, timeline: timeline(), steps })
}

fn received(plan: Arc<EventPlan>, id: &str, modified: bool) -> Notice {
    let delivery = Delivery {
        ven_id: id.into(),
        vtn_id: id.into(),
        request_id: id.into(),
        response_required: ResponseRequired::Always,
        at: noon(),
    };
    Notice::EventReceived { plan, modified, delivery: Arc::new(delivery) }
}

fn interval(event: &EiEvent, id: &str) -> ActiveInterval {
    let signal = &event.signals[0];
    ActiveInterval {
        signal_id: signal.signal_id.clone(),
        signal_name: signal.name.clone(),
        index: 1,
        value: Some(Float::from(2)),
        start: noon() + Span::HOUR,
        end: Some(noon() + Span::HOUR * 2),
        resumed: true,
        overridden_by: Some(id.into()),
        timeline: timeline(),
    }
}

fn reading() -> Arc<MeterReading> {
    let values = [("import_kwh", "12345.678"), ("net_w", "-417")];
    Arc::new(MeterReading {
        at: noon(),
        serial: Some("E1".into()),
        quality: DataQuality::Good,
        values: values.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).into(),
        times: [("gas_at".to_owned(), noon())].into(),
        summary: String::new(),
    })
}

fn telegram(bytes: &[u8]) -> Arc<MeterTelegram> {
    let (bytes, source) = (bytes.to_vec(), "/dev/ttyUSB0".to_owned());
    Arc::new(MeterTelegram { bytes, crc_ok: Some(true), source, received: noon() })
}

/// One of every notice, and more where there are several facts of one; every id and every text in it is `id`.
fn one_of_every(id: &str, report: &Arc<UpdateReport>) -> Vec<Notice> {
    let mut all = of_events(id);
    all.extend(of_opts(id));
    all.extend(of_reports(id, report));
    all.extend(of_the_house(id));
    all
}

fn of_events(id: &str) -> Vec<Notice> {
    let (event, late_by) = (house_event(id), Span::SECOND * 3);
    let ends = [
        EndReason::Completed,
        EndReason::Cancelled,
        EndReason::ImpliedCancelled,
        EndReason::OptedOut,
        EndReason::Postponed,
        EndReason::Unregistered,
    ];
    let mut all = vec![
        received(plan(event.clone()), id, false),
        received(plan(event.clone()), id, true),
        Notice::EventRejected {
            event_id: id.into(),
            modification: 1,
            code: ResponseCode::OUT_OF_SEQUENCE,
            why: id.into(),
        },
        Notice::EventNear { event: event.clone(), timeline: timeline() },
        Notice::EventStarted { event: event.clone(), timeline: timeline(), late_by },
        Notice::EventInterval { event: event.clone(), interval: Arc::new(interval(&event, id)), late_by },
        Notice::EventCancelled { event: event.clone(), timeline: timeline(), implied: true, stops: noon() },
    ];
    all.extend(ends.map(|why| Notice::EventEnded { event: event.clone(), timeline: timeline(), why }));
    all
}

fn of_opts(id: &str) -> Vec<Notice> {
    let (event_id, modification, opt, at) = (|| id.into(), 2, OptType::OptIn, noon());
    vec![
        Notice::OptDecided {
            event_id: event_id(),
            modification,
            opt,
            by: DecidedBy::Default,
            reason: Some(id.into()),
            request_id: id.into(),
        },
        Notice::OptChanged {
            event_id: event_id(),
            modification,
            from: opt,
            to: OptType::OptOut,
            by: DecidedBy::Person,
            reason: None,
        },
        Notice::OptSent {
            event_id: event_id(),
            modification,
            opt,
            code: ResponseCode::OK,
            request_id: id.into(),
            at,
        },
        Notice::ResourcesOpted { event_id: event_id(), resources: vec![id.into()], opt },
        Notice::EventOptSent { event_id: event_id(), resources: vec![id.into()], opt, at },
        Notice::ScheduleSent { opt_id: id.into(), opt },
        Notice::ScheduleCancelled { opt_id: id.into() },
    ]
}

fn of_reports(id: &str, report: &Arc<UpdateReport>) -> Vec<Notice> {
    let request_id = || id.into();
    let delivered = report.reports.first().map_or_else(request_id, |part| part.report_request_id.clone());
    let ends = [
        ReportEnd::Complete,
        ReportEnd::Cancelled,
        ReportEnd::RegisteredAnew,
        ReportEnd::Unknown,
        ReportEnd::Unregistered,
    ];
    let mut all = vec![
        Notice::ReportsRegistered { points: 4 },
        Notice::ReportRequested {
            request_id: request_id(),
            specifier: id.into(),
            points: vec![id.into()],
            granularity: Span::MINUTE,
            back: Span::HOUR,
        },
        Notice::ReportRequestRefused { code: ResponseCode::INVALID_ID, why: id.into() },
        Notice::ReportOwed { request_id: request_id(), intervals: 4 },
        Notice::ReportDelivered { request_id: delivered, report: report.clone() },
        Notice::ReportSkipped { request_id: request_id(), from: noon(), to: noon() + Span::HOUR },
        Notice::VtnReportsRegistered { reports: Arc::new(report.reports.clone()) },
        Notice::VtnReported { report: report.clone() },
        Notice::ReportsDropped { count: 3 },
        Notice::SourceFails { source: id.into(), why: id.into() },
        Notice::SourceRecovered { source: id.into() },
    ];
    all.extend(ends.map(|why| Notice::ReportEnded { request_id: request_id(), why }));
    all
}

fn of_the_house(id: &str) -> Vec<Notice> {
    let (why, retry_in) = (|| id.to_owned(), Span::MINUTE);
    let registered = |renewed, poll| Notice::Registered {
        ven_id: id.into(),
        registration_id: id.into(),
        vtn_id: id.into(),
        renewed,
        poll,
    };
    let refused = |message| Notice::MessageRefused { message, about: vec![why()], why: why() };
    vec![
        registered(false, Some(Span::SECOND * 10)),
        registered(true, None),
        Notice::RegistrationRefused { code: ResponseCode::NOT_REGISTERED, why: why(), retry_in },
        Notice::ReregistrationRequested,
        Notice::RegistrationCancelled { by_vtn: true, retry_in: Some(retry_in) },
        Notice::VtnAway { why: why(), retry_in, first: true },
        Notice::VtnAway { why: why(), retry_in, first: false },
        Notice::VtnBack { after: retry_in },
        refused(PayloadKind::CreatedEvent),
        refused(PayloadKind::UpdateReport),
        refused(PayloadKind::RequestEvent),
        Notice::MessageRejected { service: Some(Service::OadrPoll), why: why() },
        Notice::Started { lost: false, off_since: Some(noon()) },
        Notice::Stopping { why: why() },
        Notice::ClockJumped { from: noon(), to: noon() + Span::HOUR },
        Notice::DiskLow { free: Some(1 << 20), why: why() },
        Notice::DiskRecovered { free: None },
        Notice::StoreFailed { why: why() },
        Notice::StoreRecovered,
        Notice::CertificateExpires { which: why(), at: noon() },
        Notice::CertificateExpired { which: why(), at: noon() },
        Notice::CertificatesReplaced { fingerprint: Some(why()) },
        Notice::CertificatesRefused { why: why() },
        Notice::JournalFails { why: why() },
        Notice::JournalRecovered { lost: 7 },
        Notice::MeterOnline { meter: why() },
        Notice::MeterOffline { meter: why(), why: why() },
        Notice::MeterReading { meter: why(), reading: reading() },
        Notice::MeterTelegram { meter: why(), telegram: telegram(id.as_bytes()) },
        Notice::MeterRejected {
            meter: why(),
            why: why(),
            kind: "checksum",
            count: 2,
            telegram: telegram(b"\xff"),
        },
    ]
}

fn no_report() -> Arc<UpdateReport> {
    Arc::new(UpdateReport { request_id: "r1".into(), reports: Vec::new(), ven_id: None })
}

/// The fact that a notice tells of.
fn draft(notice: &Notice) -> Draft {
    Draft::of(notice, noon())
}

/// The topic and the data of a notice.
fn told(notice: &Notice) -> (String, Map<String, Value>) {
    let Draft { topic, data, .. } = draft(notice);
    (topic, data)
}

/// The list above is whole: each variant in the source of the notices is in it.
#[test]
fn no_notice_is_missing_from_these_tests() {
    let source = include_str!("../../../notice.rs");
    let body = source.split("pub enum Notice {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(char::is_uppercase));
    let variants: BTreeSet<&str> = variants.map(|line| line.trim_end_matches([' ', '{', ','])).collect();
    let every = one_of_every("x", &no_report());
    let tested: BTreeSet<String> = every
        .iter()
        .map(|notice| format!("{notice:?}").split([' ', '{']).next().unwrap().to_owned())
        .collect();
    assert!(variants.len() > 40, "{variants:?}");
    assert_eq!(tested, variants.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn every_notice_is_told_as_the_sample_of_its_topic_says() {
    for notice in one_of_every("e1", &no_report()) {
        let draft = draft(&notice);
        assert_eq!(misfits(&draft), Vec::<String>::new(), "{notice:?}");
        assert_eq!(draft.data["operation"], topic::find(&draft.topic).unwrap().operation());
    }
}

#[test]
fn an_event_is_told_whole_to_those_who_know_nothing_yet() {
    let draft = draft(&received(plan(house_event("e1")), "r7", false));
    assert_eq!((draft.topic.as_str(), draft.subject.as_deref()), ("event.received", Some("e1")));
    let data = draft.data;
    assert_eq!(data["operation"], "created");
    assert_eq!(
        (&data["start"], &data["end"]),
        (&json!("2030-01-02T12:00:00Z"), &json!("2030-01-02T14:00:00Z"))
    );
    assert_eq!(data["duration_seconds"], 7200);
    assert_eq!(data["level"], 2, "the highest of its levels");
    assert_eq!((&data["request_id"], &data["received_at"]), (&json!("r7"), &json!("2030-01-02T12:00:00Z")));
    let signal = &data["signals"][0];
    assert_eq!((&signal["name"], &signal["type"]), (&json!("SIMPLE"), &json!("level")));
    let expected = json!({
        "start": "2030-01-02T13:00:00Z", "end": "2030-01-02T14:00:00Z", "duration_seconds": 3600, "value": "2",
    });
    assert_eq!(signal["intervals"][1], expected);
    assert_eq!(data["ramp_up"], json!({"start": "2030-01-02T11:59:00Z", "end": "2030-01-02T12:00:00Z"}));
    assert_eq!(data["recovery"], Value::Null);
}

#[test]
fn an_interval_carries_its_value_and_its_place() {
    let event = house_event("e1");
    let active = Arc::new(interval(&event, "e0"));
    let notice = Notice::EventInterval { event, interval: active, late_by: Span::SECOND * 3 };
    let (topic, data) = told(&notice);
    assert_eq!(topic, "event.interval");
    for (name, expected) in [
        ("level", json!(2)),
        ("value", json!("2")),
        ("price", json!(null)),
        ("index", json!(1)),
        ("total", json!(2)),
        ("start", json!("2030-01-02T13:00:00Z")),
        ("end", json!("2030-01-02T14:00:00Z")),
        ("event_start", json!("2030-01-02T12:00:00Z")),
        ("late_by_seconds", json!(3)),
        ("resumed", json!(true)),
        ("overridden_by", json!("e0")),
    ] {
        assert_eq!(data[name], expected, "{name}");
    }
}

#[test]
fn one_notice_has_the_topic_that_its_content_asks_for() {
    let topics =
        |notices: Vec<Notice>| -> Vec<String> { notices.iter().map(|notice| draft(notice).topic).collect() };
    let ended = |why| Notice::EventEnded { event: house_event("e1"), timeline: timeline(), why };
    assert_eq!(
        topics(vec![ended(EndReason::Completed), ended(EndReason::OptedOut)]),
        ["event.completed", "event.stopped"]
    );
    let refused = |message| Notice::MessageRefused { message, about: Vec::new(), why: String::new() };
    let kinds = [
        PayloadKind::CreatedEvent,
        PayloadKind::CreateOpt,
        PayloadKind::UpdateReport,
        PayloadKind::RegisterReport,
        PayloadKind::QueryRegistration,
    ];
    let expected = ["opt.failed", "opt.failed", "report.failed", "report.failed", "vtn.refused"];
    assert_eq!(topics(kinds.map(refused).into()), expected);
    let away = |first| Notice::VtnAway { why: String::new(), retry_in: Span::MINUTE, first };
    assert_eq!(topics(vec![away(true), away(false)]), ["vtn.disconnected", "vtn.unreachable"]);
}

#[test]
fn a_telegram_is_told_byte_by_byte() {
    let (_, data) =
        told(&Notice::MeterTelegram { meter: "main".into(), telegram: telegram(b"/X\r\n!7F3A\r\n") });
    assert_eq!((&data["bytes"], &data["text"]), (&json!("L1gNCiE3RjNBDQo="), &json!("/X\r\n!7F3A\r\n")));
    let (_, data) = told(&Notice::MeterTelegram { meter: "main".into(), telegram: telegram(b"\x1b\xff") });
    assert_eq!((&data["bytes"], &data["text"]), (&json!("G/8="), &json!(null)));
}

#[test]
fn a_reading_keeps_every_digit() {
    let (topic, data) = told(&Notice::MeterReading { meter: "main".into(), reading: reading() });
    assert_eq!(topic, "meter.reading");
    assert_eq!((&data["import_kwh"], &data["net_w"]), (&json!("12345.678"), &json!("-417")));
    assert_eq!((&data["meter_id"], &data["gas_at"]), (&json!("E1"), &json!("2030-01-02T12:00:00Z")));
}

fn is_json(draft: &Draft) -> bool {
    let text = serde_json::to_string(&draft.data).unwrap();
    serde_json::from_str::<Map<String, Value>>(&text).unwrap() == draft.data
}

proptest! {
    #[test]
    fn whatever_texts_a_notice_contains_it_is_told_as_its_sample_says(id in "\\PC*|[\\x00-\\x1f\"\\\\{}%é😀]{0,9}") {
        for notice in one_of_every(&id, &no_report()) {
            let draft = draft(&notice);
            prop_assert_eq!(misfits(&draft), Vec::<String>::new());
            prop_assert!(is_json(&draft), "{:?}", draft);
        }
    }

    #[test]
    fn any_event_is_told_as_its_sample_says(event in event()) {
        let event = Arc::new(event.event);
        for plan in [plan(event.clone()), Arc::new(EventPlan { steps: Vec::new(), ..(*plan(event.clone())).clone() })] {
            let draft = draft(&received(plan, "r1", true));
            prop_assert_eq!(misfits(&draft), Vec::<String>::new());
            prop_assert!(is_json(&draft), "{:?}", draft);
        }
        let active = Arc::new(interval(&event, "e0"));
        let draft = draft(&Notice::EventInterval { event, interval: active, late_by: Span::ZERO });
        prop_assert_eq!(misfits(&draft), Vec::<String>::new());
    }

    #[test]
    fn any_report_is_told_as_its_sample_says(payload in payload_of(PayloadKind::UpdateReport)) {
        let Payload::UpdateReport(report) = payload else { unreachable!("another message was asked for") };
        for notice in of_reports("r1", &Arc::new(report)) {
            let draft = draft(&notice);
            prop_assert_eq!(misfits(&draft), Vec::<String>::new());
            prop_assert!(is_json(&draft), "{:?}", draft);
        }
    }
}
