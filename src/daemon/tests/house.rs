//! Houses with a meter: what it says of them, and what it had counted then.

use std::collections::BTreeMap;

use crate::metering::{Channel, Simulator, SmlReading, sml_file};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// What a telegram says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// Registers in Wh.
    pub(super) import: Decimal,
    pub(super) export: Decimal,
    /// In W; negative: given to the grid.
    pub(super) net_power: Decimal,
}

/// The telegram of that time, and what it says.
pub(super) type House = Box<dyn FnMut(Timestamp) -> (Vec<u8>, Said) + Send>;

/// A meter that speaks P1 of DSMR 5.
pub(super) fn p1(start: Timestamp) -> House {
    let mut meter = Simulator::v5(start);
    Box::new(move |at| {
        let telegram = meter.telegram(at);
        let reading = meter.reading();
        let said = Said {
            import: reading.get(Channel::Import).unwrap(),
            export: reading.get(Channel::Export).unwrap(),
            net_power: reading.net_power().unwrap(),
        };
        (telegram, said)
    })
}

/// W times microseconds in a tenth of a Wh.
const PER_TENTH: i128 = 360_000_000;

/// A German meter, which has no clock and counts in tenths of Wh, in another house than that of [`p1`].
pub(super) fn sml(start: Timestamp) -> House {
    let (mut last, mut import, mut export) = (start, 770_003 * PER_TENTH, 4_711 * PER_TENTH);
    Box::new(move |at| {
        let power = power(at);
        let energy = i128::from(power) * i128::from((at - last).micros());
        (last, import, export) = (at, import + energy.max(0), export + (-energy).max(0));
        let tenths = |energy: i128| u64::try_from(energy / PER_TENTH).unwrap();
        let (import, export) = (tenths(import), tenths(export));
        let second = u32::try_from((at - start).seconds()).unwrap();
        let wh = |tenths: u64| Decimal::new(i64::try_from(tenths).unwrap(), 1);
        let said = Said { import: wh(import), export: wh(export), net_power: power.into() };
        (sml_file(SmlReading { second, import, export, power }), said)
    })
}

/// In W: half an hour of each hour and a half gives more than it takes.
fn power(at: Timestamp) -> i32 {
    let second = i32::try_from(at.seconds().rem_euclid(5_400)).unwrap();
    if second < 1_800 { -second * 2 - 7 } else { 300 + second % 977 }
}

/// Every telegram that was sent, by its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(BTreeMap<Timestamp, Said>);

impl Ledger {
    pub(super) fn note(&mut self, at: Timestamp, said: Said) {
        self.0.insert(at, said);
    }

    /// The telegram nearest to that time.
    fn near(&self, at: Timestamp) -> &Said {
        let around = self.0.range(..at).next_back().into_iter().chain(self.0.range(at..).next());
        around.min_by_key(|(said_at, _)| (**said_at - at).abs()).unwrap().1
    }

    /// What the meter has counted from the one time to the other; or, of its power, what it said at the first.
    pub(super) fn expected(&self, quantity: &str, start: Timestamp, end: Timestamp) -> Decimal {
        let (from, to) = (self.near(start), self.near(end));
        match quantity {
            "import_energy" => to.import - from.import,
            "export_energy" => to.export - from.export,
            "net_power" => from.net_power,
            other => panic!("{other} is not in the ledger"),
        }
    }

    /// Whether something was said in so long a time before.
    pub(super) fn was_heard(&self, at: Timestamp, within: Span) -> bool {
        self.0.range(at - within..=at).next().is_some()
    }
}
