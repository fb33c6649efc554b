//! Keeps readings over time, and answers from them at any granularity.

use std::collections::BTreeMap;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

use super::channel::{Channel, Medium};
use super::device::{self, Device};
use super::quantity::Quantity;
use super::reading::Reading;
use super::register::Register;
use super::tier::{Keep, decimal, fixed};
use super::track::{Level, Track};

/// More values than this are not given at once.
pub(super) const MOST: usize = 100_000;
/// A power is too old after this, or after two of the usual gaps where that is longer.
const STALE: Span = Span::from_seconds(60);
/// A clock that has been behind for so long is right, and the one before it was wrong.
const BEHIND: Span = Span::HOUR;
/// A device that says no time is heard anew after this, even where it has counted nothing.
const DEVICE_HEARD: Span = Span::HOUR;
/// Digits behind the point of a mean.
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

/// Readings of one meter over time, in a bounded room.
///
/// A number that was given for a time that is complete never changes, whatever is read later; a gap may be filled.
#[derive(Debug)]
pub(crate) struct Series {
    pub(super) keep: Keep,
    /// Only these are kept; `None`: whatever the meter says.
    wanted: Option<Vec<Channel>>,
    /// The time of the newest reading.
    pub(super) last: Option<Timestamp>,
    /// Since when readings come that are older than the newest.
    behind_since: Option<Timestamp>,
    /// Up to here values were given.
    pub(super) sealed: Timestamp,
    pub(super) meter: Option<String>,
    /// The serial numbers of the devices behind the meter.
    pub(super) serials: BTreeMap<Channel, String>,
    pub(super) registers: BTreeMap<Channel, Register>,
    pub(super) tracks: BTreeMap<Channel, Track>,
    /// The channels that were restored, until something is stored again: whatever else the store has is of another series.
    pub(super) restored: Option<Vec<Channel>>,
}

/// A number and what it is worth.
#[derive(Clone, Copy, Debug)]
struct Found {
    value: Decimal,
    uncertain: bool,
    far: bool,
}

impl Series {
    /// Empty; quarters of an hour are kept for so long.
    #[cfg(test)]
    pub(crate) fn new(keep: Span) -> Self {
        Self::with(Keep::for_span(keep), None)
    }

    /// Empty; keeps what these quantities are made of, or whatever the meter says.
    pub(crate) fn with(keep: Keep, wanted: Option<&[Quantity]>) -> Self {
        Self {
            keep,
            wanted: wanted.map(|wanted| wanted.iter().flat_map(|quantity| quantity.made_of()).collect()),
            last: None,
            behind_since: None,
            sealed: Timestamp::EPOCH,
            meter: None,
            serials: BTreeMap::new(),
            registers: BTreeMap::new(),
            tracks: BTreeMap::new(),
            restored: Some(Vec::new()),
        }
    }

    /// Adds a reading.
    ///
    /// Where the clock was set back, what is older than the newest reading is left out until the clock has caught up: energy is counted by
    /// registers, so that none is lost. After an hour the clock that was ahead is taken for the wrong one.
    pub(crate) fn push(&mut self, reading: Reading) {
        let last = self.last.filter(|last| reading.at <= *last);
        if last.is_none() {
            self.behind_since = None;
        } else if last != Some(reading.at) && !self.has_been_behind(reading.at) {
            return;
        }
        let again = last == Some(reading.at);
        self.last = Some(reading.at);
        let doubtful = reading.quality != DataQuality::Good;
        self.note_meter(reading.meter);
        for (channel, value) in reading.values {
            if channel.is_register() {
                self.push_register(channel, reading.at, value, (doubtful, again));
            } else if let Some(value) = fixed(value).filter(|_| self.wants(channel)) {
                self.track(channel).push(reading.at, value, doubtful, false);
            }
        }
        for medium in Medium::ALL {
            let known = self.serials.get(&Channel::Device(medium)).map(String::as_str);
            if let Some(device) = device::live(&reading.devices, medium, known) {
                self.push_device(device, reading.at, doubtful);
            }
        }
    }

    /// Whether to believe a clock that is behind: then what came by the other is forgotten.
    fn has_been_behind(&mut self, at: Timestamp) -> bool {
        let since = self.behind_since.filter(|since| *since <= at).unwrap_or(at);
        self.behind_since = Some(since);
        if at - since < BEHIND {
            return false;
        }
        self.behind_since = None;
        self.sealed = self.sealed.min(at);
        self.tracks.values_mut().for_each(|track| track.forget_after(at));
        true
    }

    fn note_meter(&mut self, meter: Option<String>) {
        let Some(meter) = meter else { return };
        let old = self.meter.replace(meter);
        if old.is_some() && old != self.meter {
            let own = self.registers.iter_mut().filter(|(channel, _)| !matches!(channel, Channel::Device(_)));
            own.for_each(|(_, register)| register.exchange());
        }
    }

    pub(super) fn wants(&self, channel: Channel) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&channel))
    }

    fn track(&mut self, channel: Channel) -> &mut Track {
        let keep = self.keep;
        self.tracks.entry(channel).or_insert_with(|| Track::new(keep))
    }

    /// Takes what a register says; `again`: it is of the same second as the one before.
    fn push_register(
        &mut self,
        channel: Channel,
        at: Timestamp,
        raw: Decimal,
        (doubtful, again): (bool, bool),
    ) {
        if !self.wants(channel) || (again && at <= self.sealed) {
            return;
        }
        let register = self.registers.entry(channel).or_insert_with(|| Register::new(channel));
        let accepted = register.accept(at, raw);
        let track = self.track(channel);
        track.hear(at);
        let Some(total) = accepted.total.and_then(fixed) else { return };
        if again && track.last().is_some_and(|last| last.at == at) {
            track.correct(total);
        } else {
            track.push(at, total, doubtful, accepted.break_before);
        }
    }

    /// Takes what a device behind the meter says, at its own time: it says the same again until that is over.
    fn push_device(&mut self, device: &Device, received: Timestamp, doubtful: bool) {
        let channel = Channel::Device(device.medium);
        let last = self.tracks.get(&channel).and_then(|track| track.last().map(|last| last.at));
        let believed = self.registers.get(&channel).and_then(|register| register.believed);
        let changed = believed.is_none_or(|(_, raw)| raw != device.value);
        let at = match (device.at, last) {
            (Some(at), Some(last)) if at <= last => return,
            (Some(at), _) => at,
            (None, Some(last)) if received <= last || (!changed && received - last < DEVICE_HEARD) => return,
            (None, _) => received,
        };
        if let Some(serial) = device.serial.clone().filter(|_| self.wants(channel)) {
            let old = self.serials.insert(channel, serial);
            if old.is_some()
                && old != device.serial
                && let Some(register) = self.registers.get_mut(&channel)
            {
                register.exchange();
            }
        }
        self.push_register(channel, at, device.value, (doubtful, false));
    }

    /// What a register said last that was believed.
    pub(crate) fn believed(&self, register: Channel) -> Option<Decimal> {
        self.registers.get(&register)?.believed.map(|(_, raw)| raw)
    }

    /// The time of the newest reading.
    pub(crate) const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Whether everything that a quantity is made of was said from that time on; `None`: some of it was never said.
    pub(crate) fn reaches(&self, quantity: Quantity, at: Timestamp) -> Option<bool> {
        let lasts = quantity.made_of().into_iter().map(|channel| self.tracks.get(&channel)?.last());
        lasts.map(|last| Some(last?.at >= at)).reduce(|one, other| Some(one? && other?))?
    }

    /// A reading from that time or later is there, so that nothing before it will change; a register that has just blundered is waited for.
    pub(crate) fn is_complete(&self, to: Timestamp) -> bool {
        self.last.is_some_and(|last| last >= to) && !self.tracks.values().any(|track| track.is_in_doubt(to))
    }

    /// Values up to here were given, and stay as they are.
    pub(crate) fn seal(&mut self, to: Timestamp) {
        self.sealed = self.sealed.max(to);
    }

    /// The newest value: of an instant, where it is not too old, or of the newest whole interval of this length.
    pub(crate) fn latest(&self, quantity: Quantity, length: Span, now: Timestamp) -> Value {
        let newest = quantity.made_of().into_iter().filter_map(|channel| self.tracks.get(&channel)?.last());
        let newest = newest.max_by_key(|last| last.at);
        let fresh = newest.filter(|last| now - last.at <= STALE.max(last.usual() * 2));
        if quantity.is_of_interval() {
            let end = fresh.map_or(now, |last| last.at).floor_to(length);
            return self.value(quantity, end - length, length);
        }
        let start = fresh.map_or(now, |last| last.at);
        let found = fresh.and_then(|_| self.found(quantity, start, Span::ZERO));
        Value::of(start, length, found)
    }

    /// One value for each step from `from` to `to`: that of the step, or that of its start.
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
        starts.take(MOST).map(|start| self.value(quantity, start, step.min(to - start))).collect()
    }

    fn value(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Value {
        Value::of(start, duration, self.found(quantity, start, duration))
    }

    fn found(&self, quantity: Quantity, start: Timestamp, duration: Span) -> Option<Found> {
        let mut found = match quantity {
            Quantity::Use(channel) => self.energy(channel, start, duration),
            Quantity::NetUse => self.net_energy(start, duration),
            Quantity::Register(channel) => self.shown(channel, start, duration),
            Quantity::Now(channel) => {
                let point = self.tracks.get(&channel)?.now(start)?;
                Some(Found { value: decimal(point.value), uncertain: point.doubtful, far: false })
            }
            Quantity::Mean(Channel::PowerImport) => {
                mean(self.energy(Channel::Import, start, duration)?, duration)
            }
            Quantity::Mean(Channel::PowerExport) => {
                mean(self.energy(Channel::Export, start, duration)?, duration)
            }
            Quantity::Mean(Channel::Power) => mean(self.net_energy(start, duration)?, duration),
            Quantity::Mean(channel) | Quantity::Least(channel) | Quantity::Most(channel) => {
                self.measured(quantity, channel, start, duration)
            }
            Quantity::Status => None,
        }?;
        found.value = (found.value / quantity.divisor()).normalize();
        Some(found)
    }

    /// How much a register has risen.
    fn energy(&self, channel: Channel, start: Timestamp, duration: Span) -> Option<Found> {
        let (track, end) = (self.tracks.get(&channel)?, start + duration);
        let from = track.level(start, duration)?;
        let to = track.level(end, duration).filter(|_| duration > Span::ZERO)?;
        Some(Found::between(from, to, track.is_uncertain(start, end)))
    }

    /// Energy taken less energy given; a meter without a register for what is given has, up to here, never given anything.
    fn net_energy(&self, start: Timestamp, duration: Span) -> Option<Found> {
        let import = self.energy(Channel::Import, start, duration)?;
        let Some(track) = self.tracks.get(&Channel::Export) else { return Some(import) };
        let begins = track.begins()?;
        if start + duration <= begins {
            return Some(import);
        }
        let begun = start.max(begins);
        let from = track.level(begun, duration)?;
        let to = track.level(start + duration, duration)?;
        let export = Found::between(from, to, track.is_uncertain(begun, start + duration));
        Some(Found {
            value: import.value - export.value,
            uncertain: import.uncertain || export.uncertain,
            far: import.far || export.far,
        })
    }

    /// What a register shows.
    fn shown(&self, channel: Channel, at: Timestamp, interval: Span) -> Option<Found> {
        let level = self.tracks.get(&channel)?.level(at, interval)?;
        let value = self.registers.get(&channel)?.shown(at, level.value)?;
        Some(Found { value, uncertain: level.uncertain, far: level.far })
    }

    /// What is made of the single values of an interval, which is complete.
    fn measured(
        &self,
        quantity: Quantity,
        channel: Channel,
        start: Timestamp,
        duration: Span,
    ) -> Option<Found> {
        let track = self.tracks.get(&channel)?;
        let last = track.last().filter(|last| last.at >= start + duration)?;
        let stats = track.stats(start, start + duration)?;
        let value = match quantity {
            Quantity::Least(_) => decimal(stats.least),
            Quantity::Most(_) => decimal(stats.most),
            Quantity::Mean(_)
            | Quantity::Use(_)
            | Quantity::NetUse
            | Quantity::Register(_)
            | Quantity::Now(_)
            | Quantity::Status => (decimal(stats.sum) / Decimal::from(stats.count)).round_dp(DIGITS),
        };
        let heard = last.usual() * i64::from(stats.count) * 2;
        Some(Found { value, uncertain: stats.doubtful, far: heard < duration })
    }

    /// Whether the meter was heard at about that time.
    pub(crate) fn was_heard(&self, at: Timestamp) -> bool {
        self.tracks.values().any(|track| track.was_heard(at))
    }

    /// Bytes of memory that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.tracks.values().map(Track::bytes).sum()
    }

    /// How many readings it holds as they came.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tracks.get(&Channel::Import).map_or(0, Track::len)
    }
}

/// Power in W from energy in Wh.
fn mean(energy: Found, duration: Span) -> Option<Found> {
    let micros = Decimal::from(duration.micros());
    let hour = Decimal::from(Span::HOUR.micros());
    let value = energy.value.checked_mul(hour)?.checked_div(micros)?.round_dp(DIGITS);
    Some(Found { value, ..energy })
}

impl Found {
    fn between(from: Level, to: Level, uncertain: bool) -> Self {
        Self {
            value: to.value - from.value,
            uncertain: uncertain || from.uncertain || to.uncertain,
            far: from.far || to.far,
        }
    }
}

impl Value {
    /// What is uncertain for another reason than a gap is told of first; what has no value has no good quality either (rule 318).
    fn of(start: Timestamp, duration: Span, found: Option<Found>) -> Self {
        let quality = match found {
            None => DataQuality::Bad,
            Some(Found { uncertain: true, .. }) => DataQuality::Uncertain,
            Some(Found { far: true, .. }) => DataQuality::UncertainLastUsable,
            Some(_) => DataQuality::Good,
        };
        Self { start, duration, value: found.map(|found| found.value), quality }
    }
}
