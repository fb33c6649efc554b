//! Finds the time that a meter's clock says among what it tells, and turns it into UTC.
//!
//! Time and date are two sets (`0.9.1`, `0.9.2`), or one (`0.9.4`, `0-0:1.0.0`, `9.36` of a heat meter). The standard leaves open how they
//! are written. Known are:
//!
//! * `hhmmss`, `hh:mm:ss`; a time without seconds is none that a reading could be of.
//! * `YYMMDD`, `YYYYMMDD`, both with `-` or `/` between; with dots the day comes first: `DD.MM.YYYY`.
//! * A digit before either (VDEW: `shhmmss`, `sYYMMDD`) that says the season: 0 winter, 1 summer, 2 that it is UTC.
//!
//! Where a meter means something else by the same digits, its clock is far from ours, and nobody believes it.

use crate::metering::dsmr;
use crate::metering::obis::{NOW, ObisCode};
use crate::metering::telegram::{Object, ObjectValue};
use crate::time::{Span, Timestamp};

/// What the clock says, if it says all of it; `base` is what it is ahead of UTC in winter.
pub(super) fn clock(objects: &[Object], base: Span) -> Option<Timestamp> {
    let said = |is_it: fn(ObisCode) -> bool| {
        objects.iter().find_map(|object| match &object.value {
            ObjectValue::Text(text) if is_it(object.code) => Some(text.as_str()),
            ObjectValue::Text(_) | ObjectValue::Number(..) => None,
        })
    };
    let time = said(|code| matches!(code.0, [0 | 1, 0 | 1, 0, 9, 1, NOW]));
    let date = said(|code| matches!(code.0, [0 | 1, 0 | 1, 0, 9, 2, NOW]));
    if let Some((date, time)) = date.zip(time) {
        return utc(&Part::date(date)?, &Part::time(time)?, base);
    }
    let both = said(|code| {
        matches!(code.0, [0 | 1, 0 | 1, 0, 9, 4, NOW] | [0, 0, 1, 0, 0, NOW] | [6, 128, 9, 36, 0, NOW])
    })?;
    match both.split_once(['&', ' ', 'T', ',']) {
        Some((date, time)) => utc(&Part::date(date)?, &Part::time(time)?, base),
        None => dsmr::utc(both, base),
    }
}

/// Digits of a date or a time, the highest first, and the season where it is said.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    digits: String,
    season: Option<Season>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Season {
    Winter,
    Summer,
    Utc,
}

impl Part {
    fn date(text: &str) -> Option<Self> {
        let Some((day, rest)) = text.trim().split_once('.') else {
            return Self::of(text, &['-', '/'], &[6, 8]);
        };
        let (month, year) = rest.split_once('.')?;
        let is_date = day.len() == 2 && month.len() == 2;
        is_date.then(|| Self::of(&format!("{year}{month}{day}"), &[], &[6, 8]))?
    }

    fn time(text: &str) -> Option<Self> {
        Self::of(text, &[':'], &[6])
    }

    /// So many digits, with such marks between, and behind the season where it is told.
    fn of(text: &str, marks: &[char], lengths: &[usize]) -> Option<Self> {
        let mut digits = text.trim().replace(marks, "");
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let season = match (digits.len(), digits.as_bytes()) {
            (7, [b'0', ..]) => Some(Season::Winter),
            (7, [b'1', ..]) => Some(Season::Summer),
            (7, [b'2', ..]) => Some(Season::Utc),
            _ => None,
        };
        if season.is_some() {
            digits.remove(0);
        }
        lengths.contains(&digits.len()).then_some(Self { digits, season })
    }
}

/// Nothing where one part is of another season: the clock was changed between them.
fn utc(date: &Part, time: &Part, base: Span) -> Option<Timestamp> {
    let season = date.season.or(time.season);
    if time.season.is_some_and(|of_time| season != Some(of_time)) {
        return None;
    }
    let (flag, base) = match season {
        None => ("", base),
        Some(Season::Winter) => ("W", base),
        Some(Season::Summer) => ("S", base),
        Some(Season::Utc) => ("W", Span::ZERO),
    };
    dsmr::utc(&format!("{}{}{flag}", date.digits, time.digits), base)
}

#[cfg(test)]
mod tests {
    use super::super::IecDecoder;
    use crate::metering::decoder::Decoder as _;
    use crate::metering::meter_clock::{ClockState, MeterClock};
    use crate::metering::reading::Reading;
    use crate::metering::telegram::Telegram;
    use crate::time::{Span, Timestamp};

    fn telegram(sets: &str) -> Telegram {
        let mut decoder = IecDecoder::listening().with_clock_base(Span::HOUR);
        decoder.push(format!("/SYN5X\r\n\r\n1.8.0(1.5*kWh)\r\n{sets}\r\n!\r\n").as_bytes());
        decoder.quiet();
        decoder.next().unwrap().unwrap()
    }

    fn clock(sets: &str) -> Option<String> {
        telegram(sets).clock.map(|at| at.to_string())
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        for sets in [
            "0.9.1(142530)\r\n0.9.2(260714)",
            "0.9.2(26-07-14)\r\n0.9.1(14:25:30)",
            "1-0:0.9.1*255(14:25:30)\r\n1-0:0.9.2*255(2026-07-14)",
            "0.9.1(142530)0.9.2(20260714)",
            "0.9.1(14:25:30)0.9.2(14.07.26)",
            "0.9.1(14:25:30)0.9.2(14.07.2026)",
            "0.9.1(1142530)0.9.2(1260714)",
            "0.9.1(142530)0.9.2(1260714)",
            "0.9.1(0132530)0.9.2(0260714)",
            "0.9.1(2122530)0.9.2(2260714)",
            "0.9.4(260714142530)",
            "0.9.4(2026-07-14 14:25:30)",
            "0-0:1.0.0(260714142530S)",
            "0-0:1.0.0(260714132530W)",
            "6.8(1.5*MWh)9.36(2026-07-14&14:25:30)",
        ] {
            assert_eq!(clock(sets).as_deref(), Some("2026-07-14T12:25:30Z"), "{sets}");
        }
        assert_eq!(clock("0.9.1(142530)0.9.2(260114)").as_deref(), Some("2026-01-14T13:25:30Z"));
    }

    #[test]
    fn what_is_no_whole_date_is_none() {
        for sets in [
            "0.9.1(142530)",
            "0.9.2(260714)",
            "0.9.1(1425)0.9.2(260714)",
            "0.9.1(142560)0.9.2(260714)",
            "0.9.1(142530)0.9.2(261332)",
            "0.9.1(142530)0.9.2(000000)",
            "0.9.1(142530)0.9.2(4260714)",
            "0.9.1(0142530)0.9.2(1260714)",
            "0.9.1(142530)0.9.2(7.14.26)",
            "0.9.1(--:--:--)0.9.2(--)",
            "0.9.1()0.9.2()",
            "0.9.1*01(142530)0.9.2*01(260714)",
        ] {
            assert_eq!(clock(sets), None, "{sets}");
        }
    }

    #[test]
    fn a_clock_is_believed_only_where_it_is_near_ours() {
        let ours: Timestamp = "2026-07-14T12:25:33Z".parse().unwrap();
        let read = |sets: &str| {
            let mut telegram = telegram(sets);
            let state = MeterClock::new(Span::HOUR).correct(&mut telegram, Some(ours));
            (state, (ours - Reading::of(&telegram, ours).at).seconds())
        };
        let right = ClockState::Right { ahead: -Span::from_seconds(3) };
        assert_eq!(read("0.9.1(142530)0.9.2(260714)"), (right, 3), "the reading is of its time");
        assert_eq!(read("0.9.1(132530)0.9.2(260714)"), (right, 3), "one that stays in winter time");
        assert_eq!(read("0.9.1(142500)0.9.2(260714)").1, 0, "further away than can be");
        let (state, late) = read("0.9.1(142530)0.9.2(140726)");
        assert!(matches!(state, ClockState::Wrong { .. }) && late == 0, "the day first: {state:?}");
    }
}
