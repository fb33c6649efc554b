//! `ven reports` as an operator meets it: what is on offer, asked for, delivered and owed.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{KeyKind, VtnCore};
use openadr_ven::time::Span;
use serde_json::Value;

use crate::support::telemetry::{POINTS, meter_section, wish};
use crate::support::{House, PATIENCE, Process};

fn reports(configuration: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    let output = command.arg("reports").args(arguments).arg("--config").arg(configuration).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    text(output.stdout)
}

fn json(configuration: &Path) -> Value {
    serde_json::from_str(&reports(configuration, &["--json"])).unwrap()
}

#[test]
fn an_operator_sees_what_is_offered_requested_delivered_and_owed() {
    let house = House::new(KeyKind::P256);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    let meter = MockMeter::start(house.folder.path(), "meter", std::time::Duration::from_secs(1)).unwrap();
    let configuration = house.configure(&vtn.url(), &meter_section(meter.path()));

    let offline = reports(&configuration, &[]);
    assert!(offline.starts_with("no VEN runs with this configuration; it would offer:\n"), "{offline}");
    assert!(offline.contains("main.net_power") && !offline.contains("requested"), "{offline}");
    assert_eq!(json(&configuration)["running"], Value::Bool(false));

    vtn.with(|core| core.piggyback = vec![wish("r1", Span::SECOND, Span::SECOND, None)]);
    let process = Process::ven(&configuration);
    let until = |what: &str, reached: fn(&mut VtnCore) -> bool| {
        let reached = runtime.block_on(vtn.until(PATIENCE, reached));
        assert!(reached, "{what} did not come; the log:\n{}", process.log().join("\n"));
    };
    until("the reports", |core| core.reports.len() >= 3);
    let told = json(&configuration);
    assert_eq!((&told["running"], &told["registered"]), (&Value::Bool(true), &Value::Bool(true)));
    let points = told["offers"][0]["points"].as_array().unwrap();
    let ids: Vec<_> = points.iter().map(|point| point["id"].as_str().unwrap()).collect();
    assert_eq!(ids, POINTS);
    assert_eq!((&points[0]["unit"], &points[0]["resource"]), (&"Wh".into(), &"main".into()));
    let request = &told["requests"][0];
    assert_eq!((&request["id"], &request["granularity"]), (&"r1".into(), &"PT1S".into()));
    assert!(request["delivered_since_start"].as_u64().unwrap() >= 2, "{request}");
    assert!(request["from"].is_string() && request["last_delivered"].is_string(), "{request}");

    let updates = vtn.with(|core| {
        core.stumbles_over = Some(PayloadKind::UpdateReport);
        core.count(PayloadKind::UpdateReport)
    });
    let tried = |core: &mut VtnCore| core.count(PayloadKind::UpdateReport) > updates + 3;
    assert!(runtime.block_on(vtn.until(PATIENCE, tried)), "{}", process.log().join("\n"));
    let owed = json(&configuration);
    assert!(owed["owed"].as_u64() >= Some(1), "{owed}");
    assert!(owed["retry"]["failures"].as_u64() >= Some(2) && owed["retry"]["at"].is_string(), "{owed}");
    let table = reports(&configuration, &[]);
    assert!(table.contains("DELIVERED*") && table.contains("the next try is not before"), "{table}");
    assert!(table.contains("since this VEN was started"), "{table}");
    process.terminate();
    assert_eq!(vtn.with(|core| core.violations.clone()), [""; 0]);
}
