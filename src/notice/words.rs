//! What notices say to people, one line each.

use std::fmt;

use crate::openadr::message::{RId, ResourceId};

use super::{DecidedBy, Notice, ReportEnd};

impl fmt::Display for Notice {
    /// One line, for people.
    #[expect(clippy::too_many_lines, reason = "it is a list, one line for each notice")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { ven_id, vtn_id, renewed, poll, .. } => {
                let again = if *renewed { " again" } else { "" };
                write!(f, "registered{again} at VTN {vtn_id} as {ven_id}, ")?;
                match poll {
                    Some(poll) => write!(f, "polling every {poll}"),
                    None => f.write_str("which pushes"),
                }
            }
            Self::RegistrationRefused { code, why, retry_in } => {
                write!(f, "registration refused: {code} {why}; trying again in {retry_in}")
            }
            Self::ReregistrationRequested => f.write_str("the VTN wants us to register again"),
            Self::RegistrationCancelled { by_vtn, retry_in } => {
                let who = if *by_vtn { "the VTN" } else { "us" };
                write!(f, "registration cancelled by {who}")?;
                retry_in.map_or(Ok(()), |retry_in| write!(f, "; trying again in {retry_in}"))
            }
            Self::VtnAway { why, retry_in, .. } => {
                write!(f, "VTN is away: {why}; trying again in {retry_in}")
            }
            Self::VtnBack { after } => write!(f, "VTN is back after {after}"),
            Self::MessageRefused { message, why, .. } => write!(f, "VTN refused {message}: {why}"),
            Self::MessageRejected { why, .. } => write!(f, "message of the VTN rejected: {why}"),
            Self::Started { lost, off_since } => {
                write!(f, "version {} runs", env!("CARGO_PKG_VERSION"))?;
                off_since.map_or(Ok(()), |at| write!(f, ", and last told something at {at}"))?;
                if *lost { f.write_str("; what was stored is lost, and it begins anew") } else { Ok(()) }
            }
            Self::Stopping { why } => write!(f, "stopping: {why}"),
            Self::ClockJumped { from, to } => {
                write!(f, "the clock was set from {from} to {to}; events and intervals are planned anew")
            }
            Self::DiskLow { why, .. } => write!(f, "disk is low: {why}"),
            Self::DiskRecovered { .. } => f.write_str("there is room on the disk again"),
            Self::StoreFailed { why } => write!(f, "store fails, what promises something waits: {why}"),
            Self::StoreRecovered => f.write_str("store works again"),
            Self::CertificateExpires { which, at } => {
                write!(f, "certificate {which} is valid until {at} only; have it renewed")
            }
            Self::CertificateExpired { which, at } => {
                write!(
                    f,
                    "certificate {which} has expired at {at}; nothing is said to the VTN until a new one is in its place"
                )
            }
            Self::CertificatesReplaced { fingerprint } => {
                f.write_str("certificates were read anew and hold from now on")?;
                let told = |text| write!(f, "; tell the utility our fingerprint if it is new: {text}");
                fingerprint.as_ref().map_or(Ok(()), told)
            }
            Self::CertificatesRefused { why } => {
                write!(f, "new certificates are refused, the old ones go on: {why}")
            }
            Self::JournalFails { why } => write!(f, "journal of messages cannot be written: {why}"),
            Self::JournalRecovered { lost } => {
                write!(f, "journal of messages is written again, {lost} messages are missing in it")
            }
            Self::MeterOnline { meter } => write!(f, "meter {meter} is online"),
            Self::MeterOffline { meter, why } => write!(f, "meter {meter} is offline: {why}"),
            Self::MeterReading { meter, reading } => write!(f, "meter {meter}: {}", reading.summary),
            Self::MeterTelegram { meter, telegram } => {
                write!(f, "meter {meter}: a telegram of {} bytes", telegram.bytes.len())
            }
            Self::SourceFails { source, why } => write!(f, "report source {source} brings no values: {why}"),
            Self::SourceRecovered { source } => write!(f, "report source {source} brings values again"),
            Self::MeterRejected { meter, why, .. } => write!(f, "meter {meter} sent no good telegram: {why}"),
            Self::EventReceived { plan, modified, .. } => {
                let word = if *modified { "changed" } else { "received" };
                let (event, start) = (&plan.event, plan.timeline.start);
                write!(f, "event {} {word} (version {}), starts {start}", event.id(), event.modification())
            }
            Self::EventRejected { event_id, code, why, .. } => {
                write!(f, "event {event_id} rejected: {code} {why}")
            }
            Self::OptDecided { event_id, modification, opt, by, reason, .. } => {
                write!(f, "event {event_id}: {opt} to version {modification}, decided by {by}")?;
                because(f, reason.as_deref())
            }
            Self::OptChanged { event_id, modification, from, to, by, reason } => {
                write!(
                    f,
                    "event {event_id}: changed from {from} to {to} for version {modification}, by {by}"
                )?;
                because(f, reason.as_deref())
            }
            Self::OptSent { event_id, modification, opt, .. } => {
                write!(f, "event {event_id}: VTN has our {opt} to version {modification}")
            }
            Self::ResourcesOpted { event_id, resources, opt } => {
                write!(f, "event {event_id}: {opt} for {}", named(resources))
            }
            Self::EventOptSent { event_id, resources, opt, .. } => {
                write!(f, "event {event_id}: VTN has our {opt} for {}", named(resources))
            }
            Self::ScheduleSent { opt_id, opt } => write!(f, "VTN has our {opt} schedule {opt_id}"),
            Self::ScheduleCancelled { opt_id } => {
                write!(f, "schedule {opt_id} is cancelled, and the VTN knows")
            }
            Self::EventCancelled { event, implied, .. } => {
                write!(f, "event {} cancelled by the VTN", event.id())?;
                if *implied { f.write_str(", which speaks of it no more") } else { Ok(()) }
            }
            Self::EventNear { event, timeline } => {
                write!(f, "event {} is near, starts {}", event.id(), timeline.start)
            }
            Self::EventStarted { event, .. } => write!(f, "event {} started", event.id()),
            Self::EventInterval { event, interval, .. } => {
                write!(f, "event {}: interval {}, {}", event.id(), interval.index, interval.signal_name)?;
                interval.value.map_or(Ok(()), |value| write!(f, " = {value}"))?;
                if interval.resumed {
                    f.write_str(" (resumed)")?;
                }
                let overridden = interval.overridden_by.as_ref();
                overridden.map_or(Ok(()), |other| write!(f, " (overridden by {other})"))
            }
            Self::EventEnded { event, why, .. } => write!(f, "event {} ended: {why}", event.id()),
            Self::ReportsRegistered { points } => write!(f, "reports registered, {points} data points"),
            Self::ReportRequested { request_id, points, granularity, back, .. } => {
                let points: Vec<&str> = points.iter().map(RId::as_str).collect();
                write!(f, "report {request_id} requested: {}, steps of {granularity}, ", points.join(", "))?;
                if back.is_zero() { f.write_str("once") } else { write!(f, "every {back}") }
            }
            Self::ReportRequestRefused { code, why } => write!(f, "report request refused: {code} {why}"),
            Self::ReportOwed { request_id, intervals } => {
                write!(f, "report {request_id} is ready, {intervals} intervals")
            }
            Self::ReportDelivered { request_id, report } => {
                let values = report.reports.iter().flat_map(|report| &report.intervals);
                let count = values.flat_map(|interval| interval.report_payloads()).count();
                write!(f, "report {request_id} delivered, {count} values")
            }
            Self::ReportSkipped { request_id, from, to } => {
                write!(f, "report {request_id} leaves out {from} to {to}, which lies too far back")
            }
            Self::ReportEnded { request_id, why } => write!(f, "report {request_id} ended: {why}"),
            Self::VtnReportsRegistered { reports } => write!(f, "VTN offers {} reports", reports.len()),
            Self::VtnReported { report } => write!(f, "VTN has sent {} reports", report.reports.len()),
            Self::ReportsDropped { count } => write!(f, "{count} reports dropped that nobody wants any more"),
        }
    }
}

fn because(f: &mut fmt::Formatter<'_>, reason: Option<&str>) -> fmt::Result {
    reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
}

fn named(resources: &[ResourceId]) -> String {
    let names: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
    if names.is_empty() { "all its resources".to_owned() } else { names.join(", ") }
}

impl fmt::Display for ReportEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "everything asked for has been reported",
            Self::Cancelled => "the VTN cancelled it",
            Self::RegisteredAnew => "the reports were registered anew",
            Self::Unknown => "the VTN does not know it any more",
            Self::Unregistered => "the registration has ended",
        })
    }
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "the handler",
            Self::Default => "the default",
            Self::Person => "a person",
            Self::Check => "our own checks",
            Self::Schedule => "our opt schedule",
            Self::FullStore => "the store, which is full",
        })
    }
}
