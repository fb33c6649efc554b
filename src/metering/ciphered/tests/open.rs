//! Which frames are opened, and what is said of the others.

use super::super::{CipheredFrame, CounterGuard, Keys, Opener, Security, SystemTitle, seal};
use super::{AUTHENTICATION, ENCRYPTION, PLAIN, TITLE, Why, keys, open, opener, sealed};

const KEY: Option<[u8; 16]> = Some(AUTHENTICATION);

#[test]
fn frames_are_opened_by_the_table() {
    // Sealed with, security byte, opened with, the user allows what is not authenticated -> authenticated, or refused.
    for (with, security, by, allowed, expected) in [
        (KEY, 0x30, KEY, false, Ok(true)),
        (KEY, 0x31, KEY, false, Ok(true)),
        (KEY, 0x70, KEY, false, Ok(true)),
        (KEY, 0x10, KEY, false, Ok(true)),
        (None, 0x30, None, false, Ok(true)),
        (None, 0x30, KEY, true, Err("WrongKey")),
        (Some([7; 16]), 0x30, KEY, true, Err("WrongKey")),
        (KEY, 0x30, None, true, Ok(false)),
        (KEY, 0x30, None, false, Err("without the authentication key")),
        (KEY, 0x10, None, true, Ok(false)),
        (None, 0x20, None, true, Ok(false)),
        (None, 0x21, None, true, Ok(false)),
        (None, 0x00, None, true, Ok(false)),
        (None, 0x20, None, false, Err("has no tag")),
        (None, 0x00, None, false, Err("has no tag")),
        (KEY, 0x20, KEY, true, Err("it must have one")),
        (KEY, 0x00, KEY, true, Err("it must have one")),
    ] {
        let case = format!("{with:?} {security:02X} {by:?} {allowed}");
        match (open(&mut opener(by, allowed), &sealed(with, security, 5)), expected) {
            (Ok(opened), Ok(authenticated)) => {
                assert_eq!((opened.plain.as_slice(), opened.authenticated), (PLAIN, authenticated), "{case}");
            }
            (Err(why), Err(expected)) => assert!(format!("{why:?}").contains(expected), "{case}: {why:?}"),
            (found, expected) => panic!("{case}: {found:?}, expected {expected:?}"),
        }
    }
    let frame = sealed(KEY, 0x30, 1);
    assert_eq!(open(&mut Opener::default(), &frame), Err(Why::KeyMissing));
    assert!(!frame.windows(4).any(|bytes| bytes == &PLAIN[..4]), "the content is encrypted");
}

#[test]
fn a_wrong_key_and_damage_are_told_apart() {
    let damaged = |counter| {
        let mut frame = sealed(KEY, 0x30, counter);
        frame[30] ^= 1;
        frame
    };
    let mut opener = opener(KEY, true);
    assert_eq!(open(&mut opener, &damaged(1)), Err(Why::WrongKey));
    assert!(open(&mut opener, &sealed(KEY, 0x30, 2)).unwrap().authenticated);
    assert_eq!(open(&mut opener, &damaged(3)), Err(Why::Tag));

    let mut wrong = Opener::new(Some(Keys::new([1; 16], KEY)), true, CounterGuard::default());
    let mut alone = Opener::new(Some(Keys::new([1; 16], None)), true, CounterGuard::default());
    for counter in 1..20 {
        assert_eq!(open(&mut wrong, &sealed(KEY, 0x30, counter)), Err(Why::WrongKey));
        assert_eq!(open(&mut alone, &sealed(None, 0x20, counter)), Err(Why::WrongKey));
    }
    assert_eq!(wrong.counters(), &CounterGuard::default(), "what was not opened counts for nothing");
}

#[test]
fn every_bit_is_protected_by_the_tag() {
    let frame = sealed(KEY, 0x30, 9);
    for bit in 0..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(Some(parsed)) = CipheredFrame::parse(&damaged) else { continue };
        assert!(opener(KEY, true).open(&parsed, &|_| true).is_err(), "bit {bit}");
    }
}

#[test]
fn no_frame_is_taken_twice() {
    let mut opener = opener(KEY, false);
    let other = SystemTitle(*b"XYZ\0\0\0\0\x01");
    let of = |title, counter| seal(PLAIN, &keys(KEY), title, Security::BOTH, counter).unwrap();
    for (title, counter, last) in [
        (TITLE, 10, None),
        (TITLE, 10, Some(10)),
        (TITLE, 9, Some(10)),
        (other, 9, None),
        (TITLE, 11, None),
        (other, 9, Some(9)),
        (TITLE, u32::MAX, None),
        (TITLE, u32::MAX, Some(u32::MAX)),
        (TITLE, 0, Some(u32::MAX)),
    ] {
        let found = open(&mut opener, &of(title, counter)).map(|opened| opened.plain);
        let expected = last.map_or_else(|| Ok(PLAIN.to_vec()), |last| Err(Why::Replayed { counter, last }));
        assert_eq!(found, expected, "{title} {counter}");
    }
    assert_eq!((opener.counters().last(TITLE), opener.counters().last(other)), (Some(u32::MAX), Some(9)));
}

#[test]
fn a_tag_that_does_not_fit_moves_no_counter() {
    let mut opener = opener(KEY, false);
    let mut frame = sealed(KEY, 0x30, u32::MAX);
    *frame.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut opener, &frame), Err(Why::WrongKey));
    assert!(open(&mut opener, &sealed(KEY, 0x30, 1)).is_ok());
}

#[test]
fn counters_outlive_the_program() {
    let mut first = opener(KEY, false);
    assert!(open(&mut first, &sealed(KEY, 0x30, 77)).is_ok());
    let kept = serde_json::to_string(first.counters()).unwrap();
    assert_eq!(kept, r#"{"4142430001020304":77}"#);
    let guard: CounterGuard = serde_json::from_str(&kept).unwrap();
    let mut second = Opener::new(Some(keys(KEY)), false, guard);
    assert_eq!(open(&mut second, &sealed(KEY, 0x30, 77)), Err(Why::Replayed { counter: 77, last: 77 }));
    assert!(open(&mut opener(KEY, false), &sealed(KEY, 0x30, 77)).is_ok(), "an empty guard is a reset");
    for text in [r#"{"41424300010203":77}"#, r#"{"+142430001020304":77}"#, r#"{"é142430001020304":77}"#] {
        assert!(serde_json::from_str::<CounterGuard>(text).is_err(), "{text}");
    }
}

#[test]
fn only_so_many_meters_are_remembered() {
    let mut guard = CounterGuard::default();
    let title = |number: u8| SystemTitle([b'A', b'B', b'C', 0, 0, 0, 0, number]);
    assert!((0..16).all(|number| guard.accept(title(number), 1).is_ok()));
    assert!(matches!(guard.accept(title(16), 1), Err(Why::Content { at: 2, .. })));
    assert!(guard.accept(title(3), 2).is_ok());
}

#[test]
fn lengths_are_read_in_all_their_forms() {
    for (content, form) in [(10, 27), (110, 0x7F), (111, 0x81), (238, 0x81), (239, 0x82), (5000, 0x82)] {
        let plain = vec![b'x'; content];
        let frame = seal(&plain, &keys(KEY), TITLE, Security::BOTH, 3).unwrap();
        assert_eq!(frame[10], form, "{content}");
        for cut in 0..frame.len() {
            assert_eq!(CipheredFrame::parse(&frame[..cut]), Ok(None), "{cut} of {}", frame.len());
        }
        let parsed = CipheredFrame::parse(&frame).unwrap().unwrap();
        assert_eq!((parsed.length, parsed.counter, parsed.title), (frame.len(), 3, TITLE));
        assert_eq!(opener(KEY, false).open(&parsed, &|_| false).unwrap().plain, plain);
    }
    // A long form where a short one would do.
    let mut frame = sealed(KEY, 0x30, 3);
    frame.splice(10..11, [0x82, 0, frame[10]]);
    assert!(open(&mut opener(KEY, false), &frame).is_ok());
    assert!(seal(&[0; 65_600], &keys(KEY), TITLE, Security::BOTH, 3).is_none());
}

#[test]
fn what_is_no_frame_says_where() {
    let frame = sealed(KEY, 0x30, 3);
    for (at, byte, expected) in
        [(0, 0xDA, 0), (1, 7, 1), (10, 0x83, 10), (10, 16, 10), (11, 0x32, 11), (11, 0xB0, 11)]
    {
        let mut wrong = frame.clone();
        wrong[at] = byte;
        let found = CipheredFrame::parse(&wrong);
        assert!(matches!(found, Err(Why::Content { at, .. }) if at == expected), "{at}: {found:?}");
    }
}

/// The example of the DLMS UA Green Book (edition 8, 9.2.7.2.4): an `AARQ` of a client, encrypted and authenticated.
#[test]
fn the_cipher_is_that_of_the_standard() {
    let (encryption, authentication) =
        ("000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF");
    let keys = Keys::parse(encryption, Some(authentication)).unwrap();
    let title = SystemTitle([0x4D, 0x4D, 0x4D, 0, 0, 0xBC, 0x61, 0x4E]);
    let plain = [
        0x01, 0x01, 0x10, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
        0xEE, 0xFF, 0x00, 0x00, 0x06, 0x5F, 0x1F, 0x04, 0x00, 0x00, 0x7E, 0x1F, 0x04, 0xB0,
    ];
    let cipher = [
        0x80, 0x13, 0x02, 0xFF, 0x8A, 0x78, 0x74, 0x13, 0x3D, 0x41, 0x4C, 0xED, 0x25, 0xB4, 0x25, 0x34, 0xD2,
        0x8D, 0xB0, 0x04, 0x77, 0x20, 0x60, 0x6B, 0x17, 0x5B, 0xD5, 0x22, 0x11, 0xBE, 0x68,
    ];
    let tag = [0x41, 0xDB, 0x20, 0x4D, 0x39, 0xEE, 0x6F, 0xDB, 0x8E, 0x35, 0x68, 0x55];
    let frame = seal(&plain, &keys, title, Security::BOTH, 0x0123_4567).unwrap();
    let parsed = CipheredFrame::parse(&frame).unwrap().unwrap();
    assert_eq!((parsed.content, parsed.tag), (&cipher[..], Some(tag)));
    assert_ne!(*keys.encryption(), ENCRYPTION);
}
