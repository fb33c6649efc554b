//! Turns the lines of a telegram into objects: values with their units and their own times, and the rows of tables.
//!
//! A line that is not understood is kept as its text. What a device behind the meter says without a possible time is no value of it
//! (the meter writes `632525252525W` or a date of 1970 for a device that is silent or was taken away): its quality is `Bad`, and it has
//! no time.
//!
//! A row of a table (a failure of power, the peak of a month, the gas of an hour) is an object of its own, with the time at which it was,
//! the newest first. Group F numbers the rows as OBIS numbers the last periods, so that none is taken for the value of now; the newest
//! gas is that of now. The line of a table of failures or of months is kept as text before its rows.

use crate::metering::obis::{NOW, ObisCode};
use crate::metering::telegram::{Object, ObjectValue};
use crate::metering::unit::{Measure, MeterUnit};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::clock;
use super::number::Measured;

/// The group F of the newest row of a table; older ones follow (IEC 62056-61: 101 to 126 are the last periods).
const LAST: u8 = 101;
/// No table has more rows.
const ROWS: usize = 26;
/// The length of a failure of power, in seconds, in the log of those (DSMR 4, section 6.12).
const FAILURE: ObisCode = ObisCode::now(0, 0, 96, 7, 19);
/// Lengths of failures from here on are what a meter came with from the factory, in seconds.
const FACTORY: i64 = 2_147_483_647;
/// A time may be ahead of the clock of the telegram by this.
const AHEAD: Span = Span::HOUR;

/// Reads the lines of one telegram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    /// What the meter's clock is ahead of UTC in winter.
    pub(super) base: Span,
    /// The clock of the telegram.
    pub(super) clock: Option<Timestamp>,
}

impl Lines {
    /// Adds what a line says; `text` are its values, each in parentheses.
    pub(super) fn read(&self, code: ObisCode, text: &str, into: &mut Vec<Object>) {
        let (first, rest) = group(text).unwrap_or((text, ""));
        if rest.is_empty() {
            into.push(single(code, first));
            return;
        }
        // Where not all is in parentheses, nothing of it is taken for a value.
        let groups: Vec<&str> = if has_groups(text) { groups(text).collect() } else { Vec::new() };
        let [_, _, c, d, ..] = code.0;
        let count = into.len();
        match groups[..] {
            _ if (c, d) == (99, 97) => self.failures(&groups, into),
            [_, _, id, ref rows @ ..] if (c, d) == (98, 1) && ObisCode::parse(id).is_some() => {
                self.months(ObisCode::parse(id).unwrap_or(code), rows, into);
            }
            [at, value] if is_stamped(code) || is_stamp(at) => into.push(self.stamped(code, at, value, text)),
            [at, status, period, _, _, unit, ref values @ ..] if is_stamped(code) && !values.is_empty() => {
                let table = Captured { at, status, period, unit, values };
                self.captured(code, &table, into);
            }
            _ if groups.iter().all(|group| has_unit(group)) => {
                into.extend(groups.iter().map(|group| single(code, group)));
            }
            _ => {}
        }
        if into.len() == count || is_table(code) {
            // Nothing else was understood of it, or less than it says.
            let at = Some(first).filter(|text| is_stamp(text)).and_then(|at| self.possible(at));
            let quality = if at.is_none() && is_stamped(code) { DataQuality::Bad } else { DataQuality::Good };
            into.insert(count, Object { code, value: ObjectValue::Text(text.to_owned()), at, quality });
        }
    }

    /// A time that can be one: from 2000 on, and not far ahead of the meter's own clock.
    fn possible(&self, text: &str) -> Option<Timestamp> {
        let at = clock::utc(text, self.base)?;
        let begins = Timestamp::from_calendar((2000, 1, 1), (0, 0, 0))? - self.base;
        let late = self.clock.is_some_and(|clock| at > clock + AHEAD);
        (at >= begins && !late).then_some(at)
    }

    /// `(time)(value)`.
    fn stamped(&self, code: ObisCode, at: &str, value: &str, text: &str) -> Object {
        match self.possible(at) {
            _ if value.is_empty() => no_value(code, text),
            Some(at) => Object { at: Some(at), ..single(code, value) },
            None => Object { quality: DataQuality::Bad, ..single(code, value) },
        }
    }

    /// `(count)(code)(end)(duration)(end)(duration)...`: each failure is an object, the latest first. What the meter came with from
    /// the factory is none: it ends in 2000, or lasts 68 years. The count may be wrong; the pairs are not.
    fn failures(&self, groups: &[&str], into: &mut Vec<Object>) {
        let new = Timestamp::from_calendar((2001, 1, 1), (0, 0, 0));
        let pairs = groups.iter().position(|group| is_stamp(group)).map_or(&[][..], |from| &groups[from..]);
        let rows = pairs.chunks_exact(2).filter_map(|pair| {
            let at = self.possible(pair[0]).filter(|at| Some(*at) >= new)?;
            let lasted = Measured::parse(pair[1])?;
            (lasted.value < Decimal::from(FACTORY))
                .then(|| Object { at: Some(at), ..single(FAILURE, pair[1]) })
        });
        latest_first(rows.collect(), into);
    }

    /// `(end of the month)(time of the peak)(power)`, again and again (eMUCS-P1): each peak is an object with the time at which it was,
    /// the latest month first.
    fn months(&self, code: ObisCode, rows: &[&str], into: &mut Vec<Object>) {
        let rows = rows.chunks_exact(3).filter_map(|row| {
            let at = self.possible(row[1]).filter(|_| clock::utc(row[0], self.base).is_some())?;
            Some(Object { at: Some(at), ..single(code, row[2]) })
        });
        latest_first(rows.collect(), into);
    }

    /// The values that DSMR 2.2 and 3 tell of a device: one, or one for each of the last hours. The first object is the newest.
    ///
    /// Which end of the hours is the newest, the values say: they are of a register, which only goes up.
    fn captured(&self, code: ObisCode, table: &Captured<'_>, into: &mut Vec<Object>) {
        let Some(newest) = self.possible(table.at) else { return };
        let read = |value| {
            let measured = Measured::parse(value)?;
            Some(Measured {
                unit: if measured.unit.is_empty() { table.unit } else { measured.unit },
                ..measured
            })
        };
        let mut values: Vec<Measured<'_>> = table.values.iter().copied().filter_map(read).collect();
        if values.first().map(|first| first.value) < values.last().map(|last| last.value) {
            values.reverse();
        }
        // 08, which a meter may say for years, is an error of the device that lasts (EN 13757-3).
        let good = table.status.bytes().all(|digit| digit == b'0');
        let period =
            table.period.parse().map_or(Span::HOUR, |minutes: u16| Span::MINUTE * i64::from(minutes));
        let mut at = newest;
        for (value, stored) in values.iter().take(ROWS).zip(std::iter::once(NOW).chain(LAST..)) {
            let Some((value, _)) = value.number(code) else { continue };
            let quality = if good { DataQuality::Good } else { DataQuality::Uncertain };
            into.push(Object { code: stored_at(code, stored), value, at: Some(at), quality });
            at = at - period;
        }
    }
}

/// `(time)(status)(minutes)(count)(code)(unit)(value)...`.
struct Captured<'a> {
    at: &'a str,
    status: &'a str,
    period: &'a str,
    unit: &'a str,
    values: &'a [&'a str],
}

/// One value: a number, or a text.
fn single(code: ObisCode, text: &str) -> Object {
    if text.is_empty() && is_stamped(code) {
        return no_value(code, text);
    }
    let number = if is_text(code) || is_stamp(text) { None } else { Measured::parse(text) };
    let (value, assumed) = number
        .and_then(|measured| measured.number(code))
        .unwrap_or_else(|| (ObjectValue::Text(text.to_owned()), false));
    let quality = if assumed { DataQuality::Uncertain } else { DataQuality::Good };
    Object { code, value, at: None, quality }
}

fn no_value(code: ObisCode, text: &str) -> Object {
    Object { code, value: ObjectValue::Text(text.to_owned()), at: None, quality: DataQuality::Bad }
}

/// Adds the rows of a table, the latest first, as the last periods.
fn latest_first(mut rows: Vec<Object>, into: &mut Vec<Object>) {
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    let numbered = rows.into_iter().take(ROWS).zip(LAST..);
    into.extend(numbered.map(|(row, stored)| Object { code: stored_at(row.code, stored), ..row }));
}

const fn stored_at(ObisCode([a, b, c, d, e, _]): ObisCode, stored: u8) -> ObisCode {
    ObisCode([a, b, c, d, e, stored])
}

/// It is a table: its text is kept beside its rows.
const fn is_table(code: ObisCode) -> bool {
    matches!(code.0, [_, _, 98, 1, ..] | [_, _, 99, 97, ..])
}

/// It has a time of its own: a device on the M-Bus (`0-n:24.2`, `0-n:24.3`), the gas of DSMR 2.2 (`7-0:23`), a maximum.
const fn is_stamped(code: ObisCode) -> bool {
    matches!(code.0, [0, _, 24, 2..=3, ..] | [7, _, 23, ..] | [1, _, _, 6, ..])
}

/// Its digits are no number: the clock, serial numbers, names, versions, texts. Numbers are the counts of failures (96.7), the
/// switches (96.3), and the ratios and constants of the meter (0.3, 0.4).
const fn is_text(code: ObisCode) -> bool {
    match code.0 {
        [0, _, 1, 0, ..] | [0, _, 42, ..] | [_, _, 97, ..] => true,
        [_, _, 0, d, ..] => !matches!(d, 3 | 4),
        [_, _, 96, d, ..] => !matches!(d, 3 | 7),
        _ => false,
    }
}

/// It is written as a time is, whether or not there is such a time; it also looks like a number of W or of seconds.
fn is_stamp(text: &str) -> bool {
    matches!(text.as_bytes(), [digits @ .., b'S' | b'W'] if digits.len() == 12 && digits.iter().all(u8::is_ascii_digit))
}

fn has_unit(text: &str) -> bool {
    !is_stamp(text) && Measured::parse(text).is_some_and(|measured| MeterUnit::parse(measured.unit).is_some())
}

/// The unit of an energy register that is written without one: with decimals in kWh or kvarh, as those are, else in Wh or varh.
pub(super) fn assumed_unit(code: ObisCode, decimals: bool) -> Option<MeterUnit> {
    let [1, _, c, 8, ..] = code.0 else { return None };
    // The phases are 20, 40 and 60 above the total.
    let measure = match if c < 80 { c % 20 } else { c } {
        1 | 2 | 15 | 16 => Measure::ActiveEnergy,
        3..=8 => Measure::ReactiveEnergy,
        9 | 10 => Measure::ApparentEnergy,
        _ => return None,
    };
    Some(if decimals { MeterUnit::kilo(measure) } else { MeterUnit::base(measure) })
}

/// The text is nothing but groups.
pub(super) fn has_groups(mut text: &str) -> bool {
    while let Some((_, rest)) = group(text) {
        text = rest;
    }
    text.is_empty()
}

/// The texts in parentheses, one after the other and nothing between.
pub(super) fn groups(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (group, rest) = group(text)?;
        text = rest;
        Some(group)
    })
}

fn group(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('(')?;
    let end = text.bytes().position(|byte| byte == b')')?;
    Some((&text[..end], text[end + 1..].trim_ascii_start()))
}
