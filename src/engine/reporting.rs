//! Delivers the reports that the VTN has asked for.
//!
//! ```text
//! request -> (its time comes) -> Collect -> Collected -> owed (stored) -> sent -> delivered
//!                                   └─ no answer in time: placeholders of bad quality (rule 318)
//! ```
//!
//! Placeholders whose data come late are corrected: once the data flow again, each report that had some is asked for once more,
//! and sent again as a whole if it has become better (rule 346). A restart forgets what might be corrected.
//!
//! Requests for metadata run like others, but their report is the `oadrRegisterReport` ([`super::report_messages`]).
//!
//! How far a request has been reported is stored in the same transaction as the report itself, so that after a restart neither
//! a span is missing nor one is reported with other values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::notice::{Notice, ReportEnd};
use crate::openadr::message::{
    EiResponse, ReportRequestId, ReportSpecifierId, RequestId, ResponseCode, UpdateReport,
};
use crate::time::{Span, Timestamp};

use super::layout::{changes, complete, lay_out, missing, placeholders, recorded};
use super::report_state::{Progress, RequestState, Tallies};
use super::settings::Settings;
use super::snapshot::{OwedReport, RequestRecord, Write};
use super::timer::{Earliest, Timer};
use super::{CollectTicket, Column, Effect, Turn, Wish, WishedSpan};

/// Reports that fell due while we were away are put together up to so many steps.
const MOST_STEPS: i64 = 1000;
/// The owner of the data has its own patience; if it says nothing at all, this much later we go on without it.
const COLLECT_GRACE: Span = Span::from_seconds(5);
/// So many reports of a request that had placeholders are remembered.
const MOST_INCOMPLETE: usize = 100;

/// The requests that run, and the reports that are owed.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    running: BTreeMap<ReportRequestId, Running>,
    owed: BTreeMap<u64, OwedReport>,
    last_sequence: u64,
    attempts: u64,
    tallies: Tallies,
}

#[derive(Debug)]
struct Running {
    record: RequestRecord,
    collecting: Option<Collecting>,
    /// Spans that were reported with so many placeholders, oldest first.
    incomplete: VecDeque<(WishedSpan, usize)>,
    /// The last report had no placeholder, so those before may have become better.
    data_flow: bool,
}

#[derive(Debug)]
struct Collecting {
    attempt: u64,
    batch: u64,
    span: WishedSpan,
    is_correction: bool,
    give_up: Span,
}

impl Running {
    const fn new(record: RequestRecord) -> Self {
        Self { record, collecting: None, incomplete: VecDeque::new(), data_flow: false }
    }

    /// When the next report is due; `None` once it is being collected.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.collecting.is_some() {
            return None;
        }
        let record = &self.record;
        if record.closing || (record.back.is_zero() && !record.is_metadata()) {
            return Some(now);
        }
        let next = record.reported_to + record.back;
        Some(record.end.map_or(next, |end| next.min(end)))
    }

    fn progress(&self, now: Timestamp) -> Progress {
        match self.due(now) {
            _ if self.record.unconfirmed.is_some() => Progress::Unconfirmed,
            Some(due) => Progress::Due(due),
            None => Progress::Collecting,
        }
    }

    /// What is collected next: the next report if it is due, otherwise a correction.
    fn wanted(&self, now: Timestamp, step: Span) -> Option<(WishedSpan, bool)> {
        // A one-shot follows its confirmation, never precedes it.
        if self.collecting.is_some() || self.record.unconfirmed.is_some() || self.record.is_metadata() {
            return None;
        }
        if self.due(now).is_some_and(|due| due <= now) {
            return Some((self.next_span(now, step), false));
        }
        let (span, _) = self.incomplete.front().filter(|_| self.data_flow)?;
        Some((*span, true))
    }

    /// The span of the next report: one period, or all that have passed unreported up to a limit.
    fn next_span(&self, now: Timestamp, granularity: Span) -> WishedSpan {
        let RequestRecord { back, reported_to: from, end, closing, .. } = self.record;
        let latest = WishedSpan::Latest { length: granularity };
        if back.is_zero() {
            return end.map_or(latest, |to| WishedSpan::Window { from, to, granularity });
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

impl Running {
    /// A report goes out in any case, a correction only where it is better; what has placeholders is remembered.
    fn is_worth_sending(&mut self, collecting: &Collecting, missing: usize) -> bool {
        let record = &self.record;
        if collecting.is_correction {
            return self.incomplete.pop_front().is_some_and(|(_, before)| missing < before);
        }
        self.data_flow = missing == 0;
        if missing > 0 && !record.back.is_zero() && !record.is_on_change() {
            self.incomplete.push_back((collecting.span, missing));
            let too_many = self.incomplete.len().saturating_sub(MOST_INCOMPLETE);
            self.incomplete.drain(..too_many);
        }
        true
    }
}

impl Reporting {
    pub(super) fn restored(
        requests: BTreeMap<ReportRequestId, RequestRecord>,
        owed: BTreeMap<u64, OwedReport>,
    ) -> Self {
        let running = requests.into_iter().map(|(id, record)| (id, Running::new(record))).collect();
        let last_sequence = owed.keys().next_back().copied().unwrap_or(0);
        Self { running, owed, last_sequence, attempts: 0, tallies: Tallies::default() }
    }

    /// A request begins; the same reportRequestID again replaces what ran under it, as after a restart of the VTN.
    pub(super) fn begin(&mut self, turn: &mut Turn, record: RequestRecord) {
        turn.write(Write::Request(record.clone()));
        self.tallies.began(&record);
        self.running.insert(record.id.clone(), Running::new(record));
    }

    /// All requests that still have a report to come, be it one that is ready and waits for the VTN (rule 329).
    pub(super) fn pending(&self) -> Vec<ReportRequestId> {
        let owed = self.owed.values().flat_map(|owed| &owed.update.reports);
        let owed = owed.map(|report| &report.report_request_id);
        let all: BTreeSet<_> = self.running.keys().chain(owed).cloned().collect();
        all.into_iter().collect()
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
            let Some(offer) = settings.offer(&running.record.specifier) else { continue };
            let record = &running.record;
            let step = if record.is_on_change() { offer.min_period } else { record.granularity };
            if running.wanted(now.wall, step).is_some_and(|(_, is_correction)| !is_correction) {
                skip_what_is_lost(turn, offer.kept, running);
            }
            let Some((span, is_correction)) = running.wanted(now.wall, step) else { continue };
            self.attempts += 1;
            let give_up = now.since_start + settings.collect_patience + COLLECT_GRACE;
            let (attempt, batch) = (self.attempts, turn.batch);
            running.collecting = Some(Collecting { attempt, batch, span, is_correction, give_up });
            let record = &running.record;
            let ticket = CollectTicket { request: record.id.clone(), attempt };
            let wish = Wish {
                specifier: record.specifier.clone(),
                points: record.points.clone(),
                span: if record.is_on_change() { with_one_before(span) } else { span },
                patience: settings.collect_patience,
            };
            turn.effect(Effect::Collect { ticket, wish });
        }
    }

    /// Nobody has brought the data: a report of placeholders.
    fn without_data(&mut self, turn: &mut Turn, settings: &Settings, id: &ReportRequestId) {
        let Some(running) = self.running.get_mut(id) else { return };
        let Some(collecting) = running.collecting.take() else { return };
        let columns = placeholders(&running.record.points, collecting.span, turn.now.wall);
        self.report(turn, settings, id, &collecting, columns);
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
        self.report(turn, settings, &ticket.request, &collecting, columns);
    }

    fn report(
        &mut self,
        turn: &mut Turn,
        settings: &Settings,
        id: &ReportRequestId,
        collecting: &Collecting,
        columns: Vec<Column>,
    ) {
        let Some(running) = self.running.get_mut(id) else { return };
        let Some(offer) = settings.offer(&running.record.specifier) else { return };
        let columns = complete(columns, &running.record.points, collecting.span, turn.now.wall);
        if !running.is_worth_sending(collecting, missing(&columns)) {
            return;
        }
        let columns = match collecting.span {
            WishedSpan::Window { from, .. } if running.record.is_on_change() => changes(columns, from),
            WishedSpan::Window { .. } if running.record.is_history() => recorded(columns),
            WishedSpan::Window { .. } | WishedSpan::Latest { .. } => columns,
        };
        let report = lay_out(&running.record, offer, columns, turn.now.wall);
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        let request_id = RequestId::new(format!("{id}-{}-{sequence}", turn.now.wall.micros()));
        turn.notify(Notice::ReportOwed { request_id: id.clone(), intervals: report.intervals.len() });
        let owed =
            OwedReport { sequence, update: UpdateReport { request_id, reports: vec![report], ven_id: None } };
        turn.write(Write::Owe(owed.clone()));
        self.owed.insert(sequence, owed);
        if collecting.is_correction {
            return;
        }
        let record = &mut running.record;
        if let WishedSpan::Window { to, .. } = collecting.span {
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
        if let Some(running) = self.running.remove(id) {
            self.tallies.ended(&running.record, why);
            turn.write(Write::ForgetRequest(id.clone()));
            turn.notify(Notice::ReportEnded { request_id: id.clone(), why });
        }
    }

    /// The metadata have been sent: that cancels every request but those for metadata (rule 306).
    pub(super) fn registered_anew(&mut self, turn: &mut Turn) {
        self.end_all(turn, ReportEnd::RegisteredAnew, |record| !record.is_metadata());
        self.drop_all_owed(turn);
    }

    /// Nobody at the VTN waits for anything any more.
    pub(super) fn erase(&mut self, turn: &mut Turn) {
        self.end_all(turn, ReportEnd::Unregistered, |_| true);
        self.drop_all_owed(turn);
    }

    fn end_all(&mut self, turn: &mut Turn, why: ReportEnd, which: fn(&RequestRecord) -> bool) {
        let ids: Vec<_> =
            self.running.values().map(|r| &r.record).filter(|r| which(r)).map(|r| r.id.clone()).collect();
        for id in ids {
            self.end(turn, &id, why);
        }
    }

    /// Who asked for metadata that are due.
    pub(super) fn metadata_due(&self, now: Timestamp) -> Option<ReportRequestId> {
        let due = |running: &&Running| {
            let record = &running.record;
            record.is_metadata()
                && record.unconfirmed.is_none()
                && running.due(now).is_some_and(|due| due <= now)
        };
        self.running.values().find(due).map(|running| running.record.id.clone())
    }

    /// The metadata have been sent in answer to that request.
    pub(super) fn metadata_sent(&mut self, turn: &mut Turn, id: &ReportRequestId) {
        let Some(running) = self.running.get_mut(id) else { return };
        let record = &mut running.record;
        self.tallies.delivered(id, &record.specifier, turn.now.wall);
        if record.closing {
            return self.end(turn, id, ReportEnd::Cancelled);
        }
        if !record.back.is_zero() {
            let periods = (turn.now.wall - record.reported_to).micros() / record.back.micros();
            record.reported_to += record.back * periods.max(1);
        }
        if record.back.is_zero() || record.end.is_some_and(|end| record.reported_to + record.back >= end) {
            return self.end(turn, id, ReportEnd::Complete);
        }
        turn.write(Write::Request(record.clone()));
    }

    fn drop_all_owed(&mut self, turn: &mut Turn) {
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
                self.tallies.delivered(&request_id, &part.report_specifier_id, turn.now.wall);
                turn.notify(Notice::ReportDelivered { request_id, report: report.clone() });
            }
        }
    }

    /// The VTN does not take the report; 452 says that it does not know the request (rule 304).
    pub(super) fn refused(&mut self, turn: &mut Turn, sequence: u64, verdict: &EiResponse) {
        let Some(owed) = self.delivered(turn, sequence) else { return };
        let message = crate::openadr::message::PayloadKind::UpdateReport;
        let about = owed.request_ids();
        turn.notify(Notice::MessageRefused { message, about, why: verdict.to_string() });
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
            let known = self.owes(id);
            match self.running.get_mut(id) {
                Some(running) if last_one => {
                    running.record.closing = true;
                    turn.write(Write::Request(running.record.clone()));
                }
                Some(_) => {
                    self.end(turn, id, ReportEnd::Cancelled);
                    self.drop_owed(turn, id);
                }
                // It is over but for what has not arrived.
                None if known => {
                    if !last_one {
                        self.drop_owed(turn, id);
                    }
                }
                None => unknown.push(id.clone()),
            }
        }
        unknown
    }

    fn owes(&self, id: &ReportRequestId) -> bool {
        self.owed.values().any(|owed| is_of(owed, id))
    }

    /// After a cancellation nothing more is sent for that request.
    fn drop_owed(&mut self, turn: &mut Turn, id: &ReportRequestId) {
        let of_it = self.owed.values().filter(|owed| is_of(owed, id));
        let dropped: Vec<_> = of_it.map(|owed| owed.sequence).collect();
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

    /// How many reports are ready and have not reached the VTN.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Where every request stands, those among them that are over.
    pub(super) fn states(&self, now: Timestamp) -> Vec<RequestState> {
        let running = self.running.values().map(|running| (&running.record.id, &running.record.specifier));
        let owed = self.owed.values().flat_map(|owed| &owed.update.reports);
        let owed = owed.map(|report| (&report.report_request_id, &report.report_specifier_id));
        let all: BTreeMap<_, _> = self.tallies.ids().chain(owed).chain(running).collect();
        let state = |(id, specifier): (&ReportRequestId, &ReportSpecifierId)| {
            let running = self.running.get(id);
            let running = running.map(|running| (running.record.clone(), running.progress(now)));
            let owed = self.owed.values().filter(|owed| is_of(owed, id)).count();
            self.tallies.state(id, specifier, running, owed)
        };
        all.into_iter().map(state).collect()
    }

    pub(super) fn deadlines(&self, earliest: &mut Earliest, now: Timestamp) {
        for running in self.running.values() {
            match (&running.collecting, running.due(now)) {
                (Some(collecting), _) => earliest.at(collecting.give_up, Timer::CollectTimeout),
                // Metadata that are due wait for their turn, not for the clock.
                (None, Some(due)) if running.record.is_metadata() && due <= now => {}
                (None, Some(due)) if running.record.unconfirmed.is_none() => {
                    earliest.at_wall(due, Timer::Report);
                }
                (None, _) => {}
            }
        }
    }
}

fn is_of(owed: &OwedReport, id: &ReportRequestId) -> bool {
    owed.update.reports.iter().any(|report| report.report_request_id == *id)
}

/// A step more in front, to see whether the first value is a change.
fn with_one_before(span: WishedSpan) -> WishedSpan {
    match span {
        WishedSpan::Window { from, to, granularity } => {
            WishedSpan::Window { from: from - granularity, to, granularity }
        }
        WishedSpan::Latest { .. } => span,
    }
}

/// Time that lies further back than data are kept is left out, and told.
fn skip_what_is_lost(turn: &mut Turn, kept: Span, running: &mut Running) {
    let record = &mut running.record;
    let oldest = turn.now.wall - kept;
    if record.back.is_zero() || record.reported_to + record.back >= oldest {
        return;
    }
    let from = record.reported_to;
    let periods = (oldest - from).micros() / record.back.micros();
    record.reported_to = from + record.back * periods;
    turn.notify(Notice::ReportSkipped { request_id: record.id.clone(), from, to: record.reported_to });
}
