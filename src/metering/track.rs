//! Keeps one number of a meter over time in a bounded room: as it came for hours, then for minutes, then for quarters of an hour.

use std::collections::VecDeque;

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::tier::{Cell, Keep, Point, Stats, Tier, decimal};

/// Digits behind the point of a register between two readings.
const BETWEEN: u32 = 3;
/// Gaps between readings from which the usual one is taken.
const GAPS: usize = 9;
/// A value is too old after this, or after two of the usual gaps where that is longer.
const STALE: Span = Span::from_seconds(60);

/// A register at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) value: Decimal,
    /// Between two readings that are far apart.
    pub(super) far: bool,
    /// From a reading that is doubtful, or across a break.
    pub(super) uncertain: bool,
}

/// One number of a meter over time.
#[derive(Clone, Debug)]
pub(super) struct Track {
    keep: Keep,
    raw: VecDeque<Point>,
    /// Everything from here on is there as it came.
    raw_from: Timestamp,
    pub(super) fine: Tier,
    pub(super) coarse: Tier,
    /// The last gaps between readings, in ms.
    pub(super) gaps: VecDeque<u32>,
    heard_at: Option<Timestamp>,
    /// From here on something is not stored yet.
    pub(super) changed: Option<Timestamp>,
}

impl Track {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            raw: VecDeque::with_capacity(keep.most_raw + 1),
            raw_from: Timestamp::from_micros(i64::MIN / 2),
            fine: Tier::new(keep.fine_step, keep.fine),
            coarse: Tier::new(keep.coarse_step, keep.coarse),
            gaps: VecDeque::new(),
            heard_at: None,
            changed: None,
        }
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<&Point> {
        self.raw.back()
    }

    /// The oldest of all that is known.
    pub(super) fn begins(&self) -> Option<Timestamp> {
        let cells = [self.coarse.cells.front(), self.fine.cells.front()];
        cells
            .into_iter()
            .flatten()
            .map(|cell| cell.first.at)
            .chain(self.raw.front().map(|point| point.at))
            .min()
    }

    /// Adds a value; one that is older than the last is none.
    pub(super) fn push(&mut self, at: Timestamp, value: i64, doubtful: bool, break_before: bool) {
        if self.raw.back().is_some_and(|last| at < last.at) {
            return;
        }
        self.hear(at);
        let point = Point { at, value, usual: self.usual_gap(), doubtful, break_before };
        self.raw.push_back(point);
        self.fine.push(point);
        self.coarse.push(point);
        self.change(at);
        let oldest = at - self.keep.raw;
        while self.raw.len() > self.keep.most_raw || self.raw.front().is_some_and(|point| point.at < oldest) {
            self.raw.pop_front();
            self.raw_from = self.raw.front().map_or(self.raw_from, |front| front.at);
        }
    }

    fn change(&mut self, at: Timestamp) {
        self.changed = Some(self.changed.map_or(at, |changed| changed.min(at)));
    }

    /// A register said something else in the same second: that counts.
    pub(super) fn correct(&mut self, value: i64) {
        if let Some(last) = self.last() {
            self.change(last.at);
        }
        let change = |point: &mut Point| point.value = value;
        self.raw.iter_mut().next_back().into_iter().for_each(change);
        for tier in [&mut self.fine, &mut self.coarse] {
            if let Some(cell) = tier.cells.back_mut() {
                if cell.first.at == cell.last.at {
                    change(&mut cell.first);
                }
                change(&mut cell.last);
                cell.stats.most = cell.stats.most.max(value);
            }
        }
    }

    /// Something was said, though it may be nothing that can be believed: that is how often there are readings.
    pub(super) fn hear(&mut self, at: Timestamp) {
        if let Some(gap) = self.heard_at.replace(at).map(|before| at - before) {
            self.note_gap(gap);
        }
    }

    /// Something was said from that time on, and nothing yet that could be believed.
    pub(super) fn is_in_doubt(&self, from: Timestamp) -> bool {
        self.heard_at.is_some_and(|heard| heard >= from) && self.last().is_none_or(|last| last.at < from)
    }

    fn note_gap(&mut self, gap: Span) {
        let millis = u32::try_from(gap.micros().div_euclid(1_000)).unwrap_or(u32::MAX);
        if millis == 0 || gap < Span::ZERO {
            return;
        }
        self.gaps.push_back(millis);
        if self.gaps.len() > GAPS {
            self.gaps.pop_front();
        }
        // The very first reading comes before any gap.
        if let (1, 1, Some(first)) = (self.gaps.len(), self.raw.len(), self.raw.front()) {
            self.change(first.at);
            self.raw.iter_mut().for_each(|first| first.usual = millis);
            for tier in [&mut self.fine, &mut self.coarse] {
                for cell in tier.cells.iter_mut().filter(|cell| cell.stats.count == 1) {
                    cell.first.usual = millis;
                    cell.last.usual = millis;
                }
            }
        }
    }

    fn usual_gap(&self) -> u32 {
        let mut gaps: Vec<u32> = self.gaps.iter().copied().collect();
        gaps.sort_unstable();
        gaps.get(gaps.len().saturating_sub(1) / 2).copied().unwrap_or(1_000)
    }

    /// The tier that knows what was around this moment, where nothing is there as it came any more.
    fn tier(&self, at: Timestamp) -> Option<&Tier> {
        [&self.fine, &self.coarse].into_iter().find(|tier| tier.covers(at))
    }

    /// The last reading before a moment, and the first from it on. It is the same from whatever is kept, or nothing at all.
    fn around(&self, at: Timestamp) -> (Option<Point>, Option<Point>) {
        if at >= self.raw_from {
            let next = self.raw.partition_point(|point| point.at < at);
            let before = next.checked_sub(1).and_then(|before| self.raw.get(before));
            return (before.copied(), self.raw.get(next).copied());
        }
        let Some(tier) = self.tier(at) else { return (None, None) };
        let next = tier.cells.partition_point(|cell| cell.start < at);
        let before = next.checked_sub(1).and_then(|before| tier.cells.get(before));
        (before.map(|cell| cell.last), tier.cells.get(next).map(|cell| cell.first))
    }

    /// The reading that is nearest to a moment and not further away than `reach` of a usual gap, once none can come that is nearer.
    fn near(&self, at: Timestamp, reach: impl Fn(&Point) -> Span) -> Option<Point> {
        let (before, after) = self.around(at);
        let after = after?;
        let near = [before, Some(after)].into_iter().flatten();
        near.filter(|point| (point.at - at).abs() <= reach(point)).min_by_key(|point| (point.at - at).abs())
    }

    /// The value of the reading that is nearest to a moment, not further away than readings usually are.
    pub(super) fn now(&self, at: Timestamp) -> Option<Point> {
        self.near(at, Point::usual)
    }

    /// A register at a moment: that of the reading within half a usual gap; otherwise on the line between the readings
    /// around, unless they are further apart than an interval. Its value depends on the moment alone, so that intervals add up exactly.
    pub(super) fn level(&self, at: Timestamp, interval: Span) -> Option<Level> {
        let half = |point: &Point| Span::from_micros(point.usual().micros() / 2);
        if let Some(near) = self.near(at, half) {
            let uncertain = near.doubtful || (near.break_before && near.at > at);
            return Some(Level { value: decimal(near.value), far: false, uncertain });
        }
        let (Some(before), Some(after)) = self.around(at) else { return None };
        let (gap, usual) = (after.at - before.at, after.usual());
        if gap > interval.max(usual * 2) {
            return None;
        }
        let (low, high) = (decimal(before.value), decimal(after.value));
        let (passed, whole) = ((at - before.at).micros(), gap.micros());
        let rise = ((high - low) * Decimal::from(passed) / Decimal::from(whole)).round_dp(BETWEEN);
        let uncertain = before.doubtful || after.is_uncertain();
        Some(Level { value: low + rise, far: gap > usual * 2, uncertain })
    }

    /// A reading after the one moment, and up to the other, is doubtful or behind a break.
    pub(super) fn is_uncertain(&self, start: Timestamp, end: Timestamp) -> bool {
        if start >= self.raw_from {
            let first = self.raw.partition_point(|point| point.at <= start);
            return self.raw.range(first..).take_while(|point| point.at <= end).any(Point::is_uncertain);
        }
        let uncertain = |cell: &Cell| {
            let first = cell.first.at > start && cell.first.at <= end && cell.first.is_uncertain();
            first || (cell.uncertain && cell.start < end)
        };
        self.tier(start).is_some_and(|tier| tier.between(start, end).any(uncertain))
    }

    /// What is told of the readings from one moment up to the other, without it.
    pub(super) fn stats(&self, start: Timestamp, end: Timestamp) -> Option<Stats> {
        if start >= self.raw_from {
            let first = self.raw.partition_point(|point| point.at < start);
            let points = self.raw.range(first..).take_while(|point| point.at < end);
            return points.map(Stats::of).reduce(Stats::and);
        }
        let tier =
            [&self.fine, &self.coarse].into_iter().find(|tier| tier.covers(start) && tier.covers(end))?;
        tier.between(start, end).filter(|cell| cell.start < end).map(|cell| cell.stats).reduce(Stats::and)
    }

    /// Whether something was said at about that time.
    pub(super) fn was_heard(&self, at: Timestamp) -> bool {
        let fresh = |last: &Point| at - last.at <= STALE.max(last.usual() * 2);
        if at >= self.raw_from {
            let next = self.raw.partition_point(|point| point.at <= at);
            return next.checked_sub(1).and_then(|last| self.raw.get(last)).is_some_and(fresh);
        }
        [&self.fine, &self.coarse].into_iter().filter(|tier| at >= tier.from).any(|tier| {
            let next = tier.cells.partition_point(|cell| cell.first.at <= at);
            let cell = next.checked_sub(1).and_then(|last| tier.cells.get(last));
            cell.is_some_and(|cell| cell.last.at >= at || fresh(&cell.last))
        })
    }

    /// Forgets what is later: the clock it came by was wrong.
    pub(super) fn forget_after(&mut self, at: Timestamp) {
        self.raw.retain(|point| point.at <= at);
        for tier in [&mut self.fine, &mut self.coarse] {
            tier.cells.retain(|cell| cell.last.at <= at);
        }
        let kept = self.fine.cells.back().map(|cell| cell.last);
        if let (true, Some(last)) = (self.raw.is_empty(), kept) {
            self.raw.push_back(last);
            self.raw_from = last.at;
        }
    }

    /// Puts back what was stored: cells of both lengths, oldest first, and from when on each has everything.
    pub(super) fn restore(
        &mut self,
        cells: Vec<(Span, Cell)>,
        gaps: &[u32],
        (fine_from, coarse_from): (Timestamp, Timestamp),
    ) {
        (self.fine.from, self.coarse.from) = (fine_from, coarse_from);
        for (length, cell) in cells {
            let tier = if length == self.coarse.step { &mut self.coarse } else { &mut self.fine };
            if length == tier.step {
                tier.cells.push_back(cell);
                tier.forget_before(cell.last.at);
            }
        }
        self.gaps.extend(gaps.iter().take(GAPS));
        let lasts = [&self.fine, &self.coarse].map(|tier| tier.cells.back().map(|cell| cell.last));
        if let Some(last) = lasts.into_iter().flatten().max_by_key(|last| last.at) {
            self.raw.push_back(last);
            self.raw_from = last.at;
            self.heard_at = Some(last.at);
            if self.fine.cells.is_empty() {
                // They were of another length.
                self.fine.from = last.at;
            }
        }
        for tier in [&mut self.fine, &mut self.coarse] {
            tier.forget_before(self.raw_from);
        }
    }

    /// Bytes of memory that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let cells = self.fine.cells.capacity() + self.coarse.cells.capacity();
        cells * size_of::<Cell>() + self.raw.capacity() * size_of::<Point>()
    }

    /// How many readings it holds as they came.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }
}
