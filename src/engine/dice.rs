//! Rolls the dice of an engine: ids, jitter, random offsets.

use crate::openadr::message::RequestId;
use crate::time::Span;

/// A generator that gives the same rolls for the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An id that nobody has used before.
    pub(super) fn request_id(&mut self) -> RequestId {
        RequestId::new(format!("{:016x}{:016x}", self.roll(), self.roll()))
    }

    /// Anything from nothing to `most`, both included.
    pub(super) fn up_to(&mut self, most: Span) -> Span {
        let Ok(micros) = u64::try_from(most.micros()) else { return Span::ZERO };
        let rolled = self.roll() % micros.saturating_add(1);
        Span::from_micros(i64::try_from(rolled).unwrap_or(i64::MAX))
    }

    /// `span`, a tenth less to a tenth more.
    pub(super) fn around(&mut self, span: Span) -> Span {
        let tenth = Span::from_micros(span.micros() / 10);
        span - tenth + self.up_to(tenth * 2)
    }
}
