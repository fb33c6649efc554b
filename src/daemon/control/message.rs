//! What is said over the socket, and what it means.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{Fulfilled, OptSchedule, Order, OrderError, ScheduleRecord};
use crate::openadr::message::{Available, Duration, OptReason, OptType, ResourceId};

use super::facts::Told;
use super::reports::ReportsLine;
use crate::daemon::status::Look;
use crate::hook::monitor::MonitorOptions;

/// What a person asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Changes a decision about an event, or about some resources of it.
    Opt {
        event: String,
        opt: OptWord,
        #[serde(default)]
        resources: Vec<String>,
    },
    ScheduleAdd(ScheduleWish),
    ScheduleList,
    ScheduleCancel {
        id: String,
    },
    /// Where the reports stand.
    Reports,
    /// Has hooks do something.
    Hooks(HooksRequest),
    /// How the VEN stands.
    Status,
    /// Reads the configuration anew.
    Reload,
    /// Has monitors do something.
    Monitors(MonitorsRequest),
    /// What happens.
    Facts(FactsRequest),
    /// Ends a plugin where it runs, and starts it again.
    RestartPlugin {
        plugin: String,
    },
}

/// What is for the monitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "monitors", rename_all = "kebab-case")]
pub(crate) enum MonitorsRequest {
    /// Those there are; with these topics, where some are named as in `event.*,opt.*`.
    Look {
        topics: Option<String>,
    },
    Show {
        id: u32,
    },
    /// A new one, that the bearer of the token of this name may read.
    Create {
        owner: String,
        options: MonitorOptions,
    },
    Delete {
        id: u32,
    },
    /// Where they are pushed.
    Where,
}

/// Whoever asks waits until something happens, for a few seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FactsRequest {
    /// Patterns.
    pub(crate) topics: Vec<String>,
    /// Behind this cursor; without one, nothing is told but the newest.
    #[serde(default)]
    pub(crate) after: Option<u64>,
}

/// What is for the hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hooks", rename_all = "kebab-case")]
pub(crate) enum HooksRequest {
    /// How they stand.
    Look,
    Pause {
        hook: String,
    },
    Resume {
        hook: String,
    },
    /// Waits no longer, and tells these facts again.
    Send {
        hook: String,
        #[serde(default)]
        again: Vec<u64>,
    },
}

/// A schedule of one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleWish {
    /// The VEN chooses where there is none.
    pub(crate) id: Option<String>,
    pub(crate) opt: OptWord,
    pub(crate) reason: Option<String>,
    pub(crate) market_context: Option<String>,
    #[serde(default)]
    pub(crate) resources: Vec<String>,
    pub(crate) start: String,
    /// None: for ever.
    pub(crate) seconds: Option<u32>,
}

/// In or out, as the standard spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum OptWord {
    #[serde(rename = "optIn")]
    #[value(name = "optIn")]
    In,
    #[serde(rename = "optOut")]
    #[value(name = "optOut")]
    Out,
}

/// What the VEN answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Response {
    /// The decision is changed; whether the VTN is told.
    Opted {
        told: bool,
    },
    /// The schedule is stored under this id, and the VTN is told as soon as it listens.
    ScheduleAdded {
        id: String,
    },
    /// The VTN is told as soon as it listens.
    ScheduleCancelled,
    Schedules {
        schedules: Vec<ScheduleLine>,
    },
    Reports(Box<ReportsLine>),
    Hooks {
        hooks: Vec<HookLine>,
    },
    Status(Box<Look>),
    /// The configuration in this file holds.
    Reloaded {
        file: String,
        /// What is different, a list in a line.
        changes: String,
        /// What should be put right all the same.
        warnings: Vec<String>,
    },
    /// The configuration has faults, each a line; the old one goes on.
    Rejected {
        faults: Vec<String>,
    },
    /// As the local API shows them.
    Monitors {
        monitors: Vec<Value>,
    },
    /// Addresses that monitors are pushed at.
    Pushed {
        tcp: Option<String>,
        tls: Option<String>,
    },
    /// What happened, and the cursor behind it.
    Facts {
        told: Vec<Told>,
        cursor: u64,
    },
    /// It is done, or will be soon.
    Ordered,
    /// Nothing was done.
    Error {
        why: String,
    },
}

/// One schedule in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScheduleLine {
    pub(crate) id: String,
    pub(crate) opt: String,
    pub(crate) reason: String,
    pub(crate) market_context: Option<String>,
    pub(crate) resources: Vec<String>,
    /// Start and duration of each period.
    pub(crate) periods: Vec<[String; 2]>,
    /// It stands in the configuration.
    pub(crate) configured: bool,
    /// The VTN has still to be told.
    pub(crate) owed: bool,
}

impl Response {
    /// Whether what was ordered of hooks is done, or will be.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub(crate) fn ordered(self) -> Result<(), String> {
        if self == Self::Ordered { Ok(()) } else { Err(self.amiss()) }
    }

    /// What to say of an answer to another question: why nothing was done, where it says that.
    pub(crate) fn amiss(self) -> String {
        if let Self::Error { why } = self { why } else { "the VEN has answered something else".to_owned() }
    }
}

/// How one hook stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookLine {
    pub(crate) name: String,
    /// running, failing, paused, disabled.
    pub(crate) state: String,
    /// What waits.
    pub(crate) waiting: usize,
    /// Since when that waits which waits longest.
    pub(crate) oldest: Option<String>,
    /// Since the VEN started.
    pub(crate) sent: u64,
    /// Since the VEN started: given up for any reason.
    pub(crate) lost: u64,
    /// The same by reason: dead, unsaid, expired, full, `too_large`, superseded.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// When a failing one is tried again.
    pub(crate) next: Option<String>,
    /// What the last try that failed said.
    pub(crate) fault: Option<String>,
}

impl From<OptWord> for OptType {
    fn from(word: OptWord) -> Self {
        match word {
            OptWord::In => Self::OptIn,
            OptWord::Out => Self::OptOut,
        }
    }
}

fn resources(names: Vec<String>) -> Vec<ResourceId> {
    names.into_iter().map(ResourceId::from).collect()
}

/// Who does what is asked.
#[derive(Debug)]
pub(super) enum Asked {
    Engine(Order),
    Hooks(HooksRequest),
    Status,
    Reload,
    Monitors(MonitorsRequest),
    Facts(FactsRequest),
    RestartPlugin(String),
}

impl TryFrom<Request> for Asked {
    type Error = String;

    fn try_from(request: Request) -> Result<Self, String> {
        Ok(Self::Engine(match request {
            Request::Hooks(request) => return Ok(Self::Hooks(request)),
            Request::Status => return Ok(Self::Status),
            Request::Reload => return Ok(Self::Reload),
            Request::Monitors(request) => return Ok(Self::Monitors(request)),
            Request::Facts(request) => return Ok(Self::Facts(request)),
            Request::RestartPlugin { plugin } => return Ok(Self::RestartPlugin(plugin)),
            Request::Opt { event, opt, resources: names } => {
                Order::Opt { event: event.into(), opt: opt.into(), resources: resources(names) }
            }
            Request::ScheduleAdd(wish) => Order::Schedule(wish.try_into()?),
            Request::ScheduleList => Order::Schedules,
            Request::ScheduleCancel { id } => Order::CancelSchedule(id.into()),
            Request::Reports => Order::Reports,
        }))
    }
}

impl TryFrom<ScheduleWish> for OptSchedule {
    type Error = String;

    fn try_from(wish: ScheduleWish) -> Result<Self, String> {
        let start = wish
            .start
            .parse()
            .map_err(|_| format!("expected a start like 2030-01-31T18:00:00Z, found \"{}\"", wish.start))?;
        let reason = wish.reason.as_deref().map_or(OptReason::Schedule, OptReason::from_token);
        if let OptReason::Other(text) = &reason
            && !text.starts_with("x-")
        {
            let known: Vec<_> = OptReason::ALL.iter().map(OptReason::as_str).collect();
            return Err(format!("expected a reason of {}, or x-..., found \"{text}\"", known.join(", ")));
        }
        let duration = wish.seconds.map_or(Duration::ZERO, |seconds| Duration::from_seconds(seconds.into()));
        if wish.seconds == Some(0) {
            return Err("a duration of nothing means for ever (rule 210); leave it out then".into());
        }
        Ok(Self {
            id: wish.id.unwrap_or_default().into(),
            opt: wish.opt.into(),
            reason,
            market_context: wish.market_context.map(Into::into),
            resources: resources(wish.resources),
            periods: vec![Available { start, duration }],
        })
    }
}

impl From<Result<Fulfilled, OrderError>> for Response {
    fn from(answer: Result<Fulfilled, OrderError>) -> Self {
        match answer {
            Ok(Fulfilled::Opted { told }) => Self::Opted { told },
            Ok(Fulfilled::Scheduled(id)) => Self::ScheduleAdded { id: id.to_string() },
            Ok(Fulfilled::ScheduleCancelled) => Self::ScheduleCancelled,
            Ok(Fulfilled::Schedules(records)) => {
                Self::Schedules { schedules: records.into_iter().map(Into::into).collect() }
            }
            Ok(Fulfilled::Reports(state)) => Self::Reports(Box::new((*state).into())),
            Err(error) => Self::Error { why: error.to_string() },
        }
    }
}

impl From<ScheduleRecord> for ScheduleLine {
    fn from(record: ScheduleRecord) -> Self {
        let schedule = record.schedule;
        let pair = |period: &Available| [period.start.to_string(), period.duration.to_string()];
        Self {
            id: schedule.id.to_string(),
            opt: schedule.opt.to_string(),
            reason: schedule.reason.to_string(),
            market_context: schedule.market_context.map(|context| context.to_string()),
            resources: schedule.resources.iter().map(ResourceId::to_string).collect(),
            periods: schedule.periods.iter().map(pair).collect(),
            configured: record.configured,
            owed: record.cancel.is_some() || record.create.is_some(),
        }
    }
}
