//! Several meters on one line, in virtual time.

use std::collections::VecDeque;

use super::{ModbusDecoder, ModbusSimulator, SOON, alike, settings, values};
use crate::metering::decoder::{Act, Decoder, Why};
use crate::metering::modbus::frame::Request;
use crate::metering::telegram::Telegram;
use crate::metering::turns::Turns;
use crate::time::Span;

/// As on a line of 9600 baud.
const SILENCE: Span = Span::from_millis(4);

/// Meters of units from 1 on a line on which everyone hears everything.
struct Shared {
    turns: Turns,
    /// `None`: that one is dead.
    meters: Vec<Option<ModbusSimulator>>,
    /// What is sent comes back.
    echo: bool,
    now: Span,
    coming: VecDeque<(Span, Vec<u8>)>,
    /// Every request: when it went out, and to whom.
    sent: Vec<(Span, u8)>,
    /// When the last byte was on the line.
    busy_at: Span,
    /// Whose outcomes, and when.
    told: Vec<(Span, usize, Result<Telegram, Why>)>,
}

/// Meters of units from 1; what each holds is its own.
fn meters(count: u8) -> Vec<Option<ModbusSimulator>> {
    (1..=count).map(|unit| Some(meter(unit))).collect()
}

fn meter(unit: u8) -> ModbusSimulator {
    let map = alike();
    let mut meter = ModbusSimulator::new(unit, &map);
    for (register, number) in map.registers.iter().zip(1..) {
        let steps = 10 * i64::from(unit) + number;
        assert!(meter.set(register.code, super::base(register.code, &map, steps)));
    }
    meter
}

impl Shared {
    fn new(meters: Vec<Option<ModbusSimulator>>) -> Self {
        let decoder = |unit| {
            let settings = super::ModbusSettings { unit, ..settings(alike()) };
            Box::new(ModbusDecoder::new(settings)) as Box<dyn Decoder>
        };
        let units = 1..=u8::try_from(meters.len()).unwrap();
        Self {
            turns: Turns::new(units.map(decoder), SILENCE),
            meters,
            echo: false,
            now: Span::ZERO,
            coming: VecDeque::new(),
            sent: Vec::new(),
            busy_at: -Span::SECOND,
            told: Vec::new(),
        }
    }

    fn run_to(&mut self, end: Span) {
        loop {
            let act = self.turns.act(self.now);
            self.take();
            match act {
                Act::Send(bytes) => self.send(&bytes),
                Act::Discard => self.coming.retain(|(at, _)| *at > self.now),
                Act::ListenUntil(until) => {
                    let next = self.coming.front().map(|(at, _)| *at).filter(|at| *at <= until);
                    let at = next.unwrap_or(until).max(self.now);
                    if at > end {
                        self.now = end;
                        return;
                    }
                    self.now = at;
                    if next.is_some() {
                        let (_, bytes) = self.coming.pop_front().unwrap();
                        self.busy_at = self.now;
                        self.turns.push(&bytes);
                        self.take();
                    }
                }
                act @ (Act::Listen | Act::Set(_) | Act::Rest(_)) => panic!("{act:?}"),
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        assert!(self.coming.is_empty(), "somebody still speaks");
        assert!(self.now - self.busy_at >= SILENCE, "the line was silent too short at {:?}", self.now);
        let request = Request::read(bytes.try_into().unwrap()).unwrap();
        self.sent.push((self.now, request.unit));
        self.busy_at = self.now;
        if self.echo {
            self.coming
                .extend(bytes.chunks(3).map(|piece| (self.now + Span::from_millis(1), piece.to_vec())));
        }
        for meter in self.meters.iter_mut().flatten() {
            let said = meter.hear(bytes);
            self.coming.extend(said.chunks(3).map(|piece| (self.now + SOON, piece.to_vec())));
        }
    }

    fn take(&mut self) {
        while let Some((at, outcome)) = self.turns.next() {
            self.told.push((self.now, at, outcome.map_err(|refused| refused.why)));
        }
    }

    /// Seconds of the good telegrams of a meter, which must be its own and whole.
    fn good(&self, at: usize) -> Vec<i64> {
        let of = self.told.iter().filter(|(_, of, _)| *of == at);
        let good = of.filter_map(|(when, _, outcome)| Some((when, outcome.as_ref().ok()?)));
        good.map(|(when, telegram)| {
            let found: Vec<String> = values(telegram).into_iter().map(|(_, value)| value).collect();
            let own = |number: usize| 10 * (at + 1) + number;
            let expected = [own(1), own(2), own(3), 1000 * own(4)].map(|value| value.to_string());
            assert_eq!(found, expected, "of meter {at}");
            when.seconds()
        })
        .collect()
    }

    /// When a unit was asked from that time on.
    fn asked(&self, unit: u8, from: i64) -> Vec<Span> {
        let of = self.sent.iter().filter(|(at, asked)| *asked == unit && at.seconds() >= from);
        of.map(|(at, _)| *at).collect()
    }
}

#[test]
fn meters_are_asked_in_turn_and_each_gets_what_is_its_own() {
    let mut line = Shared::new(meters(3));
    line.run_to(Span::from_seconds(25));
    let units: Vec<u8> = line.sent.iter().map(|(_, unit)| *unit).take(7).collect();
    assert_eq!(units, [1, 2, 3, 1, 2, 3, 1], "one exchange each");
    for meter in 0..3 {
        assert_eq!(line.good(meter), [0, 10, 20], "of meter {meter}");
    }
    assert_eq!(line.told.len(), 9);
}

#[test]
fn a_dead_meter_costs_less_and_less_and_the_others_are_read_as_ever() {
    for echo in [false, true] {
        let mut meters = meters(3);
        meters[1] = None;
        let mut line = Shared::new(meters);
        line.echo = echo;
        line.run_to(Span::from_seconds(605));
        for meter in [0, 2] {
            let good = line.good(meter);
            assert!(good.len() >= 59, "meter {meter}: {}", good.len());
            // An exchange that is waited for takes two seconds.
            assert!(good.windows(2).all(|two| two[1] - two[0] <= 10 + 2 + 1), "{good:?}");
        }
        let asked: Vec<i64> = line.asked(2, 0).iter().map(|at| at.seconds()).collect();
        assert_eq!(asked[..7], [0, 3, 7, 13, 23, 41, 75], "each time twice as long");
        assert!(asked[7..].windows(2).all(|two| (60..=65).contains(&(two[1] - two[0]))), "{asked:?}");
        let told = line.told.iter().filter(|(_, at, _)| *at == 1);
        assert!(told.clone().all(|(_, _, outcome)| *outcome == Err(Why::NoAnswer)));
        assert!(told.count() >= 2, "it is told of");
        line.meters[1] = Some(meter(2));
        line.run_to(Span::from_seconds(705));
        let good = line.good(1);
        assert!(
            good.last().is_some_and(|last| *last >= 690) && good.len() >= 3,
            "it is found again: {good:?}"
        );
    }
}

#[test]
fn all_that_are_dead_are_asked_again_and_one_alone_always() {
    let mut line = Shared::new(vec![None, None]);
    line.run_to(Span::from_seconds(300));
    assert!(line.sent.len() < 30, "{}", line.sent.len());
    line.meters = meters(2);
    line.run_to(Span::from_seconds(400));
    assert!(!line.good(0).is_empty() && !line.good(1).is_empty());
    let mut alone = Shared::new(vec![None]);
    alone.run_to(Span::from_seconds(300));
    assert_eq!(alone.sent.len(), 150, "nobody else waits");
}

#[test]
fn one_that_is_only_slow_keeps_its_turn() {
    let mut line = Shared::new(meters(2));
    // It babbles where it should answer: that is not for the other one.
    line.meters[1] = None;
    line.run_to(Span::from_millis(60));
    line.coming.push_back((Span::from_millis(900), vec![2, 4, 2, 0]));
    line.run_to(Span::from_seconds(3));
    let why: Vec<_> = line.told.iter().filter(|(_, at, _)| *at == 1).map(|(_, _, outcome)| outcome).collect();
    assert_eq!(why, [&Err(Why::Cut)]);
    // What it said is a sign of life: it is asked again at once.
    assert!(line.asked(2, 0)[1] < Span::from_millis(2_300), "{:?}", line.sent);
    line.run_to(Span::from_seconds(9));
    assert_eq!(line.good(0), [4]);
}
