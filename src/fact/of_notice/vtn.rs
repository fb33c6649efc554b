//! Tells of messages that the VTN did not take.

use serde_json::json;

use crate::fact::Content;
use crate::fact::topic::{opt, report, vtn};
use crate::openadr::message::{PayloadKind, Service};

/// A message that will not be sent again is told with what it was about: opts, reports, or anything else.
pub(super) fn refused(message: PayloadKind, ids: &[String], why: &str) -> Content {
    let topic = match (message, message.service()) {
        (PayloadKind::CreatedEvent, _) | (_, Service::EiOpt) => &opt::FAILED,
        (_, Service::EiReport) => &report::FAILED,
        (_, Service::EiEvent | Service::EiRegisterParty | Service::OadrPoll) => &vtn::REFUSED,
    };
    let subject = if let [id] = ids { Some(id.clone()) } else { None };
    Content::new(
        topic,
        subject,
        [("message", json!(message.element())), ("ids", json!(ids)), ("reason", json!(why))],
    )
}
