//! Keeps a register rising when the meter's does not: glitches, roll-over, reset, exchange.

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// A register that stays low for so long was reset.
const RESET_AFTER: Span = Span::from_seconds(600);
/// Gateways round: a register that falls by so little (Wh) has not moved.
const ROUNDING: i64 = 2;
/// Registers of eight or nine digits roll over at 100,000 or 1,000,000 kWh.
const ROLL_OVERS: [i64; 2] = [100_000_000, 1_000_000_000];
/// How near to the end and to the beginning a register must be to have rolled over, in Wh.
const NEAR: i64 = 1_000_000;

/// One register of a meter.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// What the meter said last that was believed.
    raw: Option<Decimal>,
    /// To be added to what it says.
    offset: Decimal,
    /// It has fallen: when, and to what.
    fallen: Option<(Timestamp, Decimal)>,
}

/// What a reading means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Rises only; `None` while it cannot be said.
    pub(super) total: Option<Decimal>,
    /// Another meter, or the same one reset: a little may be missing before this.
    pub(super) break_before: bool,
}

impl Register {
    /// Takes what the meter says at that time; `exchanged`: its serial number has changed.
    pub(super) fn accept(&mut self, at: Timestamp, raw: Decimal, exchanged: bool) -> Accepted {
        let Some(last) = self.raw else { return self.go_on(raw, false) };
        if exchanged {
            self.offset += last - raw;
            return self.go_on(raw, true);
        }
        if raw >= last {
            return self.go_on(raw, false);
        }
        if last - raw <= Decimal::from(ROUNDING) {
            return self.go_on(last, false);
        }
        let rolled = ROLL_OVERS.map(Decimal::from).into_iter().find(|end| {
            let near = Decimal::from(NEAR);
            last < *end && *end - last <= near && raw <= near
        });
        if let Some(end) = rolled {
            self.offset += end;
            return self.go_on(raw, false);
        }
        match self.fallen {
            Some((since, first)) if at - since >= RESET_AFTER && raw >= first => {
                self.offset += last - first;
                self.go_on(raw, true)
            }
            Some((_, first)) if raw >= first => Accepted { total: None, break_before: false },
            Some(_) | None => {
                self.fallen = Some((at, raw));
                Accepted { total: None, break_before: false }
            }
        }
    }

    fn go_on(&mut self, raw: Decimal, break_before: bool) -> Accepted {
        self.raw = Some(raw);
        self.fallen = None;
        Accepted { total: Some(raw + self.offset), break_before }
    }
}

#[cfg(test)]
mod tests {
    use super::Register;
    use crate::time::{Span, Timestamp};

    /// What comes of readings one minute apart; `-` while nothing can be said, `!` after a break.
    fn totals(raws: &[i64]) -> Vec<String> {
        let (mut register, mut at) = (Register::default(), Timestamp::EPOCH);
        let mut total = |raw: &i64| {
            at += Span::MINUTE;
            let accepted = register.accept(at, (*raw).into(), false);
            let mark = if accepted.break_before { "!" } else { "" };
            accepted.total.map_or_else(|| "-".to_owned(), |total| format!("{total}{mark}"))
        };
        raws.iter().map(&mut total).collect()
    }

    #[test]
    fn a_glitch_is_left_out() {
        assert_eq!(totals(&[5000, 0, 5001]), ["5000", "-", "5001"]);
        assert_eq!(totals(&[5000, 4998, 5001]), ["5000", "5000", "5001"], "a gateway that rounds");
    }

    #[test]
    fn a_roll_over_goes_on() {
        assert_eq!(totals(&[999_999_900, 100]), ["999999900", "1000000100"]);
        assert_eq!(totals(&[99_999_900, 100, 200]), ["99999900", "100000100", "100000200"]);
    }

    #[test]
    fn a_reset_is_believed_after_ten_minutes_and_loses_nothing_since() {
        let mut raws = vec![5_000_000];
        raws.extend(0..=11);
        let totals = totals(&raws);
        assert_eq!(
            (totals[10].as_str(), totals[11].as_str(), totals[12].as_str()),
            ("-", "5000010!", "5000011")
        );
    }

    #[test]
    fn another_meter_goes_on_where_the_old_one_was() {
        let mut register = Register::default();
        register.accept(Timestamp::EPOCH, 7000.into(), false);
        let accepted = register.accept(Timestamp::EPOCH, 3.into(), true);
        assert_eq!((accepted.total, accepted.break_before), (Some(7000.into()), true));
        assert_eq!(register.accept(Timestamp::EPOCH, 10.into(), false).total, Some(7007.into()));
    }
}
