//! Turns the date and time of COSEM into UTC (IEC 62056-6-2, date-time).

use crate::metering::dsmr::is_summer;
use crate::time::{Span, Timestamp};

/// Bytes of a date-time.
pub(super) const LENGTH: usize = 12;
/// What is not given.
const NOT_GIVEN: u8 = 0xFF;
/// The clock says that its value is invalid.
const INVALID: u8 = 0x01;
/// The clock says that it is summer time.
const SUMMER: u8 = 0x80;
/// Deviations of the world, in minutes: local time is so much behind UTC.
const DEVIATIONS: std::ops::RangeInclusive<i16> = -840..=720;

/// Year (2), month, day, weekday, hour, minute, second, hundredths, deviation (2), status. UTC is local time and the deviation; `base` is
/// what the meter's clock is ahead of UTC in winter, for meters that send none.
///
/// A deviation of 0 counts as none where the base is another: Aidon writes it beside local time. Without one the status says whether it
/// is summer time; without that, the rule of the European Union.
///
/// Nothing where a part of the date is not given, or the clock says that it is invalid.
pub(super) fn utc(octets: [u8; LENGTH], base: Span) -> Option<Timestamp> {
    let [high, low, month, day, _, hour, minute, second, _, deviation @ .., status] = octets;
    if status != NOT_GIVEN && status & INVALID != 0 || [high, low] == [NOT_GIVEN; 2] {
        return None;
    }
    let year = i32::from(u16::from_be_bytes([high, low]));
    let second = if second == NOT_GIVEN { 0 } else { second };
    let time = (hour.into(), minute.into(), second.into());
    let local = Timestamp::from_calendar((year, month.into(), day.into()), time)?;
    let deviation = i16::from_be_bytes(deviation);
    if DEVIATIONS.contains(&deviation) && (deviation != 0 || base.is_zero()) {
        return Some(local + Span::MINUTE * i64::from(deviation));
    }
    let winter = local - base;
    let summer = match status {
        NOT_GIVEN => is_summer(winter - Span::HOUR, year)?,
        status => status & SUMMER != 0,
    };
    Some(if summer { winter - Span::HOUR } else { winter })
}
