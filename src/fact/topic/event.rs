//! Topics of events.

use super::Topic;

/// What is told of an event whenever something happens to it.
macro_rules! head_sample {
    () => {
        r#"
        "event_id": "e-2030-01-02", "modification_number": 0, "market_context": "http://utility.example/peak",
        "priority": 1, "test_event": false, "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T19:00:00Z"
        "#
    };
}

/// All of an event.
macro_rules! event_sample {
    () => {
        concat!(
            head_sample!(),
            r#",
            "modification_reason": "moved", "modified_at": "2030-01-02T07:00:00Z", "created_at": "2030-01-02T08:00:00Z",
            "status": "far", "vtn_comment": "peak day", "response_required": "always",
            "duration_seconds": 7200, "start_after_seconds": 300, "notification_seconds": 3600,
            "ramp_up": {"start": "2030-01-02T16:50:00Z", "end": "2030-01-02T17:00:00Z"},
            "recovery": {"start": "2030-01-02T19:00:00Z", "end": "2030-01-02T19:10:00Z"},
            "level": 2,
            "signals": [{
                "id": "s1", "name": "SIMPLE", "type": "level", "unit": "kW", "current_value": "0",
                "device_classes": ["heat_pump"],
                "intervals": [{
                    "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T18:00:00Z", "duration_seconds": 3600, "value": "2"
                }]
            }],
            "baseline": {
                "id": "b1", "name": "last week", "start": "2030-01-02T17:00:00Z", "duration_seconds": 7200, "unit": "kW",
                "resource_ids": ["house"], "intervals": [{"duration_seconds": 3600, "value": "1.5"}]
            },
            "targets": {
                "ven_ids": ["ven-1"], "resource_ids": ["house"], "group_ids": ["g1"], "group_names": ["north"],
                "party_ids": ["p1"], "device_classes": ["heat_pump"], "meter_assets": ["m1"], "pnodes": ["n1"],
                "aggregated_pnodes": ["a1"], "service_delivery_points": ["d1"],
                "service_areas": [{"id": "f1", "polygon_id": "g1", "positions": "52.1 5.1 52.2 5.2"}],
                "service_locations": [{"id": "f2", "polygon_id": "g2", "positions": "52.1 5.1 52.2 5.2"}],
                "transport_interfaces": [{"point_of_receipt": "r1", "point_of_delivery": "d1"}]
            },
            "ven_id": "ven-1", "vtn_id": "vtn-1", "request_id": "r1", "received_at": "2030-01-02T08:00:01Z"
        }"#
        )
    };
}

/// An event came.
pub(crate) const RECEIVED: Topic = Topic::control(
    "event.received",
    "The VTN has sent an event that was not known before",
    concat!("{\"operation\": \"created\",", event_sample!()),
);

/// An event came changed.
pub(crate) const MODIFIED: Topic = Topic::control(
    "event.modified",
    "The VTN has changed an event: it came with a higher modification number",
    concat!("{\"operation\": \"modified\",", event_sample!()),
);

/// An event was refused.
pub(crate) const REJECTED: Topic = Topic::control(
    "event.rejected",
    "An event was refused with a response code, and the VTN is told so",
    r#"{"operation": "rejected", "event_id": "e-2030-01-02", "modification_number": 0, "code": 460, "reason": "signal BID_PRICE is not known"}"#,
);

/// Its ramp-up begins.
pub(crate) const NEAR: Topic = Topic::control(
    "event.near",
    "The ramp-up of an event that we take part in begins",
    concat!("{\"operation\": \"near\",", head_sample!(), "}"),
);

/// It begins.
pub(crate) const STARTED: Topic = Topic::control(
    "event.started",
    "An event that we take part in begins",
    concat!("{\"operation\": \"started\",", head_sample!(), ", \"late_by_seconds\": 0}"),
);

/// A value holds from now on.
pub(crate) const INTERVAL: Topic = Topic::control(
    "event.interval",
    "An interval of an event begins, goes on after a restart, or from now on governs or does not",
    r#"{
        "operation": "interval", "event_id": "e-2030-01-02", "modification_number": 0,
        "market_context": "http://utility.example/peak", "priority": 1, "test_event": false,
        "event_start": "2030-01-02T17:00:00Z", "event_end": "2030-01-02T19:00:00Z",
        "signal_id": "s1", "signal_name": "SIMPLE", "signal_type": "level", "unit": "kW",
        "index": 0, "total": 2, "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T18:00:00Z",
        "value": "2", "level": 2, "price": "0.25",
        "late_by_seconds": 0, "resumed": false, "overridden_by": "e-2030-01-01"
    }"#,
);

/// It has run to its end.
pub(crate) const COMPLETED: Topic = Topic::control(
    "event.completed",
    "The time of an event is up",
    concat!(
        "{\"operation\": \"completed\",",
        head_sample!(),
        ", \"cause\": \"completed\", \"reason\": \"its time is up\"}"
    ),
);

/// The VTN has called it off.
pub(crate) const CANCELLED: Topic = Topic::control(
    "event.cancelled",
    "The VTN has called an event off, or does not speak of it any more",
    concat!(
        "{\"operation\": \"cancelled\",",
        head_sample!(),
        ", \"implied\": false, \"stops\": \"2030-01-02T17:30:00Z\"}"
    ),
);

/// It ends before its time.
pub(crate) const STOPPED: Topic = Topic::control(
    "event.stopped",
    "An event is over before its time: it was cancelled, opted out of, postponed, or the registration has ended",
    concat!(
        "{\"operation\": \"stopped\",",
        head_sample!(),
        ", \"cause\": \"cancelled\", \"reason\": \"the VTN cancelled it\"}"
    ),
);
