//! Push mode from end to end: a VTN that posts to the VEN's own server, and everybody else who tries to.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

use openadr_ven::message::{OptType, PayloadKind};
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::Span;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::full_disk::{self, limit};
use crate::support::peers::peer;
use crate::support::push::{
    PREFIX, Reserved, connect, exchange, no_events, post, request, secure, sign, tls,
};
use crate::support::{House, PATIENCE, Process};

const HANDLER: &str = "[handler]\ndefault = \"optIn\"\n";

/// A VTN, and a VEN that is pushed to.
struct Scene {
    house: House,
    vtn: MockVtn,
    ven: Process,
    reserved: Reserved,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|path| Process::ven_logging(path, "info,openadr_ven=debug")).await
    }

    async fn with(start: impl FnOnce(&Path) -> Process) -> Self {
        let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
        let vtn = house.vtn(Span::SECOND).await;
        let path = house.path("ven.toml");
        std::fs::write(&path, reserved.configuration(&house, &vtn.url(), "", HANDLER)).unwrap();
        let ven = start(&path);
        let scene = Self { house, vtn, ven, reserved };
        scene.until("it is registered", |core| core.count(PayloadKind::RequestEvent) > 0).await;
        scene
    }

    async fn until(&self, what: &str, holds: impl FnMut(&mut VtnCore) -> bool) {
        let come = self.vtn.until(PATIENCE, holds).await;
        let (failures, log) = (self.vtn.with(|core| core.push_failures.clone()), self.ven.log().join("\n"));
        assert!(come, "{what}: did not come; {failures:?}; the log:\n{log}");
    }

    /// What is answered to the VTN's own certificate.
    async fn answered(&self, bytes: &[u8]) -> String {
        let folder = self.house.certificates.path("");
        exchange(self.reserved.address, &tls(&folder, Some((&folder, "vtn"))), bytes).await.unwrap()
    }

    async fn status(&self, bytes: &[u8]) -> u16 {
        let answer = self.answered(bytes).await;
        answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// The VTN can still push an event, and gets the answer.
    async fn still_serves(&self, id: &str) {
        let start = self.vtn.now() + Span::HOUR;
        self.vtn.with(|core| core.add_event(EventBuilder::new(id, start, Span::HOUR)));
        self.until(id, |core| core.opts.iter().any(|opt| opt.event_id == id.into())).await;
    }

    fn signed(&self, message: &str) -> String {
        sign(message, &self.house.certificates.path("vtn"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_53_511_what_is_no_request_of_the_profile_is_refused_by_its_status() {
    let scene = Scene::new().await;
    let event = format!("{PREFIX}/OpenADR2/Simple/2.0b/EiEvent");
    let of = |content_type: &str, more: &str| {
        format!("Content-Type: {content_type}\r\nContent-Length: 1\r\n{more}")
    };
    let xml = of("application/xml", "");
    let chunked = "Content-Type: application/xml\r\nTransfer-Encoding: chunked\r\n";
    let giant = "Content-Type: application/xml\r\nContent-Length: 2097153\r\n";
    for (what, bytes, status) in [
        ("another path", request("POST", "/EiEvent", &xml, "x"), 404),
        ("the path of the VTN", request("POST", "/OpenADR2/Simple/2.0b/EiEvent", &xml, "x"), 404),
        ("a service of VTNs", post("OadrPoll", "x"), 404),
        ("an unknown service", post("EiQuote", "x"), 404),
        ("another method", request("GET", &event, "", ""), 501),
        ("another content type", request("POST", &event, &of("application/json", ""), "x"), 406),
        ("another charset", request("POST", &event, &of("application/xml; charset=latin1", ""), "x"), 406),
        ("no content type", request("POST", &event, "Content-Length: 1\r\n", "x"), 406),
        ("packed", request("POST", &event, &of("application/xml", "Content-Encoding: gzip\r\n"), "x"), 406),
        ("chunked", request("POST", &event, chunked, "1\r\nx\r\n0\r\n\r\n"), 411),
        ("no length", request("POST", &event, "Content-Type: application/xml\r\n", ""), 411),
        ("a giant", request("POST", &event, giant, &"x".repeat(1024 * 1024)), 413),
        ("no XML", post("EiEvent", "x"), 406),
        ("another document", post("EiEvent", "<a/>"), 406),
    ] {
        assert_eq!(scene.status(&bytes).await, status, "{what}");
    }
    scene.still_serves("after").await;
    scene.vtn.with(|core| assert_eq!(core.push_failures, Vec::<String>::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_514_517_what_is_not_signed_by_the_vtn_now_is_refused() {
    let scene = Scene::new().await;
    let message = no_events("mock-vtn");
    assert_eq!(scene.status(&post("EiEvent", &message)).await, 403, "not signed");
    scene.ven.wait_for("answered with http status 403 Forbidden: message is not signed", 0);
    let signed = scene.signed(&message);
    let forged = signed.replace("mock-vtn", "evil-vtn");
    assert_ne!(signed, forged);
    assert_eq!(scene.status(&post("EiEvent", &forged)).await, 403, "changed after it was signed");
    let answer = scene.answered(&post("EiEvent", &signed)).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("content-length: 0"), "{answer}");
    assert_eq!(scene.status(&post("EiEvent", &signed)).await, 403, "a repetition");
    scene.ven.wait_for("its nonce was used before", 0);
}

/// Rule 512: ids are compared case-sensitively, and the answer goes in a request of ours.
#[tokio::test(flavor = "multi_thread")]
async fn rule_512_a_vtn_id_in_other_letters_is_another_vtn() {
    let scene = Scene::new().await;
    let before = scene.vtn.with(|core| core.count(PayloadKind::CreatedEvent));
    let signed = scene.signed(&no_events("MOCK-VTN"));
    assert_eq!(scene.status(&post("EiEvent", &signed)).await, 200);
    scene.until("oadrCreatedEvent 452", |core| core.count(PayloadKind::CreatedEvent) > before).await;
    scene.ven.wait_for("vtnID is MOCK-VTN, we are registered at mock-vtn", 0);
}

/// Messages of the wrong service, and answers, are signed like requests.
#[tokio::test(flavor = "multi_thread")]
async fn rule_33_a_message_on_another_service_is_answered_with_459() {
    let scene = Scene::new().await;
    let signed = scene.signed(&no_events("mock-vtn"));
    let answer = scene.answered(&post("EiReport", &signed)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for expected in ["oadrResponse", "459", "ReplayProtect", "SignatureValue"] {
        assert!(answer.contains(expected), "{expected} is not in {answer}");
    }
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.contains("content-type: application/xml") && head.contains("content-length: "), "{head}");
    assert!(!head.contains("chunked"), "{head}");
}

/// Whoever is not the VTN gets no byte of HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn rule_517_nobody_but_the_vtn_gets_through_the_handshake() {
    let (scene, other) = (Scene::new().await, House::new(KeyKind::P256));
    let (ours, theirs) = (scene.house.certificates.path(""), other.certificates.path(""));
    for (what, certificate) in [
        ("nobody", None),
        ("a VTN of another authority", Some((theirs.as_path(), "vtn"))),
        ("a VEN of the same authority", Some((ours.as_path(), "ven"))),
    ] {
        let (tls, seen) = (tls(&ours, certificate), scene.ven.log().len());
        let answer = exchange(scene.reserved.address, &tls, &post("EiEvent", "x")).await;
        assert!(!answer.as_ref().is_ok_and(|answer| !answer.is_empty()), "{what}: {answer:?}");
        scene.ven.wait_for("a connection to our services failed", seen);
    }
    scene.still_serves("after").await;
    scene.vtn.with(|core| assert_eq!(core.push_failures, Vec::<String>::new()));
}

/// Many connections that say nothing, or speak slowly: the VTN is served meanwhile, and they are cut.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_many_connections_keep_nobody_out() {
    let scene = Scene::new().await;
    let folder = scene.house.certificates.path("");
    let vtn = tls(&folder, Some((&folder, "vtn")));
    let (mut slow_header, mut slow_body) = (
        secure(scene.reserved.address, &vtn).await.unwrap(),
        secure(scene.reserved.address, &vtn).await.unwrap(),
    );
    slow_header.write_all(b"POST /dr/OpenADR2/").await.unwrap();
    let whole = post("EiEvent", &"x".repeat(100));
    slow_body.write_all(&whole[..whole.len() - 50]).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(connect(scene.reserved.address).await);
    }
    scene.still_serves("meanwhile").await;
    scene.vtn.with(|core| assert_eq!(core.push_failures, Vec::<String>::new()));
    let cut = async {
        let mut bytes = Vec::new();
        for mut stream in silent {
            // A reset is an end too.
            drop(stream.read_to_end(&mut bytes).await);
        }
        drop(slow_header.read_to_end(&mut bytes).await);
        assert!(!bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
        bytes.clear();
        slow_body.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&bytes));
    };
    tokio::time::timeout(PATIENCE, cut).await.unwrap();
    scene.still_serves("after").await;
}

/// Persist, then speak: what cannot be stored is answered with 503, and confirmed as soon as it can be.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_answered_with_503() {
    let Some(prlimit) = peer("prlimit") else { return };
    let scene = Scene::with(full_disk::ven).await;
    limit(&prlimit, &scene.ven, "0");
    let start = scene.vtn.now() + Span::HOUR;
    scene.vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::HOUR)));
    let failed = |core: &mut VtnCore| core.push_failures.iter().any(|why| why.contains("http status 503"));
    scene.until("503", failed).await;
    scene.ven.wait_for("store fails, what promises something waits", 0);
    limit(&prlimit, &scene.ven, "unlimited");
    let decided = |core: &mut VtnCore| core.opts.last().is_some_and(|opt| opt.opt == OptType::OptIn);
    scene.until("the answer", decided).await;
}

/// What the VEN had not confirmed before it died, the VTN pushes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_ven_that_was_down_is_pushed_to_again() {
    let Scene { house, vtn, ven, reserved } = Scene::new().await;
    ven.kill();
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::HOUR)));
    assert!(vtn.until(PATIENCE, |core| !core.push_failures.is_empty()).await);
    let ven = Process::ven(&house.path("ven.toml"));
    let scene = Scene { house, vtn, ven, reserved };
    scene.until("the answer", |core| !core.opts.is_empty()).await;
    scene.vtn.with(|core| assert_eq!(core.registrations(), 1));
}

#[test]
fn check_and_run_say_what_is_wrong_with_push_mode() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
    let path = house.path("ven.toml");
    let ven = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ven")).args([command, "--config"]).arg(&path).output();
        let output = output.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let good = reserved.configuration(&house, "https://vtn.example.org", "", "");
    std::fs::write(&path, &good).unwrap();
    let said = ven("check");
    let expected = format!("mode         push, the VTN posts to {}", reserved.transport_address());
    assert!(said.contains(&expected), "{said}");
    let same = good.replace("https://vtn.example.org", &reserved.transport_address());
    std::fs::write(&path, same).unwrap();
    let said = ven("check");
    assert!(
        said.contains("push.address: is that of the VTN") && said.contains("different prefixes"),
        "{said}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    std::fs::write(&path, good.replace(&reserved.address.to_string(), &taken.0.to_string())).unwrap();
    let said = ven("run");
    assert!(said.contains(&format!("[push] listen {}: ", taken.0)), "{said}");
}

#[test]
fn doctor_tries_the_transport_address() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    let path = house.path("ven.toml");
    let doctor = || {
        let output = Command::new(env!("CARGO_BIN_EXE_ven")).args(["doctor", "--config"]).arg(&path).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let good = reserved.configuration(&house, &vtn.url(), "", "");
    std::fs::write(&path, &good).unwrap();
    let (well, said) = doctor();
    assert!(well, "{said}");
    let fingerprint = format!("is this VEN, fingerprint {}", house.certificates.ven_fingerprint());
    for text in ["ok   listening", "ok   reachable", &fingerprint] {
        assert!(said.contains(text), "{text}\nis not in\n{said}");
    }
    // The VTN speaks TLS too, but it is not this VEN.
    let address = format!("address = \"{}\"", reserved.transport_address());
    std::fs::write(&path, good.replace(&address, &format!("address = \"{}/dr\"", vtn.url()))).unwrap();
    let (well, said) = doctor();
    let (theirs, ours) = (house.certificates.vtn_fingerprint(), house.certificates.ven_fingerprint());
    let somebody = format!("is somebody else: its fingerprint is {theirs}, ours is {ours}");
    assert!(!well && said.contains("FAIL reachable") && said.contains(&somebody), "{said}");
    let nowhere = format!("address = \"https://{}.invalid\"", "x".repeat(64));
    std::fs::write(&path, good.replace(&address, &nowhere)).unwrap();
    let (well, said) = doctor();
    assert!(!well && said.contains("FAIL reachable") && said.contains("[push] address"), "{said}");
    std::fs::write(&path, good.replace(&reserved.address.to_string(), "192.0.2.1:8443")).unwrap();
    let (well, said) = doctor();
    assert!(!well && said.contains("FAIL listening"), "{said}");
}
