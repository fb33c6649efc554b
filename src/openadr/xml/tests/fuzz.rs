//! Damaged messages: whatever is read from them can be written, and read again as the same.

use proptest::strategy::{Strategy as _, ValueTree as _};

use crate::dice::{Dice, fuzz};
use crate::openadr::message::PayloadKind;
use crate::openadr::message::arbitrary::payload_of;
use crate::openadr::xml::{Canonicalization, Document, Limits, decode_document, encode};

/// What breaks readers.
const WORDS: &[&str] = &[
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "/>",
    "</",
    "<a>",
    "<",
    ">",
    "&",
    "&#x0;",
    "&#13;",
    "&amp;",
    "&lt;",
    "&x;",
    " xmlns=''",
    " xmlns:a='urn:a'",
    " xml:id='a'",
    "a:",
    ":",
    "\"",
    "'",
    "=",
    "\0",
    "\r\n",
    "\t",
    "\u{FEFF}",
    "\u{1F50C}",
    "<!DOCTYPE a>",
    "NaN",
    "INF",
    "-INF",
    "1e400",
    "-0",
    "0.1",
    "99999999999999999999",
    "-1",
    "4294967296",
    "PT0S",
    "P",
    "-P1D",
    "P1Y2M3DT4H5M6S",
    "1W",
    "PT1.5S",
    "2030-01-01T00:00:00Z",
    "2030-02-30T25:00:00+24:00",
    "true",
    "0",
    "None",
    "optIn",
    "x-x",
];

/// Messages of every kind, as we write them, in both envelopes.
fn corpus() -> Vec<Vec<u8>> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut all = Vec::new();
    for kind in PayloadKind::ALL {
        for _ in 0..4 {
            let object = encode(&payload_of(*kind).new_tree(&mut runner).unwrap().current());
            all.extend([object.unsigned().into_bytes(), object.signed("").into_bytes()]);
        }
    }
    all
}

/// Damages octets in some places; `others` lend pieces.
pub(in crate::openadr) fn damage(dice: &mut Dice, octets: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=dice.below(4) {
        let at = dice.place(octets.len());
        let end = (at + dice.place(40)).min(octets.len());
        match dice.below(7) {
            0 => octets[at..end].iter_mut().take(1).for_each(|octet| *octet ^= 1 << dice.below(8)),
            1 => octets[at..end].iter_mut().take(1).for_each(|octet| *octet = dice.octet()),
            2 => drop(octets.drain(at..end)),
            3 => drop(octets.splice(at..at, octets[at..end].to_vec())),
            4 => drop(octets.splice(at..at, dice.one_of(WORDS).bytes())),
            5 => replace_text(dice, octets),
            _ => {
                let other = &others[dice.place(others.len())];
                let from = dice.place(other.len());
                let to = (from + dice.place(400)).min(other.len());
                drop(octets.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
}

/// Puts another text between two tags, which keeps the document well-formed.
fn replace_text(dice: &mut Dice, octets: &mut Vec<u8>) {
    let start = dice.place(octets.len());
    let Some(from) = octets[start..].iter().position(|octet| *octet == b'>').map(|at| start + at + 1) else {
        return;
    };
    let Some(to) = octets[from..].iter().position(|octet| *octet == b'<').map(|at| from + at) else { return };
    drop(octets.splice(from..to, dice.one_of(WORDS).bytes()));
}

#[test]
fn fuzz_what_is_read_is_written_and_read_again_the_same() {
    let corpus = corpus();
    let mut read = 0_u32;
    fuzz(|dice| {
        let mut octets = corpus[dice.place(corpus.len())].clone();
        damage(dice, &mut octets, &corpus);
        let Ok(document) = Document::parse(&octets, &Limits::VEN) else { return };
        let canonical = Canonicalization::DEFAULT.of_document(&document);
        let again = Document::parse(&canonical, &Limits::VTN).unwrap();
        assert_eq!(
            Canonicalization::DEFAULT.of_document(&again),
            canonical,
            "the canonical form is canonical"
        );
        let Ok(message) = decode_document(&octets, &Limits::VEN) else { return };
        read += 1;
        let written = encode(&message).unsigned();
        let again = decode_document(written.as_bytes(), &Limits::VTN);
        // NaN is not equal to itself, but looks the same.
        assert_eq!(
            format!("{again:?}"),
            format!("{:?}", Ok::<_, ()>(message)),
            "{}",
            String::from_utf8_lossy(&octets)
        );
    });
    assert!(read > 0, "some damage is harmless");
}
