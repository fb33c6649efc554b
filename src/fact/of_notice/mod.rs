//! Makes a fact of every notice.

mod event;
mod meter;
mod opt;
mod report;
#[cfg(test)]
mod tests;
mod vtn;

use serde_json::{Value, json};

use crate::fact::topic::{
    event as events, meter as meters, opt as opts, own, report as reports, vtn as vtns,
};
use crate::fact::{Content, Member, Topic};
use crate::notice::Notice;
use crate::time::Span;

pub(crate) use event::of_event;

/// What others are told of a notice.
#[expect(clippy::too_many_lines, reason = "it is a list, a line or two for each notice")]
pub(crate) fn content(notice: &Notice) -> Content {
    match notice {
        Notice::EventReceived { plan, modified, delivery } => event::received(plan, *modified, delivery),
        Notice::EventRejected { event_id, modification, code, why } => {
            event::rejected(event_id, *modification, *code, why)
        }
        Notice::EventNear { event, timeline } => event::happened(&events::NEAR, (event, timeline), []),
        Notice::EventStarted { event, timeline, late_by } => {
            event::happened(&events::STARTED, (event, timeline), [("late_by_seconds", seconds(*late_by))])
        }
        Notice::EventInterval { event, interval, late_by } => event::interval(event, interval, *late_by),
        Notice::EventCancelled { event, timeline, implied, stops } => {
            let more = [("implied", json!(implied)), ("stops", json!(stops))];
            event::happened(&events::CANCELLED, (event, timeline), more)
        }
        Notice::EventEnded { event, timeline, why } => event::ended((event, timeline), *why),

        Notice::OptDecided { event_id, modification, opt, by, reason, request_id } => {
            opt::decided((event_id, *modification), *opt, (*by, reason.as_deref()), request_id)
        }
        Notice::OptChanged { event_id, modification, from, to, by, reason } => {
            opt::changed((event_id, *modification), (*from, *to), (*by, reason.as_deref()))
        }
        Notice::OptSent { event_id, modification, opt, code, request_id, at } => {
            opt::answered((event_id, *modification), *opt, (*code, request_id), *at)
        }
        Notice::ResourcesOpted { event_id, resources, opt } => {
            let data =
                [("event_id", json!(event_id)), ("resource_ids", json!(resources)), ("opt", json!(opt))];
            about(&opts::RESOURCES, event_id, data)
        }
        Notice::EventOptSent { event_id, resources, opt, at } => opt::opted(event_id, resources, *opt, *at),
        Notice::ScheduleSent { opt_id, opt } => {
            about(&opts::SCHEDULED, opt_id, [("opt_id", json!(opt_id)), ("opt", json!(opt))])
        }
        Notice::ScheduleCancelled { opt_id } => {
            about(&opts::UNSCHEDULED, opt_id, [("opt_id", json!(opt_id))])
        }

        Notice::ReportsRegistered { points } => plain(&reports::REGISTERED, [("points", json!(points))]),
        Notice::ReportRequested { request_id, specifier, points, granularity, back } => {
            report::requested(request_id, specifier, points, (*granularity, *back))
        }
        Notice::ReportRequestRefused { code, why } => {
            plain(&reports::REFUSED, [("code", json!(code.number())), ("reason", json!(why))])
        }
        Notice::ReportOwed { request_id, intervals } => {
            report::of_request(&reports::READY, request_id, [("intervals", json!(intervals))])
        }
        Notice::ReportDelivered { request_id, report } => report::delivered(request_id, report),
        Notice::ReportSkipped { request_id, from, to } => {
            report::of_request(&reports::SKIPPED, request_id, [("from", json!(from)), ("to", json!(to))])
        }
        Notice::ReportEnded { request_id, why } => report::ended(request_id, *why),
        Notice::VtnReportsRegistered { reports } => report::offered(reports),
        Notice::VtnReported { report } => report::received(report),
        Notice::ReportsDropped { count } => plain(&reports::DROPPED, [("count", json!(count))]),
        Notice::SourceFails { source, why } => {
            about(&reports::SOURCE_FAILING, source, [("source", json!(source)), ("reason", json!(why))])
        }
        Notice::SourceRecovered { source } => {
            about(&reports::SOURCE_RECOVERED, source, [("source", json!(source))])
        }

        Notice::MeterOnline { meter } => about(&meters::ONLINE, meter, [("meter", json!(meter))]),
        Notice::MeterOffline { meter, why } => {
            about(&meters::OFFLINE, meter, [("meter", json!(meter)), ("reason", json!(why))])
        }
        Notice::MeterReading { meter, reading } => meter::reading(meter, reading),
        Notice::MeterTelegram { meter, telegram } => meter::telegram(meter, telegram),
        Notice::MeterRejected { meter, why, kind, count, telegram } => {
            meter::rejected(meter, (kind, why), *count, telegram)
        }

        Notice::Registered { ven_id, registration_id, vtn_id, renewed, poll } => {
            let data = [
                ("ven_id", json!(ven_id)),
                ("registration_id", json!(registration_id)),
                ("vtn_id", json!(vtn_id)),
                ("poll_seconds", poll.map_or(Value::Null, seconds)),
            ];
            about(if *renewed { &vtns::RENEWED } else { &vtns::CREATED }, registration_id, data)
        }
        Notice::RegistrationRefused { code, why, retry_in } => {
            let (code, retry) = (json!(code.number()), seconds(*retry_in));
            plain(
                &vtns::REGISTRATION_REFUSED,
                [("code", code), ("reason", json!(why)), ("retry_seconds", retry)],
            )
        }
        Notice::ReregistrationRequested => plain(&vtns::REQUESTED, []),
        Notice::RegistrationCancelled { by_vtn, retry_in } => {
            let by = json!(if *by_vtn { "vtn" } else { "us" });
            plain(&vtns::CANCELLED, [("by", by), ("retry_seconds", retry_in.map_or(Value::Null, seconds))])
        }
        Notice::VtnAway { why, retry_in, first } => {
            let topic = if *first { &vtns::DISCONNECTED } else { &vtns::UNREACHABLE };
            plain(topic, [("reason", json!(why)), ("retry_seconds", seconds(*retry_in))])
        }
        Notice::VtnBack { after } => plain(&vtns::CONNECTED, [("away_seconds", seconds(*after))]),
        Notice::MessageRefused { message, about, why } => vtn::refused(*message, about, why),
        Notice::MessageRejected { service, why } => {
            plain(&vtns::REJECTED, [("service", json!(service)), ("reason", json!(why))])
        }

        Notice::Started { lost, off_since } => {
            let version = json!(env!("CARGO_PKG_VERSION"));
            plain(
                &own::STARTED,
                [("version", version), ("lost", json!(lost)), ("off_since", json!(off_since))],
            )
        }
        Notice::Stopping { why } => plain(&own::STOPPING, [("reason", json!(why))]),
        Notice::ClockJumped { from, to } => {
            let step = seconds(*to - *from);
            plain(&own::CLOCK_JUMP, [("from", json!(from)), ("to", json!(to)), ("step_seconds", step)])
        }
        Notice::DiskLow { free, why } => {
            plain(&own::DISK_LOW, [("free_bytes", json!(free)), ("reason", json!(why))])
        }
        Notice::DiskRecovered { free } => plain(&own::DISK_RECOVERED, [("free_bytes", json!(free))]),
        Notice::StoreFailed { why } => plain(&own::STORE_FAILING, [("reason", json!(why))]),
        Notice::StoreRecovered => plain(&own::STORE_RECOVERED, []),
        Notice::CertificateExpires { which, at } => about(
            &own::CERTIFICATE_EXPIRING,
            which,
            [("certificate", json!(which)), ("expires_at", json!(at))],
        ),
        Notice::CertificateExpired { which, at } => about(
            &own::CERTIFICATE_EXPIRED,
            which,
            [("certificate", json!(which)), ("expires_at", json!(at))],
        ),
        Notice::CertificatesReplaced { fingerprint } => {
            plain(&own::CERTIFICATE_REPLACED, [("fingerprint", json!(fingerprint))])
        }
        Notice::CertificatesRefused { why } => plain(&own::CERTIFICATE_REFUSED, [("reason", json!(why))]),
        Notice::JournalFails { why } => plain(&own::JOURNAL_FAILING, [("reason", json!(why))]),
        Notice::JournalRecovered { lost } => plain(&own::JOURNAL_RECOVERED, [("lost", json!(lost))]),
    }
}

/// A fact about nothing in particular.
fn plain<const N: usize>(topic: &Topic, data: [Member; N]) -> Content {
    Content::new(topic, None, data)
}

/// A fact about something that has a name.
fn about(
    topic: &Topic,
    subject: &(impl ToString + ?Sized),
    data: impl IntoIterator<Item = Member>,
) -> Content {
    Content::new(topic, Some(subject.to_string()), data)
}

/// Whole seconds.
fn seconds(span: Span) -> Value {
    json!(span.seconds())
}
