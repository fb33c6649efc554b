//! Keeps readings over time, and answers from them at any granularity.

use std::collections::VecDeque;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::quantity::Quantity;
use super::reading::{Reading, net};
use super::register::Register;

/// A day of one reading a second, and some: about ten megabytes.
pub(super) const MOST: usize = 100_000;
/// Where that is not enough, only the readings around whole multiples of this are kept of the older half.
const COARSE: Span = Span::MINUTE;
/// Gaps between readings from which the usual one is taken.
const GAPS: usize = 9;
/// A power is too old after this, or after two of the usual gaps where that is longer.
const STALE: Span = Span::from_seconds(60);
/// A reading that is further away says nothing of a moment, unless intervals are longer.
const FAR: Span = Span::from_seconds(2 * 3_600);
/// Digits behind the point of a register between two readings, in Wh.
const DIGITS: u32 = 3;

/// One value of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) start: Timestamp,
    pub(crate) duration: Span,
    /// `None`: a gap. A number is never invented.
    pub(crate) value: Option<Decimal>,
    pub(crate) quality: DataQuality,
}

/// Readings of one meter, oldest first.
#[derive(Debug)]
pub(crate) struct Series {
    points: VecDeque<Point>,
    keep: Span,
    meter: Option<String>,
    import: Register,
    export: Register,
    /// The last gaps between readings.
    gaps: VecDeque<Span>,
}

/// A reading whose registers rise only.
#[derive(Clone, Debug)]
pub(super) struct Point {
    at: Timestamp,
    /// The usual gap between readings at this time. As it is kept, what is said of a moment never changes.
    usual: Span,
    import: Option<Decimal>,
    export: Option<Decimal>,
    power_import: Option<Decimal>,
    power_export: Option<Decimal>,
    /// A meter without an export register, up to here, has never given anything.
    gives: bool,
    doubtful: bool,
    break_before: bool,
}

impl Point {
    fn register(&self, quantity: Quantity) -> Option<Decimal> {
        match quantity {
            Quantity::ImportEnergy => self.import,
            Quantity::ExportEnergy => self.export,
            Quantity::NetEnergy if self.gives => Some(self.import? - self.export?),
            Quantity::NetEnergy => self.import,
            Quantity::ImportPower | Quantity::ExportPower | Quantity::NetPower | Quantity::Status => None,
        }
    }

    fn power(&self, quantity: Quantity) -> Option<Decimal> {
        match quantity {
            Quantity::ImportPower => self.power_import,
            Quantity::ExportPower => self.power_export,
            Quantity::NetPower => net(self.power_import, self.power_export),
            Quantity::ImportEnergy | Quantity::ExportEnergy | Quantity::NetEnergy | Quantity::Status => None,
        }
    }

    fn is_uncertain(&self) -> bool {
        self.doubtful || self.break_before
    }
}

/// A register at a moment.
#[derive(Clone, Copy, Debug)]
struct Level {
    value: Decimal,
    /// Between two readings that are far apart.
    far: bool,
    /// From a reading that is doubtful, or across a break.
    uncertain: bool,
}

impl Series {
    /// Empty; readings are kept for so long.
    pub(crate) fn new(keep: Span) -> Self {
        Self {
            points: VecDeque::new(),
            keep,
            meter: None,
            import: Register::default(),
            export: Register::default(),
            gaps: VecDeque::new(),
        }
    }

    /// Adds a reading. It replaces what is not older: the clock was set back, and that is said again.
    pub(crate) fn push(&mut self, reading: Reading) {
        if let Some(last) = self.points.back() {
            self.note_gap(reading.at - last.at);
        }
        while self.points.back().is_some_and(|last| last.at >= reading.at) {
            self.points.pop_back();
        }
        if let Some(meter) = reading.meter {
            let old = self.meter.replace(meter);
            if old.is_some() && old != self.meter {
                self.import.exchange();
                self.export.exchange();
            }
        }
        let accept = |register: &mut Register, raw: Option<Decimal>| {
            raw.map(|raw| register.accept(reading.at, raw)).unwrap_or_default()
        };
        let import = accept(&mut self.import, reading.import);
        let export = accept(&mut self.export, reading.export);
        self.points.push_back(Point {
            at: reading.at,
            usual: self.usual_gap(),
            import: import.total,
            export: export.total,
            power_import: reading.power_import,
            power_export: reading.power_export,
            gives: self.export.has_begun(),
            doubtful: reading.quality != DataQuality::Good,
            break_before: import.break_before || export.break_before,
        });
        let oldest = reading.at - self.keep;
        while self.points.front().is_some_and(|point| point.at < oldest) {
            self.points.pop_front();
        }
        if self.points.len() > MOST {
            self.thin();
        }
    }

    fn note_gap(&mut self, gap: Span) {
        if gap <= Span::ZERO {
            return;
        }
        self.gaps.push_back(gap);
        if self.gaps.len() > GAPS {
            self.gaps.pop_front();
        }
        // The very first reading comes before any gap.
        if self.gaps.len() == 1
            && let Some(first) = self.points.back_mut()
        {
            first.usual = gap;
        }
    }

    fn usual_gap(&self) -> Span {
        let mut gaps: Vec<Span> = self.gaps.iter().copied().collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(Span::SECOND)
    }

    /// Makes room: of the older half, only the first and the last reading of each minute stay, so that intervals of whole minutes stay
    /// what they are. Where that makes little room, the oldest go.
    fn thin(&mut self) {
        let minute = |point: &Point| point.at.floor_to(COARSE);
        let newer = self.points.split_off(MOST / 2);
        let older = std::mem::take(&mut self.points);
        let (mut doubtful, mut break_before) = (false, false);
        for (at, point) in older.iter().enumerate() {
            let others = [at.checked_sub(1), Some(at + 1)].map(|other| older.get(other?));
            let inside = |other: &Option<&Point>| other.is_some_and(|other| minute(other) == minute(point));
            doubtful |= point.doubtful;
            break_before |= point.break_before;
            if !others.iter().all(inside) {
                self.points.push_back(Point { doubtful, break_before, ..point.clone() });
                (doubtful, break_before) = (false, false);
            }
        }
        self.points.extend(newer);
        self.points.drain(..self.points.len().saturating_sub(MOST - MOST / 10));
    }

    /// A reading from that time or later is there, so that nothing before it will change.
    pub(crate) fn is_complete(&self, to: Timestamp) -> bool {
        self.points.back().is_some_and(|last| last.at >= to)
    }

    /// The newest value: a power that is not too old, or the energy of the newest whole interval of this length.
    pub(crate) fn latest(&self, quantity: Quantity, length: Span, now: Timestamp) -> Value {
        let fresh = self.points.back().filter(|last| now - last.at <= STALE.max(last.usual * 2));
        if quantity.is_energy() {
            let end = fresh.map_or(now, |last| last.at).floor_to(length);
            return self.energy(quantity, end - length, length);
        }
        let (start, value) = fresh.map_or((now, None), |last| (last.at, last.power(quantity)));
        let quality = quality(fresh.is_some_and(|last| last.doubtful), false);
        Value { start, duration: length, value, quality }.honest()
    }

    /// One value for each step from `from` to `to`: the energy of the step, or the power at its start.
    pub(crate) fn window(
        &self,
        quantity: Quantity,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Vec<Value> {
        if step <= Span::ZERO {
            return Vec::new();
        }
        let starts =
            std::iter::successors(Some(from), |start| Some(*start + step)).take_while(|start| *start < to);
        let starts = starts.take(MOST);
        let value = |start| {
            if quantity.is_energy() {
                self.energy(quantity, start, step.min(to - start))
            } else {
                self.power(quantity, start, step.min(to - start))
            }
        };
        starts.map(value).collect()
    }

    /// The power of the reading that is nearest to the start, not further away than readings usually are.
    fn power(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Value {
        let next = self.points.partition_point(|point| point.at < start);
        let around = [next.checked_sub(1), Some(next)].into_iter().flatten();
        let around =
            around.filter_map(|at| self.points.get(at)).filter(|point| point.power(quantity).is_some());
        let nearest = around.min_by_key(|point| (point.at - start).abs());
        let near = nearest.filter(|point| (point.at - start).abs() <= point.usual);
        let quality = quality(near.is_some_and(|point| point.doubtful), false);
        Value { start, duration, value: near.and_then(|point| point.power(quantity)), quality }.honest()
    }

    /// How much a register has risen.
    fn energy(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Value {
        let end = start + duration;
        let levels = self.level(quantity, start, duration).zip(self.level(quantity, end, duration));
        let levels = levels.filter(|_| duration > Span::ZERO);
        let value = levels.map(|(from, to)| (to.value - from.value).normalize());
        let ends = levels.is_some_and(|(from, to)| from.uncertain || to.uncertain);
        let far = levels.is_some_and(|(from, to)| from.far || to.far);
        let quality = quality(ends || self.between(start, end).any(Point::is_uncertain), far);
        Value { start, duration, value, quality }.honest()
    }

    fn between(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = &Point> {
        let first = self.points.partition_point(|point| point.at <= start);
        self.points.range(first..).take_while(move |point| point.at <= end)
    }

    /// A register at a moment: that of the reading within half a usual gap; otherwise on the line between the readings
    /// around, unless they are further apart than an interval. Its value depends on the moment alone, so that intervals add up exactly.
    fn level(&self, quantity: Quantity, at: Timestamp, interval: Span) -> Option<Level> {
        let next = self.points.partition_point(|point| point.at < at);
        let within_reach = |point: &&Point| (point.at - at).abs() <= interval.max(FAR);
        let said = |point: &&Point| point.register(quantity).is_some();
        let before = self.points.range(..next).rev().take_while(within_reach).find(said);
        let after = self.points.range(next..).take_while(within_reach).find(said);
        let near =
            [before, after].into_iter().flatten().filter(|point| (point.at - at).abs() * 2 <= point.usual);
        if let Some(near) = near.min_by_key(|point| (point.at - at).abs()) {
            let uncertain = near.doubtful || (near.break_before && near.at > at);
            return Some(Level { value: near.register(quantity)?, far: false, uncertain });
        }
        let (before, after) = (before?, after?);
        let (gap, usual) = (after.at - before.at, after.usual);
        if gap > interval.max(usual * 2) {
            return None;
        }
        let (low, high) = (before.register(quantity)?, after.register(quantity)?);
        let (passed, whole) = ((at - before.at).micros(), gap.micros());
        let rise = ((high - low) * Decimal::from(passed) / Decimal::from(whole)).round_dp(DIGITS);
        let uncertain = before.doubtful || after.is_uncertain();
        Some(Level { value: low + rise, far: gap > usual * 2, uncertain })
    }

    /// Whether the meter was heard at about that time.
    pub(crate) fn was_heard(&self, at: Timestamp) -> bool {
        let last = self.points.partition_point(|point| point.at <= at).checked_sub(1);
        let last = last.and_then(|last| self.points.get(last));
        last.is_some_and(|last| at - last.at <= STALE.max(last.usual * 2))
    }

    /// How many readings it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }
}

/// What is uncertain for another reason than a gap is told of first.
const fn quality(uncertain: bool, far: bool) -> DataQuality {
    match (uncertain, far) {
        (true, _) => DataQuality::Uncertain,
        (false, true) => DataQuality::UncertainLastUsable,
        (false, false) => DataQuality::Good,
    }
}

impl Value {
    /// What has no value has no good quality either (rule 318).
    fn honest(mut self) -> Self {
        if self.value.is_none() {
            self.quality = DataQuality::Bad;
        }
        self
    }
}
