//! `ven meter` as a person meets it who has a meter, or only what one has said.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod detected;
mod dsmr;
mod expected;
mod han;
mod names;
mod samples;

use std::path::PathBuf;
use std::process::{Command, Output};

use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::Span;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::telemetry::meter_section;
use crate::support::{House, Process, ven};

fn ven_meter(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    command.arg("meter").args(arguments).env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    ven_meter(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The objects that a program is told, and the counts behind them.
fn objects(output: &Output) -> (Vec<Value>, Value) {
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (counts, objects) = lines.split_last().unwrap_or_else(|| panic!("{}", text(&output.stderr)));
    (objects.to_vec(), counts.clone())
}

/// A meter that plays, and its port.
struct Sim {
    _process: Process,
    port: PathBuf,
    _folder: TempDir,
}

fn sim(arguments: &[&str]) -> Sim {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("port");
    let process = Process::start(ven_meter(&["sim", "--link"]).arg(&port).args(arguments));
    process.wait_for(port.to_str().unwrap(), 0);
    Sim { _process: process, port, _folder: folder }
}

/// Reads a simulated meter for a while, and replays what was captured: both say the same.
fn read_and_replay(simulated: &[&str], read: &[&str], seconds: &str) -> Vec<Value> {
    let sim = sim(simulated);
    let raw = sim.port.with_file_name("raw");
    let mut command = ven_meter(&["read", "--json", "--for", seconds, "--raw"]);
    let output = command.arg(&raw).arg(&sim.port).args(read).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let (live, counts) = objects(&output);
    assert!(counts["good"].as_u64().unwrap() > 0 && counts["refused"] == 0, "{counts}");
    if !std::fs::read(&raw).unwrap().is_empty() && !read.contains(&"modbus") && !read.contains(&"s0") {
        let mut command = ven_meter(&["replay", "--json"]);
        let output = command.arg(&raw).output().unwrap();
        let (replayed, counts) = objects(&output);
        assert!(output.status.success(), "{counts}");
        assert!(counts["good"].as_u64().unwrap() > 0, "found by its content: {counts}");
        assert_eq!(replayed[0], live[0]);
    }
    live
}

fn value<'o>(objects: &'o [Value], obis: &str) -> &'o Value {
    let found = objects.iter().find(|object| object["obis"] == obis);
    found.unwrap_or_else(|| panic!("no {obis} in {objects:?}"))
}

#[test]
fn p1_is_read_as_it_comes_and_as_it_was_recorded() {
    let objects = read_and_replay(&["--pace", "200ms"], &[], "2s");
    let import = value(&objects, "1-0:1.8.1");
    assert_eq!((import["value"].as_str(), import["unit"].as_str()), (Some("1234.000"), Some("kWh")));
    assert_eq!(import["quality"], "Quality Good - Non Specific");
    assert_eq!(import["channel"], 0);
    assert!(import["time"].as_str().unwrap().ends_with('Z'), "{import}");
    let gas = value(&objects, "0-1:24.2.1");
    assert_eq!((gas["channel"].as_u64(), gas["unit"].as_str()), (Some(1), Some("m3")));
}

#[test]
fn sml_is_read_as_it_comes_and_as_it_was_recorded() {
    let sml = ["--protocol", "sml"];
    let objects = read_and_replay(&[&sml[..], &["--pace", "200ms"]].concat(), &sml, "2s");
    assert_eq!(value(&objects, "1-0:1.8.0")["unit"], "Wh");
}

#[test]
fn a_meter_that_pushes_iec_62056_21_is_read() {
    let push = ["--protocol", "iec62056-21", "--push"];
    let objects = read_and_replay(&[&push[..], &["--pace", "300ms"]].concat(), &push, "2s");
    assert_eq!(value(&objects, "1-0:1.8.0")["unit"], "kWh");
}

#[test]
fn a_meter_that_is_asked_by_iec_62056_21_is_read_at_both_its_speeds() {
    let objects = read_and_replay(&["--protocol", "iec62056-21"], &["--protocol", "iec62056-21"], "6s");
    assert_eq!(value(&objects, "1-0:1.8.0")["unit"], "kWh");
}

#[test]
fn a_modbus_meter_is_read() {
    let modbus = ["--protocol", "modbus", "--map", "eastron-sdm630", "--unit", "7"];
    let objects = read_and_replay(&modbus, &modbus, "2s");
    assert_eq!(value(&objects, "1-0:32.7.0")["value"], "230");
    assert_eq!(value(&objects, "1-0:1.8.0")["unit"], "kWh");
}

#[test]
fn pulses_are_read() {
    let pulses = ["--protocol", "s0", "--pulses-per-kwh", "1000"];
    let objects = read_and_replay(&[&pulses[..], &["--pace", "500ms"]].concat(), &pulses, "3s");
    let power = value(&objects, "1-0:1.7.0")["value"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((3_600.0..14_400.0).contains(&power), "two pulses a second are 7200 W, not {power}");
}

#[test]
fn pulses_that_were_recorded_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pulses.csv");
    std::fs::write(&file, "# falling edges\n1767222000000\n1767222000010\n1767222001000\n1767222003000\n")
        .unwrap();
    let output = run(&["replay", "--json", file.to_str().unwrap()]);
    let (objects, counts) = objects(&output);
    assert_eq!(counts, serde_json::json!({"good": 3, "refused": 0, "reasons": []}));
    let last = objects.iter().rfind(|object| object["obis"] == "1-0:1.8.0").unwrap();
    assert_eq!((last["value"].as_str(), last["time"].as_str()), (Some("3"), Some("2025-12-31T23:00:03Z")));
}

#[test]
fn what_was_refused_is_kept_for_support() {
    let house = House::new(KeyKind::P256);
    let meter =
        MockMeter::start(house.folder.path(), "meter", std::time::Duration::from_millis(500)).unwrap();
    let configuration = house.configure("https://127.0.0.1:9", &meter_section(meter.path()));
    let process = Process::start(ven(&configuration).env("RUST_LOG", "info"));
    process.wait_for("meter main is online", 0);
    meter.send(b"/OVN5\\2another\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n!0001\r\n").unwrap();
    process.wait_for("meter main sent no good telegram: checksum", 0);
    process.terminate();
    let config = configuration.to_str().unwrap();
    let output = run(&["read", "--json", "--for", "2s", "--config", config, "--meter", "main"]);
    let (_, counts) = objects(&output);
    assert!(counts["good"].as_u64().unwrap() > 0, "the meter of the configuration is read: {counts}");
    let out = house.path("all");
    let output = run(&["refused", "--config", config, "--out", out.to_str().unwrap()]);
    let listed = text(&output.stdout);
    assert!(listed.contains("meter main: 1 kept") && listed.contains("bytes: checksum is"), "{listed}");
    let output = run(&["replay", "--json", "--protocol", "dsmr", out.to_str().unwrap()]);
    let (_, counts) = objects(&output);
    assert_eq!((output.status.code(), &counts["good"], &counts["refused"]), (Some(1), &0.into(), &1.into()));
    let output = run(&["refused", "--config", config, "--meter", "mian"]);
    assert!(text(&output.stderr).contains("there is no [[meter]] with name = \"mian\""));
}

/// A meter that is asked delivers to the reports as those do that speak.
#[tokio::test(flavor = "multi_thread")]
async fn a_modbus_meter_of_the_configuration_is_reported() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let sim = sim(&["--protocol", "modbus", "--map", "eastron-sdm630"]);
    let section = meter_section(&sim.port).replace(
        "\n\n[[report]]",
        "\nprotocol = \"modbus\"\nmap = \"eastron-sdm630\"\nevery = \"1s\"\n\n[[report]]",
    );
    let process = Process::ven_logging(&house.configure(&vtn.url(), &section), "warn,openadr_ven=debug");
    tokio::task::block_in_place(|| {
        let online = process.wait_for("meter main is online", 0);
        process.wait_for("meter main: import 3579", online);
    });
    process.terminate();
}
