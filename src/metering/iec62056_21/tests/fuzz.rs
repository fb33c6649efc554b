//! Damaged answers at wrong times: the decoder stays small, finds what is good, and always asks again.

use super::super::frame::bcc;
use super::{IecDecoder, IecSimulator, Line, PIECES, PullSettings, START, SimulatedMode, Why, asking};
use crate::dice::{Dice, fuzz};
use crate::metering::channel::Channel;
use crate::metering::decoder::Decoder as _;
use crate::metering::reading::Reading;
use crate::metering::session::Said;
use crate::metering::telegram::Telegram;
use crate::time::{Span, Timestamp};

/// What breaks readers.
const WORDS: [&[u8]; 16] = [
    b"\x01",
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x06050\r\n",
    b"\x15",
    b"!",
    b"!\r\n",
    b"/",
    b"/SYN5X\r\n",
    b"/?!\r\n",
    b"\x01R1\x02",
    b"\x01P0\x02(1)\x03",
    b"(",
    b")",
    b"()()()()",
];

/// A block that is good, with a value of its own.
const GOOD: &str = "0.0.0(4711)\r\n1.8.0(000777.125*kWh)\r\n!\r\n";
const MOST_HELD: usize = 64 * 1024;

fn block(text: &str) -> Vec<u8> {
    let mut body = [text.as_bytes(), b"\x03"].concat();
    body.push(bcc(&body));
    [b"/SYN5X\r\n\x02", &body[..]].concat()
}

fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(4) {
        let at = dice.place(bytes.len());
        let end = (at + dice.place(60)).min(bytes.len());
        match dice.below(8) {
            0 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = dice.octet()),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => drop(bytes.splice(at..at, dice.one_of(&WORDS).iter().copied())),
            5 => bytes.truncate(at),
            6 => {
                let noise: Vec<u8> = (0..dice.below(200)).map(|_| dice.octet()).collect();
                drop(bytes.splice(at..end, noise));
            }
            // More than any block has.
            _ if dice.one_in(20) => drop(bytes.splice(at..at, vec![b'x'; 30_000])),
            _ => drop(bytes.splice(at..at, bytes.clone())),
        }
    }
}

fn outcomes(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Vec<Result<Telegram, Why>> {
    let mut decoder = IecDecoder::listening();
    let mut outcomes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece().min(rest.len()));
        decoder.push(now);
        outcomes.extend(
            std::iter::from_fn(|| decoder.next()).map(|outcome| outcome.map_err(|refused| refused.why)),
        );
        assert!(decoder.held() <= MOST_HELD, "{} bytes are held", decoder.held());
        rest = later;
    }
    outcomes
}

fn import(telegram: &Telegram) -> Option<String> {
    Reading::of(telegram, START).get(Channel::Import).map(|import| import.to_string())
}

#[test]
fn fuzz_a_good_block_behind_any_damage_is_found() {
    let mut meter = IecSimulator::new(SimulatedMode::D, START);
    let unframed = meter.speak(START).unwrap().bytes;
    let framed = block("1.8.0(5*kWh)2.8.0(6*kWh)\r\n1.6.1(5*kW)(1701011200)\r\n!\r\n");
    fuzz(|dice| {
        let mut bytes = dice.one_of(&[unframed.clone(), framed.clone(), [&unframed[..], &framed].concat()]);
        damage(dice, &mut bytes);
        bytes.extend(block(GOOD));
        let whole = outcomes(&bytes, || 4096);
        let found = whole.iter().flatten().filter(|telegram| import(telegram).as_deref() == Some("777125"));
        assert_eq!(found.count(), 1, "{}: {whole:?}", String::from_utf8_lossy(&bytes));
        for piece in PIECES {
            assert_eq!(outcomes(&bytes, || piece), whole, "in pieces of {piece}");
        }
        assert_eq!(outcomes(&bytes, || 1 + dice.place(300)), whole);
    });
}

/// Damages, delays, drops or doubles what a meter says.
fn hurt(dice: &mut Dice, said: &mut Vec<Said>) {
    match dice.below(6) {
        0 => said.clear(),
        1 => said.truncate(dice.place(said.len())),
        2 => said.extend(said.clone()),
        _ => {}
    }
    for said in said {
        if dice.one_in(2) {
            damage(dice, &mut said.bytes);
            // At 300 baud these take 100 s.
            said.bytes.truncate(3_000);
        }
        if dice.one_in(3) {
            said.after = Span::from_millis(i64::try_from(dice.below(4_000)).unwrap());
        }
        if let (Some(line), true) = (&mut said.line, dice.one_in(8)) {
            line.baud = 300;
        }
    }
}

#[test]
fn fuzz_the_meter_is_always_asked_again_and_read_when_it_is_good_again() {
    fuzz(|dice| {
        let mode = dice.one_of(&[SimulatedMode::A, SimulatedMode::B, SimulatedMode::C]);
        let mut meter = IecSimulator::new(mode, START);
        meter.slow = dice.one_in(4);
        let mut settings = PullSettings::every(Span::MINUTE);
        if dice.one_in(3) {
            settings.read = vec!["1.8.0".into(), "9.9.9".into(), "2.8.0".into()];
        }
        let (echoes, piece) = (dice.one_in(2), 1 + dice.place(100));
        let bad_until = START + Span::MINUTE * 10;
        let mut told_imports = Vec::new();
        let hear = |bytes: &[u8], baud: u32, at: Timestamp| {
            let mut said = meter.hear(bytes, baud, at);
            if at < bad_until {
                hurt(dice, &mut said);
            }
            if said.iter().any(|said| said.bytes.windows(6).any(|part| part == b"1.8.0(")) {
                told_imports.push(meter.reading().get(Channel::Import).map(|import| import.to_string()));
            }
            said
        };
        let mut line = Line::new(asking(settings), piece, Box::new(hear));
        line.echoes = echoes;
        line.until(Span::MINUTE * 10);
        assert!(line.sent.len() >= 8, "{:?}", line.texts());
        line.until(Span::MINUTE * 23);
        line.outcomes.clear();
        line.until(Span::MINUTE * 26);
        assert!(line.decoder.held() <= MOST_HELD);
        let read = line.telegrams().last().map(|telegram| import(telegram));
        let texts = line.texts();
        let told = format!("{mode:?} {texts:?} {:?}", line.outcomes);
        drop(line);
        // The last one may be on its way still.
        let read = read.unwrap_or_else(|| panic!("{told}"));
        assert!(told_imports.iter().rev().take(2).any(|import| *import == read), "{told}");
    });
}
