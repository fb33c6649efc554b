//! A meter that is unplugged, missing, or noisy: it is found again, no good telegram is lost, and no number is invented.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::process::{Command, Stdio};
use std::time::Duration;

use openadr_ven::message::DataQuality;
use openadr_ven::mock_meter::{MockMeter, MockModbusLine, Written};
use openadr_ven::mock_vtn::{KeyKind, MockVtn};
use openadr_ven::time::{Span, Timestamp};

use crate::support::telemetry::{Cell, cells, meter_section, wish};
use crate::support::{House, PATIENCE, Process, ven};

const SECOND: Duration = Duration::from_secs(1);
/// A port that is back is found within this.
const FOUND_WITHIN: Span = Span::from_seconds(3);

/// A VEN whose meter is reported each second.
struct Scene {
    house: House,
    vtn: MockVtn,
    meter: MockMeter,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        vtn.with(|core| core.piggyback = vec![wish("usage", Span::SECOND, Span::SECOND, None)]);
        let meter = MockMeter::start(house.folder.path(), "meter", SECOND).unwrap();
        Self { house, vtn, meter }
    }

    fn ven(&self) -> Process {
        let configuration = self.house.configure(&self.vtn.url(), &meter_section(self.meter.path()));
        Process::ven_logging(&configuration, "warn,openadr_ven=debug")
    }

    fn cells(&self) -> Vec<Cell> {
        self.vtn.with(|core| cells(&core.reports))
    }

    /// Waits until an interval that begins then or later is reported, with a good value.
    async fn good_from(&self, from: Timestamp, process: &Process) {
        let good = |cell: &Cell| cell.start >= from && cell.quality == DataQuality::Good;
        let come = self.vtn.until(PATIENCE, |core| cells(&core.reports).iter().any(good)).await;
        assert!(come, "no good value from {from}; the log:\n{}", process.log().join("\n"));
    }

    /// The telegram that starts a second, where it reached the line.
    fn telegram(&self, at: Timestamp) -> Option<Written> {
        self.meter.written().into_iter().find(|written| written.at == at && written.plugged)
    }

    /// Every good value is what the meter said; returns the intervals of imported energy that are not good.
    fn judge(&self) -> Vec<Cell> {
        let cells = self.cells();
        let energy = cells.into_iter().filter(|cell| cell.point == "main.import_energy");
        let (good, rest): (Vec<_>, Vec<_>) = energy.partition(|cell| cell.quality == DataQuality::Good);
        for cell in good {
            let (from, to) = (self.telegram(cell.start), self.telegram(cell.start + Span::SECOND));
            let (Some(from), Some(to)) = (from, to) else {
                panic!("a good value without telegrams: {cell:?}")
            };
            assert_eq!(cell.value, to.import - from.import, "{cell:?}");
        }
        rest
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unplugged_meter_leaves_placeholders_and_is_found_again() {
    let scene = Scene::new().await;
    let process = scene.ven();
    let online = process.wait_for("meter main is online", 0);
    scene.good_from(scene.vtn.now(), &process).await;
    scene.meter.unplug();
    let offline = process.wait_for("meter main is offline: ", online);
    let unplugged = scene.vtn.now();
    // This is how long nobody plugs it in again; long enough for two whole intervals without a telegram.
    tokio::time::sleep(SECOND * 5).await;
    scene.meter.plug_in().unwrap();
    let plugged = scene.vtn.now();
    process.wait_for("meter main is online", offline);
    let took = scene.vtn.now() - plugged;
    eprintln!("data again {took} after it was plugged in");
    assert!(took <= FOUND_WITHIN, "{took}; the log:\n{}", process.log().join("\n"));
    scene.good_from(plugged, &process).await;
    process.terminate();

    let missing = scene.judge();
    for cell in &missing {
        assert!(cell.is_placeholder(), "never a number: {cell:?}");
    }
    let starts: Vec<_> = missing.iter().map(|cell| cell.start).collect();
    let mut second = unplugged.floor_to(Span::SECOND) + Span::SECOND;
    while second + Span::SECOND < plugged {
        assert!(starts.contains(&second), "the interval of {second} is a placeholder: {missing:?}");
        second += Span::SECOND;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_that_is_missing_at_the_start_is_found_when_it_is_plugged_in() {
    let scene = Scene::new().await;
    scene.meter.unplug();
    let process = scene.ven();
    let offline = process.wait_for("meter main is offline: ", 0);
    process.wait_for("registered at VTN", 0);
    tokio::time::sleep(SECOND * 4).await;
    scene.meter.plug_in().unwrap();
    let plugged = scene.vtn.now();
    process.wait_for("meter main is online", offline);
    let took = scene.vtn.now() - plugged;
    eprintln!("found {took} after it was plugged in");
    assert!(took <= FOUND_WITHIN, "{took}; the log:\n{}", process.log().join("\n"));
    scene.good_from(plugged, &process).await;
    process.terminate();
    assert!(scene.judge().iter().all(Cell::is_placeholder), "never a number");
}

/// Noise that looks like the beginning, the middle and the end of telegrams.
const NOISE: [&[u8]; 6] = [
    b"\x00\xff\xfe garbage \x80\x81\r\n",
    b"/",
    b"/OVN5\\2openadr-ven simulator\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n",
    b"!ABCD\r\n",
    b"/OVN5\\2another\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n!0000\r\n",
    b"1-0:1.7.0(99.999*kW)\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn noise_around_telegrams_loses_none_of_them() {
    let scene = Scene::new().await;
    let process = scene.ven();
    process.wait_for("meter main is online", 0);
    scene.good_from(scene.vtn.now(), &process).await;
    let mut line = process.log().len();
    let noisy = scene.vtn.now();
    for noise in NOISE.iter().chain(&NOISE) {
        // After a telegram, so also before the next.
        line = process.wait_for("meter main: ", line);
        scene.meter.send(noise).unwrap();
    }
    process.wait_for("meter main: ", line);
    let quiet = scene.vtn.now();
    scene.good_from(quiet, &process).await;
    process.terminate();
    let missing = scene.judge();
    assert!(missing.iter().all(|cell| cell.start < noisy), "telegrams were lost: {missing:?}");
}

#[test]
fn meters_that_share_a_line_live_and_die_each_on_its_own() {
    let house = House::new(KeyKind::P256);
    let line = MockModbusLine::start(house.folder.path(), "line", "eastron-sdm630", &[1, 7]).unwrap();
    let section = |name: &str, unit: u8| {
        format!(
            "[[meter]]\nname = \"{name}\"\nsource = \"serial:{}\"\nprotocol = \"modbus\"\nmap = \"eastron-sdm630\"\n\
             unit = {unit}\nevery = \"1s\"\n",
            line.path().display()
        )
    };
    let sections = section("house", 1) + &section("heat", 7);
    let process =
        Process::ven_logging(&house.configure("https://127.0.0.1:9", &sections), "warn,openadr_ven=debug");
    process.wait_for("meter house: import 3579", 0);
    process.wait_for("meter heat: import 4579", 0);
    line.kill(7);
    let mut at = process.wait_for("meter heat sent no good telegram: no answer", 0);
    for _ in 0..2 {
        at = process.wait_for("meter house: import 3579", at);
    }
    line.revive(7);
    process.wait_for("meter heat: import 4579", at);
    let log = process.log();
    let is_of_another =
        |line: &&String| line.contains("house: import 4579") || line.contains("heat: import 3579");
    assert_eq!(log.iter().find(is_of_another), None);
    process.terminate();
}

/// The session and the controlling terminal of a process, as the system numbers them (proc(5), `stat`); no terminal is 0.
fn session_and_terminal(process: &Process) -> (u32, u32) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The name of the program, which may have spaces, ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[3].parse().unwrap(), fields[4].parse().unwrap())
}

/// Whoever leads a session without a terminal, and opens one, gets it as its own unless it says otherwise (`O_NOCTTY`); with a terminal it
/// would be interrupted, or hung up, by what comes over the line.
#[test]
fn the_line_of_a_meter_is_never_the_controlling_terminal() {
    let house = House::new(KeyKind::P256);
    let careless = MockMeter::start(house.folder.path(), "careless", SECOND).unwrap();
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", "exec 3<>\"$0\"; echo it is open; read -r _"]).arg(careless.path());
    let shell = Process::start(shell.stdin(Stdio::piped()));
    shell.wait_for("it is open", 0);
    let (session, terminal) = session_and_terminal(&shell);
    assert_eq!(session, shell.id(), "setsid has become the shell");
    assert_ne!(terminal, 0, "one that is careless gets it");

    let meter = MockMeter::start(house.folder.path(), "meter", SECOND).unwrap();
    let configured = ven(&house.configure("https://127.0.0.1:9", &meter_section(meter.path())));
    let mut command = Command::new("setsid");
    command.arg(configured.get_program()).args(configured.get_args()).stdin(Stdio::null());
    let process = Process::start(command.env("NO_COLOR", "1").env("RUST_LOG", "info"));
    process.wait_for("meter main is online", 0);
    assert_eq!(session_and_terminal(&process), (process.id(), 0), "it leads a session, and has no terminal");
    // Also after the line was opened again.
    let online = process.log().len();
    meter.unplug();
    let offline = process.wait_for("meter main is offline: ", online);
    meter.plug_in().unwrap();
    process.wait_for("meter main is online", offline);
    assert_eq!(session_and_terminal(&process), (process.id(), 0));
    process.terminate();
}
