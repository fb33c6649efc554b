//! Tells what the VTN wants and what the VEN will do: the messages of `EiEvent`.

use serde::Serialize;

use super::{
    Duration, EiResponse, EiTarget, EventId, Float, Interval, MarketContext, RequestId, ResourceId,
    ResponseCode, SignalId, Unit, VenId, VtnId, tokens,
};
use crate::time::Timestamp;

/// `oadr:oadrRequestEvent`: all events, please. For synchronisation after registration or loss of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// Who asks.
    #[serde(rename = "venID")]
    pub ven_id: VenId,
    /// At most so many events (rule 27).
    pub reply_limit: Option<u32>,
}

/// `oadr:oadrDistributeEvent`: **all** events that still matter to this VEN (rule 50).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributeEvent {
    /// Where it answers a request or a poll (rule 40).
    pub response: Option<EiResponse>,
    /// To be repeated in the responses to these events (rule 42); need not be unique (rule 43).
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// Who sends.
    #[serde(rename = "vtnID")]
    pub vtn_id: VtnId,
    /// The events, most important first (rule 15).
    pub events: Vec<OadrEvent>,
}

/// `oadr:oadrEvent`: an event, and whether it wants an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OadrEvent {
    /// The event.
    pub event: EiEvent,
    /// Whether it wants an answer (rule 12).
    pub response_required: ResponseRequired,
}

tokens! {
    /// `oadr:oadrResponseRequired` (rules 12, 62).
    ResponseRequired {
        /// Answer each time it is received.
        Always = "always",
        /// Never answer.
        Never = "never",
    }
}

/// `ei:eiEvent`: one demand-response event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EiEvent {
    /// Which event, and what about it.
    pub descriptor: EventDescriptor,
    /// When.
    pub active_period: ActivePeriod,
    /// What; at least one. They run in parallel.
    pub signals: Vec<EventSignal>,
    /// What the load would be without the event; information only (rule 108).
    pub baseline: Option<EventBaseline>,
    /// For whom; empty is the whole VEN (rule 22).
    pub target: EiTarget,
}

impl EiEvent {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &EventId {
        &self.descriptor.event_id
    }

    /// Its modification number.
    #[must_use]
    pub const fn modification(&self) -> u32 {
        self.descriptor.modification_number
    }

    /// The signal of that name, where there is one.
    #[must_use]
    pub fn signal(&self, name: &SignalName) -> Option<&EventSignal> {
        self.signals.iter().find(|signal| signal.name == *name)
    }
}

/// `ei:eventDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDescriptor {
    /// Which event.
    #[serde(rename = "eventID")]
    pub event_id: EventId,
    /// Counts its changes from 0 (rules 4, 5); never goes down (rule 58).
    pub modification_number: u32,
    /// When it was changed.
    pub modification_date_time: Option<Timestamp>,
    /// Why it was changed.
    pub modification_reason: Option<String>,
    /// 1 is the most important; 0 or absent the least (rule 3).
    pub priority: Option<u32>,
    /// The programme.
    pub market_context: MarketContext,
    /// When this payload was made, not the event (rule 115).
    pub created_date_time: Timestamp,
    /// What the VTN holds of it; only `cancelled` counts (rule 114).
    pub status: EventStatus,
    /// Any text but `false` makes it a test (rule 6).
    pub test_event: Option<String>,
    /// For people.
    pub vtn_comment: Option<String>,
}

impl EventDescriptor {
    /// Whether the event is only a test (rule 6); an empty element counts as absent (rule 46).
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.test_event.as_deref().is_some_and(|text| !text.is_empty() && text != "false")
    }
}

tokens! {
    /// `ei:eventStatus`.
    EventStatus {
        /// No event pending.
        None = "none",
        /// Pending.
        Far = "far",
        /// In its ramp-up (rule 13).
        Near = "near",
        /// Running.
        Active = "active",
        /// Over.
        Completed = "completed",
        /// Called off (rule 10); two l here, one in the names of messages.
        Cancelled = "cancelled",
    }
}

/// `ei:eiActivePeriod`: when an event runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivePeriod {
    /// When it starts, before any random offset.
    pub start: Timestamp,
    /// Zero: until cancelled (rule 47).
    pub duration: Duration,
    /// The start is moved by a random time of at most this (rule 30).
    pub start_after: Option<Duration>,
    /// How long before the start the VEN should know; information only (rule 105).
    pub notification: Option<Duration>,
    /// Positive: before the start; negative: after it.
    pub ramp_up: Option<Duration>,
    /// Positive: after the end; negative: before it.
    pub recovery: Option<Duration>,
}

/// `ei:eiEventSignal`: a sequence of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSignal {
    /// At least one; their durations add up to the event's (rules 8, 102).
    pub intervals: Vec<Interval>,
    /// Device classes that this signal is for (rule 111).
    pub target: Option<EiTarget>,
    /// What kind of signal.
    pub name: SignalName,
    /// How its values are meant.
    pub signal_type: SignalType,
    /// Unique in the event (rule 107).
    #[serde(rename = "signalID")]
    pub signal_id: SignalId,
    /// The unit of its values.
    pub unit: Option<Unit>,
    /// The value of the running interval; a hint at best (rules 14, 29, 110).
    pub current_value: Option<Float>,
}

tokens! {
    /// `ei:signalName`.
    SignalName {
        /// Levels 0 to 3 (rule 9).
        Simple = "SIMPLE",
        /// Deprecated spelling of the same.
        SimpleLowerCase = "simple",
        /// Price of electricity.
        ElectricityPrice = "ELECTRICITY_PRICE",
        /// Price of energy.
        EnergyPrice = "ENERGY_PRICE",
        /// Charge for demand.
        DemandCharge = "DEMAND_CHARGE",
        /// A price bid by the resource.
        BidPrice = "BID_PRICE",
        /// A load bid by the resource.
        BidLoad = "BID_LOAD",
        /// Energy bid by the resource.
        BidEnergy = "BID_ENERGY",
        /// State of a store.
        ChargeState = "CHARGE_STATE",
        /// Run at this power.
        LoadDispatch = "LOAD_DISPATCH",
        /// State of a load controller.
        LoadControl = "LOAD_CONTROL",
    } other
}

impl SignalName {
    /// Whether it is the SIMPLE signal in either spelling.
    #[must_use]
    pub const fn is_simple(&self) -> bool {
        matches!(self, Self::Simple | Self::SimpleLowerCase)
    }
}

tokens! {
    /// `ei:signalType`; a closed list.
    SignalType {
        /// Change from what would have been.
        Delta = "delta",
        /// A level.
        Level = "level",
        /// A factor on what would have been.
        Multiplier = "multiplier",
        /// A price.
        Price = "price",
        /// A factor on the price.
        PriceMultiplier = "priceMultiplier",
        /// A change of the price.
        PriceRelative = "priceRelative",
        /// A target.
        Setpoint = "setpoint",
        /// Fraction of the controller's full output.
        LoadControlCapacity = "x-loadControlCapacity",
        /// Levels; 0 is normal.
        LoadControlLevelOffset = "x-loadControlLevelOffset",
        /// Percent away from normal.
        LoadControlPercentOffset = "x-loadControlPercentOffset",
        /// The controller's set point.
        LoadControlSetpoint = "x-loadControlSetpoint",
    }
}

/// `ei:eiEventBaseline`: what the load would be without the event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventBaseline {
    /// When it starts.
    pub start: Timestamp,
    /// How long it lasts.
    pub duration: Duration,
    /// Its values.
    pub intervals: Vec<Interval>,
    /// Its id.
    #[serde(rename = "baselineID")]
    pub baseline_id: String,
    /// What it sums (rule 108).
    pub resource_ids: Vec<ResourceId>,
    /// For people.
    pub baseline_name: String,
    /// The unit of its values.
    pub unit: Option<Unit>,
}

/// `oadr:oadrCreatedEvent`: what the VEN will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedEvent {
    /// Of the whole message; its requestID is empty when event responses follow (rule 42).
    pub response: EiResponse,
    /// One for each event that wants an answer; none only where `response` is an error (rule 35).
    pub event_responses: Vec<EventResponse>,
    /// Who answers.
    #[serde(rename = "venID")]
    pub ven_id: VenId,
}

/// `ei:qualifiedEventID`: one version of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QualifiedEventId {
    /// Which event.
    #[serde(rename = "eventID")]
    pub event_id: EventId,
    /// Which version of it.
    pub modification_number: u32,
}

/// `ei:eventResponse`: the answer to one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventResponse {
    /// The verdict.
    pub code: ResponseCode,
    /// For people.
    pub description: Option<String>,
    /// Of the `oadrDistributeEvent` with which the event came last (rule 42).
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// Which event.
    #[serde(rename = "eventID")]
    pub event_id: EventId,
    /// Which version of it.
    pub modification_number: u32,
    /// In or out.
    pub opt_type: OptType,
}

tokens! {
    /// `ei:optType`: take part or not.
    OptType {
        /// The event will be followed.
        OptIn = "optIn",
        /// The event will not be followed.
        OptOut = "optOut",
    }
}
