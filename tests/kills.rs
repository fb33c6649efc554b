//! `kill -9` at random moments: while registering, answering, reporting. Nothing that was promised is lost or said otherwise.
//!
//! `VEN_SEED` sets the moments, `VEN_KILLS` how many there are.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and tells its seed"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use openadr_ven::message::{
    DataQuality, Decimal, Duration as OadrDuration, EventId, Float, OptType, PayloadBase, RId, ReadingType,
    ReportRequest, ReportSpecifier, SpecifierPayload,
};
use openadr_ven::mock_meter::{MockMeter, Written};
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::{Span, Timestamp};
use support::{House, PATIENCE, Process};

const POINTS: [&str; 2] = ["main.import_energy", "main.net_power"];
/// Steps of the report.
const STEP: Span = Span::SECOND;

/// Moments and choices.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % (most + 1)
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name).map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

struct World {
    runtime: tokio::runtime::Runtime,
    house: House,
    vtn: MockVtn,
    meter: MockMeter,
    dice: Dice,
    runs: u32,
    /// The lines of every run's log.
    logs: Vec<Vec<String>>,
    /// From each kill to when the meter was heard again.
    dead: Vec<(Timestamp, Timestamp)>,
    killed_at: Option<Timestamp>,
    events: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let house = House::new(KeyKind::P256);
        let vtn = runtime.block_on(house.vtn(Span::SECOND));
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
        let (logs, dead) = (Vec::new(), Vec::new());
        Self { runtime, house, vtn, meter, dice: Dice(seed), runs: 0, logs, dead, killed_at: None, events: 0 }
    }

    /// The handler changes its mind at every start: in, out, in...
    fn configure(&mut self) -> PathBuf {
        self.runs += 1;
        let mind = if self.runs.is_multiple_of(2) { "optIn" } else { "optOut" };
        let more = format!(
            r#"
[handler]
default = "{mind}"

[[meter]]
name = "main"
source = "serial:{}"

[[report]]
name = "TELEMETRY_USAGE"
min_period = "1s"
points = [
  {{ quantity = "import_energy", meter = "main" }},
  {{ quantity = "net_power", meter = "main" }},
]
"#,
            self.meter.path().display()
        );
        let poll = "poll_min = \"100ms\"\npoll_max = \"150ms\"\n\n[tls]";
        let text = self.house.configuration(&self.vtn.url(), &more).replace("[tls]", poll);
        let path = self.house.path("ven.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&mut self) -> Process {
        let path = self.configure();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        Process::start(command.args(["run", "--config"]).arg(path).env("RUST_LOG", "debug"))
    }

    /// Lets a run live for so long, and meanwhile has the VTN do things.
    fn live(&mut self, ven: &Process, milliseconds: u64) {
        let mut left = milliseconds;
        while left > 0 {
            let piece = left.min(1 + self.dice.up_to(150));
            std::thread::sleep(Duration::from_millis(piece));
            left -= piece;
            self.something_happens();
        }
        if let Some(from) = self.killed_at
            && let Some(heard) = heard(&ven.log())
        {
            self.dead.push((from, heard));
            self.killed_at = None;
        }
    }

    fn kill(&mut self, ven: Process) {
        // Where two kills follow each other before the meter is heard, the dead time goes on.
        self.killed_at.get_or_insert_with(|| self.vtn.now());
        let log = ven.kill();
        self.logs.push(log);
    }

    /// The VTN adds, changes or calls off an event.
    fn something_happens(&mut self) {
        let now = self.vtn.now();
        let (what, level) = (self.dice.up_to(3), i64::try_from(self.dice.up_to(3)).unwrap());
        let (ahead, lasts) = (self.dice.up_to(3), 1 + self.dice.up_to(5));
        let seconds = |number: u64| Span::from_seconds(i64::try_from(number).unwrap());
        let start = now + seconds(ahead);
        let some = format!("e{}", self.events.saturating_sub(u32::try_from(self.dice.up_to(3)).unwrap()));
        if what <= 1 {
            self.events += 1;
        }
        let (new, old) = (format!("e{}", self.events), format!("e{}", self.events.saturating_sub(5)));
        self.vtn.with(|core| match what {
            0 | 1 => {
                core.add_event(EventBuilder::new(&new, start, seconds(lasts)).level(level));
                core.drop_event(&old);
            }
            2 => core.modify_event(&some, |event| event.event.active_period.start = start),
            _ => core.cancel_event(&some),
        });
    }

    fn wait(&self, what: &str, ven: &Process, holds: impl FnMut(&mut VtnCore) -> bool) {
        let held = self.runtime.block_on(self.vtn.until(PATIENCE, holds));
        assert!(held, "{what} did not happen; the log:\n{}", ven.log().join("\n"));
    }
}

/// When the meter was first heard, by the log.
fn heard(log: &[String]) -> Option<Timestamp> {
    let line = log.iter().find(|line| line.contains(" meter main: "))?;
    line.split_whitespace().next()?.parse().ok()
}

fn request() -> ReportRequest {
    let payload = |point: &str| SpecifierPayload {
        r_id: RId::from(point),
        unit: None,
        reading_type: ReadingType::NotApplicable,
    };
    ReportRequest {
        report_request_id: "steady".into(),
        specifier: ReportSpecifier {
            report_specifier_id: "TELEMETRY_USAGE".into(),
            granularity: OadrDuration::from_span(STEP),
            report_back_duration: OadrDuration::from_span(STEP * 2),
            report_interval: None,
            payloads: POINTS.map(payload).to_vec(),
        },
    }
}

#[test]
fn kills_at_random_moments_lose_nothing_and_change_no_answer() {
    let seed = setting("VEN_SEED", u64::from(std::process::id()) * 7919 + 1);
    let kills = setting("VEN_KILLS", 100);
    println!("VEN_SEED={seed} VEN_KILLS={kills}");
    let mut world = World::new(seed);
    let early = kills / 4;
    for _ in 0..early {
        let ven = world.start();
        let moment = world.dice.up_to(60);
        world.live(&ven, moment);
        world.kill(ven);
    }
    let orphans = world.vtn.with(|core| core.registrations());
    assert!(u64::from(orphans) <= early, "each of {early} kills leaves at most one orphan, not {orphans}");
    // A request that is handed to a poll is lost where the kill comes before the commit, so this one is confirmed first.
    let ven = world.start();
    world.vtn.with(|core| core.request_reports(vec![request()]));
    world.wait("the report request", &ven, |core| core.pending == ["steady".into()]);
    world.live(&ven, 1500);
    world.kill(ven);
    for _ in early + 1..kills {
        let ven = world.start();
        let moment = if world.dice.up_to(1) == 0 { 300 } else { 2500 };
        let moment = world.dice.up_to(moment);
        world.live(&ven, moment);
        world.kill(ven);
    }
    let ven = world.start();
    let count = world.vtn.with(|core| core.reports.len());
    world.live(&ven, 5000);
    world.wait("another report", &ven, |core| core.reports.len() > count);
    world.live(&ven, 1);
    world.logs.push(ven.log());
    ven.terminate();
    registrations_are_kept(&world);
    answers_do_not_change(&world);
    reports_are_whole(&world);
}

/// Once a run has said that it is registered, every later run is so under the same ids.
fn registrations_are_kept(world: &World) {
    let ids =
        world.logs.iter().flatten().filter(|line| line.contains("registered") && line.contains(" at VTN "));
    let ids: Vec<_> = ids.map(|line| line.split(" as ").nth(1).unwrap().split(',').next().unwrap()).collect();
    let last = ids.last().unwrap();
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), 1, "a stored registration is kept: {ids:?}");
    let registered = world.vtn.with(|core| core.registered().cloned()).unwrap();
    assert_eq!(registered.as_str(), *last);
    assert_eq!(world.vtn.with(|core| core.violations.clone()), Vec::<String>::new());
}

/// No version of an event is answered in two ways, although the handler has changed its mind with every start.
fn answers_do_not_change(world: &World) {
    let mut answers: BTreeMap<(EventId, u32), BTreeSet<OptType>> = BTreeMap::new();
    for opt in world.vtn.with(|core| core.opts.clone()) {
        answers.entry((opt.event_id, opt.modification)).or_default().insert(opt.opt);
    }
    assert!(answers.len() > 20, "only {} answers came", answers.len());
    let both: Vec<_> = answers.iter().filter(|(_, opts)| opts.len() > 1).collect();
    let told = |(id, _): &(EventId, u32)| {
        let text = format!("event {id}: changed from");
        world.logs.iter().flatten().any(|line| line.contains(&text))
    };
    let untold: Vec<_> = both.iter().filter(|(version, _)| !told(version)).collect();
    assert!(untold.is_empty(), "answered in two ways: {untold:?}");
    let ways: BTreeSet<_> = answers.values().flatten().collect();
    assert_eq!(ways.len(), 2, "the handler has changed its mind between the runs");
    println!("{} versions of events answered", answers.len());
}

/// Every interval was reported, outside the dead times with the meter's own numbers; what came twice was the same.
fn reports_are_whole(world: &World) {
    let written = world.meter.written();
    let mut repeats = 0;
    let mut count = 0;
    for point in POINTS {
        let mut values: BTreeMap<Timestamp, (Float, DataQuality)> = BTreeMap::new();
        for (start, value, quality) in reported(&world.vtn, point) {
            if let Some(before) = values.insert(start, (value, quality.clone())) {
                assert_eq!(before, (value, quality), "{point} at {start} came twice, and not the same");
                repeats += 1;
            }
        }
        let (first, last) = (*values.keys().next().unwrap(), *values.keys().next_back().unwrap());
        let mut start = first;
        while start <= last {
            let found = values.get(&start).unwrap_or_else(|| panic!("{point} at {start} is missing"));
            if found.1 == DataQuality::Good {
                assert_eq!(found.0, expected(&written, point, start), "{point} at {start}");
            } else {
                assert!(was_dead(world, start), "{point} at {start} is {:?}, and we were alive", found.1);
            }
            start += STEP;
            count += 1;
        }
    }
    println!("{count} values reported, {repeats} of them twice; {} dead times", world.dead.len());
}

fn reported(vtn: &MockVtn, point: &str) -> Vec<(Timestamp, Float, DataQuality)> {
    let reports = vtn.with(|core| core.reports.clone());
    let mut values = Vec::new();
    for interval in reports.iter().flat_map(|report| &report.intervals) {
        for payload in interval.report_payloads().filter(|payload| payload.r_id.as_str() == point) {
            let PayloadBase::Float(value) = payload.value else { panic!("not a number") };
            values.push((interval.start.unwrap(), value, payload.data_quality.clone().unwrap()));
        }
    }
    values
}

fn expected(written: &[Written], point: &str, start: Timestamp) -> Float {
    let at =
        |at: Timestamp| written.iter().find(|w| w.at == at).unwrap_or_else(|| panic!("no telegram of {at}"));
    let value: Decimal = match point {
        "main.import_energy" => at(start + STEP).import - at(start).import,
        _ => at(start).net_power,
    };
    Float::from(value)
}

/// A telegram that was on its way at the kill is lost, and with it the intervals on both sides.
fn was_dead(world: &World, start: Timestamp) -> bool {
    let margin = STEP + Span::from_millis(500);
    world.dead.iter().any(|(from, to)| start + STEP + margin >= *from && start <= *to + margin)
}
