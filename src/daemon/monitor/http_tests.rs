//! What is read behind a cursor over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::State;
use super::http::{Events, events, list, ndjson, reader, sse};
use super::push_tests::{LONG, patient, scene_with};
use crate::daemon::status::{Look, MeterStatus, Status};
use crate::fact::Topics;
use crate::hook::render::VenNames;
use crate::time::Timestamp;

fn ven() -> VenNames {
    VenNames { name: "home".into(), ..VenNames::default() }
}

#[tokio::test]
async fn a_long_poll_gets_what_is_there_waits_for_what_is_not_and_goes_on_at_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    scene.happened(&["a", "b", "c"]).await;
    let mut first = reader(&scene.monitors, Some("reader"), id, None).unwrap();
    let Events::Read { events: told, cursor } = events(&mut first, 2, Duration::ZERO, &ven()).await.unwrap()
    else {
        panic!("nothing is missing");
    };
    assert_eq!((told.len(), cursor), (2, 2));
    assert_eq!((&told[0]["type"], &told[0]["source"]), (&json!("event.started"), &json!("urn:ven:home")));
    let mut second = reader(&scene.monitors, Some("reader"), id, Some(3)).unwrap();
    let nothing = events(&mut second, 2, Duration::from_millis(20), &ven()).await.unwrap();
    assert_eq!(nothing, Events::Read { events: Vec::new(), cursor: 3 });
    let waiting = tokio::spawn(async move { events(&mut second, 2, LONG, &ven()).await.unwrap() });
    scene.happened(&["d"]).await;
    let Events::Read { events: told, cursor } = waiting.await.unwrap() else { panic!("nothing is missing") };
    assert_eq!((told[0]["data"]["text"].as_str(), cursor), (Some("d"), 4));
    assert!(reader(&scene.monitors, Some("other"), id, None).is_err());
}

#[tokio::test]
async fn a_cursor_that_has_expired_is_told_where_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    scene.happened(&["a", "b", "c"]).await;
    drop(scene);
    let file = rusqlite::Connection::open(folder.path().join("ven.db")).unwrap();
    file.execute("DELETE FROM fact WHERE seq <= 2", []).unwrap();
    drop(file);
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let mut expired = reader(&scene.monitors, None, id, Some(1)).unwrap();
    let Events::Gone { gap, oldest } = events(&mut expired, 9, LONG, &ven()).await.unwrap() else {
        panic!("the cursor has expired");
    };
    assert_eq!((&gap["from"], &gap["to"], oldest), (&json!(2), &json!(2), 2));
    let mut on = reader(&scene.monitors, None, id, Some(oldest)).unwrap();
    let Events::Read { events: told, .. } = events(&mut on, 9, LONG, &ven()).await.unwrap() else {
        panic!("it goes on there");
    };
    assert_eq!(told[0]["data"]["text"], "c");
}

#[tokio::test]
async fn that_facts_of_meters_are_missing_is_told_once_to_who_keeps_a_cursor_only() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({"topics": ["meter.*", "event.*"]})).await;
    scene.happened(&["a", "b"]).await;
    drop(scene);
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let mut again = reader(&scene.monitors, None, id, Some(1)).unwrap();
    let Events::Read { events: told, cursor } = events(&mut again, 9, Duration::ZERO, &ven()).await.unwrap()
    else {
        panic!("the cursor is known");
    };
    let told: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((told, cursor > 2), (vec!["monitor.gap", "event.started"], true));
    let mut on = reader(&scene.monitors, None, id, Some(cursor)).unwrap();
    let nothing = events(&mut on, 9, Duration::from_millis(20), &ven()).await.unwrap();
    assert_eq!(nothing, Events::Read { events: Vec::new(), cursor });
}

#[tokio::test]
async fn streams_say_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    scene.happened(&["two\nlines"]).await;
    let found = reader(&scene.monitors, None, id, None).unwrap().next(9).await.unwrap();
    let event = sse(&found[0], &ven());
    let (lines, data) = event.split_once("data: ").unwrap();
    assert_eq!(lines, "id: 1\nevent: event.started\n");
    assert!(data.ends_with("\n\n") && data.trim_end().lines().count() == 1, "{data}");
    assert_eq!(ndjson(&found[0], &ven()).trim_end(), data.trim_end());
}

#[tokio::test]
async fn monitors_are_shown_with_all_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({"ack": "explicit"})).await;
    let shown = list(&scene.monitors, Some("reader"), Some("event.*"));
    assert_eq!(
        (&shown[0]["id"], &shown[0]["status"], &shown[0]["ack"]),
        (&json!(id), &json!("SUSPENDED"), &json!("explicit"))
    );
    assert!(list(&scene.monitors, Some("reader"), Some("opt.*")).is_empty());
    assert!(list(&scene.monitors, Some("other"), None).is_empty());
}

#[test]
fn the_state_says_what_the_topics_tell_of_and_where_to_go_on() {
    let mut status = Status::default();
    status.bus.newest = 42;
    status.vtn.connected = Some(true);
    status.meters.insert("main".into(), MeterStatus { online: Some(true), ..MeterStatus::default() });
    let look = Look {
        at: Timestamp::from_seconds(1_900_000_000),
        uptime_seconds: 1,
        resident_bytes: None,
        ready: true,
        reasons: Vec::new(),
        status,
    };
    let state = |topics: &[&str]| State::of(&look, &Topics::parse(topics.iter().copied()).unwrap(), &ven());
    let all = state(&["event.*", "vtn.*", "meter.*"]);
    assert_eq!(all.place, 42);
    let told: Value = serde_json::from_str(&all.ndjson()).unwrap();
    assert_eq!((&told["type"], &told["time"]), (&json!("monitor.state"), &json!("2030-03-17T17:46:40Z")));
    let vtn = json!({"id": null, "connected": true, "registered": false});
    assert_eq!((&told["data"]["vtn"], &told["data"]["events"]), (&vtn, &json!([])));
    assert_eq!(told["data"]["meters"]["main"]["online"], true);
    let few: Value = serde_json::from_str(&state(&["opt.decided"]).ndjson()).unwrap();
    assert_eq!(few["data"], json!({"operation": "state", "events": []}));
    assert!(all.sse().starts_with("id: 42\nevent: monitor.state\ndata: {"), "{}", all.sse());
    assert!(all.sse().ends_with("}\n\n"));
}
