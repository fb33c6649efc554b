//! Counts the pulses of a meter with an S0 output (IEC 62053-31): each is so much energy.

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Span;

use super::obis::ObisCode;
use super::telegram::{Object, ObjectValue, Telegram};
use super::unit::{Measure, MeterUnit};

/// From a clock that goes back further it follows that it was ahead; otherwise all that comes until then would be bounces.
const CLOCK_WAS_AHEAD: Span = Span::SECOND;

/// Wh in a kWh.
const WH: u32 = 1_000;
/// Microseconds in an hour: a pulse of so many Wh, divided by the microseconds between two, is W.
const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Places of the power behind the point: a meter says no more by its pulses.
const POWER_PLACES: u32 = 3;
/// Places of the energy behind the point, in Wh; that of all usual meters is exact in them.
const ENERGY_PLACES: u32 = 9;

/// Which way the energy flows that the pulses count: they do not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PulseFlow {
    /// From the grid.
    #[default]
    Import,
    /// To the grid.
    Export,
}

/// What an S0 output counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PulseSettings {
    /// Pulses for one kWh, as the meter's face says it (imp/kWh). Zero is taken for one.
    pub(crate) per_kwh: u32,
    pub(crate) flow: PulseFlow,
    /// Contacts bounce: an edge sooner than this after the last one is none.
    pub(crate) debounce: Span,
    /// After so long without a pulse the power is zero.
    pub(crate) idle: Span,
}

impl PulseSettings {
    /// For a meter of so many pulses for one kWh: 30 ms of bouncing, no power after 10 minutes without a pulse.
    pub(crate) const fn new(per_kwh: u32, flow: PulseFlow) -> Self {
        Self { per_kwh, flow, debounce: Span::from_millis(30), idle: Span::from_seconds(600) }
    }
}

/// Counts pulses. All times are of the monotonic clock.
#[derive(Clone, Debug)]
pub(crate) struct PulseCounter {
    settings: PulseSettings,
    /// Of all time; to be kept where a restart does not lose it.
    count: u64,
    began: Span,
    /// The last edge, whether it was a pulse or a bounce.
    edge: Option<Span>,
    /// The last pulse.
    pulse: Option<Span>,
    /// Between the last two pulses.
    gap: Option<Span>,
}

impl PulseCounter {
    /// Goes on from a count that was kept; 0 where none was.
    pub(crate) const fn new(settings: PulseSettings, count: u64, now: Span) -> Self {
        Self { settings, count, began: now, edge: None, pulse: None, gap: None }
    }

    /// The input has gone to the state of a pulse. Whether that is a new pulse, and no bounce of the last.
    pub(crate) fn pulse(&mut self, at: Span) -> bool {
        let bounces =
            self.edge.is_some_and(|edge| at - edge < self.settings.debounce && edge - at < CLOCK_WAS_AHEAD);
        self.edge = Some(self.edge.filter(|_| bounces).map_or(at, |edge| edge.max(at)));
        if bounces {
            return false;
        }
        self.gap = self.pulse.map(|pulse| at - pulse).filter(|gap| *gap > Span::ZERO);
        self.pulse = Some(at);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Pulses of all time.
    #[cfg(test)]
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The register of energy and, where it is known, the power.
    pub(crate) fn telegram(&self, now: Span) -> Telegram {
        let quantity = match self.settings.flow {
            PulseFlow::Import => 1,
            PulseFlow::Export => 2,
        };
        let object = |kind, value, measure| Object {
            code: ObisCode::electricity(quantity, kind, 0),
            value: ObjectValue::Number(value, Some(MeterUnit::base(measure))),
            at: None,
            quality: DataQuality::Good,
        };
        let mut objects = vec![object(8, self.energy(), Measure::ActiveEnergy)];
        objects.extend(self.power(now).map(|power| object(7, power, Measure::ActivePower)));
        Telegram { meter: None, clock: None, objects, quality: DataQuality::Good }
    }

    fn per_kwh(&self) -> Decimal {
        self.settings.per_kwh.max(1).into()
    }

    /// In Wh. From the count each time, so that nothing adds up that a division leaves.
    fn energy(&self) -> Decimal {
        let energy = Decimal::from(self.count) * Decimal::from(WH) / self.per_kwh();
        energy.round_dp(ENERGY_PLACES).normalize()
    }

    /// In W: what the last two pulses say, or less, as no pulse has come since; `None` as long as there were no two.
    fn power(&self, now: Span) -> Option<Decimal> {
        let silent = now - self.pulse.unwrap_or(self.began);
        if silent >= self.settings.idle {
            return Some(Decimal::ZERO);
        }
        let longest = self.gap?.max(silent).micros().max(1);
        let per_pulse = Decimal::from(i64::from(WH) * MICROS_PER_HOUR);
        Some((per_pulse / (self.per_kwh() * Decimal::from(longest))).round_dp(POWER_PLACES).normalize())
    }
}

#[cfg(test)]
mod tests {
    use super::{PulseCounter, PulseFlow, PulseSettings};
    use crate::metering::Channel;
    use crate::metering::reading::Reading;
    use crate::test_support::samples;
    use crate::time::{Span, Timestamp};

    fn ms(millis: i64) -> Span {
        Span::from_millis(millis)
    }

    fn counter(per_kwh: u32) -> PulseCounter {
        PulseCounter::new(PulseSettings::new(per_kwh, PulseFlow::Import), 0, Span::ZERO)
    }

    /// Energy and power.
    fn said(counter: &PulseCounter, now: Span) -> (String, Option<String>) {
        let reading = Reading::of(&counter.telegram(now), Timestamp::EPOCH);
        (
            reading.get(Channel::Import).unwrap().to_string(),
            reading.get(Channel::PowerImport).map(|power| power.to_string()),
        )
    }

    #[test]
    fn each_pulse_is_exactly_its_energy() {
        for (per_kwh, pulses, energy) in [
            (1000, 66, "66"),
            (800, 3, "3.75"),
            (2000, 3, "1.5"),
            (10_000, 1, "0.1"),
            (6400, 1, "0.15625"),
            (512, 1, "1.953125"),
            (600, 3, "5"),
            (600, 1, "1.666666667"),
            (0, 2, "2000"),
        ] {
            let mut counter = counter(per_kwh);
            for pulse in 1..=pulses {
                assert!(counter.pulse(ms(1_000 * pulse)));
            }
            assert_eq!(said(&counter, ms(100_000)).0, energy, "{per_kwh}");
        }
        let most = PulseCounter::new(PulseSettings::new(1, PulseFlow::Import), u64::MAX, Span::ZERO);
        assert_eq!(said(&most, Span::ZERO).0, "18446744073709551615000");
    }

    #[test]
    fn power_is_that_of_the_last_two_pulses_and_falls_while_none_comes() {
        let mut counter = counter(1000);
        assert_eq!(said(&counter, ms(1_000)).1, None, "nothing is known");
        assert_eq!(said(&counter, ms(599_999)).1, None);
        assert_eq!(said(&counter, ms(600_000)).1.unwrap(), "0", "ten minutes without a pulse");
        counter.pulse(ms(700_000));
        assert_eq!(said(&counter, ms(700_001)).1, None, "one pulse alone");
        counter.pulse(ms(703_600));
        for (after, power) in [
            (0, "1000"),
            (3_600, "1000"),
            (3_601, "999.722"),
            (7_200, "500"),
            (180_000, "20"),
            (599_999, "6"),
            (600_000, "0"),
            (9_000_000, "0"),
        ] {
            assert_eq!(said(&counter, ms(703_600 + after)).1.unwrap(), power, "{after}");
        }
        counter.pulse(ms(703_600 + 36_000));
        assert_eq!(said(&counter, ms(703_600 + 36_000)).1.unwrap(), "100");
    }

    #[test]
    fn bounces_are_no_pulses() {
        let mut counter = counter(1000);
        let heard = [0, 4, 12, 41, 42, 71, 102, 132, 161, 191].map(|at| counter.pulse(ms(at)));
        assert_eq!(heard, [true, false, false, false, false, false, true, true, false, true]);
        assert_eq!(counter.count(), 4);
        assert!(!counter.pulse(ms(150)), "a clock that goes back makes no pulse");
        assert!(!counter.pulse(ms(220)));
        assert_eq!(said(&counter, ms(191)).0, "4");
    }

    #[test]
    fn a_count_goes_on_after_a_restart_and_may_be_of_export() {
        let mut counter = PulseCounter::new(PulseSettings::new(500, PulseFlow::Export), 1_000_000, ms(5));
        counter.pulse(ms(10));
        counter.pulse(ms(7_210));
        let reading = Reading::of(&counter.telegram(ms(7_210)), Timestamp::EPOCH);
        assert_eq!((reading.get(Channel::Import), reading.get(Channel::PowerImport)), (None, None));
        assert_eq!(
            (reading.get(Channel::Export), reading.get(Channel::PowerExport)),
            (Some(2_000_004.into()), Some(1000.into()))
        );
        assert_eq!(counter.count(), 1_000_002);
    }

    #[test]
    fn the_sample_gives_what_is_expected() {
        let Some(folder) = samples("meters/samples") else { return };
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
        let text = read("s0-pulses-syn.csv");
        let expected: serde_json::Value =
            serde_json::from_str(&read("s0-pulses-syn.csv.expected.json")).unwrap();
        let per_kwh = u32::try_from(expected["pulses_per_kwh"].as_u64().unwrap()).unwrap();
        let (mut counter, mut bounces) = (counter(per_kwh), 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let at = ms(line.parse().unwrap());
            bounces += u64::from(!counter.pulse(at));
            for power in expected["power_w"].as_array().unwrap() {
                let (from, to) = (power["from_pulse"].as_u64().unwrap(), power["to_pulse"].as_u64().unwrap());
                if from < counter.count() && counter.count() <= to {
                    assert_eq!(said(&counter, at).1.unwrap(), power["power"].to_string(), "{line}");
                }
            }
        }
        assert_eq!(counter.count(), expected["pulses_counted"].as_u64().unwrap());
        assert_eq!(bounces, expected["bounces_rejected"].as_u64().unwrap());
        assert_eq!(said(&counter, Span::ZERO).0, expected["energy_wh"].to_string());
    }
}
