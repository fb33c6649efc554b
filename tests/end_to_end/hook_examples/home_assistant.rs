//! `home-assistant.toml`: Mosquitto by TLS, with a password, and what a reader of it finds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn};
use openadr_ven::time::Span;
use serde_json::{Value, json};

use super::{Example, NEVER, hooks, telegram};
use crate::support::authority::Authority;
use crate::support::peers::mosquitto::{Broker, Listener};
use crate::support::peers::peer;
use crate::support::{House, Process};

const PASSWORD: &str = "a word that passes";

/// A house with a VTN, a meter, and a broker that wants TLS and a password.
struct Scene {
    house: House,
    vtn: MockVtn,
    meter: MockMeter,
    broker: Broker,
    settings: Vec<String>,
}

impl Scene {
    /// `None` where there is no broker to start.
    async fn new() -> Option<Self> {
        let passwords = peer("mosquitto_passwd")?;
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let file = |name: &str| house.path("broker").join(name).display().to_string();
        Authority::new(&house.path("broker")).issue_host("localhost", "localhost", vtn.now() + Span::DAY);
        let made = Command::new(passwords).args(["-b", "-c", &file("passwords"), "ven", PASSWORD]).status();
        assert!(made.unwrap().success());
        let settings = vec![
            format!("certfile {}", file("localhost.pem")),
            format!("keyfile {}", file("localhost.key")),
            format!("password_file {}", file("passwords")),
            "allow_anonymous false".to_owned(),
        ];
        let said: Vec<&str> = settings.iter().map(String::as_str).collect();
        let ca = file("ca.pem");
        let clients = ["-h", "localhost", "--cafile", &ca, "-u", "ven", "-P", PASSWORD];
        let broker = Broker::start_for(&said, &clients).await?;
        let meter = MockMeter::start(house.folder.path(), "meter", NEVER).unwrap();
        Some(Self { house, vtn, meter, broker, settings })
    }

    /// The example, for a broker of that name that those certify.
    fn configuration(&self, host: &str, ca: &Path, password: &str) -> PathBuf {
        let ca = format!("ca = \"{}\"", ca.display());
        Example::of("home-assistant", &self.house, &self.vtn.url())
            .metered(self.meter.path())
            .with("mqtts://broker.example.net:8883", &format!("mqtts://{host}:{}", self.broker.port))
            .below("url = \"mqtts://", &ca)
            .secret(&self.house, "/etc/ven/mqtt.password", password)
            .and("[handler]\ndefault = \"optIn\"")
            .save(&self.house)
    }

    fn ca(&self) -> PathBuf {
        self.house.path("broker/ca.pem")
    }

    async fn runs_again(&mut self) {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        while !self.broker.run(&settings).await {
            // Its port is not free yet.
            tokio::task::yield_now().await;
        }
    }

    fn send(&self, id: &str, level: i64) {
        let start = self.vtn.now().floor_to(Span::SECOND) + Span::SECOND;
        self.vtn.with(|core| core.add_event(EventBuilder::new(id, start, Span::HOUR).level(level)));
    }
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_default()
}

fn runs(payload: &[u8]) -> bool {
    let event = parsed(payload);
    event["active"] == true && event["level"] == 2 && event["opt"] == "optIn" && event["event_id"] == "peak"
}

#[tokio::test(flavor = "multi_thread")]
async fn home_assistant_finds_meter_and_event_at_a_broker_by_tls_also_after_it_has_forgotten_them() {
    let Some(mut scene) = Scene::new().await else { return };
    let configuration = scene.configuration("localhost", &scene.ca(), PASSWORD);
    let ven = Process::ven(&configuration);
    scene.house.wait_for_socket();
    let mut listener = Listener::start(&scene.broker, "#");
    listener.until("ven/house/availability", |payload| payload == b"online").await;
    scene.meter.send(&telegram("012345.678", "000050.000")).unwrap();
    let (_, reading) = listener.hears("ven/house/meter").await;
    let data = |reading: &[u8]| {
        let told = parsed(reading);
        // Other facts are told as CloudEvents, readings too.
        if told["data"].is_null() { told } else { told["data"].clone() }
    };
    assert_eq!(data(&reading)["import_kwh"], "12345.678", "{}", parsed(&reading));
    listener
        .until("homeassistant/device/ven-house/config", |payload| {
            let import = parsed(payload)["components"]["main_import_kwh"].clone();
            import["state_topic"] == "ven/house/meter" && import["expire_after"] == json!(60)
        })
        .await;
    scene.send("peak", 2);
    listener.until("ven/house/event", runs).await;

    // The broker forgets everything; no event happens meanwhile, and all of it is there again.
    scene.broker.stop().await;
    scene.runs_again().await;
    let mut later = Listener::start(&scene.broker, "#");
    later.until("ven/house/availability", |payload| payload == b"online").await;
    later.until("ven/house/event", runs).await;
    // What a meter says expires, so it is not told again before the meter says it, though it is the same.
    scene.meter.send(&telegram("012345.678", "000050.000")).unwrap();
    assert_eq!(data(&later.hears("ven/house/meter").await.1)["import_kwh"], "12345.678");
    later.until("homeassistant/device/ven-house/config", |payload| !parsed(payload).is_null()).await;

    // Without a goodbye, the broker says it; with the VEN, it is as it was.
    ven.kill();
    later.until("ven/house/availability", |payload| payload == b"offline").await;
    let ven = Process::ven(&configuration);
    later.until("ven/house/availability", |payload| payload == b"online").await;
    ven.terminate();
    later.until("ven/house/availability", |payload| payload == b"offline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn home_assistant_is_not_told_by_a_broker_that_is_another_or_by_a_wrong_password() {
    let Some(scene) = Scene::new().await else { return };
    Authority::new(&scene.house.path("other"));
    let other = scene.house.path("other/ca.pem");
    for (host, ca, password, expected) in [
        ("localhost", &scene.ca(), PASSWORD, "sent"),
        ("localhost", &other, PASSWORD, "invalid peer certificate: "),
        ("127.0.0.1", &scene.ca(), PASSWORD, "invalid peer certificate: certificate not valid for name"),
        ("localhost", &scene.ca(), "a word that does not", "refused"),
    ] {
        let configuration = scene.configuration(host, ca, password);
        let (fine, said) = tokio::task::block_in_place(|| hooks(&configuration, &["test", "home-assistant"]));
        assert_eq!(fine, expected == "sent", "{said}");
        assert!(said.contains(expected), "\"{expected}\" is not in\n{said}");
        assert!(!said.contains(password), "{said}");
    }
    let mode = std::fs::metadata(scene.house.path("mqtt.password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}
