//! Topics of what we say to events.

use super::Topic;

/// It is decided.
pub(crate) const DECIDED: Topic = Topic::control(
    "opt.decided",
    "It is decided whether we take part in an event; by: handler, fallback, person, check, schedule, full_store",
    r#"{
        "operation": "decided", "event_id": "e-2030-01-02", "modification_number": 0, "opt": "optIn", "by": "fallback",
        "reason": "the handler has not answered within 5s", "request_id": "r1"
    }"#,
);

/// It is decided otherwise.
pub(crate) const CHANGED: Topic = Topic::control(
    "opt.changed",
    "A decision about an event that had been given was changed",
    r#"{
        "operation": "changed", "event_id": "e-2030-01-02", "modification_number": 0, "previous": "optIn", "opt": "optOut",
        "by": "person", "reason": "too cold"
    }"#,
);

/// Some resources are in or out.
pub(crate) const RESOURCES: Topic = Topic::control(
    "opt.resources",
    "Some of our resources take part in an event, or not, whatever the others do",
    r#"{"operation": "resources", "event_id": "e-2030-01-02", "resource_ids": ["boiler"], "opt": "optOut"}"#,
);

/// The VTN knows it.
pub(crate) const SENT: Topic = Topic::control(
    "opt.sent",
    "The VTN has our answer to an event; no resource_ids: it holds for all",
    r#"{
        "operation": "sent", "event_id": "e-2030-01-02", "modification_number": 0, "resource_ids": ["boiler"],
        "message": "oadrCreatedEvent", "opt": "optIn", "code": 200, "request_id": "r1", "answered_at": "2030-01-02T08:00:02Z"
    }"#,
);

/// The VTN does not take it.
pub(crate) const FAILED: Topic = Topic::control(
    "opt.failed",
    "The VTN does not take our answer or our opt, and it will not be sent again",
    r#"{"operation": "failed", "message": "oadrCreatedEvent", "ids": ["e-2030-01-02"], "reason": "http status 500"}"#,
);

/// The VTN has a schedule.
pub(crate) const SCHEDULED: Topic = Topic::control(
    "opt.scheduled",
    "The VTN has an opt schedule of ours",
    r#"{"operation": "scheduled", "opt_id": "holiday", "opt": "optOut"}"#,
);

/// A schedule is over.
pub(crate) const UNSCHEDULED: Topic = Topic::control(
    "opt.unscheduled",
    "An opt schedule of ours holds no more, and the VTN knows",
    r#"{"operation": "unscheduled", "opt_id": "holiday"}"#,
);
