//! `telegram-forward.toml`: a second VEN takes the telegrams of the first, and reads the meter from them.

use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::notice::Notice;
use openadr_ven::{Config, Ven};
use tokio::sync::broadcast::Receiver;

use super::{Example, NEVER, NO_VTN, telegram};
use crate::support::{House, PATIENCE, Process, TOKEN, ven};

/// A VEN without a meter of its own, over TLS.
const SECOND: &str = r#"
[[meter]]
name = "elsewhere"
source = "api"

[http]
listen = "0.0.0.0:0"
cert = "certs/vtn.pem"
key = "certs/vtn.key"

[[http.token]]
name = "first-house"
token = "${file:token}"
scopes = ["meter"]
"#;

/// The next reading that a VEN tells of.
async fn reading(notices: &mut Receiver<Notice>) -> (String, String) {
    let next = async {
        loop {
            if let Notice::MeterReading { meter, reading } = notices.recv().await.unwrap() {
                return (meter, reading.values["import_kwh"].to_string());
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_forward_feeds_a_second_ven_by_the_address_of_dsmr_reader() {
    let far = House::new(KeyKind::P256);
    far.write_secret("token", &format!("{TOKEN}\n"));
    let second = Config::load(&far.configure(NO_VTN, SECOND)).unwrap();
    let second = Ven::builder(second).start().await.unwrap();
    let mut notices = second.notices();
    let address = format!("https://localhost:{}", second.http_address().unwrap().port());

    let near = House::new(KeyKind::P256);
    let meter = MockMeter::start(near.folder.path(), "meter", NEVER).unwrap();
    let ca = far.path("certs/ca.pem").display().to_string();
    let configuration = Example::of("telegram-forward", &near, NO_VTN)
        .metered(meter.path())
        .with("https://dsmr.example.net", &address)
        .below("url = \"https://localhost:", &format!("allow_private = true\nca = \"{ca}\""))
        .save(&near);
    let first = Process::start(ven(&configuration).env("DSMR_KEY", TOKEN));
    near.wait_for_socket();
    meter.send(&telegram("000123.456", "000000.000")).unwrap();
    assert_eq!(reading(&mut notices).await, ("elsewhere".to_owned(), "123.456".to_owned()));
    // Of those that come within min_interval the newest wins.
    for import in ["000123.457", "000123.458"] {
        meter.send(&telegram(import, "000000.000")).unwrap();
    }
    assert_eq!(reading(&mut notices).await.1, "123.458");
    first.terminate();
    second.stop().await;
}

#[test]
fn telegram_forward_without_its_key_says_so_at_the_start() {
    let house = House::new(KeyKind::P256);
    let configuration = Example::of("telegram-forward", &house, NO_VTN).save(&house);
    let output = ven(&configuration).env_remove("DSMR_KEY").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("$DSMR_KEY is not set"), "{said}");
}
