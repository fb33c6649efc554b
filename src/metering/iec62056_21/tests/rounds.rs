//! Whole rounds with a simulated meter: order, times, repeats, and what is done when nothing comes.

use super::super::frame::bcc;
use super::{
    HOUR, IecDecoder, IecSimulator, Line, Meter, PIECES, PullSettings, START, SimulatedMode, Why, asking,
    simulated,
};
use crate::metering::channel::Channel;
use crate::metering::decoder::Decoder as _;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::metering::session::Said;
use crate::metering::telegram::ObjectValue;
use crate::openadr::message::DataQuality;
use crate::time::Span;

/// A meter that says this, one after the other; what it hears does not matter.
fn script(texts: &[&[u8]]) -> Meter<'static> {
    let mut texts = texts.iter().map(|text| text.to_vec()).collect::<Vec<_>>().into_iter();
    Box::new(move |_, _, _| {
        let said = |bytes| Said { after: Span::from_millis(200), line: None, bytes };
        texts.next().into_iter().filter(|text| !text.is_empty()).map(said).collect()
    })
}

fn block(text: &str) -> Vec<u8> {
    let mut body = [text.as_bytes(), b"\x03"].concat();
    body.push(bcc(&body));
    [b"\x02", &body[..]].concat()
}

#[test]
fn every_mode_is_read_in_pieces_of_any_size_and_with_an_echo() {
    for (mode, sent) in [
        (SimulatedMode::A, &["/?!\r\n"][..]),
        (SimulatedMode::B, &["/?!\r\n"]),
        (SimulatedMode::C, &["/?!\r\n", "\x06050\r\n"]),
    ] {
        for (piece, echoes) in PIECES.into_iter().flat_map(|piece| [(piece, false), (piece, true)]) {
            let mut meter = IecSimulator::new(mode, START);
            let mut line = Line::new(asking(PullSettings::every(HOUR)), piece, simulated(&mut meter));
            line.echoes = echoes;
            line.until(Span::MINUTE);
            let [Ok(telegram)] = &line.outcomes[..] else { panic!("{mode:?}: {:?}", line.outcomes) };
            let telegram = telegram.clone();
            assert_eq!(line.texts(), sent, "{mode:?}");
            drop(line);
            let read = Reading::of(&telegram, START);
            let expected = Reading { at: START, meter: Some("12345678".into()), ..meter.reading() };
            assert_eq!(read, expected, "{mode:?}");
        }
    }
}

#[test]
fn a_meter_that_speaks_by_itself_is_listened_to() {
    let mut meter = IecSimulator::new(SimulatedMode::D, START);
    assert_eq!(meter.hear(b"/?!\r\n", 300, START), []);
    let mut decoder = IecDecoder::listening();
    for second in 0..3 {
        let at = START + Span::from_seconds(second);
        decoder.push(&meter.speak(at).unwrap().bytes);
        let telegram = decoder.next().unwrap().unwrap();
        let good = if second == 0 { DataQuality::Uncertain } else { DataQuality::Good };
        assert_eq!(telegram.quality, good);
        assert_eq!(Reading::of(&telegram, at).get(Channel::Import), meter.reading().get(Channel::Import));
    }
}

#[test]
fn the_meter_is_asked_again_and_rests_between() {
    for (every, gap) in [(Span::from_seconds(60), 60), (Span::SECOND, 0)] {
        let mut meter = IecSimulator::new(SimulatedMode::C, START);
        let mut line = Line::new(asking(PullSettings::every(every)), 64, simulated(&mut meter));
        line.until(Span::MINUTE * 10);
        let begins: Vec<Span> =
            line.sent.iter().filter(|(_, _, text)| text.starts_with(b"/")).map(|(at, ..)| *at).collect();
        assert!(begins.len() >= 10 && line.outcomes.iter().all(Result::is_ok));
        for pair in begins.windows(2) {
            let pause = pair[1] - pair[0];
            // A round lasts about two seconds, and then there are five.
            assert!(
                pause == Span::from_seconds(gap) || gap == 0 && pause > Span::from_millis(6_500),
                "{pause}"
            );
            assert!(gap != 0 || pause < Span::from_seconds(10), "{pause}");
        }
    }
}

#[test]
fn who_does_not_answer_is_asked_again_soon_and_then_rarely() {
    let mut line =
        Line::new(asking(PullSettings::every(Span::MINUTE * 15)), 64, Box::new(|_, _, _| Vec::new()));
    line.until(HOUR);
    let seconds: Vec<i64> = line.sent.iter().map(|(at, ..)| at.seconds()).collect();
    assert_eq!(seconds, [0, 7, 14, 914, 1814, 2714]);
    assert_eq!(line.outcomes, vec![Err(Why::NoAnswer); 6]);
}

#[test]
fn a_meter_that_stays_at_the_first_speed_is_read_there() {
    let mut meter = IecSimulator::new(SimulatedMode::C, START);
    meter.slow = true;
    let mut line = Line::new(asking(PullSettings::every(Span::MINUTE)), 64, simulated(&mut meter));
    line.until(Span::MINUTE * 5);
    let texts = line.texts();
    assert_eq!(texts[..5], ["/?!\r\n", "\x06050\r\n", "/?!\r\n", "\x06000\r\n", "/?!\r\n"]);
    assert!(texts[5..].iter().all(|text| text != "\x06050\r\n"), "it is not tried again: {texts:?}");
    assert!(line.telegrams().len() >= 3, "{:?}", line.outcomes);
    assert!(line.sent.iter().all(|(_, baud, _)| *baud == 300));
}

#[test]
fn a_meter_that_stays_at_the_first_speed_is_programmed_there() {
    let mut meter = IecSimulator::new(SimulatedMode::C, START);
    meter.slow = true;
    let settings = PullSettings { read: vec!["1.8.0".into()], ..PullSettings::every(Span::MINUTE) };
    let mut line = Line::new(asking(settings), 64, simulated(&mut meter));
    line.until(Span::MINUTE);
    let texts = line.texts();
    assert_eq!(texts[..5], ["/?!\r\n", "\x06051\r\n", "\x01B0\x03q", "/?!\r\n", "\x06001\r\n"]);
    assert_eq!(line.telegrams().len(), 1, "{texts:?} {:?}", line.outcomes);
}

#[test]
fn a_damaged_block_is_asked_for_three_times_and_then_everything_again() {
    let mut meter = IecSimulator::new(SimulatedMode::C, START);
    let mut line = Line::new(
        asking(PullSettings::every(HOUR)),
        64,
        Box::new(move |bytes, baud, at| {
            let mut said = meter.hear(bytes, baud, at);
            for said in said.iter_mut().filter(|said| said.bytes.starts_with(b"\x02")) {
                said.bytes[20] ^= 1;
            }
            said
        }),
    );
    line.until(Span::from_seconds(40));
    let texts = line.texts();
    let round = ["/?!\r\n", "\x06050\r\n", "\x15", "\x15", "\x15", "/?!\r\n"];
    assert_eq!(texts[..6], round, "{texts:?}");
    assert_eq!(line.sent[5].1, 300);
    assert_eq!(line.sent[4].1, 9_600, "a block is asked for at its own speed");
    assert!(
        line.outcomes.iter().all(|outcome| matches!(outcome, Err(Why::Crc { .. }))),
        "{:?}",
        line.outcomes
    );
    assert_eq!(
        line.outcomes.len(),
        texts
            .iter()
            .filter(|text| *text == "\x15" || *text == "\x06050\r\n" || *text == "\x06000\r\n")
            .count()
    );
}

#[test]
fn a_block_that_breaks_off_is_asked_for_again() {
    let data = block("1.8.0(5*kWh)\r\n!\r\n");
    let mut line =
        Line::new(asking(PullSettings::every(HOUR)), 7, script(&[b"/SYN\\X\r\n\x021.8.0(5*kW", &data]));
    line.until(Span::MINUTE);
    assert_eq!(line.texts(), ["/?!\r\n", "\x15"]);
    assert_eq!(line.outcomes[0], Err(Why::Cut));
    assert!(line.outcomes[1].is_ok());
}

#[test]
fn addresses_are_read_in_programming_mode() {
    for (piece, echoes) in PIECES.into_iter().flat_map(|piece| [(piece, false), (piece, true)]) {
        let mut meter = IecSimulator::new(SimulatedMode::C, START);
        let read = ["1.8.0", "9.9.9", "2.8.0"].map(str::to_owned).to_vec();
        let settings = PullSettings { read, ..PullSettings::every(Span::from_seconds(30)) };
        let mut line = Line::new(asking(settings), piece, simulated(&mut meter));
        line.echoes = echoes;
        line.until(Span::from_seconds(20));
        let read = |address: &str| {
            let mut body = format!("R1\x02{address}()\x03").into_bytes();
            body.push(bcc(&body));
            format!("\x01{}", String::from_utf8(body).unwrap())
        };
        let sent = ["/?!\r\n", "\x06051\r\n", &read("1.8.0"), &read("9.9.9"), &read("2.8.0"), "\x01B0\x03q"];
        assert_eq!(line.texts(), sent);
        let [Err(Why::Content { what, .. }), Ok(telegram)] = &line.outcomes[..] else {
            panic!("{:?}", line.outcomes)
        };
        assert!(what.contains("(ER01)") && what.contains("9.9.9"), "{what}");
        let codes: Vec<ObisCode> = telegram.objects.iter().map(|object| object.code).collect();
        assert_eq!(codes, [ObisCode::electricity(1, 8, 0), ObisCode::electricity(2, 8, 0)]);
        line.until(Span::from_seconds(50));
        assert_eq!(line.telegrams().len(), 2, "the next round goes the same way");
    }
}

#[test]
fn a_value_without_its_address_is_that_of_the_request_and_silence_is_skipped() {
    let prompt = [&b"\x01P0"[..], &block("(1)")].concat();
    let mut prompt = prompt;
    let end = prompt.len() - 1;
    prompt[end] = bcc(&prompt[1..end]);
    let settings = PullSettings { read: vec!["1.8.0".into(), "2.8.0".into()], ..PullSettings::every(HOUR) };
    let value = block("(5.5*kWh)");
    let answers: &[&[u8]] = &[b"/SYN0X\r\n", &prompt, b"", b"", &value, b"", b"", b"", b"", b""];
    let mut line = Line::new(asking(settings), 64, script(answers));
    line.until(Span::MINUTE);
    let texts = line.texts();
    let count =
        |address: &str| texts.iter().filter(|text| text.contains(&format!("\x02{address}()"))).count();
    assert_eq!((count("1.8.0"), count("2.8.0")), (3, 4), "{texts:?}");
    assert_eq!(texts.last().unwrap(), "\x01B0\x03q");
    let [Err(Why::Content { what, .. }), Ok(telegram)] = &line.outcomes[..] else {
        panic!("{:?}", line.outcomes)
    };
    assert_eq!(what, "no answer to a request for 2.8.0");
    let ObjectValue::Number(value, Some(unit)) = &telegram.objects[0].value else { panic!("{telegram:?}") };
    assert_eq!((value.to_string(), unit.to_string()), ("5.5".into(), "kWh".into()));
}

#[test]
fn a_meter_with_a_battery_is_woken_up_and_asked_rarely() {
    let mut meter = IecSimulator::new(SimulatedMode::B, START);
    let settings = PullSettings { wake_up: true, ..PullSettings::every(Span::MINUTE) };
    let mut line = Line::new(asking(settings), 64, simulated(&mut meter));
    line.until(HOUR * 3 - Span::MINUTE);
    let rounds: Vec<_> = line.sent.chunks(2).collect();
    assert_eq!(rounds.len(), 3);
    for (hour, round) in (0..).zip(rounds) {
        let [(woken, 300, zeros), (asked, 300, _)] = round else { panic!("{round:?}") };
        assert_eq!(*woken, HOUR * hour);
        assert!(zeros.len() == 66 && zeros.iter().all(|byte| *byte == 0));
        // 66 bytes take 2.2 s, and then there is a pause.
        assert_eq!(*asked - *woken, Span::from_millis(3_800));
    }
    assert_eq!(line.telegrams().len(), 3);
}

#[test]
fn a_small_third_letter_makes_the_host_fast() {
    for (name, millis) in [(&b"/SYN5X\r\n"[..], 300), (b"/SYn5X\r\n", 20)] {
        let mut line = Line::new(asking(PullSettings::every(HOUR)), 64, script(&[name]));
        line.until(Span::from_seconds(3));
        // The request has 5 bytes, the identification 8; between them the meter takes 200 ms.
        let heard = Span::from_micros(13 * 10_000_000 / 300) + Span::from_millis(200);
        let reacted = line.sent[1].0 - heard;
        assert!((reacted - Span::from_millis(millis)).abs() < Span::from_millis(2), "{reacted}");
    }
}

#[test]
fn a_fixed_speed_and_a_device_address_are_kept() {
    let data = block("1.8.0(5*kWh)\r\n!\r\n");
    let settings =
        PullSettings { fixed_baud: Some(2_400), address: "007".into(), ..PullSettings::every(HOUR) };
    let mut line = Line::new(asking(settings), 64, script(&[b"/SYN5X\r\n", &data]));
    line.until(Span::MINUTE);
    assert_eq!(line.texts(), ["/?007!\r\n", "\x06050\r\n"]);
    assert!(line.sent.iter().all(|(_, baud, _)| *baud == 2_400));
    assert_eq!(line.telegrams().len(), 1);
}

#[test]
fn data_without_a_checksum_are_believed_until_one_has_come() {
    let lines = b"/SYN\\X\r\n\x021.8.0(5*kWh)\r\n!\r\n";
    let checked = [&b"/SYN\\X\r\n"[..], &block("1.8.0(6*kWh)\r\n!\r\n")].concat();
    let settings = PullSettings::every(Span::from_seconds(20));
    let mut line = Line::new(asking(settings), 64, script(&[lines, lines, &checked, lines]));
    line.until(Span::from_seconds(70));
    let qualities: Vec<_> =
        line.outcomes.iter().map(|outcome| outcome.as_ref().map(|t| t.quality.clone())).collect();
    assert_eq!(
        qualities,
        [Ok(DataQuality::Uncertain), Ok(DataQuality::Good), Ok(DataQuality::Good), Err(&Why::CrcMissing)]
    );
}

#[test]
fn text_without_any_number_is_no_reading_unless_it_has_a_checksum() {
    let mut decoder = IecDecoder::listening();
    decoder.push(b"/SYN5X\r\nF.F(00)\r\n!\r\n");
    assert_eq!(decoder.next().unwrap().unwrap_err().why, Why::Cut);
    decoder.push(&block("F.F(00)\r\n!\r\n"));
    assert_eq!(decoder.next().unwrap().unwrap().quality, DataQuality::Good);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let usual = || PullSettings::every(HOUR);
    for (settings, text) in [
        (PullSettings { address: "1!\r\n".into(), ..usual() }, "device address"),
        (PullSettings { address: "1".repeat(33), ..usual() }, "device address"),
        (PullSettings { read: vec!["1.8.0(".into()], ..usual() }, "is none of a data set"),
        (PullSettings { read: vec![String::new()], ..usual() }, "is none of a data set"),
        (PullSettings { start_baud: 0, ..usual() }, "0 bits per second"),
        (PullSettings { fixed_baud: Some(1_000_000), ..usual() }, "1000000 bits"),
    ] {
        let error = IecDecoder::asking(settings).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
