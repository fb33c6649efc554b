//! Delivers the reports that the VTN has asked for.
//!
//! ```text
//! request -> (its time comes) -> Collect -> Collected -> owed (stored) -> sent -> delivered
//!                                   └─ no answer in time: placeholders of bad quality (rule 318)
//! ```
//!
//! How far a request has been reported is stored in the same transaction as the report itself, so that after a restart neither
//! a span is missing nor one is reported with other values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::notice::{Notice, ReportEnd};
use crate::openadr::message::{
    CancelReport, CanceledReport, CreatedReport, DataQuality, Duration, EiResponse, Float, Interval,
    PayloadBase, Report, ReportPayload, ReportRequest, ReportRequestId, ReportSpecifier, RequestId,
    ResponseCode, StreamPayload, UpdateReport,
};
use crate::time::{Span, Timestamp};

use super::registration::Registration;
use super::settings::{ReportOffer, Settings};
use super::snapshot::{OwedReport, RequestRecord, Write};
use super::timer::{Earliest, Timer};
use super::{CollectTicket, Column, Effect, Engine, Sample, Turn, Wish, WishedSpan, request};

/// Reports that fell due while we were away are put together up to so many steps.
const MOST_STEPS: i64 = 1000;
/// The owner of the data has its own patience; if it says nothing at all, this much later we go on without it.
const COLLECT_GRACE: Span = Span::from_seconds(5);

/// The requests that run, and the reports that are owed.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    running: BTreeMap<ReportRequestId, Running>,
    owed: BTreeMap<u64, OwedReport>,
    last_sequence: u64,
    attempts: u64,
}

#[derive(Debug)]
struct Running {
    record: RequestRecord,
    collecting: Option<Collecting>,
}

#[derive(Debug)]
struct Collecting {
    attempt: u64,
    batch: u64,
    span: WishedSpan,
    give_up: Span,
}

impl Running {
    /// When the next report is due; `None` once it is being collected.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.collecting.is_some() {
            return None;
        }
        let record = &self.record;
        if record.back.is_zero() || record.closing {
            return Some(now);
        }
        let next = record.reported_to + record.back;
        Some(record.end.map_or(next, |end| next.min(end)))
    }

    /// The span of the next report: one period, or all that have passed unreported up to a limit.
    fn next_span(&self, now: Timestamp) -> WishedSpan {
        let RequestRecord { granularity, back, reported_to: from, end, closing, .. } = self.record;
        let latest = WishedSpan::Latest { length: granularity };
        if back.is_zero() {
            return latest;
        }
        let passed = now - from;
        let length = if closing {
            granularity * (passed.micros() / granularity.micros())
        } else {
            let steps = (back.micros() / granularity.micros()).max(1);
            back * (passed.micros() / back.micros()).clamp(1, (MOST_STEPS / steps).max(1))
        };
        if length <= Span::ZERO {
            return latest;
        }
        let to = from + length;
        WishedSpan::Window { from, to: end.map_or(to, |end| to.min(end)), granularity }
    }
}

impl Reporting {
    pub(super) fn restored(
        requests: BTreeMap<ReportRequestId, RequestRecord>,
        owed: BTreeMap<u64, OwedReport>,
    ) -> Self {
        let running =
            requests.into_iter().map(|(id, record)| (id, Running { record, collecting: None })).collect();
        let last_sequence = owed.keys().next_back().copied().unwrap_or(0);
        Self { running, owed, last_sequence, attempts: 0 }
    }

    /// All requests that still have a report to come (rule 329).
    pub(super) fn pending(&self) -> Vec<ReportRequestId> {
        self.running.keys().cloned().collect()
    }

    pub(super) fn first_owed(&self) -> Option<&OwedReport> {
        self.owed.values().next()
    }

    /// Requests that were begun but never confirmed, as after a restart.
    pub(super) fn unconfirmed(&self) -> Vec<RequestId> {
        let mut all: Vec<_> = self.running.values().filter_map(|r| r.record.unconfirmed.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The VTN has our confirmation.
    pub(super) fn confirmed(&mut self, turn: &mut Turn, request_id: &RequestId) {
        for running in self.running.values_mut() {
            if running.record.unconfirmed.take_if(|id| id == request_id).is_some() {
                turn.write(Write::Request(running.record.clone()));
            }
        }
    }

    /// Starts what is due.
    pub(super) fn advance(&mut self, turn: &mut Turn, settings: &Settings) {
        let now = turn.now;
        let overdue = |running: &Running| {
            running.collecting.as_ref().is_some_and(|collecting| collecting.give_up <= now.since_start)
        };
        let silent: Vec<_> =
            self.running.iter().filter(|(_, r)| overdue(r)).map(|(id, _)| id.clone()).collect();
        for id in silent {
            self.without_data(turn, settings, &id);
        }
        for running in self.running.values_mut() {
            // A one-shot follows its confirmation, never precedes it.
            let confirmed = running.record.unconfirmed.is_none();
            if running.due(now.wall).is_some_and(|due| confirmed && due <= now.wall) {
                skip_what_is_lost(turn, settings, running);
                self.attempts += 1;
                let span = running.next_span(now.wall);
                let give_up = now.since_start + settings.collect_patience + COLLECT_GRACE;
                let attempt = self.attempts;
                running.collecting = Some(Collecting { attempt, batch: turn.batch, span, give_up });
                let ticket = CollectTicket { request: running.record.id.clone(), attempt };
                let (specifier, points) = (running.record.specifier.clone(), running.record.points.clone());
                let patience = settings.collect_patience;
                turn.effect(Effect::Collect { ticket, wish: Wish { specifier, points, span, patience } });
            }
        }
    }

    /// Nobody has brought the data: a report of placeholders.
    fn without_data(&mut self, turn: &mut Turn, settings: &Settings, id: &ReportRequestId) {
        let Some(running) = self.running.get_mut(id) else { return };
        let Some(collecting) = running.collecting.take() else { return };
        let (from, to, step) = match collecting.span {
            WishedSpan::Latest { length } => (turn.now.wall - length, turn.now.wall, length),
            WishedSpan::Window { from, to, granularity } => (from, to, granularity),
        };
        let starts =
            std::iter::successors(Some(from), |start| Some(*start + step)).take_while(|start| *start < to);
        let sample = |start| Sample { start, duration: step, value: None, quality: DataQuality::Bad };
        let samples: Vec<_> = starts.map(sample).collect();
        let columns = running.record.points.iter();
        let columns =
            columns.map(|point| Column { point: point.clone(), samples: samples.clone() }).collect();
        self.report(turn, settings, id, collecting.span, columns);
    }

    /// The data have come: the report is owed from now on.
    pub(super) fn collected(
        &mut self,
        turn: &mut Turn,
        settings: &Settings,
        ticket: &CollectTicket,
        columns: Vec<Column>,
    ) {
        let Some(running) = self.running.get_mut(&ticket.request) else { return };
        let Some(collecting) = running.collecting.take_if(|c| c.attempt == ticket.attempt) else { return };
        self.report(turn, settings, &ticket.request, collecting.span, columns);
    }

    fn report(
        &mut self,
        turn: &mut Turn,
        settings: &Settings,
        id: &ReportRequestId,
        span: WishedSpan,
        columns: Vec<Column>,
    ) {
        let Some(running) = self.running.get_mut(id) else { return };
        let Some(offer) = settings.offer(&running.record.specifier) else { return };
        let report = lay_out(&running.record, offer, columns, turn.now.wall);
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        let request_id = RequestId::new(format!("{id}-{}-{sequence}", turn.now.wall.micros()));
        turn.notify(Notice::ReportOwed { request_id: id.clone(), intervals: report.intervals.len() });
        let owed =
            OwedReport { sequence, update: UpdateReport { request_id, reports: vec![report], ven_id: None } };
        turn.write(Write::Owe(owed.clone()));
        self.owed.insert(sequence, owed);
        let record = &mut running.record;
        if let WishedSpan::Window { to, .. } = span {
            record.reported_to = to;
        }
        let complete = record.back.is_zero() || record.end.is_some_and(|end| record.reported_to >= end);
        if complete || record.closing {
            let why = if complete { ReportEnd::Complete } else { ReportEnd::Cancelled };
            self.end(turn, id, why);
        } else {
            turn.write(Write::Request(record.clone()));
        }
    }

    fn end(&mut self, turn: &mut Turn, id: &ReportRequestId, why: ReportEnd) {
        if self.running.remove(id).is_some() {
            turn.write(Write::ForgetRequest(id.clone()));
            turn.notify(Notice::ReportEnded { request_id: id.clone(), why });
        }
    }

    /// Every request ends; reports that are owed are still delivered.
    pub(super) fn end_all(&mut self, turn: &mut Turn, why: ReportEnd) {
        for id in self.pending() {
            self.end(turn, &id, why);
        }
    }

    /// Nobody at the VTN waits for anything any more.
    pub(super) fn erase(&mut self, turn: &mut Turn) {
        self.end_all(turn, ReportEnd::Unregistered);
        let count = self.owed.len();
        for sequence in std::mem::take(&mut self.owed).into_keys() {
            turn.write(Write::Delivered(sequence));
        }
        if count > 0 {
            turn.notify(Notice::ReportsDropped { count });
        }
    }

    /// The report need not be sent (again).
    pub(super) fn delivered(&mut self, turn: &mut Turn, sequence: u64) -> Option<OwedReport> {
        let owed = self.owed.remove(&sequence)?;
        turn.write(Write::Delivered(sequence));
        Some(owed)
    }

    /// The VTN has the report.
    pub(super) fn accepted(&mut self, turn: &mut Turn, sequence: u64) {
        if let Some(owed) = self.delivered(turn, sequence) {
            let report = Arc::new(owed.update);
            for part in &report.reports {
                let request_id = part.report_request_id.clone();
                turn.notify(Notice::ReportDelivered { request_id, report: report.clone() });
            }
        }
    }

    /// The VTN does not take the report; 452 says that it does not know the request (rule 304).
    pub(super) fn refused(&mut self, turn: &mut Turn, sequence: u64, verdict: &EiResponse) {
        let Some(owed) = self.delivered(turn, sequence) else { return };
        let message = crate::openadr::message::PayloadKind::UpdateReport;
        turn.notify(Notice::MessageRefused { message, why: verdict.to_string() });
        if verdict.code == ResponseCode::INVALID_ID {
            for report in owed.update.reports {
                self.end(turn, &report.report_request_id, ReportEnd::Unknown);
            }
        }
    }

    /// No more of these; returns those that were not known.
    pub(super) fn cancel(
        &mut self,
        turn: &mut Turn,
        ids: &[ReportRequestId],
        last_one: bool,
    ) -> Vec<ReportRequestId> {
        let mut unknown = Vec::new();
        for id in ids {
            match self.running.get_mut(id) {
                Some(running) if last_one => {
                    running.record.closing = true;
                    turn.write(Write::Request(running.record.clone()));
                }
                Some(_) => {
                    self.end(turn, id, ReportEnd::Cancelled);
                    self.drop_owed(turn, id);
                }
                None => unknown.push(id.clone()),
            }
        }
        unknown
    }

    /// After a cancellation nothing more is sent for that request.
    fn drop_owed(&mut self, turn: &mut Turn, id: &ReportRequestId) {
        let of_it =
            |owed: &OwedReport| owed.update.reports.iter().any(|report| report.report_request_id == *id);
        let dropped: Vec<_> =
            self.owed.values().filter(|owed| of_it(owed)).map(|owed| owed.sequence).collect();
        for sequence in &dropped {
            self.delivered(turn, *sequence);
        }
        if !dropped.is_empty() {
            turn.notify(Notice::ReportsDropped { count: dropped.len() });
        }
    }

    /// What was to be collected by that batch or a later one never was.
    pub(super) fn withhold_from(&mut self, batch: u64) {
        for running in self.running.values_mut() {
            running.collecting.take_if(|collecting| collecting.batch >= batch);
        }
    }

    pub(super) fn deadlines(&self, earliest: &mut Earliest, now: Timestamp) {
        for running in self.running.values() {
            match (&running.collecting, running.due(now)) {
                (Some(collecting), _) => earliest.at(collecting.give_up, Timer::CollectTimeout),
                (None, Some(due)) if running.record.unconfirmed.is_none() => {
                    earliest.at_wall(due, Timer::Report);
                }
                (None, _) => {}
            }
        }
    }
}

/// Time that lies further back than data are kept is left out, and told.
fn skip_what_is_lost(turn: &mut Turn, settings: &Settings, running: &mut Running) {
    let record = &mut running.record;
    let Some(offer) = settings.offer(&record.specifier) else { return };
    let oldest = turn.now.wall - offer.kept;
    if record.back.is_zero() || record.reported_to + record.back >= oldest {
        return;
    }
    let from = record.reported_to;
    let periods = (oldest - from).micros() / record.back.micros();
    record.reported_to = from + record.back * periods;
    turn.notify(Notice::ReportSkipped { request_id: record.id.clone(), from, to: record.reported_to });
}

/// Writes columns of values as intervals, oldest first, one payload each.
///
/// **Reading of the standard:** several payloads may share an interval, and may also stand in intervals of their own; real VTNs stumble
/// over the first form. All intervals of a report have the same form (rules 314, 315, 342): point data a start only; where
/// there is interval data too, a start and a duration.
fn lay_out(record: &RequestRecord, offer: &ReportOffer, columns: Vec<Column>, now: Timestamp) -> Report {
    let interval_data =
        record.points.iter().filter_map(|r_id| offer.point(r_id)).any(|point| point.interval_data);
    let mut cells: Vec<(Timestamp, usize, Column, Sample)> = Vec::new();
    for (place, column) in columns.into_iter().enumerate() {
        let name = Column { point: column.point, samples: Vec::new() };
        cells.extend(column.samples.into_iter().map(|sample| (sample.start, place, name.clone(), sample)));
    }
    cells.sort_by_key(|(start, place, ..)| (*start, *place));
    let end = cells.iter().map(|(start, _, _, sample)| *start + sample.duration).max();
    let start = cells.first().map(|(start, ..)| *start);
    let intervals = cells.into_iter().enumerate();
    let intervals = intervals.map(|(uid, (start, _, column, sample))| Interval {
        start: Some(start),
        duration: interval_data.then(|| Duration::from_span(sample.duration)),
        uid: Some(uid.to_string()),
        payloads: vec![StreamPayload::Report(ReportPayload {
            r_id: column.point,
            confidence: None,
            accuracy: None,
            value: sample.value.unwrap_or_else(|| PayloadBase::Float(Float::from(0))),
            data_quality: Some(sample.quality),
        })],
    });
    Report {
        start: start.or(Some(now)),
        duration: end.zip(start).map(|(end, start)| Duration::from_span(end - start)),
        intervals: intervals.collect(),
        report_id: None,
        descriptions: Vec::new(),
        report_request_id: record.id.clone(),
        report_specifier_id: record.specifier.clone(),
        report_name: Some(offer.name.data()),
        created_date_time: now,
    }
}

impl Engine {
    /// The VTN wants reports: all of a message are begun, or none.
    pub(super) fn reports_requested(
        &mut self,
        turn: &mut Turn,
        request_id: &RequestId,
        wishes: Vec<ReportRequest>,
    ) -> CreatedReport {
        let (metadata, wishes): (Vec<_>, Vec<_>) = wishes
            .into_iter()
            .partition(|wish| wish.specifier.report_specifier_id.as_str() == ReportSpecifier::METADATA);
        let read = |wish| request::read(wish, request_id, &self.settings, turn.now.wall);
        let records: Result<Vec<_>, _> = wishes.into_iter().map(read).collect();
        let response = match records {
            Ok(records) => {
                for record in records {
                    self.begin_report(turn, record);
                }
                EiResponse::ok(request_id.clone())
            }
            Err((code, why)) => {
                turn.notify(Notice::ReportRequestRefused { code, why: why.clone() });
                EiResponse::error(code, why, request_id.clone())
            }
        };
        let mut pending_reports = self.reporting.pending();
        if response.code.is_success()
            && let Some(wish) = metadata.into_iter().next()
        {
            pending_reports.push(wish.report_request_id.clone());
            if let Registration::Registered { duties, .. } = &mut self.registration {
                duties.metadata_for = Some(wish.report_request_id);
                duties.register_reports = Some(self.dice.request_id());
            }
        }
        let ven_id = self.registration.ven_id().cloned();
        CreatedReport { response, pending_reports, ven_id }
    }

    fn begin_report(&mut self, turn: &mut Turn, record: RequestRecord) {
        turn.notify(Notice::ReportRequested {
            request_id: record.id.clone(),
            specifier: record.specifier.clone(),
            points: record.points.clone(),
            granularity: record.granularity,
            back: record.back,
        });
        turn.write(Write::Request(record.clone()));
        // The same reportRequestID again replaces what ran under it, as after a restart of the VTN.
        self.reporting.running.insert(record.id.clone(), Running { record, collecting: None });
    }

    /// The VTN wants no more of some reports (rules 336, 345).
    pub(super) fn reports_cancelled(&mut self, turn: &mut Turn, cancel: &CancelReport) -> CanceledReport {
        let unknown = self.reporting.cancel(turn, &cancel.report_request_ids, cancel.report_to_follow);
        let request_id = cancel.request_id.clone();
        let response = match unknown.first() {
            None => EiResponse::ok(request_id),
            Some(id) => {
                let why = format!("reportRequestID {id} is not known");
                EiResponse::error(ResponseCode::INVALID_ID, why, request_id)
            }
        };
        let (pending_reports, ven_id) = (self.reporting.pending(), self.registration.ven_id().cloned());
        CanceledReport { response, pending_reports, ven_id }
    }

    /// Confirms what was begun before a restart and perhaps never confirmed.
    pub(super) fn confirm_again(&mut self) {
        for request_id in self.reporting.unconfirmed() {
            let (pending_reports, ven_id) = (self.reporting.pending(), self.registration.ven_id().cloned());
            self.answers.owe(CreatedReport { response: EiResponse::ok(request_id), pending_reports, ven_id });
        }
    }
}
