//! Finds out what a meter's clock is ahead of UTC in winter, and whether it goes right.
//!
//! Meters write local time and say whether it is summer time, but not in which zone they are: their clocks are 0, 60 or 120 minutes
//! ahead in winter. Our own clock, where it is synchronised, tells which.

use crate::time::{Span, Timestamp};

use super::telegram::Telegram;

/// What clocks of meters are ahead of UTC in winter, from Ireland to Lithuania.
const BASES: [Span; 3] = [Span::ZERO, Span::HOUR, Span::from_seconds(7_200)];
/// A clock that is this far off is wrong, whatever its base.
const TRUST: Span = Span::from_seconds(600);
/// A base that was found is given up for another only after so many telegrams in a row: one may have been long on its way.
const AGAIN: u8 = 3;

/// What a meter's clock is ahead of UTC in winter: as configured, until our own clock tells better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MeterClock {
    /// By this the decoder turns the meter's times into UTC.
    assumed: Span,
    found: Option<Span>,
    /// So many telegrams in a row fit another base.
    against: u8,
}

/// How a meter's clock goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockState {
    /// The meter does not tell the time.
    Absent,
    /// Our own clock is not sure.
    Unknown,
    /// It is right, and ahead of ours by this.
    Right { ahead: Span },
    /// It was never set, or has lost its time: it says a year before 2010.
    NeverSet,
    /// It is wrong, and ahead of ours by this.
    Wrong { ahead: Span },
}

impl MeterClock {
    /// For a decoder that takes this for the base.
    pub(crate) const fn new(assumed: Span) -> Self {
        Self { assumed, found: None, against: 0 }
    }

    /// What the meter's clock is ahead of UTC in winter, as far as is known.
    pub(crate) fn base(&self) -> Span {
        self.found.unwrap_or(self.assumed)
    }

    /// Puts the times of a telegram right, and says how the meter's clock goes. `received`: when it came, where our clock is sure.
    ///
    /// Where the clock is wrong the times stay as they are: a reading then has our time, and so must what else is made of them.
    pub(crate) fn correct(&mut self, telegram: &mut Telegram, received: Option<Timestamp>) -> ClockState {
        let state = self.look(telegram.clock, received);
        let late = self.assumed - self.base();
        if late != Span::ZERO {
            let own = telegram.objects.iter_mut().filter_map(|object| object.at.as_mut());
            telegram.clock.iter_mut().chain(own).for_each(|at| *at += late);
        }
        state
    }

    fn look(&mut self, clock: Option<Timestamp>, received: Option<Timestamp>) -> ClockState {
        let Some(clock) = clock else { return ClockState::Absent };
        if Timestamp::from_calendar((2010, 1, 1), (0, 0, 0)).is_some_and(|begin| clock < begin) {
            return ClockState::NeverSet;
        }
        let Some(received) = received else { return ClockState::Unknown };
        let ahead = |base| clock + self.assumed - base - received;
        match BASES.into_iter().find(|base| ahead(*base).abs() < TRUST) {
            None => {
                self.against = 0;
                ClockState::Wrong { ahead: ahead(self.base()) }
            }
            Some(base) if self.found.is_none_or(|found| found == base) => {
                let ahead = ahead(base);
                (self.found, self.against) = (Some(base), 0);
                ClockState::Right { ahead }
            }
            Some(base) => {
                let (by_old, by_new) = (ahead(self.base()), ahead(base));
                self.against += 1;
                if self.against < AGAIN {
                    return ClockState::Wrong { ahead: by_old };
                }
                (self.found, self.against) = (Some(base), 0);
                ClockState::Right { ahead: by_new }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockState, MeterClock};
    use crate::metering::obis::ObisCode;
    use crate::metering::telegram::{Object, ObjectValue, Telegram};
    use crate::openadr::message::DataQuality;
    use crate::time::{Span, Timestamp};

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A telegram of that clock, and a gas meter that was read five minutes before.
    fn telegram(clock: &str) -> Telegram {
        let gas = Object {
            code: ObisCode::now(0, 1, 24, 2, 1),
            value: ObjectValue::Number(1.into(), None),
            at: Some(t(clock) - Span::from_seconds(300)),
            quality: DataQuality::Good,
        };
        let other = Object { code: ObisCode::now(0, 1, 24, 1, 0), at: None, ..gas.clone() };
        let objects = vec![gas, other];
        Telegram { meter: None, clock: Some(t(clock)), objects, quality: DataQuality::Good }
    }

    #[test]
    fn the_base_is_found_and_all_times_are_put_right() {
        // The decoder took 60 minutes for the base.
        for (clock, base, ahead) in [
            ("2026-07-15T12:00:03Z", 60, 3),
            ("2026-07-15T12:59:57Z", 120, -3),
            ("2026-07-15T11:09:59Z", 0, 599),
            ("2026-07-15T12:50:01Z", 120, -599),
        ] {
            let mut meter = MeterClock::new(Span::HOUR);
            let mut said = telegram(clock);
            let state = meter.correct(&mut said, Some(t("2026-07-15T12:00:00Z")));
            assert_eq!(state, ClockState::Right { ahead: Span::from_seconds(ahead) }, "{clock}");
            assert_eq!(meter.base(), Span::MINUTE * base, "{clock}");
            let right = t("2026-07-15T12:00:00Z") + Span::from_seconds(ahead);
            assert_eq!(said.clock, Some(right), "{clock}");
            assert_eq!(said.objects[0].at, Some(right - Span::from_seconds(300)), "{clock}");
            assert_eq!(said.objects[1].at, None);
            // What was found holds while our clock is not sure.
            let mut said = telegram(clock);
            assert_eq!(meter.correct(&mut said, None), ClockState::Unknown);
            assert_eq!(said.clock, Some(right), "{clock}");
        }
    }

    #[test]
    fn a_clock_that_fits_no_base_is_wrong_and_stays_as_it_is() {
        for (clock, ahead) in [
            ("2026-07-15T12:10:00Z", 600),
            ("2026-07-15T14:00:00Z", 7_200),
            ("2026-07-15T10:50:00Z", -4_200),
            ("2026-03-15T12:00:00Z", -122 * 86_400),
        ] {
            let mut meter = MeterClock::new(Span::HOUR);
            let mut said = telegram(clock);
            let state = meter.correct(&mut said, Some(t("2026-07-15T12:00:00Z")));
            assert_eq!(state, ClockState::Wrong { ahead: Span::from_seconds(ahead) }, "{clock}");
            assert_eq!((said, meter), (telegram(clock), MeterClock::new(Span::HOUR)));
        }
    }

    #[test]
    fn without_a_sure_clock_of_ours_nothing_changes() {
        let mut meter = MeterClock::new(Span::HOUR);
        let mut said = telegram("2026-07-15T14:00:00Z");
        assert_eq!(meter.correct(&mut said, None), ClockState::Unknown);
        assert_eq!(said, telegram("2026-07-15T14:00:00Z"));
        let mut silent = Telegram { clock: None, ..said };
        assert_eq!(meter.correct(&mut silent, Some(t("2026-07-15T12:00:00Z"))), ClockState::Absent);
    }

    #[test]
    fn a_clock_that_was_never_set_says_so_and_teaches_nothing() {
        let mut meter = MeterClock::new(Span::HOUR);
        let mut said = telegram("1999-12-31T23:00:00Z");
        assert_eq!(meter.correct(&mut said, Some(t("2026-07-15T12:00:00Z"))), ClockState::NeverSet);
        assert_eq!(meter, MeterClock::new(Span::HOUR));
    }

    #[test]
    fn one_telegram_that_was_an_hour_on_its_way_changes_nothing() {
        let mut meter = MeterClock::new(Span::HOUR);
        let mut state = |clock: &str| {
            let state = meter.correct(&mut telegram(clock), Some(t("2026-07-15T12:00:00Z")));
            (state, meter.base())
        };
        let right = ClockState::Right { ahead: Span::ZERO };
        let late = ClockState::Wrong { ahead: -Span::HOUR };
        assert_eq!(state("2026-07-15T12:00:00Z"), (right, Span::HOUR));
        for _ in 0..3 {
            assert_eq!(state("2026-07-15T11:00:00Z"), (late, Span::HOUR));
            assert_eq!(state("2026-07-15T11:00:00Z"), (late, Span::HOUR));
            assert_eq!(state("2026-07-15T12:00:00Z"), (right, Span::HOUR));
        }
        assert_eq!(state("2026-07-15T11:00:00Z"), (late, Span::HOUR));
        assert_eq!(state("2026-07-15T11:00:00Z"), (late, Span::HOUR));
        assert_eq!(state("2026-07-15T11:00:00Z"), (right, Span::ZERO), "another meter, in another country");
    }
}
