//! Reads the messages of `EiEvent`.

use crate::openadr::message::{
    ActivePeriod, CreatedEvent, DistributeEvent, EiEvent, EventBaseline, EventDescriptor, EventResponse,
    EventSignal, EventStatus, Float, OadrEvent, OptType, QualifiedEventId, RequestEvent, ResponseRequired,
    SignalName, SignalType,
};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::interval::{duration, intervals, optional_duration, start};
use super::target::{optional_target, target};
use super::{id, optional_text, request_id, response, response_code, text, unit, vtn_id};

pub(super) fn request_event(c: &mut Children<'_>) -> Result<RequestEvent, XmlError> {
    let mut c = c.expect(Ns::Pyld, "eiRequestEvent")?.children()?;
    let request = RequestEvent {
        request_id: request_id(&mut c)?,
        ven_id: id(c.expect(Ns::Ei, "venID")?)?,
        reply_limit: c.optional(Ns::Pyld, "replyLimit").map(Element::value).transpose()?,
    };
    c.end()?;
    Ok(request)
}

pub(super) fn distribute_event(c: &mut Children<'_>) -> Result<DistributeEvent, XmlError> {
    Ok(DistributeEvent {
        response: c.optional(Ns::Ei, "eiResponse").map(response).transpose()?,
        request_id: request_id(c)?,
        vtn_id: vtn_id(c)?,
        events: c.repeated(Ns::Oadr, "oadrEvent", |element| {
            let mut c = element.children()?;
            let event = event(c.expect(Ns::Ei, "eiEvent")?)?;
            let required =
                c.expect(Ns::Oadr, "oadrResponseRequired")?.lookup(ResponseRequired::from_token)?;
            c.end()?;
            Ok(OadrEvent { event, response_required: required })
        })?,
    })
}

fn event(element: Element<'_>) -> Result<EiEvent, XmlError> {
    let mut c = element.children()?;
    let descriptor = descriptor(c.expect(Ns::Ei, "eventDescriptor")?)?;
    let mut period = c.expect(Ns::Ei, "eiActivePeriod")?.children()?;
    let active_period = active_period(period.expect(Ns::Xcal, "properties")?)?;
    // Its content means nothing (the schema takes anything); some peers leave it out.
    period.optional(Ns::Xcal, "components");
    period.end()?;
    let mut inner = c.expect(Ns::Ei, "eiEventSignals")?.children()?;
    let signals = inner.at_least_one(Ns::Ei, "eiEventSignal", signal)?;
    let baseline = inner.optional(Ns::Ei, "eiEventBaseline").map(baseline).transpose()?;
    inner.end()?;
    let target = target(c.expect(Ns::Ei, "eiTarget")?)?;
    c.end()?;
    Ok(EiEvent { descriptor, active_period, signals, baseline, target })
}

fn descriptor(element: Element<'_>) -> Result<EventDescriptor, XmlError> {
    let mut c = element.children()?;
    let event_id = id(c.expect(Ns::Ei, "eventID")?)?;
    let modification_number = c.expect(Ns::Ei, "modificationNumber")?.value()?;
    let modification_date_time =
        c.optional(Ns::Ei, "modificationDateTime").map(Element::value).transpose()?;
    let modification_reason = optional_text(c.optional(Ns::Ei, "modificationReason"))?;
    let priority = c.optional(Ns::Ei, "priority").map(Element::value).transpose()?;
    let mut context = c.expect(Ns::Ei, "eiMarketContext")?.children()?;
    let market_context = context.expect(Ns::Emix, "marketContext")?.token()?.into_owned().into();
    context.end()?;
    let descriptor = EventDescriptor {
        event_id,
        modification_number,
        modification_date_time,
        modification_reason,
        priority,
        market_context,
        created_date_time: c.expect(Ns::Ei, "createdDateTime")?.value()?,
        status: c.expect(Ns::Ei, "eventStatus")?.lookup(EventStatus::from_token)?,
        test_event: optional_text(c.optional(Ns::Ei, "testEvent"))?,
        vtn_comment: optional_text(c.optional(Ns::Ei, "vtnComment"))?,
    };
    c.end()?;
    Ok(descriptor)
}

/// `xcal:properties` of an active period.
pub(super) fn active_period(element: Element<'_>) -> Result<ActivePeriod, XmlError> {
    let mut c = element.children()?;
    let (start, duration) =
        (start(c.expect(Ns::Xcal, "dtstart")?)?, duration(c.expect(Ns::Xcal, "duration")?)?);
    let mut start_after = None;
    if let Some(tolerance) = c.optional(Ns::Xcal, "tolerance") {
        let mut tolerance = tolerance.children()?;
        if let Some(tolerate) = tolerance.optional(Ns::Xcal, "tolerate") {
            let mut tolerate = tolerate.children()?;
            // The text stands in the element itself, not in an inner xcal:duration.
            start_after = tolerate.optional(Ns::Xcal, "startafter").map(Element::value).transpose()?;
            tolerate.end()?;
        }
        tolerance.end()?;
    }
    let period = ActivePeriod {
        start,
        duration,
        start_after,
        notification: optional_duration(c.optional(Ns::Ei, "x-eiNotification"))?,
        ramp_up: optional_duration(c.optional(Ns::Ei, "x-eiRampUp"))?,
        recovery: optional_duration(c.optional(Ns::Ei, "x-eiRecovery"))?,
    };
    c.end()?;
    Ok(period)
}

fn signal(element: Element<'_>) -> Result<EventSignal, XmlError> {
    let mut c = element.children()?;
    let signal = EventSignal {
        intervals: intervals(c.expect(Ns::Strm, "intervals")?)?,
        target: optional_target(c.optional(Ns::Ei, "eiTarget"))?,
        name: SignalName::from_token(&c.expect(Ns::Ei, "signalName")?.token()?),
        signal_type: c.expect(Ns::Ei, "signalType")?.lookup(SignalType::from_token)?,
        signal_id: id(c.expect(Ns::Ei, "signalID")?)?,
        unit: unit::optional(&mut c)?,
        current_value: c.optional(Ns::Ei, "currentValue").map(current_value).transpose()?,
    };
    c.end()?;
    Ok(signal)
}

fn current_value(element: Element<'_>) -> Result<Float, XmlError> {
    let mut c = element.children()?;
    let mut inner = c.expect(Ns::Ei, "payloadFloat")?.children()?;
    let value = inner.expect(Ns::Ei, "value")?.value()?;
    inner.end()?;
    c.end()?;
    Ok(value)
}

fn baseline(element: Element<'_>) -> Result<EventBaseline, XmlError> {
    let mut c = element.children()?;
    let baseline = EventBaseline {
        start: start(c.expect(Ns::Xcal, "dtstart")?)?,
        duration: duration(c.expect(Ns::Xcal, "duration")?)?,
        intervals: intervals(c.expect(Ns::Strm, "intervals")?)?,
        baseline_id: text(c.expect(Ns::Ei, "baselineID")?)?,
        resource_ids: c.repeated(Ns::Ei, "resourceID", id)?,
        baseline_name: text(c.expect(Ns::Ei, "baselineName")?)?,
        unit: unit::optional(&mut c)?,
    };
    c.end()?;
    Ok(baseline)
}

pub(super) fn created_event(c: &mut Children<'_>) -> Result<CreatedEvent, XmlError> {
    let mut c = c.expect(Ns::Pyld, "eiCreatedEvent")?.children()?;
    let response = response(c.expect(Ns::Ei, "eiResponse")?)?;
    let event_responses = match c.optional(Ns::Ei, "eventResponses") {
        Some(responses) => {
            let mut inner = responses.children()?;
            let all = inner.repeated(Ns::Ei, "eventResponse", event_response)?;
            inner.end()?;
            all
        }
        None => Vec::new(),
    };
    let ven_id = id(c.expect(Ns::Ei, "venID")?)?;
    c.end()?;
    Ok(CreatedEvent { response, event_responses, ven_id })
}

fn event_response(element: Element<'_>) -> Result<EventResponse, XmlError> {
    let mut c = element.children()?;
    let code = response_code(&mut c)?;
    let description = optional_text(c.optional(Ns::Ei, "responseDescription"))?;
    let request_id = request_id(&mut c)?;
    let QualifiedEventId { event_id, modification_number } =
        qualified_event_id(c.expect(Ns::Ei, "qualifiedEventID")?)?;
    let opt_type = c.expect(Ns::Ei, "optType")?.lookup(OptType::from_token)?;
    c.end()?;
    Ok(EventResponse { code, description, request_id, event_id, modification_number, opt_type })
}

/// `ei:qualifiedEventID`.
pub(super) fn qualified_event_id(element: Element<'_>) -> Result<QualifiedEventId, XmlError> {
    let mut c = element.children()?;
    let event_id = id(c.expect(Ns::Ei, "eventID")?)?;
    let modification_number = c.expect(Ns::Ei, "modificationNumber")?.value()?;
    c.end()?;
    Ok(QualifiedEventId { event_id, modification_number })
}
