//! What reports are made of: readings in, values of intervals out.

pub(in crate::metering) mod fuzzing;
mod series;
mod series_gaps;
mod series_model;

use super::Reading;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A reading of a meter that takes energy from the grid, and gives some.
fn reading(at: Timestamp, import: i64, export: i64) -> Reading {
    Reading {
        at,
        meter: Some("M1".into()),
        import: Some(Decimal::from(import)),
        export: Some(Decimal::from(export)),
        power_import: Some(Decimal::from(500)),
        power_export: Some(Decimal::ZERO),
        quality: DataQuality::Good,
    }
}
