//! Compares what a VTN got with what a meter said and a VEN stored, over many runs of a VEN that was killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openadr_ven::message::{DataQuality, Decimal, Report};
use openadr_ven::mock_meter::Written;
use openadr_ven::time::{Span, Timestamp};

use super::telemetry::{Cell, POINTS, cells};

/// A telegram that was read so shortly before a kill may still have been on its way to the disk of a busy machine.
const ON_ITS_WAY: Span = Span::SECOND;

/// One life of the VEN.
pub(crate) struct Run {
    pub(crate) started: Timestamp,
    /// Just before the kill.
    pub(crate) killed: Timestamp,
    pub(crate) log: Vec<String>,
}

impl Run {
    /// When it logged a line with that text for the first time.
    pub(crate) fn first(&self, text: &str) -> Option<Timestamp> {
        let line = self.log.iter().find(|line| line.contains(text))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// When it had taken the first telegram.
    fn reads_from(&self) -> Option<Timestamp> {
        self.first("meter main: ")
    }
}

/// The meter's telegrams, and which of them the VEN has stored.
pub(crate) struct Ledger {
    written: BTreeMap<Timestamp, Written>,
    stored: BTreeSet<Timestamp>,
}

/// A request that the VEN has accepted.
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) granularity: Span,
    /// The first interval that must be there; `None`: only that there are no gaps.
    pub(crate) from: Option<Timestamp>,
    /// Every interval up to then must be there; `None`: it was cancelled at some time.
    pub(crate) to: Option<Timestamp>,
}

/// How the values came out.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) good: usize,
    pub(crate) placeholders: usize,
    /// Where a telegram is missing.
    pub(crate) estimated: usize,
    pub(crate) estimated_good: usize,
    pub(crate) repeated_reports: usize,
}

impl Ledger {
    /// Reads the store of a VEN that has stopped.
    pub(crate) fn new(written: &[Written], store: &Path) -> Self {
        let connection = rusqlite::Connection::open(store).unwrap();
        let mut statement = connection.prepare(
                "SELECT start_us FROM meter_cell WHERE meter = 'main' AND length_us = 1000000 AND channel = 'import'",
            ).unwrap();
        let stored = statement.query_map([], |row| row.get(0)).unwrap();
        Self {
            written: written.iter().map(|telegram| (telegram.at, *telegram)).collect(),
            stored: stored.map(|at| Timestamp::from_micros(at.unwrap())).collect(),
        }
    }

    /// Every telegram that came while the VEN was reading is stored; returns how long in all it was not reading.
    pub(crate) fn assert_no_reading_lost(&self, runs: &[Run]) -> Span {
        let mut reading = Span::ZERO;
        for run in runs {
            let Some(from) = run.reads_from() else { continue };
            reading = reading + (run.killed - from);
            let came = self.written.range(from.floor_to(Span::SECOND)..).map(|(at, _)| *at);
            // One that came before the VEN began to read waited on the line.
            for at in came.take_while(|at| from.max(*at) + ON_ITS_WAY < run.killed) {
                assert!(
                    self.stored.contains(&at),
                    "the telegram of {at} was not stored; reading from {from}, killed at {}; the log:\n{}",
                    run.killed,
                    run.log.join("\n")
                );
            }
        }
        let (first, last) = (runs.first().unwrap().started, runs.last().unwrap().killed);
        (last - first) - reading
    }

    /// Judges all reports of a kind: nothing missing, nothing said twice in two ways, nothing invented.
    pub(crate) fn assert_reports(&self, reports: &[Report], wanted: &[Wanted], kills: usize) -> Sum {
        let (once, repeated_reports) = without_repetitions(reports, kills);
        let mut sum = Sum { repeated_reports, ..Sum::default() };
        let all = cells(once);
        let mut by_place: BTreeMap<(&str, &str, Timestamp), &Cell> = BTreeMap::new();
        for cell in &all {
            let place = (cell.request.as_str(), cell.point.as_str(), cell.start);
            let before = by_place.insert(place, cell);
            assert_eq!(before, None, "only the report in flight may come again; this came before {cell:?}");
        }
        for wish in wanted {
            for point in POINTS {
                let range = (wish.id.as_str(), point, Timestamp::EPOCH)..;
                let of_it = by_place.range(range);
                let of_it: Vec<&Cell> = of_it
                    .take_while(|((id, rid, _), _)| *id == wish.id && *rid == point)
                    .map(|(_, cell)| *cell)
                    .collect();
                assert_whole(wish, point, &of_it);
                self.assert_adds_up(&of_it, wish.granularity);
                for cell in of_it {
                    self.assert_true(cell, wish.granularity, &mut sum);
                }
            }
        }
        sum
    }

    /// A value is what the meter said, or a placeholder; where a telegram is missing it may lie between its neighbours.
    fn assert_true(&self, cell: &Cell, step: Span, sum: &mut Sum) {
        let power = cell.point == "main.net_power";
        let end = if power { cell.start } else { cell.start + step };
        let (low, high) = (self.before(cell.start), self.after(end));
        if self.stored.contains(&cell.start) && self.stored.contains(&end) {
            assert_eq!(cell.quality, DataQuality::Good, "both telegrams were read: {cell:?}");
            let (from, to) = (&self.written[&cell.start], &self.written[&end]);
            let expected = if power { from.net_power } else { register(cell, to) - register(cell, from) };
            assert_eq!(cell.value, expected, "not what the meter said: {cell:?}");
            sum.good += 1;
        } else if cell.is_placeholder() {
            sum.placeholders += 1;
        } else {
            sum.estimated += 1;
            sum.estimated_good += usize::from(cell.quality == DataQuality::Good);
            let (Some(low), Some(high)) = (low, high) else { panic!("nothing was read around {cell:?}") };
            let (low, high) = (&self.written[&low], &self.written[&high]);
            if power {
                let said = [low.net_power, high.net_power];
                assert!(said.contains(&cell.value), "no neighbour of {cell:?} said that: {said:?}");
            } else {
                let most = register(cell, high) - register(cell, low);
                let possible = cell.value >= Decimal::ZERO && cell.value <= most;
                assert!(possible, "more than the {most} around it: {cell:?}");
            }
        }
    }

    /// Whatever is estimated between two telegrams that were read, together it is what the meter counted.
    fn assert_adds_up(&self, cells: &[&Cell], step: Span) {
        let mut since: Option<(Timestamp, Decimal)> = None;
        for cell in cells.iter().filter(|cell| cell.point != "main.net_power") {
            if self.stored.contains(&cell.start) {
                since = Some((cell.start, Decimal::ZERO));
            }
            since = since.filter(|_| !cell.is_placeholder()).map(|(from, sum)| (from, sum + cell.value));
            let end = cell.start + step;
            if let Some((from, sum)) = since.filter(|_| self.stored.contains(&end)) {
                let counted = register(cell, &self.written[&end]) - register(cell, &self.written[&from]);
                assert_eq!(sum, counted, "{} of {} from {from} to {end}", cell.point, cell.request);
            }
        }
    }

    fn before(&self, at: Timestamp) -> Option<Timestamp> {
        self.stored.range(..=at).next_back().copied()
    }

    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        self.stored.range(at..).next().copied()
    }
}

fn register(cell: &Cell, telegram: &Written) -> Decimal {
    if cell.point == "main.import_energy" { telegram.import } else { telegram.export }
}

/// A report comes again only where the one before it was in flight at a kill, and then unchanged.
fn without_repetitions(reports: &[Report], kills: usize) -> (Vec<&Report>, usize) {
    let mut once: Vec<&Report> = reports.iter().collect();
    once.dedup();
    let repeated = reports.len() - once.len();
    assert!(repeated <= kills, "{repeated} reports came twice, at {kills} kills");
    (once, repeated)
}

/// No interval is missing.
fn assert_whole(wish: &Wanted, point: &str, cells: &[&Cell]) {
    let starts: Vec<Timestamp> = cells.iter().map(|cell| cell.start).collect();
    if let (Some(from), Some(to)) = (wish.from, wish.to) {
        let first = starts.first();
        assert_eq!(first, Some(&from), "where the report {} of {point} begins", wish.id);
        let last = starts.last();
        assert!(last.is_some_and(|last| *last + wish.granularity >= to), "{} ends at {last:?}", wish.id);
    }
    for two in starts.windows(2) {
        assert_eq!(
            two[1] - two[0],
            wish.granularity,
            "report {} of {point} has a gap at {}",
            wish.id,
            two[0]
        );
    }
}
