//! A meter on a serial line that is pulled out, noisy, or not there yet.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and tells how long it took"
)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use openadr_ven::message::{
    DataQuality, Duration as OadrDuration, Interval, PayloadBase, RId, ReadingType, ReportRequest,
    ReportSpecifier, SpecifierPayload,
};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{KeyKind, MockVtn, VtnCore};
use openadr_ven::time::{Span, Timestamp};
use support::{House, PATIENCE, Process};
use tokio::runtime::Runtime;

struct World {
    runtime: Runtime,
    house: House,
    vtn: MockVtn,
}

impl World {
    fn new() -> Self {
        let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
        let vtn = runtime.block_on(house.vtn(Span::SECOND));
        Self { runtime, house, vtn }
    }

    fn meter(&self) -> MockMeter {
        MockMeter::start(self.house.folder.path(), "meter", Duration::from_secs(1)).unwrap()
    }

    fn ven(&self) -> Process {
        let more = format!(
            r#"
[[meter]]
name = "main"
source = "serial:{}"

[[report]]
min_period = "1s"
points = [ {{ quantity = "import_energy", meter = "main" }}, {{ quantity = "net_power", meter = "main" }} ]
"#,
            self.house.path("meter").display()
        );
        let path = self.house.configure(&self.vtn.url(), &more);
        Process::start(
            Command::new(env!("CARGO_BIN_EXE_ven"))
                .args(["run", "--config"])
                .arg(path)
                .env("RUST_LOG", "debug"),
        )
    }

    fn until(&self, what: &str, ven: &Process, holds: impl FnMut(&mut VtnCore) -> bool) {
        let held = self.runtime.block_on(self.vtn.until(PATIENCE, holds));
        assert!(held, "{what} did not come; the log:\n{}", ven.log().join("\n"));
    }

    fn ask_for_reports(&self) {
        let payload = |point: &str| SpecifierPayload {
            r_id: RId::from(point),
            unit: None,
            reading_type: ReadingType::NotApplicable,
        };
        self.vtn.with(|core| {
            core.request_reports(vec![ReportRequest {
                report_request_id: "steady".into(),
                specifier: ReportSpecifier {
                    report_specifier_id: "TELEMETRY_USAGE".into(),
                    granularity: OadrDuration::from_seconds(2),
                    report_back_duration: OadrDuration::from_seconds(2),
                    report_interval: None,
                    payloads: ["main.import_energy", "main.net_power"].map(payload).to_vec(),
                },
            }]);
        });
    }

    /// Everything that was reported of the energy: start, value, quality.
    fn energies(&self) -> Vec<(Timestamp, String, DataQuality)> {
        let reports = self.vtn.with(|core| core.reports.clone());
        let intervals = reports.into_iter().flat_map(|report| report.intervals);
        intervals.filter_map(|interval| energy(&interval)).collect()
    }
}

fn energy(interval: &Interval) -> Option<(Timestamp, String, DataQuality)> {
    let payload = interval.report_payloads().find(|payload| payload.r_id.as_str() == "main.import_energy")?;
    let PayloadBase::Float(value) = &payload.value else { panic!("not a number") };
    Some((interval.start?, value.to_string(), payload.data_quality.clone()?))
}

#[test]
fn a_meter_that_is_unplugged_is_found_again_and_the_gap_is_a_gap() {
    let world = World::new();
    let meter = world.meter();
    let ven = world.ven();
    ven.wait_for("meter main is online", 0);
    world.ask_for_reports();
    world.until("a report", &ven, |core| core.reports.len() >= 2);
    let line = ven.log().len();
    meter.unplug();
    let line = ven.wait_for("meter main is offline: ", line);
    let reports = world.vtn.with(|core| core.reports.len());
    world.until("reports of the gap", &ven, |core| core.reports.len() > reports + 1);
    meter.plug_in().unwrap();
    let since = Instant::now();
    let line = ven.wait_for("meter main is online", line);
    println!("data again {:.1} s after the plug was back", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < Duration::from_secs(3));
    let reports = world.vtn.with(|core| core.reports.len());
    world.until("good reports again", &ven, |core| core.reports.len() > reports + 2);
    ven.wait_for("meter main: import", line);
    let energies = world.energies();
    let (good, bad): (Vec<_>, Vec<_>) =
        energies.iter().partition(|(_, _, quality)| *quality == DataQuality::Good);
    assert!(!bad.is_empty() && good.len() >= 3, "{energies:?}");
    for (start, value, quality) in &bad {
        // A placeholder, or a step whose end was put between two telegrams that are far apart.
        let honest =
            (*quality == DataQuality::Bad && value == "0") || *quality == DataQuality::UncertainLastUsable;
        assert!(honest, "{start}: {value} {quality:?}");
    }
    assert!(bad.iter().any(|(_, _, quality)| *quality == DataQuality::Bad), "{bad:?}");
    let starts: Vec<_> = energies.iter().map(|(start, ..)| *start).collect();
    assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + Span::from_seconds(2)), "{starts:?}");
}

#[test]
fn noise_costs_no_good_telegram() {
    let world = World::new();
    let meter = world.meter();
    let ven = world.ven();
    ven.wait_for("meter main is online", 0);
    let mut heard = ven.log().len();
    let first = meter.written().len();
    for noise in [
        &b"\x00\xFF\xAA/ABC"[..],
        b"/ISK5 cut\r\n\r\n1-0:1.8.1(0000",
        b"!\r\n/\r\n!",
        b"\r\n!1234\r\n",
        &[b'/'; 300],
    ] {
        meter.send(noise).unwrap();
        heard = ven.wait_for("meter main: import", heard);
    }
    // Every telegram since then has been heard, each once.
    let written = meter.written().len() - first;
    let count = |log: &[String]| log.iter().filter(|line| line.contains("meter main: import")).count();
    assert!(count(&ven.log()) >= written, "{written} telegrams, the log:\n{}", ven.log().join("\n"));
}

#[test]
fn a_meter_that_is_not_there_yet_is_found_when_it_comes() {
    let world = World::new();
    let ven = world.ven();
    ven.wait_for("meter main is offline: No such file or directory", 0);
    // The VEN takes part all the same.
    world.until("the registration", &ven, |core| core.registered().is_some());
    let _meter = world.meter();
    let since = Instant::now();
    ven.wait_for("meter main is online", 0);
    println!("a new meter was found after {:.1} s", since.elapsed().as_secs_f64());
    ven.terminate();
}

#[test]
fn two_meters_on_one_line_are_refused_by_the_system_and_named() {
    let world = World::new();
    let _meter = world.meter();
    let first = world.ven();
    first.wait_for("meter main is online", 0);
    let text = std::fs::read_to_string(world.house.path("ven.toml")).unwrap();
    let text = text.replace("state = \"state\"", "state = \"second\"").replace("test-ven", "second-ven");
    std::fs::write(world.house.path("second.toml"), text).unwrap();
    let second = Process::ven(&world.house.path("second.toml"));
    second.wait_for("meter main is offline: Unable to acquire exclusive lock on serial port", 0);
}
