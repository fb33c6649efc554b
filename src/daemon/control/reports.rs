//! How it is told where the reports stand: what `ven reports --json` prints.

use serde::{Deserialize, Serialize};

use crate::engine::{PointOffer, Progress, ReportOffer, ReportsState, RequestState, Retry};
use crate::openadr::message::{Duration, Unit};
use crate::time::Span;

/// Where the reports stand. Times are in UTC, lengths of time as in ISO 8601 (`PT15M`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportsLine {
    /// A VEN runs with this configuration; otherwise nobody knows more than what it would offer.
    pub(crate) running: bool,
    /// The VTN knows what is on offer.
    pub(crate) registered: bool,
    pub(crate) offers: Vec<OfferLine>,
    pub(crate) requests: Vec<RequestLine>,
    /// Reports that are ready and have not reached the VTN.
    pub(crate) owed: usize,
    /// They have failed to reach it.
    pub(crate) retry: Option<RetryLine>,
}

/// A kind of report on offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfferLine {
    pub(crate) specifier: String,
    pub(crate) name: String,
    /// Between these are the steps that it can be had in.
    pub(crate) min_period: String,
    pub(crate) max_period: String,
    /// How far back it can reach.
    pub(crate) kept: String,
    pub(crate) points: Vec<PointLine>,
}

/// A data point on offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PointLine {
    /// Its rID.
    pub(crate) id: String,
    /// The resource that the data come from.
    pub(crate) resource: Option<String>,
    /// `None`: it is a status.
    pub(crate) unit: Option<String>,
    /// The siScaleCode of the unit.
    pub(crate) scale: Option<String>,
    pub(crate) report_type: String,
    pub(crate) reading_type: String,
    /// Only for this programme.
    pub(crate) market_context: Option<String>,
}

/// A request of the VTN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestLine {
    /// Its reportRequestID.
    pub(crate) id: String,
    pub(crate) specifier: String,
    pub(crate) points: Vec<String>,
    /// The step between values; zero: what changes; `None`: not known any more.
    pub(crate) granularity: Option<String>,
    /// The time between reports; zero: once.
    pub(crate) report_back: Option<String>,
    /// `None`: it was asked for before the VEN was started.
    pub(crate) from: Option<String>,
    /// `None`: without end, or once.
    pub(crate) until: Option<String>,
    /// Up to here reports have been made.
    pub(crate) reported_to: Option<String>,
    /// Reports that the VTN has taken since the VEN was started.
    pub(crate) delivered_since_start: u64,
    pub(crate) last_delivered: Option<String>,
    /// Reports that are ready and wait for the VTN.
    pub(crate) owed: usize,
    /// `unconfirmed`, `waiting`, `collecting` or `over`.
    pub(crate) state: String,
    /// When the next report is due.
    pub(crate) next_due: Option<String>,
    /// Why it is over.
    pub(crate) why: Option<String>,
}

/// What has not reached the VTN is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetryLine {
    pub(crate) failures: u32,
    /// Not before that.
    pub(crate) at: String,
}

impl ReportsLine {
    /// What would be on offer, if a VEN ran.
    pub(crate) fn of_configuration(offers: Vec<ReportOffer>) -> Self {
        let offers = offers.into_iter().map(OfferLine::from).collect();
        Self { running: false, registered: false, offers, requests: Vec::new(), owed: 0, retry: None }
    }
}

impl From<ReportsState> for ReportsLine {
    fn from(state: ReportsState) -> Self {
        Self {
            running: true,
            registered: state.registered,
            offers: state.offers.into_iter().map(OfferLine::from).collect(),
            requests: state.requests.into_iter().map(RequestLine::from).collect(),
            owed: state.owed,
            retry: state.retry.map(|Retry { failures, at }| RetryLine { failures, at: at.to_string() }),
        }
    }
}

fn length(span: Span) -> String {
    Duration::from_span(span).to_string()
}

impl From<ReportOffer> for OfferLine {
    fn from(offer: ReportOffer) -> Self {
        Self {
            specifier: offer.specifier.to_string(),
            name: offer.name.to_string(),
            min_period: length(offer.min_period),
            max_period: length(offer.max_period),
            kept: length(offer.kept),
            points: offer.points.into_iter().map(PointLine::from).collect(),
        }
    }
}

impl From<PointOffer> for PointLine {
    fn from(point: PointOffer) -> Self {
        Self {
            id: point.r_id.to_string(),
            resource: point.resource.map(|resource| resource.to_string()),
            unit: point.unit.as_ref().map(|unit| unit.symbol().to_owned()),
            scale: point.unit.as_ref().and_then(Unit::scale).map(|scale| scale.to_string()),
            report_type: point.report_type.to_string(),
            reading_type: point.reading_type.to_string(),
            market_context: point.market_context.map(|context| context.to_string()),
        }
    }
}

impl From<RequestState> for RequestLine {
    fn from(state: RequestState) -> Self {
        let record = state.record.as_ref();
        let (word, next_due, why) = match state.progress {
            Progress::Unconfirmed => ("unconfirmed", None, None),
            Progress::Due(due) => ("waiting", Some(due.to_string()), None),
            Progress::Collecting => ("collecting", None, None),
            Progress::Over(why) => ("over", None, why.map(|why| why.to_string())),
        };
        Self {
            id: state.id.to_string(),
            specifier: state.specifier.to_string(),
            points: record
                .map(|record| record.points.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            granularity: record.map(|record| length(record.granularity)),
            report_back: record.map(|record| length(record.back)),
            from: state.from.map(|from| from.to_string()),
            until: record.and_then(|record| record.end).map(|end| end.to_string()),
            reported_to: record
                .filter(|record| !record.is_metadata() && (record.is_history() || !record.back.is_zero()))
                .map(|record| record.reported_to.to_string()),
            delivered_since_start: state.delivered,
            last_delivered: state.last.map(|last| last.to_string()),
            owed: state.owed,
            state: word.to_owned(),
            next_due,
            why,
        }
    }
}
