//! Tells of what we say to events.

use serde_json::json;

use super::about;
use crate::fact::Content;
use crate::fact::topic::opt as opts;
use crate::notice::DecidedBy;
use crate::openadr::message::{EventId, OptType, PayloadKind, RequestId, ResourceId, ResponseCode};
use crate::time::Timestamp;

/// Who decided, and why where there is more to say.
type By<'r> = (DecidedBy, Option<&'r str>);

pub(super) fn decided(
    (event_id, modification): (&EventId, u32),
    opt: OptType,
    (by, reason): By<'_>,
    request_id: &RequestId,
) -> Content {
    let data = [
        ("event_id", json!(event_id)),
        ("modification_number", json!(modification)),
        ("opt", json!(opt)),
        ("by", json!(word(by))),
        ("reason", json!(reason)),
        ("request_id", json!(request_id)),
    ];
    about(&opts::DECIDED, event_id, data)
}

pub(super) fn changed(
    (event_id, modification): (&EventId, u32),
    (from, to): (OptType, OptType),
    (by, reason): By<'_>,
) -> Content {
    let data = [
        ("event_id", json!(event_id)),
        ("modification_number", json!(modification)),
        ("previous", json!(from)),
        ("opt", json!(to)),
        ("by", json!(word(by))),
        ("reason", json!(reason)),
    ];
    about(&opts::CHANGED, event_id, data)
}

/// The VTN has our `oadrCreatedEvent`.
pub(super) fn answered(
    (event_id, modification): (&EventId, u32),
    opt: OptType,
    (code, request_id): (ResponseCode, &RequestId),
    at: Timestamp,
) -> Content {
    let data = [
        ("event_id", json!(event_id)),
        ("modification_number", json!(modification)),
        ("resource_ids", json!([])),
        ("message", json!(PayloadKind::CreatedEvent.element())),
        ("opt", json!(opt)),
        ("code", json!(code.number())),
        ("request_id", json!(request_id)),
        ("answered_at", json!(at)),
    ];
    about(&opts::SENT, event_id, data)
}

/// The VTN has our `oadrCreateOpt`.
pub(super) fn opted(event_id: &EventId, resources: &[ResourceId], opt: OptType, at: Timestamp) -> Content {
    let data = [
        ("event_id", json!(event_id)),
        ("modification_number", json!(null)),
        ("resource_ids", json!(resources)),
        ("message", json!(PayloadKind::CreateOpt.element())),
        ("opt", json!(opt)),
        ("code", json!(null)),
        ("request_id", json!(null)),
        ("answered_at", json!(at)),
    ];
    about(&opts::SENT, event_id, data)
}

const fn word(by: DecidedBy) -> &'static str {
    match by {
        DecidedBy::Handler => "handler",
        DecidedBy::Default => "fallback",
        DecidedBy::Person => "person",
        DecidedBy::Check => "check",
        DecidedBy::Schedule => "schedule",
        DecidedBy::FullStore => "full_store",
    }
}
