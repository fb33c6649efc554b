//! Our VEN against the VTN of OpenLEADR, over mutual TLS with messages signed both ways.
//!
//! The VTN first keeps its events itself. Then it is killed, and started anew with an empty memory and with polls that are answered
//! from a queue of ours: see `peers/openleadr_vtn.py` for why it takes both to see everything.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::support::peers::{peer, skip};
use crate::support::{BACKENDS, House, Process, by};
use openadr_ven::message::{Decimal, Float};
use openadr_ven::mock_meter::{MockMeter, Written};
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::{Span, Timestamp};
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The meter, and what is reported of it.
const METER: &str = r#"
[[meter]]
name = "main"
source = "serial:METER"

[[report]]
name = "TELEMETRY_USAGE"
min_period = "1s"
points = [
  { quantity = "import_energy", meter = "main" },
  { quantity = "export_energy", meter = "main" },
  { quantity = "net_power", meter = "main" },
]
"#;

const RULES: &str = r#"
[handler]
default = "optOut"
rule = [ { when = "signal == 'SIMPLE' and level <= 2", opt = "optIn" } ]
"#;

/// The steps in which `peers/openleadr_vtn.py` wants every report.
const TWO_SECONDS: Span = Span::from_seconds(2);

const POINTS: [&str; 3] = ["main.import_energy", "main.export_energy", "main.net_power"];

#[test]
fn the_ven_with_rules_and_keys_on_p_256_works_with_openleadr() {
    let Some(python) = python() else { return };
    let house = House::new(KeyKind::P256);
    let mut world = World::new(&house, python, RULES, Process::ven);
    world.play();
    world.end();
}

#[test]
fn the_thermostat_with_rsa_keys_works_with_openleadr() {
    let Some(python) = python() else { return };
    let thermostat = build_thermostat();
    let house = House::new(KeyKind::Rsa);
    let mut world = World::new(&house, python, "", |config| {
        Process::start(Command::new(&thermostat).args(["run", "--config"]).arg(config))
    });
    world.play();
    let said = |event: &str| {
        let prefix = format!("thermostat: event {event} ");
        world
            .ven
            .log()
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said("peak"),
        [
            "is new, its highest level is 2: optIn",
            "starts",
            "has level 1 now: set point 19.5 °C",
            "has level 2 now: set point 18.0 °C",
            "ends, its time is up: set point 21.0 °C",
        ]
    );
    assert_eq!(said("emergency"), ["is new, its highest level is 3: optOut"]);
    assert_eq!(
        said("raised"),
        ["is new, its highest level is 1: optIn", "has changed, its highest level is 3: optOut"]
    );
    assert_eq!(
        said("called-off"),
        [
            "is new, its highest level is 2: optIn",
            "starts",
            "has level 2 now: set point 18.0 °C",
            "ends, the VTN cancelled it: set point 21.0 °C",
        ]
    );
    assert_eq!(
        said("open-ended"),
        [
            "is new, its highest level is 1: optIn",
            "starts",
            "has level 1 now: set point 19.5 °C",
            "ends, the registration has ended: set point 21.0 °C",
        ]
    );
    world.end();
}

/// Beside the report in steps of two seconds, which goes on.
#[test]
fn a_report_in_steps_of_ten_seconds_comes_to_openleadr() {
    let Some(python) = python() else { return };
    let house = House::new(KeyKind::P256);
    let mut world = World::polling(&house, python, "external", RULES, Process::ven);
    world.registers();
    let request = world.reports_are_asked_for();
    world.vtn.order(&json!({
        "do": "request_report", "request_id": "tens", "specifier": "TELEMETRY_USAGE", "points": POINTS,
        "granularity": 10, "back": 10,
    }));
    world.values_are_the_meters("tens", Span::from_seconds(10), 2);
    world.values_are_the_meters(&request, TWO_SECONDS, 10);
    world.end();
}

/// What TLS alone protects: as many utilities' first programmes are.
#[test]
fn unsigned_the_ven_works_with_openleadr_by_every_backend_of_tls() {
    let Some(python) = python() else { return };
    for backend in BACKENDS {
        let house = House::new(KeyKind::P256);
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
        let vtn = OpenLeadr::unsigned(&house, &python);
        let port = meter.path().to_str().unwrap();
        let more = format!("sign = false\nverify = \"never\"\n{}{RULES}", METER.replace("METER", port));
        let configuration = house.configuration(&format!("https://localhost:{}", vtn.port), &more);
        std::fs::write(house.path("ven.toml"), by(backend, &configuration)).unwrap();
        let ven = Process::ven(&house.path("ven.toml"));
        let mut world = World { house: &house, python: python.clone(), meter, vtn, ven };
        world.registers();
        let request = world.reports_are_asked_for();
        world.values_are_the_meters(&request, TWO_SECONDS, 2);
        world.event_declined();
        world.end();
    }
}

/// OpenLEADR refuses by a registration without ids.
#[test]
fn a_ven_with_another_certificate_is_refused_by_openleadr() {
    let Some(python) = python() else { return };
    let house = House::new(KeyKind::P256);
    let vtn = OpenLeadr::start(&house, &python, house.certificates.vtn_fingerprint(), "internal", 0);
    let ven = Process::ven(&house.configure(&format!("https://localhost:{}", vtn.port), ""));
    ven.wait_for("registration refused: 463 the vtn gave no ids; trying again in", 0);
    ven.terminate();
}

/// A meter, a VTN, and a VEN between them.
struct World<'a> {
    house: &'a House,
    python: PathBuf,
    meter: MockMeter,
    vtn: OpenLeadr,
    ven: Process,
}

impl<'a> World<'a> {
    fn new(house: &'a House, python: PathBuf, handler: &str, start: impl FnOnce(&Path) -> Process) -> Self {
        Self::polling(house, python, "internal", handler, start)
    }

    /// `polling`: who answers the polls.
    fn polling(
        house: &'a House,
        python: PathBuf,
        polling: &str,
        handler: &str,
        start: impl FnOnce(&Path) -> Process,
    ) -> Self {
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
        let vtn = OpenLeadr::start(house, &python, house.certificates.ven_fingerprint(), polling, 0);
        let more = METER.replace("METER", meter.path().to_str().unwrap()) + handler;
        let ven = start(&house.configure(&format!("https://localhost:{}", vtn.port), &more));
        Self { house, python, meter, vtn, ven }
    }

    fn play(&mut self) {
        self.registers();
        let request = self.reports_are_asked_for();
        self.values_are_the_meters(&request, TWO_SECONDS, 4);
        self.event_from_start_to_end();
        self.event_declined();
        self.event_modified();
        self.event_cancelled();
        self.event_without_end();
        self.vtn_restarts();
        let request = self.reports_are_asked_for();
        self.values_are_the_meters(&request, TWO_SECONDS, 4);
        self.report_once();
        self.report_cancelled(&request);
        self.vtn_wants_to_be_registered_at_again();
    }

    /// Nobody complains of anything that is not known to be odd.
    fn end(self) {
        let Self { vtn, ven, .. } = self;
        vtn.has_no_troubles();
        let odd = [
            "VTN is away",
            // Owed to the VTN that was killed.
            "reports dropped that nobody wants any more",
            // OpenLEADR has no handler for it.
            "VTN refused oadrCanceledReport: 459",
            // See `OpenLeadr::has_no_troubles`.
            "VTN refused oadrCreatedEvent: http status 500",
        ];
        let troubles: Vec<_> = ven.log().into_iter().filter(|line| line.contains(" WARN ")).collect();
        let unknown: Vec<_> =
            troubles.iter().filter(|line| !odd.iter().any(|odd| line.contains(odd))).collect();
        assert!(unknown.is_empty(), "the VEN complains: {unknown:#?}");
        ven.terminate();
    }

    fn registers(&self) {
        let registered =
            self.vtn.wait_for("registered", &json!({ "ven_name": "test-ven", "came_with": null }));
        let ven_id = registered["ven_id"].as_str().unwrap();
        self.ven.wait_for(&format!("registered at VTN openleadr-vtn as {ven_id}"), 0);
    }

    /// Returns the id of the periodic report that OpenLEADR asks for.
    fn reports_are_asked_for(&self) -> String {
        for (point, measurement, unit) in [
            ("main.import_energy", "RealEnergy", "Wh"),
            ("main.export_energy", "RealEnergy", "Wh"),
            ("main.net_power", "RealPower", "W"),
        ] {
            let offered = self.vtn.wait_for("offered", &json!({ "r_id": point }));
            let expected = json!({
                "told": "offered", "specifier": "TELEMETRY_USAGE", "name": "METADATA_TELEMETRY_USAGE", "r_id": point,
                "resource": "main", "measurement": measurement, "unit": unit, "scale": "none", "min_period": 1.0,
            });
            assert_eq!(offered, expected);
        }
        let requested = self.vtn.wait_for("requested", &json!({ "points": POINTS }));
        self.vtn.wait_for("created_report", &json!({ "pending": [requested["request_id"]] }));
        requested["request_id"].as_str().unwrap().to_owned()
    }

    /// Waits for so many values of each data point, and compares them with what the meter has said.
    fn values_are_the_meters(&self, request: &str, step: Span, count: usize) {
        for point in POINTS {
            let values = self.vtn.wait_for_values(request, point, count);
            let written = self.meter.written();
            for pair in values.windows(2) {
                assert_eq!(pair[1].0, pair[0].0 + step, "{point} leaves something out");
            }
            for (start, value) in values {
                assert_eq!(value, expected(&written, point, start, step), "{point} at {start}");
            }
        }
    }

    fn event_from_start_to_end(&mut self) {
        self.vtn.order(
            &json!({ "do": "add_event", "event_id": "peak", "starts_in": 3, "steps": [[3, 1], [2, 2]] }),
        );
        self.vtn.wait_for_opt("peak", 0, "optIn");
        let mut line = 0;
        for part in ["started", "interval 0, SIMPLE = 1", "interval 1, SIMPLE = 2", "ended: its time is up"] {
            let separator = if part.starts_with("interval") { ": " } else { " " };
            line = self.ven.wait_for(&format!("event peak{separator}{part}"), line);
        }
    }

    /// The picture that it comes in shows the event that is over too.
    fn event_declined(&mut self) {
        self.vtn.order(
            &json!({ "do": "add_event", "event_id": "emergency", "starts_in": 60, "steps": [[600, 3]] }),
        );
        self.vtn.wait_for_opt("emergency", 0, "optOut");
    }

    fn event_modified(&mut self) {
        self.vtn
            .order(&json!({ "do": "add_event", "event_id": "raised", "starts_in": 60, "steps": [[600, 1]] }));
        self.vtn.wait_for_opt("raised", 0, "optIn");
        self.vtn.order(&json!({ "do": "modify_event", "event_id": "raised", "level": 3 }));
        self.vtn.wait_for_opt("raised", 1, "optOut");
    }

    fn event_cancelled(&mut self) {
        self.vtn.order(
            &json!({ "do": "add_event", "event_id": "called-off", "starts_in": 0, "steps": [[600, 2]] }),
        );
        self.vtn.wait_for_opt("called-off", 0, "optIn");
        let line = self.ven.wait_for("event called-off started", 0);
        self.vtn.order(&json!({ "do": "cancel_event", "event_id": "called-off" }));
        // A cancellation is confirmed by optIn (rule 36).
        self.vtn.wait_for_opt("called-off", 1, "optIn");
        self.ven.wait_for("event called-off ended: the VTN cancelled it", line);
    }

    fn event_without_end(&mut self) {
        self.vtn.order(
            &json!({ "do": "add_event", "event_id": "open-ended", "starts_in": 0, "steps": [[0, 1]] }),
        );
        self.vtn.wait_for_opt("open-ended", 0, "optIn");
        let line = self.ven.wait_for("event open-ended started", 0);
        self.ven.wait_for("event open-ended: interval 0, SIMPLE = 1", line - 1);
    }

    /// The VTN has lost its memory, and the VEN registers again by itself, which ends what was going on (rule 406).
    fn vtn_restarts(&mut self) {
        self.vtn.has_no_troubles();
        let line = self.ven.log().len();
        self.vtn.kill();
        self.ven.wait_for("VTN is away", line);
        self.vtn = OpenLeadr::start(
            self.house,
            &self.python,
            self.house.certificates.ven_fingerprint(),
            "external",
            self.vtn.port,
        );
        self.registers();
        self.ven.wait_for("event open-ended ended: the registration has ended", line);
    }

    fn report_once(&mut self) {
        let points = ["main.import_energy", "main.net_power"];
        self.vtn.order(&json!({
            "do": "request_report", "request_id": "once", "specifier": "TELEMETRY_USAGE", "points": points,
            "granularity": 0, "back": 0,
        }));
        for point in points {
            let values = self.vtn.wait_for_values("once", point, 1);
            let written = self.meter.written();
            let [(start, value)] = values[..] else { panic!("{} values of {point}", values.len()) };
            assert_eq!(value, expected(&written, point, start, Span::SECOND), "{point} at {start}");
        }
        self.ven.wait_for("report once ended: everything asked for has been reported", 0);
    }

    /// After a cancellation nothing more comes, while another report goes on.
    fn report_cancelled(&mut self, other: &str) {
        self.vtn.order(&json!({
            "do": "request_report", "request_id": "unloved", "specifier": "TELEMETRY_USAGE",
            "points": ["main.export_energy"], "granularity": 2, "back": 2,
        }));
        self.vtn.wait_for_values("unloved", "main.export_energy", 2);
        self.vtn.order(&json!({ "do": "cancel_report", "request_id": "unloved", "report_to_follow": false }));
        self.vtn.wait_for("canceled_report", &json!({ "pending": [other] }));
        let delivered = self.vtn.values("unloved", "main.export_energy").len();
        let others = self.vtn.values(other, "main.export_energy").len();
        self.vtn.wait_for_values(other, "main.export_energy", others + 4);
        assert_eq!(self.vtn.values("unloved", "main.export_energy").len(), delivered);
    }

    fn vtn_wants_to_be_registered_at_again(&mut self) {
        let before = self.vtn.wait_for("registered", &json!({}));
        self.vtn.order(&json!({ "do": "request_reregistration" }));
        let with = json!({ "came_with": before["registration_id"] });
        let after = self.vtn.wait_for("registered", &with);
        let ven_id = after["ven_id"].as_str().unwrap();
        self.ven.wait_for(&format!("registered at VTN openleadr-vtn as {ven_id}"), 0);
    }
}

/// A VTN of OpenLEADR in a process of its own.
struct OpenLeadr {
    process: Option<Process>,
    orders: ChildStdin,
    port: u16,
}

impl OpenLeadr {
    /// Registers the VEN with that fingerprint; port 0 takes any that is free.
    fn start(house: &House, python: &Path, ven_fingerprint: &str, polling: &str, port: u16) -> Self {
        let more = ["--polling", polling, "--port", &port.to_string()];
        Self::run(house, python, ven_fingerprint, &more)
    }

    /// Neither signs nor wants signatures.
    fn unsigned(house: &House, python: &Path) -> Self {
        Self::run(house, python, house.certificates.ven_fingerprint(), &["--unsigned"])
    }

    fn run(house: &House, python: &Path, ven_fingerprint: &str, more: &[&str]) -> Self {
        let mut command = Command::new(python);
        command.arg(Path::new(ROOT).join("tests/peers/openleadr_vtn.py"));
        command.arg("--certs").arg(house.certificates.path(""));
        command.args(["--ven-fingerprint", ven_fingerprint]).args(more);
        let mut process = Process::start(command.stdin(Stdio::piped()));
        let orders = process.stdin();
        let mut vtn = Self { process: Some(process), orders, port: 0 };
        vtn.port = u16::try_from(vtn.wait_for("serving", &json!({}))["port"].as_u64().unwrap()).unwrap();
        vtn
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Waits until it tells something of that kind with these members.
    fn wait_for(&self, told: &str, members: &Value) -> Value {
        let members = members.as_object().unwrap();
        let fits = |line: &Value| members.iter().all(|(name, value)| line[name] == *value);
        let what = format!("{told} {}", json!(members));
        self.process().wait_until(&what, |lines| tellings(lines, told).find(fits))
    }

    fn wait_for_opt(&self, event: &str, version: u32, opt: &str) {
        let opt = json!({ "event_id": event, "modification_number": version, "opt_type": opt, "response_code": 200 });
        self.wait_for("opt", &opt);
    }

    /// Waits for so many values of a data point.
    fn wait_for_values(&self, request: &str, point: &str, count: usize) -> Vec<(Timestamp, f64)> {
        let what = format!("{count} values of {point} for {request}");
        self.process()
            .wait_until(&what, |lines| Some(values(lines, request, point)).filter(|v| v.len() >= count))
    }

    fn values(&self, request: &str, point: &str) -> Vec<(Timestamp, f64)> {
        values(&self.process().log(), request, point)
    }

    /// It complains of nothing that is not its own fault.
    fn has_no_troubles(&self) {
        let odd = [
            // It asks whether an event is "ACTIVE", while its own word is "active".
            "The current_value for a SIMPLE event that is not yet active must be 0.",
            // It distributes an event as completed, forgets it, and cannot take the answer.
            "TypeError: 'NoneType' object is not subscriptable",
        ];
        let log = self.process().log();
        let troubles = tellings(&log, "trouble").map(|line| line["text"].as_str().unwrap().to_owned());
        let unknown: Vec<_> = troubles.filter(|text| !odd.iter().any(|odd| text.contains(odd))).collect();
        assert!(unknown.is_empty(), "OpenLEADR complains: {unknown:#?}");
    }
}

/// What was told of that kind; other lines are not from us.
fn tellings<'a>(lines: &'a [String], told: &'a str) -> impl Iterator<Item = Value> + 'a {
    let lines = lines.iter().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(move |line| line["told"] == told)
}

fn values(lines: &[String], request: &str, point: &str) -> Vec<(Timestamp, f64)> {
    let of_it =
        tellings(lines, "values").filter(|line| line["request_id"] == request && line["r_id"] == point);
    let pairs = of_it.flat_map(|line| line["values"].as_array().unwrap().clone());
    pairs.map(|pair| (pair[0].as_str().unwrap().parse().unwrap(), pair[1].as_f64().unwrap())).collect()
}

/// What the meter said that belongs to a value.
fn expected(written: &[Written], point: &str, start: Timestamp, length: Span) -> f64 {
    let at =
        |at: Timestamp| written.iter().find(|w| w.at == at).unwrap_or_else(|| panic!("no telegram of {at}"));
    let risen = |register: fn(&Written) -> Decimal| register(at(start + length)) - register(at(start));
    let value = match point {
        "main.import_energy" => risen(|w| w.import),
        "main.export_energy" => risen(|w| w.export),
        _ => at(start).net_power,
    };
    Float::from(value).to_f64()
}

/// Python with OpenLEADR.
fn python() -> Option<PathBuf> {
    let python = peer("python")?;
    let found = Command::new(&python).args(["-c", "import openleadr"]).output().unwrap().status.success();
    if !found {
        skip("openleadr");
    }
    found.then_some(python)
}

/// Builds the program that stands in the examples, as its user would.
fn build_thermostat() -> PathBuf {
    let target = Path::new(ROOT).join("target/thermostat");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--manifest-path"]).arg(Path::new(ROOT).join("examples/thermostat/Cargo.toml"));
    // What Cargo says of this test would make it build anew what depends on such things.
    let of_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_us)) {
        cargo.env_remove(name);
    }
    assert!(
        cargo.env("CARGO_TARGET_DIR", &target).status().unwrap().success(),
        "the thermostat does not build"
    );
    target.join("debug/thermostat")
}
