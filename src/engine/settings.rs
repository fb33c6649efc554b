//! Holds what an engine is told by the configuration.

use crate::handler::DefaultOpt;
use crate::openadr::message::{
    Available, Duration, EiTarget, MarketContext, OptId, OptReason, OptType, RId, ReadingType, Report,
    ReportDescription, ReportName, ReportRequestId, ReportSpecifierId, ReportType, ResourceId, SamplingRate,
    SignalName, Unit, VenId,
};
use crate::time::{Span, Timestamp};

/// How the VTN's messages come to us (rules 37, 51).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// We poll for them.
    Pull,
    /// The VTN posts them to our services under this address.
    Push { address: String },
}

/// What an engine is told by the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How the VTN's messages come.
    pub(crate) incoming: Incoming,
    /// For people at the VTN.
    pub(crate) ven_name: Option<String>,
    /// Only where the VTN has preallocated it.
    pub(crate) ven_id: Option<VenId>,
    /// "I support XML signatures."
    pub(crate) xml_signature: bool,
    /// Time between polls where the VTN asks for none.
    pub(crate) poll_default: Span,
    /// Never poll more often, whatever the VTN asks.
    pub(crate) poll_min: Span,
    /// Never poll less often, whatever the VTN asks.
    pub(crate) poll_max: Span,
    /// How long a handler may take to decide.
    pub(crate) decision_timeout: Span,
    /// What is answered for a handler that is late or fails.
    pub(crate) default_opt: DefaultOpt,
    /// What is answered for an event that the store cannot keep; `None`: nothing.
    pub(crate) opt_when_full: Option<OptType>,
    /// Programmes that are ours; none: any (rule 48).
    pub(crate) market_contexts: Vec<MarketContext>,
    /// Resources that are ours, by which events may name us (rule 22).
    pub(crate) resources: Vec<ResourceId>,
    /// Those of them that may be opted in and out one by one; meters are not.
    pub(crate) opt_resources: Vec<ResourceId>,
    /// The opt schedules of the configuration.
    pub(crate) opt_schedules: Vec<OptSchedule>,
    /// Groups that we belong to, by their ids or names.
    pub(crate) groups: Vec<String>,
    /// Signals beyond those of the profile that the handler understands.
    pub(crate) signals: Vec<SignalName>,
    /// What can be reported.
    pub(crate) offers: Vec<ReportOffer>,
    /// How long after a cancellation by the VTN it is tried again; `None`: not before a restart (rule 401).
    pub(crate) register_after_cancel: Option<Span>,
    /// Register the reports after every restart (rules 301, 309), which cancels what is running.
    pub(crate) register_reports_on_start: bool,
    /// How long to wait for the last telegram of a report.
    pub(crate) collect_patience: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            incoming: Incoming::Pull,
            ven_name: None,
            ven_id: None,
            xml_signature: false,
            poll_default: Span::from_seconds(10),
            poll_min: Span::SECOND,
            poll_max: Span::DAY,
            decision_timeout: Span::from_seconds(3),
            default_opt: DefaultOpt::Always(OptType::OptOut),
            opt_when_full: Some(OptType::OptOut),
            market_contexts: Vec::new(),
            resources: Vec::new(),
            opt_resources: Vec::new(),
            opt_schedules: Vec::new(),
            groups: Vec::new(),
            signals: Vec::new(),
            offers: Vec::new(),
            register_after_cancel: Some(Span::HOUR),
            register_reports_on_start: false,
            collect_patience: Span::from_seconds(15),
        }
    }
}

impl Settings {
    pub(super) fn polls(&self) -> bool {
        self.incoming == Incoming::Pull
    }

    pub(super) fn offer(&self, specifier: &ReportSpecifierId) -> Option<&ReportOffer> {
        self.offers.iter().find(|offer| offer.specifier == *specifier)
    }

    /// The metadata of everything on offer (rule 306).
    pub(super) fn metadata(&self, now: Timestamp) -> Vec<Report> {
        self.offers.iter().map(|offer| offer.metadata(now)).collect()
    }

    pub(super) fn points_on_offer(&self) -> usize {
        self.offers.iter().map(|offer| offer.points.len()).sum()
    }

    /// Everything in the metadata whose change makes it necessary to register the reports again.
    pub(super) fn offers_summary(&self) -> String {
        format!("{:?}", self.metadata(Timestamp::EPOCH))
    }
}

/// Takes us out of events, or into them, for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptSchedule {
    pub(crate) id: OptId,
    pub(crate) opt: OptType,
    pub(crate) reason: OptReason,
    /// Only for events of this programme (rule 205).
    pub(crate) market_context: Option<MarketContext>,
    /// Only these resources; none: the whole VEN (rule 202).
    pub(crate) resources: Vec<ResourceId>,
    pub(crate) periods: Vec<Available>,
}

/// One kind of report on offer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReportOffer {
    pub(crate) specifier: ReportSpecifierId,
    /// Without `METADATA_`.
    pub(crate) name: ReportName,
    pub(crate) points: Vec<PointOffer>,
    /// Fastest step.
    pub(crate) min_period: Span,
    /// Slowest step.
    pub(crate) max_period: Span,
    /// How far back data are kept (rule 312).
    pub(crate) kept: Span,
}

/// One data point on offer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PointOffer {
    pub(crate) r_id: RId,
    pub(crate) resource: Option<ResourceId>,
    pub(crate) report_type: ReportType,
    pub(crate) unit: Option<Unit>,
    pub(crate) reading_type: ReadingType,
    /// A value belongs to a span of time, as energy does; otherwise to an instant, as power does.
    pub(crate) interval_data: bool,
    /// Only for this programme (rule 302).
    pub(crate) market_context: Option<MarketContext>,
}

impl ReportOffer {
    /// Of the past, in the steps in which it was recorded (`min_period`).
    pub(super) fn is_history(&self) -> bool {
        matches!(self.name.data(), ReportName::HistoryUsage | ReportName::HistoryGreenButton)
    }

    pub(super) fn point(&self, r_id: &RId) -> Option<&PointOffer> {
        self.points.iter().find(|point| point.r_id == *r_id)
    }

    fn metadata(&self, now: Timestamp) -> Report {
        Report {
            start: None,
            duration: Some(Duration::from_span(self.kept)),
            intervals: Vec::new(),
            report_id: None,
            descriptions: self.points.iter().map(|point| self.describe(point)).collect(),
            report_request_id: ReportRequestId::from("0"),
            report_specifier_id: self.specifier.clone(),
            report_name: Some(self.name.metadata()),
            created_date_time: now,
        }
    }

    fn describe(&self, point: &PointOffer) -> ReportDescription {
        ReportDescription {
            r_id: point.r_id.clone(),
            subject: None,
            data_source: point.resource.clone().map(EiTarget::resource),
            report_type: point.report_type.clone(),
            unit: point.unit.clone(),
            reading_type: point.reading_type.clone(),
            market_context: point.market_context.clone(),
            sampling_rate: Some(SamplingRate {
                min_period: Duration::from_span(self.min_period),
                max_period: Duration::from_span(self.max_period),
                on_change: !self.is_history(),
            }),
        }
    }
}
