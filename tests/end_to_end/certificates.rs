//! Certificates that are replaced, do not fit or expire while a VEN runs.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{KeyKind, MockVtn, VtnCore};
use openadr_ven::time::{Span, Timestamp};

use crate::support::authority::Authority;
use crate::support::{House, PATIENCE, Process};
use nix::sys::signal::Signal;

/// A VTN that believes every VEN of an authority, and a VEN of it.
struct Scene {
    house: House,
    authority: Authority,
    vtn: MockVtn,
    configuration: PathBuf,
}

impl Scene {
    async fn new(issue: impl FnOnce(&Authority)) -> Self {
        let house = House::new(KeyKind::P256);
        let authority = Authority::new(&house.path("cn"));
        issue(&authority);
        let (vtn, fingerprint) = authority.vtn_for_all().await;
        let text = house.configuration(&vtn.url(), "").replace("certs/", "cn/");
        let text = text.replace(house.certificates.vtn_fingerprint(), &fingerprint);
        let configuration = house.path("ven.toml");
        std::fs::write(&configuration, text.replace("[tls]", "[tls]\nserver_name = \"allow-cn\"")).unwrap();
        Self { house, authority, vtn, configuration }
    }

    /// Puts one of the files of the other pair in the place of ours.
    fn put(&self, other: &str, ending: &str) {
        let file = |name: &str| self.house.path("cn").join(format!("{name}.{ending}"));
        std::fs::copy(file(other), file("ven")).unwrap();
    }

    /// Waits until the VTN was polled so often more.
    async fn polled(&self, process: &Process, more: usize) {
        let polls = self.vtn.with(|core| core.count(PayloadKind::Poll));
        let polled = self.vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) >= polls + more);
        assert!(polled.await, "the log:\n{}", process.log().join("\n"));
    }
}

fn hang_up(process: &Process) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pair_is_taken_without_a_restart_and_one_that_does_not_fit_is_refused() {
    let scene = Scene::new(|authority| drop(authority.issue("ven", "VEN"))).await;
    let process = Process::ven(&scene.configuration);
    scene.polled(&process, 2).await;
    let old = scene.vtn.clients().pop().unwrap();
    let new = scene.authority.issue("new", "VEN");

    scene.put("new", "pem");
    let line = process.wait_for_news_of_certificates("new certificates are refused, the old ones go on", 0);
    assert!(process.log()[line - 1].contains("the private key does not belong to the certificate"));
    scene.polled(&process, 2).await;
    assert_eq!(scene.vtn.clients(), [old.as_str()], "the connection stands");

    scene.put("new", "key");
    let line = process.wait_for_news_of_certificates(&format!(
            "certificates were read anew and hold from now on; tell the utility our fingerprint if it is new: {new}"
        ),
        line,
    );
    scene.polled(&process, 2).await;
    assert_eq!(scene.vtn.clients(), [old.as_str(), new.as_str()]);

    // SIGHUP does not wait for the next look, and says at once what does not fit.
    let newest = scene.authority.issue("newest", "VEN");
    scene.put("newest", "pem");
    hang_up(&process);
    let line = process.wait_for_news_of_certificates("new certificates are refused", line);
    scene.put("newest", "key");
    hang_up(&process);
    process.wait_for_news_of_certificates(&newest, line);
    scene.polled(&process, 2).await;
    assert_eq!(scene.vtn.clients(), [old, new, newest]);
    scene.vtn.with(|core| assert_eq!(core.violations, Vec::<String>::new()));
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_and_another_signer_are_taken_too() {
    let scene = Scene::new(|authority| drop(authority.issue("ven", "VEN"))).await;
    let text = std::fs::read_to_string(&scene.configuration).unwrap();
    let pin = text.lines().find(|line| line.starts_with("vtn_fingerprint")).unwrap();
    let text = text.replace(pin, "ca = \"signers.pem\"\nvtn_name = \"localhost\"").replace("cn/ca", "ca");
    std::fs::write(&scene.configuration, text).unwrap();
    // At first both files name an authority that signed nothing here.
    let (theirs, foreign) = (scene.house.path("cn/ca.pem"), scene.house.certificates.path("ca.pem"));
    let (ca, signers) = (scene.house.path("ca.pem"), scene.house.path("signers.pem"));
    std::fs::copy(&foreign, &ca).unwrap();
    std::fs::copy(&foreign, &signers).unwrap();
    let process = Process::ven(&scene.configuration);
    let line = process.wait_for_news_of_certificates("UnknownIssuer", 0);
    std::fs::copy(&theirs, &ca).unwrap();
    let line = process.wait_for_news_of_certificates("does not lead to a trusted root", line);
    std::fs::copy(&theirs, &signers).unwrap();
    let registered = scene.vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 0);
    assert!(registered.await, "the log:\n{}", process.log()[line..].join("\n"));
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_516_traffic_stops_as_our_certificate_expires_and_goes_on_with_a_new_one() {
    let scene = Scene::new(|authority| drop(authority.issue("ven", "VEN"))).await;
    let until = Timestamp::from_seconds((scene.vtn.now() + Span::from_seconds(12)).seconds());
    scene.authority.issue_until("ven", "VEN", until);
    let process = Process::ven(&scene.configuration);
    scene.polled(&process, 2).await;
    let line = process.wait_for_news_of_certificates("cn/ven.pem has expired at", 0);
    // It would be asked each second.
    let quiet = !scene
        .vtn
        .until(Duration::from_secs(5), |core| {
            core.received.last().is_some_and(|(at, _)| *at > until + Span::SECOND)
        })
        .await;
    assert!(quiet, "something was said with a certificate that has expired");

    scene.authority.issue("new", "VEN");
    scene.put("new", "pem");
    scene.put("new", "key");
    process.wait_for_news_of_certificates("certificates were read anew", line);
    scene.polled(&process, 2).await;
    assert_eq!(scene.vtn.with(|core| core.registrations()), 1, "the registration has gone on");
    process.terminate();
}

/// The connection was made while the VTN's certificate was good, and is used each second.
#[tokio::test(flavor = "multi_thread")]
async fn rule_516_a_connection_does_not_outlive_the_certificate_of_the_vtn() {
    let house = House::new(KeyKind::P256);
    let authority = Authority::new(&house.path("cn"));
    let ven = authority.issue("ven", "VEN");
    let start = house.vtn(Span::SECOND).await.now();
    let until = Timestamp::from_seconds((start + Span::from_seconds(12)).seconds());
    let fingerprint = authority.issue_until("vtn", "localhost", until);
    let settings = authority.vtn_settings(&ven);
    let vtn = MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap();
    let text = house.configuration(&vtn.url(), "").replace("certs/", "cn/");
    let text = text.replace(house.certificates.vtn_fingerprint(), &fingerprint);
    let text = text.replace("[tls]", "[tls]\nserver_name = \"allow-cn\"");
    // Only TLS is looked at: signatures of an expired certificate are refused anyway.
    let text = text.replace("[signature]", "[signature]\nverify = \"never\"");
    let configuration = house.path("ven.toml");
    std::fs::write(&configuration, text).unwrap();
    let process = Process::ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 1).await);
    let line = process.wait_for_news_of_certificates("VTN is away", 0);
    assert!(process.log()[line - 1].contains("expired"), "{}", process.log()[line - 1]);
    let last = vtn.with(|core| core.received.last().unwrap().0);
    assert!(last <= until + Span::SECOND, "{last} is after {until}");
    process.terminate();
}
