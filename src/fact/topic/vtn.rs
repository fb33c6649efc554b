//! Topics of the VTN, and of our registration there.

use super::Topic;

/// It is back.
pub(crate) const CONNECTED: Topic = Topic::control(
    "vtn.connected",
    "Exchanges with the VTN succeed again",
    r#"{"operation": "connected", "away_seconds": 120}"#,
);

/// It has gone away.
pub(crate) const DISCONNECTED: Topic = Topic::control(
    "vtn.disconnected",
    "No exchange with the VTN succeeds any more; told once",
    r#"{"operation": "disconnected", "reason": "connection refused", "retry_seconds": 1}"#,
);

/// It is still away.
pub(crate) const UNREACHABLE: Topic = Topic::meter(
    "vtn.unreachable",
    "Another try to reach a VTN that is away has failed",
    r#"{"operation": "unreachable", "reason": "connection refused", "retry_seconds": 64}"#,
);

/// A poll.
pub(crate) const POLLED: Topic = Topic::meter(
    "vtn.polled",
    "The VTN was polled, and has answered: with nothing (null), or a message; next_seconds: until the next poll",
    r#"{"operation": "polled", "answer": "oadrDistributeEvent", "rtt_ms": 84, "next_seconds": 10}"#,
);

/// An exchange.
pub(crate) const REQUEST: Topic = Topic::meter(
    "vtn.request",
    "An exchange with the VTN is over, well or not; by: us, vtn (who asked); bytes: what came from the VTN",
    r#"{
        "operation": "request", "by": "us", "service": "EiEvent", "message": "oadrCreatedEvent", "answer": "oadrResponse", "http": 200,
        "oadr_code": 200, "rtt_ms": 84, "bytes_sent": 2048, "bytes": 1024, "reason": "connection refused"
    }"#,
);

/// A message as it went over the wire.
pub(crate) const MESSAGE: Topic = Topic::meter(
    "vtn.message",
    "A message went over the wire, sent or received; made only where somebody wants it; signature: valid, none, refused",
    r#"{
        "operation": "message", "direction": "received", "service": "OadrPoll", "name": "oadrResponse", "xml": "<oadrPayload/>",
        "signature": "valid", "reason": "the signature does not fit"
    }"#,
);

/// A message of the VTN was not believed.
pub(crate) const REJECTED: Topic = Topic::control(
    "vtn.rejected",
    "A message of the VTN was not believed or not understood; service is null where nobody knows to which it belongs",
    r#"{"operation": "rejected", "service": "OadrPoll", "reason": "the signature does not fit"}"#,
);

/// The VTN did not take a message.
pub(crate) const REFUSED: Topic = Topic::control(
    "vtn.refused",
    "The VTN refused a message of ours that is neither an opt nor a report, and it will not be sent again",
    r#"{"operation": "refused", "message": "oadrRequestEvent", "ids": ["e-2030-01-02"], "reason": "463 not registered"}"#,
);

/// Registered.
pub(crate) const CREATED: Topic = Topic::control(
    "registration.created",
    "The VTN has registered us; poll_seconds is null where it pushes",
    r#"{"operation": "created", "ven_id": "ven-1", "registration_id": "reg-1", "vtn_id": "vtn-1", "poll_seconds": 10}"#,
);

/// Still registered.
pub(crate) const RENEWED: Topic = Topic::control(
    "registration.renewed",
    "The VTN has confirmed an earlier registration",
    r#"{"operation": "renewed", "ven_id": "ven-1", "registration_id": "reg-1", "vtn_id": "vtn-1", "poll_seconds": 10}"#,
);

/// To be done again.
pub(crate) const REQUESTED: Topic = Topic::control(
    "registration.requested",
    "The VTN wants us to register again",
    r#"{"operation": "requested"}"#,
);

/// Not wanted.
pub(crate) const REGISTRATION_REFUSED: Topic = Topic::control(
    "registration.refused",
    "The VTN does not want us",
    r#"{"operation": "refused", "code": 463, "reason": "unknown fingerprint", "retry_seconds": 60}"#,
);

/// Over.
pub(crate) const CANCELLED: Topic = Topic::control(
    "registration.cancelled",
    "The registration is over, and everything that belonged to it; by: vtn, us",
    r#"{"operation": "cancelled", "by": "vtn", "retry_seconds": 3600}"#,
);
