//! Topics of the VEN's own house: hooks, plugins, monitors, configuration, certificates, the system.

use super::Topic;

/// It cannot be delivered.
pub(crate) const HOOK_FAILING: Topic = Topic::control(
    "hook.failing",
    "A hook has begun to fail: what it has to tell waits; told once",
    r#"{"operation": "failing", "hook": "ops", "code": 503, "reason": "HTTP status 503", "waiting": 3}"#,
);

/// It can be delivered again.
pub(crate) const HOOK_RECOVERED: Topic = Topic::control(
    "hook.recovered",
    "A hook delivers again",
    r#"{"operation": "recovered", "hook": "ops", "waiting": 3}"#,
);

/// One fact is given up.
pub(crate) const HOOK_EXHAUSTED: Topic = Topic::control(
    "hook.exhausted",
    "A fact is given up by a hook, and can be sent again by hand; status: dead",
    r#"{
        "operation": "exhausted", "hook": "ops", "status": "dead", "fact_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "fact_seq": 42, "fact_topic": "event.started", "attempts": 3, "code": 422, "reason": "HTTP status 422"
    }"#,
);

/// It is switched off.
pub(crate) const HOOK_DISABLED: Topic = Topic::control(
    "hook.disabled",
    "A hook tells nothing any more until it is resumed",
    r#"{"operation": "disabled", "hook": "ops", "code": 410, "reason": "the endpoint is gone"}"#,
);

/// Facts were dropped.
pub(crate) const HOOK_OVERFLOW: Topic = Topic::control(
    "hook.overflow",
    "A hook has dropped facts; told once a minute at most",
    r#"{"operation": "overflow", "hook": "ops", "dropped": 17, "waiting": 10000}"#,
);

/// It runs.
pub(crate) const PLUGIN_STARTED: Topic = Topic::control(
    "plugin.started",
    "A plugin runs; kind: exec, rust; pid, and version of the protocol, are null for one in Rust",
    r#"{"operation": "started", "plugin": "peak_guard", "kind": "exec", "pid": 4711, "version": 1}"#,
);

/// It has ended.
pub(crate) const PLUGIN_EXITED: Topic = Topic::control(
    "plugin.exited",
    "A plugin has ended; retry_seconds is null where it is not started again",
    r#"{"operation": "exited", "plugin": "peak_guard", "status": 1, "reason": "exit status 1", "retry_seconds": 2}"#,
);

/// It is given up.
pub(crate) const PLUGIN_FAILED: Topic = Topic::control(
    "plugin.failed",
    "A plugin is not started any more, or was ended because it misbehaved",
    r#"{"operation": "failed", "plugin": "peak_guard", "reason": "it has ended 5 times within a minute"}"#,
);

/// Somebody reads.
pub(crate) const MONITOR_CONNECTED: Topic = Topic::control(
    "monitor.connected",
    "Somebody reads a monitor",
    r#"{"operation": "connected", "monitor": 260, "transport": "tcp", "peer": "192.0.2.7:50123"}"#,
);

/// Somebody does not confirm.
pub(crate) const MONITOR_SUSPENDED: Topic = Topic::control(
    "monitor.suspended",
    "A reader of a monitor does not confirm what it was sent, and was disconnected",
    r#"{"operation": "suspended", "monitor": 260, "reason": "block 17 was not acknowledged within 60s", "waiting": 12}"#,
);

/// Some facts are gone.
pub(crate) const MONITOR_GAP: Topic = Topic::control(
    "monitor.gap",
    "A reader of a monitor was away for so long that facts are gone",
    r#"{"operation": "gap", "monitor": 260, "from": 100, "to": 180, "count": 81}"#,
);

/// The configuration was read anew.
pub(crate) const CONFIG_RELOADED: Topic = Topic::control(
    "config.reloaded",
    "The configuration was read anew, and holds, except what needs a restart",
    r#"{
        "operation": "reloaded", "file": "/etc/ven/ven.toml", "added": ["hook.ops"], "changed": ["hook.p1-copy", "handler"],
        "removed": ["monitor.260"], "needs_restart": ["vtn", "meter.house"]
    }"#,
);

/// The configuration is wrong.
pub(crate) const CONFIG_REJECTED: Topic = Topic::control(
    "config.rejected",
    "The configuration was read anew and is wrong; the old one goes on",
    r#"{"operation": "rejected", "file": "/etc/ven/ven.toml", "reason": "/etc/ven/ven.toml:14: vtn.url: is missing"}"#,
);

/// It will expire.
pub(crate) const CERTIFICATE_EXPIRING: Topic = Topic::control(
    "certificate.expiring",
    "A certificate of ours expires soon",
    r#"{"operation": "expiring", "certificate": "/etc/ven/ven.pem", "expires_at": "2030-02-01T00:00:00Z"}"#,
);

/// It has expired.
pub(crate) const CERTIFICATE_EXPIRED: Topic = Topic::control(
    "certificate.expired",
    "A certificate of ours has expired: nothing is said to the VTN any more",
    r#"{"operation": "expired", "certificate": "/etc/ven/ven.pem", "expires_at": "2030-01-01T00:00:00Z"}"#,
);

/// New ones hold.
pub(crate) const CERTIFICATE_REPLACED: Topic = Topic::control(
    "certificate.replaced",
    "Certificates, keys and trust were read anew, and hold; fingerprint is null where we do not sign",
    r#"{"operation": "replaced", "fingerprint": "AA:BB:CC:DD:EE:FF:00:11:22:33"}"#,
);

/// New ones are wrong.
pub(crate) const CERTIFICATE_REFUSED: Topic = Topic::control(
    "certificate.refused",
    "Certificates, keys or trust have changed and cannot be used; the old ones go on",
    r#"{"operation": "refused", "reason": "the key does not belong to the certificate"}"#,
);

/// Messages are not kept.
pub(crate) const JOURNAL_FAILING: Topic = Topic::control(
    "journal.failing",
    "The journal of messages cannot be written",
    r#"{"operation": "failing", "reason": "no space left on device"}"#,
);

/// Messages are kept again.
pub(crate) const JOURNAL_RECOVERED: Topic = Topic::control(
    "journal.recovered",
    "The journal of messages is written again; some are missing in it",
    r#"{"operation": "recovered", "lost": 12}"#,
);

/// The VEN runs.
pub(crate) const STARTED: Topic = Topic::control(
    "system.started",
    "The VEN runs; lost: what was stored could not be read, and it begins anew; off_since: when it told something last before",
    r#"{"operation": "started", "version": "0.1.0", "lost": false, "off_since": "2030-01-02T08:00:00Z"}"#,
);

/// The VEN ends.
pub(crate) const STOPPING: Topic = Topic::control(
    "system.stopping",
    "The VEN was told to stop",
    r#"{"operation": "stopping", "reason": "it was told to stop"}"#,
);

/// It lives.
pub(crate) const TICK: Topic = Topic::meter(
    "system.tick",
    "Some seconds have passed; never queued for a reader that is busy",
    r#"{"operation": "tick", "uptime_seconds": 86400}"#,
);

/// The clock was set.
pub(crate) const CLOCK_JUMP: Topic = Topic::control(
    "system.clock_jump",
    "The clock was set: events and intervals are planned anew",
    r#"{"operation": "clock_jump", "from": "1970-01-01T00:01:00Z", "to": "2030-01-02T12:00:00Z", "step_seconds": 1893585540}"#,
);

/// The disk is full soon.
pub(crate) const DISK_LOW: Topic = Topic::control(
    "system.disk_low",
    "There is hardly any room on the disk of the store, or none: what may be lost is lost first; free_bytes is null where nobody knows",
    r#"{"operation": "disk_low", "free_bytes": 1048576, "reason": "1 MiB are free"}"#,
);

/// There is room.
pub(crate) const DISK_RECOVERED: Topic = Topic::control(
    "system.disk_recovered",
    "There is room on the disk of the store again",
    r#"{"operation": "disk_recovered", "free_bytes": 1073741824}"#,
);

/// Nothing can be stored.
pub(crate) const STORE_FAILING: Topic = Topic::control(
    "system.store_failing",
    "The disk does not take what has to be kept; what promises something waits",
    r#"{"operation": "store_failing", "reason": "database or disk is full"}"#,
);

/// Everything can be stored again.
pub(crate) const STORE_RECOVERED: Topic = Topic::control(
    "system.store_recovered",
    "The disk takes everything again",
    r#"{"operation": "store_recovered"}"#,
);
