//! Knows how the VEN stands, from nothing but what it tells.
//!
//! ```text
//! notices, facts -> keeper -> Status -> /v1/status, /readyz, /metrics, ven status
//! ```
//!
//! Nobody who looks ever asks the engine, so nobody who looks can make it wait.

mod event;
mod fact;
mod keeper;
mod notice;
#[cfg(test)]
pub(in crate::daemon) mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

use super::outbox::View;

pub(crate) use event::EventStatus;
pub(crate) use keeper::{Board, keep};

/// Topics that are counted one by one; the others are counted together.
const MOST_TOPICS: usize = 256;

/// How the VEN stands. Members that are not known yet are `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) ven: VenStatus,
    pub(crate) vtn: VtnStatus,
    pub(crate) registration: RegistrationStatus,
    /// Events that run or are to come, by their eventID.
    pub(crate) events: BTreeMap<String, EventStatus>,
    pub(crate) meters: BTreeMap<String, MeterStatus>,
    pub(crate) reports: ReportsStatus,
    pub(crate) store: StoreStatus,
    /// Certificates of ours that expire soon, or have, by their files.
    pub(crate) certificates: BTreeMap<String, CertificateStatus>,
    pub(crate) hooks: BTreeMap<String, HookStatus>,
    pub(crate) plugins: BTreeMap<String, PluginStatus>,
    pub(crate) bus: BusStatus,
}

/// Who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VenStatus {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Our venID, as the VTN gave it to us.
    pub(crate) id: Option<String>,
}

/// The VTN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VtnStatus {
    pub(crate) url: String,
    /// Its vtnID.
    pub(crate) id: Option<String>,
    /// It pushes; otherwise we poll.
    pub(crate) pushes: bool,
    /// The time between polls.
    pub(crate) poll_seconds: Option<i64>,
    pub(crate) last_poll: Option<Timestamp>,
    /// Exchanges succeed.
    pub(crate) connected: Option<bool>,
    /// Why they do not.
    pub(crate) why: Option<String>,
}

/// Our registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistrationStatus {
    /// Its registrationID, where we are registered.
    pub(crate) id: Option<String>,
    /// Why we are not.
    pub(crate) why: Option<String>,
}

/// A meter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MeterStatus {
    pub(crate) online: Option<bool>,
    /// Why it is not.
    pub(crate) why: Option<String>,
    pub(crate) last: Option<ReadingStatus>,
    /// Good readings since the VEN started.
    pub(crate) readings: u64,
    /// Telegrams that were refused since then, as far as they were told.
    pub(crate) rejected: u64,
}

/// What a meter said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadingStatus {
    pub(crate) at: Timestamp,
    pub(crate) serial: Option<String>,
    pub(crate) quality: String,
    /// Decimals as texts, by names that end in their unit.
    pub(crate) values: BTreeMap<String, String>,
    /// In one line, for people.
    pub(crate) summary: String,
}

/// Reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportsStatus {
    /// Data points that the VTN has been told of since the VEN started.
    pub(crate) points: Option<usize>,
    /// What the VTN has asked for, by reportRequestID.
    pub(crate) requests: BTreeMap<String, RequestStatus>,
    /// Reports that the VTN has taken since the VEN started.
    pub(crate) delivered: u64,
    /// Reports that were dropped since then.
    pub(crate) dropped: u64,
    /// Sources that bring no values, and why.
    pub(crate) failing_sources: BTreeMap<String, String>,
}

/// A request for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestStatus {
    pub(crate) specifier: String,
    pub(crate) points: Vec<String>,
    pub(crate) step_seconds: i64,
    /// The time between reports; zero: once.
    pub(crate) every_seconds: i64,
    pub(crate) last_delivered: Option<Timestamp>,
}

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreStatus {
    pub(crate) failing: bool,
    pub(crate) why: Option<String>,
    /// There is hardly any room on its disk, or none.
    pub(crate) disk_low: Option<String>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateStatus {
    pub(crate) until: Timestamp,
    pub(crate) expired: bool,
}

/// A hook, as far as it has told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookStatus {
    pub(crate) failing: bool,
    /// It tells nothing until it is resumed.
    pub(crate) disabled: bool,
    pub(crate) why: Option<String>,
    /// What waits.
    pub(crate) waiting: u64,
    /// Since when that waits which waits longest.
    pub(crate) oldest: Option<Timestamp>,
    /// Facts that were delivered since the VEN started.
    pub(crate) sent: u64,
    /// Facts that it has given up.
    pub(crate) given_up: u64,
    /// Facts that were not delivered and never will be, by cause.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// A plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginStatus {
    pub(crate) running: bool,
    /// It is not started any more.
    pub(crate) failed: bool,
    pub(crate) why: Option<String>,
    /// As `plugin.started` says it: `exec`, `rust`; `None`: it has not run yet.
    pub(crate) kind: Option<String>,
    /// When it came to run, to end or to fail.
    pub(crate) since: Option<Timestamp>,
    /// Since the VEN started.
    pub(crate) starts: u64,
    /// Why it has ended or failed last.
    pub(crate) last_error: Option<String>,
}

/// The log of facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BusStatus {
    /// The place of the newest fact.
    pub(crate) newest: u64,
    /// Facts that were lost before they had a place.
    pub(crate) dropped: u64,
    /// Facts since the VEN started, by topic.
    pub(crate) facts: BTreeMap<String, u64>,
    /// Notices and facts that this status has missed, so that it may be wrong.
    pub(crate) missed: u64,
}

impl HookStatus {
    /// As the hook shows itself, which is exact.
    fn show(&mut self, view: View) {
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        self.waiting = count(view.control.items).saturating_add(count(view.meter.items));
        (self.oldest, self.sent) = (view.oldest, view.sent);
        (self.failing, self.disabled) = (view.standing.failures > 0, view.standing.disabled);
        self.why = view.last_fault.filter(|_| self.failing || self.disabled);
        let losses = view.losses.by_reason();
        self.given_up = view.losses.dead;
        self.dropped = losses.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
        // That is told by itself.
        self.dropped.remove("dead");
    }
}

impl Status {
    /// Why the VEN does not do what it is there for; none: it does.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let why = |why: &Option<String>| why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let mut reasons = Vec::new();
        if self.registration.id.is_none() {
            reasons.push(format!("not registered at the VTN{}", why(&self.registration.why)));
        }
        if self.vtn.connected == Some(false) {
            reasons.push(format!("the VTN is away{}", why(&self.vtn.why)));
        }
        if self.store.failing {
            reasons.push(format!("the store fails{}", why(&self.store.why)));
        }
        if let Some(low) = &self.store.disk_low {
            reasons.push(format!("the disk is low: {low}"));
        }
        let expired = self.certificates.iter().filter(|(_, certificate)| certificate.expired);
        reasons.extend(expired.map(|(file, _)| format!("certificate {file} has expired")));
        let offline = self.meters.iter().filter(|(_, meter)| meter.online == Some(false));
        reasons.extend(offline.map(|(name, meter)| format!("meter {name} is offline{}", why(&meter.why))));
        for (name, hook) in &self.hooks {
            if hook.disabled {
                reasons.push(format!("hook {name} is disabled{}", why(&hook.why)));
            } else if hook.failing {
                reasons.push(format!("hook {name} fails{}", why(&hook.why)));
            }
        }
        let failed = self.plugins.iter().filter(|(_, plugin)| plugin.failed);
        reasons.extend(failed.map(|(name, plugin)| format!("plugin {name} has failed{}", why(&plugin.why))));
        reasons
    }
}

/// A status, and what can be known only when somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) at: Timestamp,
    pub(crate) uptime_seconds: i64,
    /// What the program takes of the memory; `None` where the system does not say.
    pub(crate) resident_bytes: Option<u64>,
    /// It does what it is there for.
    pub(crate) ready: bool,
    /// Why it does not.
    pub(crate) reasons: Vec<String>,
    #[serde(flatten)]
    pub(crate) status: Status,
}
