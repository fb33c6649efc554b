//! VTNs that are away, broken, forgetful, or not who they should be: the VEN comes back by itself, or says clearly why not.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::time::Duration;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{Fault, KeyKind, Link, MockVtn, MockVtnSettings, Unknown, VtnCore};
use openadr_ven::time::Span;

use crate::support::authority::Authority;
use crate::support::{House, PATIENCE, Process};

/// How long a VTN is broken.
const OUTAGE: Duration = Duration::from_secs(4);
/// What a busy machine may add.
const SLACK: Span = Span::from_seconds(3);
/// The VEN gives an answer up after this.
const DEADLINE: Span = Span::from_seconds(15);

/// A way of being broken.
#[derive(Clone, Debug)]
enum Broken {
    Link(Link),
    Answers(Fault),
}

impl Broken {
    fn begin(&self, vtn: &MockVtn) {
        match self {
            Self::Link(link) => vtn.set_link(*link),
            Self::Answers(fault) => {
                vtn.with(|core| core.faults.extend(std::iter::repeat_n(fault.clone(), 10_000)));
            }
        }
    }

    fn end(&self, vtn: &MockVtn) {
        vtn.set_link(Link::Up);
        vtn.with(|core| core.faults.clear());
    }

    /// How long it may take after an outage: the waits are 1, 2, 4 ... s and a tenth, so the last is about as long as all
    /// before it; where nothing is ever answered, the request that is under way is waited for too.
    fn bound(&self, outage: Span) -> Span {
        match self {
            Self::Answers(Fault::Status(503, Some(seconds))) => Span::from_seconds((*seconds).into()) + SLACK,
            Self::Link(Link::Stalled) => after_backoff(outage).max(DEADLINE + Span::from_seconds(2) + SLACK),
            Self::Link(_) | Self::Answers(_) => after_backoff(outage),
        }
    }
}

fn after_backoff(outage: Span) -> Span {
    outage + Span::from_micros(outage.micros() / 5) + Span::from_seconds(2) + SLACK
}

/// Waits until the VTN knows the VEN and was polled after `back`.
async fn comes_back(what: &str, vtn: &MockVtn, process: &Process, polls: usize, bound: Span) {
    let back = vtn.now();
    let come =
        vtn.until(PATIENCE, |core| core.registered().is_some() && core.count(PayloadKind::Poll) > polls);
    assert!(come.await, "{what}: not registered again; the log:\n{}", process.log().join("\n"));
    let took = vtn.now() - back;
    eprintln!("{what}: registered and polling {took} after the VTN was back, bound {bound}");
    assert!(took <= bound, "{what}: {took} is longer than {bound}; the log:\n{}", process.log().join("\n"));
}

async fn survives(broken: Broken) {
    let (at_boot, later) = (broken.clone(), broken);
    tokio::join!(outage(at_boot, true), outage(later, false));
}

async fn outage(broken: Broken, at_boot: bool) {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), "");
    if at_boot {
        broken.begin(&vtn);
    }
    let process = Process::ven(&configuration);
    if !at_boot {
        assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 1).await);
        broken.begin(&vtn);
    }
    let began = vtn.now();
    // This is how long it lasts, not a guess how long something takes.
    tokio::time::sleep(OUTAGE).await;
    let polls = vtn.with(|core| core.count(PayloadKind::Poll));
    let bound = broken.bound(vtn.now() - began);
    broken.end(&vtn);
    let when = if at_boot { "at boot" } else { "later" };
    comes_back(&format!("{broken:?} {when}"), &vtn, &process, polls, bound).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_resets_connections_is_found_again() {
    survives(Broken::Link(Link::Reset)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_says_nothing_is_found_again() {
    survives(Broken::Link(Link::Stalled)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_asks_for_time_is_asked_again_when_it_said() {
    survives(Broken::Answers(Fault::Status(503, Some(3)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_with_errors_of_its_own_is_asked_again() {
    survives(Broken::Answers(Fault::Status(500, None))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_with_empty_answers_is_asked_again() {
    survives(Broken::Answers(Fault::Empty)).await;
}

/// The port is kept, and nobody listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_starts_after_the_ven_is_found() {
    let house = House::new(KeyKind::P256);
    let reserved = tokio::net::TcpSocket::new_v4().unwrap();
    reserved.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listen = reserved.local_addr().unwrap();
    let process = Process::ven(&house.configure(&format!("https://localhost:{}", listen.port()), ""));
    process.wait_for("VTN is away", 0);
    tokio::time::sleep(OUTAGE).await;
    drop(reserved);
    let settings = MockVtnSettings { listen, ..house.vtn_settings() };
    let vtn = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap();
    comes_back("down at boot", &vtn, &process, 0, after_backoff(Span::from_std(OUTAGE) + SLACK)).await;
    process.terminate();
}

/// It was down, and comes back with an empty memory.
async fn forgotten(unknown: Unknown) {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let process = Process::ven(&house.configure(&vtn.url(), ""));
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 1).await);
    let settings = MockVtnSettings { listen: vtn.address(), ..house.vtn_settings() };
    drop(vtn.stop().await);
    tokio::time::sleep(OUTAGE).await;
    let mut core = VtnCore::new("mock-vtn", Span::SECOND);
    core.unknown = unknown;
    let vtn = MockVtn::start(core, &settings).await.unwrap();
    let bound = after_backoff(Span::from_std(OUTAGE));
    comes_back(&format!("forgotten, {unknown:?}"), &vtn, &process, 1, bound).await;
    vtn.with(|core| {
        assert_eq!(core.registrations(), 1);
        assert_eq!(core.count(PayloadKind::RegisterReport), 1, "the reports too (rule 301)");
        assert!(core.count(PayloadKind::RequestEvent) > 0, "the events are asked for again");
        assert_eq!(core.violations, Vec::<String>::new());
    });
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_forgot_us_and_asks_for_reregistration_gets_it() {
    forgotten(Unknown::RequestReregistration).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_that_forgot_us_and_answers_463_gets_a_registration() {
    forgotten(Unknown::NotRegistered).await;
}

/// Two tries with that line, and the process lives.
fn is_refused(mut process: Process, texts: &[&str]) {
    let line = process.wait_for(texts[0], 0);
    let said = process.log()[line - 1].clone();
    assert!(texts.iter().all(|text| said.contains(text)), "{texts:?} is not all in: {said}");
    process.wait_for(texts[0], line);
    assert!(process.lives());
    eprintln!("{said}");
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_of_another_name_is_refused() {
    let house = House::new(KeyKind::P256);
    let settings = MockVtnSettings { listen: ([127, 0, 0, 2], 0).into(), ..house.vtn_settings() };
    let vtn = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap();
    let process = Process::ven(&house.configure(&format!("https://{}", vtn.address()), ""));
    is_refused(process, &["VTN is away", "127.0.0.2", "localhost", "trying again in"]);
    vtn.with(|core| assert!(core.received.is_empty(), "nothing was said to a stranger"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_with_another_fingerprint_is_refused() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let (real, pinned) = (house.certificates.vtn_fingerprint(), "00:11:22:33:44:55:66:77:88:99");
    let configuration = house.configuration(&vtn.url(), "").replace(real, pinned);
    let path = house.path("ven.toml");
    std::fs::write(&path, configuration).unwrap();
    is_refused(Process::ven(&path), &["rejected", "oadrQueryRegistration", real, pinned]);
    vtn.with(|core| assert!(core.registered().is_none()));
}

/// Somebody who stands between has kept what the VTN said, and says it to the VEN that starts again.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_was_let_in_before_a_restart_is_refused_after_it() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), "");
    let process = Process::ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 2).await);
    process.kill();
    vtn.with(|core| core.faults.push_back(Fault::Repeat(PayloadKind::CreatedPartyRegistration)));
    let again = Process::ven(&configuration);
    let line = again.wait_for("was refused", 0);
    let said = again.log()[line - 1].clone();
    assert!(said.contains("its nonce was used before"), "{said}");
    again.wait_for("registered again", line);
    again.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtn_with_a_common_name_only_is_taken_where_that_is_allowed() {
    let house = House::new(KeyKind::P256);
    let authority = Authority::new(&house.path("cn"));
    let (vtn, ven) = (authority.issue("vtn", "localhost"), authority.issue("ven", "old VEN"));
    let settings = authority.vtn_settings(&ven);
    let mock = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap();
    let configure = |words: &str, name: &str| {
        let text = house.configuration(&mock.url(), "").replace(house.certificates.vtn_fingerprint(), &vtn);
        let text = text.replace("certs/", "cn/").replace("[tls]", &format!("[tls]\n{words}"));
        let path = house.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let strict = Process::ven(&configure("", "strict.toml"));
    is_refused(strict, &["VTN is away", "[tls] server_name = \"allow-cn\"", "trying again in"]);
    let lenient = Process::ven(&configure("server_name = \"allow-cn\"", "lenient.toml"));
    lenient.wait_for("registered at VTN", 0);
    lenient.terminate();
}
