//! Gives time to everything that decides, as plain numbers.
//!
//! Nothing below `daemon/` reads a clock: who wants to know what time it is gets a [`Now`] as an
//! argument. It holds two readings of the same moment, because events live on the wall clock (it can
//! jump) and retries on the time since the program started (it cannot).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};
use std::str::FromStr;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike, Utc};

/// An instant in UTC, in microseconds since 1970-01-01T00:00:00Z.
///
/// Reads and writes `xs:dateTime`. Digits of a fraction beyond the microsecond are cut off, which rule 1
/// of the profile allows the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// A moment of the proleptic Gregorian calendar, or `None` where there is no such day or time.
    #[must_use]
    pub fn from_calendar(date: (i32, u32, u32), time: (u32, u32, u32)) -> Option<Self> {
        let day = NaiveDate::from_ymd_opt(date.0, date.1, date.2)?;
        Some(Self::from_naive(day.and_hms_opt(time.0, time.1, time.2)?))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The same clock time so many calendar months later; the last day of the month where the day does
    /// not exist there (31 January + 1 month = 28 or 29 February).
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let Some(naive) = self.naive() else { return self };
        let step = Months::new(months.unsigned_abs());
        let moved = if months < 0 { naive.checked_sub_months(step) } else { naive.checked_add_months(step) };
        moved.map_or(self, Self::from_naive)
    }

    /// The largest multiple of `step` since the epoch that is not after this instant.
    #[must_use]
    pub const fn floor_to(self, step: Span) -> Self {
        if step.0 <= 0 {
            return self;
        }
        Self(self.0 - self.0.rem_euclid(step.0))
    }

    fn naive(self) -> Option<NaiveDateTime> {
        DateTime::<Utc>::from_timestamp_micros(self.0).map(|t| t.naive_utc())
    }

    fn from_naive(naive: NaiveDateTime) -> Self {
        Self(naive.and_utc().timestamp_micros())
    }
}

impl Serialize for Timestamp {
    /// As in a message: `2030-01-02T03:04:05Z`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// As in a message.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Timestamp {
    /// `2030-01-02T03:04:05Z`, with a fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(t) = self.naive() else { return write!(f, "{}us", self.0) };
        let (date, micros) = (t.date(), t.nanosecond() / 1000);
        write!(f, "{:04}-{:02}-{:02}T", date.year(), date.month(), date.day())?;
        write!(f, "{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())?;
        if micros > 0 {
            f.write_str(format!(".{micros:06}").trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// The text is not an `xs:dateTime`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an xs:dateTime")]
pub struct BadTimestamp(String);

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Reads `2030-01-02T03:04:05Z`. Real VTNs also send offsets, which rule 1 forbids, or no zone at
    /// all: an offset is applied, no zone is taken as UTC.
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        parse_date_time(text.trim_matches([' ', '\t', '\r', '\n']))
            .ok_or_else(|| BadTimestamp(text.chars().take(64).collect()))
    }
}

fn parse_date_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once('T')?;
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let (hms, fraction) = clock.split_once('.').map_or((clock, None), |(a, b)| (a, Some(b)));
    let mut parts = hms.split(':');
    let (hour, minute, second) =
        (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let micros = fraction.map_or(Some(0), fraction_micros)?;
    let whole_day = hour == 24 && minute == 0 && second == 0 && micros == 0;
    let date = (i32::try_from(year).ok()?, month, day);
    let midnight_or_time = if whole_day { (0, 0, 0) } else { (hour, minute, second) };
    let local = Timestamp::from_calendar(date, midnight_or_time)?;
    let day = if whole_day { Span::DAY } else { Span::ZERO };
    Some(local + day + Span::from_micros(micros) - zone_offset(zone)?)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn fraction_micros(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let cut: String = text.chars().chain("000000".chars()).take(6).collect();
    cut.parse().ok()
}

fn zone_offset(zone: &str) -> Option<Span> {
    let sign = match zone.chars().next() {
        None => return Some(Span::ZERO),
        Some('Z') => return (zone.len() == 1).then_some(Span::ZERO),
        Some('-') => -1,
        Some(_) => 1,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Some(Span::from_seconds(sign * i64::from(hours * 3600 + minutes * 60)))
}

/// A length of time in microseconds; it has a sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// 86,400 seconds.
    pub const DAY: Self = Self::from_seconds(86_400);
    /// 3,600 seconds.
    pub const HOUR: Self = Self::from_seconds(3_600);
    /// 60 seconds.
    pub const MINUTE: Self = Self::from_seconds(60);
    /// One second.
    pub const SECOND: Self = Self::from_seconds(1);

    /// From microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// In microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// In whole seconds, rounded toward zero.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0 / 1_000_000
    }

    /// Whether it has no length.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// For the operating system's timers; negative becomes zero.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// From the operating system's timers; longer than 292,000 years becomes that.
    #[must_use]
    pub fn from_std(duration: std::time::Duration) -> Self {
        Self(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Span {
    /// For people: `90 s`, `1.5 s`, `15 min`, `2 h`, `3 d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(Self::DAY, "d"), (Self::HOUR, "h"), (Self::MINUTE, "min")] {
            if self.0 != 0 && self.0 % unit.0 == 0 {
                return write!(f, "{} {name}", self.0 / unit.0);
            }
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let (whole, millis) = (micros / 1_000_000, micros % 1_000_000 / 1_000);
        if millis == 0 {
            return write!(f, "{sign}{whole} s");
        }
        write!(f, "{sign}{whole}.{} s", format!("{millis:03}").trim_end_matches('0'))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Mul<i64> for Span {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// One moment, read off both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What the wall clock says; it may have been set since the last reading.
    pub wall: Timestamp,
    /// Time since the program started; it never goes back.
    pub since_start: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn date_times_are_read_and_written() {
        for (text, written) in [
            ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"),
            ("2030-01-02T03:04:05.120Z", "2030-01-02T03:04:05.12Z"),
            ("2030-01-02T03:04:05.123456789Z", "2030-01-02T03:04:05.123456Z"),
            ("2030-01-02T03:04:05", "2030-01-02T03:04:05Z"),
            ("2030-01-02T03:04:05+02:00", "2030-01-02T01:04:05Z"),
            ("2029-12-31T23:04:05-02:30", "2030-01-01T01:34:05Z"),
            ("2030-01-02T24:00:00Z", "2030-01-03T00:00:00Z"),
            (" 1969-12-31T23:59:59.5Z\n", "1969-12-31T23:59:59.5Z"),
        ] {
            assert_eq!(t(text).to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_time_is_refused() {
        for text in [
            "",
            "None",
            "2030-01-02",
            "2030-02-30T00:00:00Z",
            "2030-01-02T24:00:01Z",
            "2030-01-02T03:04Z",
            "2030-01-02t03:04:05z",
            "2030-01-02T03:04:05.Z",
            "2030-01-02T03:04:05+0100",
            "+2030-01-02T03:04:05Z",
            "2030-01-02T03:04:60Z",
            "2030-1-02T03:04:05Z",
            "2030-01-02T03:04:05ZZ",
            "20300-01-02T03:04:05Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn months_end_on_the_last_day_that_exists() {
        assert_eq!(t("2030-01-31T10:00:00Z").plus_months(1), t("2030-02-28T10:00:00Z"));
        assert_eq!(t("2030-03-31T10:00:00Z").plus_months(-13), t("2029-02-28T10:00:00Z"));
    }

    #[test]
    fn the_floor_is_a_multiple_of_the_step() {
        assert_eq!(t("2030-01-01T10:07:31.5Z").floor_to(Span::MINUTE * 15), t("2030-01-01T10:00:00Z"));
        assert_eq!(t("1969-12-31T23:59:01Z").floor_to(Span::MINUTE), t("1969-12-31T23:59:00Z"));
    }

    #[test]
    fn spans_read_like_a_person_would_say_them() {
        for (span, text) in [
            (Span::from_seconds(90), "90 s"),
            (Span::from_millis(1500), "1.5 s"),
            (Span::from_millis(-20), "-0.02 s"),
            (Span::MINUTE * 15, "15 min"),
            (Span::DAY * 2, "2 d"),
            (Span::ZERO, "0 s"),
        ] {
            assert_eq!(span.to_string(), text);
        }
    }
}
