//! Keeps what was said of one number in cells of time, and says for how long what is kept.

use std::collections::VecDeque;

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// Digits behind the point that are kept; no meter writes more.
const DIGITS: u32 = 6;
/// Cells of one length, whatever is configured.
const MOST_CELLS: usize = 40_000;
/// Fine cells: two days of ten seconds.
const MOST_FINE: i64 = 17_280;
/// Fine steps in seconds, the longest first; each divides a minute, and so every quarter of an hour.
const FINE_STEPS: [i64; 8] = [60, 30, 20, 15, 10, 5, 2, 1];

/// For how long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Everything as it came.
    pub(crate) raw: Span,
    /// At most so many as they came, however fast the meter speaks.
    pub(crate) most_raw: usize,
    /// One cell for each such step, which divides the coarse one ...
    pub(crate) fine_step: Span,
    /// ... for so long.
    pub(crate) fine: Span,
    /// One cell for each such step ...
    pub(crate) coarse_step: Span,
    /// ... for so long.
    pub(crate) coarse: Span,
}

impl Keep {
    /// As it came for a day, or for two hours of a meter that speaks every second; two days of minutes; and quarters of an hour for as long
    /// as is asked for.
    pub(crate) const fn for_span(keep: Span) -> Self {
        Self {
            raw: shorter(Span::DAY, keep),
            most_raw: 8_192,
            fine_step: Span::MINUTE,
            fine: shorter(Span::from_seconds(2 * 86_400), keep),
            coarse_step: Span::from_seconds(900),
            coarse: keep,
        }
    }

    /// The same with fine cells from which values of this step can be told, also when nothing is there as it came any more.
    pub(crate) fn with_step(self, shortest: Span) -> Self {
        let seconds = shortest.micros().div_euclid(1_000_000);
        let fitting = FINE_STEPS.into_iter().find(|step| *step <= seconds && seconds % *step == 0);
        let fine_step = Span::from_seconds(fitting.unwrap_or(1));
        Self { fine_step, fine: shorter(self.fine, fine_step * MOST_FINE), ..self }
    }

    /// Stored cells of that length are not needed any more where they begin before this.
    pub(super) fn oldest(&self, length: Span, now: Timestamp) -> Timestamp {
        now - if length == self.coarse_step { self.coarse } else { self.fine } - length * 2
    }
}

const fn shorter(one: Span, other: Span) -> Span {
    if one.micros() < other.micros() { one } else { other }
}

/// A number with six digits behind the point; `None` where it is too large.
pub(super) fn fixed(value: Decimal) -> Option<i64> {
    let mut value = value.round_dp(DIGITS);
    value.rescale(DIGITS);
    (value.scale() == DIGITS).then(|| i64::try_from(value.mantissa()).ok()).flatten()
}

/// The number again.
pub(super) fn decimal(fixed: i64) -> Decimal {
    Decimal::new(fixed, DIGITS)
}

/// A number at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    /// Of a register, what it has counted since the first reading: it rises only.
    pub(super) value: i64,
    /// The usual gap between readings at this time, in ms. As it is kept, what is said of a moment never changes.
    pub(super) usual: u32,
    /// From a telegram that is doubtful.
    pub(super) doubtful: bool,
    /// Another meter, or the same one reset.
    pub(super) break_before: bool,
}

impl Point {
    pub(super) fn usual(&self) -> Span {
        Span::from_millis(self.usual.into())
    }

    pub(super) const fn is_uncertain(&self) -> bool {
        self.doubtful || self.break_before
    }
}

/// What is kept of a step of time in which something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) start: Timestamp,
    pub(super) first: Point,
    pub(super) last: Point,
    pub(super) stats: Stats,
    /// A reading behind the first is doubtful, or behind a break.
    pub(super) uncertain: bool,
}

/// What is told of many readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) least: i64,
    pub(super) most: i64,
    pub(super) sum: i64,
    pub(super) count: u32,
    /// One of them is doubtful.
    pub(super) doubtful: bool,
}

impl Stats {
    pub(super) const fn of(point: &Point) -> Self {
        Self { least: point.value, most: point.value, sum: point.value, count: 1, doubtful: point.doubtful }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            sum: self.sum.saturating_add(other.sum),
            count: self.count.saturating_add(other.count),
            doubtful: self.doubtful || other.doubtful,
        }
    }
}

/// Cells of one length, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Tier {
    pub(super) step: Span,
    keep: Span,
    /// Everything from here on is there.
    pub(super) from: Timestamp,
    pub(super) cells: VecDeque<Cell>,
}

impl Tier {
    /// All the room that it will ever need is taken at once.
    pub(super) fn new(step: Span, keep: Span) -> Self {
        let most = usize::try_from(keep.micros() / step.micros().max(1)).unwrap_or(0).min(MOST_CELLS) + 3;
        Self { step, keep, from: Timestamp::from_micros(i64::MIN / 2), cells: VecDeque::with_capacity(most) }
    }

    pub(super) fn push(&mut self, point: Point) {
        let start = point.at.floor_to(self.step);
        match self.cells.back_mut().filter(|cell| cell.start == start) {
            Some(cell) => {
                cell.last = point;
                cell.stats = cell.stats.and(Stats::of(&point));
                cell.uncertain |= point.is_uncertain();
            }
            None => self.cells.push_back(Cell {
                start,
                first: point,
                last: point,
                stats: Stats::of(&point),
                uncertain: false,
            }),
        }
        self.forget_before(point.at);
    }

    /// Drops what is too old at this time.
    pub(super) fn forget_before(&mut self, now: Timestamp) {
        let oldest = now - self.keep;
        let too_many = |cells: &VecDeque<Cell>| cells.len() > MOST_CELLS;
        while let Some(cell) =
            self.cells.front().filter(|cell| cell.start + self.step < oldest || too_many(&self.cells))
        {
            // What was before the oldest that is left is not known any more.
            let next = self.cells.get(1).map_or(cell.start, |next| next.start);
            self.from = next + self.step;
            self.cells.pop_front();
        }
    }

    /// It knows what was around this moment.
    pub(super) fn covers(&self, at: Timestamp) -> bool {
        at >= self.from && at.floor_to(self.step) == at
    }

    /// Cells that begin in that time, both ends with it.
    pub(super) fn between(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = &Cell> {
        let first = self.cells.partition_point(|cell| cell.start < start);
        self.cells.range(first..).take_while(move |cell| cell.start <= end)
    }
}
