//! A VEN and a VTN with nothing between them but virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{
    Announcement, Batch, Column, Effect, Engine, Failure, Input, PointOffer, ReportOffer, Sample, Settings,
    Snapshot, Wish, WishedSpan,
};
use crate::handler::{Change, Decision};
use crate::mock_vtn::{Answer, VtnCore};
use crate::notice::Notice;
use crate::openadr::message::{
    DataQuality, Duration, EiEvent, Float, OptType, PayloadBase, RId, ReadingType, ReportInterval,
    ReportName, ReportRequest, ReportSpecifier, ReportSpecifierId, ReportType, SpecifierPayload,
};
use crate::openadr::trust::Verified;
use crate::time::{Now, Span, Timestamp};

/// What a handler says to an event; `None`: it never returns.
pub(super) type Decide = Box<dyn FnMut(&Arc<EiEvent>, &Change) -> Option<Decision>>;

/// How the VTN's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Mode {
    Pull,
}

pub(super) struct Pair {
    pub(super) engine: Engine,
    pub(super) vtn: VtnCore,
    pub(super) store: Snapshot,
    pub(super) settings: Settings,
    pub(super) decide: Decide,
    /// How long the handler thinks.
    pub(super) decide_after: Span,
    /// What the handler was asked, as `e1 new` or `e1 modified`.
    pub(super) asked: Vec<String>,
    /// What the handler was told.
    pub(super) told: Vec<String>,
    pub(super) notices: Vec<Notice>,
    pub(super) link_up: bool,
    /// Data are there.
    pub(super) meter_up: bool,
    /// The store takes writes.
    pub(super) disk_up: bool,
    /// The handler returns from being told.
    pub(super) handler_returns: bool,
    pub(super) handled: u64,
    /// Crash instead of doing the effects of this batch.
    pub(super) crash_at: Option<u64>,
    now: Now,
    inbox: BTreeMap<(Span, u64), Input>,
    sequence: u64,
    seed: u64,
}

pub(super) const LATENCY: Span = Span::from_millis(20);

pub(super) fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn start() -> Timestamp {
    t("2030-01-01T00:00:00Z")
}

/// A report of energy and power, from a second upwards.
pub(super) fn usage_offer() -> ReportOffer {
    let point = |r_id: &str, interval_data| PointOffer {
        r_id: RId::from(r_id),
        resource: None,
        report_type: ReportType::Usage,
        unit: None,
        reading_type: ReadingType::DirectRead,
        interval_data,
    };
    ReportOffer {
        specifier: ReportSpecifierId::from("usage"),
        name: ReportName::TelemetryUsage,
        points: vec![point("energy", true), point("power", false)],
        min_period: Span::SECOND,
        max_period: Span::HOUR,
        kept: Span::DAY,
    }
}

/// A wish for the usage report.
pub(super) fn wish(
    id: &str,
    r_ids: &[&str],
    granularity: Span,
    back: Span,
    interval: Option<(Timestamp, Span)>,
) -> ReportRequest {
    let payload = |r_id: &&str| SpecifierPayload {
        r_id: RId::from(*r_id),
        unit: None,
        reading_type: ReadingType::NotApplicable,
    };
    let interval =
        interval.map(|(start, lasts)| ReportInterval { start, duration: Duration::from_span(lasts) });
    ReportRequest {
        report_request_id: id.into(),
        specifier: ReportSpecifier {
            report_specifier_id: "usage".into(),
            granularity: Duration::from_span(granularity),
            report_back_duration: Duration::from_span(back),
            report_interval: interval,
            payloads: r_ids.iter().map(payload).collect(),
        },
    }
}

/// What the meter would say of a span that starts then: a number that depends on nothing else.
pub(super) fn metered(start: Timestamp) -> i64 {
    start.seconds() % 1000
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(Settings { offers: vec![usage_offer()], ..Settings::default() })
    }

    pub(super) fn with(settings: Settings) -> Self {
        let store = Snapshot::default();
        Self {
            engine: Engine::new(settings.clone(), store.clone(), 1),
            vtn: VtnCore::new("vtn-1", Span::from_seconds(10)),
            store,
            settings,
            decide: Box::new(|_, _| Some(OptType::OptIn.into())),
            decide_after: LATENCY,
            asked: Vec::new(),
            told: Vec::new(),
            notices: Vec::new(),
            link_up: true,
            meter_up: true,
            disk_up: true,
            handler_returns: true,
            handled: 0,
            crash_at: None,
            now: Now { wall: start(), since_start: Span::ZERO },
            inbox: BTreeMap::new(),
            sequence: 0,
            seed: 1,
        }
    }

    pub(super) fn in_mode(mode: Mode) -> Self {
        match mode {
            Mode::Pull => Self::new(),
        }
    }

    /// Registered, reports offered, events asked for, and the first poll answered.
    pub(super) fn registered() -> Self {
        Self::registered_in(Mode::Pull)
    }

    pub(super) fn registered_in(mode: Mode) -> Self {
        let mut pair = Self::in_mode(mode);
        pair.run(Span::from_seconds(1));
        assert!(pair.vtn.registered().is_some(), "{:?}", pair.notices);
        pair
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now.wall
    }

    /// Lets so much time pass.
    pub(super) fn run(&mut self, span: Span) {
        let until = self.now.since_start + span;
        self.input(Input::Tick);
        loop {
            let news = self.inbox.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.engine.next_deadline(self.now).map(|(at, _)| at);
            let next = [news, deadline].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.pass(next.max(self.now.since_start));
            if news == Some(next) {
                let input = self.inbox.pop_first().map(|(_, input)| input);
                self.input(input.unwrap());
            } else {
                self.input(Input::Tick);
            }
        }
        self.pass(until);
    }

    /// Lets time pass up to then.
    pub(super) fn run_to(&mut self, wall: &str) {
        self.run(t(wall) - self.now.wall);
    }

    /// The wall clock is set; nothing else moves.
    pub(super) fn set_clock(&mut self, wall: Timestamp) {
        self.now.wall = wall;
    }

    fn pass(&mut self, since_start: Span) {
        self.now.wall += since_start - self.now.since_start;
        self.now.since_start = since_start;
    }

    pub(super) fn input(&mut self, input: Input) {
        self.handled += 1;
        assert!(self.handled < 20_000_000, "the engine spins");
        let batch = self.engine.handle(self.now, input);
        self.perform(batch);
    }

    fn perform(&mut self, batch: Batch) {
        if !batch.persist.is_empty() && !self.disk_up {
            let notices = batch.then.into_iter().filter(|effect| matches!(effect, Effect::Notify(_)));
            notices.for_each(|notice| self.effect(notice));
            let why = "disk full".to_owned();
            return self.input(Input::PersistFailed { batch: batch.number, why });
        }
        for write in &batch.persist {
            self.store.apply(write);
        }
        if self.crash_at.is_some_and(|at| at <= self.handled) {
            self.crash_at = None;
            return self.restart();
        }
        for effect in batch.then {
            self.effect(effect);
        }
    }

    /// The disk takes writes again; everything that was held back is written.
    pub(super) fn repair_disk(&mut self, batch: u64) {
        self.disk_up = true;
        self.input(Input::Persisted { batch });
    }

    /// The process dies and comes back at once with what was stored.
    pub(super) fn restart(&mut self) {
        self.seed += 1;
        self.inbox.clear();
        self.engine = Engine::new(self.settings.clone(), self.store.clone(), self.seed);
        self.input(Input::Tick);
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { exchange, payload } => {
                let on_its_way =
                    |input: &Input| matches!(input, Input::Replied { .. } | Input::Failed { .. });
                assert!(!self.inbox.values().any(on_its_way), "at most one message is on its way");
                let answer = if self.link_up {
                    let service = payload.kind().service();
                    self.vtn.handle(self.now.wall, service, payload)
                } else {
                    let failure = Failure::Unreachable("no route".into());
                    return self.later(Input::Failed { exchange, failure });
                };
                self.later(match answer {
                    Answer::Message(reply) => {
                        Input::Replied { exchange, reply: Some(Verified::for_test(*reply)) }
                    }
                    Answer::Empty => Input::Replied { exchange, reply: None },
                    Answer::Repeat(_) => unreachable!("there are no octets here"),
                    Answer::Status(code, retry_after) => {
                        let retry_after = retry_after.map(|s| Span::from_seconds(s.into()));
                        Input::Failed { exchange, failure: Failure::Status { code, retry_after } }
                    }
                });
            }
            Effect::Offer { ticket, event, change, .. } => {
                let word = if change == Change::New { "new" } else { "modified" };
                self.asked.push(format!("{} {word}", event.id()));
                if let Some(decision) = (self.decide)(&event, &change) {
                    self.after(self.decide_after, Input::Decided { ticket, decision });
                }
            }
            Effect::Announce { told, event, what } => {
                self.told.push(match what {
                    Announcement::Start { .. } => format!("{} start", event.id()),
                    Announcement::Interval(interval) => {
                        let resumed = if interval.resumed { " resumed" } else { "" };
                        let value = interval.value.map_or_else(|| "-".to_owned(), |v| v.to_string());
                        format!("{} interval {} = {value}{resumed}", event.id(), interval.index)
                    }
                    Announcement::End(why) => format!("{} end {why:?}", event.id()),
                });
                if self.handler_returns {
                    self.later(Input::Told(told));
                }
            }
            Effect::Collect { ticket, wish } => {
                if self.meter_up {
                    let columns = self.collect(&wish);
                    self.later(Input::Collected { ticket, columns });
                }
            }
            Effect::Notify(notice) => self.notices.push(notice),
        }
    }

    fn collect(&self, wish: &Wish) -> Vec<Column> {
        let (from, to, step) = match wish.span {
            WishedSpan::Latest { length } => (self.now.wall - length, self.now.wall, length),
            WishedSpan::Window { from, to, granularity } => (from, to, granularity),
        };
        let starts = std::iter::successors(Some(from), |at| Some(*at + step)).take_while(|at| *at < to);
        let sample = |start| Sample {
            start,
            duration: step,
            value: Some(PayloadBase::Float(Float::from(metered(start)))),
            quality: DataQuality::Good,
        };
        let samples: Vec<_> = starts.map(sample).collect();
        wish.points.iter().map(|point| Column { point: point.clone(), samples: samples.clone() }).collect()
    }

    fn later(&mut self, input: Input) {
        self.after(LATENCY, input);
    }

    fn after(&mut self, span: Span, input: Input) {
        self.sequence += 1;
        self.inbox.insert((self.now.since_start + span, self.sequence), input);
    }

    /// The opts that the VTN has got, as `e1 0 optIn`, with the code where it is not 200.
    pub(super) fn opts(&self) -> Vec<String> {
        let show = |opt: &crate::mock_vtn::Opt| {
            let code = if opt.code.number() == 200 { String::new() } else { format!(" {}", opt.code) };
            format!("{} {} {}{code}", opt.event_id, opt.modification, opt.opt)
        };
        self.vtn.opts.iter().map(show).collect()
    }

    /// Everything that was reported under a request: start, point, value and quality.
    pub(super) fn reported(&self, id: &str) -> Vec<(Timestamp, String, Float, DataQuality)> {
        let reports = self.vtn.reports.iter().filter(|report| report.report_request_id.as_str() == id);
        reports
            .flat_map(|report| &report.intervals)
            .flat_map(|interval| {
                interval.report_payloads().map(|payload| {
                    let PayloadBase::Float(value) = payload.value else { panic!("not a number") };
                    let quality = payload.data_quality.clone().unwrap();
                    (interval.start.unwrap(), payload.r_id.to_string(), value, quality)
                })
            })
            .collect()
    }

    pub(super) fn assert_lawful(&self) {
        assert_eq!(self.vtn.violations, Vec::<String>::new());
    }
}
