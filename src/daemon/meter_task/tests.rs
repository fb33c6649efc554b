//! What a meter task has answered stays as it is, whatever happens to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::daemon::meter_source::feed;
use crate::daemon::store::{FactLog, Sqlite, Store, StoreError, Told};
use crate::engine::{Snapshot, Write};
use crate::fact::Topics;
use crate::metering::{
    Channel, Framing, HanSimulator, Keys, ListModels, MeterUnit, ObisCode, Object, ObjectValue, Ratio,
    Sealing, Simulator, SystemTitle, Telegram,
};
use crate::openadr::message::Decimal;
use crate::openadr::signature::Seen;

/// What the reports ask; `voltage_l1` and the rate are neither import nor export nor power.
const ASKED: [&str; 5] =
    ["import_energy", "net_power", "voltage_l1", "import_energy_rate_2", "import_register"];

fn quantity(word: &str) -> Quantity {
    Quantity::all().into_iter().find(|quantity| quantity.to_string() == word).unwrap()
}

fn asked() -> Vec<Quantity> {
    ASKED.map(quantity).into()
}

fn settings(folder: &Path) -> MeterSettings {
    MeterSettings {
        name: "main".into(),
        source: MeterSource::File(folder.join("none")),
        line: LineSettings { baud: 9600, framing: Framing::EightNone },
        protocol: ProtocolSettings::Sml,
        refused: folder.join("refused"),
        counters: folder.join("counters"),
        keep: Keep::for_span(Span::DAY).with_step(Span::from_seconds(10)),
        wanted: asked(),
        telegrams: false,
        slots: false,
        days: false,
        transformers: None,
        limits: Limits { power: Decimal::from(20_000), ..Limits::default() },
    }
}

/// A task on a store, with what that has.
async fn task_on(folder: &Path, store: StoreHandle) -> MeterTask {
    let stored = store.series("main").await.unwrap();
    MeterTask::new(settings(folder), Clock::start(), store, &stored, Bus::new(Clock::start()))
}

/// As after a start.
async fn started(folder: &Path) -> MeterTask {
    let (store, _) = StoreHandle::open(&folder.join("ven.db"), "ven-a", Bus::new(Clock::start())).unwrap();
    task_on(folder, store).await
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + seconds)
}

/// Every ten seconds, three seconds late.
fn read(step: i64) -> Reading {
    let Quantity::Now(voltage) = quantity("voltage_l1") else { unreachable!("it is of an instant") };
    let values = [
        (Channel::Import, Decimal::from(5_000_000 + step * 3)),
        (Channel::ImportRate(2), Decimal::from(70_000 + step)),
        (Channel::Power, Decimal::from(step % 37)),
        (voltage, Decimal::new(2_300 + step % 11, 1)),
    ];
    Reading { meter: Some("M1".into()), values: values.into(), ..Reading::new(at(step * 10 + 3)) }
}

/// Asks for everything of that time in steps of ten seconds; no patience where it is not complete.
async fn ask(task: &mut MeterTask, from: i64, to: i64) -> Vec<Column> {
    let (answer, mut columns) = oneshot::channel();
    let points = asked().into_iter().map(|quantity| (RId::new(quantity.to_string()), quantity)).collect();
    let span = WishedSpan::Window { from: at(from), to: at(to), granularity: Span::from_seconds(10) };
    task.waiting.push((Collect { points, span, patience: Span::ZERO, answer }, Span::ZERO));
    task.answer().await;
    columns.try_recv().unwrap()
}

fn values(columns: &[Column]) -> usize {
    columns.iter().flat_map(|column| &column.samples).filter(|sample| sample.value.is_some()).count()
}

/// One good telegram, and what others are told of it.
async fn told_of_a_telegram(is_wanted: bool) -> Vec<Notice> {
    let folder = tempfile::tempdir().unwrap();
    let mut task = started(folder.path()).await;
    task.settings.telegrams = true;
    let wanted = Topics::parse(["meter.telegram"]).unwrap();
    let _want = is_wanted.then(|| task.bus.want(vec![wanted]));
    let mut told = task.bus.listen();
    let bytes = Simulator::v5(at(0)).telegram(at(1));
    let mut decoder =
        ProtocolSettings::Dsmr { clock_base: Span::HOUR, sealing: Sealing::default() }.decoder();
    decoder.push(&bytes);
    let telegram = decoder.next().unwrap().unwrap();
    assert_eq!(decoder.raw().unwrap().bytes, bytes);
    task.fed(Fed::Telegram { telegram, received: at(1), raw: decoder.raw().cloned() }).await;
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_telegram_is_told_byte_by_byte_where_somebody_wants_it() {
    let told = told_of_a_telegram(true).await;
    let telegrams: Vec<_> = told
        .iter()
        .filter_map(
            |notice| if let Notice::MeterTelegram { telegram, .. } = notice { Some(telegram) } else { None },
        )
        .collect();
    let [telegram] = telegrams.as_slice() else { panic!("{told:?}") };
    assert!(telegram.bytes.starts_with(b"/") && telegram.bytes.ends_with(b"\r\n"), "{:?}", telegram.bytes);
    assert_eq!((telegram.crc_ok, telegram.received), (Some(true), at(1)));
    let other = told_of_a_telegram(false).await;
    assert!(!other.iter().any(|notice| matches!(notice, Notice::MeterTelegram { .. })), "{other:?}");
}

#[tokio::test]
async fn a_reading_is_told_by_the_names_of_its_values() {
    let told = told_of_a_telegram(false).await;
    let reading = told.iter().find_map(|notice| {
        if let Notice::MeterReading { reading, .. } = notice { Some(reading) } else { None }
    });
    let reading = reading.unwrap();
    for name in ["import_kwh", "import_kwh_t1", "export_kwh", "net_w"] {
        assert!(reading.values.contains_key(name), "{name}: {reading:?}");
    }
    assert!(reading.serial.is_some() && !reading.summary.is_empty());
}

#[tokio::test]
async fn every_channel_has_its_history_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = started(folder.path()).await;
    for step in 0..200 {
        task.take(read(step)).await;
    }
    task.flush().await;
    let before = ask(&mut task, 10, 1_900).await;
    assert_eq!(values(&before), 189 * ASKED.len(), "no gap");
    drop(task);
    let mut again = started(folder.path()).await;
    assert_eq!(ask(&mut again, 10, 1_900).await, before);
    for step in 200..260 {
        again.take(read(step)).await;
    }
    assert_eq!(ask(&mut again, 10, 1_900).await, before, "nor does it change later");
    let across = ask(&mut again, 1_900, 2_500).await;
    assert_eq!(values(&across), 60 * ASKED.len(), "and it goes on without a gap");
}

/// Nothing is stored but by the answer.
#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    let mut task = started(folder.path()).await;
    for step in 0..120 {
        task.take(read(step)).await;
        if step % 6 == 5 && step > 6 {
            let (from, to) = (step * 10 - 60, step * 10);
            answered.push(((from, to), ask(&mut task, from, to).await));
        }
        // The first cut comes at an answer, others somewhere between two.
        if step % 23 == 11 {
            std::mem::forget(std::mem::replace(&mut task, started(folder.path()).await));
            for ((from, to), columns) in &answered {
                assert_eq!(
                    &ask(&mut task, *from, *to).await,
                    columns,
                    "{from} to {to} after a cut at {step}"
                );
            }
        }
    }
    assert_eq!(answered.len(), 19);
}

/// Of a meter that encrypts, after so many frames.
fn frames(count: u32) -> Vec<Vec<u8>> {
    let mut meter = HanSimulator::encrypted(keys(), SystemTitle(*b"SAGSFFFF"), 0);
    (0..count).map(|step| meter.frames(&read(step.into()))).collect()
}

fn keys() -> Keys {
    Keys::parse(&"11".repeat(16), Some(&"22".repeat(16))).unwrap()
}

/// A run of the program on a line that has these frames: how many it takes.
async fn run_on(folder: &Path, frames: &[Vec<u8>], power_cut: bool) -> usize {
    let (store, _) = StoreHandle::open(&folder.join("ven.db"), "ven-a", Bus::new(Clock::start())).unwrap();
    std::fs::write(folder.join("none"), frames.concat()).unwrap();
    let sealing = Sealing { keys: Some(keys()), ..Sealing::default() };
    let models = ListModels::parse("").unwrap();
    let protocol = ProtocolSettings::Dlms { clock_base: Span::HOUR, sealing, models };
    let settings = MeterSettings { protocol, ..settings(folder) };
    let stored = store.series("main").await.unwrap();
    let mut task = MeterTask::new(settings, Clock::start(), store, &stored, Bus::new(Clock::start()));
    let (sender, mut fed) = mpsc::channel(64);
    tokio::spawn(feed(task.line(), vec![task.place(sender)], task.clock, false));
    let mut taken = 0;
    while let Some(fed) = fed.recv().await {
        taken += usize::from(matches!(fed, Fed::Telegram { .. }));
        task.fed(fed).await;
    }
    if power_cut {
        std::mem::forget(task);
    } else {
        task.counters.finish().await;
    }
    taken
}

#[tokio::test]
async fn no_frame_is_taken_again_after_a_restart_or_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let all = frames(130);
    assert_eq!(run_on(folder.path(), &all[..10], false).await, 10);
    assert_eq!(run_on(folder.path(), &all[..10], false).await, 0, "all of them are old");
    assert_eq!(run_on(folder.path(), &all[..11], true).await, 1, "after a good end the next frame is taken");
    for cut in [40, 42, 43, 90] {
        run_on(folder.path(), &all[..cut], true).await;
        assert_eq!(run_on(folder.path(), &all[..cut], true).await, 0, "none of {cut} a second time");
    }
    assert!(run_on(folder.path(), &all[90..], true).await > 0, "half a minute later it goes on");
}

#[tokio::test]
async fn what_a_meter_behind_transformers_says_is_of_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) =
        StoreHandle::open(&folder.path().join("ven.db"), "ven-a", Bus::new(Clock::start())).unwrap();
    let transformers =
        Some(Transformers { current: Ratio::parse("200/5").unwrap(), voltage: Ratio::parse("1").unwrap() });
    let settings = MeterSettings { transformers, ..settings(folder.path()) };
    let stored = store.series("main").await.unwrap();
    let bus = Bus::new(Clock::start());
    let mut told = bus.listen();
    let mut task = MeterTask::new(settings, Clock::start(), store, &stored, bus);
    let import = Object {
        code: ObisCode::electricity(1, 8, 0),
        value: ObjectValue::Number(Decimal::from(1_500), None),
        at: None,
        quality: DataQuality::Good,
    };
    let telegram = Telegram { meter: None, clock: None, objects: vec![import], quality: DataQuality::Good };
    task.fed(Fed::Telegram { telegram, received: at(0), raw: None }).await;
    let summary = loop {
        if let Notice::MeterReading { reading, .. } = told.recv().await.unwrap() {
            break reading.summary.clone();
        }
    };
    assert_eq!(summary, "import 60 kWh");
}

/// A store that is full for a while.
struct Full {
    file: Sqlite,
    is_full: Arc<AtomicBool>,
}

impl Store for Full {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.file.load()
    }
    fn commit(&mut self, writes: &[Write], told: &[Told]) -> Result<(), StoreError> {
        self.file.commit(writes, told)
    }
    fn facts(&mut self) -> FactLog<'_> {
        self.file.facts()
    }
    fn put_series(&mut self, meter: &str, stored: &Stored) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            Err(StoreError::Gone)
        } else {
            self.file.put_series(meter, stored)
        }
    }
    fn series(&mut self, meter: &str) -> Result<Stored, StoreError> {
        self.file.series(meter)
    }
    fn put_nonces(&mut self, seen: &[Seen], oldest: Timestamp) -> Result<(), StoreError> {
        self.file.put_nonces(seen, oldest)
    }
    fn nonces(&mut self) -> Result<Vec<Seen>, StoreError> {
        self.file.nonces()
    }
}

#[tokio::test]
async fn a_full_store_is_answered_over_and_filled_up_with_the_first_answer_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let file = Sqlite::open(&folder.path().join("ven.db"), "ven-a").unwrap();
    let store =
        StoreHandle::start(Box::new(Full { file, is_full: is_full.clone() }), Bus::new(Clock::start()));
    let mut task = task_on(folder.path(), store).await;
    for step in 0..100 {
        is_full.store((20..90).contains(&step), Ordering::SeqCst);
        task.take(read(step)).await;
        let complete = ask(&mut task, step * 10 - 10, step * 10).await;
        assert!(step < 2 || values(&complete) == ASKED.len(), "it goes on at {step}");
        assert_eq!(
            task.unsaved,
            (20..90).contains(&step),
            "what is answered is stored where it can be, at {step}"
        );
    }
    let before = ask(&mut task, 10, 980).await;
    drop(task);
    assert_eq!(ask(&mut started(folder.path()).await, 10, 980).await, before);
}

#[tokio::test]
async fn what_is_beyond_the_limits_of_the_meter_is_left_out_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = started(folder.path()).await;
    let mut notices = task.bus.listen();
    for watts in [19_999, 20_001, -20_000] {
        let object = |quantity, kind, value: i64, unit| Object {
            code: ObisCode::electricity(quantity, kind, 0),
            value: ObjectValue::Number(value.into(), MeterUnit::parse(unit)),
            at: None,
            quality: DataQuality::Good,
        };
        let objects = vec![object(1, 8, 5_000_000, "Wh"), object(16, 7, watts, "W")];
        let telegram = Telegram { meter: None, clock: None, objects, quality: DataQuality::Good };
        let received = task.clock.now().wall;
        task.fed(Fed::Telegram { telegram, received, raw: None }).await;
    }
    let mut read = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        if let Notice::MeterReading { reading, .. } = notice {
            read.push(reading.summary.clone());
        }
    }
    assert_eq!(
        read,
        ["import 5000 kWh, 19999 W from the grid", "import 5000 kWh", "import 5000 kWh, 20000 W to the grid"]
    );
    assert!(task.left_out.contains(&Channel::Power), "it is told of");
}

/// What is told of intervals and days, and when each ends.
fn slots_and_days(task: &MeterTask) -> Vec<(String, Timestamp)> {
    let facts = task.bus.after(0, 9_999).facts;
    let of_time = facts.iter().filter(|fact| fact.topic == "meter.day" || fact.topic == "meter.interval");
    of_time.map(|fact| (fact.topic.to_string(), fact.time)).collect()
}

/// The same, which tells of its slots and days.
async fn telling(folder: &Path) -> MeterTask {
    let mut task = started(folder).await;
    task.slots = Some(Slots::new("main".into()));
    task.days = Some(Days::new("main".into(), task.series.last()));
    task
}

#[tokio::test]
async fn readings_under_a_clock_that_was_not_set_are_told_and_leave_what_was_kept_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = started(folder.path()).await;
    for step in 0..100 {
        task.take(read(step)).await;
    }
    let before = ask(&mut task, 10, 980).await;
    assert_eq!(values(&before), 97 * ASKED.len());
    drop(task);
    // For so long a clock that was set back would be believed.
    let mut again = telling(folder.path()).await;
    let mut told = again.bus.listen();
    for minute in 0..120 {
        again.take(Reading { at: Timestamp::EPOCH + Span::MINUTE * minute, ..read(100 + minute) }).await;
    }
    let told = std::iter::from_fn(|| told.try_recv().ok());
    assert_eq!(told.filter(|notice| matches!(notice, Notice::MeterReading { .. })).count(), 120);
    for step in 220..300 {
        again.take(read(step)).await;
    }
    assert_eq!(ask(&mut again, 10, 980).await, before);
    assert_eq!(values(&ask(&mut again, 2_210, 2_990).await), 78 * ASKED.len(), "it goes on");
    let told = slots_and_days(&again);
    assert!(!told.is_empty() && told.iter().all(|(_, end)| *end > at(0)), "{told:?}");
}

#[tokio::test]
async fn a_meter_that_is_new_when_the_clock_is_set_tells_no_day_of_1970() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = telling(folder.path()).await;
    for minute in 0..20 {
        task.take(Reading { at: Timestamp::EPOCH + Span::MINUTE * minute, ..read(minute) }).await;
    }
    for step in 20..100 {
        task.take(read(step)).await;
    }
    let told = slots_and_days(&task);
    assert!(!told.is_empty() && told.iter().all(|(_, end)| *end > at(0)), "{told:?}");
}

/// Whoever brings a telegram (a line, a host, a program, the local API), it comes this way.
#[tokio::test]
async fn a_telegram_from_the_future_is_of_the_time_at_which_it_came() {
    for ahead in [Span::from_seconds(11), Span::DAY, Span::DAY * 2, Span::DAY * 365 * 50] {
        let folder = tempfile::tempdir().unwrap();
        let mut task = started(folder.path()).await;
        let mut told = task.bus.listen();
        let import = Object {
            code: ObisCode::electricity(1, 8, 0),
            value: ObjectValue::Number(5_000_000.into(), MeterUnit::parse("Wh")),
            at: Some(at(0) + ahead),
            quality: DataQuality::Good,
        };
        let telegram = Telegram {
            meter: None,
            clock: Some(at(0) + ahead),
            objects: vec![import],
            quality: DataQuality::Good,
        };
        task.fed(Fed::Telegram { telegram, received: at(0), raw: None }).await;
        let told = std::iter::from_fn(|| told.try_recv().ok());
        let times: Vec<_> = told
            .filter_map(|notice| {
                if let Notice::MeterReading { reading, .. } = notice { Some(reading.at) } else { None }
            })
            .collect();
        assert_eq!((times.as_slice(), task.series.last()), ([at(0)].as_slice(), Some(at(0))), "{ahead}");
    }
}
