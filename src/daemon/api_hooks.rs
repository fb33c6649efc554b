//! The routes of hooks and deliveries: how they stand, and orders to them.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Scope;
use crate::time::{Span, Timestamp};

use super::clock::Clock;
use super::control::hook_lines;
use super::http::Route;
use super::http::answer::Answer;
use super::http::call::Call;
use super::outbox::{Order, OrderFault, Outbox};
use super::store::{Delivery, DeliveryStatus, StoreHandle, Wanted};

/// Deliveries in one answer.
const MOST: usize = 1000;
const UNKNOWN: (u16, &str) = (404, "no hook that runs is called so");
const DONE: &[(u16, &str)] = &[(202, "it will be done"), UNKNOWN, (503, "the hook is busy")];
const BODY: &[&str] = &["application/json"];

/// The routes of hooks and deliveries.
pub(super) fn routes(outbox: &Outbox, store: &StoreHandle, clock: Clock) -> Vec<Route> {
    let looking = outbox.clone();
    let store = store.clone();
    let list = Route::new(Method::GET, "/v1/hooks", Some(Scope::Read), "How the hooks stand", move |_| {
        let outbox = looking.clone();
        async move { Answer::json(StatusCode::OK, &json!({ "hooks": hook_lines(&outbox).await })) }
    });
    let deliveries = Route::new(
        Method::GET,
        "/v1/deliveries",
        Some(Scope::Read),
        "What hooks were to tell, the newest first, and what came of it",
        move |call| deliveries(store.clone(), clock, call),
    )
    .query(&[
        ("hook", "of this hook only"),
        ("status", "waiting, sent, error, dead, expired, dropped, filtered"),
        ("since", "those that changed since then, RFC 3339"),
        ("minutes", "those that changed in so many minutes"),
        ("limit", "so many at most, 1 to 1000"),
    ])
    .answers(&[
        (200, "as asked"),
        (400, "what is wrong with the question"),
        (503, "the store cannot be read"),
    ]);
    let order = |path: &str, about: &str, order: fn() -> Order| {
        let outbox = outbox.clone();
        let ordered = move |call: Call| std::future::ready(ordered(&outbox, &call, [order()]));
        Route::new(Method::POST, path, Some(Scope::Hooks), about, ordered).gives("").answers(DONE)
    };
    let again = outbox.clone();
    vec![
        list,
        deliveries,
        order("/v1/hooks/{name}/pause", "Delivers nothing for a while", || Order::Pause),
        order("/v1/hooks/{name}/resume", "Delivers again", || Order::Resume),
        Route::new(
            Method::POST,
            "/v1/hooks/{name}/send",
            Some(Scope::Hooks),
            "Waits no longer, and delivers again what is named",
            move |call| std::future::ready(send(&again, &call)),
        )
        .takes(BODY)
        .gives("")
        .answers(&[
            (202, "it will be done"),
            (400, "the body is wrong"),
            UNKNOWN,
            (503, "the hook is busy"),
        ]),
    ]
}

fn ordered(outbox: &Outbox, call: &Call, orders: impl IntoIterator<Item = Order>) -> Answer {
    let name = call.parameter("name");
    for order in orders {
        if let Err(fault) = outbox.order(name, order) {
            let status = match fault {
                OrderFault::Unknown(_) => StatusCode::NOT_FOUND,
                OrderFault::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            return Answer::problem(status, fault.to_string());
        }
    }
    Answer::empty(StatusCode::ACCEPTED)
}

/// What is sent again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Numbers of deliveries.
    #[serde(default)]
    again: Vec<u64>,
}

fn send(outbox: &Outbox, call: &Call) -> Answer {
    match call.json::<Again>() {
        Ok(Again { again }) => ordered(outbox, call, [Order::Resend(again), Order::SendNow]),
        Err(answer) => answer,
    }
}

async fn deliveries(store: StoreHandle, clock: Clock, call: Call) -> Answer {
    let wanted = match wanted(clock.now().wall, &call) {
        Ok(wanted) => wanted,
        Err(why) => return Answer::problem(StatusCode::BAD_REQUEST, why),
    };
    match store.facts(move |log| log.deliveries(&wanted)).await {
        Ok(found) => {
            let deliveries: Vec<Value> = found.iter().map(Delivery::view).collect();
            Answer::json(StatusCode::OK, &json!({ "deliveries": deliveries }))
        }
        Err(error) => Answer::problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn wanted(now: Timestamp, call: &Call) -> Result<Wanted, String> {
    let number = |name: &str| {
        let text = call.query(name);
        let number =
            text.map(|text| text.parse::<u32>().map_err(|_| format!("{name}: \"{text}\" is no number")));
        number.transpose()
    };
    let status = call.query("status").map(|word| {
        DeliveryStatus::of(word).ok_or_else(|| format!("status: \"{word}\" is none of those there are"))
    });
    let since = call.query("since").map(|text| {
        text.parse::<Timestamp>()
            .map_err(|_| format!("since: \"{text}\" is no time like 2030-01-31T18:00:00Z"))
    });
    let minutes = number("minutes")?.map(|minutes| now - Span::MINUTE * i64::from(minutes));
    let most = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST);
    Ok(Wanted {
        hook: call.query("hook").map(str::to_owned),
        status: status.transpose()?,
        since: since.transpose()?.or(minutes),
        most: most.clamp(1, MOST),
        newest_first: true,
        ..Wanted::default()
    })
}
