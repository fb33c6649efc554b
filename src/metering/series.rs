//! Keeps readings over time, and answers from them at any granularity.

use std::collections::VecDeque;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::quantity::Quantity;
use super::reading::Reading;
use super::register::Register;

/// A day of one reading a second, and some.
const MOST: usize = 100_000;
/// A clock that is set back by so much has been put right; what it says again replaces what it said.
const SET_BACK: Span = Span::from_seconds(60);
/// Gaps between readings from which the usual one is taken.
const GAPS: usize = 9;
/// A power is too old after this, or after two of the usual gaps where that is longer.
const STALE: Span = Span::from_seconds(60);
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
struct Point {
    at: Timestamp,
    import: Option<Decimal>,
    export: Option<Decimal>,
    power_import: Option<Decimal>,
    power_export: Option<Decimal>,
    doubtful: bool,
    break_before: bool,
}

impl Point {
    fn register(&self, quantity: Quantity) -> Option<Decimal> {
        match quantity {
            Quantity::ImportEnergy => self.import,
            Quantity::ExportEnergy => self.export,
            // A meter without an export register has never given anything.
            Quantity::NetEnergy => Some(self.import? - self.export.unwrap_or_default()),
            Quantity::ImportPower | Quantity::ExportPower | Quantity::NetPower => None,
        }
    }

    fn power(&self, quantity: Quantity) -> Option<Decimal> {
        match quantity {
            Quantity::ImportPower => self.power_import,
            Quantity::ExportPower => self.power_export,
            Quantity::NetPower => match (self.power_import, self.power_export) {
                (None, None) => None,
                (import, export) => Some(import.unwrap_or_default() - export.unwrap_or_default()),
            },
            Quantity::ImportEnergy | Quantity::ExportEnergy | Quantity::NetEnergy => None,
        }
    }
}

/// A register at a moment.
#[derive(Clone, Copy, Debug)]
struct Level {
    value: Decimal,
    /// Between two readings that are far apart.
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

    /// Adds a reading. One with the time of another replaces it; one from further back is left out.
    pub(crate) fn push(&mut self, reading: Reading) {
        let exchanged = match (&self.meter, &reading.meter) {
            (Some(old), Some(new)) => old != new,
            _ => false,
        };
        if let Some(last) = self.points.back() {
            if reading.at + SET_BACK < last.at {
                return;
            }
            let gap = reading.at - last.at;
            if gap > Span::ZERO {
                self.gaps.push_back(gap);
                if self.gaps.len() > GAPS {
                    self.gaps.pop_front();
                }
            }
        }
        while self.points.back().is_some_and(|last| last.at >= reading.at) {
            self.points.pop_back();
        }
        let mut break_before = false;
        let mut accept = |register: &mut Register, raw: Option<Decimal>| {
            let accepted = register.accept(reading.at, raw?, exchanged);
            break_before |= accepted.break_before;
            accepted.total
        };
        let (import, export) =
            (accept(&mut self.import, reading.import), accept(&mut self.export, reading.export));
        self.meter = reading.meter.or_else(|| self.meter.take());
        self.points.push_back(Point {
            at: reading.at,
            import,
            export,
            power_import: reading.power_import,
            power_export: reading.power_export,
            doubtful: reading.quality != DataQuality::Good,
            break_before,
        });
        let oldest = reading.at - self.keep;
        while self.points.len() > MOST || self.points.front().is_some_and(|point| point.at < oldest) {
            self.points.pop_front();
        }
    }

    /// A reading from that time or later is there, so that nothing before it will change.
    pub(crate) fn is_complete(&self, to: Timestamp) -> bool {
        self.points.back().is_some_and(|last| last.at >= to)
    }

    /// The newest value: a power that is not too old, or the energy of the newest whole interval of this length.
    pub(crate) fn latest(&self, quantity: Quantity, length: Span, now: Timestamp) -> Value {
        let gap = Value { start: now, duration: length, value: None, quality: DataQuality::Bad };
        let Some(last) = self.points.back() else { return gap };
        if quantity.is_energy() {
            return self.energy(quantity, last.at.floor_to(length) - length, length);
        }
        if now - last.at > STALE.max(self.usual_gap() * 2) {
            return gap;
        }
        Value { start: last.at, value: last.power(quantity), quality: DataQuality::Good, ..gap }.honest()
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
        let value = |start| {
            if quantity.is_energy() {
                self.energy(quantity, start, step.min(to - start))
            } else {
                self.power(quantity, start, step.min(to - start))
            }
        };
        starts.map(value).collect()
    }

    fn usual_gap(&self) -> Span {
        let mut gaps: Vec<Span> = self.gaps.iter().copied().collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(Span::SECOND)
    }

    /// The power of the reading that is nearest to the start, not further away than readings usually are.
    fn power(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Value {
        let next = self.points.partition_point(|point| point.at < start);
        let around = [next.checked_sub(1), Some(next)].into_iter().flatten();
        let around =
            around.filter_map(|at| self.points.get(at)).filter(|point| point.power(quantity).is_some());
        let nearest = around.min_by_key(|point| (point.at - start).abs());
        let near = nearest.filter(|point| (point.at - start).abs() <= self.usual_gap());
        let (value, doubtful) = near.map_or((None, false), |point| (point.power(quantity), point.doubtful));
        let quality = if doubtful { DataQuality::Uncertain } else { DataQuality::Good };
        Value { start, duration, value, quality }.honest()
    }

    /// How much a register has risen.
    fn energy(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Value {
        let end = start + duration;
        let levels = self.level(quantity, start, duration).zip(self.level(quantity, end, duration));
        let value = levels.map(|(from, to)| (to.value - from.value).normalize());
        let broken = self.between(start, end).any(|point| point.break_before || point.doubtful);
        let quality = match levels {
            _ if broken => DataQuality::Uncertain,
            Some((from, to)) if from.uncertain || to.uncertain => DataQuality::UncertainLastUsable,
            _ => DataQuality::Good,
        };
        Value { start, duration, value, quality }.honest()
    }

    fn between(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = &Point> {
        let first = self.points.partition_point(|point| point.at <= start);
        self.points.range(first..).take_while(move |point| point.at <= end)
    }

    /// A register at a moment: that of the reading within half a usual gap; otherwise on the line between the readings
    /// around, unless they are further apart than an interval. It depends on the moment alone, so that intervals add up exactly.
    fn level(&self, quantity: Quantity, at: Timestamp, interval: Span) -> Option<Level> {
        let next = self.points.partition_point(|point| point.at < at);
        let with_register = |point: &&Point| point.register(quantity).is_some();
        let before = self.points.range(..next).rev().find(with_register);
        let after = self.points.range(next..).find(with_register);
        let usual = self.usual_gap();
        let nearest = [before, after].into_iter().flatten().min_by_key(|point| (point.at - at).abs());
        if let Some(near) = nearest.filter(|point| (point.at - at).abs() * 2 <= usual) {
            return Some(Level { value: near.register(quantity)?, uncertain: false });
        }
        let (before, after) = (before?, after?);
        let gap = after.at - before.at;
        if gap > interval.max(usual * 2) {
            return None;
        }
        let (low, high) = (before.register(quantity)?, after.register(quantity)?);
        let (passed, whole) = ((at - before.at).micros(), gap.micros());
        let rise = ((high - low) * Decimal::from(passed) / Decimal::from(whole)).round_dp(DIGITS);
        Some(Level { value: low + rise, uncertain: gap > usual * 2 })
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
