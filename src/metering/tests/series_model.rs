//! Whatever the readings are: intervals add up to what the registers have risen.

use proptest::prelude::{ProptestConfig, Strategy, proptest};

use super::super::channel::Channel;
use super::super::quantity::Quantity;
use super::super::{Reading, Series};
use super::reading;
use super::series::{at, series};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

const ENERGIES: [Quantity; 3] = [Quantity::IMPORT_ENERGY, Quantity::EXPORT_ENERGY, Quantity::NetUse];

/// A meter that is read every second up to every two minutes; its registers have up to four digits behind the point.
fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let step = (1_000_i64..120_000, 0_i64..100_000, 0_i64..100_000);
    proptest::collection::vec(step, 2..60).prop_map(|steps| {
        let (mut now, mut import, mut export) = (at(0), 521_857_825_309, 0);
        let mut readings = Vec::new();
        for (millis, more_import, more_export) in steps {
            now += Span::from_millis(millis);
            import += more_import;
            export += more_export;
            let (import, export) = (Decimal::new(import, 4), Decimal::new(export, 4));
            let reading = reading(now, 0, 0).with(Channel::Import, Some(import));
            readings.push(reading.with(Channel::Export, Some(export)));
        }
        readings
    })
}

fn register(reading: &Reading, quantity: Quantity) -> Decimal {
    let (import, export) = (reading.get(Channel::Import).unwrap(), reading.get(Channel::Export).unwrap());
    match quantity {
        Quantity::IMPORT_ENERGY => import,
        Quantity::EXPORT_ENERGY => export,
        Quantity::NetUse => import - export,
        Quantity::Use(_)
        | Quantity::Register(_)
        | Quantity::Now(_)
        | Quantity::Mean(_)
        | Quantity::Least(_)
        | Quantity::Most(_)
        | Quantity::Status => panic!("{quantity} is not one of these energies"),
    }
}

/// The sum of all steps; nothing where one of them is a gap.
fn sum(series: &Series, quantity: Quantity, from: Timestamp, to: Timestamp, step: Span) -> Option<Decimal> {
    series.window(quantity, from, to, step).iter().map(|value| value.value).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn intervals_add_up_to_the_difference_of_the_registers(
        readings in readings(),
        step in 120_000_i64..1_000_000,
        ends in (proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<proptest::sample::Index>()),
    ) {
        let (a, b) = (ends.0.index(readings.len()), ends.1.index(readings.len()));
        let (first, last) = (&readings[a.min(b)], &readings[a.max(b)]);
        let series = series(readings.iter().cloned());
        for quantity in ENERGIES {
            let found = sum(&series, quantity, first.at, last.at, Span::from_millis(step));
            let values = series.window(quantity, first.at, last.at, Span::from_millis(step));
            // The last step is as short as it must be, so that a gap may be too long for it.
            if found.is_some() {
                let risen = register(last, quantity) - register(first, quantity);
                assert_eq!(found, Some(risen), "{values:?}");
            } else {
                assert!(values.iter().rev().skip(2).all(|value| value.value.is_some()), "{values:?}");
            }
        }
    }

    #[test]
    fn fine_steps_add_up_to_coarse_ones(
        readings in readings(),
        fine in 1_000_i64..200_000,
        times in 2_i64..10,
        offset in 0_i64..100_000,
    ) {
        let series = series(readings.iter().cloned());
        let fine = Span::from_millis(fine);
        for quantity in ENERGIES {
            let from = readings[0].at + Span::from_millis(offset);
            for number in 0..5 {
                let (from, to) = (from + fine * times * number, from + fine * times * (number + 1));
                if let Some(found) = sum(&series, quantity, from, to, fine) {
                    let whole = series.window(quantity, from, to, fine * times).remove(0);
                    assert_eq!(Some(found), whole.value);
                }
            }
        }
    }

    #[test]
    fn every_value_is_honest(
        readings in readings(),
        damage in proptest::collection::vec((0_usize..60, 0_i64..2_000_000_000), 0..8),
        step in 1_000_i64..300_000,
    ) {
        let mut readings = readings;
        for (place, register) in damage {
            let place = place % readings.len();
            readings[place].values.insert(Channel::Import, Decimal::from(register));
        }
        let last = readings[readings.len() - 1].at;
        let series = series(readings);
        for quantity in Quantity::all() {
            for value in series.window(quantity, at(-60), last + Span::MINUTE, Span::from_millis(step)) {
                assert_eq!(value.value.is_none(), value.quality == DataQuality::Bad, "{value:?}");
                let Some(number) = value.value else { continue };
                let is_net = matches!(quantity, Quantity::NetUse | Quantity::Mean(Channel::Power));
                assert!(is_net || number >= Decimal::ZERO, "nothing flows backwards: {value:?}");
                assert!(!(number.is_zero() && number.is_sign_negative()), "nothing has no sign");
                let is_shown = matches!(quantity, Quantity::Register(_));
                assert!(is_shown || number < Decimal::from(12_000_000), "more than any meter measures: {value:?}");
            }
        }
    }

    #[test]
    fn stored_readings_give_the_same_values(readings in readings(), step in 1_000_i64..300_000) {
        let last = readings[readings.len() - 1].at;
        let (first, again) = (series(readings.clone()), series(readings));
        for quantity in Quantity::all() {
            let of = |series: &Series| series.window(quantity, at(0), last, Span::from_millis(step));
            assert_eq!(of(&first), of(&again));
        }
    }
}
