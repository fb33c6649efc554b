//! The same conversation over pull and push, signed and unsigned, with keys of both kinds, by every backend of TLS.
//!
//! What the VTN pushes comes to a server of rustls always; the backend carries requests of ours.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use openadr_ven::message::{OptType, PayloadKind};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, MockVtnSettings, VtnCore};
use openadr_ven::time::Span;

use crate::support::push::Reserved;
use crate::support::telemetry::{meter_section, wish};
use crate::support::{BACKENDS, House, PATIENCE, Process, by};

const HANDLER: &str = "[handler]\ndefault = \"optIn\"\n";
/// Neither side signs.
const UNSIGNED: &str = "sign = false\nverify = \"never\"";

/// An event, a report that is asked for and called off, a re-registration, and the end of the registration by the VTN.
async fn by_backend(backend: &str, kind: KeyKind, signed: bool, pushed: bool) {
    let (house, reserved) = (House::new(kind), Reserved::new());
    let settings = if signed {
        house.vtn_settings()
    } else {
        MockVtnSettings { sign: false, ..MockVtnSettings::in_folder(&house.certificates.path("")) }
    };
    let vtn = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap();
    let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
    let more = format!("{HANDLER}{}", meter_section(meter.path()));
    let signature = if signed { "" } else { UNSIGNED };
    let configuration = if pushed {
        reserved.configuration(&house, &vtn.url(), signature, &more)
    } else {
        house.configuration(&vtn.url(), &format!("{signature}\n{more}"))
    };
    let path = house.path("ven.toml");
    std::fs::write(&path, by(backend, &configuration)).unwrap();
    let ven = Process::ven(&path);
    let expect = async |what: &str, holds: &mut dyn FnMut(&mut VtnCore) -> bool| {
        let come = vtn.until(PATIENCE, &mut *holds).await;
        assert!(come, "{backend}: {what}: did not come; the log:\n{}", ven.log().join("\n"));
    };
    expect("registration", &mut |core| core.count(PayloadKind::RequestEvent) > 0).await;
    let address = vtn.with(|core| core.transport_address().map(str::to_owned));
    assert_eq!(address, pushed.then(|| reserved.transport_address()));

    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::HOUR)));
    expect("the answer to the event", &mut |core| !core.opts.is_empty()).await;
    assert_eq!(vtn.with(|core| core.opts[0].opt), OptType::OptIn);

    vtn.with(|core| core.request_reports(vec![wish("r1", Span::SECOND, Span::SECOND, None)]));
    expect("the reports", &mut |core| core.reports.len() > 1).await;
    vtn.with(|core| core.cancel_reports(&["r1"], false));
    expect("the end of the reports", &mut |core| core.count(PayloadKind::CanceledReport) > 0).await;
    assert_eq!(vtn.with(|core| core.pending.clone()), []);

    vtn.with(VtnCore::request_reregistration);
    expect("the re-registration", &mut |core| core.count(PayloadKind::CreatePartyRegistration) > 1).await;
    vtn.with(VtnCore::cancel_registration);
    expect("the end", &mut |core| core.registered().is_none()).await;
    ven.wait_for("registration cancelled by the VTN", 0);
    vtn.with(|core| {
        assert_eq!((core.violations.clone(), core.push_failures.clone()), (vec![], vec![]));
        assert_eq!(core.count(PayloadKind::Poll) > 0, !pushed, "polls");
    });
    ven.terminate();
}

async fn conversation(kind: KeyKind, signed: bool, pushed: bool) {
    for backend in BACKENDS {
        by_backend(backend, kind, signed, pushed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g0_9010_push_signed_with_ec() {
    conversation(KeyKind::P256, true, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g0_9010_push_signed_with_rsa() {
    conversation(KeyKind::Rsa, true, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g0_9010_push_unsigned_with_ec() {
    conversation(KeyKind::P256, false, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g0_9010_push_unsigned_with_rsa() {
    conversation(KeyKind::Rsa, false, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_4010_pull_signed_with_ec() {
    conversation(KeyKind::P256, true, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_4010_pull_signed_with_rsa() {
    conversation(KeyKind::Rsa, true, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_4010_pull_unsigned_with_ec() {
    conversation(KeyKind::P256, false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_4010_pull_unsigned_with_rsa() {
    conversation(KeyKind::Rsa, false, false).await;
}
