//! Keeps a register rising when the meter's does not: glitches, roll-over, reset, exchange.

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// A register that stays on another line for so long was reset.
const RESET_AFTER: Span = Span::from_seconds(600);
/// Gateways round: a register that falls by so little (Wh) has not moved.
const ROUNDING: i64 = 2;
/// Registers of eight or nine digits roll over at 100,000 or 1,000,000 kWh.
const ROLL_OVERS: [i64; 2] = [100_000_000, 1_000_000_000];
/// No meter counts further than this, in Wh.
const HIGHEST: i64 = 1_000_000_000_000;
/// No meter that sends telegrams measures more than 10 MW: one Wh in so many microseconds.
const FASTEST: i64 = 360;
/// A register without decimals may jump by so much (Wh), however short the time.
const UNIT: i64 = 1_000;

/// One register of a meter.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// What the meter said last that was believed, and when.
    believed: Option<(Timestamp, Decimal)>,
    /// To be added to what it says.
    offset: Decimal,
    strayed: Option<Stray>,
    exchanged: bool,
}

/// A register has left its line, and what it says cannot follow from what was believed.
#[derive(Debug)]
struct Stray {
    since: Timestamp,
    first: Decimal,
    last: Decimal,
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
    /// It has said something.
    pub(super) fn has_begun(&self) -> bool {
        self.believed.is_some()
    }

    /// What it says next is of another meter.
    pub(super) fn exchange(&mut self) {
        self.exchanged = self.has_begun();
    }

    /// Takes what the meter says at that time.
    pub(super) fn accept(&mut self, at: Timestamp, raw: Decimal) -> Accepted {
        if raw.is_sign_negative() && !raw.is_zero() || raw > Decimal::from(HIGHEST) {
            return Accepted::default();
        }
        let Some((then, last)) = self.believed else {
            self.offset = Decimal::ZERO - raw;
            return self.go_on(at, raw, false);
        };
        if self.exchanged {
            self.offset += last - raw;
            return self.go_on(at, raw, true);
        }
        if let Some(stray) = self.strayed.as_mut().filter(|stray| stray.is_nearer(raw, last)) {
            stray.last = raw;
            if at - stray.since < RESET_AFTER {
                return Accepted::default();
            }
            self.offset += last - stray.first;
            return self.go_on(at, raw, true);
        }
        let possible = Decimal::from((at - then).abs().micros() / FASTEST + UNIT);
        let rise = raw - last;
        if rise >= Decimal::ZERO && rise <= possible {
            return self.go_on(at, raw, false);
        }
        if rise < Decimal::ZERO && -rise <= Decimal::from(ROUNDING) {
            return self.go_on(at, last, false);
        }
        let mut ends = ROLL_OVERS.map(Decimal::from).into_iter();
        if let Some(end) = ends.find(|end| last < *end && rise.is_sign_negative() && *end + rise <= possible)
        {
            self.offset += end;
            return self.go_on(at, raw, false);
        }
        self.strayed = Some(Stray { since: at, first: raw, last: raw });
        Accepted::default()
    }

    fn go_on(&mut self, at: Timestamp, raw: Decimal, break_before: bool) -> Accepted {
        self.believed = Some((at, raw));
        self.strayed = None;
        self.exchanged = false;
        Accepted { total: Some(raw + self.offset), break_before }
    }
}

impl Stray {
    /// The register goes on from here, rather than from where it was.
    fn is_nearer(&self, raw: Decimal, believed: Decimal) -> bool {
        raw >= self.first && (raw - self.last).abs() < (raw - believed).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::Register;
    use crate::time::{Span, Timestamp};

    /// What comes of readings one minute apart; `-` while nothing can be said, `!` after a break.
    fn totals(raws: &[i64]) -> String {
        let (mut register, mut at) = (Register::default(), Timestamp::EPOCH);
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
        assert_eq!(totals(&[99_500_000, 0, 99_500_001]), "0 - 1");
        assert_eq!(totals(&[999_500_000, 0, 999_500_001]), "0 - 1");
    }

    #[test]
    fn a_roll_over_goes_on() {
        assert_eq!(totals(&[999_999_900, 100]), "0 200");
        assert_eq!(totals(&[99_999_900, 100, 200]), "0 200 300");
    }

    #[test]
    fn a_reset_is_believed_after_ten_minutes_and_loses_nothing_since() {
        let mut raws = vec![5_000_000];
        raws.extend(0..=11);
        assert_eq!(totals(&raws), "0 - - - - - - - - - - 10! 11");
    }

    #[test]
    fn zeros_before_the_first_value_are_no_use_of_energy() {
        let mut raws = vec![0, 0];
        raws.extend((0..12).map(|minute| 7_000_000 + minute));
        assert_eq!(totals(&raws), "0 0 - - - - - - - - - - 10! 11");
    }

    #[test]
    fn another_meter_goes_on_where_the_old_one_was() {
        let (mut register, at) = (Register::default(), Timestamp::EPOCH);
        register.exchange();
        register.accept(at, 7000.into());
        register.exchange();
        let accepted = register.accept(at, 3.into());
        assert_eq!((accepted.total, accepted.break_before), (Some(0.into()), true));
        assert_eq!(register.accept(at, 10.into()).total, Some(7.into()));
    }
}
