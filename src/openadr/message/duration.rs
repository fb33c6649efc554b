//! Reads and writes the standard's durations.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use crate::time::{Span, Timestamp};

/// A duration of `xcal:DurationValueType`: a sign, calendar months, and seconds.
///
/// Years and months have no fixed length, so they are kept apart and applied to the calendar date of the
/// start ([`Duration::after`]). Only ramp-up and recovery may be negative.
///
/// **Reading of the standard:** the schema's pattern has a misplaced bracket: `1W` is valid and `P1W` is
/// not. Both are read as weeks, and `P`, `PT` and `P1D1H` as what they can only mean, because real VTNs send
/// them; a fraction of a second, which rule 1 forbids, is cut off. Written are only days, hours, minutes and
/// seconds, unless years or months came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    negative: bool,
    months: u32,
    span: Span,
}

impl Duration {
    /// No time at all; what it means depends on the place (rules 47, 210, 317, 324, 325).
    pub const ZERO: Self = Self { negative: false, months: 0, span: Span::ZERO };

    /// A fixed length; a negative span gives a negative duration.
    #[must_use]
    pub const fn from_span(span: Span) -> Self {
        Self { negative: span.micros() < 0, months: 0, span: span.abs() }
    }

    /// From seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_span(Span::from_seconds(seconds))
    }

    /// Whether it is zero in any spelling (`PT0S`, `P0D`, `P`).
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.months == 0 && self.span.is_zero()
    }

    /// The instant that lies this duration after `start`.
    #[must_use]
    pub fn after(self, start: Timestamp) -> Timestamp {
        let months = i32::try_from(self.months).unwrap_or(i32::MAX);
        if self.negative {
            start.plus_months(-months) - self.span
        } else {
            start.plus_months(months) + self.span
        }
    }

    /// Its length, counted from `start`.
    #[must_use]
    pub fn length_from(self, start: Timestamp) -> Span {
        self.after(start) - start
    }

    /// Its length where no start is known; a month counts 30 days.
    #[must_use]
    pub fn nominal(self) -> Span {
        let length = Span::DAY * 30 * i64::from(self.months) + self.span;
        if self.negative { -length } else { length }
    }
}

impl Serialize for Duration {
    /// As in a message: `PT15M`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negative { "-P" } else { "P" })?;
        let (years, months) = (self.months / 12, self.months % 12);
        let seconds = self.span.seconds();
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        for (count, letter) in [(i64::from(years), 'Y'), (i64::from(months), 'M'), (days, 'D')] {
            if count > 0 {
                write!(f, "{count}{letter}")?;
            }
        }
        if rest > 0 || (self.months == 0 && days == 0) {
            f.write_str("T")?;
            let parts = [(rest / 3600, 'H'), (rest % 3600 / 60, 'M'), (rest % 60, 'S')];
            for (count, letter) in parts.into_iter().filter(|(count, _)| *count > 0) {
                write!(f, "{count}{letter}")?;
            }
            if rest == 0 {
                f.write_str("0S")?;
            }
        }
        Ok(())
    }
}

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a duration like PT15M")]
pub struct BadDuration(String);

impl FromStr for Duration {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        parse(text).ok_or_else(|| BadDuration(text.chars().take(64).collect()))
    }
}

/// Letters of each half in the order in which they must come, with their worth in seconds (months apart).
const DATE_UNITS: [(u8, i64); 4] = [(b'Y', 0), (b'M', 0), (b'W', 604_800), (b'D', 86_400)];
const TIME_UNITS: [(u8, i64); 3] = [(b'H', 3600), (b'M', 60), (b'S', 1)];

fn parse(text: &str) -> Option<Duration> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let Some(body) = rest.strip_prefix('P') else {
        let weeks: i64 = digits(text.strip_suffix('W')?)?;
        return Some(Duration::from_span(Span::DAY * weeks.checked_mul(7)?));
    };
    // OpenLEADR writes Python's days, of which a negative time has one more than it needs: -1 h is `P-1DT23H`.
    if let Some(days) = body.strip_prefix('-') {
        let (days, time) = days.split_once('D')?;
        let rest = if time.is_empty() { Span::ZERO } else { parse(&format!("P{time}"))?.span };
        let whole = Span::from_micros(digits(days)?.checked_mul(86_400_000_000)?);
        return (!negative).then(|| Duration::from_span(rest - whole));
    }
    // The pattern makes the T optional, so an H or an S before it, or an M after a D, belongs to the time.
    let split = body.find('T').unwrap_or_else(|| end_of_date(body));
    let (date, time) = body.split_at(split);
    let time = time.strip_prefix('T').unwrap_or(time);
    let (mut months, mut span) = (0_i64, Span::ZERO);
    for (letter, count, fraction) in Fields(date, &DATE_UNITS) {
        let worth = DATE_UNITS.iter().find(|(unit, _)| *unit == letter)?.1;
        match (letter, fraction) {
            (b'Y', false) => months = months.checked_add(count.checked_mul(12)?)?,
            (b'M', false) => months = months.checked_add(count)?,
            (_, false) => span = span + Span::from_micros(count.checked_mul(worth)?.checked_mul(1_000_000)?),
            (_, true) => return None,
        }
    }
    for (letter, count, fraction) in Fields(time, &TIME_UNITS) {
        let worth = TIME_UNITS.iter().find(|(unit, _)| *unit == letter)?.1;
        if fraction && letter != b'S' {
            return None;
        }
        span = span + Span::from_micros(count.checked_mul(worth)?.checked_mul(1_000_000)?);
    }
    let months = u32::try_from(months).ok().filter(|m| *m <= 120_000)?;
    let negative = negative && !(months == 0 && span.is_zero());
    Some(Duration { negative, months, span })
}

fn end_of_date(body: &str) -> usize {
    let first_time_letter = body.find(['H', 'S']).unwrap_or(body.len());
    let days = body.find('D').map_or(0, |at| at + 1);
    match body.get(days..first_time_letter) {
        // After the days only a time can follow; without days, what stands before H or S is the hour's own number.
        Some(_) if days > 0 => days,
        Some(before) if first_time_letter < body.len() => {
            before.rfind(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| at + 1)
        }
        _ => body.len(),
    }
}

/// Splits `1Y2M` into `(Y, 1), (M, 2)`, and says of each whether a fraction was cut off; ends with a letter 0 where the text does not follow the units' order.
struct Fields<'a>(&'a str, &'a [(u8, i64)]);

impl Iterator for Fields<'_> {
    type Item = (u8, i64, bool);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let broken = Some((0, 0, false));
        let Some(at) = self.0.find(|c: char| c.is_ascii_alphabetic()) else {
            self.0 = "";
            return broken;
        };
        let (number, rest) = self.0.split_at(at);
        let letter = rest.as_bytes()[0];
        self.0 = &rest[1..];
        let Some(place) = self.1.iter().position(|(unit, _)| *unit == letter) else {
            self.0 = "";
            return broken;
        };
        self.1 = &self.1[place + 1..];
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
        match (digits(whole), fraction.map(digits)) {
            (Some(count), None) => Some((letter, count, false)),
            (Some(count), Some(Some(_))) => Some((letter, count, true)),
            _ => broken,
        }
    }
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Duration {
        text.parse().unwrap()
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, written) in [
            ("PT10S", "PT10S"),
            ("PT90M", "PT1H30M"),
            ("P1DT2H", "P1DT2H"),
            ("P1Y2M3DT4H5M6S", "P1Y2M3DT4H5M6S"),
            ("PT0S", "PT0S"),
            ("P0D", "PT0S"),
            ("P", "PT0S"),
            ("PT", "PT0S"),
            ("P1DT", "P1D"),
            ("P1D1H", "P1DT1H"),
            ("P1D5M", "P1DT5M"),
            ("P2H", "PT2H"),
            ("P1M2H", "P1MT2H"),
            ("P1M", "P1M"),
            ("PT1M", "PT1M"),
            ("P14M", "P1Y2M"),
            ("+PT5M", "PT5M"),
            ("-PT5M", "-PT5M"),
            ("-PT0S", "PT0S"),
            ("P1W", "P7D"),
            ("1W", "P7D"),
            ("PT1.5S", "PT1S"),
        ] {
            assert_eq!(d(text).to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "PT15",
            "15M",
            "P1H1D",
            "PT1S1M",
            "P1DT1D",
            "PT-5M",
            "P--1D",
            " PT5M",
            "PT5M ",
            "PT0.5H",
            "pt5m",
            "P1.5D",
            "-1W",
            "W",
            "PTM",
            "P99999999999999999999D",
            "PT5MX",
            "None",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_is_counted_from_its_start() {
        let start: Timestamp = "2030-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(d("P1M").after(start).to_string(), "2030-02-28T00:00:00Z");
        assert_eq!(d("P1M").length_from(start), Span::DAY * 28);
        assert_eq!(d("-PT5M").after(start).to_string(), "2030-01-30T23:55:00Z");
    }

    #[test]
    fn jiff_reads_the_lawful_forms_alike() {
        for text in ["PT10S", "P1DT2H3M4S", "P2D", "PT36H", "PT100M", "PT1H", "P30DT1S"] {
            let theirs: jiff::SignedDuration = text
                .parse::<jiff::Span>()
                .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()))
                .unwrap();
            assert_eq!(i128::from(d(text).nominal().micros()), theirs.as_micros(), "{text}");
        }
    }
}
