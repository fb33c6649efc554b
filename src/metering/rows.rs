//! Describes what is to be stored of a series, so that it can be made again from that.
//!
//! It is stored as a whole or not at all: the cells of time that have changed, each of which replaces the one of the same step, length and
//! channel, and one checkpoint. What was stored last is what a power cut leaves; energy is counted by registers, so that nothing but detail
//! is lost. A minute and a quarter of an hour take one row each for every channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::channel::Channel;
use super::quantity::Quantity;
use super::register::{Register, Stray};
use super::series::Series;
use super::tier::{Cell, Keep, Point, Stats};
use super::track::Track;

/// What is to be stored at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Each replaces the one of the same channel, length and start.
    pub(crate) rows: Vec<Row>,
    /// Replaces the one before.
    pub(crate) checkpoint: String,
    /// Rows that begin outside of these are not needed any more.
    pub(crate) kept: Vec<Kept>,
    /// Rows that were there before, and are of other channels than these or of a length that is not kept, are of another series, which
    /// has ended.
    pub(crate) restored: Option<Vec<String>>,
}

/// Of rows of this length, those that begin from the one time to the other are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) length: Span,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// What was said of one number in one step of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The word of the number.
    pub(crate) channel: String,
    pub(crate) length: Span,
    pub(crate) start: Timestamp,
    /// The cell, as numbers between spaces.
    pub(crate) content: String,
}

/// Why something stored cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was stored of a meter is unreadable: {0}")]
pub(crate) struct Unreadable(String);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    at: Option<i64>,
    meter: Option<String>,
    serials: BTreeMap<String, String>,
    registers: BTreeMap<String, SavedRegister>,
    tracks: BTreeMap<String, SavedTrack>,
}

/// Decimals are written as texts, times as microseconds.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRegister {
    believed: Option<(i64, String)>,
    shifts: Vec<(i64, String)>,
    strayed: Option<SavedStray>,
    exchanged: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedStray {
    since: i64,
    first: String,
    last: (i64, String),
    end: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedTrack {
    gaps: Vec<u32>,
    /// From when on everything is in the fine and the coarse cells.
    from: (i64, i64),
}

impl Series {
    /// What is to be stored where everything before that time has been.
    #[cfg(test)]
    pub(super) fn rows(&self, since: Timestamp) -> Stored {
        self.rows_since(|_| Some(since))
    }

    /// What has changed since it was stored.
    pub(crate) fn changes(&self) -> Stored {
        self.rows_since(|track| track.changed)
    }

    /// The changes are stored.
    pub(crate) fn mark_stored(&mut self) {
        self.tracks.values_mut().for_each(|track| track.changed = None);
        self.restored = None;
    }

    fn rows_since(&self, since: impl Fn(&Track) -> Option<Timestamp>) -> Stored {
        let mut rows = Vec::new();
        for (channel, track) in &self.tracks {
            let Some(since) = since(track) else { continue };
            for tier in [&track.fine, &track.coarse] {
                let cells = tier.cells.iter().rev().take_while(|cell| cell.start + tier.step > since);
                rows.extend(cells.map(|cell| Row {
                    channel: channel.to_string(),
                    length: tier.step,
                    start: cell.start,
                    content: write(cell),
                }));
            }
        }
        let restored =
            self.restored.as_ref().map(|channels| channels.iter().map(Channel::to_string).collect());
        Stored { rows, checkpoint: self.checkpoint(), kept: self.kept(), restored }
    }

    /// By the clock of the readings: a wrong one of ours must not cost what is stored.
    fn kept(&self) -> Vec<Kept> {
        let tracks = self.tracks.values().filter_map(|track| track.last().map(|last| last.at));
        let Some(newest) = tracks.chain(self.last).max() else { return Vec::new() };
        let kept = |length| Kept { length, from: self.keep.oldest(length, newest), to: newest };
        [self.keep.fine_step, self.keep.coarse_step].map(kept).into()
    }

    fn checkpoint(&self) -> String {
        let checkpoint = Checkpoint {
            at: self.last.map(Timestamp::micros),
            meter: self.meter.clone(),
            serials: self
                .serials
                .iter()
                .map(|(channel, serial)| (channel.to_string(), serial.clone()))
                .collect(),
            registers: self
                .registers
                .iter()
                .map(|(channel, register)| (channel.to_string(), save(register)))
                .collect(),
            tracks: self
                .tracks
                .iter()
                .map(|(channel, track)| (channel.to_string(), save_track(track)))
                .collect(),
        };
        serde_json::json!(checkpoint).to_string()
    }

    /// The series again, of what was stored; rows in any order.
    ///
    /// # Errors
    ///
    /// Where something is not as it was written.
    pub(crate) fn restore(
        keep: Keep,
        wanted: Option<&[Quantity]>,
        stored: &Stored,
    ) -> Result<Self, Unreadable> {
        let mut series = Self::with(keep, wanted);
        if stored.checkpoint.is_empty() {
            return Ok(series);
        }
        let checkpoint: Checkpoint =
            serde_json::from_str(&stored.checkpoint).map_err(|error| Unreadable(error.to_string()))?;
        series.last = checkpoint.at.map(Timestamp::from_micros);
        // Values may have been given up to the last reading.
        series.sealed = series.last.unwrap_or(series.sealed);
        series.meter = checkpoint.meter;
        for (word, serial) in checkpoint.serials {
            series.serials.insert(channel(&word)?, serial);
        }
        for (word, saved) in checkpoint.registers {
            let channel = channel(&word)?;
            if !series.wants(channel) {
                continue;
            }
            let register =
                restore_register(channel, saved).ok_or_else(|| Unreadable(format!("register {word}")))?;
            series.registers.insert(channel, register);
        }
        let mut cells: BTreeMap<&str, Vec<(Span, Cell)>> = BTreeMap::new();
        for row in &stored.rows {
            let cell = read(row).ok_or_else(|| Unreadable(format!("{} at {}", row.channel, row.start)))?;
            cells.entry(&row.channel).or_default().push((row.length, cell));
        }
        for (word, saved) in checkpoint.tracks {
            let channel = channel(&word)?;
            if !series.wants(channel) {
                continue;
            }
            let mut cells = cells.remove(word.as_str()).unwrap_or_default();
            cells.sort_by_key(|(_, cell)| cell.start);
            let mut track = Track::new(keep);
            let from = (Timestamp::from_micros(saved.from.0), Timestamp::from_micros(saved.from.1));
            track.restore(cells, &saved.gaps, from);
            series.tracks.insert(channel, track);
        }
        series.restored = Some(series.tracks.keys().copied().collect());
        Ok(series)
    }
}

fn channel(word: &str) -> Result<Channel, Unreadable> {
    Channel::parse(word).ok_or_else(|| Unreadable(format!("no number is called {word}")))
}

fn save(register: &Register) -> SavedRegister {
    let pair = |(at, value): &(Timestamp, Decimal)| (at.micros(), value.to_string());
    SavedRegister {
        believed: register.believed.as_ref().map(pair),
        shifts: register.shifts.iter().map(pair).collect(),
        strayed: register.strayed.as_ref().map(|stray| SavedStray {
            since: stray.since.micros(),
            first: stray.first.to_string(),
            last: pair(&stray.last),
            end: stray.end.map(|end| end.to_string()),
        }),
        exchanged: register.exchanged,
    }
}

fn restore_register(channel: Channel, saved: SavedRegister) -> Option<Register> {
    let number = |text: &str| Decimal::from_str_exact(text).ok();
    let pair = |(at, text): &(i64, String)| Some((Timestamp::from_micros(*at), number(text)?));
    let mut register = Register::new(channel);
    if let Some(believed) = saved.believed {
        register.believed = Some(pair(&believed)?);
    }
    for shift in &saved.shifts {
        register.shifts.push_back(pair(shift)?);
    }
    if let Some(stray) = saved.strayed {
        let end = match stray.end {
            Some(end) => Some(number(&end)?),
            None => None,
        };
        let since = Timestamp::from_micros(stray.since);
        register.strayed = Some(Stray { since, first: number(&stray.first)?, last: pair(&stray.last)?, end });
    }
    register.exchanged = saved.exchanged;
    Some(register)
}

fn save_track(track: &Track) -> SavedTrack {
    SavedTrack {
        gaps: track.gaps.iter().copied().collect(),
        from: (track.fine.from.micros(), track.coarse.from.micros()),
    }
}

/// Times count from the start of the cell, in microseconds.
fn write(cell: &Cell) -> String {
    let flags = |point: &Point| i64::from(point.doubtful) + i64::from(point.break_before) * 2;
    let point =
        |point: &Point| [(point.at - cell.start).micros(), point.value, point.usual.into(), flags(point)];
    let stats = [
        cell.stats.least,
        cell.stats.most,
        cell.stats.sum,
        cell.stats.count.into(),
        i64::from(cell.stats.doubtful) + i64::from(cell.uncertain) * 2,
    ];
    let numbers = point(&cell.first).into_iter().chain(point(&cell.last)).chain(stats);
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

fn read(row: &Row) -> Option<Cell> {
    let numbers: Option<Vec<i64>> = row.content.split(' ').map(|number| number.parse().ok()).collect();
    let numbers: [i64; 13] = numbers?.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, least, most, sum, count, flags] = numbers;
    let point = |[at, value, usual, flags]: [i64; 4]| {
        let at = Timestamp::from_micros(row.start.micros().checked_add(at)?);
        let usual = u32::try_from(usual).ok()?;
        Some(Point { at, value, usual, doubtful: flags & 1 != 0, break_before: flags & 2 != 0 })
    };
    let stats = Stats { least, most, sum, count: u32::try_from(count).ok()?, doubtful: flags & 1 != 0 };
    let (first, last) = (point([a, b, c, d])?, point([e, f, g, h])?);
    Some(Cell { start: row.start, first, last, stats, uncertain: flags & 2 != 0 })
}
