//! `ven doctor` names the step that fails, and what to do.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::process::Command;

use crate::support::House;
use openadr_ven::mock_vtn::{Fault, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;
use tokio::runtime::Runtime;

/// What it says, and whether all is well.
fn doctor(house: &House, configuration: &str) -> (bool, String) {
    let path = house.path("ven.toml");
    std::fs::write(&path, configuration).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_ven")).args(["doctor", "--config"]).arg(path).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

fn fails(house: &House, configuration: &str, expected: &[&str]) {
    let (well, said) = doctor(house, configuration);
    assert!(!well, "{said}");
    for text in expected {
        assert!(said.contains(text), "{text}\nis not in\n{said}");
    }
}

fn scene() -> (Runtime, House, MockVtn) {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    (runtime, house, vtn)
}

#[test]
fn all_is_well_and_nothing_is_changed() {
    let (_runtime, house, vtn) = scene();
    let (well, said) = doctor(&house, &house.configuration(&vtn.url(), ""));
    assert!(well, "{said}");
    for text in [
        "ok   name          localhost is ",
        "ok   tls           TLSv1_3, TLS13_",
        house.certificates.vtn_fingerprint(),
        house.certificates.ven_fingerprint(),
        "ok   clock         ours is 0 s",
        "ok   answer        believed; VTN mock-vtn: whether we are registered, it does not say",
    ] {
        assert!(said.contains(text), "{text}\nis not in\n{said}");
    }
    assert_eq!(vtn.with(|core| (core.registrations(), core.violations.len())), (0, 0));
}

#[test]
fn a_wrong_address_is_named() {
    let (_runtime, house, vtn) = scene();
    let good = house.configuration(&vtn.url(), "");
    // A label that is too long is refused without asking any name server.
    let unknown = format!("https://{}.invalid", "x".repeat(64));
    let elsewhere = good.replace("https://localhost", &unknown);
    fails(&house, &elsewhere, &["FAIL name", ".invalid is not known", "spelt right"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = good.replace(&vtn.url(), &format!("https://localhost:{closed}"));
    fails(&house, &closed, &["FAIL connection", "Connection refused", "is the port in [vtn] url right"]);
    let path = good.replace(&vtn.url(), &format!("{}/dr", vtn.url()));
    fails(&house, &path, &["FAIL request", "http status 404", "there is no VTN at /dr/OpenADR2/Simple/2.0b"]);
}

#[test]
fn a_certificate_that_is_not_believed_is_shown() {
    let (_runtime, house, vtn) = scene();
    let good = house.configuration(&vtn.url(), "");
    let other = House::new(KeyKind::P256);
    let foreign = good.replace("certs/ca.pem", other.certificates.path("ca.pem").to_str().unwrap());
    let shown = house.certificates.vtn_fingerprint();
    fails(
        &house,
        &foreign,
        &[
            "FAIL tls",
            "invalid peer certificate",
            shown,
            "[tls] ca must name the certificate of whoever signed",
        ],
    );
    let pinned = good.replace(shown, "AA:BB:CC:DD:EE:FF:00:11:22:33");
    fails(&house, &pinned, &["FAIL signature", shown, "if the utility confirms"]);
}

#[test]
fn a_vtn_that_does_not_want_us_is_understood() {
    let (runtime, house, vtn) = scene();
    let good = house.configuration(&vtn.url(), "");
    vtn.with(|core| core.faults.push_back(Fault::Status(403, None)));
    fails(&house, &good, &["FAIL request", "http status 403", "tell the utility the fingerprint"]);
    // A VTN that expects VENs of another authority.
    let mut settings = house.vtn_settings();
    let other = House::new(KeyKind::P256);
    settings.ca = other.certificates.path("ca.pem");
    let picky = runtime.block_on(MockVtn::start(VtnCore::new("picky", Span::SECOND), &settings)).unwrap();
    let configuration = house.configuration(&picky.url(), "");
    fails(&house, &configuration, &["FAIL request", "has the utility been told of it?"]);
}

#[test]
fn a_meter_that_is_missing_is_named() {
    let (_runtime, house, vtn) = scene();
    let meter = "[[meter]]\nname = \"main\"\nsource = \"serial:/dev/no-such-meter\"\n";
    fails(
        &house,
        &house.configuration(&vtn.url(), meter),
        &["FAIL meter", "main: /dev/no-such-meter: No such file", "dialout"],
    );
}
