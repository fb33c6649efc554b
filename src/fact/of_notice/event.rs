//! Tells of events.

use serde_json::{Map, Value, json};

use super::seconds;
use crate::fact::topic::event as events;
use crate::fact::{Content, Member, Topic};
use crate::handler::{ActiveInterval, EndReason, Timeline};
use crate::notice::{Delivery, EventPlan};
use crate::openadr::message::{
    Decimal, Duration, EiEvent, EiTarget, EventBaseline, EventId, EventSignal, FeatureCollection, Float,
    ResponseCode, SignalType, Unit,
};
use crate::time::{Span, Timestamp};

/// An event, new or changed.
pub(super) fn received(plan: &EventPlan, modified: bool, delivery: &Delivery) -> Content {
    let topic = if modified { &events::MODIFIED } else { &events::RECEIVED };
    let mut content = Content::new(topic, Some(plan.event.id().to_string()), []);
    content.data.extend(of_event(plan));
    let Delivery { ven_id, vtn_id, request_id, response_required, at } = delivery;
    content.data.extend(named([
        ("response_required", json!(response_required)),
        ("ven_id", json!(ven_id)),
        ("vtn_id", json!(vtn_id)),
        ("request_id", json!(request_id)),
        ("received_at", json!(at)),
    ]));
    content
}

/// An event that was refused.
pub(super) fn rejected(id: &EventId, modification: u32, code: ResponseCode, why: &str) -> Content {
    let data = [
        ("event_id", json!(id)),
        ("modification_number", json!(modification)),
        ("code", json!(code.number())),
        ("reason", json!(why)),
    ];
    Content::new(&events::REJECTED, Some(id.to_string()), data)
}

/// Something has happened to an event.
pub(super) fn happened<const N: usize>(
    topic: &Topic,
    (event, timeline): (&EiEvent, &Timeline),
    more: [Member; N],
) -> Content {
    let data =
        head(event).into_iter().chain([("start", json!(timeline.start)), ("end", json!(timeline.end))]);
    Content::new(topic, Some(event.id().to_string()), data.chain(more))
}

/// An event is over.
pub(super) fn ended(event: (&EiEvent, &Timeline), why: EndReason) -> Content {
    let (topic, cause) = match why {
        EndReason::Completed => (&events::COMPLETED, "completed"),
        EndReason::Cancelled => (&events::STOPPED, "cancelled"),
        EndReason::ImpliedCancelled => (&events::STOPPED, "implied_cancelled"),
        EndReason::OptedOut => (&events::STOPPED, "opted_out"),
        EndReason::Postponed => (&events::STOPPED, "postponed"),
        EndReason::Unregistered => (&events::STOPPED, "unregistered"),
    };
    happened(topic, event, [("cause", json!(cause)), ("reason", json!(why.to_string()))])
}

/// A value holds from now on.
pub(super) fn interval(event: &EiEvent, interval: &ActiveInterval, late_by: Span) -> Content {
    let signal = event.signals.iter().find(|signal| signal.signal_id == interval.signal_id);
    let value = |wanted: fn(&EventSignal) -> bool| interval.value.filter(|_| signal.is_some_and(wanted));
    let data = [
        ("event_start", json!(interval.timeline.start)),
        ("event_end", json!(interval.timeline.end)),
        ("signal_id", json!(interval.signal_id)),
        ("signal_name", json!(interval.signal_name)),
        ("signal_type", json!(signal.map(|signal| signal.signal_type))),
        ("unit", json!(signal.and_then(|signal| unit(signal.unit.as_ref())))),
        ("index", json!(interval.index)),
        ("total", json!(signal.map(|signal| signal.intervals.len()))),
        ("start", json!(interval.start)),
        ("end", json!(interval.end)),
        ("value", json!(interval.value)),
        ("level", json!(value(is_level).and_then(whole))),
        ("price", json!(value(is_price))),
        ("late_by_seconds", seconds(late_by)),
        ("resumed", json!(interval.resumed)),
        ("overridden_by", json!(interval.overridden_by)),
    ];
    Content::new(&events::INTERVAL, Some(event.id().to_string()), head(event).into_iter().chain(data))
}

/// All of an event, laid out in time: what a receiver needs to know who knows nothing yet.
pub(crate) fn of_event(plan: &EventPlan) -> Map<String, Value> {
    let EventPlan { event, timeline, steps } = plan;
    let (descriptor, period) = (&event.descriptor, &event.active_period);
    let levels = event.signals.iter().filter(|signal| is_level(signal)).flat_map(|signal| &signal.intervals);
    let level = levels.filter_map(|interval| interval.signal_value().and_then(whole)).max();
    let length = |duration: Option<Duration>| duration.map(|duration| duration.nominal().seconds());
    let signals: Vec<Value> = event
        .signals
        .iter()
        .enumerate()
        .map(|(at, signal)| of_signal(signal, steps.get(at).map_or(&[], Vec::as_slice)))
        .collect();
    let mut data: Map<String, Value> = named(head(event)).collect();
    data.extend(named([
        ("start", json!(timeline.start)),
        ("end", json!(timeline.end)),
        ("duration_seconds", between(timeline.start, timeline.end)),
        ("start_after_seconds", json!(length(period.start_after))),
        ("notification_seconds", json!(length(period.notification))),
        ("ramp_up", json!(timeline.ramp_up.map(from_to))),
        ("recovery", json!(timeline.recovery.map(from_to))),
        ("status", json!(descriptor.status)),
        ("created_at", json!(descriptor.created_date_time)),
        ("modified_at", json!(descriptor.modification_date_time)),
        ("modification_reason", json!(descriptor.modification_reason)),
        ("vtn_comment", json!(descriptor.vtn_comment)),
        ("level", json!(level)),
        ("signals", json!(signals)),
        ("baseline", json!(event.baseline.as_ref().map(of_baseline))),
        ("targets", of_target(&event.target)),
    ]));
    data
}

/// What is told of an event whenever something happens to it.
fn head(event: &EiEvent) -> [Member; 5] {
    let descriptor = &event.descriptor;
    [
        ("event_id", json!(event.id())),
        ("modification_number", json!(event.modification())),
        ("market_context", json!(descriptor.market_context)),
        // 0 is the lowest as well, and nothing the same (rule 3).
        ("priority", json!(descriptor.priority)),
        ("test_event", json!(descriptor.is_test())),
    ]
}

fn of_signal(signal: &EventSignal, steps: &[(Timestamp, Option<Timestamp>)]) -> Value {
    let intervals = signal.intervals.iter().enumerate().map(|(at, interval)| {
        // What lies beyond the end of the event is never reached.
        let step = steps.get(at).copied();
        json!({
            "start": step.map(|(start, _)| start),
            "end": step.and_then(|(_, end)| end),
            "duration_seconds": step.map_or(Value::Null, |(start, end)| between(start, end)),
            "value": interval.signal_value(),
        })
    });
    json!({
        "id": signal.signal_id,
        "name": signal.name,
        "type": signal.signal_type,
        "unit": unit(signal.unit.as_ref()),
        "current_value": signal.current_value,
        "device_classes": signal.target.as_ref().map_or(&[][..], |target| &target.end_device_assets),
        "intervals": intervals.collect::<Vec<_>>(),
    })
}

fn of_baseline(baseline: &EventBaseline) -> Value {
    let intervals = baseline.intervals.iter().map(|interval| {
        let lasts = interval.duration.map(|duration| duration.nominal().seconds());
        json!({"duration_seconds": lasts, "value": interval.signal_value()})
    });
    json!({
        "id": baseline.baseline_id,
        "name": baseline.baseline_name,
        "start": baseline.start,
        "duration_seconds": baseline.duration.length_from(baseline.start).seconds(),
        "unit": unit(baseline.unit.as_ref()),
        "resource_ids": baseline.resource_ids,
        "intervals": intervals.collect::<Vec<_>>(),
    })
}

/// For whom, by type; nobody at all means the whole VEN (rule 22).
fn of_target(target: &EiTarget) -> Value {
    let areas = |areas: &[FeatureCollection]| -> Vec<Value> {
        let area = |area: &FeatureCollection| json!({"id": area.id, "polygon_id": area.polygon_id, "positions": area.positions});
        areas.iter().map(area).collect()
    };
    let interfaces = target.transport_interfaces.iter().map(|interface| {
        json!({"point_of_receipt": interface.point_of_receipt, "point_of_delivery": interface.point_of_delivery})
    });
    json!({
        "ven_ids": target.ven_ids,
        "resource_ids": target.resource_ids,
        "group_ids": target.group_ids,
        "group_names": target.group_names,
        "party_ids": target.party_ids,
        "device_classes": target.end_device_assets,
        "meter_assets": target.meter_assets,
        "pnodes": target.pnodes,
        "aggregated_pnodes": target.aggregated_pnodes,
        "service_delivery_points": target.service_delivery_points,
        "service_areas": areas(&target.service_areas),
        "service_locations": areas(&target.service_locations),
        "transport_interfaces": interfaces.collect::<Vec<_>>(),
    })
}

/// The symbol of a unit with its power of ten, as `kW`; of a price its currency.
pub(super) fn unit(unit: Option<&Unit>) -> Option<String> {
    let unit = unit?;
    let scale = unit.scale().filter(|scale| scale.exponent() != 0).map_or("", |scale| scale.as_str());
    Some(format!("{scale}{}", unit.symbol()))
}

/// Levels are those of SIMPLE (rule 9).
fn is_level(signal: &EventSignal) -> bool {
    signal.name.is_simple()
}

fn is_price(signal: &EventSignal) -> bool {
    signal.signal_type == SignalType::Price
}

fn whole(value: Float) -> Option<i64> {
    value.exact().filter(Decimal::is_integer).and_then(|value| i64::try_from(value).ok())
}

fn between(start: Timestamp, end: Option<Timestamp>) -> Value {
    json!(end.map(|end| (end - start).seconds()))
}

fn from_to((start, end): (Timestamp, Timestamp)) -> Value {
    json!({"start": start, "end": end})
}

fn named(members: impl IntoIterator<Item = Member>) -> impl Iterator<Item = (String, Value)> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value))
}
