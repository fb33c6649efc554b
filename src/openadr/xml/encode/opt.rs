//! Writes the messages of `EiOpt`.

use crate::openadr::message::{CancelOpt, CanceledOpt, CreateOpt, CreatedOpt, Vavailability};

use super::super::names::Ns;
use super::super::writer::Writer;
use super::{event, interval, response, target};

pub(super) fn create_opt(w: &mut Writer, m: &CreateOpt) {
    w.value(Ns::Ei, "optID", &m.opt_id);
    w.value(Ns::Ei, "optType", m.opt_type);
    w.value(Ns::Ei, "optReason", &m.opt_reason);
    w.optional(Ns::Emix, "marketContext", m.market_context.as_ref());
    w.value(Ns::Ei, "venID", &m.ven_id);
    if let Some(availability) = &m.availability {
        vavailability(w, availability);
    }
    w.value(Ns::Ei, "createdDateTime", m.created_date_time);
    w.value(Ns::Pyld, "requestID", &m.request_id);
    if let Some(event) = &m.qualified_event_id {
        event::qualified_event_id(w, &event.event_id, event.modification_number);
    }
    target::target(w, Ns::Ei, "eiTarget", &m.target);
    // An element without classes in it is not to be sent (rule 209).
    if let Some(classes) = m.device_class.as_ref().filter(|classes| !classes.is_empty()) {
        target::target(w, Ns::Oadr, "oadrDeviceClass", classes);
    }
}

fn vavailability(w: &mut Writer, availability: &Vavailability) {
    w.element(Ns::Xcal, "vavailability", |w| {
        w.element(Ns::Xcal, "components", |w| {
            for available in &availability.available {
                w.element(Ns::Xcal, "available", |w| {
                    w.element(Ns::Xcal, "properties", |w| {
                        interval::start(w, available.start);
                        interval::duration(w, Ns::Xcal, "duration", available.duration);
                    });
                });
            }
        });
    });
}

pub(super) fn created_opt(w: &mut Writer, m: &CreatedOpt) {
    response(w, &m.response);
    w.value(Ns::Ei, "optID", &m.opt_id);
}

pub(super) fn cancel_opt(w: &mut Writer, m: &CancelOpt) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    w.value(Ns::Ei, "optID", &m.opt_id);
    w.value(Ns::Ei, "venID", &m.ven_id);
}

pub(super) fn canceled_opt(w: &mut Writer, m: &CanceledOpt) {
    response(w, &m.response);
    w.optional(Ns::Ei, "optID", m.opt_id.as_ref());
}
