//! Turns a meter's local time into UTC.

use crate::time::{Span, Timestamp};

/// Reads `YYMMDDhhmmssX`, X = S (summer) or W (winter), and the other forms that meters use; `base` is what the meter's clock is
/// ahead of UTC in winter.
///
/// The flag decides, not a table of zones: Swedish meters stay in winter time all year, and in autumn an hour comes twice. Without a
/// flag (DSMR 3) the rule of the European Union does.
///
/// Nothing where it is no date: `632525252525S` means "no value".
pub(in crate::metering) fn utc(text: &str, base: Span) -> Option<Timestamp> {
    let (text, flag) = match text.as_bytes() {
        [text @ .., flag @ (b'S' | b'W')] => (text, Some(*flag)),
        text => (text, None),
    };
    let mut digits = [0_u8; 14];
    let mut count = 0;
    for byte in text.iter().filter(|byte| !matches!(byte, b'-' | b':' | b' ' | b'T')) {
        *digits.get_mut(count)? = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        count += 1;
    }
    let two = |at: usize| u32::from(digits[at]) * 10 + u32::from(digits[at + 1]);
    let (year, at) = match count {
        // A clock that was never set may begin in 1970.
        12 => (if two(0) < 70 { 2000 } else { 1900 } + two(0), 2),
        14 => (two(0) * 100 + two(2), 4),
        _ => return None,
    };
    let year = i32::try_from(year).ok()?;
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|part| two(at + part));
    let local = Timestamp::from_calendar((year, month, day), (hour, minute, second))?;
    let winter = local - base;
    let summer = match flag {
        Some(flag) => flag == b'S',
        None => is_summer(winter - Span::HOUR, year)?,
    };
    Some(if summer { winter - Span::HOUR } else { winter })
}

/// From the last Sunday of March to that of October, each at 01:00 UTC (directive 2000/84/EC).
pub(in crate::metering) fn is_summer(at: Timestamp, year: i32) -> Option<bool> {
    let change = |month| {
        let last = Timestamp::from_calendar((year, month, 31), (1, 0, 0))?;
        // 1970-01-01 was a Thursday.
        let weekday = (last.seconds().div_euclid(86_400) + 4).rem_euclid(7);
        Some(last - Span::DAY * weekday)
    };
    Some(change(3)? <= at && at < change(10)?)
}

#[cfg(test)]
mod tests {
    use super::utc;
    use crate::time::Span;

    fn t(text: &str) -> Option<String> {
        utc(text, Span::HOUR).map(|at| at.to_string())
    }

    #[test]
    fn the_flag_decides() {
        assert_eq!(t("220206150000W").unwrap(), "2022-02-06T14:00:00Z");
        assert_eq!(t("220706150000W").unwrap(), "2022-07-06T14:00:00Z", "Sweden");
        assert_eq!(t("221030023000S").unwrap(), "2022-10-30T00:30:00Z");
        assert_eq!(t("221030023000W").unwrap(), "2022-10-30T01:30:00Z", "the hour that comes twice");
        assert_eq!(t("000101010000W").unwrap(), "2000-01-01T00:00:00Z", "never set");
        assert_eq!(t("700101010000W").unwrap(), "1970-01-01T00:00:00Z", "a meter that was taken away");
    }

    #[test]
    fn without_a_flag_the_rule_of_the_union_does() {
        assert_eq!(t("090212160000").unwrap(), "2009-02-12T15:00:00Z");
        assert_eq!(t("160707190000").unwrap(), "2016-07-07T17:00:00Z");
        assert_eq!(t("160327030000").unwrap(), "2016-03-27T01:00:00Z");
        assert_eq!(t("160327015959").unwrap(), "2016-03-27T00:59:59Z");
        assert_eq!(t("20160707 19:00:00").unwrap(), "2016-07-07T17:00:00Z");
    }

    #[test]
    fn what_is_no_date_is_no_time() {
        for text in ["", "632525252525S", "000000000000W", "2202061500W", "22020615000xW", "220206150000X"] {
            assert_eq!(t(text), None, "{text}");
        }
    }
}
