//! What is stored of a series gives the same values again, wherever it was cut.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, proptest};

use super::super::channel::{Channel, Medium};
use super::super::device::Device;
use super::super::quantity::Quantity;
use super::super::rows::{Kept, Row, Stored};
use super::super::tier::Keep;
use super::super::{Reading, Series};
use super::reading;
use super::series::{at, told};
use crate::time::{Span, Timestamp};

/// A disk, as far as a series knows it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    rows: BTreeMap<(String, Span, Timestamp), Row>,
    checkpoint: String,
    pub(super) commits: usize,
}

impl Disk {
    pub(super) fn commit(&mut self, stored: Stored) {
        if let Some(restored) = &stored.restored {
            let is_kept = |length| stored.kept.iter().any(|kept| kept.length == length);
            self.rows.retain(|(channel, length, _), _| restored.contains(channel) && is_kept(*length));
        }
        for row in stored.rows {
            self.rows.insert((row.channel.clone(), row.length, row.start), row);
        }
        for Kept { length, to, .. } in stored.kept {
            self.rows.retain(|(_, of, start), _| *of != length || *start <= to);
        }
        self.checkpoint = stored.checkpoint;
        self.commits += 1;
    }

    /// Stores what has changed.
    fn store(&mut self, series: &mut Series) {
        self.commit(series.changes());
        series.mark_stored();
    }

    /// Drops what is too old, as a bounded disk must.
    pub(super) fn prune(&mut self, keep: &Keep, now: Timestamp) -> usize {
        self.rows.retain(|(_, length, start), _| *start >= keep.oldest(*length, now));
        self.rows.len()
    }

    fn stored(&self) -> Stored {
        let rows = self.rows.values().cloned().collect();
        Stored { rows, checkpoint: self.checkpoint.clone(), ..Stored::default() }
    }

    pub(super) fn read(&self, keep: Keep) -> Series {
        Series::restore(keep, None, &self.stored()).unwrap()
    }
}

fn small() -> Keep {
    Keep { raw: Span::MINUTE * 10, fine: Span::HOUR, ..Keep::for_span(Span::DAY) }
}

/// A meter that speaks every ten seconds, with an exchange, a glitch and a pause.
fn eventful(count: i64) -> Vec<Reading> {
    let told = |step: &i64| !(400..450).contains(step);
    let read = |step: i64| {
        let (import, meter) = if step < 300 { (7_000_000 + step * 3, "old") } else { (step * 3, "new") };
        let import = if step == 77 { 0 } else { import };
        Reading { meter: Some(meter.into()), ..reading(at(step * 10), import, step / 7) }
    };
    (0..count).filter(told).map(read).collect()
}

fn everything(series: &Series, to: i64, step: i64) -> Vec<(Quantity, String)> {
    let window = |quantity| series.window(quantity, at(0), at(to), Span::from_seconds(step));
    Quantity::all().into_iter().map(|quantity| (quantity, told(&window(quantity)))).collect()
}

#[test]
fn stored_series_give_the_same_values_on_whole_minutes() {
    let mut series = Series::with(small(), None);
    let mut disk = Disk::default();
    let mut saved = Timestamp::EPOCH;
    for reading in eventful(700) {
        let now = reading.at;
        series.push(reading);
        if now - saved >= Span::MINUTE * 5 {
            disk.store(&mut series);
            saved = now;
        }
    }
    disk.store(&mut series);
    let again = disk.read(small());
    // The hour of minutes begins in the second hour of the readings.
    for (from, step) in [(3_900, 60), (3_900, 300), (0, 900), (0, 3_600)] {
        for quantity in Quantity::all() {
            let window = |series: &Series| {
                told(&series.window(quantity, at(from), at(6_300), Span::from_seconds(step)))
            };
            assert_eq!(window(&again), window(&series), "{quantity} from {from} by {step}");
        }
    }
    assert_eq!(again.rows(Timestamp::EPOCH).rows, series.rows(Timestamp::EPOCH).rows, "nothing is lost");
}

#[test]
fn a_cell_gives_what_its_readings_gave() {
    let readings = eventful(700);
    let whole = Keep { raw: Span::DAY, ..small() };
    let (mut all, mut few) = (Series::with(whole, None), Series::with(small(), None));
    for reading in readings {
        all.push(reading.clone());
        few.push(reading);
    }
    assert_eq!(everything(&few, 6_300, 900), everything(&all, 6_300, 900));
    assert!(few.len() < all.len());
}

#[test]
fn what_was_stored_and_is_no_such_thing_is_refused() {
    let mut series = Series::with(small(), None);
    eventful(30).into_iter().for_each(|reading| series.push(reading));
    let good = series.rows(Timestamp::EPOCH);
    let refused = |stored: &Stored| Series::restore(small(), None, stored).unwrap_err().to_string();
    for content in ["", "1 2 3", "a b c d e f g h i j k l m", "9223372036854775807 0 0 0 0 0 0 0 0 0 0 0 0"] {
        let mut stored = good.clone();
        stored.rows[0].content = content.into();
        assert!(refused(&stored).contains("import at"), "{content}");
    }
    let mut stored = good;
    stored.checkpoint = stored.checkpoint.replace("\"export\"", "\"gold\"");
    assert!(refused(&stored).contains("gold"), "{}", refused(&stored));
    stored.checkpoint.truncate(40);
    assert!(refused(&stored).contains("unreadable"));
    assert!(
        Series::restore(small(), None, &Stored::default()).unwrap().rows(Timestamp::EPOCH).rows.is_empty()
    );
}

#[test]
fn only_what_has_changed_is_stored_again() {
    let mut series = Series::with(small(), None);
    eventful(100).into_iter().for_each(|reading| series.push(reading));
    let channels = 5;
    assert_eq!(
        series.rows(at(900)).rows.len(),
        channels * 3,
        "the minutes from 900, and the quarter of an hour"
    );
    assert_eq!(series.rows(at(960)).rows.len(), channels * 2);
    let bytes = series.rows(at(960)).rows.iter().map(|row| row.content.len()).max().unwrap();
    assert!(bytes < 140, "a row has {bytes} bytes");
}

#[test]
fn only_what_is_wanted_is_kept() {
    let mut series = Series::with(small(), Some(&[Quantity::Mean(Channel::Power)]));
    eventful(100).into_iter().for_each(|reading| series.push(reading));
    let window = |quantity| told(&series.window(quantity, at(0), at(900), Span::from_seconds(900)));
    assert_eq!(window(Quantity::Mean(Channel::Power)), "1032", "258 Wh in a quarter of an hour");
    assert_eq!(window(Quantity::IMPORT_POWER), "-");
}

/// A device behind the meter says when it counted, which is before a commit, and is heard after it.
#[test]
fn what_is_heard_late_is_stored_too() {
    let mut series = Series::with(small(), None);
    let mut disk = Disk::default();
    for (number, reading) in eventful(30).into_iter().enumerate() {
        let device = Device { medium: Medium::Gas, port: 1, serial: None, at: Some(at(60)), value: 5.into() };
        let devices = if number > 20 { vec![device] } else { Vec::new() };
        series.push(Reading { devices, ..reading });
        disk.store(&mut series);
    }
    let again = disk.read(small());
    assert_eq!(again.rows(Timestamp::EPOCH).rows, series.rows(Timestamp::EPOCH).rows);
    assert!(again.rows(Timestamp::EPOCH).rows.iter().any(|row| row.channel == "gas"));
}

#[test]
fn a_clock_that_was_wrong_leaves_nothing_on_the_disk() {
    let mut series = Series::with(small(), None);
    let mut disk = Disk::default();
    let wrong = (0..30).map(|step| reading(at(360_000 + step * 10), 1_000 + step, 0));
    let right = (0..800).map(|step| reading(at(step * 10), 1_040 + step, 0));
    for reading in wrong.chain(right) {
        series.push(reading);
        disk.store(&mut series);
    }
    let again = disk.read(small());
    assert_eq!(again.rows(Timestamp::EPOCH).rows, series.rows(Timestamp::EPOCH).rows);
    assert!(again.rows(Timestamp::EPOCH).rows.iter().all(|row| row.start < at(9_000)));
}

#[test]
fn a_channel_that_is_not_wanted_for_a_while_begins_anew() {
    let both = [Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY];
    let readings = eventful(250);
    let mut disk = Disk::default();
    let mut series = Series::with(small(), Some(&both));
    for (wanted, from, to) in
        [(&both[..], 0, 60), (&both[..1], 60, 120), (&both[..], 120, 180), (&both[..], 180, 250)]
    {
        series = Series::restore(small(), Some(wanted), &disk.stored()).unwrap();
        readings[from..to].iter().for_each(|reading| series.push(reading.clone()));
        disk.store(&mut series);
    }
    let energy = |quantity, from: i64, to: i64| {
        series.window(quantity, at(from), at(to), Span::from_seconds(to - from)).remove(0).value
    };
    assert_eq!(energy(both[0], 0, 2_400), Some(720.into()), "all the time");
    assert_eq!(energy(both[1], 0, 600), None, "what it was before is forgotten");
    assert_eq!(energy(both[1], 1_260, 2_400), Some(16.into()));
}

#[test]
fn another_fine_step_leaves_the_quarters_of_an_hour() {
    let mut series = Series::with(small(), None);
    let mut disk = Disk::default();
    eventful(280).into_iter().for_each(|reading| series.push(reading));
    disk.store(&mut series);
    let again = disk.read(small().with_step(Span::from_seconds(10)));
    let quarters = |series: &Series| {
        told(&series.window(Quantity::IMPORT_ENERGY, at(0), at(2_700), Span::from_seconds(900)))
    };
    assert_eq!(quarters(&again), quarters(&series));
    assert!(!quarters(&again).contains('-'), "{}", quarters(&again));
}

#[test]
fn fine_steps_divide_what_is_asked_for() {
    let keep = |seconds| Keep::for_span(Span::DAY * 40).with_step(Span::from_seconds(seconds));
    for (asked, step) in
        [(1, 1), (2, 2), (7, 1), (10, 10), (15, 15), (25, 5), (45, 15), (60, 60), (90, 30), (900, 60)]
    {
        assert_eq!(keep(asked).fine_step, Span::from_seconds(step), "asked for {asked} s");
    }
    assert_eq!(keep(10).fine, Span::DAY * 2);
    assert_eq!(keep(1).fine, Span::from_seconds(17_280), "no more cells than of ten seconds");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_power_cut_costs_what_was_not_stored_and_no_energy(
        cut in 1_usize..600,
        every in 1_i64..400,
    ) {
        let readings = eventful(700);
        let mut series = Series::with(small(), None);
        let (mut disk, mut saved) = (Disk::default(), Timestamp::EPOCH);
        for (number, reading) in readings.iter().enumerate() {
            if number == cut {
                series = disk.read(small());
            }
            let now = reading.at;
            series.push(reading.clone());
            if now - saved >= Span::from_seconds(every) {
                disk.store(&mut series);
                saved = now;
            }
        }
        let mut whole = Series::with(small(), None);
        readings.into_iter().for_each(|reading| whole.push(reading));
        let energy = |series: &Series| {
            series.window(Quantity::IMPORT_ENERGY, at(0), at(6_300), Span::from_seconds(6_300)).remove(0).value
        };
        // Ten seconds pass in an exchange: what was used then nobody knows, and a longer time that a cut makes of them.
        let (found, wanted) = (energy(&series).unwrap(), energy(&whole).unwrap());
        let lost = wanted - found;
        assert!(lost <= (every / 10 * 3 + 3).into() && lost >= 0.into(), "{found} {wanted}");
        if !(295 - usize::try_from(every / 10).unwrap()..345).contains(&cut) {
            assert_eq!(found, wanted);
        }
    }
}
