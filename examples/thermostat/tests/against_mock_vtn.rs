//! The thermostat against a VTN: over mutual TLS with signed messages, on this machine, in a few seconds.

use std::sync::Arc;
use std::time::Duration;

use openadr_ven::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler};
use openadr_ven::message::{EiEvent, EventId, OptType};
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, MockVtnSettings, TestCertificates, VtnCore};
use openadr_ven::time::Span;
use openadr_ven::{Config, Ven, VenHandle};
use tempfile::TempDir;
use thermostat::Thermostat;
use tokio::sync::mpsc;

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Passes every call on to the thermostat, and tells the test once it has returned.
struct Watched {
    thermostat: Thermostat,
    calls: mpsc::UnboundedSender<String>,
}

impl Watched {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (calls, called) = mpsc::unbounded_channel();
        (Self { thermostat: Thermostat::default(), calls }, called)
    }

    fn tell(&self, event: &EiEvent, call: &str) {
        // A test that has seen enough does not listen any more.
        drop(self.calls.send(format!("{}: {call}", event.id())));
    }
}

impl EventHandler for Watched {
    async fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Decision {
        let decision = self.thermostat.on_event(event.clone(), change).await;
        self.tell(&event, "on_event");
        decision
    }

    async fn on_start(&self, event: Arc<EiEvent>, late_by: Span) {
        self.thermostat.on_start(event.clone(), late_by).await;
        self.tell(&event, "on_start");
    }

    async fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) {
        let index = interval.index;
        self.thermostat.on_interval(event.clone(), interval).await;
        self.tell(&event, &format!("on_interval {index}"));
    }

    async fn on_end(&self, event: Arc<EiEvent>, why: EndReason) {
        self.thermostat.on_end(event.clone(), why).await;
        self.tell(&event, &format!("on_end, {why}"));
    }
}

/// The next calls, as many as are expected.
async fn next(called: &mut mpsc::UnboundedReceiver<String>, count: usize) -> Vec<String> {
    let mut calls = Vec::new();
    while calls.len() < count {
        let call = tokio::time::timeout(PATIENCE, called.recv()).await;
        calls.push(call.unwrap_or_else(|_| panic!("after {calls:?} nothing came")).unwrap());
    }
    calls
}

/// A VTN, and a VEN that is registered there; the folder holds their certificates and the VEN's memory.
struct Pair {
    vtn: MockVtn,
    ven: VenHandle,
    _folder: TempDir,
}

impl Pair {
    async fn new(handler: impl EventHandler) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = TestCertificates::create(folder.path(), KeyKind::P256).unwrap();
        let settings = MockVtnSettings::from(&certificates);
        let vtn = MockVtn::start(VtnCore::new("test-vtn", Span::SECOND), &settings).await.unwrap();
        let text = format!(
            r#"
            [ven]
            name = "thermostat"
            state = "state"

            [vtn]
            url = "{}"

            [tls]
            ca = "ca.pem"
            cert = "ven.pem"
            key = "ven.key"

            [signature]
            vtn_fingerprint = "{}"
            "#,
            vtn.url(),
            certificates.vtn_fingerprint()
        );
        let config = Config::from_toml(&text, &folder.path().join("ven.toml")).unwrap();
        let ven = Ven::builder(config).handler(handler).start().await.unwrap();
        assert!(vtn.until(PATIENCE, |core| core.registered().is_some()).await, "the VEN did not register");
        Self { vtn, ven, _folder: folder }
    }

    /// What the VEN answered about this event.
    async fn opt(&self, event: &str) -> OptType {
        let id = EventId::from(event);
        let mut found = None;
        let answered = self.vtn.until(PATIENCE, |core| {
            found = core.opts.iter().find(|opt| opt.event_id == id).map(|opt| opt.opt);
            found.is_some()
        });
        assert!(answered.await, "no answer about {event}");
        found.unwrap()
    }
}

#[tokio::test]
async fn an_event_of_level_2_is_taken_part_in_from_start_to_end() {
    let (handler, mut called) = Watched::new();
    let pair = Pair::new(handler).await;
    let start = pair.vtn.now() + Span::from_seconds(3);
    let steps = [(Span::from_seconds(2), 1), (Span::from_seconds(2), 2)];
    let event = EventBuilder::new("peak", start, Span::from_seconds(4)).steps(steps);

    pair.vtn.with(|core| core.add_event(event));

    assert_eq!(pair.opt("peak").await, OptType::OptIn);
    let expected = [
        "peak: on_event",
        "peak: on_start",
        "peak: on_interval 0",
        "peak: on_interval 1",
        "peak: on_end, its time is up",
    ];
    assert_eq!(next(&mut called, expected.len()).await, expected);
    pair.ven.stop().await;
}

#[tokio::test]
async fn an_event_of_level_3_is_declined() {
    let (handler, mut called) = Watched::new();
    let pair = Pair::new(handler).await;
    let (now, lasts) = (pair.vtn.now(), Span::from_seconds(2));
    let emergency = EventBuilder::new("emergency", now, lasts).level(3);
    let later = EventBuilder::new("later", now + lasts, lasts).level(1);

    pair.vtn.with(|core| core.add_event(emergency));
    assert_eq!(pair.opt("emergency").await, OptType::OptOut);
    pair.vtn.with(|core| core.add_event(later));
    assert_eq!(pair.opt("later").await, OptType::OptIn);

    // The one that was declined is over before the other starts, and was never told of.
    let expected = ["emergency: on_event", "later: on_event", "later: on_start"];
    assert_eq!(next(&mut called, expected.len()).await, expected);
    pair.ven.stop().await;
}
