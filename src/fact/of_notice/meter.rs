//! Tells of meters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::about;
use crate::fact::topic::meter as meters;
use crate::fact::{Content, Member};
use crate::notice::{MeterReading, MeterTelegram};

pub(super) fn reading(meter: &str, reading: &MeterReading) -> Content {
    let MeterReading { at, serial, quality, values, times, summary: _ } = reading;
    let data = [
        ("meter", json!(meter)),
        ("meter_id", json!(serial)),
        ("timestamp", json!(at)),
        ("quality", json!(quality)),
    ];
    let mut content = about(&meters::READING, meter, data);
    // A decimal as a text keeps every digit.
    content.data.extend(values.iter().map(|(name, value)| (name.clone(), Value::from(value.to_string()))));
    content.data.extend(times.iter().map(|(name, at)| (name.clone(), json!(at))));
    content
}

pub(super) fn telegram(meter: &str, telegram: &MeterTelegram) -> Content {
    Content::new(
        &meters::TELEGRAM,
        Some(meter.to_owned()),
        [("meter", json!(meter))].into_iter().chain(of(telegram)),
    )
}

pub(super) fn rejected(
    meter: &str,
    (kind, why): (&str, &str),
    count: u64,
    telegram: &MeterTelegram,
) -> Content {
    let data =
        [("meter", json!(meter)), ("kind", json!(kind)), ("reason", json!(why)), ("count", json!(count))];
    Content::new(&meters::REJECTED, Some(meter.to_owned()), data.into_iter().chain(of(telegram)))
}

/// Byte by byte, and as text where the bytes are one.
fn of(telegram: &MeterTelegram) -> [Member; 5] {
    let MeterTelegram { bytes, crc_ok, source, received } = telegram;
    [
        ("bytes", json!(STANDARD.encode(bytes))),
        ("text", json!(std::str::from_utf8(bytes).ok())),
        ("crc_ok", json!(crc_ok)),
        ("source", json!(source)),
        ("received_at", json!(received)),
    ]
}
