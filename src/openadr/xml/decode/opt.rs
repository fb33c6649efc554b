//! Reads the messages of `EiOpt`.

use crate::openadr::message::{
    Available, CancelOpt, CanceledOpt, CreateOpt, CreatedOpt, OptReason, OptType, Vavailability,
};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::event::{active_period, qualified_event_id};
use super::target::{optional_target, target};
use super::{id, optional_id, request_id, response};

pub(super) fn create_opt(c: &mut Children<'_>) -> Result<CreateOpt, XmlError> {
    Ok(CreateOpt {
        opt_id: id(c.expect(Ns::Ei, "optID")?)?,
        opt_type: c.expect(Ns::Ei, "optType")?.lookup(OptType::from_token)?,
        opt_reason: OptReason::from_token(&c.expect(Ns::Ei, "optReason")?.token()?),
        market_context: match c.optional(Ns::Emix, "marketContext") {
            Some(context) => Some(context.token()?).filter(|uri| !uri.is_empty()).map(|uri| (*uri).into()),
            None => None,
        },
        ven_id: id(c.expect(Ns::Ei, "venID")?)?,
        availability: c.optional(Ns::Xcal, "vavailability").map(vavailability).transpose()?,
        created_date_time: c.expect(Ns::Ei, "createdDateTime")?.value()?,
        request_id: request_id(c)?,
        qualified_event_id: c.optional(Ns::Ei, "qualifiedEventID").map(qualified_event_id).transpose()?,
        target: target(c.expect(Ns::Ei, "eiTarget")?)?,
        device_class: optional_target(c.optional(Ns::Oadr, "oadrDeviceClass"))?,
    })
}

fn vavailability(element: Element<'_>) -> Result<Vavailability, XmlError> {
    let mut c = element.children()?;
    let mut components = c.expect(Ns::Xcal, "components")?.children()?;
    let available = components.repeated(Ns::Xcal, "available", |element| {
        let mut c = element.children()?;
        let period = active_period(c.expect(Ns::Xcal, "properties")?)?;
        c.end()?;
        Ok(Available { start: period.start, duration: period.duration })
    })?;
    components.end()?;
    c.end()?;
    Ok(Vavailability { available })
}

pub(super) fn created_opt(c: &mut Children<'_>) -> Result<CreatedOpt, XmlError> {
    Ok(CreatedOpt {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        opt_id: id(c.expect(Ns::Ei, "optID")?)?,
    })
}

pub(super) fn cancel_opt(c: &mut Children<'_>) -> Result<CancelOpt, XmlError> {
    Ok(CancelOpt {
        request_id: request_id(c)?,
        opt_id: id(c.expect(Ns::Ei, "optID")?)?,
        ven_id: id(c.expect(Ns::Ei, "venID")?)?,
    })
}

pub(super) fn canceled_opt(c: &mut Children<'_>) -> Result<CanceledOpt, XmlError> {
    Ok(CanceledOpt {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        opt_id: optional_id(c.optional(Ns::Ei, "optID"))?,
    })
}
