//! A line that garbles what it carries unless it is set right, in virtual time.

use std::io;

use super::line::Line;
use super::search::{Search, Verdict};
use super::section;
use crate::config::MeterSource;
use crate::metering::{Framing, LineSettings, ModbusSimulator, ObisCode, RegisterMap, Simulator};
use crate::time::{Span, Timestamp};

/// Who is at the other end.
enum Meter {
    Nobody,
    /// P1, so often.
    P1(Box<Simulator>, Span),
    /// What makes no sense, so often.
    Noise(Span),
    Modbus(Box<ModbusSimulator>),
    Iec,
}

struct FakeLine {
    meter: Meter,
    /// How the meter speaks, and how we listen.
    spoken: LineSettings,
    set: LineSettings,
    now: Span,
    /// When the meter speaks next by itself.
    next: Span,
    answer: Vec<u8>,
}

impl FakeLine {
    fn new(meter: Meter, baud: u32, framing: Framing) -> Self {
        let spoken = LineSettings { baud, framing };
        // Ours was opened a while after the meter began.
        let next = Span::from_millis(3_300);
        Self { meter, spoken, set: spoken, now: Span::ZERO, next, answer: Vec::new() }
    }

    /// What is heard of what is said.
    fn heard(&self, bytes: Vec<u8>) -> Vec<u8> {
        let parity = |byte: u8| byte | (u8::try_from(byte.count_ones() % 2).unwrap() << 7);
        match (self.spoken.baud == self.set.baud, self.spoken.framing, self.set.framing) {
            (true, spoken, set) if spoken == set => bytes,
            // The parity stands where the eighth bit is.
            (true, Framing::SevenEven, Framing::EightNone) => bytes.into_iter().map(parity).collect(),
            (true, ..) => {
                bytes.iter().map(|byte| if byte.count_ones() % 2 == 0 { 0 } else { *byte }).collect()
            }
            (false, ..) => bytes.iter().step_by(3).map(|byte| byte.wrapping_mul(31) | 0x80).collect(),
        }
    }

    fn speech(&mut self) -> Option<(Vec<u8>, Span)> {
        match &mut self.meter {
            Meter::P1(simulator, every) => {
                Some((simulator.telegram(Timestamp::from_seconds(2_000_000_000) + self.next), *every))
            }
            Meter::Noise(every) => Some((b"\x01\x80~~~/ noise !\x1b\x1b\x1b\x1b".to_vec(), *every)),
            Meter::Nobody | Meter::Modbus(_) | Meter::Iec => None,
        }
    }
}

impl Line for FakeLine {
    async fn set(&mut self, line: LineSettings) -> io::Result<()> {
        self.set = line;
        self.answer.clear();
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.set == self.spoken {
            self.answer.extend(match &mut self.meter {
                Meter::Modbus(meter) => meter.hear(bytes),
                Meter::Iec if bytes == b"/?!\r\n" => b"/LGZ5\\2ZMD3104107.B32\r\n".to_vec(),
                Meter::Nobody | Meter::P1(..) | Meter::Noise(_) | Meter::Iec => Vec::new(),
            });
        }
        self.now = self.now + self.set.time_of(bytes.len());
        Ok(())
    }

    async fn read(&mut self, within: Span) -> io::Result<Vec<u8>> {
        if !self.answer.is_empty() {
            self.now = self.now + Span::from_millis(20);
            return Ok(std::mem::take(&mut self.answer));
        }
        let end = self.now + within;
        if self.next <= end
            && let Some((bytes, every)) = self.speech()
        {
            self.now = self.now.max(self.next) + self.spoken.time_of(bytes.len());
            self.next = self.next + every;
            return Ok(self.heard(bytes));
        }
        self.now = end;
        Ok(Vec::new())
    }

    fn now(&self) -> Span {
        self.now
    }

    fn has_speeds(&self) -> bool {
        true
    }
}

async fn search(line: &mut FakeLine) -> Verdict {
    let verdict = Search::new(line, |_: &str| {}).run().await.unwrap();
    assert!(line.now <= Span::from_seconds(62), "it took {}", line.now);
    verdict
}

fn p1(seconds: i64) -> Meter {
    let start = Timestamp::from_seconds(2_000_000_000);
    Meter::P1(Box::new(Simulator::v5(start)), Span::from_seconds(seconds))
}

#[tokio::test]
async fn a_meter_that_speaks_is_found_at_any_setting() {
    for every in [1, 10] {
        for (baud, framing) in [
            (115_200, Framing::EightNone),
            (2400, Framing::EightEven),
            (2400, Framing::EightNone),
            (9600, Framing::EightNone),
            (9600, Framing::SevenEven),
            (9600, Framing::EightEven),
        ] {
            let mut line = FakeLine::new(p1(every), baud, framing);
            let verdict = search(&mut line).await;
            let Verdict::Found { settings, line, what } = verdict else {
                panic!("{baud} {framing} every {every} s: {verdict:?}")
            };
            assert_eq!(line, LineSettings { baud, framing }, "every {every} s");
            assert_eq!(settings, ["protocol = \"dsmr\""]);
            assert!(what.starts_with("dsmr of meter 4F50454E"), "{what}");
        }
    }
}

/// On a line that has parity: seven bits and their parity are heard as eight, and printed as what they are.
#[tokio::test]
async fn seven_bits_with_parity_are_printed_as_such() {
    for (spoken, printed) in [(Framing::SevenEven, "7E1"), (Framing::EightNone, "8N1")] {
        let mut line = FakeLine::new(p1(1), 9600, spoken);
        let mut tried = Vec::new();
        let verdict = Search::new(&mut line, |text: &str| tried.push(text.to_owned())).run().await.unwrap();
        let Verdict::Found { settings, line, .. } = &verdict else { panic!("{verdict:?}") };
        assert_eq!(tried.last().unwrap(), "listening at 9600 8N1");
        assert!(verdict.to_string().ends_with(&format!(" at 9600 {printed}")), "{verdict}");
        let source = MeterSource::Serial("/dev/none-of-this-machine".into());
        let expected = "[[meter]]\nname = \"main\"\nsource = \"serial:/dev/none-of-this-machine\"\nprotocol = \"dsmr\"\n";
        let framing = format!("{expected}baud = 9600\nframing = \"{printed}\"\n");
        assert_eq!(section(&source, settings, *line), framing);
    }
}

#[tokio::test]
async fn a_meter_that_waits_to_be_asked_is_found() {
    let mut line = FakeLine::new(Meter::Iec, 300, Framing::SevenEven);
    let verdict = search(&mut line).await;
    let Verdict::Found { what, settings, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (what.as_str(), settings.as_slice()),
        ("iec62056-21, LGZ5\\2ZMD3104107.B32", &["protocol = \"iec62056-21\"".to_owned()][..])
    );
}

#[tokio::test]
async fn a_modbus_meter_is_found_with_its_address_and_map() {
    for (name, unit) in [("eastron-sdm630", 2), ("eastron-sdm120", 1), ("abb-b-series", 3)] {
        let map = RegisterMap::built_in(name).unwrap().unwrap();
        let mut meter = ModbusSimulator::new(unit, &map);
        for (quantity, value) in [(32, 230), (52, 231), (72, 229), (14, 50)] {
            meter.set(ObisCode::electricity(quantity, 7, 0), value.into());
        }
        let mut line = FakeLine::new(Meter::Modbus(Box::new(meter)), map.serial.baud, map.serial.framing);
        let verdict = search(&mut line).await;
        let Verdict::Found { settings, line, .. } = verdict else { panic!("{name}: {verdict:?}") };
        let expected =
            ["protocol = \"modbus\"".to_owned(), format!("unit = {unit}"), format!("map = \"{name}\"")];
        assert_eq!(settings, expected);
        assert_eq!(line, map.serial);
    }
}

#[tokio::test]
async fn what_is_not_understood_and_silence_are_told_apart() {
    let mut line = FakeLine::new(Meter::Noise(Span::from_seconds(10)), 9600, Framing::EightNone);
    assert!(matches!(search(&mut line).await, Verdict::NotUnderstood { .. }));
    let mut line = FakeLine::new(Meter::Nobody, 9600, Framing::EightNone);
    assert_eq!(search(&mut line).await, Verdict::Nothing);
}
