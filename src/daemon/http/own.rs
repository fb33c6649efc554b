//! Our own routes: health, status, topics, events, metrics.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::config::Scope;
use crate::daemon::status::{Board, Look};
use crate::fact::topic::CATALOGUE;

use super::answer::Answer;
use super::metrics;
use super::route::Route;
use super::server::Traffic;

const READY: &[(u16, &str)] = &[
    (200, "the VEN does what it is there for"),
    (503, "it does not; reasons says why, to those who may read"),
];

/// Routes that show how the VEN stands.
pub(in crate::daemon) fn routes(board: &Board, traffic: &Traffic) -> Vec<Route> {
    let read = || Some(Scope::Read);
    let looking = |answer: fn(&Look) -> Answer| {
        let board = board.clone();
        move |_| std::future::ready(answer(&board.look()))
    };
    let ready_board = board.clone();
    let (metrics_board, traffic) = (board.clone(), traffic.clone());
    vec![
        Route::new(Method::GET, "/healthz", None, "Whether the process lives", |_| async {
            Answer::json(StatusCode::OK, &json!({"alive": true}))
        })
        .answers(&[(200, "it lives")]),
        Route::new(Method::GET, "/readyz", None, "Whether the VEN does what it is there for", move |call| {
            let may_read = call.who.may(&Scope::Read);
            std::future::ready(ready(&ready_board.look(), may_read))
        })
        .answers(READY),
        Route::new(Method::GET, "/v1/status", read(), "How the VEN stands", looking(status)),
        Route::new(
            Method::GET,
            "/v1/events",
            read(),
            "Events that run or are to come, the earliest first, with our opt",
            looking(events),
        ),
        Route::new(
            Method::GET,
            "/v1/topics",
            read(),
            "What hooks, monitors and plugins can be told, with a sample of each",
            |_| async { topics() },
        ),
        Route::new(Method::GET, "/metrics", read(), "Numbers for Prometheus", move |_| {
            let text = metrics::text(&metrics_board.look(), &traffic);
            std::future::ready(Answer::text(metrics::CONTENT_TYPE, text))
        })
        .gives("text/plain"),
    ]
}

/// Why it is not ready is for those who may read.
fn ready(look: &Look, may_read: bool) -> Answer {
    let status = if look.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons = may_read.then_some(&look.reasons);
    Answer::json(status, &json!({"ready": look.ready, "reasons": reasons}))
}

fn status(look: &Look) -> Answer {
    Answer::json(StatusCode::OK, look)
}

fn events(look: &Look) -> Answer {
    let mut events: Vec<_> = look.status.events.iter().collect();
    events.sort_by_key(|(_, event)| event.start);
    let told = |(id, event): (&String, _)| {
        let mut told = json!({"event_id": id});
        if let (Value::Object(told), Ok(Value::Object(event))) = (&mut told, serde_json::to_value(event)) {
            told.extend(event);
        }
        told
    };
    let events: Vec<Value> = events.into_iter().map(told).collect();
    Answer::json(StatusCode::OK, &json!({"events": events}))
}

fn topics() -> Answer {
    let told = |topic: &crate::fact::Topic| {
        // That every sample is JSON, a test of the catalogue shows.
        let sample: Value = serde_json::from_str(topic.sample).unwrap_or_default();
        json!({"name": topic.name, "class": topic.class.as_str(), "about": topic.about, "sample": sample})
    };
    let topics: Vec<Value> = CATALOGUE.iter().map(told).collect();
    Answer::json(StatusCode::OK, &json!({"topics": topics}))
}
