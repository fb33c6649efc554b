//! Plays a meter of IEC 62056-21 that is asked, or speaks by itself.

use crate::metering::channel::Channel;
use crate::metering::decoder::{Framing, LineSettings};
use crate::metering::session::Said;
use crate::metering::simulator::Simulator;
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::frame::bcc;

/// Speed of requests.
const FIRST_BAUD: u32 = 300;
/// Speed of the data, and of what is sent unasked.
const DATA_BAUD: u32 = 9_600;
/// A meter needs so long to answer, as a host does.
const REACTION: Span = Span::from_millis(200);
/// No request is longer.
const HEARD: usize = 128;
const SERIAL: &str = "12345678";

/// How it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SimulatedMode {
    /// Data at the first speed, unacknowledged.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests ask so old a meter"))]
    A,
    /// Data at another speed, unacknowledged.
    B,
    /// As the host acknowledges; also the programming mode, for reading.
    C,
    /// By itself.
    D,
}

/// A meter in a house with a solar roof.
#[derive(Debug)]
pub(crate) struct IecSimulator {
    mode: SimulatedMode,
    house: Simulator,
    /// Speed at which it hears.
    baud: u32,
    heard: Vec<u8>,
    programming: bool,
    /// What it sends again when it is asked to.
    last: Vec<u8>,
    /// It knows no other speed than the first, whatever it offers.
    pub(super) slow: bool,
}

impl IecSimulator {
    /// A meter that was put in at that time.
    pub(crate) fn new(mode: SimulatedMode, start: Timestamp) -> Self {
        Self {
            mode,
            house: Simulator::v5(start),
            baud: FIRST_BAUD,
            heard: Vec::new(),
            programming: false,
            last: Vec::new(),
            slow: false,
        }
    }

    /// What it sends by itself at that time, which must not be before the last one; nothing where it waits to be asked.
    pub(crate) fn speak(&mut self, at: Timestamp) -> Option<Said> {
        (self.mode == SimulatedMode::D).then(|| {
            let data = [&b"/OVN5openadr-ven simulator\r\n\r\n"[..], &self.data(at)].concat();
            Said { after: Span::ZERO, line: Some(line(DATA_BAUD)), bytes: data }
        })
    }

    /// Takes what the host sends at that speed, and answers.
    pub(crate) fn hear(&mut self, bytes: &[u8], baud: u32, at: Timestamp) -> Vec<Said> {
        if self.mode == SimulatedMode::D {
            return Vec::new();
        }
        if baud == FIRST_BAUD && bytes.starts_with(b"/?") {
            // It has long given up what was before.
            (self.baud, self.programming) = (FIRST_BAUD, false);
            self.heard.clear();
        }
        let mut said = Vec::new();
        for byte in bytes {
            // At another speed it understands nothing.
            if baud != self.baud {
                break;
            }
            self.heard.push(*byte);
            if let Some(answer) = self.answer(at) {
                self.heard.clear();
                said.extend(answer);
            } else if self.heard.len() > HEARD {
                self.heard.clear();
            }
        }
        said
    }

    /// The answer to what was heard, where that is complete.
    fn answer(&mut self, at: Timestamp) -> Option<Vec<Said>> {
        match &self.heard[..] {
            [.., 0x15] => Some(vec![self.again()]),
            [.., 0x01, b'B', b'0', 0x03, _] => {
                (self.baud, self.programming) = (FIRST_BAUD, false);
                Some(Vec::new())
            }
            [.., 0x06, b'0', character, what, b'\r', b'\n'] if self.mode == SimulatedMode::C => {
                let (fast, what) = (*character == b'5' && !self.slow, *what);
                self.baud = if fast { DATA_BAUD } else { FIRST_BAUD };
                self.programming = what == b'1';
                let prompt = || framed(b"\x01P0", format!("({SERIAL})").as_bytes());
                self.last = if self.programming { prompt() } else { framed(b"", &self.data(at)) };
                Some(vec![self.again()])
            }
            [.., 0x03, _] if self.programming => {
                let heard = String::from_utf8_lossy(&self.heard);
                let address = heard.split_once("R1\u{2}").and_then(|(_, rest)| rest.split_once("()"));
                let address = address.map(|(address, _)| address.to_owned()).unwrap_or_default();
                self.last = framed(b"", self.value(&address, at).as_bytes());
                Some(vec![self.again()])
            }
            [b'/', b'?', .., b'!', b'\r', b'\n'] => Some(self.identify(at)),
            // Bytes that wake it up.
            [0] => Some(Vec::new()),
            _ => None,
        }
    }

    /// It says who it is, and its data where it does not wait for more.
    fn identify(&mut self, at: Timestamp) -> Vec<Said> {
        let address =
            String::from_utf8_lossy(&self.heard).trim_matches(['/', '?', '!', '\r', '\n']).to_owned();
        if !address.is_empty() && address.trim_start_matches('0') != SERIAL {
            return Vec::new();
        }
        let first: &[u8] = match self.mode {
            SimulatedMode::A => b"/OVN\\openadr-ven simulator\r\n",
            SimulatedMode::B => b"/OVNEopenadr-ven simulator\r\n",
            SimulatedMode::C | SimulatedMode::D => b"/OVN5openadr-ven simulator\r\n",
        };
        let mut said = vec![Said { after: REACTION, line: Some(line(FIRST_BAUD)), bytes: first.to_vec() }];
        if matches!(self.mode, SimulatedMode::A | SimulatedMode::B) {
            self.baud = if self.mode == SimulatedMode::B { DATA_BAUD } else { FIRST_BAUD };
            self.last = framed(b"", &self.data(at));
            said.push(self.again());
        }
        said
    }

    fn again(&self) -> Said {
        Said { after: REACTION, line: Some(line(self.baud)), bytes: self.last.clone() }
    }

    /// What its last answer says.
    #[cfg(test)]
    pub(crate) fn reading(&self) -> crate::metering::Reading {
        self.house.reading()
    }

    /// Every data set.
    fn sets(&mut self, at: Timestamp) -> Vec<(&'static str, String)> {
        self.house.telegram(at);
        let reading = self.house.reading();
        let kilo = |value: Option<Decimal>, unit| {
            let value = (value.unwrap_or_default() / Decimal::from(1000)).round_dp(3);
            let digits = format!("{value:.3}");
            format!("{digits:0>10}*{unit}")
        };
        let clock: String = at.to_string().chars().take(19).filter(char::is_ascii_digit).collect();
        let (date, time) = clock.split_at_checked(8).unwrap_or_default();
        vec![
            ("0.0.0", SERIAL.to_owned()),
            ("F.F", "00".to_owned()),
            ("0.9.1", time.to_owned()),
            ("0.9.2", date.get(2..).unwrap_or_default().to_owned()),
            ("1.8.0", kilo(reading.get(Channel::Import), "kWh")),
            ("2.8.0", kilo(reading.get(Channel::Export), "kWh")),
            ("1.7.0", kilo(reading.get(Channel::PowerImport), "kW")),
            ("2.7.0", kilo(reading.get(Channel::PowerExport), "kW")),
        ]
    }

    fn data(&mut self, at: Timestamp) -> Vec<u8> {
        let mut lines: String =
            self.sets(at).iter().map(|(address, value)| format!("{address}({value})\r\n")).collect();
        lines.push_str("!\r\n");
        lines.into_bytes()
    }

    /// The set of one address.
    fn value(&mut self, address: &str, at: Timestamp) -> String {
        let sets = self.sets(at);
        let set = sets.iter().find(|(known, _)| *known == address);
        set.map_or_else(|| "(ER01)".to_owned(), |(address, value)| format!("{address}({value})"))
    }
}

/// In a block, behind a command or none.
fn framed(command: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [command, b"\x02", data, b"\x03"].concat();
    block.push(bcc(&block[1..]));
    block
}

const fn line(baud: u32) -> LineSettings {
    LineSettings { baud, framing: Framing::SevenEven }
}
