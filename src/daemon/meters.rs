//! Knows which meter or other source a data point of a report comes from, and asks it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, oneshot};

use crate::config::PointOrigin;
use crate::engine::{CollectTicket, Column, Input, Sample, Wish, WishedSpan};
use crate::metering::Quantity;
use crate::openadr::message::{DataQuality, Decimal, Float, PayloadBase, RId, ReportSpecifierId, SiScale};
use crate::time::Span;

use super::clock::Clock;
use super::meter_task::{Collect, Order};
use super::source_seat::{SourceSeat, Steps};

/// Where a data point comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PointSource {
    pub(crate) origin: PointOrigin,
    /// A value belongs to a span of time, otherwise to an instant.
    pub(crate) interval_data: bool,
    /// The power of ten that its values are reported in.
    pub(crate) scale: SiScale,
}

/// The meters and the other sources, and what comes from which.
pub(crate) struct Meters {
    orders: BTreeMap<String, mpsc::Sender<Order>>,
    others: SourceSeat,
    sources: BTreeMap<(ReportSpecifierId, RId), PointSource>,
    steps: BTreeSet<Span>,
    clock: Clock,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Meters {
    /// These meters and others; `sources` says where each data point comes from.
    pub(crate) fn new(
        orders: BTreeMap<String, mpsc::Sender<Order>>,
        others: SourceSeat,
        sources: BTreeMap<(ReportSpecifierId, RId), PointSource>,
        clock: Clock,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Self {
        Self { orders, others, sources, steps: BTreeSet::new(), clock, inputs }
    }

    /// Reports in steps of this are asked for.
    pub(crate) fn expect_step(&mut self, step: Span) {
        if step > Span::ZERO && self.steps.insert(step) {
            for orders in self.orders.values() {
                if orders.try_send(Order::Step(step)).is_err() {
                    self.steps.remove(&step);
                }
            }
        }
    }

    /// Gets the data of a report; they come as [`Input::Collected`].
    pub(crate) fn collect(&mut self, ticket: CollectTicket, wish: Wish) {
        if let WishedSpan::Window { granularity, .. } = wish.span {
            self.expect_step(granularity);
        }
        let mut by_meter: BTreeMap<String, Vec<(RId, Quantity)>> = BTreeMap::new();
        let mut by_source: BTreeMap<(String, bool), Vec<RId>> = BTreeMap::new();
        let mut scales: BTreeMap<RId, SiScale> = BTreeMap::new();
        for point in &wish.points {
            let Some(found) = self.sources.get(&(wish.specifier.clone(), point.clone())) else { continue };
            scales.insert(point.clone(), found.scale);
            match &found.origin {
                PointOrigin::Meter { meter, quantity } => {
                    by_meter.entry(meter.clone()).or_default().push((point.clone(), *quantity));
                }
                PointOrigin::Source(source) => {
                    let key = (source.clone(), found.interval_data);
                    by_source.entry(key).or_default().push(point.clone());
                }
            }
        }
        let meters = self.ask_meters(by_meter, &wish);
        let now = self.clock.now().wall;
        let others: Vec<_> = by_source
            .into_iter()
            .map(|((source, interval_data), points)| {
                let samples = self.others.ask(&source, Steps::of(wish.span, interval_data, now));
                // Those of different sources are asked at the same time.
                (tokio::spawn(samples), points)
            })
            .collect();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let mut columns: Vec<Column> = Vec::new();
            for answer in meters {
                columns.extend(answer.await.unwrap_or_default());
            }
            for (samples, points) in others {
                let samples = samples.await.unwrap_or_default();
                columns.extend(points.into_iter().map(|point| Column { point, samples: samples.clone() }));
            }
            for column in &mut columns {
                let scale = scales.get(&column.point).copied().unwrap_or(SiScale::None);
                column.samples.iter_mut().for_each(|sample| rescale(sample, scale));
            }
            if columns.len() == wish.points.len() {
                drop(inputs.send(Input::Collected { ticket, columns }));
            }
        });
    }

    /// What is wanted of each meter; their answers come later.
    fn ask_meters(
        &self,
        by_meter: BTreeMap<String, Vec<(RId, Quantity)>>,
        wish: &Wish,
    ) -> Vec<oneshot::Receiver<Vec<Column>>> {
        let mut answers = Vec::new();
        for (meter, points) in by_meter {
            let (answer, columns) = oneshot::channel();
            let collect = Collect { points, span: wish.span, patience: wish.patience, answer };
            let asked = self.orders.get(&meter).map(|orders| orders.try_send(Order::Collect(collect)));
            match asked {
                Some(Ok(())) => answers.push(columns),
                // The engine goes on without what does not come.
                Some(Err(_)) | None => tracing::warn!(meter, "meter is too busy to be asked"),
            }
        }
        answers
    }

    /// Lets every meter store what it has.
    pub(crate) async fn finish(self) {
        for orders in self.orders.into_values() {
            let (done, finished) = oneshot::channel();
            if orders.send(Order::Finish(done)).await.is_ok() {
                drop(finished.await);
            }
        }
    }
}

/// Writes a value in another power of ten. One that would lose digits by that (there are 28) is a gap, which no meter comes near.
fn rescale(sample: &mut Sample, scale: SiScale) {
    let Some(PayloadBase::Float(value)) = &mut sample.value else { return };
    match value.exact().and_then(|exact| scaled(exact, scale.exponent())) {
        Some(exact) => *value = Float::from(exact),
        None => {
            sample.value = None;
            sample.quality = DataQuality::Bad;
        }
    }
}

/// `value` by ten to the power of `exponent`, exactly.
fn scaled(value: Decimal, exponent: i32) -> Option<Decimal> {
    let value = value.normalize();
    let digits = i64::from(value.scale()) + i64::from(exponent);
    let fine = u32::try_from(digits.max(0)).ok().filter(|fine| *fine <= Decimal::MAX_SCALE)?;
    let coarse = u32::try_from((-digits).max(0)).ok()?;
    let whole = value.mantissa().checked_mul(10_i128.checked_pow(coarse)?)?;
    Decimal::try_from_i128_with_scale(whole, fine).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn values_are_scaled_to_the_last_digit() {
        for (value, scale, expected) in [
            ("1234567", SiScale::Kilo, Some("1234.567")),
            ("-5", SiScale::Mega, Some("-0.000005")),
            ("0.125", SiScale::Milli, Some("125")),
            ("2300", SiScale::Milli, Some("2300000")),
            ("0", SiScale::Tera, Some("0")),
            ("12.5", SiScale::None, Some("12.5")),
            ("7.3", SiScale::Centi, Some("730")),
            ("0.1234567890123456789012345678", SiScale::Kilo, None),
            ("79228162514264337593543950335", SiScale::Milli, None),
        ] {
            let value: Decimal = value.parse().unwrap();
            let mut sample = Sample {
                start: Timestamp::EPOCH,
                duration: Span::SECOND,
                value: Some(PayloadBase::Float(Float::from(value))),
                quality: DataQuality::Good,
            };
            rescale(&mut sample, scale);
            let expected: Option<Decimal> = expected.map(|text| text.parse().unwrap());
            let found = sample.value.map(|value| match value {
                PayloadBase::Float(value) => value.exact().unwrap(),
                PayloadBase::ResourceStatus(_) => panic!("a status"),
            });
            assert_eq!(found, expected, "{value} in {scale}");
            assert_eq!(sample.quality == DataQuality::Good, expected.is_some());
        }
    }
}
