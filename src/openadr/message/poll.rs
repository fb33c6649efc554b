//! Asks for whatever waits at the VTN.

use serde::Serialize;

use super::VenId;

/// `oadr:oadrPoll`: answered by one queued message, or `oadrResponse` when there is none (rule 500).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// Who asks.
    #[serde(rename = "venID")]
    pub ven_id: VenId,
}
