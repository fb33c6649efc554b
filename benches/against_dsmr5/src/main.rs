//! Measures how fast P1 telegrams are read, beside dsmr5, turn by turn in one run over the same bytes.
//!
//! Both find the telegrams in the stream, check them, and read every value of every line; ours makes exact decimals with units, and
//! texts, that outlive the bytes. What the two read is compared first.
#![expect(dead_code, unused_imports, reason = "of the VEN's rooms only a part is measured")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use dsmr5::{OBIS, Reader};

use crate::metering::Decoder as _;
use crate::metering::ciphered::Opener;
use crate::metering::dsmr::P1Decoder;
use crate::time::Span;

#[path = "../../../src/metering/mod.rs"]
mod metering;
mod openadr;
mod telegram;
#[path = "../../../src/time.rs"]
mod time;

/// Telegrams in the stream.
const TELEGRAMS: u32 = 2_000;
const TURNS: usize = 41;
/// As a serial port hands bytes out.
const PIECE: usize = 4096;

fn main() {
    let stream: Vec<u8> = (0..TELEGRAMS).flat_map(telegram).collect();
    assert_eq!(ours(&stream).0, TELEGRAMS);
    assert_eq!(ours(&stream), theirs(&stream), "both read the same registers");
    let mut ratios = Vec::new();
    let (mut best_ours, mut best_theirs) = (f64::MAX, f64::MAX);
    for turn in 0..TURNS {
        // Whoever is second finds the caches warm; so they take turns in that too.
        let (ours, theirs) = if turn % 2 == 0 {
            let ours = seconds(|| ours(&stream));
            (ours, seconds(|| theirs(&stream)))
        } else {
            let theirs = seconds(|| theirs(&stream));
            (seconds(|| ours(&stream)), theirs)
        };
        ratios.push(theirs / ours);
        best_ours = best_ours.min(ours);
        best_theirs = best_theirs.min(theirs);
    }
    ratios.sort_by(f64::total_cmp);
    let rate = |seconds: f64| f64::from(TELEGRAMS) / seconds;
    println!("{TELEGRAMS} telegrams of {} bytes, {TURNS} turns", stream.len() / 2_000);
    println!("ours:  {:>8.0} telegrams/s at best", rate(best_ours));
    println!("dsmr5: {:>8.0} telegrams/s at best", rate(best_theirs));
    println!(
        "ratio: {:.2} at best; {:.2} in the middle of the turns, which were from {:.2} to {:.2}",
        best_theirs / best_ours,
        ratios[TURNS / 2],
        ratios[0],
        ratios[TURNS - 1]
    );
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let from = Instant::now();
    black_box(work());
    from.elapsed().as_secs_f64()
}

/// How many telegrams there are, and the sum of their first registers in Wh.
fn ours(stream: &[u8]) -> (u32, f64) {
    let mut decoder = P1Decoder::encrypted(Span::HOUR, Opener::default());
    let (mut count, mut sum) = (0, 0.0);
    for piece in stream.chunks(PIECE) {
        decoder.push(piece);
        while let Some(telegram) = decoder.next() {
            let telegram = telegram.expect("the stream is good");
            let mut objects = telegram.objects.iter();
            let register = objects.find(|object| object.code.0 == [1, 0, 1, 8, 1, 255]);
            let register =
                register.and_then(|object| telegram.number(object.code)).expect("it has a register");
            sum += f64::from(u32::try_from(register).expect("it counts up"));
            count += 1;
            black_box(&telegram);
        }
    }
    (count, sum)
}

/// The same of dsmr5.
fn theirs(stream: &[u8]) -> (u32, f64) {
    let (mut count, mut sum) = (0, 0.0);
    for readout in Reader::new(stream.iter().map(|byte| Ok::<_, Infallible>(*byte))) {
        let readout = readout.expect("the stream is good");
        for object in readout.to_telegram().expect("the checksum is right").objects() {
            let object = object.expect("it knows all lines");
            if let OBIS::MeterReadingTo(dsmr5::Tariff::Tariff1, register) = &object {
                sum += (f64::from(register) * 1_000.0).round();
            }
            black_box(&object);
        }
        count += 1;
    }
    (count, sum)
}

/// As a meter sends it after so many seconds.
fn telegram(number: u32) -> Vec<u8> {
    let (minute, second) = (number / 60 % 60, number % 60);
    telegram::House {
        clock: format!("26011508{minute:02}{second:02}W"),
        import: 2_130_000 + number,
        export: number / 3,
        watts: number % 997,
    }
    .telegram()
}
