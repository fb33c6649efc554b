//! Topics of meters.

use super::Topic;

/// The bytes of a telegram.
pub(crate) const TELEGRAM: Topic = Topic::meter(
    "meter.telegram",
    "A good telegram came: its bytes as base64, and as text where they are text",
    r#"{
        "operation": "telegram", "meter": "main", "bytes": "L1hNWDVMR0YNCg==", "text": "/XMX5LGF\r\n", "crc_ok": true,
        "source": "/dev/ttyUSB0", "received_at": "2030-01-02T12:00:00.25Z"
    }"#,
);

/// Bytes that are no good telegram.
pub(crate) const REJECTED: Topic = Topic::meter(
    "meter.rejected",
    "Bytes came that are no good telegram; kind: checksum, cut, content, key, answer, future",
    r#"{
        "operation": "rejected", "meter": "main", "kind": "checksum", "reason": "checksum is 11B0, expected 8A3F", "count": 1,
        "bytes": "L1hNWDVMR0YNCg==", "text": "/XMX5LGF\r\n", "crc_ok": false, "source": "/dev/ttyUSB0",
        "received_at": "2030-01-02T12:00:00.25Z"
    }"#,
);

/// A reading.
pub(crate) const READING: Topic = Topic::meter(
    "meter.reading",
    "A reading was taken; what the meter does not say has no member",
    r#"{
        "operation": "reading", "meter": "main", "meter_id": "E0044007338125217", "timestamp": "2030-01-02T12:00:00Z",
        "quality": "Quality Good - Non Specific",
        "import_kwh": "12345.678", "export_kwh": "2345.6",
        "import_kwh_t1": "6000.1", "import_kwh_t2": "6345.578", "import_kwh_t3": "0", "import_kwh_t4": "0",
        "export_kwh_t1": "1000.2", "export_kwh_t2": "1345.4", "export_kwh_t3": "0", "export_kwh_t4": "0",
        "reactive_import_kvarh": "120.5", "reactive_export_kvarh": "12.25",
        "apparent_import_kvah": "13000.1", "apparent_export_kvah": "2400.7",
        "import_w": "417", "export_w": "0", "net_w": "417",
        "net_l1_w": "200", "net_l2_w": "117", "net_l3_w": "100",
        "reactive_var": "35", "apparent_va": "421",
        "voltage_l1_v": "230.1", "voltage_l2_v": "229.8", "voltage_l3_v": "231",
        "current_l1_a": "0.9", "current_l2_a": "0.5", "current_l3_a": "0.4",
        "power_factor": "0.98", "power_factor_l1": "0.97", "power_factor_l2": "0.99", "power_factor_l3": "1",
        "frequency_hz": "50.01",
        "gas_m3": "2400.123", "gas_at": "2030-01-02T11:55:00Z",
        "water_m3": "812.4", "water_at": "2030-01-02T11:00:00Z",
        "hot_water_m3": "92.1", "hot_water_at": "2030-01-02T11:00:00Z",
        "heat_gj": "31.25", "heat_at": "2030-01-02T11:00:00Z",
        "cold_gj": "1.5", "cold_at": "2030-01-02T11:00:00Z"
    }"#,
);

/// A slot of some minutes is over.
pub(crate) const INTERVAL: Topic = Topic::meter(
    "meter.interval",
    "A slot of 5, 10 or 15 minutes is over: energies of it and since local midnight, means of powers; late: nobody has read its end",
    r#"{
        "operation": "interval", "meter": "main", "meter_id": "E0044007338125217",
        "start": "2030-01-02T11:55:00Z", "end": "2030-01-02T12:00:00Z", "duration_seconds": 300, "late": false,
        "import_kwh": "0.034", "export_kwh": "0", "import_w": "408", "export_w": "0", "net_w": "408",
        "date": "2030-01-02", "day_import_kwh": "4.2", "day_export_kwh": "1.1"
    }"#,
);

/// A local day is over.
pub(crate) const DAY: Topic = Topic::meter(
    "meter.day",
    "A local day is over: its totals; it has 23 or 25 hours where the clocks change; complete: nothing of it is unknown or doubtful; null: \
     not known, or not said by the meter",
    r#"{
        "operation": "day", "meter": "main", "meter_id": "E0044007338125217", "date": "2030-01-01", "timezone": "Europe/Amsterdam",
        "start": "2029-12-31T23:00:00Z", "end": "2030-01-01T23:00:00Z", "duration_seconds": 86400,
        "complete": true, "quality": "Quality Good - Non Specific",
        "import_kwh": "9.8", "export_kwh": "3.2",
        "import_kwh_t1": "4.3", "import_kwh_t2": "5.5", "import_kwh_t3": "0", "import_kwh_t4": "0",
        "export_kwh_t1": "1", "export_kwh_t2": "2.2", "export_kwh_t3": "0", "export_kwh_t4": "0",
        "import_w_max": "3800", "export_w_max": "2100",
        "gas_m3": "4.1", "water_m3": "0.3", "hot_water_m3": "0.1", "heat_gj": "0.2", "cold_gj": "0.1"
    }"#,
);

/// A meter speaks.
pub(crate) const ONLINE: Topic = Topic::meter(
    "meter.online",
    "A meter delivers good telegrams, or does so again",
    r#"{"operation": "online", "meter": "main"}"#,
);

/// A meter is silent.
pub(crate) const OFFLINE: Topic = Topic::meter(
    "meter.offline",
    "A meter delivers nothing good any more",
    r#"{"operation": "offline", "meter": "main", "reason": "it was unplugged"}"#,
);
