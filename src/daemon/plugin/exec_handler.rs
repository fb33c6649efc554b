//! Lets a program decide about events, in any language.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::daemon::clock::Clock;
use crate::engine::nominal_plan;
use crate::fact::{Draft, of_event};
use crate::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler, Timeline};
use crate::notice::Notice;
use crate::openadr::message::{EiEvent, OptType};
use crate::time::Span;

use super::conversation::CallFault;
use super::oneshot::OneShot;
use super::program_seat::{ProgramSeat, State};
use super::protocol::{Answer, is_unsupported, readable};

/// What a program that decides is asked.
pub(crate) const DECIDE: &str = "decide";
/// What a program is told, where its hello says that it wants to know.
pub(crate) const EVENT: &str = "event";
/// What it is told of an event it has acknowledged within this.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Decides as a program says.
///
/// Times in what is asked are those that the VTN has sent, without the random offset of the event; those of a running interval have
/// it.
#[derive(Debug)]
pub(crate) struct ExecHandler {
    pub(crate) asked: Asked,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
}

/// How the program is run.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It goes on running.
    Seat(ProgramSeat),
    /// Once for each question.
    Once(OneShot),
}

impl EventHandler for ExecHandler {
    async fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Decision {
        let (word, previous) = match change {
            Change::New => ("new", Value::Null),
            Change::Modified { old } => ("modified", Value::Object(of_event(&nominal_plan(&old)))),
        };
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let members = named([
            ("timeout_ms", json!(timeout_ms)),
            ("change", json!(word)),
            ("previous", previous),
            ("event", Value::Object(of_event(&nominal_plan(&event)))),
        ]);
        let answer = match &self.asked {
            Asked::Seat(seat) => seat.ask_at_once(DECIDE, members, self.timeout).await,
            Asked::Once(program) => program.ask(DECIDE, &members, self.timeout).await,
        };
        match answer.map_err(|fault| fault.to_string()).and_then(|answer| decision(&answer)) {
            Ok(decision) => decision,
            Err(why) => {
                tracing::warn!(event = %event.id(), "the default is answered: {why}");
                Decision::Undecided(why)
            }
        }
    }

    async fn on_near(&self, event: Arc<EiEvent>, timeline: Timeline) {
        self.tell(&Notice::EventNear { event, timeline }).await;
    }

    async fn on_start(&self, event: Arc<EiEvent>, late_by: Span) {
        let timeline = nominal_plan(&event).timeline;
        self.tell(&Notice::EventStarted { event, timeline, late_by }).await;
    }

    async fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) {
        let late_by = (self.clock.now().wall - interval.start).max(Span::ZERO);
        self.tell(&Notice::EventInterval { event, interval: Arc::new(interval), late_by }).await;
    }

    async fn on_end(&self, event: Arc<EiEvent>, why: EndReason) {
        let timeline = nominal_plan(&event).timeline;
        self.tell(&Notice::EventEnded { event, timeline, why }).await;
    }
}

impl ExecHandler {
    /// Tells something until it is acknowledged: again where the program has ended meanwhile, for as long as the caller waits.
    async fn tell(&self, notice: &Notice) {
        let draft = Draft::of(notice, self.clock.now().wall);
        let members = named([
            ("topic", json!(draft.topic)),
            ("subject", json!(draft.subject)),
            ("time", json!(draft.time)),
            ("data", Value::Object(draft.data)),
        ]);
        let told = match &self.asked {
            Asked::Seat(seat) => tell(seat.clone(), &members).await,
            Asked::Once(program) => program.ask(EVENT, &members, TOLD_WITHIN).await.map(drop),
        };
        match told {
            Ok(()) => {}
            // It has been told, and wants to know no more of it.
            Err(CallFault::Refused { why, .. }) if is_unsupported(&why) => {}
            Err(fault) => tracing::warn!("handler was not told that {notice}: {fault}"),
        }
    }
}

/// Tells a program something until it has acknowledged it, refused it, or is not started any more; one that wants no events is told
/// nothing.
pub(super) async fn tell(mut seat: ProgramSeat, members: &Answer) -> Result<(), CallFault> {
    loop {
        let gone = |why| CallFault::Gone { program: seat.name().to_owned(), why };
        let hello = match seat.state() {
            State::Stopped(why) => return Err(gone(why)),
            State::Starting => {
                seat.clone().started().await.map_err(gone)?;
                continue;
            }
            State::Running(hello) => hello,
        };
        if !hello.knows(EVENT) {
            return Ok(());
        }
        match seat.ask(EVENT, members.clone(), TOLD_WITHIN).await {
            // It has ended, or hangs and will be ended: the next is told.
            Err(CallFault::Late { .. } | CallFault::Gone { .. }) => {
                if seat.state() == State::Running(hello) {
                    seat.changed().await;
                }
            }
            told => return told.map(drop),
        }
    }
}

/// What a program has decided.
fn decision(answer: &Answer) -> Result<Decision, String> {
    let opt = match answer.get("opt").and_then(Value::as_str) {
        Some("optIn") => OptType::OptIn,
        Some("optOut") => OptType::OptOut,
        _ => {
            let found = answer.get("opt").map_or_else(|| "no opt".to_owned(), |opt| format!("the opt {opt}"));
            return Err(format!("the answer has {}; expected \"optIn\" or \"optOut\"", readable(&found)));
        }
    };
    let reason = answer.get("reason").and_then(Value::as_str).map(readable);
    Ok(reason.map_or(Decision::Opt(opt), |reason| Decision::Because(opt, reason)))
}

fn named<const N: usize>(members: [(&str, Value); N]) -> Answer {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
}
