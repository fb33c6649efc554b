//! Asks for whatever waits at the VTN.

use super::VenId;

/// `oadr:oadrPoll`: answered by one queued message, or `oadrResponse` when there is none (rule 500).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Who asks.
    pub ven_id: VenId,
}
