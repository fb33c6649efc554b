//! Measures our reader of SML beside sml-rs 0.4.0, in one run, over the same bytes.
//!
//! ```text
//! cargo run --release --manifest-path benches/against_sml_rs/Cargo.toml [RECORDING...]
//! ```
//!
//! The bytes are those of a simulated meter, or recordings of real ones, many times over. Both find the files, check the checksums of
//! files and messages, and add up all values; once on the entries as they stand in the buffer, and once on files as things of their
//! own (our telegrams with exact decimals, sml-rs's `File`). They take turns, so that both see the same machine.
#![expect(dead_code, unused_imports, reason = "most of the room is not measured here")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sml_rs::SmlReader;
use sml_rs::parser::common::Value;
use sml_rs::parser::complete::{File, MessageBody};
use sml_rs::parser::streaming::{ParseEvent, Parser};

#[path = "../../../src/metering/mod.rs"]
pub mod metering;
pub mod openadr;
#[path = "../../../src/time.rs"]
pub mod time;

use metering::sml::message::Part;
use metering::sml::tree::Item;
use metering::sml::SmlDecoder;
use metering::{SmlReading, sml_file};

/// Bytes of the stream, about.
const BYTES: usize = 16 << 20;
/// As they come from a line.
const PIECE: usize = 4096;
/// Turns of each reader.
const TURNS: usize = 15;

/// What a reader found: files, values, and the sum of all integers and octets.
type Found = (u64, u64, i64);

fn main() -> std::io::Result<()> {
    let recordings = std::env::args_os().skip(1).map(std::fs::read).collect::<Result<Vec<_>, _>>()?.concat();
    let once = if recordings.is_empty() { (0..1000).flat_map(simulated).collect() } else { recordings };
    let stream = once.repeat((BYTES / once.len()).max(1));
    compare("entries where they stand", &stream, ours, theirs);
    compare("files of their own", &stream, our_telegrams, their_files);
    Ok(())
}

fn simulated(second: u32) -> Vec<u8> {
    let wave = i32::try_from(second % 400).unwrap_or_default() * 70;
    sml_file(SmlReading {
        second,
        import: 123_456_789 + u64::from(second),
        export: 4_567_890,
        power: wave - 9_000,
    })
}

fn compare(name: &str, stream: &[u8], ours: fn(&[u8]) -> Found, theirs: fn(&[u8]) -> Found) {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    let mut found = [(0, 0, 0); 2];
    for _ in 0..TURNS {
        our_times.push(timed(stream, ours, &mut found[0]));
        their_times.push(timed(stream, theirs, &mut found[1]));
    }
    our_times.sort();
    their_times.sort();
    println!("{name}: {} files, {} values", found[0].0, found[0].1);
    if found[0] != found[1] {
        println!("  sml-rs finds {:?}, we {:?}", found[1], found[0]);
    }
    let rate = |files: u64, time: Duration| files as f64 / time.as_secs_f64();
    let show = |who, times: &[Duration], files| {
        let megabytes = stream.len() as f64 / 1e6 / times[TURNS / 2].as_secs_f64();
        println!(
            "  {who}: {:.0} files/s, {megabytes:.0} MB/s (median of {TURNS})",
            rate(files, times[TURNS / 2])
        );
    };
    show("openadr-ven", &our_times, found[0].0);
    show("sml-rs     ", &their_times, found[1].0);
    let ratio = |at: usize| their_times[at].as_secs_f64() / our_times[at].as_secs_f64();
    println!("  ratio {:.2} (of the best turns {:.2})", ratio(TURNS / 2), ratio(0));
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn timed(stream: &[u8], read: fn(&[u8]) -> Found, found: &mut Found) -> Duration {
    let from = Instant::now();
    *found = black_box(read(black_box(stream)));
    from.elapsed()
}

fn ours(stream: &[u8]) -> Found {
    let (mut files, mut values, mut sum) = (0, 0, 0_i64);
    let mut decoder = SmlDecoder::new();
    for piece in stream.chunks(PIECE) {
        metering::Decoder::push(&mut decoder, piece);
        while let Some(file) = decoder.next_file(|part| {
            let Part::Entry(entry) = part else { return };
            values += 1;
            sum = sum.wrapping_add(match entry.value {
                Item::Octets(octets) => octets.iter().map(|octet| i64::from(*octet)).sum(),
                value => value.number().unwrap_or_default(),
            });
        }) {
            files += u64::from(file.is_ok());
        }
    }
    (files, values, sum)
}

fn of_theirs(value: &Value<'_>) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        Value::Bytes(octets) => octets.iter().map(|octet| i64::from(*octet)).sum(),
        Value::I8(value) => (*value).into(),
        Value::I16(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::I64(value) => *value,
        Value::U8(value) => (*value).into(),
        Value::U16(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::U64(value) => i64::try_from(*value).unwrap_or_default(),
        Value::List(_) => 0,
    }
}

fn theirs(stream: &[u8]) -> Found {
    let (mut files, mut values, mut sum) = (0, 0, 0_i64);
    let mut reader = SmlReader::from_slice(stream);
    while let Some(parser) = reader.next::<Parser<'_>>() {
        let Ok(parser) = parser else { continue };
        for event in parser {
            if let Ok(ParseEvent::ListEntry(entry)) = event {
                values += 1;
                sum = sum.wrapping_add(of_theirs(&entry.value));
            }
        }
        files += 1;
    }
    (files, values, sum)
}

fn our_telegrams(stream: &[u8]) -> Found {
    let (mut files, mut values, mut bytes) = (0, 0, 0);
    let mut decoder = SmlDecoder::new();
    for piece in stream.chunks(PIECE) {
        metering::Decoder::push(&mut decoder, piece);
        while let Some(telegram) = metering::Decoder::next(&mut decoder) {
            let Ok(telegram) = telegram else { continue };
            files += 1;
            values += telegram.objects.len() as u64;
            bytes += i64::from(black_box(&telegram).meter.is_some());
        }
    }
    (files, values, bytes)
}

fn their_files(stream: &[u8]) -> Found {
    let (mut files, mut values, mut lists) = (0, 0, 0);
    let mut reader = SmlReader::from_slice(stream);
    while let Some(file) = reader.next::<File<'_>>() {
        let Ok(file) = file else { continue };
        files += 1;
        for message in &black_box(file).messages {
            if let MessageBody::GetListResponse(list) = &message.message_body {
                values += list.val_list.len() as u64;
                lists += 1;
            }
        }
    }
    (files, values, lists)
}
