//! A VTN that is away, broken, or not the one that it should be: the VEN lives on, and comes back by itself.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and tells how long it took"
)]

mod support;

use std::time::{Duration, Instant};

use openadr_ven::message::{ResponseCode, VenId};
use openadr_ven::mock_vtn::{Fault, KeyKind, Link, MockVtn, Unknown, VtnCore};
use openadr_ven::time::Span;
use rcgen::{CertificateParams, DnType, KeyPair};
use support::{House, PATIENCE, Process};
use tokio::runtime::Runtime;

/// Some failures in a row: the waits double from a second, each with a tenth to and fro.
const BACK_WITHIN: Duration = Duration::from_secs(20);

struct World {
    runtime: Runtime,
    house: House,
    vtn: MockVtn,
    ven: Process,
}

impl World {
    /// A VEN that is registered.
    fn registered() -> Self {
        let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
        let vtn = runtime.block_on(house.vtn(Span::SECOND));
        let ven = Process::ven(&house.configure(&vtn.url(), ""));
        let world = Self { runtime, house, vtn, ven };
        world.until("the registration", |core| core.registered().is_some());
        world.until("a poll", |core| core.count(openadr_ven::message::PayloadKind::Poll) > 0);
        world
    }

    fn until(&self, what: &str, holds: impl FnMut(&mut VtnCore) -> bool) {
        let held = self.runtime.block_on(self.vtn.until(PATIENCE, holds));
        assert!(held, "{what} did not come; the log:\n{}", self.ven.log().join("\n"));
    }

    /// Waits until polls are answered again, and tells how long that took.
    fn polls_again(&self, after: &str, since: Instant) {
        let polls = |core: &mut VtnCore| core.count(openadr_ven::message::PayloadKind::Poll);
        let before = self.vtn.with(polls);
        self.until("another poll", |core| polls(core) > before + 1);
        let took = since.elapsed();
        println!("after {after}: polls again {:.1} s after the VTN was back", took.as_secs_f64());
        assert!(took < BACK_WITHIN, "{took:?}");
        assert_eq!(self.vtn.with(|core| core.violations.clone()), Vec::<String>::new());
    }
}

#[test]
fn a_vtn_that_is_down_at_boot_is_registered_at_once_it_is_there() {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    // A port that was free a moment ago is the best there is.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ven = Process::ven(&house.configure(&format!("https://localhost:{port}"), ""));
    let line = ven.wait_for("VTN is away: ", 0);
    ven.wait_for("VTN is away: ", line);
    let mut settings = house.vtn_settings();
    settings.listen.set_port(port);
    let since = Instant::now();
    let vtn = runtime.block_on(MockVtn::start(VtnCore::new("late-vtn", Span::SECOND), &settings)).unwrap();
    ven.wait_for("registered at VTN late-vtn as ven-1", 0);
    println!("down at boot: registered {:.1} s after the VTN was there", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < BACK_WITHIN);
    ven.wait_for("VTN is back after", 0);
    assert_eq!(vtn.with(|core| core.registrations()), 1);
    ven.terminate();
}

#[test]
fn connections_that_are_cut_are_made_again() {
    let world = World::registered();
    let line = world.ven.log().len();
    world.vtn.set_link(Link::Reset);
    let line = world.ven.wait_for("VTN is away: ", line);
    world.ven.wait_for("VTN is away: ", line);
    world.vtn.set_link(Link::Up);
    world.polls_again("resets", Instant::now());
    world.ven.wait_for("VTN is back after", line);
    assert_eq!(world.vtn.with(|core| core.registrations()), 1, "the registration stays");
}

#[test]
fn a_vtn_that_says_nothing_is_given_up_after_a_while() {
    let world = World::registered();
    let line = world.ven.log().len();
    world.vtn.set_link(Link::Stalled);
    world.ven.wait_for("VTN is away: ", line);
    world.vtn.set_link(Link::Up);
    world.polls_again("silence", Instant::now());
}

#[test]
fn a_vtn_in_trouble_is_asked_again() {
    let world = World::registered();
    for (name, fault, times) in [
        ("503", Fault::Status(503, None), 2),
        ("503 with Retry-After", Fault::Status(503, Some(2)), 1),
        ("500", Fault::Status(500, None), 2),
        ("empty replies", Fault::Empty, 3),
        ("lost answers", Fault::LoseAnswer, 1),
    ] {
        world.vtn.with(|core| core.faults.extend(std::iter::repeat_n(fault, times)));
        let since = Instant::now();
        world.until("the end of the faults", |core| core.faults.is_empty());
        world.polls_again(name, since);
    }
    assert_eq!(world.vtn.with(|core| core.registrations()), 1, "the registration stays");
}

#[test]
fn faults_while_registering_only_delay_it() {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    vtn.with(|core| {
        core.faults.extend([
            Fault::Status(503, Some(1)),
            Fault::Empty,
            Fault::Status(500, None),
            Fault::Empty,
        ])
    });
    let since = Instant::now();
    let ven = Process::ven(&house.configure(&vtn.url(), ""));
    ven.wait_for("registered at VTN mock-vtn as ven-1", 0);
    println!("four faults while registering: registered after {:.1} s", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < BACK_WITHIN);
}

#[test]
fn a_vtn_that_has_forgotten_us_is_registered_at_again() {
    for unknown in [Unknown::RequestReregistration, Unknown::NotRegistered] {
        let world = World::registered();
        let line = world.ven.log().len();
        world.vtn.with(|core| {
            core.unknown = unknown;
            core.forget_everything();
        });
        let since = Instant::now();
        world.until("the new registration", |core| core.registered() == Some(&VenId::from("ven-2")));
        let took = since.elapsed();
        println!("forgotten ({unknown:?}): registered again after {:.1} s", took.as_secs_f64());
        assert!(took < BACK_WITHIN, "{took:?}");
        world.ven.wait_for("registered at VTN mock-vtn as ven-2", line);
        world.until("the reports", |core| core.count(openadr_ven::message::PayloadKind::RegisterReport) > 1);
    }
}

#[test]
fn a_refused_registration_is_tried_again_later() {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    vtn.with(|core| core.refuse = ResponseCode::new(451));
    let ven = Process::ven(&house.configure(&vtn.url(), ""));
    ven.wait_for("registration refused: 451 refused; trying again in", 0);
    vtn.with(|core| core.refuse = None);
    assert!(vtn.with(|core| core.registered().is_none()));
    ven.terminate();
}

#[test]
fn a_vtn_with_another_signature_is_not_believed() {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    let vtn = runtime.block_on(house.vtn(Span::SECOND));
    let path = house.configure(&vtn.url(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    let expected = "AA:BB:CC:DD:EE:FF:00:11:22:33";
    std::fs::write(&path, text.replace(house.certificates.vtn_fingerprint(), expected)).unwrap();
    let ven = Process::ven(&path);
    let line = ven.wait_for(
        &format!("certificate {} is not the one that is pinned", house.certificates.vtn_fingerprint()),
        0,
    );
    // It goes on trying: the VTN may be put right.
    ven.wait_for("is not the one that is pinned", line);
    assert!(ven.log().iter().all(|line| !line.contains("registered at")));
    ven.terminate();
}

#[test]
fn a_vtn_under_another_name_is_refused_unless_its_common_name_is_allowed() {
    let (runtime, house) = (Runtime::new().unwrap(), House::new(KeyKind::P256));
    // A certificate with a common name only, as many test VTNs have; it is its own authority.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::Issuer::new(params.clone(), KeyPair::generate().unwrap());
    params.is_ca = rcgen::IsCa::NoCa;
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(house.path("cn.pem"), certificate.pem()).unwrap();
    std::fs::write(house.path("cn.key"), key.serialize_pem()).unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(DnType::CommonName, "localhost");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = root.self_signed(authority.key()).unwrap();
    std::fs::write(house.path("root.pem"), root.pem()).unwrap();
    let mut settings = house.vtn_settings();
    (settings.cert, settings.key) = (house.path("cn.pem"), house.path("cn.key"));
    let vtn = runtime.block_on(MockVtn::start(VtnCore::new("cn-vtn", Span::SECOND), &settings)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ven"))
        .arg("fingerprint")
        .arg(house.path("cn.pem"))
        .output();
    let pin = String::from_utf8(output.unwrap().stdout).unwrap();
    let text = house.configuration(&vtn.url(), "").replace(house.certificates.vtn_fingerprint(), pin.trim());
    let text = text.replace("ca = \"certs/ca.pem\"", "ca = \"root.pem\"");
    std::fs::write(house.path("ven.toml"), &text).unwrap();
    let ven = Process::ven(&house.path("ven.toml"));
    ven.wait_for("certificate not valid for name \"localhost\"", 0);
    ven.kill();
    let lenient = text.replace("[signature]", "server_name = \"allow-cn\"\n\n[signature]");
    std::fs::write(house.path("ven.toml"), lenient.clone()).unwrap();
    let ven = Process::ven(&house.path("ven.toml"));
    ven.wait_for("registered at VTN cn-vtn as ven-1", 0);
    ven.terminate();
    let elsewhere = lenient
        .replace("https://localhost", "https://127.0.0.1")
        .replace("state = \"state\"", "state = \"other\"");
    std::fs::write(house.path("ven.toml"), elsewhere).unwrap();
    Process::ven(&house.path("ven.toml")).wait_for("VTN is away: ", 0);
}
