//! Counts what is lost, and says when somebody is to be told.

use crate::time::Span;

use super::item::{Fate, Why};

/// Between two notices of an overflow; twice as long each time while it lasts, since other hooks tell of it and would overflow too.
const PAUSE: Span = Span::MINUTE;
const LONGEST_PAUSE: Span = Span::HOUR;

/// How many items were not delivered and never will be, unless somebody asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) dead: u64,
    pub(crate) unsaid: u64,
    pub(crate) expired: u64,
    pub(crate) full: u64,
    pub(crate) too_large: u64,
    pub(crate) superseded: u64,
}

impl Losses {
    /// Why, and how many for that reason.
    pub(crate) const fn by_reason(&self) -> [(&'static str, u64); 6] {
        let Self { dead, unsaid, expired, full, too_large, superseded } = *self;
        [
            ("dead", dead),
            ("unsaid", unsaid),
            ("expired", expired),
            ("full", full),
            ("too_large", too_large),
            ("superseded", superseded),
        ]
    }

    fn count(&mut self, fate: Fate) {
        let number = match fate {
            Fate::Waiting | Fate::Sent | Fate::Unchanged => return,
            Fate::Dead => &mut self.dead,
            Fate::Unsaid => &mut self.unsaid,
            Fate::Expired => &mut self.expired,
            Fate::Dropped(Why::Full) => &mut self.full,
            Fate::Dropped(Why::TooLarge) => &mut self.too_large,
            Fate::Dropped(Why::Superseded) => &mut self.superseded,
        };
        *number = number.saturating_add(1);
    }
}

/// The count, and what of it was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) losses: Losses,
    untold: u64,
    /// When the last notice was, and how long the next one has to wait after that.
    told: Option<(Span, Span)>,
}

impl Tally {
    pub(super) fn count(&mut self, fate: Fate) {
        self.losses.count(fate);
        // Dead ones are told one by one, and who sets an interval wants what it leaves out.
        if matches!(fate, Fate::Expired | Fate::Dropped(Why::Full | Why::TooLarge)) {
            self.untold = self.untold.saturating_add(1);
        }
    }

    /// When there is something to be told.
    pub(super) fn tells_at(&self) -> Option<Span> {
        let at = self.told.map_or(Span::from_micros(i64::MIN), |(at, pause)| at + pause);
        (self.untold > 0).then_some(at)
    }

    /// How many to tell of now.
    pub(super) fn tell(&mut self, now: Span) -> Option<u64> {
        self.tells_at().filter(|at| *at <= now)?;
        let lasts = self.told.filter(|(at, pause)| now - *at <= *pause * 2);
        self.told = Some((now, lasts.map_or(PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE))));
        Some(std::mem::take(&mut self.untold))
    }
}
