//! Topics of reports, ours and the VTN's, and of what they are made from.

use super::Topic;

/// A report and its values; that of a resource's state is its `status`.
macro_rules! report_sample {
    () => {
        r#"
        "report_request_id": "rr1", "report_specifier_id": "usage", "report_name": "TELEMETRY_USAGE",
        "created_at": "2030-01-02T12:00:01Z", "start": "2030-01-02T11:45:00Z",
        "values": [{
            "r_id": "energy", "start": "2030-01-02T11:45:00Z", "duration_seconds": 900, "value": "102.5",
            "status": {
                "online": true, "manual_override": false,
                "load_control_state": {
                    "capacity": {"min": "0", "max": "1", "current": "0.5", "normal": "1"},
                    "level_offset": {"min": "0", "max": "3", "current": "1", "normal": "0"},
                    "percent_offset": {"min": "-1", "max": "1", "current": "-0.1", "normal": "0"},
                    "set_point": {"min": "15", "max": "25", "current": "19", "normal": "21"}
                }
            },
            "quality": "Quality Good - Non Specific", "confidence": 100, "accuracy": "0.5"
        }]
        "#
    };
}

/// The VTN knows what we offer.
pub(crate) const REGISTERED: Topic = Topic::control(
    "report.registered",
    "The VTN knows what we can report",
    r#"{"operation": "registered", "points": 4}"#,
);

/// The VTN wants one.
pub(crate) const REQUESTED: Topic = Topic::control(
    "report.requested",
    "The VTN wants a report; report_back_seconds 0: once",
    r#"{
        "operation": "requested", "report_request_id": "rr1", "report_specifier_id": "usage", "r_ids": ["energy"],
        "granularity_seconds": 900, "report_back_seconds": 3600
    }"#,
);

/// A request cannot be served.
pub(crate) const REFUSED: Topic = Topic::control(
    "report.refused",
    "A request of the VTN for a report cannot be served",
    r#"{"operation": "refused", "code": 452, "reason": "reportSpecifierID x is not on offer"}"#,
);

/// A report is stored.
pub(crate) const READY: Topic = Topic::control(
    "report.ready",
    "A report is ready and stored, to be sent",
    r#"{"operation": "ready", "report_request_id": "rr1", "intervals": 4}"#,
);

/// The VTN has it.
pub(crate) const SENT: Topic = Topic::control(
    "report.sent",
    "The VTN has a report",
    concat!("{\"operation\": \"sent\", \"request_id\": \"r1\",", report_sample!(), "}"),
);

/// The VTN does not take it.
pub(crate) const FAILED: Topic = Topic::control(
    "report.failed",
    "The VTN does not take a report, or another message about reports, and it will not be sent again",
    r#"{"operation": "failed", "message": "oadrUpdateReport", "ids": ["rr1"], "reason": "452 reportRequestID is not known"}"#,
);

/// Some time is missing for good.
pub(crate) const SKIPPED: Topic = Topic::control(
    "report.skipped",
    "Some time could not be reported because it lies too far back",
    r#"{"operation": "skipped", "report_request_id": "rr1", "from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}"#,
);

/// All was reported.
pub(crate) const COMPLETED: Topic = Topic::control(
    "report.completed",
    "Everything that a request asked for has been reported",
    r#"{"operation": "completed", "report_request_id": "rr1", "cause": "complete", "reason": "everything asked for has been reported"}"#,
);

/// No more of it.
pub(crate) const CANCELLED: Topic = Topic::control(
    "report.cancelled",
    "No more reports for a request; cause: cancelled, registered_anew, unknown, unregistered",
    r#"{"operation": "cancelled", "report_request_id": "rr1", "cause": "cancelled", "reason": "the VTN cancelled it"}"#,
);

/// Nobody wants them any more.
pub(crate) const DROPPED: Topic = Topic::control(
    "report.dropped",
    "Reports that nobody wants any more were dropped, undelivered",
    r#"{"operation": "dropped", "count": 2}"#,
);

/// The VTN offers some.
pub(crate) const OFFERED: Topic = Topic::control(
    "report.offered",
    "The VTN says what it can report itself; no reports: nothing",
    r#"{
        "operation": "offered",
        "reports": [{
            "report_specifier_id": "weather", "report_name": "METADATA_TELEMETRY_USAGE", "duration_seconds": 86400,
            "points": [{
                "r_id": "temperature", "report_type": "reading", "reading_type": "Direct Read", "unit": "celsius",
                "market_context": "http://utility.example/peak", "min_period_seconds": 60, "max_period_seconds": 3600
            }]
        }]
    }"#,
);

/// The VTN reports.
pub(crate) const RECEIVED: Topic = Topic::control(
    "report.received",
    "The VTN sends data that we have asked for",
    concat!("{\"operation\": \"received\", \"request_id\": \"r1\", \"reports\": [{", report_sample!(), "}]}"),
);

/// A source of values is broken.
pub(crate) const SOURCE_FAILING: Topic = Topic::control(
    "source.failing",
    "A source of reports that is no meter brings no values; told once",
    r#"{"operation": "failing", "source": "battery", "reason": "exit status 1"}"#,
);

/// It works again.
pub(crate) const SOURCE_RECOVERED: Topic = Topic::control(
    "source.recovered",
    "A source of reports brings values again",
    r#"{"operation": "recovered", "source": "battery"}"#,
);
