//! Meters that do not answer as they should.

use super::{Coming, Line, ModbusSimulator, PIECES, SOON, alike, built_in, code, meter_of, number, settings};
use crate::metering::decoder::{Act, Decoder as _, Why};
use crate::metering::modbus::ModbusDecoder;
use crate::metering::modbus::frame::framed;
use crate::time::Span;

const NO_SUCH: Why = Why::Exception { code: 2, meaning: "illegal data address" };

#[test]
fn a_register_that_the_meter_lacks_leaves_the_others() {
    let map = built_in("eastron-sdm630");
    let mut meter = meter_of(&map);
    meter.lack(code("1-0:54.7.0"));
    meter.lack(code("1-0:43.7.0"));
    let mut line = Line::new(settings(map.clone()), 64, |request| vec![(SOON, meter.hear(request))]);
    line.run_to(Span::from_seconds(9));
    assert_eq!(line.refused(), [&NO_SUCH], "it is told of once");
    assert_eq!(line.telegrams().len(), 1);
    assert_eq!(line.telegrams()[0].objects.len(), map.registers.len() - 1);
    assert_eq!(number(line.telegrams()[0], "1-0:43.7.0"), None);
    let first = line.sent.len();
    line.run_to(Span::from_seconds(19));
    let second = line.sent.len() - first;
    assert!(second < 8, "the halves that work stay whole: {:?}", &line.asked()[first..]);
    assert_eq!(line.refused().len(), 1);
    assert_eq!(line.telegrams().len(), 2);
    line.run_to(Span::HOUR - Span::SECOND);
    assert_eq!(line.refused().len(), 1);
    line.run_to(Span::HOUR + Span::from_seconds(25));
    assert_eq!(line.refused().len(), 2, "it is asked again after an hour, whether that has changed");
}

#[test]
fn a_meter_that_lacks_everything_is_not_asked_all_the_time() {
    let map = alike();
    let mut nothing = ModbusSimulator::untaught(1);
    let mut line = Line::new(settings(map), 64, |request| vec![(SOON, nothing.hear(request))]);
    line.run_to(Span::HOUR - Span::SECOND);
    assert_eq!((line.sent.len(), line.refused().len(), line.telegrams().len()), (4, 4, 0));
}

#[test]
fn a_meter_that_is_busy_is_asked_again_in_the_next_round() {
    let map = alike();
    let (mut meter, mut busy) = (meter_of(&map), true);
    let mut line = Line::new(settings(map), 64, |request: &[u8]| {
        let answer = if std::mem::take(&mut busy) { framed(vec![1, 0x84, 6]) } else { meter.hear(request) };
        vec![(SOON, answer)]
    });
    line.run_to(Span::from_seconds(15));
    assert_eq!(line.refused(), [&Why::Exception { code: 6, meaning: "server device busy" }]);
    let counts: Vec<usize> = line.telegrams().iter().map(|telegram| telegram.objects.len()).collect();
    assert_eq!(counts, [3, 4]);
}

#[test]
fn silence_is_told_once_a_round() {
    let mut line = Line::new(settings(alike()), 64, |_: &[u8]| Coming::new());
    line.run_to(Span::from_seconds(9));
    assert_eq!(line.told, [Err(Why::NoAnswer)]);
    // The first one twice; each time the time-out, and as long again.
    let times: Vec<i64> = line.sent.iter().map(|(at, _)| at.seconds()).collect();
    assert_eq!(times, [0, 2, 4, 6, 8]);
    assert_eq!(line.asked(), [(0, 1), (0, 1), (6, 1), (12, 1), (72, 1)]);
    line.run_to(Span::from_seconds(19));
    assert_eq!(line.told, [Err(Why::NoAnswer), Err(Why::NoAnswer)]);
}

#[test]
fn one_bad_answer_is_asked_for_again_in_the_same_round() {
    let good = framed(vec![1, 4, 2, 0, 11]);
    let mut damaged = good.clone();
    damaged[3] ^= 1;
    let crc = Why::Crc { found: 0xF7F8, expected: 0x67F9 };
    let content = |at, what: &str| Why::Content { at, what: what.to_owned() };
    for (answer, told) in [
        (vec![], vec![]),
        (damaged, vec![crc]),
        (good[..4].to_vec(), vec![Why::Cut]),
        (framed(vec![2, 4, 2, 0, 7]), vec![content(0, "unit 2 answers, 1 was asked")]),
        (framed(vec![1, 3, 2, 0, 7]), vec![content(1, "the answer is of function 3, 4 was asked")]),
        (
            framed(vec![1, 4, 4, 0, 7, 0, 7]),
            vec![content(2, "the answer has 4 bytes of registers, expected 2")],
        ),
        (
            [good.clone(), framed(vec![1, 4, 2, 0, 7])].concat(),
            vec![content(0, "two different answers came to one request")],
        ),
    ] {
        for piece in PIECES {
            let (mut meter, mut answer) = (meter_of(&alike()), Some(answer.clone()));
            let mut line = Line::new(settings(alike()), piece, |request: &[u8]| {
                vec![(SOON, answer.take().unwrap_or_else(|| meter.hear(request)))]
            });
            line.run_to(Span::from_seconds(9));
            assert_eq!(line.refused(), told.iter().collect::<Vec<_>>());
            assert_eq!(line.telegrams().len(), 1);
            let found: Vec<String> =
                super::values(line.telegrams()[0]).into_iter().map(|(_, value)| value).collect();
            assert_eq!(found, ["11", "12", "13", "14000"], "{told:?}");
        }
    }
}

#[test]
fn an_echo_and_noise_around_an_answer_are_passed_over() {
    for (before, after) in [(vec![], vec![0]), (vec![0, 0xFF, 0], vec![]), (vec![1, 4, 2], vec![0xFF; 3])] {
        for (echo, piece) in [(true, 1), (true, 64), (false, 1), (false, 64)] {
            let mut meter = meter_of(&alike());
            let mut line = Line::new(settings(alike()), piece, |request: &[u8]| {
                let echo = if echo { request.to_vec() } else { Vec::new() };
                let answer = [before.clone(), meter.hear(request), after.clone()].concat();
                vec![(Span::from_millis(1), echo), (SOON, answer)]
            });
            line.run_to(Span::from_seconds(9));
            assert_eq!(line.refused(), Vec::<&Why>::new());
            assert_eq!(line.sent.len(), 4);
            assert_eq!(line.telegrams()[0].objects.len(), 4);
        }
    }
}

#[test]
fn a_slow_line_may_take_longer_than_the_time_out_to_the_last_byte() {
    let map = built_in("eastron-sdm120");
    let mut meter = meter_of(&map);
    // It takes 900 ms to begin, and at 1200 baud its 165 bytes take 1.5 s.
    let mut line = Line::new(settings(map), 64, |request: &[u8]| {
        let byte = |(at, byte): (i64, u8)| (Span::from_millis(900 + 9 * at), vec![byte]);
        (0..).zip(meter.hear(request)).map(byte).collect()
    });
    line.run_to(Span::from_seconds(9));
    assert_eq!((line.refused().len(), line.telegrams().len()), (0, 1));
}

#[test]
fn a_line_that_is_never_silent_is_asked_again_and_holds_little_memory() {
    let mut decoder = ModbusDecoder::new(settings(alike()));
    let (mut now, mut sent) = (Span::ZERO, 0);
    for round in 0..100_000_u32 {
        match decoder.act(now) {
            Act::Send(_) => sent += 1,
            Act::Discard | Act::ListenUntil(_) | Act::Rest(_) => {}
            act @ (Act::Listen | Act::Set(_)) => panic!("{act:?}"),
        }
        decoder.push(&round.to_be_bytes());
        decoder.quiet();
        now = now + Span::from_millis(5);
        assert!(decoder.held() <= 64 * 1024);
        if round % 1_000 == 0 {
            while decoder.next().is_some() {}
        }
    }
    // 3 s to wait for the answer and 3 s to throw it away, and 500 s in all.
    assert!((70..=90).contains(&sent), "{sent}");
}
