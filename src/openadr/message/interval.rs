//! Carries values over time: the intervals of events and reports.

use serde::Serialize;

use super::{Duration, Float, RId, tokens};
use crate::time::Timestamp;

/// `ei:interval`: one step of a signal, a baseline or a report.
///
/// In events the start follows from the durations before it, and a start that is sent all the same (against rule 103) is
/// ignored; in reports see rules 314 to 316 and 342.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// When it starts.
    pub start: Option<Timestamp>,
    /// How long it lasts; absent for point data (rule 315).
    pub duration: Option<Duration>,
    /// `0`, `1`, `2`... (rules 2, 316).
    pub uid: Option<String>,
    /// At least one; in events exactly one [`StreamPayload::Signal`] (rule 100).
    pub payloads: Vec<StreamPayload>,
}

impl Interval {
    /// The value of an event's or baseline's interval, where it is one (rule 100).
    #[must_use]
    pub fn signal_value(&self) -> Option<Float> {
        match self.payloads.as_slice() {
            [StreamPayload::Signal(PayloadBase::Float(value))] => Some(*value),
            _ => None,
        }
    }

    /// The report values in it.
    pub fn report_payloads(&self) -> impl Iterator<Item = &ReportPayload> {
        self.payloads.iter().filter_map(|payload| match payload {
            StreamPayload::Report(report) => Some(report),
            StreamPayload::Signal(_) | StreamPayload::GreenButton(_) => None,
        })
    }
}

/// What stands in for `strm:streamPayloadBase`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamPayload {
    /// `ei:signalPayload`.
    Signal(PayloadBase),
    /// `oadr:oadrReportPayload`.
    Report(ReportPayload),
    /// `oadr:oadrGBPayload`: the text of an `atom:feed` element, carried through as it is.
    GreenButton(String),
}

/// What stands in for `ei:payloadBase`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PayloadBase {
    /// `ei:payloadFloat`.
    Float(Float),
    /// `oadr:oadrPayloadResourceStatus`.
    ResourceStatus(Box<ResourceStatus>),
}

/// `oadr:oadrReportPayload`: the value of one data point.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPayload {
    /// Which data point.
    #[serde(rename = "rID")]
    pub r_id: RId,
    /// 0 to 100.
    pub confidence: Option<u32>,
    /// In the unit of the value (rule 319).
    pub accuracy: Option<Float>,
    /// The value.
    pub value: PayloadBase,
    /// How good the value is (rule 318).
    pub data_quality: Option<DataQuality>,
}

/// `oadr:oadrPayloadResourceStatus`: the state of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// It can be reached.
    pub online: bool,
    /// Somebody has taken over by hand.
    pub manual_override: bool,
    /// `oadr:oadrLoadControlState`; all intervals of a report have the same set (rule 334).
    pub load_control_state: Option<LoadControlState>,
}

/// `oadr:oadrLoadControlState`: each part belongs to the signal type of its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadControlState {
    /// `oadr:oadrCapacity`.
    pub capacity: Option<LoadControl>,
    /// `oadr:oadrLevelOffset`.
    pub level_offset: Option<LoadControl>,
    /// `oadr:oadrPercentOffset`.
    pub percent_offset: Option<LoadControl>,
    /// `oadr:oadrSetPoint`.
    pub set_point: Option<LoadControl>,
}

/// One part of a [`LoadControlState`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadControl {
    /// Lowest possible.
    pub min: Option<Float>,
    /// Highest possible.
    pub max: Option<Float>,
    /// What it is.
    pub current: Float,
    /// What it is without an event.
    pub normal: Option<Float>,
}

tokens! {
    /// `oadr:oadrDataQuality`: how good a value is.
    DataQuality {
        /// Nothing is known.
        NoValue = "No Quality - No Value",
        /// Nothing new came; the previous value stands here (rule 317).
        PreviousValue = "No New Value - Previous Value Used",
        /// Bad.
        Bad = "Quality Bad - Non Specific",
        /// Bad: wrong settings.
        BadConfiguration = "Quality Bad - Configuration Error",
        /// Bad: nothing is connected.
        BadNotConnected = "Quality Bad - Not Connected",
        /// Bad: the device fails.
        BadDeviceFailure = "Quality Bad - Device Failure",
        /// Bad: the sensor fails.
        BadSensorFailure = "Quality Bad - Sensor Failure",
        /// Bad: the last value that was known.
        BadLastKnownValue = "Quality Bad - Last Known Value",
        /// Bad: the line fails.
        BadCommFailure = "Quality Bad - Comm Failure",
        /// Bad: out of service.
        BadOutOfService = "Quality Bad - Out of Service",
        /// Uncertain.
        Uncertain = "Quality Uncertain - Non Specific",
        /// Uncertain: the last usable value, or one between two.
        UncertainLastUsable = "Quality Uncertain - Last Usable Value",
        /// Uncertain: the sensor is not accurate.
        UncertainSensor = "Quality Uncertain - Sensor Not Accurate",
        /// Uncertain: engineering units exceeded.
        UncertainUnitsExceeded = "Quality Uncertain - EU Units Exceeded",
        /// Uncertain: sub normal.
        UncertainSubNormal = "Quality Uncertain - Sub Normal",
        /// Good.
        Good = "Quality Good - Non Specific",
        /// Good: overridden on site.
        GoodLocalOverride = "Quality Good - Local Override",
        /// Limit: field/not.
        LimitFieldNot = "Quality Limit - Field/Not",
        /// Limit: low.
        LimitFieldLow = "Quality Limit - Field/Low",
        /// Limit: high.
        LimitFieldHigh = "Quality Limit - Field/High",
        /// Limit: constant.
        LimitFieldConstant = "Quality Limit - Field/Constant",
    } other
}
