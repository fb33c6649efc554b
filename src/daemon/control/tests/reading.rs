//! Who asks what happens, and how many may wait for it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::tests::others;
use super::{Desk, FactsRequest, MOST_WAITING, Others, Readers, Request, Response, SOCKET, Told, ask};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::monitor::Monitors;
use crate::daemon::plugin::Plugins;
use crate::daemon::store::StoreHandle;
use crate::fact::Draft;
use crate::time::Timestamp;

/// A desk behind which there are monitors; what is told by the bus is seen.
async fn with_monitors(folder: &Path) -> (Desk, Bus) {
    let clock = Clock::start();
    let bus = Bus::new(clock);
    let (store, _) = StoreHandle::open(&folder.join("ven.db"), "a", bus.clone()).unwrap();
    let monitors = Monitors::open(bus.clone(), store, clock, Vec::new()).await.unwrap();
    let readers = Readers::new(Some(monitors), Plugins::default());
    (Desk::open(folder, Others { readers, ..others() }), bus)
}

fn happens(bus: &Bus, topic: &str) {
    let data = serde_json::Map::new();
    let draft = Draft { topic: topic.into(), subject: None, time: Timestamp::EPOCH, data };
    bus.reserve(vec![draft]).publish();
}

fn facts(folder: &Path, after: Option<u64>) -> (Vec<String>, u64) {
    let request = FactsRequest { topics: vec!["meter.*".into()], after };
    let answer = ask(folder, &Request::Facts(request)).unwrap();
    let Response::Facts { told, cursor } = answer else { panic!("{answer:?}") };
    let topic = |told: Told| match told {
        Told::Fact(fact) => fact.topic,
        Told::Gap(gap) => format!("{gap:?}"),
    };
    (told.into_iter().map(topic).collect(), cursor)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_behind_a_cursor_is_told_what_happened_or_waits_for_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let (_desk, bus) = with_monitors(folder.path()).await;
    let (told, cursor) = facts(folder.path(), None);
    assert_eq!(told, [""; 0], "from now on");
    happens(&bus, "meter.day");
    happens(&bus, "event.near");
    happens(&bus, "meter.reading");
    let (told, next) = facts(folder.path(), Some(cursor));
    assert_eq!((told, next), (vec!["meter.day".into(), "meter.reading".into()], cursor + 3));
    let path = folder.path().to_owned();
    let waiting = tokio::task::spawn_blocking(move || facts(&path, Some(next)));
    happens(&bus, "meter.online");
    assert_eq!(waiting.await.unwrap().0, ["meter.online"]);
    let nonsense = FactsRequest { topics: vec!["meter.dya".into()], after: None };
    let Response::Error { why } = ask(folder.path(), &Request::Facts(nonsense)).unwrap() else {
        panic!("no fault")
    };
    assert!(why.contains("did you mean \"meter.day\"?"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_bounded_and_whoever_leaves_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let (_desk, _bus) = with_monitors(folder.path()).await;
    let request =
        serde_json::to_string(&Request::Facts(FactsRequest { topics: vec!["**".into()], after: Some(0) }));
    let line = format!("{}\n", request.unwrap());
    let wait = || {
        let mut stream = std::os::unix::net::UnixStream::connect(folder.path().join(SOCKET)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream
    };
    let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| wait()).collect();
    // Others are answered all the same, and one more who would wait is told that he cannot, once the others are served.
    assert!(matches!(ask(folder.path(), &Request::Status), Ok(Response::Status(_))));
    let refused = loop {
        let mut one_more = wait();
        one_more.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut answer = [0; 256];
        match one_more.read(&mut answer) {
            Ok(length) => break String::from_utf8_lossy(&answer[..length]).into_owned(),
            Err(_) => waiting.push(one_more),
        }
    };
    assert!(refused.contains("too many wait already"), "{refused}");
    drop(waiting);
    let path = folder.path().to_owned();
    let fits = tokio::task::spawn_blocking(move || {
        let request = FactsRequest { topics: vec!["**".into()], after: Some(99) };
        loop {
            let answer = ask(&path, &Request::Facts(request.clone())).unwrap();
            if let Response::Facts { told, .. } = answer {
                return told;
            }
            // The server learns a moment later that they are gone.
            assert!(matches!(answer, Response::Error { .. }));
        }
    });
    assert!(matches!(&fits.await.unwrap()[..], [Told::Gap(_)]), "a cursor of another log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_has_lost_is_told_once_and_reading_goes_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, bus) = with_monitors(folder.path()).await;
    happens(&bus, "meter.day");
    let (_, cursor) = facts(folder.path(), None);
    drop((desk, bus));
    let (_desk, bus) = with_monitors(folder.path()).await;
    let (told, next) = facts(folder.path(), Some(cursor));
    assert!(told.len() == 1 && told[0].contains("not_kept") && next > cursor, "{told:?} {next}");
    happens(&bus, "meter.reading");
    assert_eq!(facts(folder.path(), Some(next)).0, ["meter.reading"]);
}
