//! Lists of every maker, in every framing, in pieces of every size; damaged lines.

mod clock;
mod framing;
mod fuzz;
mod lists;
mod samples;
mod values;

use super::{BUILT_IN, DlmsDecoder, HanSimulator, ListModels};
use crate::metering::Channel;
use crate::metering::Reading;
use crate::metering::ciphered::{CounterGuard, Keys, Opener, SystemTitle};
use crate::metering::decoder::{Decoder as _, Why};
use crate::metering::obis::ObisCode;
use crate::metering::telegram::{ObjectValue, Telegram};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

/// In pieces of these sizes bytes come from a line.
const PIECES: [usize; 4] = [1, 7, 64, 4096];
const TITLE: SystemTitle = SystemTitle(*b"SIM\0\0\0\0\x01");

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn dec(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn keys() -> Keys {
    Keys::new([0x11; 16], Some([0x22; 16]))
}

fn models() -> ListModels {
    ListModels::parse(BUILT_IN).unwrap()
}

/// A meter of the middle of Europe that encrypts nothing.
fn decoder() -> DlmsDecoder {
    DlmsDecoder::new(Span::HOUR, Opener::default(), models())
}

/// One that encrypts; `unauthenticated`: what has no tag is taken.
fn decoder_with(keys: Keys, unauthenticated: bool) -> DlmsDecoder {
    DlmsDecoder::new(Span::HOUR, Opener::new(Some(keys), unauthenticated, CounterGuard::default()), models())
}

/// Everything a decoder says of these bytes, up to now.
fn outcomes(decoder: &mut DlmsDecoder, bytes: &[u8], piece: usize) -> Vec<Result<Telegram, Why>> {
    let mut outcomes = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        outcomes.extend(std::iter::from_fn(|| {
            decoder.next().map(|outcome| outcome.map_err(|refused| refused.why))
        }));
    }
    outcomes
}

/// The same, and then the line falls silent.
fn decoded(mut decoder: DlmsDecoder, bytes: &[u8], piece: usize) -> Vec<Result<Telegram, Why>> {
    let mut all = outcomes(&mut decoder, bytes, piece);
    decoder.quiet();
    all.extend(std::iter::from_fn(|| decoder.next().map(|outcome| outcome.map_err(|refused| refused.why))));
    all
}

/// The only telegram of these bytes, whatever the pieces are.
fn only(decoder: impl Fn() -> DlmsDecoder, bytes: &[u8]) -> Telegram {
    let mut all = PIECES.map(|piece| decoded(decoder(), bytes, piece));
    assert!(all.iter().all(|outcomes| *outcomes == all[0]), "pieces make no difference");
    assert_eq!(all[0].len(), 1, "{:?}", all[0]);
    all[0].remove(0).unwrap()
}

/// What a house takes at some second.
fn reading(second: i64) -> Reading {
    let values = [
        (Channel::Import, 1_234_567 + second),
        (Channel::Export, 890),
        (Channel::PowerImport, 1_122),
        (Channel::PowerExport, 0),
        (Channel::Power, 1_122),
    ];
    let at = t("2030-01-02T03:04:05Z") + Span::from_seconds(second);
    let values = values.map(|(channel, value)| (channel, Decimal::from(value)));
    Reading { meter: Some("7359990000000001".into()), values: values.into(), ..Reading::new(at) }
}

/// Frames of M-Bus with the parts of a message, of at most so many bytes each.
fn mbus_parts(apdu: &[u8], most: usize) -> Vec<Vec<u8>> {
    let parts = apdu.chunks(most);
    let count = parts.len();
    let frame = |(number, part): (usize, &[u8])| {
        let length = u8::try_from(5 + part.len()).unwrap();
        let control = u8::try_from(number).unwrap() | if number + 1 == count { 0x10 } else { 0 };
        let content = [&[0x53, 0xFF, control, 0x01, 0x67], part].concat();
        let sum = content.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        [&[0x68, length, length, 0x68], content.as_slice(), &[sum, 0x16]].concat()
    };
    parts.enumerate().map(frame).collect()
}

/// What a telegram counts, as the reports take it.
fn counted(telegram: &Telegram) -> Reading {
    Reading::of(telegram, telegram.clock.unwrap())
}

fn obis(code: &str) -> ObisCode {
    ObisCode::parse(code).unwrap()
}

/// The text of an object.
fn text(telegram: &Telegram, code: &str) -> Option<String> {
    match &telegram.object(obis(code))?.value {
        ObjectValue::Text(text) => Some(text.clone()),
        ObjectValue::Number(value, _) => Some(value.to_string()),
    }
}

/// Bytes that hexadecimal digits write.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        digits.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
