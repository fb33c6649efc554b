//! What a sink says of one try; what is done next follows from it.

use crate::time::Span;

/// What came of one try to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there.
    Sent,
    /// The endpoint's fault (network, time, 401, 403, 404, 405, 408, 425, 429, 5xx): everything for it waits.
    Endpoint {
        /// How long it asks to be left alone.
        retry_after: Option<Span>,
    },
    /// This message's fault (400, 406, 409, 413, 415, 422): others may well be taken.
    Payload,
    /// The endpoint wants nothing any more (410).
    Gone,
    /// It cannot be put into words (a template, its size): nothing was sent.
    Unsaid,
    /// It says no more than the one before did: nothing was sent, and nothing has to be.
    Unchanged,
}

/// One try to deliver, for the log of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) outcome: Outcome,
    /// The status of HTTP, or what the sink has in its place.
    pub(crate) code: Option<u16>,
    /// One line for people; empty where all is well.
    pub(crate) why: String,
    /// The beginning of what was answered.
    pub(crate) answer: String,
}

/// Of an answer no more than these bytes are kept.
pub(crate) const ANSWER_KEPT: usize = 2048;

impl Try {
    /// It is there.
    pub(crate) fn sent(code: Option<u16>) -> Self {
        Self { outcome: Outcome::Sent, code, why: String::new(), answer: String::new() }
    }

    /// The endpoint cannot be reached, or does not answer.
    pub(crate) fn unreachable(why: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Endpoint { retry_after: None },
            code: None,
            why: why.into(),
            answer: String::new(),
        }
    }
}
