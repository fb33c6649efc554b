//! Tells of reports.

use serde_json::{Value, json};

use super::event::unit;
use super::{about, plain, seconds};
use crate::fact::topic::report as reports;
use crate::fact::{Content, Member, Topic};
use crate::notice::ReportEnd;
use crate::openadr::message::{
    Duration, Interval, LoadControl, PayloadBase, RId, Report, ReportDescription, ReportPayload,
    ReportRequestId, ReportSpecifierId, ResourceStatus, UpdateReport,
};
use crate::time::Span;

/// Something has happened to a request.
pub(super) fn of_request<const N: usize>(topic: &Topic, id: &ReportRequestId, more: [Member; N]) -> Content {
    Content::new(topic, Some(id.to_string()), [("report_request_id", json!(id))].into_iter().chain(more))
}

pub(super) fn requested(
    id: &ReportRequestId,
    specifier: &ReportSpecifierId,
    points: &[RId],
    (granularity, back): (Span, Span),
) -> Content {
    let data = [
        ("report_specifier_id", json!(specifier)),
        ("r_ids", json!(points)),
        ("granularity_seconds", seconds(granularity)),
        ("report_back_seconds", seconds(back)),
    ];
    of_request(&reports::REQUESTED, id, data)
}

/// The VTN has the report for one request; others may have gone with it.
pub(super) fn delivered(id: &ReportRequestId, update: &UpdateReport) -> Content {
    let part = update.reports.iter().find(|report| report.report_request_id == *id);
    let request = [("request_id", json!(update.request_id))];
    about(&reports::SENT, id, request.into_iter().chain(of_report(id, part)))
}

pub(super) fn ended(id: &ReportRequestId, why: ReportEnd) -> Content {
    let (topic, cause) = match why {
        ReportEnd::Complete => (&reports::COMPLETED, "complete"),
        ReportEnd::Cancelled => (&reports::CANCELLED, "cancelled"),
        ReportEnd::RegisteredAnew => (&reports::CANCELLED, "registered_anew"),
        ReportEnd::Unknown => (&reports::CANCELLED, "unknown"),
        ReportEnd::Unregistered => (&reports::CANCELLED, "unregistered"),
    };
    of_request(topic, id, [("cause", json!(cause)), ("reason", json!(why.to_string()))])
}

/// What the VTN can report.
pub(super) fn offered(offers: &[Report]) -> Content {
    let offer = |report: &Report| {
        json!({
            "report_specifier_id": report.report_specifier_id,
            "report_name": report.report_name,
            "duration_seconds": length(report.duration),
            "points": report.descriptions.iter().map(point).collect::<Vec<_>>(),
        })
    };
    plain(&reports::OFFERED, [("reports", json!(offers.iter().map(offer).collect::<Vec<_>>()))])
}

fn point(description: &ReportDescription) -> Value {
    json!({
        "r_id": description.r_id,
        "report_type": description.report_type,
        "reading_type": description.reading_type,
        "unit": unit(description.unit.as_ref()),
        "market_context": description.market_context,
        "min_period_seconds": length(description.sampling_rate.map(|rate| rate.min_period)),
        "max_period_seconds": length(description.sampling_rate.map(|rate| rate.max_period)),
    })
}

/// What the VTN reports.
pub(super) fn received(update: &UpdateReport) -> Content {
    let report = |report: &Report| -> Value {
        let members = of_report(&report.report_request_id, Some(report));
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let all: Vec<Value> = update.reports.iter().map(report).collect();
    plain(&reports::RECEIVED, [("request_id", json!(update.request_id)), ("reports", json!(all))])
}

/// The report for a request, and its values.
fn of_report(id: &ReportRequestId, report: Option<&Report>) -> [Member; 6] {
    [
        ("report_request_id", json!(id)),
        ("report_specifier_id", json!(report.map(|report| &report.report_specifier_id))),
        ("report_name", json!(report.and_then(|report| report.report_name.as_ref()))),
        ("created_at", json!(report.map(|report| report.created_date_time))),
        ("start", json!(report.and_then(|report| report.start))),
        ("values", report.into_iter().flat_map(values_of).collect()),
    ]
}

fn values_of(report: &Report) -> impl Iterator<Item = Value> {
    report
        .intervals
        .iter()
        .flat_map(|interval| interval.report_payloads().map(move |payload| value(interval, payload)))
}

/// One value: a number, or the status of a resource.
fn value(interval: &Interval, payload: &ReportPayload) -> Value {
    let (number, status) = match &payload.value {
        PayloadBase::Float(number) => (json!(number), Value::Null),
        PayloadBase::ResourceStatus(status) => (Value::Null, of_status(status)),
    };
    json!({
        "r_id": payload.r_id,
        "start": interval.start,
        "duration_seconds": length(interval.duration),
        "value": number,
        "status": status,
        "quality": payload.data_quality,
        "confidence": payload.confidence,
        "accuracy": payload.accuracy,
    })
}

fn of_status(status: &ResourceStatus) -> Value {
    let control = |control: &LoadControl| json!({"min": control.min, "max": control.max, "current": control.current, "normal": control.normal});
    let state = status.load_control_state.as_ref().map(|state| {
        json!({
            "capacity": state.capacity.as_ref().map(control),
            "level_offset": state.level_offset.as_ref().map(control),
            "percent_offset": state.percent_offset.as_ref().map(control),
            "set_point": state.set_point.as_ref().map(control),
        })
    });
    json!({"online": status.online, "manual_override": status.manual_override, "load_control_state": state})
}

fn length(duration: Option<Duration>) -> Option<i64> {
    duration.map(|duration| duration.nominal().seconds())
}
