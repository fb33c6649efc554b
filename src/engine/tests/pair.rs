//! A VEN and a VTN with nothing between them but virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{
    Announcement, Batch, Column, DeliveryId, Effect, Engine, Failure, Fulfilled, Incoming, Input, OrderError,
    PointOffer, PushAnswer, ReportOffer, Sample, Settings, Snapshot, Wish, WishedSpan,
};
use crate::handler::{Change, Decision};
use crate::mock_vtn::{Answer, VtnCore};
use crate::notice::Notice;
use crate::openadr::message::{
    DataQuality, Duration, EiEvent, Float, LoadControl, LoadControlState, OptType, Payload, PayloadBase,
    PayloadKind, PowerKind, RId, ReadingType, ReportInterval, ReportName, ReportRequest, ReportSpecifier,
    ReportSpecifierId, ReportType, ResourceStatus, Service, SiScale, SpecifierPayload, Unit,
};
use crate::openadr::trust::Verified;
use crate::time::{Now, Span, Timestamp};

/// What a handler says to an event; `None`: it never returns.
pub(super) type Decide = Box<dyn FnMut(&Arc<EiEvent>, &Change) -> Option<Decision>>;

/// How the VTN's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Mode {
    Pull,
    Push,
}

impl Mode {
    pub(in crate::engine) fn incoming(self) -> Incoming {
        match self {
            Self::Pull => Incoming::Pull,
            Self::Push => Incoming::Push { address: "https://ven.example.org:8443/dr".into() },
        }
    }
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
    /// What orders were answered.
    pub(super) answers: Vec<Result<Fulfilled, OrderError>>,
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
    /// What was pushed by hand ([`Pair::push`]), and what the VEN said to it.
    pub(super) responses: Vec<PushAnswer>,
    /// What the VTN has pushed and the VEN has not answered.
    pushed: BTreeMap<DeliveryId, Payload>,
    deliveries: u64,
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
        unit: Some(Unit::Energy(PowerKind::Real, SiScale::None)),
        reading_type: ReadingType::DirectRead,
        interval_data,
        market_context: None,
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

/// A report of the state of a resource.
pub(super) fn status_offer() -> ReportOffer {
    let mut offer = usage_offer();
    offer.specifier = "status".into();
    offer.name = ReportName::TelemetryStatus;
    offer.points.truncate(1);
    let point = &mut offer.points[0];
    (point.r_id, point.report_type) = ("status".into(), ReportType::ResourceStatus);
    (point.unit, point.reading_type, point.interval_data) = (None, ReadingType::NotApplicable, false);
    offer
}

/// A day of usage, in steps of a quarter of an hour.
pub(super) fn history_offer() -> ReportOffer {
    let quarter = Span::MINUTE * 15;
    ReportOffer {
        specifier: "history".into(),
        name: ReportName::HistoryUsage,
        min_period: quarter,
        max_period: quarter,
        ..usage_offer()
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

/// What is said of a point at a time.
fn said(point: &RId, start: Timestamp) -> PayloadBase {
    if point.as_str() != "status" {
        return PayloadBase::Float(Float::from(metered(start)));
    }
    let level = LoadControl { min: None, max: None, current: Float::from(0), normal: None };
    let state = LoadControlState { level_offset: Some(level), ..LoadControlState::default() };
    // It is away in every tenth minute.
    let online = start.seconds() % 600 >= 60;
    let status = ResourceStatus { online, manual_override: false, load_control_state: Some(state) };
    PayloadBase::ResourceStatus(Box::new(status))
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::in_mode(Mode::Pull)
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
            answers: Vec::new(),
            link_up: true,
            meter_up: true,
            disk_up: true,
            handler_returns: true,
            handled: 0,
            crash_at: None,
            responses: Vec::new(),
            pushed: BTreeMap::new(),
            deliveries: 0,
            now: Now { wall: start(), since_start: Span::ZERO },
            inbox: BTreeMap::new(),
            sequence: 0,
            seed: 1,
        }
    }

    pub(super) fn in_mode(mode: Mode) -> Self {
        let offers = vec![usage_offer(), status_offer(), history_offer()];
        Self::with(Settings { incoming: mode.incoming(), offers, ..Settings::default() })
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
            // A VTN that pushes has a clock of its own.
            let due = self.vtn.push_due().filter(|_| self.link_up);
            let due = due.map(|at| self.now.since_start + (at - self.now.wall));
            let next = [news, deadline, due].into_iter().flatten().min();
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

    /// Lets time pass until the VTN has got one more poll; its answer is still on the way.
    pub(super) fn run_to_poll(&mut self) {
        let polls = self.vtn.count(PayloadKind::Poll);
        while self.vtn.count(PayloadKind::Poll) == polls {
            self.run(Span::from_millis(5));
        }
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
        while let Some(message) = self.link_up.then(|| self.vtn.next_push(self.now.wall)).flatten() {
            let delivery = self.deliver(message.kind().service(), message.clone(), LATENCY);
            self.pushed.insert(delivery, message);
        }
    }

    /// Something is posted to a service of the VEN, at once; what it says in return is in `responses`.
    pub(super) fn push(&mut self, service: Service, message: impl Into<Payload>) {
        self.deliver(service, message.into(), Span::ZERO);
        self.run(Span::ZERO);
    }

    fn deliver(&mut self, service: Service, message: Payload, latency: Span) -> DeliveryId {
        self.deliveries += 1;
        let (delivery, message) = (DeliveryId(self.deliveries), Verified::for_test(message));
        self.after(latency, Input::Pushed { delivery, service, message });
        delivery
    }

    fn responded(&mut self, delivery: DeliveryId, answer: PushAnswer) {
        let Some(sent) = self.pushed.remove(&delivery) else { return self.responses.push(answer) };
        match answer {
            PushAnswer::Message(answer) => self.vtn.push_answered(self.now.wall, &sent, Some(answer)),
            PushAnswer::Empty => self.vtn.push_answered(self.now.wall, &sent, None),
            PushAnswer::TryAgain => {
                // The VTN waits a second.
                let again = self.deliver(sent.kind().service(), sent.clone(), Span::SECOND);
                self.pushed.insert(again, sent);
            }
        }
    }

    fn perform(&mut self, batch: Batch) {
        if !batch.persist.is_empty() && !self.disk_up {
            batch.then.into_iter().filter_map(Effect::unstored).for_each(|effect| self.effect(effect));
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
        for (_, unanswered) in std::mem::take(&mut self.pushed).into_iter().rev() {
            self.vtn.push_failed(unanswered);
        }
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
                    Announcement::Near(_) => format!("{} near", event.id()),
                    Announcement::Start { .. } => format!("{} start", event.id()),
                    Announcement::Interval(interval) => {
                        let resumed = if interval.resumed { " resumed" } else { "" };
                        let value = interval.value.map_or_else(|| "-".to_owned(), |v| v.to_string());
                        let over = interval
                            .overridden_by
                            .map_or_else(String::new, |other| format!(" under {other}"));
                        format!("{} interval {} = {value}{resumed}{over}", event.id(), interval.index)
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
            Effect::Answer { answer, .. } => self.answers.push(answer),
            Effect::Respond { delivery, answer } => self.responded(delivery, answer),
            Effect::Notify(notice) => self.notices.push(notice),
        }
    }

    fn collect(&self, wish: &Wish) -> Vec<Column> {
        let (from, to, step) = match wish.span {
            WishedSpan::Latest { length } => (self.now.wall - length, self.now.wall, length),
            WishedSpan::Window { from, to, granularity } => (from, to, granularity),
        };
        let starts = std::iter::successors(Some(from), |at| Some(*at + step)).take_while(|at| *at < to);
        let starts: Vec<_> = starts.collect();
        let column = |point: &RId| {
            let sample = |start: &Timestamp| Sample {
                start: *start,
                duration: step,
                value: Some(said(point, *start)),
                quality: DataQuality::Good,
            };
            Column { point: point.clone(), samples: starts.iter().map(sample).collect() }
        };
        wish.points.iter().map(column).collect()
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
