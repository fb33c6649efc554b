//! Finds out who sent a message.

use crate::openadr::message::{Payload, VenId};

/// The venID in a request (rule 508).
pub(super) fn ven_id_of(request: &Payload) -> Option<VenId> {
    match request {
        Payload::Poll(m) => Some(m.ven_id.clone()),
        Payload::RequestEvent(m) => Some(m.ven_id.clone()),
        Payload::CreatedEvent(m) => Some(m.ven_id.clone()),
        Payload::RequestReregistration(m) => Some(m.ven_id.clone()),
        Payload::Response(m) => m.ven_id.clone(),
        Payload::CancelOpt(m) => Some(m.ven_id.clone()),
        Payload::CreateOpt(m) => Some(m.ven_id.clone()),
        Payload::CancelReport(m) => m.ven_id.clone(),
        Payload::CanceledReport(m) => m.ven_id.clone(),
        Payload::CreateReport(m) => m.ven_id.clone(),
        Payload::CreatedReport(m) => m.ven_id.clone(),
        Payload::RegisterReport(m) => m.ven_id.clone(),
        Payload::RegisteredReport(m) => m.ven_id.clone(),
        Payload::UpdateReport(m) => m.ven_id.clone(),
        Payload::UpdatedReport(m) => m.ven_id.clone(),
        Payload::CancelPartyRegistration(m) => m.ven_id.clone(),
        Payload::CanceledPartyRegistration(m) => m.ven_id.clone(),
        Payload::CreatePartyRegistration(m) => m.ven_id.clone(),
        Payload::CreatedPartyRegistration(m) => m.ven_id.clone(),
        Payload::DistributeEvent(_)
        | Payload::CanceledOpt(_)
        | Payload::CreatedOpt(_)
        | Payload::QueryRegistration(_) => None,
    }
}
