//! Tells the local days of a meter when they are over: the topic `meter.day`.
//!
//! What is told comes from the same series as reports. A register's total is the difference between what it said at both midnights, so that
//! what the VEN did not hear in between is in it; where a midnight is not known there is no total, and the day is not complete.

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::fact::topic::meter::DAY;
use crate::fact::{Draft, Member};
use crate::metering::{Channel, Medium, Quantity, Series};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

/// What is behind a meter says some things only once an hour, and late; so long a day waits for it.
const PATIENCE: Span = Span::from_seconds(75 * 60);
/// Days that are told at once, when a meter is heard again that was silent for longer.
const MOST_DAYS: usize = 7;

/// A day where the meter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalDay {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// As `2030-01-02`.
    pub(super) date: String,
}

impl LocalDay {
    /// The one in which that moment is; it has 23 or 25 hours where the clocks change.
    pub(super) fn of(at: Timestamp, zone: &TimeZone) -> Option<Self> {
        let zoned = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
        let (start, end) = (zoned.start_of_day().ok()?, zoned.tomorrow().ok()?.start_of_day().ok()?);
        let timestamp = |zoned: &jiff::Zoned| Timestamp::from_micros(zoned.timestamp().as_microsecond());
        Some(Self { start: timestamp(&start), end: timestamp(&end), date: zoned.date().to_string() })
    }
}

/// What a total is called, and what it is made of.
type Total = (&'static str, Quantity);

/// Registers, each in the unit of its name after its factor.
const TOTALS: [Total; 15] = [
    ("import_kwh", Quantity::Use(Channel::Import)),
    ("export_kwh", Quantity::Use(Channel::Export)),
    ("import_kwh_t1", Quantity::Use(Channel::ImportRate(1))),
    ("import_kwh_t2", Quantity::Use(Channel::ImportRate(2))),
    ("import_kwh_t3", Quantity::Use(Channel::ImportRate(3))),
    ("import_kwh_t4", Quantity::Use(Channel::ImportRate(4))),
    ("export_kwh_t1", Quantity::Use(Channel::ExportRate(1))),
    ("export_kwh_t2", Quantity::Use(Channel::ExportRate(2))),
    ("export_kwh_t3", Quantity::Use(Channel::ExportRate(3))),
    ("export_kwh_t4", Quantity::Use(Channel::ExportRate(4))),
    ("gas_m3", Quantity::Use(Channel::Device(Medium::Gas))),
    ("water_m3", Quantity::Use(Channel::Device(Medium::Water))),
    ("hot_water_m3", Quantity::Use(Channel::Device(Medium::HotWater))),
    ("heat_gj", Quantity::Use(Channel::Device(Medium::Heat))),
    ("cold_gj", Quantity::Use(Channel::Device(Medium::Cold))),
];
/// The highest powers.
const PEAKS: [Total; 2] = [
    ("import_w_max", Quantity::Most(Channel::PowerImport)),
    ("export_w_max", Quantity::Most(Channel::PowerExport)),
];

/// What is told of the days of one meter.
#[derive(Debug)]
pub(super) struct Days {
    meter: String,
    zone: TimeZone,
    /// The day that is not told yet.
    pending: Option<LocalDay>,
}

impl Days {
    /// For a meter of this name that was heard last at that time, with the days of this machine.
    pub(super) fn new(meter: String, heard: Option<Timestamp>) -> Self {
        Self::within(meter, heard, TimeZone::system())
    }

    fn within(meter: String, heard: Option<Timestamp>, zone: TimeZone) -> Self {
        let pending = heard.and_then(|heard| LocalDay::of(heard, &zone));
        Self { meter, zone, pending }
    }

    /// What is to be kept of a meter, so that its days can be told.
    pub(super) fn wanted() -> impl Iterator<Item = Quantity> {
        TOTALS.into_iter().chain(PEAKS).map(|(_, quantity)| quantity)
    }

    /// What is to be told after a reading of that time, which the series has.
    pub(super) fn after(&mut self, series: &Series, serial: Option<&str>, at: Timestamp) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut pending = self.pending.take().or_else(|| LocalDay::of(at, &self.zone));
        while let Some(day) = pending.take_if(|day| day.end <= at && is_over(series, day, at)) {
            if drafts.len() == MOST_DAYS {
                let meter = &self.meter;
                tracing::warn!(meter, "it was silent for long: days from {} on are not told", day.date);
                pending = LocalDay::of(at, &self.zone);
                break;
            }
            drafts.push(self.told(series, serial, &day));
            pending = LocalDay::of(day.end, &self.zone);
        }
        self.pending = pending;
        drafts
    }

    fn told(&self, series: &Series, serial: Option<&str>, day: &LocalDay) -> Draft {
        let length = day.end - day.start;
        let mut quality = DataQuality::Good;
        let mut number = |(name, quantity): Total| -> Member {
            if series.reaches(quantity, day.end).is_none() {
                return (name, Json::Null);
            }
            let found = series.window(quantity, day.start, day.end, length).into_iter().next();
            let of_this = found.as_ref().map_or(DataQuality::Bad, |found| found.quality.clone());
            if quality == DataQuality::Good || of_this == DataQuality::Bad {
                quality = of_this;
            }
            (name, found.and_then(|found| found.value).map_or(Json::Null, |value| in_unit(name, value)))
        };
        let numbers: Vec<Member> = TOTALS.into_iter().chain(PEAKS).map(&mut number).collect();
        let known = numbers.iter().any(|(_, value)| !value.is_null());
        let words: [Member; 9] = [
            ("meter", json!(self.meter)),
            ("meter_id", json!(serial)),
            ("date", json!(day.date)),
            ("timezone", json!(self.zone.iana_name())),
            ("start", json!(day.start)),
            ("end", json!(day.end)),
            ("duration_seconds", json!(length.seconds())),
            ("complete", json!(known && quality == DataQuality::Good)),
            ("quality", json!(if known { quality } else { DataQuality::Bad })),
        ];
        Draft::new(&DAY, Some(self.meter.clone()), day.end, words.into_iter().chain(numbers))
    }
}

/// Nothing more is to come of a day that has ended: everything that the meter says was said from its end on, or too late.
fn is_over(series: &Series, day: &LocalDay, at: Timestamp) -> bool {
    let waits = |quantity| series.reaches(quantity, day.end) == Some(false);
    at - day.end >= PATIENCE || !Days::wanted().any(waits)
}

/// A text, so that no digit is lost; energies of the meter are in Wh.
fn in_unit(name: &str, value: Decimal) -> Json {
    let value = if name.contains("_kwh") { value / Decimal::ONE_THOUSAND } else { value };
    Json::from(value.normalize().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::sample::misfits;
    use crate::metering::{Device, Keep, Reading};

    fn amsterdam() -> TimeZone {
        TimeZone::get("Europe/Amsterdam").unwrap()
    }

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A meter that takes 1 Wh and gives a tenth of it in every second, at two rates.
    struct Meter {
        series: Series,
        days: Days,
        told: Vec<Draft>,
    }

    fn keep() -> Keep {
        Keep::for_span(Span::HOUR * 50)
    }

    impl Meter {
        fn new() -> Self {
            let wanted: Vec<Quantity> = Days::wanted().collect();
            let series = Series::with(keep(), Some(&wanted));
            Self { series, days: Days::within("main".into(), None, amsterdam()), told: Vec::new() }
        }

        fn reading(at: Timestamp) -> Reading {
            let wh = |per_second: Decimal| per_second * Decimal::from(at.seconds() - 1_700_000_000);
            let values = [
                (Channel::Import, wh(Decimal::ONE)),
                (Channel::Export, wh(Decimal::new(1, 1))),
                (Channel::ImportRate(1), wh(Decimal::new(4, 1))),
                (Channel::ImportRate(2), wh(Decimal::new(6, 1))),
                (Channel::PowerImport, Decimal::from(3600 + at.seconds() % 86_400 / 60)),
            ];
            Reading { values: values.into(), ..Reading::new(at) }
        }

        fn says(&mut self, at: Timestamp) {
            self.series.push(Self::reading(at));
            self.told.extend(self.days.after(&self.series, Some("E1"), at));
        }

        /// Every minute, both ends with it.
        fn runs(&mut self, from: &str, to: &str) {
            let mut at = t(from);
            while at <= t(to) {
                self.says(at);
                at += Span::MINUTE;
            }
        }

        /// The VEN is started again with what was stored.
        fn restarts(&mut self) {
            let stored = self.series.changes();
            let wanted: Vec<Quantity> = Days::wanted().collect();
            self.series = Series::restore(keep(), Some(&wanted), &stored).unwrap();
            self.days = Days::within("main".into(), self.series.last(), amsterdam());
        }

        fn only(&self) -> &Draft {
            assert_eq!(self.told.len(), 1, "{:?}", self.told);
            assert_eq!(misfits(&self.told[0]), Vec::<String>::new());
            &self.told[0]
        }
    }

    fn text<'d>(draft: &'d Draft, name: &str) -> &'d str {
        draft.data[name].as_str().unwrap_or("-")
    }

    #[test]
    fn a_day_is_told_at_local_midnight_with_everything_the_meter_counts() {
        let mut meter = Meter::new();
        meter.runs("2030-01-01T22:00:00Z", "2030-01-02T22:59:00Z");
        assert_eq!(meter.told.len(), 1, "the one that had begun before");
        let first = meter.told.remove(0);
        assert_eq!((text(&first, "date"), text(&first, "import_kwh")), ("2030-01-01", "-"));
        assert_eq!(
            (&first.data["complete"], text(&first, "quality")),
            (&json!(false), "Quality Bad - Non Specific")
        );
        meter.says(t("2030-01-02T23:00:00Z"));
        let day = meter.only();
        assert_eq!(day.time, t("2030-01-02T23:00:00Z"));
        let members =
            ["import_kwh", "export_kwh", "import_kwh_t1", "import_kwh_t2", "import_kwh_t3", "gas_m3"];
        assert_eq!(members.map(|name| text(day, name)), ["86.4", "8.64", "34.56", "51.84", "-", "-"]);
        assert_eq!((text(day, "import_w_max"), text(day, "export_w_max")), ("5039", "-"));
        assert_eq!((text(day, "date"), text(day, "timezone")), ("2030-01-02", "Europe/Amsterdam"));
        assert_eq!((&day.data["complete"], &day.data["duration_seconds"]), (&json!(true), &json!(86_400)));
        assert_eq!(text(day, "quality"), "Quality Good - Non Specific");
    }

    #[test]
    fn days_of_23_and_25_hours_are_told_as_long_as_they_are() {
        for (date, from, to, hours) in [
            ("2030-03-31", "2030-03-30T23:00:00Z", "2030-03-31T22:00:00Z", 23),
            ("2030-10-27", "2030-10-26T22:00:00Z", "2030-10-27T23:00:00Z", 25),
        ] {
            let mut meter = Meter::new();
            meter.runs(from, to);
            let day = meter.only();
            assert_eq!(text(day, "date"), date);
            assert_eq!(
                (&day.data["duration_seconds"], &day.data["complete"]),
                (&json!(hours * 3600), &json!(true))
            );
            assert_eq!(
                text(day, "import_kwh"),
                Decimal::new(hours * 36, 1).normalize().to_string(),
                "{date}"
            );
            assert_eq!((text(day, "start"), text(day, "end")), (from, to));
        }
    }

    #[test]
    fn a_restart_during_the_day_takes_nothing_of_it() {
        let mut meter = Meter::new();
        meter.runs("2030-01-01T23:00:00Z", "2030-01-02T12:00:00Z");
        meter.restarts();
        meter.runs("2030-01-02T15:00:00Z", "2030-01-02T23:00:00Z");
        let day = meter.only();
        assert_eq!((text(day, "import_kwh"), &day.data["complete"]), ("86.4", &json!(true)));
        meter.told.clear();
        meter.restarts();
        meter.runs("2030-01-02T23:01:00Z", "2030-01-02T23:30:00Z");
        assert!(meter.told.is_empty(), "what was told is not told again");
    }

    /// The meter was not heard at midnight: what it had counted then lies on a line, and that is said.
    #[test]
    fn a_midnight_that_was_missed_is_told_late_and_as_uncertain() {
        let mut meter = Meter::new();
        meter.runs("2030-01-01T23:00:00Z", "2030-01-02T21:00:00Z");
        meter.restarts();
        meter.says(t("2030-01-03T06:00:00Z"));
        let day = meter.only();
        assert_eq!((text(day, "date"), text(day, "import_kwh")), ("2030-01-02", "86.4"));
        assert_eq!(
            (&day.data["complete"], text(day, "quality")),
            (&json!(false), "Quality Uncertain - Last Usable Value")
        );
    }

    #[test]
    fn days_without_a_word_are_told_as_unknown_and_not_without_end() {
        let mut meter = Meter::new();
        meter.runs("2030-01-01T23:00:00Z", "2030-01-02T21:00:00Z");
        meter.says(t("2030-01-05T12:00:00Z"));
        let dates: Vec<_> = meter.told.iter().map(|day| text(day, "date")).collect();
        assert_eq!(dates, ["2030-01-02", "2030-01-03", "2030-01-04"]);
        for day in &meter.told {
            assert_eq!(misfits(day), Vec::<String>::new());
            assert_eq!((text(day, "import_kwh"), &day.data["complete"]), ("-", &json!(false)));
        }
        meter.told.clear();
        meter.says(t("2040-01-01T12:00:00Z"));
        assert_eq!(meter.told.len(), MOST_DAYS);
        meter.told.clear();
        meter.says(t("2040-01-01T12:01:00Z"));
        assert!(meter.told.is_empty());
        meter.says(t("2040-01-01T23:00:00Z"));
        assert_eq!(text(meter.only(), "date"), "2040-01-01");
    }

    /// A gas meter that says hourly what it has counted is waited for, but not for ever.
    #[test]
    fn what_comes_late_is_waited_for_up_to_an_hour_and_a_quarter() {
        for (comes, expected) in
            [(true, ("2030-01-02T23:10:00Z", "2.4")), (false, ("2030-01-03T00:15:00Z", "-"))]
        {
            let mut meter = Meter::new();
            let mut told_at = None;
            let mut at = t("2030-01-01T23:00:00Z");
            while at <= t("2030-01-03T01:00:00Z") && told_at.is_none() {
                // What it has counted at the hour it says ten minutes later.
                let hour = (at - Span::MINUTE * 10).floor_to(Span::HOUR);
                let hour = if comes { hour } else { hour.min(t("2030-01-02T22:00:00Z")) };
                let value = Decimal::new((hour - t("2030-01-01T00:00:00Z")).seconds() / 3600, 1);
                let gas = Device { medium: Medium::Gas, port: 1, serial: None, at: Some(hour), value };
                meter.series.push(Reading { devices: vec![gas], ..Meter::reading(at) });
                meter.told.extend(meter.days.after(&meter.series, None, at));
                told_at = (!meter.told.is_empty()).then_some(at);
                at += Span::MINUTE;
            }
            assert_eq!((told_at, text(meter.only(), "gas_m3")), (Some(t(expected.0)), expected.1));
        }
    }
}
