//! Calls every route of ours, and compares what they answer with what is said of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{JSON, PATIENCE, Served, bearer, body, served, status, with_scopes};
use crate::config::Scope;
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::http::metrics::tests::parsed;
use crate::daemon::http::{Routes, Token, Traffic, own_routes, telegram_routes};
use crate::daemon::inlets::{Inlets, Posted};
use crate::daemon::status::tests::registered;
use crate::daemon::status::{Board, Status, keep};
use crate::notice::Notice;

fn ours(board: &Board, inlets: &Inlets) -> Routes {
    Routes::default().with(own_routes(board, &Traffic::default())).with(telegram_routes(inlets)).described()
}

fn board() -> (Bus, Board) {
    let bus = Bus::new(Clock::start());
    let board = keep(Status::default(), bus.clone(), Clock::start(), std::future::pending());
    (bus, board)
}

/// A meter that finds every telegram good that begins with a slash.
fn meter() -> mpsc::Sender<Posted> {
    let (inlet, mut posts) = mpsc::channel::<Posted>(1);
    tokio::spawn(async move {
        while let Some(Posted { bytes, answer }) = posts.recv().await {
            let good = if bytes.starts_with(b"/") { Ok(()) } else { Err("checksum".to_owned()) };
            answer.send(good).unwrap();
        }
    });
    inlet
}

async fn served_with(tokens: Vec<Token>, meters: &[&str]) -> (Bus, Board, Served) {
    let inlets = meters.iter().map(|name| ((*name).to_owned(), meter())).collect();
    let (bus, board) = board();
    let served = served(tokens, ours(&board, &inlets), None).await;
    (bus, board, served)
}

#[tokio::test]
async fn it_is_alive_before_it_is_ready_and_says_why_to_those_who_may_read() {
    let (bus, mut board, served) = served_with(with_scopes(&[Scope::Read]), &[]).await;
    assert_eq!(served.status("GET /healthz", "", "").await, 200);
    let stranger = served.ask("GET /readyz", "", "").await;
    assert_eq!((status(&stranger), body(&stranger)), (503, "{\"ready\":false,\"reasons\":null}\n"));
    let reader = served.ask("GET /readyz", &bearer(super::TOKEN), "").await;
    assert!(reader.contains("not registered at the VTN"), "{reader}");
    bus.tell(registered());
    let ready = board.becomes(|status| status.registration.id.is_some());
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    assert_eq!(served.status("GET /readyz", "", "").await, 200);
}

#[tokio::test]
async fn status_events_topics_and_metrics_are_read() {
    let (bus, mut board, served) = served_with(Vec::new(), &[]).await;
    bus.tell(registered());
    bus.tell(Notice::MeterOnline { meter: "main".into() });
    let known = board.becomes(|status| status.meters.contains_key("main"));
    tokio::time::timeout(PATIENCE, known).await.unwrap();
    let read = async |path: &str| {
        let answer = served.ask(&format!("GET {path}"), "", "").await;
        serde_json::from_str::<Value>(body(&answer)).unwrap()
    };
    let status = read("/v1/status").await;
    assert_eq!((&status["ven"]["id"], &status["meters"]["main"]["online"]), (&"ven-1".into(), &true.into()));
    assert_eq!(read("/v1/events").await["events"], serde_json::json!([]));
    let topics = read("/v1/topics").await;
    let names = topics["topics"].as_array().unwrap().iter().map(|topic| topic["name"].as_str().unwrap());
    assert!(names.collect::<Vec<_>>().contains(&"event.started"));
    let metrics = served.ask("GET /metrics", "", "").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    let labels = BTreeMap::from([("meter".to_owned(), "main".to_owned())]);
    assert_eq!(parsed(body(&metrics))[&("ven_meter_online".to_owned(), labels)], 1.0);
}

const OCTETS: &str = "Content-Type: application/octet-stream\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn telegrams_are_taken_as_they_are_and_as_dsmr_reader_takes_them() {
    let (_bus, _board, served) = served_with(with_scopes(&[Scope::Meter]), &["main"]).await;
    let key = format!("X-AUTHKEY: {}\r\n", super::TOKEN);
    for (path, types, telegram, expected) in [
        ("/v1/meter/telegrams", OCTETS, "/ISk5\r\n!0000\r\n", 201),
        ("/v1/meter/telegrams?meter=main", "Content-Type: text/plain\r\n", "/x", 201),
        ("/v1/meter/telegrams", FORM, "telegram=%2FISk5%0D%0A", 201),
        ("/api/v1/datalogger/dsmrreading", FORM, "telegram=%2FISk5%0D%0A", 201),
        ("/api/v1/datalogger/dsmrreading", FORM, "telegram=ISk5", 400),
        ("/api/v1/datalogger/dsmrreading", FORM, "telegrams=%2F", 400),
        ("/api/v1/datalogger/dsmrreading", FORM, "telegram=%2", 400),
        ("/v1/meter/telegrams", OCTETS, "", 400),
        ("/v1/meter/telegrams", JSON, "{}", 415),
        ("/v1/meter/telegrams?meter=other", OCTETS, "/x", 404),
    ] {
        let answer = served.ask(&format!("POST {path}"), &format!("{key}{types}"), telegram).await;
        assert_eq!(status(&answer), expected, "{path} {telegram}: {answer}");
    }
    let refused = served.ask("POST /v1/meter/telegrams", &format!("{key}{OCTETS}"), "x").await;
    assert!(body(&refused).contains("\"detail\":\"checksum\""), "{refused}");
}

#[tokio::test]
async fn which_of_several_meters_a_telegram_is_of_has_to_be_said() {
    let (_bus, _board, served) = served_with(with_scopes(&[Scope::Meter]), &["main", "garage"]).await;
    let headers = format!("{}{OCTETS}", bearer(super::TOKEN));
    let unsaid = served.ask("POST /v1/meter/telegrams", &headers, "/x").await;
    assert!(status(&unsaid) == 400 && unsaid.contains("garage, main"), "{unsaid}");
    assert_eq!(served.status("POST /v1/meter/telegrams?meter=garage", &headers, "/x").await, 201);
    let (_bus, _board, none) = served_with(with_scopes(&[Scope::Meter]), &[]).await;
    assert_eq!(none.status("POST /v1/meter/telegrams", &headers, "/x").await, 404);
}

#[tokio::test]
async fn a_meter_that_has_too_much_to_do_keeps_nobody_waiting() {
    let (inlet, _posts) = mpsc::channel(1);
    let (answer, _outcome) = tokio::sync::oneshot::channel();
    inlet.try_send(Posted { bytes: Vec::new(), answer }).unwrap();
    let (_bus, board) = board();
    let inlets = Inlets::from_iter([("main".to_owned(), inlet)]);
    let served = served(with_scopes(&[Scope::Meter]), ours(&board, &inlets), None).await;
    let headers = format!("{}{OCTETS}", bearer(super::TOKEN));
    assert_eq!(served.status("POST /v1/meter/telegrams", &headers, "/x").await, 503);
}

/// All that the description says of one call.
fn described(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, call)| (method.to_uppercase(), path.clone(), call.clone()))
    });
    calls.collect()
}

#[tokio::test]
async fn the_description_has_every_route_with_every_status_that_it_answers() {
    let scopes = [Scope::Read, Scope::Meter];
    let (_bus, board, served) = served_with(with_scopes(&scopes), &["main"]).await;
    let document: Value = serde_json::from_str(body(&served.ask("GET /openapi.json", "", "").await)).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let calls = described(&document);
    let routes = ours(&board, &Inlets::default());
    let there: BTreeSet<_> =
        routes.0.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let told: BTreeSet<_> = calls.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(told, there, "each is there, and nothing else");
    assert_eq!(calls.len(), routes.0.len());
    let ids: BTreeSet<_> = calls.iter().map(|(.., call)| call["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), calls.len(), "no name stands twice");
    for (method, path, call) in &calls {
        let statuses: BTreeSet<u16> =
            call["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect();
        let line = format!("{method} {path}");
        let (good, wrong) = (bearer(super::TOKEN), bearer("wrong"));
        let (text, content) = if method == "GET" { ("", "") } else { ("/x", OCTETS) };
        for (headers, text) in [
            (format!("{good}{content}"), text),
            (content.to_owned(), text),
            (format!("{wrong}{content}"), text),
            (format!("{good}{content}Origin: http://evil.example\r\n"), text),
            (format!("{good}{content}"), "damaged"),
            (format!("{good}{JSON}"), "{}"),
        ] {
            let answer = served.ask(&line, &headers, text).await;
            assert!(statuses.contains(&status(&answer)), "{line} with {headers} answers {answer}");
        }
        let answer = served.ask(&line, &format!("{good}{content}"), text).await;
        if status(&answer) < 300 {
            let types = call["responses"][status(&answer).to_string()]["content"].as_object().unwrap();
            let found = answer.split("content-type: ").nth(1).unwrap().split(['\r', ';']).next().unwrap();
            assert!(types.contains_key(found), "{line} gives {found}");
        }
    }
}
