//! What happens reaches a hook as the catalogue of topics says, whoever has begun it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind};
use openadr_ven::time::Span;
use serde_json::{Map, Value};

use crate::support::push::{Reserved, exchange, no_events, post, tls};
use crate::support::{House, PATIENCE, Process, ven};

/// Everything of the VTN and of the system, into a file.
const HOOK: &str = "[bus]\ntick = \"1s\"\n[[hook]]\nname = \"all\"\ntype = \"file\"\npath = \"facts.jsonl\"\n\
                    topics = [\"vtn.*\", \"system.*\", \"registration.*\"]\n";

/// A fact as it was told: its topic and its data.
type Told = (String, Map<String, Value>);

fn facts(house: &House) -> Vec<Told> {
    let text = std::fs::read_to_string(house.path("facts.jsonl")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let fact = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["type"].as_str().unwrap().to_owned(), event["data"].as_object().unwrap().clone())
    };
    whole.lines().map(fact).collect()
}

/// Waits until something was told.
#[expect(clippy::disallowed_methods, reason = "a person waits for it")]
fn wait_for(house: &House, ven: &Process, what: &str, is_it: impl Fn(&Told) -> bool) -> Told {
    let began = Instant::now();
    loop {
        if let Some(found) = facts(house).into_iter().find(&is_it) {
            return found;
        }
        let topics: Vec<_> = facts(house).into_iter().map(|(topic, _)| topic).collect();
        let log = ven.log().join("\n");
        assert!(began.elapsed() < PATIENCE, "{what}: was not told; {topics:?}; the log:\n{log}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Every fact has the members of its topic's sample, no more and no less.
fn assert_like_samples(facts: &[Told]) {
    let topics = Command::new(env!("CARGO_BIN_EXE_ven")).args(["topics", "--json"]).output().unwrap();
    let topics: Value = serde_json::from_slice(&topics.stdout).unwrap();
    for (topic, data) in facts {
        let sample = topics[topic]["sample"].as_object().unwrap();
        let names = |of: &Map<String, Value>| of.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(data), names(sample), "{topic}");
    }
}

fn is(topic: &str, data: &Map<String, Value>, members: &[(&str, Value)], told: &str) -> bool {
    told == topic && members.iter().all(|(name, value)| data.get(*name) == Some(value))
}

fn like<'m>(topic: &'m str, members: &'m [(&'m str, Value)]) -> impl Fn(&Told) -> bool + 'm {
    move |(told, data)| is(topic, data, members, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ven_that_polls_tells_its_exchanges_its_messages_and_its_life() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), HOOK);
    let ven = Process::ven(&configuration);
    tokio::task::block_in_place(|| {
        let started = wait_for(&house, &ven, "start", like("system.started", &[("lost", false.into())])).1;
        assert_eq!(
            (&started["off_since"], &started["version"]),
            (&Value::Null, &env!("CARGO_PKG_VERSION").into())
        );
        let registered = [("message", "oadrCreatePartyRegistration".into()), ("oadr_code", 200.into())];
        let exchange = wait_for(&house, &ven, "registration", like("vtn.request", &registered)).1;
        assert_eq!((&exchange["by"], &exchange["http"]), (&"us".into(), &200.into()));
        assert!(exchange["bytes"].as_u64().unwrap() > 500 && exchange["bytes_sent"].as_u64().unwrap() > 500);
        let quiet = [("answer", "oadrResponse".into()), ("next_seconds", 1.into())];
        wait_for(&house, &ven, "a poll", like("vtn.polled", &quiet));
        let polls = [("message", "oadrPoll".into()), ("service", "OadrPoll".into())];
        wait_for(&house, &ven, "a poll as an exchange", like("vtn.request", &polls));
        for (direction, name) in [("sent", "oadrPoll"), ("received", "oadrResponse")] {
            let members = [("direction", direction.into()), ("name", name.into())];
            let message = wait_for(&house, &ven, direction, like("vtn.message", &members)).1;
            assert_eq!((&message["signature"], &message["reason"]), (&"valid".into(), &Value::Null));
            assert!(message["xml"].as_str().unwrap().contains("SignatureValue"), "{message:?}");
        }
        wait_for(&house, &ven, "a tick", like("system.tick", &[]));
    });
    ven.terminate();
    let again = Process::ven(&configuration);
    tokio::task::block_in_place(|| {
        let known = |(topic, data): &Told| topic == "system.started" && !data["off_since"].is_null();
        wait_for(&house, &again, "the second start", known);
        let why = [("reason", "it was told to stop".into())];
        wait_for(&house, &again, "the end of the first", like("system.stopping", &why));
    });
    again.terminate();
    assert_like_samples(&facts(&house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ven_that_is_pushed_to_tells_what_came_and_what_it_refused() {
    let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
    let vtn = house.vtn(Span::SECOND).await;
    let path = house.path("ven.toml");
    std::fs::write(&path, reserved.configuration(&house, &vtn.url(), "", HOOK)).unwrap();
    let ven = Process::ven(&path);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::RequestEvent) > 0).await);
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("e", start, Span::HOUR)));
    assert!(vtn.until(PATIENCE, |core| !core.opts.is_empty()).await, "{}", ven.log().join("\n"));
    let folder = house.certificates.path("");
    let tls = tls(&folder, Some((&folder, "vtn")));
    let unsigned = post("EiEvent", &no_events("mock-vtn"));
    let answer = exchange(reserved.address, &tls, &unsigned).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    tokio::task::block_in_place(|| {
        let pushed = [("by", "vtn".into()), ("message", "oadrDistributeEvent".into()), ("http", 200.into())];
        let exchange = wait_for(&house, &ven, "a push", like("vtn.request", &pushed)).1;
        assert_eq!(exchange["service"], "EiEvent");
        let members = [("direction", "received".into()), ("name", "oadrDistributeEvent".into())];
        wait_for(&house, &ven, "its message", like("vtn.message", &members));
        let refused = [("by", "vtn".into()), ("http", 403.into()), ("service", "EiEvent".into())];
        let exchange = wait_for(&house, &ven, "the refusal", like("vtn.request", &refused)).1;
        assert!(exchange["reason"].as_str().unwrap().contains("not signed"), "{exchange:?}");
        let members = [("direction", "received".into()), ("signature", "refused".into())];
        wait_for(&house, &ven, "the message that was refused", like("vtn.message", &members));
        wait_for(&house, &ven, "that", like("vtn.rejected", &[("service", "EiEvent".into())]));
    });
    ven.terminate();
    assert_like_samples(&facts(&house));
}

/// A power cut or a dying card has spoiled the file: nothing is told of what was in it, and everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_damaged_is_set_aside_and_the_ven_takes_part_again() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), HOOK);
    let ven = Process::ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 0).await);
    ven.terminate();
    let store = house.path("state/ven.db");
    // Everything may still be in the log beside it.
    for name in ["state/ven.db-wal", "state/ven.db-shm"] {
        drop(std::fs::remove_file(house.path(name)));
    }
    let bytes = vec![0xa5; 65_536];
    std::fs::write(&store, &bytes).unwrap();
    let registrations = vtn.with(|core| core.count(PayloadKind::CreatePartyRegistration));
    let ven = Process::ven(&configuration);
    tokio::task::block_in_place(|| {
        ven.wait_for("the store is damaged, and everything in it lost", 0);
        wait_for(&house, &ven, "the loss", like("system.started", &[("lost", true.into())]));
    });
    let again = vtn.until(PATIENCE, |core| core.count(PayloadKind::CreatePartyRegistration) > registrations);
    assert!(again.await, "{}", ven.log().join("\n"));
    ven.terminate();
    let aside = kept_aside(&house.path("state"));
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(std::fs::read(house.path("state").join(&aside[0])).unwrap(), bytes);
}

fn kept_aside(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("ven.db.corrupt-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_strict_a_filter_that_fails_ends_the_program_with_1_and_what_it_owes_is_stored() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let hook = "[bus]\nstrict = true\n[[hook]]\nname = \"picky\"\ntype = \"file\"\npath = \"facts.jsonl\"\n\
                topics = [\"event.received\"]\nfilter = \"data.priority > 0\"\n";
    let configuration = house.configure(&vtn.url(), hook);
    let mut command = ven(&configuration);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 0).await);
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("without-a-priority", start, Span::HOUR)));
    let output = tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("[bus] strict = true: hook picky: event.received: filter"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_try_to_reach_a_vtn_that_is_away_is_told() {
    let (house, nobody) = (House::new(KeyKind::P256), Reserved::new());
    let ven = Process::ven(&house.configure(&format!("https://{}", nobody.address), HOOK));
    tokio::task::block_in_place(|| {
        wait_for(&house, &ven, "that it is away", like("vtn.disconnected", &[]));
        wait_for(&house, &ven, "that it still is", like("vtn.unreachable", &[]));
        let exchange =
            wait_for(&house, &ven, "the exchange", like("vtn.request", &[("http", Value::Null)])).1;
        assert!(exchange["answer"].is_null() && exchange["reason"].is_string(), "{exchange:?}");
    });
    ven.terminate();
    assert_like_samples(&facts(&house));
}
