//! Kills the VEN at a hundred random moments: whatever it was doing, it goes on where it was, and nobody notices.
//!
//! `VEN_KILLS` sets the number, `VEN_SEED` the moments.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openadr_ven::message::{OptType, PayloadKind, ResponseCode};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn};
use openadr_ven::time::{Span, Timestamp};

use crate::support::dice::Dice;
use crate::support::ledger::{Ledger, Run, Wanted};
use crate::support::telemetry::{meter_section, wish};
use crate::support::{House, PATIENCE, Process};

/// A moment that is counted from something waits so long for it.
const LONGEST_LIFE: Duration = Duration::from_millis(2500);

/// From what the moment of a kill is counted.
const REQUESTS: [PayloadKind; 7] = [
    PayloadKind::CreatePartyRegistration,
    PayloadKind::RequestEvent,
    PayloadKind::RegisterReport,
    PayloadKind::Poll,
    PayloadKind::CreatedEvent,
    PayloadKind::CreatedReport,
    PayloadKind::UpdateReport,
];
const LINES: [&str; 8] = [
    "registered",
    "received (version",
    "changed (version",
    "VTN has our",
    " requested: ",
    "is ready",
    "delivered",
    "meter main: ",
];

/// When a VEN is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Start,
    Request(PayloadKind),
    Line(&'static str),
}

/// What the VTN has asked for.
struct Asked {
    id: String,
    granularity: Span,
    /// Zero: once.
    back: Span,
    start: Timestamp,
    cancelled: bool,
}

struct Scene {
    house: House,
    vtn: MockVtn,
    meter: MockMeter,
    dice: Dice,
    runs: Vec<Run>,
    /// The newest version of each event that the VTN still holds.
    events: BTreeMap<String, u32>,
    asked: Vec<Asked>,
    /// Kills before the registration was stored, and the registrations of that time.
    unregistered_kills: u32,
    registrations: Option<u32>,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
        let start = vtn.now().floor_to(Span::SECOND) + Span::from_seconds(15);
        let asked = [1, 2].map(|seconds| Asked {
            id: format!("every-{seconds}s"),
            granularity: Span::from_seconds(seconds),
            back: Span::from_seconds(2 * seconds),
            start: start.floor_to(Span::from_seconds(seconds)),
            cancelled: false,
        });
        let wishes = asked.iter().map(|a| wish(&a.id, a.granularity, a.back, Some(a.start))).collect();
        vtn.with(|core| core.piggyback = wishes);
        Self {
            house,
            vtn,
            meter,
            dice: Dice::seeded(),
            runs: Vec::new(),
            events: BTreeMap::new(),
            asked: asked.into(),
            unregistered_kills: 0,
            registrations: None,
        }
    }

    /// Starts a VEN whose rules are the opposite of those before: only what it has stored keeps it to its word.
    fn start(&self) -> (Timestamp, Process) {
        let default = if self.runs.len().is_multiple_of(2) { "optIn" } else { "optOut" };
        let meter = meter_section(self.meter.path());
        let more = format!("[handler]\ndefault = \"{default}\"\n{meter}");
        let configuration = self.house.configure(&self.vtn.url(), &more);
        (self.vtn.now(), Process::ven_logging(&configuration, "warn,openadr_ven=debug"))
    }

    /// One life and death.
    async fn round(&mut self) {
        let (started, process) = self.start();
        self.stir();
        self.wait(&process).await;
        let killed = self.vtn.now();
        let log = tokio::task::block_in_place(|| process.kill());
        self.runs.push(Run { started, killed, log });
        if self.registrations.is_none() {
            let stored = self.runs.last().unwrap().first("registered at VTN").is_some();
            self.registrations = stored.then(|| self.vtn.with(|core| core.registrations()));
            self.unregistered_kills += u32::from(!stored);
        }
    }

    async fn wait(&mut self, process: &Process) {
        let (moment, most) = match self.dice.below(100) {
            0..35 => (Moment::Start, 300),
            35..50 => (Moment::Start, 3000),
            50..75 => (Moment::Request(self.dice.one_of(&REQUESTS)), 30),
            _ => (Moment::Line(self.dice.one_of(&LINES)), 30),
        };
        match moment {
            Moment::Start => {}
            Moment::Request(kind) => {
                let before = self.vtn.with(|core| core.count(kind));
                self.vtn.until(LONGEST_LIFE, |core| core.count(kind) > before).await;
            }
            Moment::Line(text) => {
                process.wait_within(text, 0, LONGEST_LIFE);
            }
        }
        // At once is sooner than the shortest pause: before what was said or sent is stored.
        if matches!(moment, Moment::Start) || self.dice.below(3) > 0 {
            let pause = Duration::from_micros(self.dice.below(most * 1000));
            tokio::time::sleep(pause).await;
        }
    }

    /// Now and then nobody starts it again for a while.
    async fn leave_dead(&mut self) {
        if self.dice.below(12) == 0 {
            tokio::time::sleep(Duration::from_millis(self.dice.below(3000))).await;
        }
    }

    /// The VTN does something.
    fn stir(&mut self) {
        let now = self.vtn.now();
        let known: Vec<String> = self.events.keys().cloned().collect();
        let event = (!known.is_empty()).then(|| self.dice.one_of(&known));
        match (self.dice.below(100), event) {
            (40..65, Some(id)) => {
                self.vtn
                    .with(|core| core.modify_event(&id, |event| event.event.descriptor.priority = Some(1)));
                *self.events.get_mut(&id).unwrap() += 1;
            }
            (65..75, Some(id)) => {
                self.vtn.with(|core| core.cancel_event(&id));
                self.events.remove(&id);
            }
            (75..80, Some(id)) => {
                self.vtn.with(|core| core.drop_event(&id));
                self.events.remove(&id);
            }
            (80..88, _) => self.ask(Span::SECOND * 2, now),
            (88..94, _) => self.ask(Span::ZERO, now),
            (94..97, _) => {
                if let Some(asked) = self.asked.iter_mut().skip(2).find(|asked| !asked.cancelled) {
                    asked.cancelled = true;
                    let id = asked.id.clone();
                    self.vtn.with(|core| core.cancel_reports(&[&id], false));
                }
            }
            _ => {
                let id = format!("event-{}", self.runs.len());
                let start = now + Span::from_millis(1000 * i64::try_from(self.dice.below(30)).unwrap());
                let lasts = Span::from_seconds(i64::try_from(1 + self.dice.below(60)).unwrap());
                self.vtn.with(|core| core.add_event(EventBuilder::new(&id, start, lasts)));
                self.events.insert(id, 0);
            }
        }
    }

    fn ask(&mut self, back: Span, now: Timestamp) {
        let id = format!("asked-{}", self.runs.len());
        let start = now.floor_to(Span::SECOND) + Span::from_seconds(8);
        let request = wish(&id, Span::SECOND, back, (!back.is_zero()).then_some(start));
        self.vtn.with(|core| core.request_reports(vec![request]));
        self.asked.push(Asked { id, granularity: Span::SECOND, back, start, cancelled: false });
    }

    /// When the VEN first said that it has taken a request.
    fn accepted(&self, id: &str) -> Option<Timestamp> {
        let line = format!("report {id} requested");
        self.runs.iter().find_map(|run| run.first(&line))
    }

    /// The last life: everything that is still owed is delivered. Returns up to when.
    async fn calm(&mut self) -> Timestamp {
        let (started, process) = self.start();
        let end = started.floor_to(Span::SECOND) + Span::from_seconds(6);
        let expected: BTreeSet<(String, u32)> = self.events.clone().into_iter().collect();
        let periodic = self.asked.iter().filter(|a| !a.cancelled && !a.back.is_zero());
        let stay: Vec<String> =
            periodic.filter(|a| self.accepted(&a.id).is_some()).map(|a| a.id.clone()).collect();
        let done = self.vtn.until(PATIENCE, |core| {
            let opts: BTreeSet<_> =
                core.opts.iter().map(|o| (o.event_id.to_string(), o.modification)).collect();
            let covered = |id: &String| {
                let of_it = core.reports.iter().filter(|report| report.report_request_id.as_str() == id);
                let ends = of_it.filter_map(|report| Some(report.duration?.after(report.start?)));
                ends.max().is_some_and(|to| to >= end)
            };
            opts.is_superset(&expected) && stay.iter().all(covered)
        });
        let done = done.await;
        let killed = self.vtn.now();
        let log = tokio::task::block_in_place(|| process.kill());
        assert!(done, "something is never delivered; the log:\n{}", log.join("\n"));
        self.runs.push(Run { started, killed, log });
        end
    }

    fn judge_registration(&self) {
        let stored = self.registrations.expect("it was registered in time");
        assert!(stored <= 1 + self.unregistered_kills, "at most one orphan for each kill: {stored}");
        self.vtn.with(|core| {
            assert_eq!(core.registrations(), stored, "a stored registration is kept");
            assert_eq!(core.violations, Vec::<String>::new());
        });
    }

    fn judge_opts(&self) -> usize {
        let mut said: BTreeMap<(String, u32), BTreeSet<&str>> = BTreeMap::new();
        let opts = self.vtn.with(|core| core.opts.clone());
        for opt in &opts {
            assert_eq!(opt.code, ResponseCode::OK, "{opt:?}");
            let word = if opt.opt == OptType::OptIn { "optIn" } else { "optOut" };
            said.entry((opt.event_id.to_string(), opt.modification)).or_default().insert(word);
        }
        for ((id, modification), words) in &said {
            let changed = format!("event {id}: changed from");
            let told = self.runs.iter().any(|run| run.first(&changed).is_some());
            assert!(words.len() == 1 || told, "version {modification} of {id} was answered {words:?}");
        }
        said.len()
    }

    fn judge_reports(&self, ledger: &Ledger, end: Timestamp) -> String {
        let reports = self.vtn.with(|core| core.reports.clone());
        let once: BTreeSet<&str> =
            self.asked.iter().filter(|a| a.back.is_zero()).map(|a| a.id.as_str()).collect();
        for id in once.iter().filter(|id| self.accepted(id).is_some()) {
            let of_it: Vec<_> = reports.iter().filter(|r| r.report_request_id.as_str() == *id).collect();
            let cancelled = self.asked.iter().any(|a| a.id == **id && a.cancelled);
            assert!(cancelled || !of_it.is_empty(), "{id} was taken and never served");
            assert!(of_it.windows(2).all(|two| two[0] == two[1]), "{id} was served twice: {of_it:?}");
        }
        let wanted: Vec<Wanted> = self
            .asked
            .iter()
            .filter(|asked| !asked.back.is_zero())
            .map(|asked| {
                let in_time = self.accepted(&asked.id).is_some_and(|at| at < asked.start);
                let stays = in_time && !asked.cancelled;
                let (from, to) = (stays.then_some(asked.start), stays.then_some(end));
                Wanted { id: asked.id.clone(), granularity: asked.granularity, from, to }
            })
            .collect();
        assert!(wanted[..2].iter().all(|wish| wish.to.is_some()), "the first two were taken in time");
        let sum = ledger.assert_reports(&reports, &wanted, self.runs.len());
        format!("{} reports for {} requests, {sum:?}", reports.len(), wanted.len() + once.len())
    }

    /// The time from each start to the first message, median and longest.
    fn first_words(&self) -> (Span, Span) {
        let received = self.vtn.with(|core| core.received.clone());
        let first = |run: &Run| {
            let after = received.iter().map(|(at, _)| *at).find(|at| *at > run.started)?;
            (after < run.killed).then(|| after - run.started)
        };
        let mut spans: Vec<Span> = self.runs.iter().filter_map(first).collect();
        spans.sort_unstable();
        (spans[spans.len() / 2], *spans.last().unwrap())
    }
}

#[expect(clippy::disallowed_methods, reason = "a test asks who started it")]
fn kills() -> usize {
    std::env::var("VEN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn kills_at_random_moments_lose_nothing_and_repeat_nothing() {
    let mut scene = Scene::new().await;
    for _ in 0..kills() {
        scene.round().await;
        scene.leave_dead().await;
    }
    let end = scene.calm().await;
    scene.judge_registration();
    let opts = scene.judge_opts();
    let ledger = Ledger::new(&scene.meter.written(), &scene.house.path("state/ven.db"));
    let dead = ledger.assert_no_reading_lost(&scene.runs);
    let reports = scene.judge_reports(&ledger, end);
    let ((median, longest), kills) = (scene.first_words(), scene.runs.len());
    eprintln!(
        "{kills} kills in {}, of them {dead} dead; {opts} versions answered",
        end - scene.runs[0].started
    );
    eprintln!("{reports}");
    eprintln!("from start to the first message: median {median}, longest {longest}");
}

/// Kills while it registers leave at most one orphan each, and once the registration is stored it is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_it_registers_leave_one_orphan_at_most() {
    let mut dice = Dice::seeded();
    for _ in 0..kills().div_ceil(5) {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let configuration = house.configure(&vtn.url(), "");
        let kind = dice.one_of(&[PayloadKind::QueryRegistration, PayloadKind::CreatePartyRegistration]);
        let process = Process::ven(&configuration);
        assert!(vtn.until(PATIENCE, |core| core.count(kind) > 0).await);
        if dice.below(2) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.below(10_000))).await;
        }
        let log = tokio::task::block_in_place(|| process.kill());
        let stored = log.iter().any(|line| line.contains("registered at VTN"));
        let process = Process::ven(&configuration);
        process.wait_for("registered", 0);
        tokio::task::block_in_place(|| process.kill());
        let after = vtn.with(|core| core.registrations());
        // The VTN may have served the last request of the dead after its death.
        assert!(after <= 1 + u32::from(!stored), "a stored registration is kept, another leaves one orphan");
        let process = Process::ven(&configuration);
        process.wait_for("registered again", 0);
        assert_eq!(vtn.with(|core| core.registrations()), after, "a stored registration is kept");
        assert_eq!(vtn.with(|core| core.violations.clone()), Vec::<String>::new());
    }
}
