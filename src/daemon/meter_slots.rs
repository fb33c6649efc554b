//! Tells the slots of 5, 10 and 15 minutes of a meter when they are over: the topic `meter.interval`.
//!
//! What is told comes from the same series as reports, so that both say the same; what was not measured is left out.

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

/// What is told of the slots of one meter.
#[derive(Debug)]
pub(super) struct Slots {
    meter: String,
    /// Its days begin at midnight here.
    zone: TimeZone,
    /// Slots that ended up to here are told, or were over before the start.
    told: Option<Timestamp>,
}

impl Slots {
    /// For a meter of this name, with the days of this machine.
    pub(super) fn new(meter: String) -> Self {
        Self { meter, zone: TimeZone::system(), told: None }
    }

    /// What is to be told after a reading of that time, which the series has.
    pub(super) fn after(&mut self, series: &Series, serial: Option<&str>, at: Timestamp) -> Vec<Draft> {
        let told = self.told.replace(self.told.map_or(at, |told| told.max(at)));
        let Some(told) = told else { return Vec::new() };
        let mut drafts = Vec::new();
        for length in LENGTHS {
            let end = at.floor_to(length);
            if end > told {
                drafts.extend(self.slot(series, serial, end, length));
            }
        }
        drafts
    }

    fn slot(&self, series: &Series, serial: Option<&str>, end: Timestamp, length: Span) -> Option<Draft> {
        let start = end - length;
        let LocalDay { start: midnight, date, .. } = LocalDay::of(start, &self.zone)?;
        let energy = |quantity, from: Timestamp| {
            let value = series.window(quantity, from, end, end - from).into_iter().next()?.value?;
            Some(value / Decimal::ONE_THOUSAND)
        };
        let import = energy(Quantity::IMPORT_ENERGY, start);
        let export = energy(Quantity::EXPORT_ENERGY, start);
        if import.is_none() && export.is_none() {
            return None;
        }
        let mean = |kwh: Decimal| (kwh * Decimal::from(3_600_000) / Decimal::from(length.seconds())).round();
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
            ("late", false.into()),
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
}
