//! `readings-api.toml`: each reading as JSON to a web service that is down at first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::KeyKind;
use serde_json::Value;

use super::receiver::{Receiver, Request};
use super::{Example, NEVER, NO_VTN, telegram};
use crate::support::{House, Process};

fn reading(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

#[test]
fn readings_api_tells_every_reading_though_the_service_fails_and_the_ven_is_restarted() {
    let house = House::new(KeyKind::P256);
    let meter = MockMeter::start(house.folder.path(), "meter", NEVER).unwrap();
    let works = Arc::new(AtomicBool::new(false));
    let service = Receiver::start({
        let works = works.clone();
        move |_| match works.load(Ordering::SeqCst) {
            true => ("200 OK", String::new()),
            false => ("500 Internal Server Error", "the database is away".into()),
        }
    });
    let configuration = Example::of("readings-api", &house, NO_VTN)
        .metered(meter.path())
        .with("https://api.example.net/readings", &format!("http://127.0.0.1:{}/readings", service.port))
        .below("url = \"http://", "allow_private = true")
        .secret(&house, "/etc/ven/service.token", "a-token")
        .save(&house);
    let ven = Process::ven_logging(&configuration, "warn,openadr_ven=debug");
    house.wait_for_socket();
    meter.send(&telegram("012345.678", "000050.000")).unwrap();
    let first = &service.wait_for(1)[0];
    meter.send(&telegram("012345.679", "000050.000")).unwrap();
    ven.wait_for("import 12345.679 kWh", 0);
    // What waits is written down, whichever way it ends.
    ven.terminate();
    works.store(true, Ordering::SeqCst);
    let tried = service.seen().len();
    let ven = Process::ven(&configuration);
    let all = service.wait_for(tried + 2);
    ven.terminate();
    let [again, next] = &all[tried..] else { panic!("{all:#?}") };
    assert_eq!(first.line, "POST /readings");
    for request in [first, again, next] {
        assert_eq!(request.header("authorization"), "Bearer a-token");
        assert_eq!(request.header("content-type"), "application/json");
    }
    assert_eq!(first.body, again.body, "the same, however often it is tried");
    for (request, kwh) in [(again, "12345.678"), (next, "12345.679")] {
        let told = reading(request);
        assert_eq!(told["meter"], "main");
        assert_eq!((told["kwh"].to_string(), told["watt"].to_string()), (kwh.to_owned(), "350".to_owned()));
        // A time with its offset is one that this reads.
        let at: jiff::Timestamp = told["at"].as_str().unwrap().parse().unwrap();
        assert!(at.as_second() > 1_700_000_000, "{told}");
    }
}
