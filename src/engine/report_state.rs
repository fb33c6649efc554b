//! Says where the reports stand: what is on offer, asked for, delivered and owed.
//!
//! What was delivered is counted in memory, from the start of the program on.

use std::collections::BTreeMap;

use crate::notice::ReportEnd;
use crate::openadr::message::{ReportRequestId, ReportSpecifierId};
use crate::time::{Span, Timestamp};

use super::exchange::Lane;
use super::registration::Registration;
use super::settings::ReportOffer;
use super::snapshot::RequestRecord;
use super::{Engine, Turn};

/// So many requests that are over are still told of.
const MOST_OVER: usize = 100;

/// Where the reports stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReportsState {
    pub(crate) offers: Vec<ReportOffer>,
    /// The VTN knows them as they are now.
    pub(crate) registered: bool,
    /// By their ids.
    pub(crate) requests: Vec<RequestState>,
    /// Reports that are ready and have not reached the VTN.
    pub(crate) owed: usize,
    /// They have failed to reach it.
    pub(crate) retry: Option<Retry>,
}

/// Where one request of the VTN stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestState {
    pub(crate) id: ReportRequestId,
    pub(crate) specifier: ReportSpecifierId,
    /// `None`: it was over before the program was started.
    pub(crate) record: Option<RequestRecord>,
    /// From when data are wanted; `None`: it was asked for before the program was started.
    pub(crate) from: Option<Timestamp>,
    /// Reports that the VTN has taken since the program was started.
    pub(crate) delivered: u64,
    /// When the last of them was taken.
    pub(crate) last: Option<Timestamp>,
    /// Reports that are ready and wait for the VTN.
    pub(crate) owed: usize,
    pub(crate) progress: Progress,
}

/// What comes next of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// We have still to say that we have understood it.
    Unconfirmed,
    /// The next report is due then.
    Due(Timestamp),
    /// The data of the next report are being fetched.
    Collecting,
    /// Nothing more is made for it; why, where that is known.
    Over(Option<ReportEnd>),
}

/// What has not reached the VTN is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// So often it has failed, one time after the other.
    pub(crate) failures: u32,
    /// Not before that.
    pub(crate) at: Timestamp,
}

/// What is told of a request beyond what is stored.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    specifier: ReportSpecifierId,
    from: Option<Timestamp>,
    delivered: u64,
    last: Option<Timestamp>,
    over: Option<Over>,
}

#[derive(Clone, Debug)]
struct Over {
    record: RequestRecord,
    why: ReportEnd,
    /// Orders them.
    number: u64,
}

/// What is told of every request.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    of: BTreeMap<ReportRequestId, Tally>,
    ends: u64,
}

impl Tallies {
    /// A request begins, perhaps under the id of one that is over.
    pub(super) fn began(&mut self, record: &RequestRecord) {
        let specifier = record.specifier.clone();
        let from = Some(record.reported_to).filter(|_| !record.is_metadata());
        let tally = Tally { specifier, from, delivered: 0, last: None, over: None };
        self.of.insert(record.id.clone(), tally);
    }

    /// The VTN has taken a report.
    pub(super) fn delivered(&mut self, id: &ReportRequestId, specifier: &ReportSpecifierId, now: Timestamp) {
        let tally = self.tally(id, specifier);
        tally.delivered += 1;
        tally.last = Some(now);
        self.forget_old();
    }

    /// No more reports are made for a request.
    pub(super) fn ended(&mut self, record: &RequestRecord, why: ReportEnd) {
        self.ends += 1;
        let number = self.ends;
        self.tally(&record.id, &record.specifier).over = Some(Over { record: record.clone(), why, number });
        self.forget_old();
    }

    fn tally(&mut self, id: &ReportRequestId, specifier: &ReportSpecifierId) -> &mut Tally {
        let new = || Tally { specifier: specifier.clone(), from: None, delivered: 0, last: None, over: None };
        self.of.entry(id.clone()).or_insert_with(new)
    }

    fn forget_old(&mut self) {
        while self.of.len() > MOST_OVER {
            let number = |tally: &Tally| tally.over.as_ref().map(|over| over.number);
            let over = self.of.iter().filter_map(|(id, tally)| Some((number(tally)?, id)));
            let Some(oldest) = over.min().map(|(_, id)| id.clone()) else { return };
            self.of.remove(&oldest);
        }
    }

    /// Of all requests that are told of.
    pub(super) fn ids(&self) -> impl Iterator<Item = (&ReportRequestId, &ReportSpecifierId)> {
        self.of.iter().map(|(id, tally)| (id, &tally.specifier))
    }

    /// A request that runs, or is over.
    pub(super) fn state(
        &self,
        id: &ReportRequestId,
        specifier: &ReportSpecifierId,
        running: Option<(RequestRecord, Progress)>,
        owed: usize,
    ) -> RequestState {
        let tally = self.of.get(id);
        let over = tally.and_then(|tally| tally.over.as_ref());
        let over = over.map(|over| (over.record.clone(), Progress::Over(Some(over.why))));
        let (record, progress) = running.or(over).unzip();
        RequestState {
            id: id.clone(),
            specifier: specifier.clone(),
            record,
            from: tally.and_then(|tally| tally.from),
            delivered: tally.map_or(0, |tally| tally.delivered),
            last: tally.and_then(|tally| tally.last),
            owed,
            progress: progress.unwrap_or(Progress::Over(None)),
        }
    }
}

impl Engine {
    /// Where the reports stand.
    pub(super) fn reports_state(&self, turn: &Turn) -> ReportsState {
        let now = turn.now;
        let told = match &self.registration {
            Registration::Registered { record, .. } => record.reports_registered.as_ref(),
            Registration::Unregistered { .. }
            | Registration::Querying { .. }
            | Registration::Creating { .. }
            | Registration::Renewing { .. }
            | Registration::Leaving { .. } => None,
        };
        let (failures, wait) = (self.exchange.troubles(Lane::Report), self.exchange.ready_at(Lane::Report));
        let owed = self.reporting.owed();
        let retry = Retry { failures, at: now.wall + (wait - now.since_start).max(Span::ZERO) };
        ReportsState {
            offers: self.settings.offers.clone(),
            registered: told.is_some_and(|told| *told == self.settings.offers_summary()),
            requests: self.reporting.states(now.wall),
            owed,
            retry: Some(retry).filter(|retry| owed > 0 && retry.failures > 0),
        }
    }
}
