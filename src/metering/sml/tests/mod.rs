//! SML as a whole: samples, own files of every kind, and damage.

mod damage;
mod files;
mod fuzz;
mod samples;
mod signs;

use super::SmlDecoder;
use super::writer::{Writer, message, transport, usual};
use crate::metering::decoder::{Decoder as _, Refused};
use crate::metering::obis::ObisCode;
use crate::metering::telegram::Telegram;

/// In pieces of these sizes bytes come from a line.
const PIECES: [usize; 4] = [1, 7, 64, 4096];

/// Everything a decoder says of these bytes, after which the line falls silent.
fn decoded(bytes: &[u8], piece: usize) -> Vec<Result<Telegram, Refused>> {
    let mut decoder = SmlDecoder::new();
    let mut outcomes = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        outcomes.extend(std::iter::from_fn(|| decoder.next()));
    }
    decoder.quiet();
    outcomes.extend(std::iter::from_fn(|| decoder.next()));
    outcomes
}

/// The good telegrams among them, which are the same for pieces of every size.
fn telegrams(bytes: &[u8]) -> Vec<Telegram> {
    let mut all = PIECES.map(|piece| decoded(bytes, piece).into_iter().flatten().collect::<Vec<_>>());
    for (piece, telegrams) in PIECES.iter().zip(&all) {
        assert_eq!(*telegrams, all[0], "in pieces of {piece}");
    }
    std::mem::take(&mut all[0])
}

/// An entry before it is written.
fn entry(
    code: ObisCode,
    status: u64,
    unit: u64,
    scaler: i64,
    value: impl Fn(&mut Writer) -> &mut Writer,
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(7).octets(&code.0);
    if status == 0 {
        writer.absent()
    } else {
        writer.unsigned(status, 4)
    };
    writer.absent().unsigned(unit, 1).signed(scaler, 1);
    value(&mut writer);
    writer.absent().done()
}

/// The content of a list of values; `time` is written.
fn list(server: &[u8], time: &[u8], entries: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(7).absent().octets(server).absent().elements(time).list(entries.len());
    for entry in entries {
        writer.elements(entry);
    }
    writer.absent().absent().done()
}

/// A file of one list.
fn file(server: &[u8], entries: &[Vec<u8>]) -> Vec<u8> {
    let content = list(server, &Writer::default().absent().done(), entries);
    transport(&message(b"t", 0x0701, &content, usual))
}
