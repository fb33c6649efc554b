//! A VEN on a machine whose clock says 1970 until the net tells it the time.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openadr_ven::message::DataQuality;
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::notice::Notice;
use openadr_ven::time::{Span, Timestamp};
use openadr_ven::{Config, Ven};

use crate::support::telemetry::{cells, meter_section, wish};
use crate::support::{House, PATIENCE, TOKEN, until};

static IS_SET: AtomicBool = AtomicBool::new(false);

fn wall() -> Timestamp {
    if IS_SET.load(Ordering::SeqCst) {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    } else {
        Timestamp::EPOCH + Span::MINUTE
    }
}

/// Whether it is ready, and why not.
fn readiness(api: SocketAddr) -> String {
    let mut stream = TcpStream::connect(api).unwrap();
    let head = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ";
    stream.write_all(format!("{head}{TOKEN}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ven_that_starts_in_1970_registers_and_reports_as_soon_as_its_clock_is_set() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    vtn.with(|core| core.piggyback = vec![wish("usage", Span::SECOND, Span::SECOND, None)]);
    let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
    house.write_secret("token", TOKEN);
    let http = "[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"test\"\ntoken = \"${file:token}\"\nscopes = [\"read\"]\n";
    let file = house.configure(&vtn.url(), &format!("{}{http}", meter_section(meter.path())));
    let ven = Ven::builder(Config::load(&file).unwrap()).wall_clock(wall).start().await.unwrap();
    let (api, mut notices) = (ven.http_address().unwrap(), ven.notices());

    // The meter goes on, and in the time of some telegrams a VEN would have registered long ago.
    let readings = async {
        let mut count = 0;
        while count < 4 {
            count += usize::from(matches!(notices.recv().await.unwrap(), Notice::MeterReading { .. }));
        }
    };
    tokio::time::timeout(PATIENCE, readings).await.unwrap();
    assert_eq!((vtn.clients().len(), vtn.with(|core| core.received.len())), (0, 0), "it is not even called");
    let said = tokio::task::block_in_place(|| readiness(api));
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("says 1970-01-01T00:01:00Z"), "{said}");

    IS_SET.store(true, Ordering::SeqCst);
    assert!(vtn.until(PATIENCE, |core| core.registered().is_some()).await, "it goes on by itself");
    let good = |core: &mut openadr_ven::mock_vtn::VtnCore| {
        cells(&core.reports).iter().any(|cell| cell.quality == DataQuality::Good)
    };
    assert!(vtn.until(PATIENCE, good).await, "and what the meter says is reported");
    let begins: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    vtn.with(|core| {
        assert!(
            cells(&core.reports).iter().all(|cell| cell.start > begins),
            "nothing of 1970: {:?}",
            core.reports
        );
        assert_eq!(core.violations, [""; 0]);
    });
    until("it is ready", || tokio::task::block_in_place(|| readiness(api)).starts_with("HTTP/1.1 200 "));
    ven.stop().await;
}
