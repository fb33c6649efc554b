//! Tells a program what happens, in the order in which it happened, and lets it serve paths of the local API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::daemon::bus::Bus;
use crate::fact::topic::own::TICK;
use crate::fact::{Fact, Topics};
use crate::plugin::{Request, Response, Route};

use super::conversation::CallFault;
use super::exec_handler::EVENT;
use super::program_seat::{ProgramSeat, State};
use super::protocol::{Answer, Hello, is_unsupported};
use super::reader::Reader;
use super::rust_seat::RustSeat;

/// Facts that have been told and are not acknowledged yet.
const IN_FLIGHT: usize = 16;
/// A fact is acknowledged within this.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
/// A fact that the plugin refuses is told so often.
const TRIES: u32 = 3;
/// Between two tries of a fact that it refuses.
const PAUSE: Duration = Duration::from_millis(500);
/// A path is answered within this.
pub(super) const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// What a path is asked with.
const HTTP: &str = "http";
/// What a plugin that is a source of reports is asked.
pub(crate) const REPORT_READ: &str = "report.read";

/// A program that is told what happens.
pub(crate) struct ExecPlugin {
    pub(crate) seat: ProgramSeat,
    pub(crate) bus: Bus,
    /// `None`: those of its hello.
    pub(crate) topics: Option<Topics>,
}

impl ExecPlugin {
    /// Tells what happens from now on, for as long as anybody keeps the program; one that is not started any more is told the rest
    /// when it is started after all.
    pub(crate) async fn run(mut self) {
        let mut newest = self.bus.newest();
        let mut reader = Reader::new(self.seat.name(), &self.bus);
        let mut told = JoinSet::new();
        loop {
            let Some(hello) = self.seat.runs().await else { return };
            let topics = self.topics(&hello);
            while let Some(fact) = reader.next(&topics) {
                while told.try_join_next().is_some() {}
                if fact.topic == TICK.name && !told.is_empty() {
                    continue;
                }
                while told.len() >= IN_FLIGHT {
                    told.join_next().await;
                }
                // Asked here and not in a task of its own, so that it is told in its turn.
                let first = self.seat.ask(EVENT, question(&fact), TOLD_WITHIN);
                told.spawn(deliver(self.seat.clone(), fact, first));
            }
            tokio::select! {
                changed = newest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = self.seat.changed() => {}
                Some(_) = told.join_next() => {}
            }
        }
    }

    /// What it is told; what its hello says wrongly is logged.
    fn topics(&self, hello: &Hello) -> Topics {
        if !hello.knows(EVENT) {
            return Topics::default();
        }
        if let Some(topics) = &self.topics {
            return topics.clone();
        }
        Topics::parse(hello.topics.iter().map(String::as_str)).unwrap_or_else(|error| {
            tracing::error!(
                plugin = self.seat.name(),
                "the topics of its hello: {error}; it is told nothing"
            );
            Topics::default()
        })
    }
}

/// Tells a fact until it is acknowledged: again where the program has ended meanwhile, or has refused it.
pub(super) async fn deliver(
    mut seat: ProgramSeat,
    fact: Arc<Fact>,
    first: impl Future<Output = Result<Answer, CallFault>>,
) {
    let mut told = first.await;
    let mut refused = 0;
    loop {
        match told {
            Ok(_) => return,
            Err(CallFault::Refused { why, .. }) if is_unsupported(&why) => return,
            Err(fault @ CallFault::Refused { .. }) => {
                refused += 1;
                if refused == TRIES {
                    return tracing::warn!("fact {} ({}) is given up: {fault}", fact.seq, fact.topic);
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(fault @ CallFault::TooLong { .. }) => {
                return tracing::warn!("fact {} ({}) is given up: {fault}", fact.seq, fact.topic);
            }
            Err(CallFault::Busy { .. }) => tokio::time::sleep(PAUSE).await,
            Err(CallFault::Late { .. } | CallFault::Gone { .. }) => {}
        }
        if seat.runs().await.is_none() {
            return;
        }
        told = seat.ask(EVENT, question(&fact), TOLD_WITHIN).await;
    }
}

pub(super) fn question(fact: &Fact) -> Answer {
    let members = [
        ("topic", json!(fact.topic)),
        ("fact_id", json!(fact.id)),
        ("seq", json!(fact.seq)),
        ("subject", json!(fact.subject)),
        ("time", json!(fact.time)),
        ("data", Value::Object(fact.data.clone())),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
}

/// The plugins that run, by their names; clones have the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plugins {
    seats: Arc<Mutex<BTreeMap<String, ProgramSeat>>>,
    /// Those that the program which embeds us brings.
    brought: BTreeMap<String, RustSeat>,
}

/// Why a plugin serves nothing, and the status of HTTP that says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotServed {
    /// 404.
    #[error("there is no plugin {0}")]
    NoPlugin(String),
    /// 404.
    #[error("plugin {plugin} serves no {method} {path}")]
    NoRoute { plugin: String, method: String, path: String },
    /// 504.
    #[error("{0}")]
    Late(CallFault),
    /// 502.
    #[error("{0}")]
    Failed(String),
}

impl Plugins {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, ProgramSeat>> {
        // Nothing is done under this lock that could leave it half done.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These, and those that the program which embeds us brings.
    pub(crate) fn with(self, brought: Vec<RustSeat>) -> Self {
        let brought = brought.into_iter().map(|seat| (seat.name().to_owned(), seat)).collect();
        Self { brought, ..self }
    }

    pub(crate) fn add(&self, seat: ProgramSeat) {
        self.seats().insert(seat.name().to_owned(), seat);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.seats().remove(name);
    }

    /// How each is.
    pub(crate) fn states(&self) -> BTreeMap<String, State> {
        let programs: Vec<_> = self.seats().iter().map(|(name, seat)| (name.clone(), seat.state())).collect();
        let brought = self.brought.iter().map(|(name, seat)| (name.clone(), seat.state()));
        programs.into_iter().chain(brought).collect()
    }

    /// Starts one again, though it has been given up.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub(crate) fn restart(&self, plugin: &str) -> Result<(), NotServed> {
        if let Some(seat) = self.brought.get(plugin) {
            seat.restart();
            return Ok(());
        }
        let seat = self.seats().get(plugin).cloned().ok_or_else(|| NotServed::NoPlugin(plugin.to_owned()))?;
        seat.restart();
        Ok(())
    }

    /// What a plugin serves.
    pub(crate) fn routes(&self, plugin: &str) -> Vec<Route> {
        if let Some(seat) = self.brought.get(plugin) {
            return seat.routes().to_vec();
        }
        match self.seats().get(plugin).map(ProgramSeat::state) {
            Some(State::Running(hello)) => hello.routes.clone(),
            Some(State::Starting | State::Stopped(_)) | None => Vec::new(),
        }
    }

    /// Asks a plugin for values of a report, and waits so long for them.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub(crate) async fn read_report(
        &self,
        plugin: &str,
        members: Answer,
        within: Duration,
    ) -> Result<Answer, String> {
        let seat = self.seats().get(plugin).cloned().ok_or_else(|| format!("there is no plugin {plugin}"))?;
        if let State::Running(hello) = seat.state()
            && !hello.knows(REPORT_READ)
        {
            return Err(format!(
                "plugin {plugin} is no source: the kinds of its hello have no \"{REPORT_READ}\""
            ));
        }
        seat.ask_at_once(REPORT_READ, members, within).await.map_err(|fault| fault.to_string())
    }

    /// Lets a plugin serve a path that it names.
    ///
    /// # Errors
    ///
    /// Where it does not, or not in time.
    pub(crate) async fn call(&self, plugin: &str, asks: Request) -> Result<Response, NotServed> {
        let same = |route: &Route| {
            route.method.eq_ignore_ascii_case(&asks.method) && route.path.trim_start_matches('/') == asks.path
        };
        let has_it = self.routes(plugin).iter().any(same);
        if has_it && let Some(seat) = self.brought.get(plugin) {
            return seat.answer(asks).await;
        }
        let Request { method, path, query, body } = asks;
        let seat = self.seats().get(plugin).cloned();
        if !has_it && (seat.is_some() || self.brought.contains_key(plugin)) {
            return Err(NotServed::NoRoute { plugin: plugin.to_owned(), method, path });
        }
        let seat = seat.ok_or_else(|| NotServed::NoPlugin(plugin.to_owned()))?;
        let members = [("method", method), ("path", path), ("query", query), ("body", body)];
        let members = members.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text)));
        match seat.ask_at_once(HTTP, members.collect(), SERVED_WITHIN).await {
            Ok(answer) => served(&answer),
            Err(fault @ CallFault::Late { .. }) => Err(NotServed::Late(fault)),
            Err(fault) => Err(NotServed::Failed(fault.to_string())),
        }
    }
}

/// Reads `{"status":200,"content_type":"text/plain","body":"..."}`; a body that is no text is sent as JSON.
fn served(answer: &Answer) -> Result<Response, NotServed> {
    let status = answer.get("status").map_or(Some(200), Value::as_u64);
    // What is no number, or too high, is none that there is.
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    let (body, usual) = match answer.get("body") {
        None | Some(Value::Null) => (String::new(), "text/plain; charset=utf-8"),
        Some(Value::String(text)) => (text.clone(), "text/plain; charset=utf-8"),
        Some(other) => (other.to_string(), "application/json"),
    };
    let content_type = answer.get("content_type").and_then(Value::as_str).unwrap_or(usual);
    checked(Response { status, content_type: content_type.to_owned(), body })
}

/// An answer as it can be sent on.
pub(super) fn checked(response: Response) -> Result<Response, NotServed> {
    if !(200..600).contains(&response.status) {
        return Err(NotServed::Failed("its answer has a status that is none of HTTP".to_owned()));
    }
    // It stands in a header.
    if !response.content_type.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(NotServed::Failed("its answer has a content_type that is none".to_owned()));
    }
    Ok(response)
}
