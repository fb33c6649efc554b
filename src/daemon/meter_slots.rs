//! Tells the slots of 5, 10 and 15 minutes of a meter when they are over: the topic `meter.interval`.
//!
//! What is told comes from the same series as reports, so that both say the same; what was not measured is left out. A slot whose end no
//! reading tells of waits for one, for as long as a slot at most; then it is told as far as it was measured, marked as `late`.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::fact::topic::meter::INTERVAL;
use crate::fact::{Draft, Member};
use crate::metering::{Quantity, Series};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::meter_days::LocalDay;

/// The lengths that receivers want.
const LENGTHS: [Span; 3] = [Span::from_seconds(300), Span::from_seconds(600), Span::from_seconds(900)];

/// Watts for so many microseconds are a kilowatt hour.
const WATT_MICROS_IN_KWH: Decimal = Decimal::from_parts(817_405_952, 838, 0, false, 0);
/// Who looks after slots does it so often at least, so none waits longer than it may.
const LOOK: Span = Span::from_seconds(30);

/// What is told of the slots of one meter.
#[derive(Debug)]
pub(super) struct Slots {
    meter: String,
    /// Its days begin at midnight here.
    zone: TimeZone,
    /// When the slot that runs will be over, by its length; the one before is told, or was over before the start.
    open: BTreeMap<Span, Timestamp>,
    /// The time of the last reading, and the meter that said it.
    read: Option<(Timestamp, Option<String>)>,
}

impl Slots {
    /// For a meter of this name, with the days of this machine.
    pub(super) fn new(meter: String) -> Self {
        Self { meter, zone: TimeZone::system(), open: BTreeMap::new(), read: None }
    }

    /// What is to be told after a reading of that time, which the series has.
    pub(super) fn after(&mut self, series: &Series, serial: Option<&str>, at: Timestamp) -> Vec<Draft> {
        let before = self.read.replace((at, serial.map(str::to_owned)));
        let Some((before, _)) = before.filter(|(before, _)| *before <= at) else {
            // Nothing was read before, or the clock was set back.
            self.open = LENGTHS.map(|length| (length, at.floor_to(length) + length)).into();
            return Vec::new();
        };
        let mut drafts = Vec::new();
        for (length, end) in self.over(at) {
            let exact = self.slot(series, serial, (end, end), length);
            drafts.extend(exact.or_else(|| self.slot(series, serial, (end, before), length)));
            let last = at.floor_to(length);
            if last > end {
                drafts.extend(self.slot(series, serial, (last, last), length));
            }
        }
        drafts
    }

    /// What is to be told though no reading has come: slots whose end has waited for one as long as it may.
    pub(super) fn overdue(&mut self, series: &Series, now: Timestamp) -> Vec<Draft> {
        let Some((read_at, serial)) = self.read.clone() else { return Vec::new() };
        let mut drafts = Vec::new();
        for (length, end) in self.open.clone() {
            if now + LOOK >= end + length {
                self.open.insert(length, now.floor_to(length) + length);
                drafts.extend(self.slot(series, serial.as_deref(), (end, read_at), length));
            }
        }
        drafts
    }

    /// The slots that are over at that time, each with its length and its end; the next ones run from then on.
    fn over(&mut self, at: Timestamp) -> Vec<(Span, Timestamp)> {
        let mut over = Vec::new();
        for (length, end) in &mut self.open {
            if *end <= at {
                over.push((*length, *end));
                *end = at.floor_to(*length) + *length;
            }
        }
        over
    }

    /// A slot that is over at `end`, as it was measured up to `to`.
    fn slot(
        &self,
        series: &Series,
        serial: Option<&str>,
        (end, to): (Timestamp, Timestamp),
        length: Span,
    ) -> Option<Draft> {
        let start = end - length;
        if to <= start {
            return None;
        }
        let LocalDay { start: midnight, date, .. } = LocalDay::of(start, &self.zone)?;
        let energy = |quantity, from: Timestamp| {
            let value = series.window(quantity, from, to, to - from).into_iter().next()?.value?;
            Some(value / Decimal::ONE_THOUSAND)
        };
        let import = energy(Quantity::IMPORT_ENERGY, start);
        let export = energy(Quantity::EXPORT_ENERGY, start);
        if import.is_none() && export.is_none() {
            return None;
        }
        let mean = |kwh: Decimal| (kwh * WATT_MICROS_IN_KWH / Decimal::from((to - start).micros())).round();
        let net = import.unwrap_or_default() - export.unwrap_or_default();
        let numbers = [
            ("import_kwh", import),
            ("export_kwh", export),
            ("import_w", import.map(mean)),
            ("export_w", export.map(mean)),
            ("net_w", Some(mean(net))),
            ("day_import_kwh", energy(Quantity::IMPORT_ENERGY, midnight)),
            ("day_export_kwh", energy(Quantity::EXPORT_ENERGY, midnight)),
        ];
        let text = |number: Decimal| Value::from(number.normalize().to_string());
        let numbers = numbers.map(|(name, number)| (name, number.map_or(Value::Null, text)));
        let words: [Member; 7] = [
            ("meter", self.meter.clone().into()),
            ("meter_id", serial.into()),
            ("start", start.to_string().into()),
            ("end", end.to_string().into()),
            ("duration_seconds", length.seconds().into()),
            ("late", (to < end).into()),
            ("date", date.into()),
        ];
        Some(Draft::new(&INTERVAL, Some(self.meter.clone()), end, words.into_iter().chain(numbers)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Draft, Quantity, Series, Slots, Span, Timestamp};
    use crate::fact::sample::misfits;
    use crate::metering::{Channel, Keep, Reading};

    fn reading(at: Timestamp, import: i64, export: i64) -> Reading {
        let values = [(Channel::Import, Decimal::from(import)), (Channel::Export, Decimal::from(export))];
        Reading { values: values.into(), ..Reading::new(at) }
    }

    fn text<'d>(draft: &'d Draft, name: &str) -> &'d str {
        draft.data.get(name).and_then(serde_json::Value::as_str).unwrap_or("-")
    }

    #[test]
    fn slots_are_told_when_they_are_over_with_what_was_measured_since_midnight() {
        let start = Timestamp::from_seconds(1_900_000_800).floor_to(Span::DAY) + Span::HOUR * 30;
        let quantities = [Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY];
        let mut series = Series::with(Keep::for_span(Span::DAY * 2), Some(&quantities));
        let mut slots = Slots::new("main".into());
        slots.zone = jiff::tz::TimeZone::UTC;
        let mut told = Vec::new();
        for step in 0..=180 {
            let at = start + Span::from_seconds(10) * step;
            series.push(reading(at, 1_000 + step * 2, 500 + step));
            told.extend(slots.after(&series, Some("E1"), at));
        }
        let lengths: Vec<_> =
            told.iter().map(|draft| draft.data["duration_seconds"].as_i64().unwrap()).collect();
        assert_eq!(lengths, [300, 300, 600, 300, 900, 300, 600, 300, 300, 600, 900]);
        for draft in &told {
            assert_eq!(misfits(draft), Vec::<String>::new());
        }
        let last = told.last().unwrap();
        assert_eq!(
            ["import_kwh", "export_kwh", "net_w"].map(|name| text(last, name)),
            ["0.18", "0.09", "360"]
        );
        assert_eq!(text(last, "end"), (start + Span::MINUTE * 30).to_string());
        assert_eq!(text(last, "day_import_kwh"), "-", "nobody has measured since midnight");
    }

    /// Readings each ten seconds for some minutes, on a meter that takes 720 W, from a moment of minute 0 on.
    struct House {
        series: Series,
        slots: Slots,
        start: Timestamp,
    }

    impl House {
        fn new() -> Self {
            let quantities = [Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY];
            let mut slots = Slots::new("main".into());
            slots.zone = jiff::tz::TimeZone::UTC;
            Self {
                series: Series::with(Keep::for_span(Span::DAY * 2), Some(&quantities)),
                slots,
                start: Timestamp::from_seconds(1_900_000_800).floor_to(Span::DAY) + Span::HOUR * 30,
            }
        }

        /// Slots of five minutes that are told while it is read from one second to another.
        fn reads(&mut self, from: i64, to: i64) -> Vec<String> {
            let mut told = Vec::new();
            for second in (from..=to).step_by(10) {
                let at = self.start + Span::from_seconds(second);
                self.series.push(reading(at, 10_000 + second / 5, 500));
                told.extend(self.slots.after(&self.series, None, at));
            }
            self.texts(&told)
        }

        fn waits_until(&mut self, second: i64) -> Vec<String> {
            let told = self.slots.overdue(&self.series, self.start + Span::from_seconds(second));
            self.texts(&told)
        }

        /// Of each slot of five minutes the second of its end, its energy and power, and whether it is late.
        fn texts(&self, told: &[Draft]) -> Vec<String> {
            let text = |draft: &Draft| {
                assert_eq!(misfits(draft), Vec::<String>::new());
                let end: Timestamp = text(draft, "end").parse().unwrap();
                let (kwh, power, late) =
                    (text(draft, "import_kwh"), text(draft, "net_w"), &draft.data["late"]);
                format!("{} {kwh} kWh {power} W {late}", (end - self.start).seconds())
            };
            told.iter().filter(|draft| draft.data["duration_seconds"] == 300).map(text).collect()
        }
    }

    #[test]
    fn a_slot_whose_end_nobody_has_read_waits_as_long_as_a_slot_and_is_told_late() {
        let mut house = House::new();
        assert_eq!(house.reads(0, 450), ["300 0.06 kWh 720 W false"]);
        assert_eq!(house.waits_until(600), [""; 0]);
        assert_eq!(house.waits_until(869), [""; 0]);
        assert_eq!(house.waits_until(870), ["600 0.03 kWh 720 W true"], "within the slot behind it");
        for second in [900, 1_200, 1_800] {
            assert_eq!(house.waits_until(second), [""; 0], "nothing was measured, and nothing is told");
        }
        assert_eq!(house.reads(2_000, 2_710), ["2400 0.06 kWh 720 W false", "2700 0.06 kWh 720 W false"]);
    }

    #[test]
    fn a_reading_behind_a_gap_lets_the_slot_before_it_be_told_as_far_as_it_was_measured() {
        let mut house = House::new();
        house.reads(0, 450);
        let told = house.reads(1_000, 1_000);
        assert!(told[0].starts_with("600 0.0") && told[0].ends_with(" W true"), "{told:?}");
        // A clock that is set back begins anew.
        assert_eq!(house.reads(310, 320), [""; 0]);
        assert_eq!(house.slots.open[&Span::from_seconds(300)], house.start + Span::from_seconds(600));
    }

    #[test]
    fn a_kilowatt_hour_is_a_kilowatt_for_an_hour() {
        assert_eq!(super::WATT_MICROS_IN_KWH, Decimal::from(3_600_000_000_000_i64));
    }
}
