//! A machine without a battery behind its clock starts in 1970, until the net tells it the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::config::Config;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::courier::Courier;
use crate::daemon::journal::Journal;
use crate::daemon::prepare::Prepared;
use crate::daemon::scribe::Scribe;
use crate::daemon::status::{Status, keep};
use crate::daemon::store::{Sqlite, StoreHandle};
use crate::daemon::transport::PullClient;
use crate::daemon::wire::Wire;
use crate::engine::{Effect, Engine, Input, Snapshot};
use crate::mock_vtn::{KeyKind, TestCertificates};
use crate::openadr::xml::Limits;
use crate::time::{Span, Timestamp};

/// Seconds of the wall clock.
static WALL: AtomicI64 = AtomicI64::new(60);

fn wall() -> Timestamp {
    Timestamp::from_seconds(WALL.load(Ordering::SeqCst))
}

/// The first message of a VEN is on its way, to a VTN that listens and says nothing.
#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_the_clock_is_set_and_then_it_does_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = TestCertificates::create(&folder.path().join("certs"), KeyKind::P256).unwrap();
    let vtn = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, pin) = (vtn.local_addr().unwrap(), certificates.vtn_fingerprint());
    let text = format!(
        "[ven]\nname = \"a\"\nstate = \"state\"\n[vtn]\nurl = \"https://{address}\"\n[tls]\nca = \"certs/ca.pem\"\n\
         cert = \"certs/ven.pem\"\nkey = \"certs/ven.key\"\n[signature]\nvtn_fingerprint = \"{pin}\"\n"
    );
    let config = Config::from_toml(&text, &folder.path().join("ven.toml")).unwrap();
    let prepared = Prepared::new(&config).unwrap();
    let clock = Clock::by(wall);
    let bus = Bus::new(clock);
    let file = Sqlite::open(&folder.path().join("ven.db"), "a").unwrap();
    let store = StoreHandle::start_task(Box::new(file), bus.clone());
    let held = Arc::new(prepared.credentials);
    let credentials = watch::Sender::new(held.clone());
    let journal = Journal::start(folder.path().join("journal"), &config.journal, clock, bus.clone());
    let scribe = Scribe::new(credentials.subscribe(), prepared.gate, store, journal, Wire::new(bus, clock));
    let client = PullClient::new(prepared.root, held.tls.clone(), Limits::VEN.bytes);
    let (messages, outbox) = mpsc::unbounded_channel();
    let (inputs, _answers) = mpsc::unbounded_channel();
    tokio::spawn(Courier { client, held, scribe }.run(outbox, inputs));
    let mut engine = Engine::new(prepared.settings, Snapshot::default(), 1);
    for effect in engine.handle(clock.now(), Input::Tick).then {
        if let Effect::Send { exchange, payload } = effect {
            messages.send((exchange, payload)).unwrap();
        }
    }

    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(timeout(Duration::from_millis(1), vtn.accept()).await.is_err(), "it is 1970");
    WALL.store(1_900_000_000, Ordering::SeqCst);
    timeout(Duration::from_secs(2), vtn.accept()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_clock_that_was_not_set_is_the_first_reason_why_a_ven_is_not_ready() {
    let clock = Clock::by(|| Timestamp::EPOCH + Span::MINUTE);
    let board = keep(Status::default(), Bus::new(clock), clock, std::future::pending());
    let look = board.look();
    assert!(!look.ready);
    assert_eq!(
        look.reasons,
        [
            "the clock of this machine says 1970-01-01T00:01:00Z, when this program was not made yet: does this machine get its time \
             from the net (timedatectl)?",
            "not registered at the VTN"
        ]
    );
}
