//! Offers, requests and delivers data: the messages of `EiReport`.

use serde::Serialize;

use super::{
    Duration, EiResponse, EiTarget, Interval, MarketContext, RId, ReportRequestId, ReportSpecifierId,
    RequestId, Unit, VenId, tokens,
};
use crate::time::Timestamp;

/// `oadr:oadrReport`: metadata in [`RegisterReport`], data in [`UpdateReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Data: when the first interval starts (rules 313, 314).
    pub start: Option<Timestamp>,
    /// Metadata: how much data is kept (rule 312). Data: the span covered (rule 315).
    pub duration: Option<Duration>,
    /// Data, oldest first; never in metadata (rule 305).
    pub intervals: Vec<Interval>,
    /// Not used (rule 339).
    #[serde(rename = "reportID")]
    pub report_id: Option<String>,
    /// Metadata: one for each data point; never in data (rule 313).
    pub descriptions: Vec<ReportDescription>,
    /// Which request this answers; `0` in metadata (rule 311).
    #[serde(rename = "reportRequestID")]
    pub report_request_id: ReportRequestId,
    /// Which kind of report.
    #[serde(rename = "reportSpecifierID")]
    pub report_specifier_id: ReportSpecifierId,
    /// `METADATA_...` in metadata, without it in data (rule 313).
    pub report_name: Option<ReportName>,
    /// When it was made.
    pub created_date_time: Timestamp,
}

tokens! {
    /// `ei:reportName`.
    ReportName {
        /// Offer of [`ReportName::HistoryUsage`].
        MetadataHistoryUsage = "METADATA_HISTORY_USAGE",
        /// Usage from the past.
        HistoryUsage = "HISTORY_USAGE",
        /// Offer of [`ReportName::HistoryGreenButton`].
        MetadataHistoryGreenButton = "METADATA_HISTORY_GREENBUTTON",
        /// Green Button data.
        HistoryGreenButton = "HISTORY_GREENBUTTON",
        /// Offer of [`ReportName::TelemetryUsage`].
        MetadataTelemetryUsage = "METADATA_TELEMETRY_USAGE",
        /// Usage as it happens.
        TelemetryUsage = "TELEMETRY_USAGE",
        /// Offer of [`ReportName::TelemetryStatus`].
        MetadataTelemetryStatus = "METADATA_TELEMETRY_STATUS",
        /// State of a resource as it changes.
        TelemetryStatus = "TELEMETRY_STATUS",
    } other
}

impl ReportName {
    /// The name in the metadata; that of a custom report (`x-...`) is the same, since the schema allows no other.
    #[must_use]
    pub fn metadata(&self) -> Self {
        let name = self.as_str();
        if name.starts_with("METADATA_") || name.starts_with("x-") {
            self.clone()
        } else {
            Self::from_token(&format!("METADATA_{name}"))
        }
    }

    /// The name in the data (rule 313).
    #[must_use]
    pub fn data(&self) -> Self {
        self.as_str().strip_prefix("METADATA_").map_or_else(|| self.clone(), Self::from_token)
    }
}

/// `oadr:oadrReportDescription`: one data point on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportDescription {
    /// Its id, unique within the specifier (rule 308).
    #[serde(rename = "rID")]
    pub r_id: RId,
    /// Device classes only (rule 307).
    pub subject: Option<EiTarget>,
    /// Where the data come from; several are added up (rule 302).
    pub data_source: Option<EiTarget>,
    /// What the values are.
    pub report_type: ReportType,
    /// Their unit; none for a status (rule 331).
    pub unit: Option<Unit>,
    /// How they are read.
    pub reading_type: ReadingType,
    /// Only for this programme.
    pub market_context: Option<MarketContext>,
    /// Required for telemetry (rule 333).
    pub sampling_rate: Option<SamplingRate>,
}

/// `oadr:oadrSamplingRate`: how often values can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplingRate {
    /// Fastest.
    pub min_period: Duration,
    /// Slowest; not above the report's duration (rule 312).
    pub max_period: Duration,
    /// Whether values can be had as they change.
    pub on_change: bool,
}

tokens! {
    /// `ei:reportType`.
    ReportType {
        /// A reading, as from a meter.
        Reading = "reading",
        /// An amount over a period.
        Usage = "usage",
        /// Demand.
        Demand = "demand",
        /// What is set.
        SetPoint = "setPoint",
        /// Change of usage against the baseline.
        DeltaUsage = "deltaUsage",
        /// Change of the set point.
        DeltaSetPoint = "deltaSetPoint",
        /// Change of demand against the baseline.
        DeltaDemand = "deltaDemand",
        /// Without the event.
        Baseline = "baseline",
        /// Between instruction and state.
        Deviation = "deviation",
        /// Average usage.
        AvgUsage = "avgUsage",
        /// Average demand.
        AvgDemand = "avgDemand",
        /// State of a resource.
        OperatingState = "operatingState",
        /// Regulation up.
        UpRegulationCapacityAvailable = "upRegulationCapacityAvailable",
        /// Regulation down.
        DownRegulationCapacityAvailable = "downRegulationCapacityAvailable",
        /// As instructed.
        RegulationSetpoint = "regulationSetpoint",
        /// In the store.
        StoredEnergy = "storedEnergy",
        /// Wanted in the store.
        TargetEnergyStorage = "targetEnergyStorage",
        /// Still fits into the store.
        AvailableEnergyStorage = "availableEnergyStorage",
        /// A price.
        Price = "price",
        /// A level.
        Level = "level",
        /// Power factor.
        PowerFactor = "powerFactor",
        /// Percent of usage.
        PercentUsage = "percentUsage",
        /// Percent of demand.
        PercentDemand = "percentDemand",
        /// State of a resource (rule 331).
        ResourceStatus = "x-resourceStatus",
    } other
}

tokens! {
    /// `ei:readingType`.
    ReadingType {
        /// From a register that only rises.
        DirectRead = "Direct Read",
        /// The meter's own total.
        Net = "Net",
        /// Part of a shared meter.
        Allocated = "Allocated",
        /// Fills a gap.
        Estimated = "Estimated",
        /// Several meters together.
        Summed = "Summed",
        /// Inferred.
        Derived = "Derived",
        /// Mean over the granularity.
        Mean = "Mean",
        /// Highest in the granularity.
        Peak = "Peak",
        /// Of several kinds.
        Hybrid = "Hybrid",
        /// As agreed.
        Contract = "Contract",
        /// In the future.
        Projected = "Projected",
        /// Root mean square.
        Rms = "x-RMS",
        /// Not applicable; always so in requests (rule 338).
        NotApplicable = "x-notApplicable",
    } other
}

/// `oadr:oadrRegisterReport`: everything its source can report; replaces what was said before (rule 306).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterReport {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// The metadata; none at all means "no reports" (rule 301).
    pub reports: Vec<Report>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
    /// Only in answer to a request for metadata (rule 311).
    #[serde(rename = "reportRequestID")]
    pub report_request_id: Option<ReportRequestId>,
}

/// `oadr:oadrRegisteredReport`: answer to [`RegisterReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredReport {
    /// The verdict.
    pub response: EiResponse,
    /// Requests sent along (rule 344).
    pub report_requests: Vec<ReportRequest>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrCreateReport`: asks for reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateReport {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// At least one.
    pub report_requests: Vec<ReportRequest>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrReportRequest`: one wish.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportRequest {
    /// Chosen by who asks (rule 322).
    #[serde(rename = "reportRequestID")]
    pub report_request_id: ReportRequestId,
    /// What is asked for.
    pub specifier: ReportSpecifier,
}

/// `ei:reportSpecifier`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportSpecifier {
    /// From the metadata, or `METADATA` (rule 327).
    #[serde(rename = "reportSpecifierID")]
    pub report_specifier_id: ReportSpecifierId,
    /// Step between values; zero: on change (rule 317).
    pub granularity: Duration,
    /// Time between reports; zero: once, at once (rule 324).
    pub report_back_duration: Duration,
    /// From when, how long (rule 325).
    pub report_interval: Option<ReportInterval>,
    /// Which data points; at least one.
    pub payloads: Vec<SpecifierPayload>,
}

impl ReportSpecifier {
    /// The specifier id by which metadata are asked for (rule 327).
    pub const METADATA: &'static str = "METADATA";
}

/// `ei:reportInterval`: the time that reports are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportInterval {
    /// From when.
    pub start: Timestamp,
    /// Zero: for ever, or for history everything (rule 325).
    pub duration: Duration,
}

/// `ei:specifierPayload`: one data point of a wish.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecifierPayload {
    /// Which; `0` for metadata (rule 308).
    #[serde(rename = "rID")]
    pub r_id: RId,
    /// Not to be sent (rule 321).
    pub unit: Option<Unit>,
    /// `x-notApplicable` (rule 338).
    pub reading_type: ReadingType,
}

/// `oadr:oadrCreatedReport`: answer to [`CreateReport`] and to requests sent along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedReport {
    /// The verdict.
    pub response: EiResponse,
    /// All requests that still have a report to come (rule 329).
    pub pending_reports: Vec<ReportRequestId>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrUpdateReport`: data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateReport {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// The data, by request.
    pub reports: Vec<Report>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrUpdatedReport`: answer to [`UpdateReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdatedReport {
    /// The verdict.
    pub response: EiResponse,
    /// No more of these, please; gets no answer of its own (rules 328, 335).
    pub cancel_report: Option<CancelReport>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrCancelReport`: no more of these, please.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelReport {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// At least one.
    pub report_request_ids: Vec<ReportRequestId>,
    /// One last report is wanted (rule 345).
    pub report_to_follow: bool,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrCanceledReport`: answer to [`CancelReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanceledReport {
    /// The verdict; 4xx if any of the requests was not known (rule 336).
    pub response: EiResponse,
    /// All requests that still have a report to come (rule 329).
    pub pending_reports: Vec<ReportRequestId>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}
