//! Keeps a register rising when the meter's does not: glitches, roll-over, reset, exchange.

use std::collections::VecDeque;

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::channel::{Channel, Medium};

/// A register that stays on another line for so long was reset.
const RESET_AFTER: Span = Span::from_seconds(600);
/// So many changes of what is added are remembered.
const SHIFTS: usize = 16;
/// A register that rolls over is nearer to its end than one part in so many, however long nothing was heard.
const NEAR_END: i64 = 100;

/// Nor does it count faster than one part in so many of what is possible at all: a house does not, and a reset near the end is none.
const SLOWER: i64 = 50;

/// How a register counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// It does not rise by one unit in less than so many microseconds.
    micros: i64,
    /// One without decimals may jump by so much, however short the time.
    jump: i64,
    /// Gateways round: one that falls by no more than two in the last place has not moved.
    rounding: Decimal,
    /// No meter counts further than this.
    highest: i64,
    /// The powers of ten at which one rolls over, by the digits of its format.
    ends: (u32, u32),
}

impl Pace {
    fn of(channel: Channel) -> Self {
        let medium = if let Channel::Device(medium) = channel { Some(medium) } else { None };
        match medium {
            Some(Medium::Heat | Medium::Cold) => Self {
                // 1 MW, and GJ without decimals.
                micros: 1,
                jump: 1_000_000_000,
                rounding: Decimal::from(2_000_000),
                highest: 1_000_000_000_000_000,
                ends: (13, 15),
            },
            Some(Medium::Gas | Medium::Water | Medium::HotWater) => Self {
                // 1000 m3 an hour.
                micros: 3_600_000,
                jump: 1,
                rounding: Decimal::new(2, 3),
                highest: 1_000_000_000,
                ends: (4, 8),
            },
            // 10 MW, and kWh without decimals.
            None => Self {
                micros: 360,
                jump: 1_000,
                rounding: Decimal::TWO,
                highest: 1_000_000_000_000,
                ends: (7, 12),
            },
        }
    }

    /// What it can rise by in that time.
    fn possible(self, time: Span) -> Decimal {
        Decimal::from(time.abs().micros() / self.micros + self.jump)
    }

    /// Where a register rolled over that went from one value to the other.
    fn end(self, from: Decimal, to: Decimal, time: Span) -> Option<Decimal> {
        let (first, last) = self.ends;
        let mut ends = (first..=last).map(|power| Decimal::from(10_i64.pow(power)));
        ends.find(|end| {
            let most = Decimal::from(time.abs().micros() / self.micros / SLOWER + self.jump);
            let most = most.min(*end / Decimal::from(NEAR_END));
            from < *end && to < from && *end - from + to <= most
        })
    }
}

/// One register of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Register {
    pace: Pace,
    /// What the meter said last that was believed, and when.
    pub(super) believed: Option<(Timestamp, Decimal)>,
    /// What was added to what it said, from which time on; the last one holds.
    pub(super) shifts: VecDeque<(Timestamp, Decimal)>,
    pub(super) strayed: Option<Stray>,
    pub(super) exchanged: bool,
}

/// A register has left its line, and what it says cannot follow from what was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) since: Timestamp,
    pub(super) first: Decimal,
    pub(super) last: (Timestamp, Decimal),
    /// Where it has rolled over, should it go on from here.
    pub(super) end: Option<Decimal>,
}

/// What a reading means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// What the meter has counted since its first reading; rises only. `None` while it cannot be said.
    pub(super) total: Option<Decimal>,
    /// Another meter, or the same one reset: a little may be missing before this.
    pub(super) break_before: bool,
}

impl Register {
    /// Has said nothing yet.
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            pace: Pace::of(channel),
            believed: None,
            shifts: VecDeque::new(),
            strayed: None,
            exchanged: false,
        }
    }

    /// What it says next is of another meter.
    pub(super) const fn exchange(&mut self) {
        self.exchanged = self.believed.is_some();
    }

    /// What the meter showed when it had counted so much, at that time.
    pub(super) fn shown(&self, at: Timestamp, total: Decimal) -> Option<Decimal> {
        let shift = self.shifts.iter().rev().find(|(since, _)| *since <= at).or_else(|| self.shifts.front());
        shift.map(|(_, added)| total - *added)
    }

    /// Takes what the meter says at that time.
    pub(super) fn accept(&mut self, at: Timestamp, raw: Decimal) -> Accepted {
        if raw < Decimal::ZERO || raw > Decimal::from(self.pace.highest) {
            return Accepted::default();
        }
        let Some((then, last)) = self.believed else {
            return self.go_on(at, raw, Decimal::ZERO - raw, false);
        };
        if self.exchanged {
            return self.go_on(at, raw, last - raw, true);
        }
        if let Some(stray) = self.strayed.as_mut().filter(|stray| stray.goes_on(self.pace, (at, raw), last)) {
            stray.last = (at, raw);
            if let Some(end) = stray.end {
                return self.go_on(at, raw, end, false);
            }
            if at - stray.since < RESET_AFTER {
                return Accepted::default();
            }
            let more = last - stray.first;
            return self.go_on(at, raw, more, true);
        }
        let rise = raw - last;
        if rise >= Decimal::ZERO && rise <= self.pace.possible(at - then) {
            return self.go_on(at, raw, Decimal::ZERO, false);
        }
        if rise < Decimal::ZERO && -rise <= self.pace.rounding {
            return self.go_on(at, last, Decimal::ZERO, false);
        }
        let end = self.pace.end(last, raw, at - then);
        self.strayed = Some(Stray { since: at, first: raw, last: (at, raw), end });
        Accepted::default()
    }

    /// Believes it; `more` is added to what it says from now on.
    fn go_on(&mut self, at: Timestamp, raw: Decimal, more: Decimal, break_before: bool) -> Accepted {
        let added = self.shifts.back().map_or(Decimal::ZERO, |(_, added)| *added);
        if self.shifts.is_empty() || !more.is_zero() {
            self.shifts.push_back((at, added + more));
            if self.shifts.len() > SHIFTS {
                self.shifts.pop_front();
            }
        }
        self.believed = Some((at, raw));
        self.strayed = None;
        self.exchanged = false;
        Accepted { total: Some(raw + added + more), break_before }
    }
}

impl Stray {
    /// The register goes on from here, rather than from where it was.
    fn goes_on(&self, pace: Pace, (at, raw): (Timestamp, Decimal), believed: Decimal) -> bool {
        let (then, last) = self.last;
        let follows = raw >= self.first && (raw - last).abs() <= pace.possible(at - then);
        follows && (raw - last).abs() < (raw - believed).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::Register;
    use crate::metering::channel::Channel;
    use crate::time::{Span, Timestamp};

    /// What comes of readings one minute apart; `-` while nothing can be said, `!` after a break.
    fn totals(raws: &[i64]) -> String {
        let (mut register, mut at) = (Register::new(Channel::Import), Timestamp::EPOCH);
        let mut total = |raw: &i64| {
            at += Span::MINUTE;
            let accepted = register.accept(at, (*raw).into());
            let mark = if accepted.break_before { "!" } else { "" };
            accepted.total.map_or_else(|| "-".to_owned(), |total| format!("{total}{mark}"))
        };
        raws.iter().map(&mut total).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_glitch_is_left_out() {
        assert_eq!(totals(&[5000, 0, 5001]), "0 - 1");
        assert_eq!(totals(&[5000, 4998, 5001]), "0 0 1", "a gateway that rounds");
        assert_eq!(totals(&[5000, 50_000_000, 5001]), "0 - 1", "more than any meter measures in a minute");
        assert_eq!(totals(&[5000, -1, 5001, 2_000_000_000_000, 5002]), "0 - 1 - 2");
        assert_eq!(totals(&[5000, 0, 1, 5001, 0, 5002]), "0 - - 1 - 2");
    }

    #[test]
    fn a_glitch_near_the_end_is_no_roll_over() {
        assert_eq!(totals(&[99_999_900, 0, 99_999_901, 99_999_902]), "0 - 1 2", "a zero just before the end");
        assert_eq!(totals(&[99_500_000, 0, 99_500_001]), "0 - 1");
        assert_eq!(totals(&[99_990_000, 0, 20, 99_990_001]), "0 - - 1", "more than a house uses in a minute");
        assert_eq!(totals(&[999_500_000, 0, 999_500_001]), "0 - 1");
    }

    #[test]
    fn a_roll_over_goes_on() {
        assert_eq!(totals(&[999_999_900, 100, 110]), "0 - 210", "it is believed when it goes on");
        assert_eq!(totals(&[99_999_900, 100, 200, 300]), "0 - 300 400");
        assert_eq!(totals(&[9_999_990, 8, 9]), "0 - 19", "four digits before the point");
    }

    #[test]
    fn a_reset_is_believed_after_ten_minutes_and_loses_nothing_since() {
        let mut raws = vec![5_000_000];
        raws.extend(0..=11);
        assert_eq!(totals(&raws), "0 - - - - - - - - - - 10! 11");
    }

    #[test]
    fn two_glitches_in_a_row_are_no_new_line() {
        let mut raws = vec![1_000_000, 50_000_000];
        raws.extend((0..12).map(|minute| 90_000_000 + minute));
        assert_eq!(totals(&raws), "0 - - - - - - - - - - - 10! 11");
    }

    #[test]
    fn zeros_before_the_first_value_are_no_use_of_energy() {
        let mut raws = vec![0, 0];
        raws.extend((0..12).map(|minute| 7_000_000 + minute));
        assert_eq!(totals(&raws), "0 0 - - - - - - - - - - 10! 11");
    }

    #[test]
    fn another_meter_goes_on_where_the_old_one_was() {
        let (mut register, at) = (Register::new(Channel::Import), Timestamp::EPOCH);
        register.exchange();
        register.accept(at, 7000.into());
        register.exchange();
        let accepted = register.accept(at, 3.into());
        assert_eq!((accepted.total, accepted.break_before), (Some(0.into()), true));
        assert_eq!(register.accept(at, 10.into()).total, Some(7.into()));
    }
}
