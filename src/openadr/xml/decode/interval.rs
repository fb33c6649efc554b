//! Reads intervals, their payloads, and the times and durations in them.

use crate::openadr::message::{
    DataQuality, Duration, Float, Interval, LoadControl, LoadControlState, PayloadBase, ReportPayload,
    ResourceStatus, StreamPayload,
};
use crate::time::Timestamp;

use super::super::canonical;
use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::{id, text};

/// `xcal:dtstart`.
pub(super) fn start(element: Element<'_>) -> Result<Timestamp, XmlError> {
    let mut c = element.children()?;
    let start = c.expect(Ns::Xcal, "date-time")?.value()?;
    c.end()?;
    Ok(start)
}

/// An element with an inner `xcal:duration`.
pub(super) fn duration(element: Element<'_>) -> Result<Duration, XmlError> {
    let mut c = element.children()?;
    let duration = c.expect(Ns::Xcal, "duration")?.value()?;
    c.end()?;
    Ok(duration)
}

pub(super) fn optional_duration(element: Option<Element<'_>>) -> Result<Option<Duration>, XmlError> {
    element.map(duration).transpose()
}

/// `strm:intervals`.
pub(super) fn intervals(element: Element<'_>) -> Result<Vec<Interval>, XmlError> {
    let mut c = element.children()?;
    let intervals = c.at_least_one(Ns::Ei, "interval", interval)?;
    c.end()?;
    Ok(intervals)
}

fn interval(element: Element<'_>) -> Result<Interval, XmlError> {
    let mut c = element.children()?;
    let start = c.optional(Ns::Xcal, "dtstart").map(start).transpose()?;
    let duration = optional_duration(c.optional(Ns::Xcal, "duration"))?;
    let uid = match c.optional(Ns::Xcal, "uid") {
        Some(uid) => {
            let mut inner = uid.children()?;
            let uid = text(inner.expect(Ns::Xcal, "text")?)?;
            inner.end()?;
            Some(uid)
        }
        None => None,
    };
    let mut payloads = Vec::new();
    while let Some(payload) = c.next_if(|_| true) {
        payloads.push(stream_payload(payload)?);
    }
    if payloads.is_empty() {
        return Err(c.missing("a payload"));
    }
    Ok(Interval { start, duration, uid, payloads })
}

/// Whatever may stand in for `strm:streamPayloadBase`.
fn stream_payload(element: Element<'_>) -> Result<StreamPayload, XmlError> {
    let mut c = element.children()?;
    let payload = match element.name() {
        (Some(Ns::Ei), "signalPayload") => StreamPayload::Signal(payload_base(&mut c)?),
        (Some(Ns::Oadr), "oadrReportPayload") => StreamPayload::Report(ReportPayload {
            r_id: id(c.expect(Ns::Ei, "rID")?)?,
            confidence: c.optional(Ns::Ei, "confidence").map(Element::value).transpose()?,
            accuracy: c.optional(Ns::Ei, "accuracy").map(Element::value).transpose()?,
            value: payload_base(&mut c)?,
            data_quality: match c.optional(Ns::Oadr, "oadrDataQuality") {
                Some(quality) => Some(DataQuality::from_token(&quality.token()?)),
                None => None,
            },
        }),
        (Some(Ns::Oadr), "oadrGBPayload") => StreamPayload::GreenButton(feed(&mut c)?),
        (_, name) => return Err(element.unexpected("a payload", name)),
    };
    c.end()?;
    Ok(payload)
}

/// An `atom:feed`, as the text that means the same wherever it stands.
pub(super) fn feed(c: &mut Children<'_>) -> Result<String, XmlError> {
    Ok(canonical::exclusive_text(c.expect(Ns::Atom, "feed")?))
}

/// Whatever may stand in for `ei:payloadBase`.
fn payload_base(c: &mut Children<'_>) -> Result<PayloadBase, XmlError> {
    if let Some(float) = c.optional(Ns::Ei, "payloadFloat") {
        let mut inner = float.children()?;
        let value = inner.expect(Ns::Ei, "value")?.value()?;
        inner.end()?;
        return Ok(PayloadBase::Float(value));
    }
    let mut inner = match c.optional(Ns::Oadr, "oadrPayloadResourceStatus") {
        Some(status) => status.children()?,
        None => return Err(c.missing("ei:payloadFloat")),
    };
    let status = ResourceStatus {
        online: inner.expect(Ns::Oadr, "oadrOnline")?.boolean()?,
        manual_override: inner.expect(Ns::Oadr, "oadrManualOverride")?.boolean()?,
        load_control_state: inner
            .optional(Ns::Oadr, "oadrLoadControlState")
            .map(load_control_state)
            .transpose()?,
    };
    inner.end()?;
    Ok(PayloadBase::ResourceStatus(Box::new(status)))
}

fn load_control_state(element: Element<'_>) -> Result<LoadControlState, XmlError> {
    let mut c = element.children()?;
    let mut part = |name| c.optional(Ns::Oadr, name).map(load_control).transpose();
    let state = LoadControlState {
        capacity: part("oadrCapacity")?,
        level_offset: part("oadrLevelOffset")?,
        percent_offset: part("oadrPercentOffset")?,
        set_point: part("oadrSetPoint")?,
    };
    c.end()?;
    Ok(state)
}

fn load_control(element: Element<'_>) -> Result<LoadControl, XmlError> {
    let mut c = element.children()?;
    let optional =
        |c: &mut Children<'_>, name| c.optional(Ns::Oadr, name).map(Element::value::<Float>).transpose();
    let control = LoadControl {
        min: optional(&mut c, "oadrMin")?,
        max: optional(&mut c, "oadrMax")?,
        current: c.expect(Ns::Oadr, "oadrCurrent")?.value()?,
        normal: optional(&mut c, "oadrNormal")?,
    };
    c.end()?;
    Ok(control)
}
