//! Owns what one meter says: from bytes on its line to a series of readings, and answers from it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::config::MeterSource;
use crate::engine::{Column, Sample, WishedSpan};
use crate::fact::topic::meter::TELEGRAM;
use crate::metering::{
    BehindTransformers, Channel, Keep, Limits, LineSettings, MeterClock, PIN_MISSING, Protocol,
    ProtocolSettings, Quantity, RawTelegram, Reading, Refused, Series, Stored, Transformers, Value, Why,
};
use crate::notice::{MeterReading, MeterTelegram, Notice};
use crate::openadr::message::{DataQuality, Float, PayloadBase, RId, ResourceStatus};
use crate::time::{Span, Timestamp};

use super::bus::Bus;
use super::clock::{Clock, is_set};
use super::counters::KeptCounters;
use super::meter_days::Days;
use super::meter_health::{Health, Told};
use super::meter_slots::Slots;
use super::meter_source::{Fed, FeedSettings, HELD_BACK, Place};
use super::refused::RefusedRing;
use super::store::StoreHandle;

/// Readings are stored this often at least; what a power cut takes is less.
const FLUSH_EVERY: Span = Span::from_seconds(300);
/// A store that has failed is tried again after this.
const RETRY_AFTER: Span = Span::from_seconds(5);
/// The loop looks after itself this often.
const LOOK: Span = Span::from_seconds(30);
/// Something a meter task is asked.
#[derive(Debug)]
pub(crate) enum Order {
    /// Values for a report.
    Collect(Collect),
    /// Readings at whole multiples of this are asked for, so they are stored as they come.
    Step(Span),
    /// Store everything, and end.
    Finish(oneshot::Sender<()>),
}

/// Values for a report.
#[derive(Debug)]
pub(crate) struct Collect {
    pub(crate) points: Vec<(RId, Quantity)>,
    pub(crate) span: WishedSpan,
    /// How long to wait for what is still to come.
    pub(crate) patience: Span,
    pub(crate) answer: oneshot::Sender<Vec<Column>>,
}

/// What a meter task needs.
#[derive(Debug)]
pub(crate) struct MeterSettings {
    pub(crate) name: String,
    pub(crate) source: MeterSource,
    pub(crate) line: LineSettings,
    pub(crate) protocol: ProtocolSettings,
    /// Where the last telegrams that were refused are kept.
    pub(crate) refused: PathBuf,
    /// Where its frame counters are kept.
    pub(crate) counters: PathBuf,
    /// How long what is kept.
    pub(crate) keep: Keep,
    /// What reports ask of it; nothing else is kept.
    pub(crate) wanted: Vec<Quantity>,
    /// Somebody wants its telegrams byte by byte.
    pub(crate) telegrams: bool,
    /// Somebody wants its slots of some minutes.
    pub(crate) slots: bool,
    /// Somebody wants its days.
    pub(crate) days: bool,
    /// The transformers before it; `None`: nobody has said whether there are any.
    pub(crate) transformers: Option<Transformers>,
    /// Between which values it is believed.
    pub(crate) limits: Limits,
}

/// One meter.
pub(crate) struct MeterTask {
    settings: MeterSettings,
    clock: Clock,
    store: StoreHandle,
    bus: Bus,
    series: Series,
    /// Something was read that is not stored.
    unsaved: bool,
    saved_at: Timestamp,
    /// The time of the last reading.
    read_at: Timestamp,
    /// The store has failed: when it is tried again.
    retry_at: Option<Span>,
    steps: BTreeSet<Span>,
    waiting: Vec<(Collect, Span)>,
    health: Health,
    refused: RefusedRing,
    /// The meter's clock, where its telegrams do not say what it is ahead of UTC.
    of_meter: Option<MeterClock>,
    /// The frame counters of what it encrypts.
    counters: KeptCounters,
    transformers: BehindTransformers,
    slots: Option<Slots>,
    days: Option<Days>,
    /// The meter has said that its PIN is missing.
    pin_missing: bool,
    /// What it said of these was left out, which was told.
    left_out: BTreeSet<Channel>,
    /// That readings are not kept since nobody knows when they are from was told.
    timeless: bool,
}

impl MeterTask {
    /// Goes on with what was stored; where that cannot be read, with nothing.
    pub(crate) fn new(
        mut settings: MeterSettings,
        clock: Clock,
        store: StoreHandle,
        stored: &Stored,
        bus: Bus,
    ) -> Self {
        let (meter, wanted) = (&settings.name, Some(settings.wanted.as_slice()));
        let series = Series::restore(settings.keep, wanted, stored).unwrap_or_else(|error| {
            tracing::warn!(meter, "it begins anew: {error}");
            Series::with(settings.keep, wanted)
        });
        settings.protocol.resume(&series);
        let counters = KeptCounters::load(settings.counters.clone());
        if let Some(sealing) = settings.protocol.sealing() {
            sealing.counters = counters.kept().clone();
        }
        let now = clock.now();
        let of_meter = match settings.protocol {
            ProtocolSettings::Dsmr { clock_base, .. } | ProtocolSettings::Iec62056 { clock_base, .. } => {
                Some(MeterClock::new(clock_base))
            }
            ProtocolSettings::Sml
            | ProtocolSettings::Dlms { .. }
            | ProtocolSettings::Modbus(_)
            | ProtocolSettings::S0 { .. } => None,
        };
        Self {
            transformers: BehindTransformers::new(settings.transformers),
            days: settings.days.then(|| Days::new(settings.name.clone(), series.last())),
            slots: settings.slots.then(|| Slots::new(settings.name.clone())),
            refused: RefusedRing::new(settings.refused.clone(), now.since_start),
            settings,
            clock,
            store,
            bus,
            series,
            unsaved: false,
            saved_at: now.wall,
            read_at: now.wall,
            retry_at: None,
            steps: BTreeSet::new(),
            waiting: Vec::new(),
            health: Health::default(),
            of_meter,
            counters,
            pin_missing: false,
            left_out: BTreeSet::new(),
            timeless: false,
        }
    }

    /// The line that it is on.
    pub(crate) fn line(&self) -> FeedSettings {
        FeedSettings { source: self.settings.source.clone(), line: self.settings.line }
    }

    /// Its place on that line; `out`: where it waits for what it says.
    pub(crate) fn place(&self, out: mpsc::Sender<Fed>) -> Place {
        let protocol = &self.settings.protocol;
        Place { decoder: protocol.decoder(), patience: protocol.patience(), out }
    }

    /// Runs until it is told to finish, or nobody can tell it any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut fed: mpsc::Receiver<Fed>) {
        loop {
            let wake = self.clock.instant(self.wake_at());
            let event = tokio::select! {
                order = orders.recv() => Event::Order(order),
                Some(fed) = fed.recv() => Event::Fed(fed),
                () = tokio::time::sleep_until(wake) => Event::Wake,
            };
            match event {
                Event::Fed(fed) => self.fed(fed).await,
                Event::Order(Some(Order::Collect(collect))) => {
                    let until = self.clock.now().since_start + collect.patience;
                    self.waiting.push((collect, until));
                }
                Event::Order(Some(Order::Step(step))) => {
                    self.steps.insert(step);
                }
                Event::Order(Some(Order::Finish(done))) => {
                    self.store_changes().await;
                    self.counters.finish().await;
                    // Whoever wanted to know may be gone.
                    done.send(()).ok();
                    return;
                }
                Event::Order(None) => return self.flush().await,
                Event::Wake => {}
            }
            self.tell_overdue();
            self.answer().await;
            if self.retry_at.is_some() || self.clock.now().wall - self.saved_at >= FLUSH_EVERY {
                self.flush().await;
            }
        }
    }

    fn wake_at(&self) -> Span {
        let patience = self.waiting.iter().map(|(_, until)| *until);
        let regular = self.clock.now().since_start + LOOK;
        patience.chain(self.retry_at).chain([regular]).min().unwrap_or(regular)
    }

    async fn fed(&mut self, fed: Fed) {
        let meter = self.settings.name.clone();
        match fed {
            Fed::Telegram { mut telegram, received, raw } => {
                if let Some(raw) =
                    raw.filter(|_| self.settings.telegrams && self.bus.is_wanted(TELEGRAM.name))
                {
                    self.tell_telegram(raw, received);
                }
                if let Some(of_meter) = &mut self.of_meter {
                    of_meter.correct(&mut telegram, Some(received).filter(|received| is_set(*received)));
                }
                self.look_for_pin(telegram.quality == PIN_MISSING);
                if self.health.good() {
                    self.bus.tell(Notice::MeterOnline { meter });
                }
                let mut reading = Reading::within(&telegram, received, &self.settings.limits);
                self.look_for_bad(&reading);
                if let Some(what) = self.transformers.correct(&telegram, &mut reading) {
                    let meter = &self.settings.name;
                    tracing::warn!(meter, "{what}");
                }
                self.take(reading).await;
            }
            Fed::Refused(refused) => self.refused(&refused),
            Fed::Trouble(trouble) => {
                if self.health.bad(&trouble, self.clock.now().since_start) {
                    self.bus.tell(Notice::MeterOffline { meter, why: trouble.to_string() });
                }
            }
            Fed::Counters(counters) => {
                self.counters.accept(counters, self.clock.now().since_start).await;
            }
            Fed::HeldBack => tracing::warn!(meter, "{HELD_BACK}"),
            Fed::Raw(_) => {}
        }
    }

    /// Says once of each value that it is left out.
    fn look_for_bad(&mut self, reading: &Reading) {
        for channel in &reading.bad {
            if self.left_out.insert(*channel) {
                let meter = &self.settings.name;
                tracing::warn!(
                    meter,
                    "its {channel} is left out, now and whenever it is so again: the meter calls it bad, or it is beyond the limits in \
                     [[meter]], such as max_power"
                );
            }
        }
    }

    /// Says once that a German meter says more to those who have typed in its PIN.
    fn look_for_pin(&mut self, missing: bool) {
        let missing = missing && self.settings.protocol.protocol() == Protocol::Sml;
        if !std::mem::replace(&mut self.pin_missing, missing) && missing {
            let meter = &self.settings.name;
            tracing::warn!(
                meter,
                "the meter says whole kilowatt hours only, and no power; the operator of the grid gives you its PIN, which is typed in \
                 with a torch or its key"
            );
        }
    }

    /// Tells the first of its kind, and later how many there were; noise must not flood the log.
    fn refused(&mut self, refused: &Refused) {
        let now = self.clock.now();
        self.refused.keep(now, refused);
        let why = &refused.why;
        match self.health.refused(why, now.since_start) {
            Told::First => self.tell_refused(refused, why.to_string(), 1),
            Told::Again(count) => {
                self.tell_refused(refused, format!("{why}; {count} like this since it was last told"), count);
            }
            Told::Not => {}
        }
    }

    fn tell_refused(&self, refused: &Refused, why: String, count: u64) {
        let telegram = MeterTelegram {
            bytes: refused.bytes.clone(),
            crc_ok: matches!(refused.why, Why::Crc { .. }).then_some(false),
            source: self.source(),
            received: self.clock.now().wall,
        };
        let (meter, kind, telegram) = (self.settings.name.clone(), refused.why.kind(), Arc::new(telegram));
        self.bus.tell(Notice::MeterRejected { meter, why, kind, count, telegram });
    }

    fn tell_telegram(&self, raw: RawTelegram, received: Timestamp) {
        let crc_ok = raw.checked.then_some(true);
        let telegram = MeterTelegram { bytes: raw.bytes, crc_ok, source: self.source(), received };
        let meter = self.settings.name.clone();
        self.bus.tell(Notice::MeterTelegram { meter, telegram: Arc::new(telegram) });
    }

    /// Where its bytes come from, for outsiders: a command may contain secrets.
    fn source(&self) -> String {
        match &self.settings.source {
            MeterSource::Exec(_) => "exec".to_owned(),
            source @ (MeterSource::Serial(_)
            | MeterSource::Tcp(_)
            | MeterSource::File(_)
            | MeterSource::Api) => source.to_string(),
        }
    }

    /// Tells slots that have waited in vain for a reading.
    fn tell_overdue(&mut self) {
        if let Some(slots) = &mut self.slots {
            let overdue = slots.overdue(&self.series, self.clock.now().wall);
            overdue.into_iter().for_each(|draft| self.bus.publish(draft));
        }
    }

    /// Whether a reading has a time that can be right. Without one it says what the meter shows, but not when: kept, it would stand before
    /// everything that was kept before the start, and make intervals and days of years. Registers go on counting meanwhile, so that none of
    /// the energy is lost.
    fn knows_when(&mut self, at: Timestamp) -> bool {
        let known = is_set(at);
        if !known && !std::mem::replace(&mut self.timeless, true) {
            let meter = &self.settings.name;
            tracing::warn!(
                meter,
                "its readings are told but not kept until the clock of this machine is set"
            );
        }
        known
    }

    async fn take(&mut self, reading: Reading) {
        let meter = self.settings.name.clone();
        let told = MeterReading {
            at: reading.at,
            serial: reading.meter.clone(),
            quality: reading.quality.clone(),
            values: reading.members(),
            times: reading.times(),
            summary: reading.to_string(),
        };
        self.bus.tell(Notice::MeterReading { meter, reading: Arc::new(told) });
        let at = reading.at;
        if !self.knows_when(at) {
            return;
        }
        let before = std::mem::replace(&mut self.read_at, at);
        self.unsaved = true;
        let serial = reading.meter.clone();
        self.series.push(reading);
        if let Some(slots) = &mut self.slots {
            let over = slots.after(&self.series, serial.as_deref(), at);
            over.into_iter().for_each(|draft| self.bus.publish(draft));
        }
        if let Some(days) = &mut self.days {
            let over = days.after(&self.series, serial.as_deref(), at);
            over.into_iter().for_each(|draft| self.bus.publish(draft));
        }
        // The reading at a boundary begins an interval that is reported: a power cut must not take it.
        if self.steps.iter().any(|step| at.floor_to(*step) > before || at.floor_to(*step) == at) {
            self.flush().await;
        }
    }

    /// Stores what has changed, but for a while after the store has failed: all that comes until then waits with it.
    async fn flush(&mut self) {
        if self.retry_at.is_none_or(|at| at <= self.clock.now().since_start) {
            self.store_changes().await;
        }
    }

    async fn store_changes(&mut self) {
        let now = self.clock.now();
        self.saved_at = now.wall;
        if !self.unsaved {
            return;
        }
        let meter = &self.settings.name;
        match self.store.put_series(meter, self.series.changes()).await {
            Ok(()) => {
                self.series.mark_stored();
                self.unsaved = false;
                if self.retry_at.take().is_some() {
                    tracing::info!(meter, "readings are stored again");
                }
            }
            Err(error) => {
                if self.retry_at.is_none() {
                    tracing::warn!(meter, "readings are not stored, and kept in memory: {error}");
                }
                self.retry_at = Some(now.since_start + RETRY_AFTER);
            }
        }
    }

    /// Answers what can be answered, or has waited long enough. What is answered is stored before.
    async fn answer(&mut self) {
        let now = self.clock.now();
        let mut answers = Vec::new();
        for (collect, until) in std::mem::take(&mut self.waiting) {
            let columns = self.columns(&collect, now.wall);
            let complete = match collect.span {
                WishedSpan::Latest { .. } => {
                    columns.iter().flat_map(|column| &column.samples).all(|sample| sample.value.is_some())
                }
                WishedSpan::Window { to, .. } => self.series.is_complete(to),
            };
            if complete || until <= now.since_start {
                if let WishedSpan::Window { to, .. } = collect.span {
                    self.series.seal(to);
                }
                answers.push((collect.answer, columns));
            } else {
                self.waiting.push((collect, until));
            }
        }
        if answers.is_empty() {
            return;
        }
        // Even where the store has just failed: by now it may work, and then the report leaves.
        self.store_changes().await;
        for (answer, columns) in answers {
            // Whoever asked may have given up.
            drop(answer.send(columns));
        }
    }

    fn columns(&self, collect: &Collect, now: Timestamp) -> Vec<Column> {
        let column = |(point, quantity): &(RId, Quantity)| {
            if *quantity == Quantity::Status {
                return Column { point: point.clone(), samples: self.statuses(collect.span, now) };
            }
            let values = match collect.span {
                WishedSpan::Latest { length } => vec![self.series.latest(*quantity, length, now)],
                WishedSpan::Window { from, to, granularity } => {
                    self.series.window(*quantity, from, to, granularity)
                }
            };
            Column { point: point.clone(), samples: values.into_iter().map(sample).collect() }
        };
        collect.points.iter().map(column).collect()
    }

    /// Whether the meter delivered; nobody can take it over by hand, and it controls nothing (rule 334).
    fn statuses(&self, span: WishedSpan, now: Timestamp) -> Vec<Sample> {
        let (from, to, step) = match span {
            WishedSpan::Latest { length } => (now, now + length, length),
            WishedSpan::Window { from, to, granularity } => (from, to, granularity),
        };
        let starts =
            std::iter::successors(Some(from), |start| Some(*start + step)).take_while(|start| *start < to);
        let status = |start| {
            let online = self.series.was_heard(start);
            let status = ResourceStatus { online, manual_override: false, load_control_state: None };
            let value = Some(PayloadBase::ResourceStatus(Box::new(status)));
            Sample { start, duration: step, value, quality: DataQuality::Good }
        };
        starts.map(status).collect()
    }
}

enum Event {
    Order(Option<Order>),
    Fed(Fed),
    Wake,
}

fn sample(value: Value) -> Sample {
    Sample {
        start: value.start,
        duration: value.duration,
        value: value.value.map(|decimal| PayloadBase::Float(Float::from(decimal))),
        quality: value.quality,
    }
}
