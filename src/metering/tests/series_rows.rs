//! What is stored of a series gives the same values again, wherever it was cut.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, proptest};

use super::super::channel::Channel;
use super::super::quantity::Quantity;
use super::super::rows::{Row, Stored};
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
        for row in stored.rows {
            self.rows.insert((row.channel.clone(), row.length, row.start), row);
        }
        self.checkpoint = stored.checkpoint;
        self.commits += 1;
    }

    /// Drops what is too old, as a bounded disk must.
    pub(super) fn prune(&mut self, keep: &Keep, now: Timestamp) -> usize {
        self.rows.retain(|(_, length, start), _| *start >= keep.oldest(*length, now));
        self.rows.len()
    }

    pub(super) fn read(&self, keep: Keep) -> Series {
        let stored =
            Stored { rows: self.rows.values().cloned().collect(), checkpoint: self.checkpoint.clone() };
        Series::restore(keep, None, &stored).unwrap()
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
            disk.commit(series.rows(saved));
            saved = now;
        }
    }
    disk.commit(series.rows(saved));
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
    assert_eq!(again.rows(Timestamp::EPOCH), series.rows(Timestamp::EPOCH), "nothing is lost");
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
    let mut stored = good.clone();
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
                disk.commit(series.rows(saved));
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
