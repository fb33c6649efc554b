//! Knows which meter a data point of a report comes from, and asks it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, oneshot};

use crate::engine::{CollectTicket, Column, Input, Wish, WishedSpan};
use crate::metering::Quantity;
use crate::openadr::message::{RId, ReportSpecifierId};
use crate::time::Span;

use super::meter_task::{Collect, Order};

/// Where a data point comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PointSource {
    pub(crate) meter: String,
    pub(crate) quantity: Quantity,
}

/// The meters, and what comes from which.
pub(crate) struct Meters {
    orders: BTreeMap<String, mpsc::Sender<Order>>,
    sources: BTreeMap<(ReportSpecifierId, RId), PointSource>,
    steps: BTreeSet<Span>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Meters {
    /// These meters; `sources` says where each data point comes from.
    pub(crate) fn new(
        orders: BTreeMap<String, mpsc::Sender<Order>>,
        sources: BTreeMap<(ReportSpecifierId, RId), PointSource>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Self {
        Self { orders, sources, steps: BTreeSet::new(), inputs }
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
        let mut by_meter: BTreeMap<&str, Vec<(RId, Quantity)>> = BTreeMap::new();
        for point in &wish.points {
            if let Some(source) = self.sources.get(&(wish.specifier.clone(), point.clone())) {
                by_meter.entry(&source.meter).or_default().push((point.clone(), source.quantity));
            }
        }
        let mut answers = Vec::new();
        for (meter, points) in by_meter {
            let (answer, columns) = oneshot::channel();
            let collect = Collect { points, span: wish.span, patience: wish.patience, answer };
            let asked = self.orders.get(meter).map(|orders| orders.try_send(Order::Collect(collect)));
            match asked {
                Some(Ok(())) => answers.push(columns),
                // The engine goes on without what does not come.
                Some(Err(_)) | None => tracing::warn!(meter, "meter is too busy to be asked"),
            }
        }
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let mut columns: Vec<Column> = Vec::new();
            for answer in answers {
                columns.extend(answer.await.unwrap_or_default());
            }
            if columns.len() == wish.points.len() {
                drop(inputs.send(Input::Collected { ticket, columns }));
            }
        });
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
