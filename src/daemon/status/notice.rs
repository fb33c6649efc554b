//! What each notice says of how the VEN stands.

use std::collections::BTreeMap;

use crate::handler::EndReason;
use crate::notice::{EventPlan, MeterReading, Notice};
use crate::openadr::message::{EiEvent, EventId, OptType};
use crate::time::{Span, Timestamp};

use super::{
    CertificateStatus, EventStatus, MeterStatus, ReadingStatus, RegistrationStatus, RequestStatus, Status,
};

impl Status {
    /// Something has happened at that moment.
    #[expect(clippy::too_many_lines, reason = "it is a list, one arm for each notice")]
    pub(super) fn note(&mut self, notice: &Notice, at: Timestamp) {
        match notice {
            Notice::Registered { ven_id, registration_id, vtn_id, poll, .. } => {
                self.ven.id = Some(ven_id.to_string());
                (self.vtn.id, self.vtn.poll_seconds) = (Some(vtn_id.to_string()), poll.map(Span::seconds));
                self.registration = RegistrationStatus { id: Some(registration_id.to_string()), why: None };
                self.reached();
            }
            Notice::RegistrationRefused { code, why, .. } => {
                self.registration = RegistrationStatus { id: None, why: Some(format!("{code} {why}")) };
                self.reached();
            }
            Notice::RegistrationCancelled { by_vtn, .. } => {
                let who = if *by_vtn { "the VTN" } else { "us" };
                self.registration =
                    RegistrationStatus { id: None, why: Some(format!("it was cancelled by {who}")) };
                self.events.clear();
                self.reports.requests.clear();
            }
            Notice::VtnAway { why, .. } => {
                (self.vtn.connected, self.vtn.why) = (Some(false), Some(why.clone()));
            }
            Notice::VtnBack { .. } => self.reached(),
            Notice::EventReceived { plan, .. } => self.event_received(plan),
            Notice::OptDecided { event_id, modification, opt, by, .. }
            | Notice::OptChanged { event_id, modification, to: opt, by, .. } => {
                self.decided((event_id, *modification), *opt, by.to_string());
            }
            Notice::OptSent { event_id, modification, .. } => {
                let version = self.event(event_id).filter(|event| event.modification == *modification);
                version.into_iter().for_each(|event| event.answered = true);
            }
            Notice::EventCancelled { event, .. } => self.cancelled(event),
            Notice::EventStarted { event, timeline, .. } => {
                let status = EventStatus::new(event, timeline);
                let event = self.events.entry(event.id().to_string()).or_insert(status);
                (event.active, event.start, event.end) = (true, timeline.start, timeline.end);
            }
            Notice::EventInterval { event, interval, .. } => {
                self.event(event.id()).into_iter().for_each(|event| event.interval(interval));
            }
            Notice::EventEnded { event, timeline, why } => self.ended(event.id(), timeline.start, *why),
            Notice::ReportsRegistered { points } => self.reports.points = Some(*points),
            Notice::ReportRequested { request_id, specifier, points, granularity, back } => {
                let request = RequestStatus {
                    specifier: specifier.to_string(),
                    points: points.iter().map(ToString::to_string).collect(),
                    step_seconds: granularity.seconds(),
                    every_seconds: back.seconds(),
                    last_delivered: None,
                };
                self.reports.requests.insert(request_id.to_string(), request);
            }
            Notice::ReportDelivered { request_id, .. } => {
                self.reports.delivered += 1;
                let request = self.reports.requests.get_mut(request_id.as_str());
                request.into_iter().for_each(|request| request.last_delivered = Some(at));
            }
            Notice::ReportEnded { request_id, .. } => {
                self.reports.requests.remove(request_id.as_str());
            }
            Notice::ReportsDropped { count } => {
                self.reports.dropped += u64::try_from(*count).unwrap_or(u64::MAX);
            }
            Notice::SourceFails { source, why } => {
                self.reports.failing_sources.insert(source.clone(), why.clone());
            }
            Notice::SourceRecovered { source } => {
                self.reports.failing_sources.remove(source);
            }
            Notice::StoreFailed { why } => {
                (self.store.failing, self.store.why) = (true, Some(why.clone()));
            }
            Notice::StoreRecovered => (self.store.failing, self.store.why) = (false, None),
            Notice::DiskLow { why, .. } => self.store.disk_low = Some(why.clone()),
            Notice::DiskRecovered { .. } => self.store.disk_low = None,
            Notice::CertificateExpires { which, at } => self.certificate(which, *at, false),
            Notice::CertificateExpired { which, at } => self.certificate(which, *at, true),
            Notice::CertificatesReplaced { .. } => self.certificates.clear(),
            Notice::MeterOnline { meter } => {
                let meter = self.meter(meter);
                (meter.online, meter.why) = (Some(true), None);
            }
            Notice::MeterOffline { meter, why } => {
                let meter = self.meter(meter);
                (meter.online, meter.why) = (Some(false), Some(why.clone()));
            }
            Notice::MeterReading { meter, reading } => self.reading(meter, reading),
            Notice::MeterRejected { meter, count, .. } => self.meter(meter).rejected += count,
            Notice::ReregistrationRequested
            | Notice::MessageRefused { .. }
            | Notice::MessageRejected { .. }
            | Notice::EventRejected { .. }
            | Notice::ResourcesOpted { .. }
            | Notice::EventOptSent { .. }
            | Notice::ScheduleSent { .. }
            | Notice::ScheduleCancelled { .. }
            | Notice::EventNear { .. }
            | Notice::ReportRequestRefused { .. }
            | Notice::ReportOwed { .. }
            | Notice::ReportSkipped { .. }
            | Notice::VtnReportsRegistered { .. }
            | Notice::VtnReported { .. }
            | Notice::CertificatesRefused { .. }
            | Notice::JournalFails { .. }
            | Notice::JournalRecovered { .. }
            | Notice::Started { .. }
            | Notice::Stopping { .. }
            | Notice::ClockJumped { .. }
            | Notice::MeterTelegram { .. } => {}
        }
    }

    /// An exchange has succeeded.
    pub(super) fn reached(&mut self) {
        (self.vtn.connected, self.vtn.why) = (Some(true), None);
    }

    fn event(&mut self, id: &EventId) -> Option<&mut EventStatus> {
        self.events.get_mut(id.as_str())
    }

    fn event_received(&mut self, plan: &EventPlan) {
        let (event, mut status) = (&plan.event, EventStatus::new(&plan.event, &plan.timeline));
        if let Some(before) = self.events.get(event.id().as_str()) {
            status.active = before.active;
            (status.values, status.overridden_by) = (before.values.clone(), before.overridden_by.clone());
        }
        self.events.insert(event.id().to_string(), status);
    }

    fn decided(&mut self, (id, modification): (&EventId, u32), opt: OptType, by: String) {
        if let Some(event) = self.event(id).filter(|event| event.modification == modification) {
            (event.opt, event.decided_by, event.answered) = (Some(opt.to_string()), Some(by), false);
        }
    }

    /// One that runs may run out; that it has ended is told then.
    fn cancelled(&mut self, event: &EiEvent) {
        match self.event(event.id()) {
            Some(status) if status.active => status.cancelled = true,
            _ => drop(self.events.remove(event.id().as_str())),
        }
    }

    fn ended(&mut self, id: &EventId, start: Timestamp, why: EndReason) {
        match (why, self.event(id)) {
            // It begins again; one that was opted out of is still to be answered as it was.
            (EndReason::Postponed, Some(event)) => {
                event.rest();
                event.start = start;
            }
            (EndReason::OptedOut, Some(event)) => event.rest(),
            _ => drop(self.events.remove(id.as_str())),
        }
    }

    fn certificate(&mut self, which: &str, until: Timestamp, expired: bool) {
        self.certificates.insert(which.to_owned(), CertificateStatus { until, expired });
    }

    fn meter(&mut self, name: &str) -> &mut MeterStatus {
        self.meters.entry(name.to_owned()).or_default()
    }

    fn reading(&mut self, meter: &str, reading: &MeterReading) {
        let values: BTreeMap<_, _> =
            reading.values.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let meter = self.meter(meter);
        meter.readings += 1;
        meter.last = Some(ReadingStatus {
            at: reading.at,
            serial: reading.serial.clone(),
            quality: reading.quality.to_string(),
            values,
            summary: reading.summary.clone(),
        });
    }
}
