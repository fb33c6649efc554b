//! What reports are made of: readings in, values of intervals out.

pub(in crate::metering) mod fuzzing;
mod quantities;
mod series;
mod series_gaps;
mod series_model;
mod series_month;
mod series_rows;

use super::Reading;
use super::channel::Channel;
use crate::openadr::message::Decimal;
use crate::time::Timestamp;

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A reading of a meter that takes energy from the grid, and gives some.
fn reading(at: Timestamp, import: i64, export: i64) -> Reading {
    let values = [
        (Channel::Import, import),
        (Channel::Export, export),
        (Channel::PowerImport, 500),
        (Channel::PowerExport, 0),
        (Channel::Power, 500),
    ];
    let values = values.map(|(channel, value)| (channel, Decimal::from(value)));
    Reading { meter: Some("M1".into()), values: values.into(), ..Reading::new(at) }
}
