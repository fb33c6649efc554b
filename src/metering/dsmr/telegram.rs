//! Reads the lines of a telegram; those that mean nothing to us are kept.

use std::ops::Range;

use crate::metering::decoder::Why;
use crate::metering::obis::{NOW, ObisCode};
use crate::metering::telegram::Telegram;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::clock;
use super::frame::Frame;
use super::number::Measured;
use super::objects::{Lines, groups, has_groups};

/// The first line is no longer; the standards have 21 bytes.
const HEADER: usize = 100;
/// Telegrams have about as many lines.
const LINES: usize = 48;
/// When the meter sent the telegram.
const CLOCK: ObisCode = ObisCode::now(0, 0, 1, 0, 0);
/// Of the standard.
const VERSION: ObisCode = ObisCode::now(1, 3, 0, 2, 8);
/// Rates that a meter may have.
const RATES: std::ops::RangeInclusive<u8> = 1..=8;

/// Everything that a meter said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct P1Telegram {
    text: String,
    lines: Vec<Line>,
    clock_base: Span,
    /// It has no checksum, and is the first of its kind.
    pub(super) doubtful: bool,
}

/// One object: its code, and where in the text the parentheses stand behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    code: ObisCode,
    values: Range<usize>,
}

impl P1Telegram {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// Where it has no checksum and a line is not readable: then bytes are missing. Where there is no line, or its first is none of
    /// a meter: then bytes of noise have a checksum that fits by chance.
    pub(super) fn read(frame: Frame, clock_base: Span) -> Result<Self, Why> {
        let Frame { text, checked } = frame;
        let header = text.bytes().position(is_line_end).unwrap_or(text.len());
        if header > HEADER {
            return Err(Why::Line { number: 1, text: text.chars().take(60).collect() });
        }
        let mut lines: Vec<Line> = Vec::with_capacity(LINES);
        let mut start = 0;
        while start <= text.len() {
            if let Some((code, values)) = object_line(&text, start) {
                start = values.end + 1;
                lines.push(Line { code, values });
                continue;
            }
            let rest = &text[start..];
            let line = &rest[..rest.bytes().position(is_line_end).unwrap_or(rest.len())];
            let end = start + line.len();
            let values = line.bytes().position(|byte| byte == b'(');
            let code = values.and_then(|open| ObisCode::parse(line[..open].trim_ascii()));
            // What a checked telegram has behind a code is what the meter has written, whatever it is.
            let values = values.filter(|open| code.is_some() && checked || has_groups(&line[*open..]));
            match (code, values, lines.last_mut()) {
                (Some(code), Some(open), _) => lines.push(Line { code, values: start + open..end }),
                // DSMR 3 writes the value of a gas meter on a line of its own.
                (None, Some(0), Some(last)) => last.values.end = end,
                _ if checked || matches!(line, "" | "!") => {}
                // In a text of a telegram something may look like a start.
                _ if start == 0 && !line.contains(['(', ')']) => {}
                _ => {
                    let number = text[..start].matches('\n').count() + 1;
                    return Err(Why::Line { number, text: line.chars().take(60).collect() });
                }
            }
            start = end + 1;
        }
        let twice = |code| lines.iter().filter(|line| line.code == code).nth(1).is_some();
        // A cut telegram and a whole one, whose checksum fits both by chance.
        if lines.is_empty() || twice(CLOCK) || twice(VERSION) {
            return Err(Why::Cut);
        }
        Ok(Self { text, lines, clock_base, doubtful: false })
    }

    /// What stands in parentheses behind a code, one text after the other; nothing where the code does not occur.
    pub(in crate::metering) fn groups(&self, code: ObisCode) -> impl Iterator<Item = &str> {
        let line = self.lines.iter().find(|line| line.code == code);
        groups(line.map_or("", |line| &self.text[line.values.clone()]))
    }

    fn first(&self, code: ObisCode) -> Option<&str> {
        self.groups(code).next()
    }

    /// A time as this meter writes it.
    pub(in crate::metering) fn time(&self, text: &str) -> Option<Timestamp> {
        clock::utc(text, self.clock_base)
    }

    /// It names its version or the time, as those do that have a checksum (DSMR 4 and later).
    pub(super) fn must_have_crc(&self) -> bool {
        let codes = [VERSION, ObisCode::now(0, 0, 96, 1, 4), CLOCK];
        self.lines.iter().any(|line| codes.contains(&line.code))
    }

    /// It has no register of energy, so that without a checksum it may as well be noise.
    pub(super) fn counts_nothing(&self) -> bool {
        self.register(1, 0).or_else(|| self.register(2, 0)).is_none()
    }

    /// The meter's clock.
    pub(in crate::metering) fn clock(&self) -> Option<Timestamp> {
        self.time(self.first(CLOCK)?)
    }

    /// The meter's serial number, as it writes it.
    pub(in crate::metering) fn serial(&self) -> Option<String> {
        let rank = |line: &Line| match line.code.0 {
            [0, 0, 96, 1, 1, NOW] => Some(0),
            [0, 0, 42, 0, 0, NOW] => Some(1),
            [0, 0, 96, 1, 255, NOW] => Some(2),
            [1, 0, 0, 0, 0, NOW] => Some(3),
            [0, 0, 96, 1, 0, NOW] => Some(4),
            _ => None,
        };
        let named = |line: &Line| {
            let text = groups(&self.text[line.values.clone()]).next().filter(|text| !text.is_empty())?;
            Some((rank(line)?, text))
        };
        let ranked = self.lines.iter().filter(|line| rank(line).is_some()).filter_map(named);
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, text)| text.to_owned())
    }

    /// A value in its base unit: W, V, A.
    #[cfg(test)]
    pub(in crate::metering) fn value(&self, code: ObisCode) -> Option<Decimal> {
        Measured::parse(self.first(code)?)?.in_base_unit(false)
    }

    /// An energy register in Wh (varh), of one rate; 0: the total, which is the sum of all rates where the meter sends none.
    pub(in crate::metering) fn register(&self, quantity: u8, rate: u8) -> Option<Decimal> {
        let code = |rate| ObisCode::electricity(quantity, 8, rate);
        let one = |rate| Measured::parse(self.first(code(rate))?)?.in_base_unit(true);
        match one(rate) {
            None if rate == 0 => RATES.filter_map(one).reduce(|sum, more| sum + more),
            found => found,
        }
    }

    /// What it says, in the form that all protocols have in common; for a device that says nothing, `objects` tells how.
    pub(crate) fn general(&self) -> Telegram {
        let clock = self.clock();
        let lines = Lines { base: self.clock_base, clock };
        let mut objects = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            lines.read(line.code, &self.text[line.values.clone()], &mut objects);
        }
        let quality = if self.doubtful { DataQuality::Uncertain } else { DataQuality::Good };
        Telegram { meter: self.serial(), clock, objects, quality }
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The line that begins at this place, if it is a code and values in parentheses and nothing else, as nearly all are: where the values
/// stand. Each byte is looked at once.
fn object_line(text: &str, start: usize) -> Option<(ObisCode, Range<usize>)> {
    let bytes = text.as_bytes();
    let find = |from: usize, wanted: u8| {
        let found = bytes.get(from..)?.iter().position(|byte| *byte == wanted || is_line_end(*byte))?;
        (bytes[from + found] == wanted).then_some(from + found)
    };
    let open = find(start, b'(')?;
    let code = ObisCode::parse(&text[start..open])?;
    let mut end = open;
    while bytes.get(end) == Some(&b'(') {
        end = find(end + 1, b')')? + 1;
    }
    bytes.get(end).is_none_or(|byte| is_line_end(*byte)).then_some((code, open..end))
}
