//! The room as a whole: real telegrams, noisy lines, and what reports are made of.

mod hostile;
mod lines;
mod quantities;
mod samples;
mod series;
mod series_gaps;
mod series_model;
mod series_month;
mod series_rows;
mod streams;

use super::Reading;
use super::channel::Channel;
use super::decoder::{Decoder as _, Why};
use super::dsmr::{P1Decoder, P1Telegram};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// In pieces of these sizes bytes come from a line.
const PIECES: [usize; 4] = [1, 7, 64, 4096];

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A meter of the middle of Europe.
fn decoder() -> P1Decoder {
    P1Decoder::new(Span::HOUR)
}

/// Everything a decoder says of these bytes.
fn outcomes(decoder: &mut P1Decoder, bytes: &[u8], piece: usize) -> Vec<Result<P1Telegram, Why>> {
    let mut outcomes = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        outcomes.extend(std::iter::from_fn(|| {
            decoder.next_p1().map(|outcome| outcome.map_err(|refused| refused.why))
        }));
    }
    outcomes
}

/// The same, and then the line falls silent.
fn decoded(bytes: &[u8], piece: usize) -> Vec<Result<P1Telegram, Why>> {
    let mut decoder = decoder();
    let mut outcomes = outcomes(&mut decoder, bytes, piece);
    decoder.quiet();
    outcomes.extend(std::iter::from_fn(|| {
        decoder.next_p1().map(|outcome| outcome.map_err(|refused| refused.why))
    }));
    outcomes
}

/// The good telegrams among them.
fn telegrams(bytes: &[u8], piece: usize) -> Vec<P1Telegram> {
    decoded(bytes, piece).into_iter().flatten().collect()
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
