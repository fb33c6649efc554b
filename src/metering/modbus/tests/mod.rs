//! A meter at the end of a line, in virtual time.

mod faults;
mod fuzz;
mod late;
mod maps;
mod recorded;
mod rounds;
mod samples;
mod shared;
mod simulated;

use std::collections::VecDeque;

use super::frame::Request;
use super::{ModbusDecoder, ModbusSettings, ModbusSimulator, RegisterMap};
use crate::metering::decoder::{Act, Decoder as _, Why};
use crate::metering::obis::ObisCode;
use crate::metering::telegram::Telegram;
use crate::openadr::message::Decimal;
use crate::time::Span;

/// In pieces of these sizes bytes come from a line.
const PIECES: [usize; 4] = [1, 7, 64, 4096];
/// A meter answers after this.
const SOON: Span = Span::from_millis(30);

/// Bytes that come, and when.
type Coming = Vec<(Span, Vec<u8>)>;

/// Asks a meter that is at the end of a line.
struct Line<M> {
    decoder: ModbusDecoder,
    /// What comes to a request, and how long after it.
    meter: M,
    /// Bytes come in pieces of this size.
    piece: usize,
    now: Span,
    coming: VecDeque<(Span, Vec<u8>)>,
    /// Every request, and when it went out.
    sent: Vec<(Span, Request)>,
    told: Vec<Result<Telegram, Why>>,
}

impl<M: FnMut(&[u8]) -> Coming> Line<M> {
    fn new(settings: ModbusSettings, piece: usize, meter: M) -> Self {
        let decoder = ModbusDecoder::new(settings);
        let (coming, sent, told) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { decoder, meter, piece, now: Span::ZERO, coming, sent, told }
    }

    /// Lets the time go on.
    fn run_to(&mut self, end: Span) {
        loop {
            let act = self.decoder.act(self.now);
            self.take();
            match act {
                Act::Send(bytes) => self.send(&bytes),
                Act::Discard => self.coming.retain(|(at, _)| *at > self.now),
                Act::ListenUntil(until) | Act::Rest(until) => {
                    let next = self.coming.front().map(|(at, _)| *at).filter(|at| *at <= until);
                    let at = next.unwrap_or(until).max(self.now);
                    if at > end {
                        self.now = end;
                        return;
                    }
                    let waits = matches!(act, Act::ListenUntil(_));
                    assert!(next.is_some() || at > self.now || !waits, "it waits for what is over");
                    self.now = at;
                    if next.is_some() {
                        let (_, bytes) = self.coming.pop_front().unwrap();
                        self.decoder.push(&bytes);
                        self.take();
                    }
                }
                act @ (Act::Listen | Act::Set(_)) => panic!("{act:?}"),
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let request = Request::read(bytes.try_into().unwrap()).unwrap();
        self.sent.push((self.now, request));
        for (after, bytes) in (self.meter)(bytes) {
            let at = self.now + after;
            self.coming.extend(bytes.chunks(self.piece).map(|piece| (at, piece.to_vec())));
        }
        self.coming.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    fn take(&mut self) {
        let told = std::iter::from_fn(|| self.decoder.next());
        self.told.extend(told.map(|outcome| outcome.map_err(|refused| refused.why)));
    }

    /// The telegrams among what was told.
    fn telegrams(&self) -> Vec<&Telegram> {
        self.told.iter().flatten().collect()
    }

    /// What was refused.
    fn refused(&self) -> Vec<&Why> {
        self.told.iter().filter_map(|outcome| outcome.as_ref().err()).collect()
    }

    /// Addresses and counts of what was asked for.
    fn asked(&self) -> Vec<(u16, u16)> {
        self.sent.iter().map(|(_, request)| (request.address, request.count)).collect()
    }
}

fn built_in(name: &str) -> RegisterMap {
    RegisterMap::built_in(name).unwrap().unwrap()
}

/// Asks unit 1 each 10 s.
fn settings(map: RegisterMap) -> ModbusSettings {
    ModbusSettings {
        unit: 1,
        map,
        interval: Span::from_seconds(10),
        time_out: ModbusSettings::TIME_OUT,
        invert: false,
    }
}

/// Four numbers that look alike, each in a block of its own.
fn alike() -> RegisterMap {
    let text = r#"
        name = "alike"
        serial = { baud = 9600, framing = "8N1" }
        function = 4
        type = "u16"
        registers = [
            { name = "L1 voltage", obis = "1-0:32.7.0", address = 0, unit = "V" },
            { name = "L1 current", obis = "1-0:31.7.0", address = 6, unit = "A" },
            { name = "power", obis = "1-0:16.7.0", address = 12, unit = "W", type = "i16" },
            { name = "import", obis = "1-0:1.8.0", address = 72, unit = "kWh" },
        ]
    "#;
    RegisterMap::parse(text).unwrap()
}

/// A meter in which each register holds another number.
fn meter_of(map: &RegisterMap) -> ModbusSimulator {
    let mut meter = ModbusSimulator::new(1, map);
    for (register, number) in map.registers.iter().zip(11..) {
        assert!(meter.set(register.code, base(register.code, map, number)), "{}", register.name);
    }
    meter
}

/// So many steps of the register, in Wh, W, V, A...
fn base(code: ObisCode, map: &RegisterMap, steps: i64) -> Decimal {
    let register = map.registers.iter().find(|register| register.code == code).unwrap();
    let value = Decimal::from(steps) * register.scale;
    register.unit.map_or(value, |unit| unit.in_base(value).unwrap())
}

fn values(telegram: &Telegram) -> Vec<(String, String)> {
    let value = |code| telegram.number(code).unwrap().normalize().to_string();
    telegram.objects.iter().map(|object| (object.code.to_string(), value(object.code))).collect()
}

fn code(text: &str) -> ObisCode {
    ObisCode::parse(text).unwrap()
}

/// A number of a telegram in Wh, W, V, A...
fn number(telegram: &Telegram, text: &str) -> Option<String> {
    telegram.number(code(text)).map(|number| number.normalize().to_string())
}
