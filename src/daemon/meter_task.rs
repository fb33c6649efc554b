//! Owns what one meter says: from bytes on its line to a series of readings, and answers from it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::engine::{Column, Sample, WishedSpan};
use crate::metering::{Decoder, P1Decoder, Quantity, Reading, Series, Value};
use crate::notice::Notice;
use crate::openadr::message::{DataQuality, Float, PayloadBase, RId, ResourceStatus};
use crate::time::{Span, Timestamp};

use super::clock::Clock;
use super::meter_port::{MeterPort, PortSettings};
use super::store::StoreHandle;
use super::ven_task::tell;

/// Readings are stored this often at least; what a power cut takes is less.
const FLUSH_EVERY: Span = Span::from_seconds(300);
/// A store that has failed is tried again after this.
const RETRY_AFTER: Span = Span::from_seconds(5);
/// Readings that wait for a store that fails: a day of one a second, and some.
const MOST_UNSAVED: usize = 100_000;
/// A pause after which a telegram that has begun will not go on.
const QUIET: Duration = Duration::from_secs(5);
/// A line on which nothing good was heard for so long is dead.
const SILENCE: Span = Span::from_seconds(30);

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
    pub(crate) port: PortSettings,
    /// What the meter's clock is ahead of UTC in winter.
    pub(crate) clock_base: Span,
    /// How long readings are kept.
    pub(crate) keep: Span,
}

/// One meter.
pub(crate) struct MeterTask {
    settings: MeterSettings,
    clock: Clock,
    store: StoreHandle,
    notices: broadcast::Sender<Notice>,
    decoder: Box<dyn Decoder>,
    series: Series,
    /// Read and not stored.
    unsaved: Vec<Reading>,
    saved_at: Timestamp,
    /// The store has failed: when it is tried again.
    retry_at: Option<Span>,
    steps: BTreeSet<Span>,
    waiting: Vec<(Collect, Span)>,
    health: Health,
}

/// Whether the line delivers, and since when not.
#[derive(Debug)]
struct Health {
    online: Option<bool>,
    heard_at: Span,
    bytes: u64,
}

impl MeterTask {
    /// Goes on with the readings that were stored.
    pub(crate) fn new(
        settings: MeterSettings,
        clock: Clock,
        store: StoreHandle,
        stored: Vec<Reading>,
        notices: broadcast::Sender<Notice>,
    ) -> Self {
        let mut series = Series::new(settings.keep);
        for reading in stored {
            series.push(reading);
        }
        let now = clock.now();
        Self {
            decoder: Box::new(P1Decoder::new(settings.clock_base)),
            settings,
            clock,
            store,
            notices,
            series,
            unsaved: Vec::new(),
            saved_at: now.wall,
            retry_at: None,
            steps: BTreeSet::new(),
            waiting: Vec::new(),
            health: Health { online: None, heard_at: now.since_start, bytes: 0 },
        }
    }

    /// Runs until it is told to finish, or nobody can tell it any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut port = MeterPort::new(self.settings.port.clone());
        loop {
            let wake = self.clock.instant(self.wake_at());
            let event = tokio::select! {
                order = orders.recv() => Event::Order(order),
                bytes = tokio::time::timeout(QUIET, port.read()) => match bytes {
                    Ok(Ok(bytes)) => {
                        self.health.bytes += bytes.len() as u64;
                        self.decoder.push(bytes);
                        Event::Bytes
                    }
                    Ok(Err(error)) => Event::Broken(error),
                    Err(_) => Event::Quiet,
                },
                () = tokio::time::sleep_until(wake) => Event::Wake,
            };
            match event {
                Event::Bytes => self.telegrams().await,
                Event::Quiet => {
                    self.decoder.quiet();
                    self.telegrams().await;
                }
                Event::Broken(error) => {
                    self.decoder.quiet();
                    self.telegrams().await;
                    self.offline(&error.to_string());
                }
                Event::Order(Some(Order::Collect(collect))) => {
                    let until = self.clock.now().since_start + collect.patience;
                    self.waiting.push((collect, until));
                }
                Event::Order(Some(Order::Step(step))) => {
                    self.steps.insert(step);
                }
                Event::Order(Some(Order::Finish(done))) => {
                    self.retry_at = None;
                    self.flush().await;
                    // Whoever wanted to know may be gone.
                    done.send(()).ok();
                    return;
                }
                Event::Order(None) => return self.flush().await,
                Event::Wake => {}
            }
            self.answer();
            self.check_silence();
            if self.retry_at.is_some() || self.clock.now().wall - self.saved_at >= FLUSH_EVERY {
                self.flush().await;
            }
        }
    }

    fn wake_at(&self) -> Span {
        let patience = self.waiting.iter().map(|(_, until)| *until);
        let regular = self.clock.now().since_start + SILENCE;
        patience.chain(self.retry_at).chain([regular]).min().unwrap_or(regular)
    }

    /// Takes every telegram that is complete.
    async fn telegrams(&mut self) {
        while let Some(outcome) = self.decoder.next() {
            match outcome {
                Ok(telegram) => {
                    let now = self.clock.now();
                    self.health.heard_at = now.since_start;
                    if self.health.online.replace(true) != Some(true) {
                        tell(&self.notices, Notice::MeterOnline { meter: self.settings.name.clone() });
                    }
                    self.take(Reading::of(&telegram, now.wall)).await;
                }
                Err(why) => {
                    let (meter, why) = (self.settings.name.clone(), why.to_string());
                    tell(&self.notices, Notice::MeterRejected { meter, why });
                }
            }
        }
    }

    async fn take(&mut self, reading: Reading) {
        let meter = self.settings.name.clone();
        tell(&self.notices, Notice::MeterReading { meter, summary: reading.to_string() });
        let at = reading.at;
        let before = self.unsaved.last().map_or(self.saved_at, |last| last.at);
        self.unsaved.push(reading.clone());
        self.series.push(reading);
        // The reading at a boundary begins an interval that is reported: a power cut must not take it.
        if self.steps.iter().any(|step| at.floor_to(*step) > before || at.floor_to(*step) == at) {
            self.flush().await;
        }
    }

    /// Stores what was read; what the store does not take is kept, and tried again.
    async fn flush(&mut self) {
        let now = self.clock.now();
        if self.retry_at.is_some_and(|at| now.since_start < at) {
            return;
        }
        self.saved_at = now.wall;
        if self.unsaved.is_empty() {
            return;
        }
        let (meter, oldest) = (&self.settings.name, now.wall - self.settings.keep);
        match self.store.put_readings(meter, self.unsaved.clone(), oldest).await {
            Ok(()) => {
                self.unsaved.clear();
                if self.retry_at.take().is_some() {
                    tracing::info!(meter, "readings are stored again");
                }
            }
            Err(error) => {
                if self.retry_at.is_none() {
                    tracing::warn!(meter, "readings are not stored, and kept in memory: {error}");
                }
                self.retry_at = Some(now.since_start + RETRY_AFTER);
                let too_many = self.unsaved.len().saturating_sub(MOST_UNSAVED);
                if self.unsaved.drain(..too_many).count() > 0 {
                    tracing::warn!(meter, "{too_many} readings were dropped that were never stored");
                }
            }
        }
    }

    fn offline(&mut self, why: &str) {
        if self.health.online.replace(false) != Some(false) {
            let (meter, why) = (self.settings.name.clone(), why.to_owned());
            tell(&self.notices, Notice::MeterOffline { meter, why });
        }
    }

    fn check_silence(&mut self) {
        if self.clock.now().since_start - self.health.heard_at < SILENCE {
            return;
        }
        let why = match std::mem::take(&mut self.health.bytes) {
            0 => format!("nothing was heard for {SILENCE}; is the cable plugged in?"),
            bytes => format!(
                "{bytes} bytes came in {SILENCE}, but no good telegram; are baud and parity right ({} {:?})?",
                self.settings.port.line.baud, self.settings.port.line.framing
            ),
        };
        self.health.heard_at = self.clock.now().since_start;
        self.offline(&why);
    }

    /// Answers what can be answered, or has waited long enough.
    fn answer(&mut self) {
        let now = self.clock.now();
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
                // Whoever asked may have given up.
                drop(collect.answer.send(columns));
            } else {
                self.waiting.push((collect, until));
            }
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
    Bytes,
    Quiet,
    Broken(std::io::Error),
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
