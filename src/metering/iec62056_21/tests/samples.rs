//! Recorded sessions: what another implementation reads in them, ours does.
//!
//! The samples lie beside the project and are read where they lie.

use serde_json::Value as Json;

use super::super::objects;
use super::{HOUR, IecDecoder, Line, PIECES, PullSettings, asking};
use crate::metering::decoder::{Decoder as _, Why};
use crate::metering::session::{Player, Session, Side, Step};
use crate::metering::telegram::{ObjectValue, Telegram};
use crate::openadr::message::{DataQuality, Decimal};
use crate::test_support::samples;
use crate::time::Span;

/// The session of that name, and what is expected of it.
fn sample(name: &str) -> Option<(Session, Json)> {
    let file = samples("meters/samples")?.join(format!("{name}.session.json"));
    let session = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let expected = file.with_extension("json.expected.json");
    Some((session, serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap()))
}

/// Plays a session once, with what a reader must know beforehand.
fn played(
    session: &Session,
    settings: &PullSettings,
    piece: usize,
) -> (Vec<Result<Telegram, Why>>, Vec<String>) {
    let mut player = Player::new(session).unwrap();
    let meter = Box::new(|bytes: &[u8], _, _| player.hear(bytes));
    let mut line = Line::new(asking(settings.clone()), piece, meter);
    line.until(Span::MINUTE * 4);
    let outcomes = std::mem::take(&mut line.outcomes);
    let texts = line.texts();
    drop(line);
    (outcomes, texts)
}

/// What the telegram says otherwise than expected; addresses are compared by their codes, which are tested elsewhere.
fn differences(telegram: &Telegram, expected: &Json, heat: bool) -> Vec<String> {
    let sets = expected.as_array().unwrap();
    let mut wrong = Vec::new();
    if telegram.objects.len() != sets.len() {
        wrong.push(format!("{} objects", telegram.objects.len()));
    }
    for (object, set) in telegram.objects.iter().zip(sets) {
        let address = set["address"].as_str().unwrap();
        let part = |part: &Json| {
            let unit = part["unit"].as_str().map_or_else(String::new, |unit| format!("*{unit}"));
            format!("{}{unit}", part["value"].as_str().unwrap())
        };
        let more = set["more"].as_array().into_iter().flatten().map(|more| format!("&{}", part(more)));
        let text = part(set) + &more.collect::<String>();
        let right = match &object.value {
            ObjectValue::Text(found) => *found == text,
            ObjectValue::Number(value, unit) => {
                *value == Decimal::from_str_exact(set["value"].as_str().unwrap()).unwrap()
                    && set["unit"].as_str().is_none_or(|text| {
                        let shown = unit.map(|unit| unit.to_string()).unwrap_or_default();
                        shown.eq_ignore_ascii_case(text) || (shown == "m3/h" && text == "m3ph")
                    })
            }
        };
        if !right || objects::code(address, heat) != Some(object.code) {
            wrong.push(format!("{object:?} is not {set}"));
        }
    }
    wrong
}

#[test]
fn modes_b_c_and_e_are_read_as_expected() {
    for name in ["iec-b-syn", "iec-c-syn-bad-bcc-retry", "iec-e-actaris-ace3000"] {
        let Some((session, expected)) = sample(name) else { return };
        for piece in PIECES {
            let settings = PullSettings { address: session.device(), ..PullSettings::every(HOUR) };
            let (outcomes, sent) = played(&session, &settings, piece);
            let good: Vec<&Telegram> = outcomes.iter().flatten().collect();
            let [telegram] = good[..] else { panic!("{name}: {outcomes:?}") };
            assert_eq!(differences(telegram, &expected["sets"], false), Vec::<String>::new(), "{name}");
            let bad: Vec<bool> =
                expected["blocks_bcc"].as_array().unwrap().iter().map(|b| b["ok"] == false).collect();
            let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Why::Crc { .. }))).count();
            assert_eq!(refused, bad.iter().filter(|bad| **bad).count(), "{name}: {outcomes:?}");
            assert_eq!(sent.iter().filter(|text| *text == "\x15").count(), refused, "{name}: {sent:?}");
            let asked =
                session.steps.iter().filter(|step| matches!(step, Step::Said { from: Side::Host, .. }));
            assert_eq!(sent.len(), asked.count(), "{name}: {sent:?}");
        }
    }
}

#[test]
fn heat_meters_with_a_checksum_of_their_own_are_read_if_told_so() {
    for (name, heat) in [("iec-c-siemens-heat-2wr5", true), ("iec-c-lgz-zmd410", true)] {
        let Some((session, expected)) = sample(name) else { return };
        let siemens = name.contains("siemens");
        let address = if siemens { "Bla0" } else { "" };
        let strict = PullSettings { address: address.into(), wake_up: siemens, ..PullSettings::every(HOUR) };
        let trusting = PullSettings { ignore_bcc: true, ..strict.clone() };
        for piece in PIECES {
            let (outcomes, sent) = played(&session, &strict, piece);
            assert!(matches!(&outcomes[..], [Err(Why::Crc { .. }), ..]), "{name}: {outcomes:?}");
            assert!(outcomes.iter().all(Result::is_err), "{name}: {outcomes:?}");
            assert!(sent.contains(&"\x15".to_owned()), "it is asked again");
            let (outcomes, _) = played(&session, &trusting, piece);
            let [Ok(telegram)] = &outcomes[..] else { panic!("{name}: {outcomes:?}") };
            assert_eq!(differences(telegram, &expected["sets"], heat), Vec::<String>::new(), "{name}");
            assert_eq!(telegram.quality, DataQuality::Uncertain);
            assert_eq!(telegram.meter.as_deref(), Some("00010213"));
        }
    }
}

#[test]
fn mode_d_is_read_as_expected() {
    let Some((session, expected)) = sample("iec-d-emh-ehz-2x") else { return };
    let said = Player::new(&session).unwrap().speak();
    let bytes: Vec<u8> = said.into_iter().flat_map(|said| said.bytes).collect();
    for piece in PIECES {
        let mut decoder = IecDecoder::listening();
        let mut telegrams = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            telegrams.extend(std::iter::from_fn(|| decoder.next()).map(Result::unwrap));
        }
        assert_eq!(telegrams.len(), 2);
        for (telegram, expected) in telegrams.iter().zip(expected["telegrams"].as_array().unwrap()) {
            assert_eq!(differences(telegram, expected, false), Vec::<String>::new());
        }
        assert_eq!(telegrams[0].meter.as_deref(), Some("0000680476"));
        assert_eq!(telegrams[0].quality, DataQuality::Uncertain);
        assert_eq!(telegrams[1].quality, DataQuality::Good);
    }
}

#[test]
fn the_filler_behind_a_telegram_is_none() {
    let Some(folder) = samples("meters/samples") else { return };
    let bytes = std::fs::read(folder.join("p1-de-easymeter-q3d-d0push.txt")).unwrap();
    let mut decoder = IecDecoder::listening();
    decoder.push(&bytes);
    let telegram = decoder.next().unwrap().unwrap();
    assert_eq!(telegram.objects.len(), 9);
    assert!(decoder.next().is_none());
}
