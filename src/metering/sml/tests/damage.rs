//! Damaged lines: no good file is lost with a bad one, and what is wrong is said.

use super::super::transport::LONGEST;
use super::super::{SmlDecoder, SmlReading, sml_file};
use super::{PIECES, Writer, decoded, list, message, telegrams, transport, usual};
use crate::metering::checksum::x25;
use crate::metering::decoder::{Decoder as _, Why};

fn sample(second: u32) -> Vec<u8> {
    sml_file(SmlReading { second, import: 123_456, export: 78, power: -900 })
}

/// Why there was no telegram, and how many there were.
fn told(bytes: &[u8]) -> (Vec<Why>, usize) {
    let all = PIECES.map(|piece| decoded(bytes, piece));
    let sort = |outcomes: &Vec<Result<_, super::Refused>>| {
        let whys: Vec<Why> =
            outcomes.iter().filter_map(|one| one.as_ref().err().map(|no| no.why.clone())).collect();
        let good = outcomes.len() - whys.len();
        (whys, good)
    };
    for outcomes in &all {
        assert_eq!(sort(outcomes), sort(&all[0]));
    }
    sort(&all[0])
}

#[test]
fn a_file_that_broke_off_costs_no_other() {
    let (one, two) = (sample(1), sample(2));
    for cut in 0..one.len() {
        let bytes = [&one[..cut], &two[..], &one[..]].concat();
        let (whys, good) = told(&bytes);
        assert_eq!(good, 2, "cut after {cut}: {whys:?}");
        // The remains of the end and the next start look like an escape of the payload: one file is found, and that other forgotten.
        let forgotten = cut == one.len() - 4;
        assert_eq!(whys.len(), usize::from(cut >= 8 && !forgotten), "cut after {cut}: {whys:?}");
    }
}

#[test]
fn a_file_whose_beginning_is_missing_costs_no_other() {
    let (one, two) = (sample(1), sample(2));
    for cut in 1..one.len() {
        assert_eq!(told(&[&one[cut..], &two[..]].concat()), (vec![], 1), "without the first {cut}");
    }
}

#[test]
fn one_flipped_bit_is_noticed_wherever_it_is() {
    let (one, two) = (sample(1), sample(2));
    for at in 0..one.len() {
        for bit in 0..8 {
            let mut bytes = one.clone();
            bytes[at] ^= 1 << bit;
            bytes.extend_from_slice(&two);
            let telegrams = decoded(&bytes, 64).into_iter().flatten().count();
            assert_eq!(telegrams, 1, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn escapes_in_front_of_a_start_hide_nothing() {
    for count in 0..20 {
        let noise = vec![0x1B; count];
        assert_eq!(telegrams(&[&noise[..], &sample(1)].concat()).len(), 1, "{count} in front");
        // In the midst of a file they may be payload.
        let bytes = [&sample(1)[..100], &noise[..], &sample(2)].concat();
        assert_eq!(telegrams(&bytes).len(), 1, "{count} in a file");
    }
}

#[test]
fn silence_ends_what_has_begun() {
    let mut decoder = SmlDecoder::new();
    decoder.push(&sample(1)[..50]);
    assert_eq!(decoder.next(), None);
    decoder.quiet();
    let refused = decoder.next().unwrap().unwrap_err();
    assert_eq!((refused.why, &refused.bytes[..]), (Why::Cut, &sample(1)[..50]));
    assert_eq!(decoder.next(), None);
    decoder.push(&sample(1)[50..]);
    decoder.push(&sample(2));
    assert!(decoder.next().unwrap().is_ok());
    assert_eq!(decoder.next(), None);
}

#[test]
fn what_never_ends_is_given_up() {
    let long = [&sample(1)[..50], &vec![0x55; LONGEST + 1], &sample(2)].concat();
    assert_eq!(told(&long), (vec![Why::TooLong(LONGEST)], 1));
    let maybe = [&sample(1)[..50], &[0x1B; 8], &[1; 4], &vec![0x55; 2 * LONGEST], &sample(2)].concat();
    assert_eq!(told(&maybe), (vec![Why::TooLong(LONGEST), Why::TooLong(LONGEST)], 1));
    let escapes = [&sample(1)[..50], &vec![0x1B; 5 * LONGEST], &sample(2)].concat();
    assert_eq!(told(&escapes), (vec![Why::TooLong(LONGEST)], 1));
}

#[test]
fn a_whole_file_with_wrong_content_is_refused_with_the_place() {
    let content = |payload: &[u8]| {
        let (whys, good) = told(&[transport(payload), sample(1)].concat());
        assert_eq!(good, 1);
        whys.first().map(ToString::to_string).unwrap_or_default()
    };
    let absent = Writer::default().absent().done();
    let short = message(b"t", 0x0701, &list(b"m", &absent, &[]), usual);
    assert_eq!(content(&short[..short.len() - 1]), "at byte 25: the content ends too early");
    assert!(content(b"\x76\x01").starts_with("at byte 2: the content ends too early"));
    assert!(content(b"\x75").contains("a message is List(5) instead of a list of 6"));
    assert!(content(b"\x76\x8F\x8F\x8F\x8F\x8F\x0F").contains("length is unreadable"));
    assert!(content(b"\x76\x83\x7F").contains("length is unreadable"));
    assert!(content(b"\x76\x8F\x8F\x8F\x0F").contains("length is wrong"));
    assert!(content(b"\x76\x80\x01").contains("length is wrong"));
    assert!(content(b"\x76\x6A123456789").contains("element of type 6 with 9 bytes"));
    assert!(content(b"\x76\x51").contains("element of type 5 with 0 bytes"));
    assert!(content(b"\x76\x21").contains("element of type 2 with 0 bytes"));
    // Lists of lists: no recursion, and no more work than there are bytes.
    assert!(content(&[&b"\x76"[..], &[0x8F; 2], &vec![0x7F; 5000]].concat()).contains("length"));
    assert!(content(&[&b"\x76"[..], &vec![0x7F; 5000]].concat()).contains("ends too early"));
}

#[test]
fn a_file_may_say_nothing() {
    for payload in [&b""[..], b"\0\0\0\0"] {
        let telegrams = telegrams(&transport(payload));
        assert_eq!((telegrams.len(), telegrams[0].objects.len()), (1, 0));
    }
}

#[test]
fn a_wrong_start_that_fits_the_checksum_hides_nothing() {
    // The broken file in front is one whose checksum is that of nothing: whatever follows, the checksum fits from there too.
    let good = sample(1);
    let start = [&[0x1B; 4][..], &[1; 4], &[0x55; 3]].concat();
    let (filler, bytes) = (0..=u16::MAX)
        .map(|filler| {
            let front = [&start[..], &filler.to_be_bytes(), &[0x1B; 4]].concat();
            (front.clone(), [&front[..], &good].concat())
        })
        .find(|(front, _)| x25(front) == x25(b""))
        .unwrap();
    let (whys, count) = told(&bytes);
    assert!(matches!(&whys[..], [Why::Content { .. }]), "{filler:02X?}: {whys:?}");
    assert_eq!(count, 1);
}

/// Lines that are as much work and memory as can be.
fn adversaries() -> Vec<Vec<u8>> {
    let start = [&[0x1B; 4][..], &[1; 4]].concat();
    let maybe = [&[0x1B; 8][..], &[1; 4]].concat();
    let end = b"\x1B\x1B\x1B\x1B\x1A\x03\x00\x00";
    let kilos = |bytes: &[u8]| bytes.repeat(256 * 1024 / bytes.len());
    vec![
        kilos(&[0x1B]),
        kilos(&start),
        kilos(&maybe),
        kilos(&[&start[..], end].concat()),
        kilos(&[&start[..], &end.repeat(900)].concat()),
        kilos(&[&start[..], &maybe.repeat(600), end].concat()),
        kilos(&[&start[..], &vec![0x55; LONGEST - 200], &maybe.repeat(16)].concat()),
        kilos(&[&start[..], &[0x1B; 900]].concat()),
        kilos(&sample(1)),
    ]
}

#[test]
fn no_bytes_take_much_memory_or_work() {
    for (number, bytes) in adversaries().iter().enumerate() {
        for piece in [1, 7, 4096, 1 << 20] {
            let mut decoder = SmlDecoder::new();
            let mut told = 0;
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                told += std::iter::from_fn(|| decoder.next()).count();
                assert!(decoder.held() <= 64 * 1024, "{number}: {} bytes", decoder.held());
            }
            assert!(decoder.work() <= 17 * bytes.len(), "{number}: {} bytes of work", decoder.work());
            assert!(told <= bytes.len() / 8, "{number}: told {told} times");
        }
    }
}
