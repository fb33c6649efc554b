//! Turns rows into records and back.

use std::sync::Arc;

use rusqlite::Row;

use crate::engine::{
    DecisionRecord, EventOptRecord, EventRecord, OptSchedule, OwedReport, RegistrationRecord, RequestRecord,
    ScheduleRecord, Standing,
};
use crate::handler::EndReason;
use crate::notice::DecidedBy;
use crate::openadr::message::{
    Available, DistributeEvent, OadrEvent, OptReason, OptType, Payload, RId, ResourceId, ResponseCode,
    ResponseRequired, VtnId,
};
use crate::openadr::signature::Seen;
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::time::{Span, Timestamp};

use super::StoreError;

const END_REASONS: &[(EndReason, &str)] = &[
    (EndReason::Completed, "completed"),
    (EndReason::Cancelled, "cancelled"),
    (EndReason::ImpliedCancelled, "implied cancelled"),
    (EndReason::OptedOut, "opted out"),
    (EndReason::Postponed, "postponed"),
    (EndReason::Unregistered, "unregistered"),
];

const DECIDERS: &[(DecidedBy, &str)] = &[
    (DecidedBy::Handler, "handler"),
    (DecidedBy::Default, "default"),
    (DecidedBy::Person, "person"),
    (DecidedBy::Check, "check"),
    (DecidedBy::Schedule, "schedule"),
    (DecidedBy::FullStore, "full store"),
];

const STANDINGS: &[(Standing, &str)] =
    &[(Standing::Owed, "owed"), (Standing::Held, "held"), (Standing::Unspoken, "unspoken")];

fn word<T: PartialEq + Copy>(list: &[(T, &'static str)], value: T) -> &'static str {
    list.iter().find(|(other, _)| *other == value).map_or("", |(_, text)| text)
}

fn meaning<T: Copy>(list: &[(T, &'static str)], text: &str, what: &str) -> Result<T, StoreError> {
    let found = list.iter().find(|(_, other)| *other == text).map(|(value, _)| *value);
    found.ok_or_else(|| unreadable(what, text))
}

fn unreadable(what: &str, why: &str) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), why: why.to_owned() }
}

pub(super) fn end_reason(why: EndReason) -> &'static str {
    word(END_REASONS, why)
}

pub(super) fn decided_by(by: DecidedBy) -> &'static str {
    word(DECIDERS, by)
}

pub(super) fn standing(standing: Standing) -> &'static str {
    word(STANDINGS, standing)
}

/// A JSON list.
pub(super) fn resources_json(resources: &[ResourceId]) -> String {
    let resources: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
    serde_json::to_string(&resources).unwrap_or_default()
}

/// A JSON list of pairs.
pub(super) fn periods_json(periods: &[Available]) -> String {
    let pair = |period: &Available| [period.start.to_string(), period.duration.to_string()];
    serde_json::to_string(&periods.iter().map(pair).collect::<Vec<_>>()).unwrap_or_default()
}

pub(super) fn opt_text(decision: Option<&DecisionRecord>) -> Option<&'static str> {
    decision.map(|decision| decision.opt.as_str())
}

/// An event alone in a message of its service.
pub(super) fn event_xml(record: &EventRecord) -> String {
    let event = OadrEvent { event: (*record.event).clone(), response_required: record.response_required };
    let payload = DistributeEvent {
        response: None,
        request_id: record.request_id.clone(),
        vtn_id: VtnId::from(""),
        events: vec![event],
    };
    encode(&payload.into()).unsigned()
}

pub(super) fn update_xml(owed: &OwedReport) -> String {
    encode(&owed.update.clone().into()).unsigned()
}

fn text(row: &Row<'_>, column: &str) -> Result<String, StoreError> {
    Ok(row.get(column)?)
}

fn text_or_null(row: &Row<'_>, column: &str) -> Result<Option<String>, StoreError> {
    Ok(row.get(column)?)
}

fn span(row: &Row<'_>, column: &str) -> Result<Span, StoreError> {
    Ok(Span::from_micros(row.get(column)?))
}

fn time(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

fn time_or_null(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

fn payload(row: &Row<'_>, what: &str) -> Result<Payload, StoreError> {
    decode_document(text(row, "xml")?.as_bytes(), &Limits::VTN)
        .map_err(|error| unreadable(what, &error.to_string()))
}

pub(super) fn registration(row: &Row<'_>) -> Result<RegistrationRecord, StoreError> {
    Ok(RegistrationRecord {
        registration_id: text(row, "registration_id")?.into(),
        ven_id: text(row, "ven_id")?.into(),
        vtn_id: text(row, "vtn_id")?.into(),
        poll_freq: row.get::<_, Option<i64>>("poll_freq_us")?.map(Span::from_micros),
        reports_registered: text_or_null(row, "reports_registered")?,
    })
}

pub(super) fn event(row: &Row<'_>) -> Result<EventRecord, StoreError> {
    let Payload::DistributeEvent(message) = payload(row, "event")? else {
        return Err(unreadable("event", "it is another message"));
    };
    let received = message.events.into_iter().next();
    let event = received.ok_or_else(|| unreadable("event", "there is none in its row"))?.event;
    let end_reason = |text: String| meaning(END_REASONS, &text, "reason of an end");
    let stop_why = text_or_null(row, "stop_why")?.map(end_reason).transpose()?;
    let required = text(row, "response_required")?;
    Ok(EventRecord {
        event: Arc::new(event),
        response_required: ResponseRequired::from_token(&required)
            .ok_or_else(|| unreadable("oadrResponseRequired", &required))?,
        request_id: message.request_id,
        offset: span(row, "offset_us")?,
        decision: decision(row)?,
        started: row.get("started")?,
        stop: time_or_null(row, "stop_us")?.zip(stop_why),
        ended: row.get("ended")?,
        end_owed: text_or_null(row, "end_owed")?.map(end_reason).transpose()?,
    })
}

fn decision(row: &Row<'_>) -> Result<Option<DecisionRecord>, StoreError> {
    let Some(opt) = text_or_null(row, "opt")? else { return Ok(None) };
    let opt = opt_type(&opt)?;
    let code = row.get::<_, Option<u16>>("refusal_code")?.and_then(ResponseCode::new);
    Ok(Some(DecisionRecord {
        opt,
        modification: row.get("opt_modification")?,
        by: meaning(DECIDERS, &text(row, "opt_by")?, "decider")?,
        refusal: code.zip(text_or_null(row, "refusal_why")?),
    }))
}

fn opt_type(opt: &str) -> Result<OptType, StoreError> {
    OptType::from_token(opt).ok_or_else(|| unreadable("opt", opt))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(&text(row, column)?).map_err(|error| unreadable(what, &error.to_string()))
}

fn resources(row: &Row<'_>) -> Result<Vec<ResourceId>, StoreError> {
    let resources: Vec<String> = json(row, "resources", "resources of an opt")?;
    Ok(resources.into_iter().map(ResourceId::from).collect())
}

pub(super) fn event_opt(row: &Row<'_>) -> Result<EventOptRecord, StoreError> {
    Ok(EventOptRecord {
        opt_id: text(row, "opt_id")?.into(),
        sequence: row.get::<_, i64>("sequence")?.cast_unsigned(),
        event_id: text(row, "event_id")?.into(),
        resources: resources(row)?,
        opt: opt_type(&text(row, "opt")?)?,
        standing: meaning(STANDINGS, &text(row, "standing")?, "standing of an opt")?,
    })
}

pub(super) fn schedule(row: &Row<'_>) -> Result<ScheduleRecord, StoreError> {
    let periods: Vec<[String; 2]> = json(row, "periods", "periods of a schedule")?;
    let period = |[start, duration]: &[String; 2]| {
        Some(Available { start: start.parse().ok()?, duration: duration.parse().ok()? })
    };
    let bad = || unreadable("periods of a schedule", &format!("{periods:?}"));
    Ok(ScheduleRecord {
        schedule: OptSchedule {
            id: text(row, "opt_id")?.into(),
            opt: opt_type(&text(row, "opt")?)?,
            reason: OptReason::from_token(&text(row, "reason")?),
            market_context: text_or_null(row, "market_context")?.map(Into::into),
            resources: resources(row)?,
            periods: periods.iter().map(period).collect::<Option<_>>().ok_or_else(bad)?,
        },
        sequence: row.get::<_, i64>("sequence")?.cast_unsigned(),
        configured: row.get("configured")?,
        cancel: text_or_null(row, "cancel")?.map(Into::into),
        create: text_or_null(row, "create")?.map(Into::into),
        withdrawn: row.get("withdrawn")?,
    })
}

pub(super) fn request(row: &Row<'_>) -> Result<RequestRecord, StoreError> {
    let points: Vec<String> = json(row, "points", "points of a report request")?;
    Ok(RequestRecord {
        id: text(row, "report_request_id")?.into(),
        specifier: text(row, "specifier_id")?.into(),
        points: points.into_iter().map(RId::from).collect(),
        granularity: span(row, "granularity_us")?,
        back: span(row, "back_us")?,
        end: time_or_null(row, "end_us")?,
        reported_to: time(row, "reported_to_us")?,
        closing: row.get("closing")?,
        unconfirmed: text_or_null(row, "unconfirmed")?.map(Into::into),
    })
}

pub(super) fn owed(row: &Row<'_>) -> Result<OwedReport, StoreError> {
    let Payload::UpdateReport(update) = payload(row, "report")? else {
        return Err(unreadable("report", "it is another message"));
    };
    Ok(OwedReport { sequence: row.get::<_, i64>("sequence")?.cast_unsigned(), update })
}

pub(super) fn seen(row: &Row<'_>) -> Result<Seen, StoreError> {
    let signer = text(row, "signer")?;
    Ok(Seen {
        signer: signer.parse().map_err(|_| unreadable("signer of a message", &signer))?,
        timestamp: time(row, "signed_us")?,
        nonce: text(row, "nonce")?,
    })
}
