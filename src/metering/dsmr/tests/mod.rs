//! P1 as a whole: real telegrams, noisy lines, and whatever else a line may bring.

mod encrypted;
mod fuzz;
mod hostile;
mod lines;
mod objects;
mod samples;
mod streams;

use super::{P1Decoder, P1Telegram};
use crate::metering::decoder::{Decoder as _, Why};
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

/// What the decoder has to say now.
fn told(decoder: &mut P1Decoder) -> impl Iterator<Item = Result<P1Telegram, Why>> {
    std::iter::from_fn(|| decoder.next_p1().map(|outcome| outcome.map_err(|refused| refused.why)))
}

/// Everything a decoder says of these bytes.
fn outcomes(decoder: &mut P1Decoder, bytes: &[u8], piece: usize) -> Vec<Result<P1Telegram, Why>> {
    let mut outcomes = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        outcomes.extend(told(decoder));
    }
    outcomes
}

/// The same, and then the line falls silent.
fn decoded(bytes: &[u8], piece: usize) -> Vec<Result<P1Telegram, Why>> {
    let mut decoder = decoder();
    let mut outcomes = outcomes(&mut decoder, bytes, piece);
    decoder.quiet();
    outcomes.extend(told(&mut decoder));
    outcomes
}

/// The good telegrams among them.
fn telegrams(bytes: &[u8], piece: usize) -> Vec<P1Telegram> {
    decoded(bytes, piece).into_iter().flatten().collect()
}
