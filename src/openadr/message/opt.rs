//! Takes a VEN out of events, or into them, for a time or for one event: the messages of `EiOpt`.
//!
//! `oadrCreateOpt` has two uses (rule 206), told apart by what is in it:
//!
//! ```text
//!                    event opt              schedule
//! qualifiedEventID   the event              -
//! vavailability      -                      when the opt holds
//! marketContext      -                      only for events of that programme (rule 205)
//! eiTarget           part of the event's    any of the VEN's resources (rule 202)
//! taken back by      another oadrCreateOpt  oadrCancelOpt, or a newer schedule (rules 203, 211)
//! ```
//!
//! An event opt is for events that want an answer, and from then on it alone counts: what `oadrCreatedEvent` says of the same
//! resources is ignored, and a modification of the event changes nothing about that (rule 206).

use serde::Serialize;

use super::{
    Duration, EiResponse, EiTarget, MarketContext, OptId, OptType, QualifiedEventId, RequestId, VenId, tokens,
};
use crate::time::Timestamp;

/// `oadr:oadrCreateOpt`: in or out, for one event or for some time. Only a VEN sends it.
///
/// The order is the schema's, where what a base type has comes before what is added to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateOpt {
    /// Chosen by the VEN; always there, and need not be unique (rule 204).
    #[serde(rename = "optID")]
    pub opt_id: OptId,
    /// In or out.
    pub opt_type: OptType,
    /// Why.
    pub opt_reason: OptReason,
    /// A schedule is for events of this programme only (rule 205); never in an event opt (rule 206).
    pub market_context: Option<MarketContext>,
    /// Who opts (rule 208).
    #[serde(rename = "venID")]
    pub ven_id: VenId,
    /// When a schedule holds; never in an event opt (rule 206).
    pub availability: Option<Vavailability>,
    /// When the message was made; receivers may insist on a recent time.
    pub created_date_time: Timestamp,
    /// Repeated in the answer (rule 207).
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// The event that an event opt is about; never in a schedule (rule 206).
    #[serde(rename = "qualifiedEventID")]
    pub qualified_event_id: Option<QualifiedEventId>,
    /// Which resources; empty is all of them (rule 202), in an event opt all of the event's.
    pub target: EiTarget,
    /// `oadr:oadrDeviceClass`: device classes only, which narrow the target down; absent where there are none (rule 209).
    pub device_class: Option<EiTarget>,
}

tokens! {
    /// `ei:optReason`.
    OptReason {
        /// It does not pay.
        Economic = "economic",
        /// An emergency.
        Emergency = "emergency",
        /// The load has to run.
        MustRun = "mustRun",
        /// Takes no part.
        NotParticipating = "notParticipating",
        /// Out of service, or running on account of an outage.
        OutageRunStatus = "outageRunStatus",
        /// Somebody has taken over by hand.
        OverrideStatus = "overrideStatus",
        /// Takes part.
        Participating = "participating",
        /// By a plan.
        Schedule = "x-schedule",
    } other
}

/// `xcal:vavailability`: the times for which a schedule says in or out.
///
/// None at all is in the schema, and says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vavailability {
    /// `xcal:components`, one for each time.
    pub available: Vec<Available>,
}

/// `xcal:available`: one time.
///
/// What else `xcal:properties` may hold has no place here (rule 200); where it is sent, it is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Available {
    /// From when.
    pub start: Timestamp,
    /// Zero: until further notice (rule 210).
    pub duration: Duration,
}

/// `oadr:oadrCreatedOpt`: answer to [`CreateOpt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedOpt {
    /// The verdict; 4xx where an event opt has a target that the event has not (rule 206).
    pub response: EiResponse,
    /// Repeats that of the request, even where it is refused.
    #[serde(rename = "optID")]
    pub opt_id: OptId,
}

/// `oadr:oadrCancelOpt`: this schedule holds no more. Never for an event opt (rule 211).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelOpt {
    /// Repeated in the answer (rule 207).
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// All schedules that were sent under this id (rule 204).
    #[serde(rename = "optID")]
    pub opt_id: OptId,
    /// Whose (rule 208).
    #[serde(rename = "venID")]
    pub ven_id: VenId,
}

/// `oadr:oadrCanceledOpt`: answer to [`CancelOpt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanceledOpt {
    /// The verdict; 452 where the id is not known (rule 208), but not where a newer schedule has replaced it (rule 211).
    pub response: EiResponse,
    /// Repeats that of the request.
    #[serde(rename = "optID")]
    pub opt_id: Option<OptId>,
}
