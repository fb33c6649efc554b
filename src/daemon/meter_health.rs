//! Knows whether a meter delivers, and when it is time to say again that it does not.

use std::mem::Discriminant;

use crate::metering::Why;
use crate::time::Span;

use super::meter_source::Trouble;

/// What goes on and on is told again after this.
const TOLD_AGAIN: Span = Span::HOUR;

/// Whether a meter delivers; `None` where nothing is known yet.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The trouble that was told, and when.
    trouble: Option<(Trouble, Span)>,
    online: bool,
    refused: Vec<Refusals>,
}

/// Telegrams that were refused for the same kind of reason.
#[derive(Debug)]
struct Refusals {
    kind: Discriminant<Why>,
    told_at: Span,
    untold: u64,
}

/// Whether something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is the first of its kind.
    First,
    /// So many have come since it was told.
    Again(u64),
    Not,
}

impl Health {
    /// A good telegram came; whether that is news.
    pub(super) fn good(&mut self) -> bool {
        self.trouble = None;
        !std::mem::replace(&mut self.online, true)
    }

    /// Nothing good comes; whether that is to be told now.
    pub(super) fn bad(&mut self, trouble: &Trouble, now: Span) -> bool {
        self.online = false;
        let known = |(told, at): &(Trouble, Span)| told.is_like(trouble) && now - *at < TOLD_AGAIN;
        if self.trouble.as_ref().is_some_and(known) {
            return false;
        }
        self.trouble = Some((trouble.clone(), now));
        true
    }

    /// A telegram was refused; whether that is to be told now.
    pub(super) fn refused(&mut self, why: &Why, now: Span) -> Told {
        let kind = std::mem::discriminant(why);
        let Some(known) = self.refused.iter_mut().find(|known| known.kind == kind) else {
            self.refused.push(Refusals { kind, told_at: now, untold: 0 });
            return Told::First;
        };
        known.untold += 1;
        if now - known.told_at < TOLD_AGAIN {
            return Told::Not;
        }
        known.told_at = now;
        Told::Again(std::mem::take(&mut known.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, Told, Trouble};
    use crate::metering::Why;
    use crate::time::Span;

    #[test]
    fn the_first_is_told_and_then_one_an_hour() {
        let mut health = Health::default();
        let crc = Why::Crc { found: 1, expected: 2 };
        let at = Span::from_seconds;
        assert_eq!(health.refused(&crc, at(0)), Told::First);
        assert_eq!(health.refused(&Why::Crc { found: 3, expected: 2 }, at(1)), Told::Not);
        assert_eq!(health.refused(&Why::WrongKey, at(2)), Told::First, "another kind");
        assert_eq!(health.refused(&crc, at(3600)), Told::Again(2));
        assert_eq!(health.refused(&crc, at(3601)), Told::Not);
    }

    #[test]
    fn troubles_are_told_when_they_change_and_then_once_an_hour() {
        let mut health = Health::default();
        let at = Span::from_seconds;
        let away = |why: &str| Trouble::Away(why.into());
        assert!(health.bad(&away("it was unplugged"), at(0)));
        assert!(!health.bad(&away("No such file"), at(2)), "the same");
        assert!(health.bad(&Trouble::Silent(Span::MINUTE), at(60)), "another");
        assert!(!health.bad(&Trouble::Silent(Span::MINUTE), at(3659)));
        assert!(health.bad(&Trouble::Silent(Span::MINUTE), at(3660)), "an hour later");
        assert!(health.good() && !health.good());
        assert!(health.bad(&Trouble::Silent(Span::MINUTE), at(3661)), "again after it was good");
    }
}
