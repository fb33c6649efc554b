//! Reads the lines of a telegram; those that mean nothing to us are kept.

use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::clock;
use super::frame::{Frame, Refused};
use super::number::Measured;

/// A meter's clock that is further away from ours is not believed.
const CLOCK_TRUST: Span = Span::from_seconds(10);
/// Rates that a meter may have.
const RATES: std::ops::RangeInclusive<u8> = 1..=8;

/// Everything that a meter said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telegram {
    /// Behind the slash: maker and type.
    pub(super) ident: String,
    pub(super) lines: Vec<Line>,
    pub(super) clock_base: Span,
    /// It has no checksum, and is the first of its kind.
    pub(super) doubtful: bool,
}

/// One object: its code and what stands in parentheses behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) code: ObisCode,
    pub(super) groups: Vec<String>,
}

impl Telegram {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// Where it has no checksum and a line is not readable: then bytes are missing.
    pub(super) fn read(frame: &Frame, clock_base: Span) -> Result<Self, Refused> {
        // Latin-1, so that no byte is lost: some meters write more than ASCII.
        let text: String = frame.bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut all = text.split(['\r', '\n']).enumerate().filter(|(_, line)| !line.is_empty());
        let ident = all.next().map_or("", |(_, line)| line).trim_start_matches('/').to_owned();
        let mut lines: Vec<Line> = Vec::new();
        for (number, line) in all.filter(|(_, line)| *line != "!") {
            match (Line::read(line), lines.last_mut()) {
                (Some(read), _) => lines.push(read),
                // DSMR 3 writes the value of a gas meter on a line of its own.
                (None, Some(last)) if line.starts_with('(') => match groups(line) {
                    Some(more) => last.groups.extend(more),
                    None if frame.checked => {}
                    None => return Err(unreadable(number, line)),
                },
                (None, _) if frame.checked => {}
                (None, _) => return Err(unreadable(number, line)),
            }
        }
        Ok(Self { ident, lines, clock_base, doubtful: false })
    }

    /// The first object of that code.
    pub(super) fn line(&self, code: ObisCode) -> Option<&Line> {
        self.lines.iter().find(|line| line.code == code)
    }

    fn first(&self, code: ObisCode) -> Option<&str> {
        self.line(code)?.groups.first().map(String::as_str)
    }

    /// It names its version, as those do that have a checksum (DSMR 4 and later).
    pub(super) fn must_have_crc(&self) -> bool {
        self.line(ObisCode([1, 3, 0, 2, 8])).is_some()
    }

    /// The meter's clock.
    pub(super) fn clock(&self) -> Option<Timestamp> {
        clock::utc(self.first(ObisCode([0, 0, 1, 0, 0]))?, self.clock_base)
    }

    /// The meter's serial number, as it writes it.
    pub(super) fn serial(&self) -> Option<String> {
        let codes =
            [[0, 0, 96, 1, 1], [0, 0, 42, 0, 0], [0, 0, 96, 1, 255], [1, 0, 0, 0, 0], [0, 0, 96, 1, 0]];
        let mut texts = codes.iter().filter_map(|code| self.first(ObisCode(*code)));
        texts.find(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A value in its base unit: W, V, A.
    pub(super) fn value(&self, code: ObisCode) -> Option<Decimal> {
        Measured::parse(self.first(code)?)?.in_base_unit(false)
    }

    /// An energy register in Wh (varh), of one rate; 0: the total, which is the sum of all rates where the meter sends none.
    pub(super) fn register(&self, quantity: u8, rate: u8) -> Option<Decimal> {
        let code = |rate| ObisCode::electricity(quantity, 8, rate);
        let one = |rate| Measured::parse(self.first(code(rate))?)?.in_base_unit(true);
        match one(rate) {
            None if rate == 0 => RATES.filter_map(one).reduce(|sum, more| sum + more),
            found => found,
        }
    }

    /// What counts for the reports; `received` is our own clock.
    ///
    /// The meter's clock is the time where it is near ours: it says what second the registers are from. A meter whose clock was never
    /// set, or is wrong, works on ours.
    pub(crate) fn reading(&self, received: Timestamp) -> Reading {
        let near = |at: &Timestamp| (*at - received).abs() <= CLOCK_TRUST;
        let power = |quantity| self.value(ObisCode::electricity(quantity, 7, 0));
        let net = || power(16).or_else(|| self.value(ObisCode::electricity(1, 7, 255)));
        let (import, export) = match (power(1), power(2), net()) {
            (None, None, Some(net)) => (Some(net.max(Decimal::ZERO)), Some((-net).max(Decimal::ZERO))),
            (Some(import), None, _) if import.is_sign_negative() => (Some(Decimal::ZERO), Some(-import)),
            (import, export, _) => (import, export),
        };
        Reading {
            at: self.clock().filter(near).unwrap_or(received),
            meter: self.serial(),
            import: self.register(1, 0),
            export: self.register(2, 0),
            power_import: import,
            power_export: export,
            quality: if self.doubtful { DataQuality::Uncertain } else { DataQuality::Good },
        }
    }
}

fn unreadable(number: usize, line: &str) -> Refused {
    Refused::Line { number: number + 1, text: line.chars().take(60).collect() }
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let open = line.find('(')?;
        Some(Self { code: ObisCode::parse(line[..open].trim())?, groups: groups(&line[open..])? })
    }
}

/// The texts in parentheses, one after the other and nothing between.
fn groups(mut text: &str) -> Option<Vec<String>> {
    let mut groups = Vec::new();
    while !text.is_empty() {
        let (group, rest) = text.strip_prefix('(')?.split_once(')')?;
        groups.push(group.to_owned());
        text = rest.trim_start();
    }
    Some(groups)
}
