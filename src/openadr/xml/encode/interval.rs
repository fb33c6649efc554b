//! Writes intervals, their payloads, and the times and durations in them.

use crate::openadr::message::{
    Duration, Interval, LoadControl, PayloadBase, ReportPayload, ResourceStatus, StreamPayload,
};
use crate::time::Timestamp;

use super::super::names::Ns;
use super::super::writer::Writer;

/// `xcal:dtstart`.
pub(super) fn start(w: &mut Writer, start: Timestamp) {
    w.element(Ns::Xcal, "dtstart", |w| w.value(Ns::Xcal, "date-time", start));
}

/// An element with an inner `xcal:duration`.
pub(super) fn duration(w: &mut Writer, ns: Ns, name: &str, duration: Duration) {
    w.element(ns, name, |w| w.value(Ns::Xcal, "duration", duration));
}

pub(super) fn optional_duration(w: &mut Writer, ns: Ns, name: &str, value: Option<Duration>) {
    if let Some(value) = value {
        duration(w, ns, name, value);
    }
}

/// `strm:intervals`.
pub(super) fn intervals(w: &mut Writer, intervals: &[Interval]) {
    w.element(Ns::Strm, "intervals", |w| {
        for interval in intervals {
            w.element(Ns::Ei, "interval", |w| {
                if let Some(at) = interval.start {
                    start(w, at);
                }
                optional_duration(w, Ns::Xcal, "duration", interval.duration);
                if let Some(uid) = &interval.uid {
                    w.element(Ns::Xcal, "uid", |w| w.text(Ns::Xcal, "text", uid));
                }
                interval.payloads.iter().for_each(|payload| stream_payload(w, payload));
            });
        }
    });
}

fn stream_payload(w: &mut Writer, payload: &StreamPayload) {
    match payload {
        StreamPayload::Signal(value) => w.element(Ns::Ei, "signalPayload", |w| payload_base(w, value)),
        StreamPayload::Report(report) => report_payload(w, report),
        StreamPayload::GreenButton(feed) => w.element(Ns::Oadr, "oadrGBPayload", |w| w.raw(feed)),
    }
}

fn report_payload(w: &mut Writer, payload: &ReportPayload) {
    w.element(Ns::Oadr, "oadrReportPayload", |w| {
        w.value(Ns::Ei, "rID", &payload.r_id);
        w.optional(Ns::Ei, "confidence", payload.confidence);
        w.optional(Ns::Ei, "accuracy", payload.accuracy);
        payload_base(w, &payload.value);
        w.optional(Ns::Oadr, "oadrDataQuality", payload.data_quality.as_ref());
    });
}

fn payload_base(w: &mut Writer, value: &PayloadBase) {
    match value {
        PayloadBase::Float(value) => w.element(Ns::Ei, "payloadFloat", |w| w.value(Ns::Ei, "value", value)),
        PayloadBase::ResourceStatus(status) => resource_status(w, status),
    }
}

fn resource_status(w: &mut Writer, status: &ResourceStatus) {
    w.element(Ns::Oadr, "oadrPayloadResourceStatus", |w| {
        w.value(Ns::Oadr, "oadrOnline", status.online);
        w.value(Ns::Oadr, "oadrManualOverride", status.manual_override);
        if let Some(state) = &status.load_control_state {
            w.element(Ns::Oadr, "oadrLoadControlState", |w| {
                load_control(w, "oadrCapacity", state.capacity.as_ref());
                load_control(w, "oadrLevelOffset", state.level_offset.as_ref());
                load_control(w, "oadrPercentOffset", state.percent_offset.as_ref());
                load_control(w, "oadrSetPoint", state.set_point.as_ref());
            });
        }
    });
}

fn load_control(w: &mut Writer, name: &str, control: Option<&LoadControl>) {
    if let Some(control) = control {
        w.element(Ns::Oadr, name, |w| {
            w.optional(Ns::Oadr, "oadrMin", control.min);
            w.optional(Ns::Oadr, "oadrMax", control.max);
            w.value(Ns::Oadr, "oadrCurrent", control.current);
            w.optional(Ns::Oadr, "oadrNormal", control.normal);
        });
    }
}
