//! HDLC, M-Bus and blocks: what is joined, and what is told of the rest.

use super::super::hdlc;
use super::*;
use crate::metering::checksum::x25;

/// A message of our own; every one is another.
fn message(second: i64) -> Vec<u8> {
    HanSimulator::default().message(&reading(second))
}

/// The readings and refusals of these bytes, the same in pieces of every size.
fn read(bytes: &[u8]) -> (Vec<Reading>, Vec<Why>) {
    let mut all = PIECES.map(|piece| {
        let outcomes = decoded(decoder(), bytes, piece);
        let refused = outcomes.iter().filter_map(|outcome| outcome.clone().err()).collect();
        (outcomes.iter().flatten().map(counted).collect::<Vec<_>>(), refused)
    });
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    std::mem::take(&mut all[0])
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    assert_eq!(x25(b"123456789"), 0x906E);
}

#[test]
fn frames_in_a_row_are_all_read_with_one_flag_between_them_or_two() {
    let frames: Vec<Vec<u8>> = (0..4).map(|second| hdlc::write(&message(second), 2000)).collect();
    let expected: Vec<Reading> = (0..4).map(reading).collect();
    assert_eq!(read(&frames.concat()), (expected.clone(), vec![]));
    let shared: Vec<u8> =
        frames.iter().flat_map(|frame| frame[..frame.len() - 1].to_vec()).chain([0x7E]).collect();
    assert_eq!(read(&shared), (expected.clone(), vec![]));
    // Fill between frames.
    assert_eq!(read(&frames.join(&[0x7E, 0xFF, 0x7E, 0x7E, 0x00][..])), (expected, vec![]));
}

#[test]
fn segments_are_joined_whatever_their_size() {
    for size in [1, 4, 20, 100, 5000] {
        assert_eq!(read(&hdlc::write(&message(1), size)), (vec![reading(1)], vec![]), "{size}");
    }
}

#[test]
fn segments_without_their_beginning_or_end_are_told_and_forgotten() {
    let segments = |second| -> Vec<Vec<u8>> {
        let bytes = hdlc::write(&message(second), 50);
        let lengths: Vec<usize> = (0..bytes.len())
            .scan(0, |at, _| {
                let length = bytes.get(*at + 2).map(|length| usize::from(*length) + 2)?;
                *at += length;
                Some(*at)
            })
            .collect();
        std::iter::once(0)
            .chain(lengths.clone())
            .zip(lengths)
            .map(|(from, to)| bytes[from..to].to_vec())
            .collect()
    };
    let (one, two) = (segments(1), segments(2));
    assert!(one.len() >= 3);
    // The end is missing.
    let cut = [&one[..one.len() - 1], &two[..]].concat().concat();
    assert_eq!(read(&cut), (vec![reading(2)], vec![Why::Cut]));
    // The beginning is missing: each segment is one of nothing.
    let headless = [&one[1..], &two[..]].concat().concat();
    assert_eq!(read(&headless), (vec![reading(2)], vec![Why::Cut; one.len() - 1]));
    // One in the middle is missing: what is joined is no message.
    let gap = [&one[..1], &one[2..], &two[..]].concat().concat();
    let (good, refused) = read(&gap);
    assert_eq!((good, refused.len()), (vec![reading(2)], 1));
}

#[test]
fn a_good_frame_is_found_inside_and_behind_a_damaged_one() {
    let (one, two) = (hdlc::write(&message(1), 2000), hdlc::write(&message(2), 2000));
    for cut in 1..one.len() {
        let (good, refused) = read(&[&one[..cut], &two[..]].concat());
        // Where only the flag at the end is cut, the frame is whole.
        let whole = cut == one.len() - 1;
        assert_eq!(good.last(), Some(&reading(2)), "cut at {cut}");
        assert_eq!((good.len(), refused.len() <= 1), (1 + usize::from(whole), true), "cut at {cut}");
    }
    for at in 0..one.len() - 1 {
        let mut damaged = one.clone();
        damaged[at] ^= 0x10;
        let (good, refused) = read(&[damaged, two.clone()].concat());
        assert_eq!(good, vec![reading(2)], "damaged at {at}");
        assert!(refused.len() <= 2, "damaged at {at}: {refused:?}");
        assert!(at < 8 || matches!(refused[..], [Why::Crc { .. }]), "damaged at {at}: {refused:?}");
    }
}

#[test]
fn parts_of_m_bus_are_joined_by_their_numbers() {
    let parts = |second| mbus_parts(&message(second), 40);
    let (one, two) = (parts(1), parts(2));
    assert!(one.len() >= 4);
    assert_eq!(read(&[one.concat(), two.concat()].concat()), (vec![reading(1), reading(2)], vec![]));
    assert_eq!(read(&mbus_parts(&message(3), 249).concat()), (vec![reading(3)], vec![]));
    for missing in 0..one.len() {
        let mut some = one.clone();
        some.remove(missing);
        let (good, refused) = read(&[some.concat(), two.concat()].concat());
        assert_eq!(good, vec![reading(2)], "part {missing} is missing");
        assert!(!refused.is_empty() && refused.iter().all(|why| *why == Why::Cut), "{refused:?}");
    }
    let mut swapped = one.clone();
    swapped.swap(1, 2);
    assert_eq!(read(&[swapped.concat(), two.concat()].concat()).0, vec![reading(2)]);
    // HDLC and M-Bus on one line.
    assert_eq!(
        read(&[one.concat(), hdlc::write(&message(2), 2000)].concat()),
        (vec![reading(1), reading(2)], vec![])
    );
}

#[test]
fn damaged_frames_of_m_bus_are_told() {
    let frame = mbus_parts(&message(1), 249).concat();
    let with = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        read(&[frame, mbus_parts(&message(2), 249).concat()].concat())
    };
    let last = frame.len() - 1;
    assert_eq!(
        with(last, 0x17).1,
        [Why::Content { at: last, what: "the frame ends with 17, not with 16".into() }]
    );
    assert!(matches!(with(30, 0xAA).1[..], [Why::Crc { .. }]));
    for (at, byte) in frame.iter().enumerate() {
        assert_eq!(with(at, byte ^ 1).0, vec![reading(2)], "damaged at {at}");
    }
    // Another application, with a sum that fits.
    let mut other = frame.clone();
    other[6] = 0x72;
    other[last - 1] = other[last - 1].wrapping_add(0x72 - 0x10);
    assert_eq!(read(&other).1, [Why::Content { at: 6, what: "CI 72 is none of a DLMS message".into() }]);
}

/// The blocks of a message, each in a frame of its own.
fn blocks(message: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = message.chunks(size).count();
    let block = |(number, part): (usize, &[u8])| {
        let control = if number + 1 == count { 0x80 } else { 0x40 };
        let number = u16::try_from(number + 1).unwrap().to_be_bytes();
        let length = u8::try_from(part.len()).unwrap();
        let apdu = [&[0xE0, control][..], &number, &[0, 0, length], part].concat();
        hdlc::write(&apdu, 2000)
    };
    message.chunks(size).enumerate().map(block).collect()
}

#[test]
fn blocks_are_joined_once_each_and_without_gaps() {
    let (one, two) = (blocks(&message(1), 30), blocks(&message(2), 30));
    assert!(one.len() >= 4);
    assert_eq!(read(&[one.concat(), two.concat()].concat()), (vec![reading(1), reading(2)], vec![]));
    // Each comes twice.
    let twice: Vec<u8> = one.iter().flat_map(|block| block.repeat(2)).collect();
    assert_eq!(read(&twice), (vec![reading(1)], vec![]));
    for missing in 0..one.len() {
        let mut some = one.clone();
        some.remove(missing);
        let (good, refused) = read(&[some.concat(), two.concat()].concat());
        assert_eq!(good, vec![reading(2)], "block {missing} is missing");
        assert!(refused.iter().all(|why| *why == Why::Cut), "{refused:?}");
    }
    let mut lying = one[0].clone();
    lying[17] += 1;
    let end = lying.len() - 3;
    let crc = x25(&lying[1..end]).to_le_bytes();
    lying[end..end + 2].copy_from_slice(&crc);
    let refused = read(&lying).1;
    assert!(
        matches!(&refused[..], [Why::Content { at: 6, what }] if what == "the block has 30 bytes, and says 31"),
        "{refused:?}"
    );
    // Only the first has the three bytes of the logical link control.
    let bare = |frame: &Vec<u8>| {
        let mut frame = frame.clone();
        frame.drain(8..11);
        frame[2] -= 3;
        for (from, to) in [(1, 6), (1, frame.len() - 3)] {
            let crc = x25(&frame[from..to]).to_le_bytes();
            frame[to..to + 2].copy_from_slice(&crc);
        }
        frame
    };
    let mixed = |blocks: &[Vec<u8>]| {
        [vec![blocks[0].clone()], blocks[1..].iter().map(bare).collect()].concat().concat()
    };
    assert_eq!(read(&[mixed(&one), mixed(&two)].concat()), (vec![reading(1), reading(2)], vec![]));
    let mut sealed = HanSimulator::encrypted(keys(), TITLE, 4);
    let bytes = blocks(&sealed.message(&reading(5)), 100).concat();
    assert_eq!(counted(&only(|| decoder_with(keys(), false), &bytes)), reading(5));
}

#[test]
fn nothing_grows_without_end() {
    let mut decoder = decoder();
    let segment = {
        let bytes = hdlc::write(&[0; 3000], 2000);
        bytes[..2011].to_vec()
    };
    let mut refused = Vec::new();
    for _ in 0..20 {
        refused.extend(outcomes(&mut decoder, &segment[..], 4096));
        let mut middle = hdlc::write(&[0; 3000], 1000);
        middle.drain(..1011);
        refused.extend(outcomes(&mut decoder, &middle[..1011], 4096));
    }
    assert!(refused.iter().all(Result::is_err) && !refused.is_empty());
    for number in 1..2000_u16 {
        let [high, low] = number.to_be_bytes();
        let apdu = [&[0xE0, 0x40, high, low, 0, 0, 0x7F][..], &[0; 0x7F]].concat();
        refused.extend(outcomes(&mut decoder, &hdlc::write(&apdu, 2000), 4096));
    }
    assert!(refused.contains(&Err(Why::TooLong(8192))));
    outcomes(&mut decoder, &[0x7E; 100_000], 50_000);
    outcomes(&mut decoder, &[0x68; 100_000], 50_000);
    assert!(decoder.held() <= 64 * 1024, "{} bytes", decoder.held());
}
