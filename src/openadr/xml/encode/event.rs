//! Writes the messages of `EiEvent`.

use crate::openadr::message::{
    ActivePeriod, CreatedEvent, DistributeEvent, EiEvent, EventBaseline, EventDescriptor, EventId,
    EventSignal, RequestEvent,
};

use super::super::names::Ns;
use super::super::writer::Writer;
use super::{interval, response, target, unit};

pub(super) fn request_event(w: &mut Writer, m: &RequestEvent) {
    w.element(Ns::Pyld, "eiRequestEvent", |w| {
        w.value(Ns::Pyld, "requestID", &m.request_id);
        w.value(Ns::Ei, "venID", &m.ven_id);
        w.optional(Ns::Pyld, "replyLimit", m.reply_limit);
    });
}

pub(super) fn distribute_event(w: &mut Writer, m: &DistributeEvent) {
    if let Some(verdict) = &m.response {
        response(w, verdict);
    }
    w.value(Ns::Pyld, "requestID", &m.request_id);
    w.value(Ns::Ei, "vtnID", &m.vtn_id);
    for distributed in &m.events {
        w.element(Ns::Oadr, "oadrEvent", |w| {
            event(w, &distributed.event);
            w.value(Ns::Oadr, "oadrResponseRequired", distributed.response_required);
        });
    }
}

fn event(w: &mut Writer, event: &EiEvent) {
    w.element(Ns::Ei, "eiEvent", |w| {
        descriptor(w, &event.descriptor);
        w.element(Ns::Ei, "eiActivePeriod", |w| {
            active_period(w, &event.active_period);
            w.element(Ns::Xcal, "components", |_| {});
        });
        w.element(Ns::Ei, "eiEventSignals", |w| {
            event.signals.iter().for_each(|s| signal(w, s));
            if let Some(b) = &event.baseline {
                baseline(w, b);
            }
        });
        target::target(w, Ns::Ei, "eiTarget", &event.target);
    });
}

fn descriptor(w: &mut Writer, d: &EventDescriptor) {
    w.element(Ns::Ei, "eventDescriptor", |w| {
        w.value(Ns::Ei, "eventID", &d.event_id);
        w.value(Ns::Ei, "modificationNumber", d.modification_number);
        w.optional(Ns::Ei, "modificationDateTime", d.modification_date_time);
        w.optional(Ns::Ei, "modificationReason", d.modification_reason.as_ref());
        w.optional(Ns::Ei, "priority", d.priority);
        w.element(Ns::Ei, "eiMarketContext", |w| w.value(Ns::Emix, "marketContext", &d.market_context));
        w.value(Ns::Ei, "createdDateTime", d.created_date_time);
        w.value(Ns::Ei, "eventStatus", d.status);
        w.optional(Ns::Ei, "testEvent", d.test_event.as_ref());
        w.optional(Ns::Ei, "vtnComment", d.vtn_comment.as_ref());
    });
}

/// `xcal:properties` of an active period.
pub(super) fn active_period(w: &mut Writer, period: &ActivePeriod) {
    w.element(Ns::Xcal, "properties", |w| {
        interval::start(w, period.start);
        interval::duration(w, Ns::Xcal, "duration", period.duration);
        if let Some(most) = period.start_after {
            w.element(Ns::Xcal, "tolerance", |w| {
                w.element(Ns::Xcal, "tolerate", |w| w.value(Ns::Xcal, "startafter", most));
            });
        }
        interval::optional_duration(w, Ns::Ei, "x-eiNotification", period.notification);
        interval::optional_duration(w, Ns::Ei, "x-eiRampUp", period.ramp_up);
        interval::optional_duration(w, Ns::Ei, "x-eiRecovery", period.recovery);
    });
}

fn signal(w: &mut Writer, signal: &EventSignal) {
    w.element(Ns::Ei, "eiEventSignal", |w| {
        interval::intervals(w, &signal.intervals);
        if let Some(classes) = &signal.target {
            target::target(w, Ns::Ei, "eiTarget", classes);
        }
        w.value(Ns::Ei, "signalName", &signal.name);
        w.value(Ns::Ei, "signalType", signal.signal_type);
        w.value(Ns::Ei, "signalID", &signal.signal_id);
        unit::optional(w, signal.unit.as_ref());
        if let Some(value) = signal.current_value {
            w.element(Ns::Ei, "currentValue", |w| {
                w.element(Ns::Ei, "payloadFloat", |w| w.value(Ns::Ei, "value", value));
            });
        }
    });
}

fn baseline(w: &mut Writer, baseline: &EventBaseline) {
    w.element(Ns::Ei, "eiEventBaseline", |w| {
        interval::start(w, baseline.start);
        interval::duration(w, Ns::Xcal, "duration", baseline.duration);
        interval::intervals(w, &baseline.intervals);
        w.text(Ns::Ei, "baselineID", &baseline.baseline_id);
        baseline.resource_ids.iter().for_each(|resource| w.value(Ns::Ei, "resourceID", resource));
        w.text(Ns::Ei, "baselineName", &baseline.baseline_name);
        unit::optional(w, baseline.unit.as_ref());
    });
}

pub(super) fn created_event(w: &mut Writer, m: &CreatedEvent) {
    w.element(Ns::Pyld, "eiCreatedEvent", |w| {
        response(w, &m.response);
        if !m.event_responses.is_empty() {
            w.element(Ns::Ei, "eventResponses", |w| {
                for response in &m.event_responses {
                    w.element(Ns::Ei, "eventResponse", |w| {
                        w.value(Ns::Ei, "responseCode", response.code);
                        w.optional(Ns::Ei, "responseDescription", response.description.as_ref());
                        w.value(Ns::Pyld, "requestID", &response.request_id);
                        qualified_event_id(w, &response.event_id, response.modification_number);
                        w.value(Ns::Ei, "optType", response.opt_type);
                    });
                }
            });
        }
        w.value(Ns::Ei, "venID", &m.ven_id);
    });
}

/// `ei:qualifiedEventID`.
pub(super) fn qualified_event_id(w: &mut Writer, event_id: &EventId, modification_number: u32) {
    w.element(Ns::Ei, "qualifiedEventID", |w| {
        w.value(Ns::Ei, "eventID", event_id);
        w.value(Ns::Ei, "modificationNumber", modification_number);
    });
}
