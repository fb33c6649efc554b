//! Keeps one message in flight, and knows when the next may go.
//!
//! Failures are of two kinds. Where the VTN cannot be reached (no connection, a timeout, 503, 429) everything waits, with
//! a wait that doubles up to [`LONGEST_WAIT`]. Where one message fails otherwise (500, an unreadable reply), only its [`Lane`]
//! waits: a VTN that stumbles over a report must not make the VEN deaf.

use std::collections::BTreeMap;

use crate::openadr::message::{EventResponse, PayloadKind, RequestId, Service};
use crate::time::Span;

use super::ExchangeId;
use super::dice::Dice;

/// First wait after a failure; section 9.1.4 of the profile: about a second, a tenth to and fro.
const FIRST_WAIT: Span = Span::SECOND;
/// The wait doubles up to this.
const LONGEST_WAIT: Span = Span::from_seconds(300);
/// A VTN's `Retry-After` is honoured up to this.
const LONGEST_RETRY_AFTER: Span = Span::from_seconds(60);

/// Why a message got no usable reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection, no TLS, no answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// An HTTP status other than 200.
    #[error("http status {code}")]
    Status { code: u16, retry_after: Option<Span> },
    /// The reply was not believed or not understood.
    #[error("{0}")]
    Rejected(String),
}

impl Failure {
    /// The VTN as a whole is away, not only this message in trouble.
    pub(super) const fn is_of_the_vtn(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status { code, .. } => matches!(code, 401 | 403 | 429 | 502 | 503 | 504),
            Self::Rejected(_) => false,
        }
    }

    /// The same message will never be taken (section a.4: 404, 406, 501).
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Status { code: 400 | 404 | 405 | 406 | 413 | 415 | 501, .. })
    }

    const fn retry_after(&self) -> Option<Span> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Rejected(_) => None,
        }
    }
}

/// What is in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Query,
    Create,
    Leave,
    RegisterReport(RequestId),
    /// `overtaken`: the VTN has pushed its events meanwhile, so that nobody knows which picture of them is the newer one.
    RequestEvent {
        overtaken: bool,
    },
    Poll,
    Answer(PayloadKind),
    CreatedEvent(Vec<EventResponse>),
    CreateOpt(RequestId),
    CancelOpt(RequestId),
    Update(u64),
    /// Of reports of the VTN.
    Request(RequestId),
}

impl What {
    pub(super) const fn lane(&self) -> Lane {
        match self {
            Self::Query | Self::Create | Self::Leave => Lane::Registration,
            Self::RegisterReport(_) | Self::RequestEvent { .. } | Self::Request(_) => Lane::Duty,
            Self::Poll => Lane::Poll,
            Self::Answer(_) => Lane::Answer,
            Self::CreatedEvent(_) => Lane::Event,
            Self::CreateOpt(_) | Self::CancelOpt(_) => Lane::Opt,
            Self::Update(_) => Lane::Report,
        }
    }

    /// Which service of the VTN takes it.
    pub(super) const fn service(&self) -> Service {
        match self {
            Self::Query | Self::Create | Self::Leave => Service::EiRegisterParty,
            Self::RegisterReport(_) | Self::Update(_) | Self::Request(_) => Service::EiReport,
            Self::RequestEvent { .. } | Self::CreatedEvent(_) => Service::EiEvent,
            Self::Poll => Service::OadrPoll,
            Self::Answer(kind) => kind.service(),
            Self::CreateOpt(_) | Self::CancelOpt(_) => Service::EiOpt,
        }
    }
}

/// Kinds of messages that fail and wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Registration,
    Duty,
    Poll,
    Answer,
    Event,
    Opt,
    Report,
}

/// A wait that doubles.
#[derive(Clone, Copy, Debug, Default)]
struct Backoff {
    failures: u32,
    until: Span,
}

impl Backoff {
    /// Returns how long it is from now.
    fn fail(&mut self, now: Span, dice: &mut Dice, retry_after: Option<Span>) -> Span {
        let doubled = FIRST_WAIT * (1_i64 << self.failures.min(10));
        self.failures += 1;
        let wait = match retry_after {
            Some(asked) => asked.clamp(FIRST_WAIT, LONGEST_RETRY_AFTER),
            None => dice.around(doubled.min(LONGEST_WAIT)),
        };
        self.until = now + wait;
        wait
    }
}

/// The message in flight, and the waits.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    flying: Option<Flying>,
    last_id: u64,
    vtn: Backoff,
    /// When the VTN was last reached before it went away.
    away_since: Option<Span>,
    lanes: BTreeMap<Lane, Backoff>,
}

#[derive(Debug)]
struct Flying {
    id: ExchangeId,
    what: What,
    batch: u64,
}

impl Exchange {
    pub(super) const fn is_idle(&self) -> bool {
        self.flying.is_none()
    }

    /// Whether a message of this kind may go now.
    pub(super) fn may_send(&self, lane: Lane, now: Span) -> bool {
        self.flying.is_none() && self.ready_at(lane) <= now
    }

    /// When a message of this kind may go.
    pub(super) fn ready_at(&self, lane: Lane) -> Span {
        self.vtn.until.max(self.lanes.get(&lane).map_or(Span::ZERO, |backoff| backoff.until))
    }

    pub(super) fn begin(&mut self, what: What, batch: u64) -> ExchangeId {
        self.last_id += 1;
        let id = ExchangeId(self.last_id);
        self.flying = Some(Flying { id, what, batch });
        id
    }

    /// The VTN has pushed its events.
    pub(super) const fn overtake(&mut self) {
        if let Some(Flying { what: What::RequestEvent { overtaken }, .. }) = &mut self.flying {
            *overtaken = true;
        }
    }

    /// What that exchange was, unless it is not the one in flight (it was withheld, and is no news any more).
    pub(super) fn end(&mut self, id: ExchangeId) -> Option<What> {
        self.flying.take_if(|flying| flying.id == id).map(|flying| flying.what)
    }

    /// Notes a success; returns how long the VTN had been away.
    pub(super) fn succeeded(&mut self, lane: Lane, now: Span) -> Option<Span> {
        self.vtn = Backoff::default();
        self.lanes.remove(&lane);
        self.away_since.take().map(|since| now - since)
    }

    /// Whether the VTN is known to be away.
    pub(super) const fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Notes a failure; returns how long it will be waited.
    pub(super) fn failed(&mut self, lane: Lane, failure: &Failure, now: Span, dice: &mut Dice) -> Span {
        if failure.is_of_the_vtn() {
            self.away_since.get_or_insert(now);
            self.vtn.fail(now, dice, failure.retry_after())
        } else {
            self.lanes.entry(lane).or_default().fail(now, dice, failure.retry_after())
        }
    }

    /// How often messages of this kind have failed one after the other.
    pub(super) fn failures(&self, lane: Lane) -> u32 {
        self.lanes.get(&lane).map_or(0, |backoff| backoff.failures)
    }

    /// How often messages of this kind, or any, have failed one after the other.
    pub(super) fn troubles(&self, lane: Lane) -> u32 {
        self.failures(lane).saturating_add(self.vtn.failures)
    }

    /// Messages of this kind need not wait any more: what failed has been given up.
    pub(super) fn clear(&mut self, lane: Lane) {
        self.lanes.remove(&lane);
    }

    /// The message of that batch or a later one has not gone out.
    pub(super) fn withhold_from(&mut self, batch: u64) {
        self.flying.take_if(|flying| flying.batch >= batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_vary_by_a_tenth() {
        let (mut backoff, mut dice) = (Backoff::default(), Dice::new(1));
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let wait = backoff.fail(Span::ZERO, &mut dice, None);
            let expected = Span::from_seconds(expected);
            assert!(
                (wait - expected).abs() <= Span::from_micros(expected.micros() / 10),
                "{wait} for {expected}"
            );
        }
    }

    #[test]
    fn retry_after_is_honoured_between_a_second_and_a_minute() {
        for (asked, granted) in [(6, 6), (0, 1), (-5, 1), (3600, 60)] {
            let (mut backoff, mut dice) = (Backoff::default(), Dice::new(1));
            let wait = backoff.fail(Span::ZERO, &mut dice, Some(Span::from_seconds(asked)));
            assert_eq!(wait, Span::from_seconds(granted));
        }
    }
}
