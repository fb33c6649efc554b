//! What the VTN has asked for, value by value.

use std::collections::BTreeMap;

use super::house::{p1, sml};
use super::world::{Got, Meter, World};
use crate::openadr::message::{
    DataQuality, Decimal, Duration, Float, PayloadBase, ReadingType, ReportInterval, ReportRequest,
    ReportSpecifier, ResourceStatus, SpecifierPayload,
};
use crate::time::{Span, Timestamp};

const MINUTE: Span = Span::MINUTE;
const QUARTER: Span = Span::from_seconds(900);

/// All usage of both meters.
const USAGE: [&str; 6] = [
    "p1.import_energy",
    "p1.export_energy",
    "p1.net_power",
    "sml.import_energy",
    "sml.export_energy",
    "sml.net_power",
];
const STATES: [&str; 2] = ["p1.status", "sml.status"];

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Two meters, and the reports of these lines.
fn sections(reports: &[(&str, &[&str])]) -> String {
    let meter = |name: &str, protocol: &str| {
        format!("[[meter]]\nname = \"{name}\"\nsource = \"file:{name}\"\nprotocol = \"{protocol}\"\n")
    };
    let point = |point: &&str| {
        let (meter, quantity) = point.split_once('.').unwrap();
        format!("{{ quantity = \"{quantity}\", meter = \"{meter}\" }}")
    };
    let report = |(settings, points): &(&str, &[&str])| {
        let points: Vec<_> = points.iter().map(point).collect();
        format!("[[report]]\n{settings}\npoints = [ {} ]\n", points.join(", "))
    };
    meter("p1", "dsmr") + &meter("sml", "sml") + &reports.iter().map(report).collect::<String>()
}

/// A P1 meter with a clock of its own, and one of SML without, which speaks between the seconds that are reported.
fn meters(start: Timestamp, p1_every: Span, sml_every: Span) -> Vec<Meter> {
    let silent = Timestamp::EPOCH..Timestamp::EPOCH;
    vec![
        Meter { name: "p1", house: p1(start), every: p1_every, after: Span::ZERO, silent: silent.clone() },
        Meter {
            name: "sml",
            house: sml(start),
            every: sml_every,
            after: sml_every - Span::from_seconds(2),
            silent,
        },
    ]
}

fn wish(id: &str, specifier: &str, points: &[&str], (granularity, back): (Span, Span)) -> ReportRequest {
    let payload = |point: &&str| SpecifierPayload {
        r_id: (*point).into(),
        unit: None,
        reading_type: ReadingType::NotApplicable,
    };
    ReportRequest {
        report_request_id: id.into(),
        specifier: ReportSpecifier {
            report_specifier_id: specifier.into(),
            granularity: Duration::from_span(granularity),
            report_back_duration: Duration::from_span(back),
            report_interval: None,
            payloads: points.iter().map(payload).collect(),
        },
    }
}

/// A wish for what is on record of that time.
fn wish_back(id: &str, specifier: &str, from: Timestamp, lasts: Span) -> ReportRequest {
    let mut wish = wish(id, specifier, &USAGE, (Span::ZERO, Span::ZERO));
    wish.specifier.report_interval =
        Some(ReportInterval { start: from, duration: Duration::from_span(lasts) });
    wish
}

fn steps(from: Timestamp, to: Timestamp, step: Span) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(Some(from), move |start| Some(*start + step)).take_while(move |start| *start < to)
}

/// What a good report holds of a data point: for each step what the meter has counted in it.
fn counted(world: &World, point: &str, (from, to): (Timestamp, Timestamp), step: Span) -> Vec<Got> {
    let (meter, quantity) = point.split_once('.').unwrap();
    let ledger = world.ledger(meter);
    let counted = |start| Got {
        start,
        duration: Some(step),
        value: number(ledger.expected(quantity, start, start + step)),
        quality: DataQuality::Good,
    };
    steps(from, to, step).map(counted).collect()
}

fn number(value: Decimal) -> PayloadBase {
    PayloadBase::Float(Float::from(value.normalize()))
}

/// Whether a meter delivers, as it is told.
fn state(online: bool) -> PayloadBase {
    PayloadBase::ResourceStatus(Box::new(ResourceStatus {
        online,
        manual_override: false,
        load_control_state: None,
    }))
}

/// What holds of each step: a correction in place of what it corrects.
fn latest(got: Vec<Got>) -> BTreeMap<Timestamp, Got> {
    got.into_iter().map(|got| (got.start, got)).collect()
}

/// The VTN has got all of this, once and in its order, and nothing else.
fn assert_got(world: &World, request: &str, point: &str, expected: &[Got]) {
    let got = world.got(request, point);
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got, expected, "{point} of {request}");
    }
    assert_eq!(got.len(), expected.len(), "{point} of {request}");
}

/// Six hours in which each minute and each quarter of an hour is asked for.
#[tokio::test(start_paused = true)]
async fn usage_of_minutes_and_quarters_is_what_two_meters_have_counted() {
    let start = t("2030-01-14T05:59:30Z");
    let reports = sections(&[("name = \"TELEMETRY_USAGE\"", &USAGE)]);
    let meters = meters(start, Span::SECOND, Span::from_seconds(5));
    let world = World::new(start, &reports, meters).await;
    let rhythms = [("minutes", MINUTE, MINUTE), ("batches", MINUTE, QUARTER), ("quarters", QUARTER, QUARTER)];
    let wishes = rhythms.map(|(id, step, back)| wish(id, "TELEMETRY_USAGE", &USAGE, (step, back)));
    world.vtn(|vtn| vtn.piggyback = wishes.into());
    let (from, to) = (t("2030-01-14T06:00:00Z"), t("2030-01-14T12:00:00Z"));
    world.run_to(to + Span::from_seconds(10)).await;
    for point in USAGE {
        for (request, step, _) in rhythms {
            assert_got(&world, request, point, &counted(&world, point, (from, to), step));
        }
    }
    let all = |point| counted(&world, point, (from, to), QUARTER);
    assert_ne!(all("p1.import_energy"), all("sml.import_energy"), "the meters can be told apart");
    assert_ne!(all("p1.export_energy"), all("sml.export_energy"));
    assert_eq!(world.vtn(|vtn| vtn.reports.len()), 360 + 24 + 24);
    assert_eq!(world.vtn(|vtn| vtn.pending.len()), 3);
    world.assert_lawful(&[]);
}

/// Two hours, in which one of two meters is silent for fourteen minutes, and goes on counting.
struct Silence {
    world: World,
    from: Timestamp,
    to: Timestamp,
}

impl Silence {
    /// The first quarter of an hour in which it is silent at some time; there are two.
    const FIRST: &str = "2030-01-14T06:30:00Z";
    const BEGINS: &str = "2030-01-14T06:40:30Z";
    const ENDS: &str = "2030-01-14T06:54:30Z";

    async fn kept(specifier: &str, points: &[&str], rhythms: &[(&str, Span, Span)]) -> Self {
        let start = t("2030-01-14T05:59:30Z");
        let reports = [("name = \"TELEMETRY_USAGE\"", &USAGE[..]), ("name = \"TELEMETRY_STATUS\"", &STATES)];
        let mut meters = meters(start, Span::SECOND, Span::from_seconds(5));
        meters[0].silent = t(Self::BEGINS)..t(Self::ENDS);
        let world = World::new(start, &sections(&reports), meters).await;
        let wishes = rhythms.iter().map(|(id, step, back)| wish(id, specifier, points, (*step, *back)));
        world.vtn(|vtn| vtn.piggyback = wishes.collect());
        let (from, to) = (t("2030-01-14T06:00:00Z"), t("2030-01-14T08:00:00Z"));
        world.run_to(to + Span::from_seconds(10)).await;
        world.assert_lawful(&[]);
        Self { world, from, to }
    }

    /// A meter is there for a minute after it was heard.
    fn is_online(&self, point: &str, at: Timestamp) -> bool {
        let (meter, _) = point.split_once('.').unwrap();
        self.world.ledger(meter).was_heard(at, MINUTE)
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_says_when_a_meter_was_silent() {
    let rhythms = [("states", MINUTE, MINUTE * 5), ("changes", Span::ZERO, QUARTER)];
    let silence = Silence::kept("TELEMETRY_STATUS", &STATES, &rhythms).await;
    let world = &silence.world;
    for point in STATES {
        let online = |start| Got {
            start,
            duration: None,
            value: state(silence.is_online(point, start)),
            quality: DataQuality::Good,
        };
        let states: Vec<_> = steps(silence.from, silence.to, MINUTE).map(online).collect();
        let away = states.iter().filter(|got| got.value == state(false)).count();
        assert_eq!(away, if point == "p1.status" { 13 } else { 0 });
        assert_got(world, "states", point, &states);
        // Of a quarter of an hour in which nothing has changed the last state is repeated.
        let changes = world.got("changes", point);
        assert_eq!(changes.len(), 8, "{changes:?}");
        assert!(changes.iter().all(|got| got.value == state(silence.is_online(point, got.start))));
        let changes = changes.iter().filter(|got| got.quality == DataQuality::Good);
        let changes: Vec<_> = changes.map(|got| (got.start, got.value.clone())).collect();
        let heard_first = (t("2030-01-14T05:59:40Z"), state(true));
        if point == "p1.status" {
            let away = (t("2030-01-14T06:41:30Z"), state(false));
            assert_eq!(changes, [heard_first, away, (t(Silence::ENDS), state(true))]);
        } else {
            assert_eq!(changes, [heard_first]);
        }
    }
}

/// No number is invented for a minute, and none is lost for the hour.
#[tokio::test(start_paused = true)]
async fn a_silent_meter_leaves_placeholders_and_its_quarters_add_up() {
    let rhythms = [("minutes", MINUTE, MINUTE), ("quarters", QUARTER, QUARTER)];
    let silence = Silence::kept("TELEMETRY_USAGE", &USAGE, &rhythms).await;
    let (world, span) = (&silence.world, (silence.from, silence.to));
    let (begins, ends) = (t(Silence::BEGINS), t(Silence::ENDS));
    let first = t(Silence::FIRST);
    for point in USAGE {
        let mut minutes = counted(world, point, span, MINUTE);
        let mut quarters: BTreeMap<_, _> = latest(counted(world, point, span, QUARTER));
        let mut got = latest(world.got("quarters", point));
        if point.starts_with("p1.") {
            let is_energy = !point.ends_with("power");
            let told = |at: Timestamp| at < begins || at >= ends;
            for minute in &mut minutes {
                if !told(minute.start) || (is_energy && !told(minute.start + MINUTE)) {
                    (minute.value, minute.quality) = (number(Decimal::ZERO), DataQuality::Bad);
                }
            }
            let placeholders = minutes.iter().filter(|minute| minute.quality == DataQuality::Bad).count();
            assert_eq!(placeholders, if is_energy { 15 } else { 14 });
            let [before, after] = [first, first + QUARTER].map(|start| got.remove(&start).unwrap());
            for start in [first, first + QUARTER] {
                quarters.remove(&start);
            }
            if is_energy {
                let qualities = [&before.quality, &after.quality];
                assert_eq!(qualities, [&DataQuality::UncertainLastUsable; 2], "{point}");
                let half_hour = counted(world, point, (first, first + QUARTER * 2), QUARTER * 2);
                assert_eq!(number(value(&before) + value(&after)), half_hour[0].value, "{point}");
            } else {
                assert_eq!(before.quality, DataQuality::Good);
                assert_eq!((value(&after), after.quality), (Decimal::ZERO, DataQuality::Bad));
            }
        }
        assert_got(world, "minutes", point, &minutes);
        assert_eq!(got, quarters, "{point}");
    }
}

fn value(got: &Got) -> Decimal {
    let PayloadBase::Float(value) = &got.value else { panic!("{got:?} is no number") };
    value.exact().unwrap()
}

/// In quarters of an hour and in minutes, from memory and, after a restart, from the store.
#[tokio::test(start_paused = true)]
async fn the_history_of_a_day_is_what_two_meters_have_counted() {
    let day = t("2030-01-14T00:00:00Z");
    let start = day - Span::from_seconds(30);
    let reports = sections(&[
        ("name = \"HISTORY_USAGE\"", &USAGE),
        ("name = \"HISTORY_USAGE\"\nkept = \"2d\"\nspecifier = \"minutes\"\nmin_period = \"1min\"", &USAGE),
    ]);
    let meters = meters(start, Span::from_seconds(10), Span::from_seconds(15));
    let mut world = World::new(start, &reports, meters).await;
    let (mut now, tomorrow) = (day + Span::DAY, day + Span::DAY);
    for (quarters, minutes) in [("q1", "m1"), ("q2", "m2")] {
        now += MINUTE;
        world.run_to(now).await;
        let wishes = [(quarters, "HISTORY_USAGE"), (minutes, "minutes")];
        let wishes = wishes.map(|(id, specifier)| wish_back(id, specifier, day, Span::DAY));
        world.vtn(|vtn| vtn.request_reports(wishes.into()));
        now += MINUTE;
        world.run_to(now).await;
        for point in USAGE {
            assert_got(&world, quarters, point, &counted(&world, point, (day, tomorrow), QUARTER));
            assert_got(&world, minutes, point, &counted(&world, point, (day, tomorrow), MINUTE));
        }
        world.restart_ven().await;
    }
    assert_eq!(world.vtn(|vtn| vtn.reports.len()), 4);
    world.assert_lawful(&[]);
}
