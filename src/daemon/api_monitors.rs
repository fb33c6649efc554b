//! The routes of monitors: who wants to know what happens makes one, and reads it by cursor or as a stream.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use crate::config::Scope;
use crate::hook::monitor::{MonitorOptions, MonitorSettings};
use crate::hook::render::VenNames;

use super::http::Route;
use super::http::answer::{Answer, Stream};
use super::http::call::Call;
use super::monitor::http::{
    Events, HEARTBEAT, MOST_EVENTS, SSE_HEARTBEAT, events, list, ndjson, reader, sse, view,
};
use super::monitor::{MonitorFault, Monitors, Reader, State};
use super::outbox::Ground;
use super::status::Board;

/// Nobody is kept waiting longer for what may happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Facts that are sent at once.
const PIECE: usize = 100;

const OPTIONS: &[&str] = &["application/json"];
const UNKNOWN: (u16, &str) = (404, "there is no such monitor of yours");
const BAD: (u16, &str) = (400, "what is wrong, each option with what it may be");
const CONFIGURED: (u16, &str) = (409, "it stands in the configuration, and is changed there");
const PATH: &str = "/v1/monitors/{id}";

/// What the routes stand on.
#[derive(Clone)]
struct Desk {
    monitors: Monitors,
    names: watch::Receiver<VenNames>,
    board: Board,
}

/// The routes of monitors.
pub(super) fn routes(monitors: Monitors, ground: &Ground) -> Vec<Route> {
    let desk = Desk { monitors, names: ground.names.clone(), board: ground.board.clone() };
    let mut routes = changing(&desk);
    routes.extend(reading(&desk));
    routes
}

fn route<F>(
    desk: &Desk,
    method: Method,
    path: &str,
    about: &str,
    handler: impl Fn(Desk, Call) -> F + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Answer> + Send + 'static,
{
    let desk = desk.clone();
    Route::new(method, path, Some(Scope::Monitors), about, move |call| handler(desk.clone(), call))
}

fn changing(desk: &Desk) -> Vec<Route> {
    vec![
        route(
            desk,
            Method::POST,
            "/v1/monitors",
            "Makes a monitor, which tells what happens from now on",
            create,
        )
        .takes(OPTIONS)
        .answers(&[(201, "it is there; Location says where"), BAD, (503, "there are too many")]),
        route(desk, Method::PUT, PATH, "Gives a monitor other options; a session of it ends", change)
            .takes(OPTIONS)
            .answers(&[(200, "it is changed"), BAD, UNKNOWN, CONFIGURED]),
        route(desk, Method::DELETE, PATH, "Ends a monitor", delete).gives("").answers(&[
            (204, "it is no more"),
            UNKNOWN,
            CONFIGURED,
        ]),
    ]
}

fn reading(desk: &Desk) -> Vec<Route> {
    vec![
        route(desk, Method::GET, "/v1/monitors", "The monitors there are", |desk, call| async move {
            let all = list(&desk.monitors, owner(&call), call.query("topics"));
            Answer::json(StatusCode::OK, &json!({ "monitors": all }))
        })
        .query(&[("topics", "only those with these topics, as event.*,opt.*")]),
        route(desk, Method::GET, PATH, "One monitor", |desk, call| async move {
            let found = id(&call).and_then(|id| Ok(desk.monitors.get(owner(&call), id)?));
            found
                .map_or_else(answer_of, |record| Answer::json(StatusCode::OK, &view(&desk.monitors, &record)))
        })
        .answers(&[(200, "as asked"), UNKNOWN]),
        route(desk, Method::GET, "/v1/monitors/{id}/events", "What happened behind a cursor", read)
            .query(&[
                ("cursor", "where the last answer ended; without it, where the monitor is"),
                ("limit", "so many at most, 1 to 1000"),
                ("wait", "seconds to wait for something to happen, up to 60"),
            ])
            .answers(&[
                (200, "events as CloudEvents, and the cursor behind them"),
                BAD,
                UNKNOWN,
                (410, "the cursor is of facts that are not kept any more; oldest is where reading goes on"),
            ])
            .within(LONGEST_WAIT + Duration::from_secs(10)),
        route(desk, Method::GET, "/v1/monitors/{id}/stream", "What happens, as it happens", stream)
            .query(&[
                ("cursor", "where to begin; Last-Event-ID goes before it"),
                (
                    "state",
                    "true: how things stand now comes first, as an event of type monitor.state with the events, the VTN and the meters \
                     that the topics tell of, and then what happens after that; where a place to begin is named, it is of no effect",
                ),
            ])
            .gives("text/event-stream")
            .answers(&[
                (
                    200,
                    "server-sent events, or lines of JSON where that is asked for by Accept; as gzip where that is taken",
                ),
                BAD,
                UNKNOWN,
            ]),
    ]
}

/// Why there is no answer as asked.
enum Fault {
    Monitor(MonitorFault),
    Asked(String),
}

impl From<MonitorFault> for Fault {
    fn from(fault: MonitorFault) -> Self {
        Self::Monitor(fault)
    }
}

fn answer_of(fault: Fault) -> Answer {
    let (status, why) = match fault {
        Fault::Asked(why) => (StatusCode::BAD_REQUEST, why),
        Fault::Monitor(fault) => {
            let status = match fault {
                MonitorFault::Unknown(_) => StatusCode::NOT_FOUND,
                MonitorFault::Configured(_) => StatusCode::CONFLICT,
                MonitorFault::Full | MonitorFault::Busy | MonitorFault::Store(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (status, fault.to_string())
        }
    };
    Answer::problem(status, why)
}

/// Whose monitors may be seen; `None`: all, where nobody needs a token.
fn owner(call: &Call) -> Option<&str> {
    call.who.name()
}

fn id(call: &Call) -> Result<u32, Fault> {
    let text = call.parameter("id");
    text.parse().map_err(|_| Fault::Asked(format!("\"{text}\" is no number of a monitor")))
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, Fault> {
    let Some(text) = call.query(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::Asked(format!("{name}: \"{text}\" is no number")))
}

fn flag(call: &Call, name: &str) -> Result<bool, Fault> {
    match call.query(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => Err(Fault::Asked(format!("{name}: expected true or false, found \"{text}\""))),
    }
}

fn settings(call: &Call) -> Result<MonitorSettings, Answer> {
    let options: MonitorOptions = call.json()?;
    MonitorSettings::read(&options)
        .map_err(|faults| Answer::problem(StatusCode::BAD_REQUEST, faults.join("; ")))
}

async fn create(desk: Desk, call: Call) -> Answer {
    let settings = match settings(&call) {
        Ok(settings) => settings,
        Err(answer) => return answer,
    };
    match desk.monitors.create(owner(&call).unwrap_or_default().to_owned(), settings).await {
        Err(fault) => answer_of(fault.into()),
        Ok(record) => {
            let answer = Answer::json(StatusCode::CREATED, &view(&desk.monitors, &record));
            let place = hyper::header::HeaderValue::from_str(&format!("/v1/monitors/{}", record.id));
            match place {
                Ok(place) => answer.with(hyper::header::LOCATION, place),
                Err(_) => answer,
            }
        }
    }
}

async fn change(desk: Desk, call: Call) -> Answer {
    let settings = match settings(&call) {
        Ok(settings) => settings,
        Err(answer) => return answer,
    };
    let changed = match id(&call) {
        Ok(id) => desk.monitors.change(owner(&call), id, settings).await.map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    changed.map_or_else(answer_of, |record| Answer::json(StatusCode::OK, &view(&desk.monitors, &record)))
}

async fn delete(desk: Desk, call: Call) -> Answer {
    let deleted = match id(&call) {
        Ok(id) => desk.monitors.delete(owner(&call), id).await.map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    deleted.map_or_else(answer_of, |()| Answer::empty(StatusCode::NO_CONTENT))
}

fn reader_of(desk: &Desk, call: &Call, cursor: Option<u64>) -> Result<Reader, Fault> {
    Ok(reader(&desk.monitors, owner(call), id(call)?, cursor)?)
}

async fn read(desk: Desk, call: Call) -> Answer {
    let asked = || {
        let (limit, wait) = (number(&call, "limit")?, number(&call, "wait")?);
        Ok((reader_of(&desk, &call, number(&call, "cursor")?)?, limit, wait))
    };
    let (mut reader, limit, wait) = match asked() {
        Ok(asked) => asked,
        Err(fault) => return answer_of(fault),
    };
    // Who goes on at a cursor has everything before it.
    if let (Ok(id), Ok(Some(cursor))) = (id(&call), number(&call, "cursor"))
        && let Err(error) = desk.monitors.acked(id, cursor).await
    {
        return Answer::problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    }
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST_EVENTS);
    let wait = Duration::from_secs(wait.unwrap_or(0)).min(LONGEST_WAIT);
    let names = desk.names.borrow().clone();
    match events(&mut reader, most, wait, &names).await {
        Ok(Events::Read { events, cursor }) => {
            Answer::json(StatusCode::OK, &json!({ "events": events, "cursor": cursor }))
        }
        Ok(Events::Gone { gap, oldest }) => {
            Answer::json(StatusCode::GONE, &json!({ "gap": gap, "oldest": oldest }))
        }
        Err(error) => Answer::problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn stream(desk: Desk, call: Call) -> Answer {
    let last = call.headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let asked = || {
        let place = last.or(number(&call, "cursor")?);
        let state = if place.is_none() && flag(&call, "state")? { Some(state(&desk, &call)?) } else { None };
        let place = place.or_else(|| state.as_ref().map(|state| state.place));
        Ok((reader_of(&desk, &call, place)?, state))
    };
    let (reader, state) = match asked() {
        Ok(asked) => asked,
        Err(fault) => return answer_of(fault),
    };
    let accept = call.headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = accept.contains("application/x-ndjson");
    let content_type = if lines { "application/x-ndjson" } else { "text/event-stream" };
    let (answer, mut stream) = Answer::stream(content_type, call.takes_gzip());
    let admission = call.admission;
    tokio::spawn(async move {
        let told = async {
            let first = state.map(|state| if lines { state.ndjson() } else { state.sse() });
            if let Some(first) = first
                && stream.send(first).await.is_err()
            {
                return;
            }
            pour(reader, &mut stream, desk.names, lines).await;
        };
        tokio::select! {
            // Who may still read goes on where this has ended.
            () = admission.over() => {}
            () = told => {}
        }
        stream.finish().await;
    });
    answer
}

/// How things stand, as far as a monitor tells of them.
fn state(desk: &Desk, call: &Call) -> Result<State, Fault> {
    let monitor = desk.monitors.get(owner(call), id(call)?)?;
    Ok(State::of(&desk.board.look(), &monitor.settings.topics, &desk.names.borrow()))
}

/// Until the reader is gone.
async fn pour(mut reader: Reader, stream: &mut Stream, names: watch::Receiver<VenNames>, lines: bool) {
    loop {
        let found = tokio::select! {
            () = stream.closed() => return,
            found = tokio::time::timeout(HEARTBEAT, reader.next(PIECE)) => found,
        };
        let piece = match found {
            Ok(Ok(found)) => {
                let names = names.borrow().clone();
                let write = if lines { ndjson } else { sse };
                // One after the other: all of them at once would be much to hold for a reader that is slow.
                for found in &found {
                    if stream.send(write(found, &names)).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            Ok(Err(error)) => {
                tracing::warn!("a stream of the local API ends: {error}");
                return;
            }
            Err(_) if lines => "\n".to_owned(),
            Err(_) => SSE_HEARTBEAT.to_owned(),
        };
        if stream.send(piece).await.is_err() {
            return;
        }
    }
}
