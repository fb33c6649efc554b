//! Runs one engine: feeds it what happens, does what it says.
//!
//! **Invariant (one mouth):** nobody else calls [`Engine::handle`].

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{DeliveryId, Effect, Engine, ExchangeId, Input, PushAnswer};
use crate::fact::of_exchange;
use crate::hook::render::VenNames;
use crate::notice::Notice;
use crate::openadr::message::{Payload, PayloadKind, Service};
use crate::openadr::trust::Verified;
use crate::time::{Now, Span};

use super::bus::Bus;
use super::clock::Clock;
use super::control::Desk;
use super::handler_seat::HandlerSeat;
use super::meters::Meters;
use super::outbox::Outbox;
use super::store::{StoreError, StoreHandle};
use super::writer::{Released, Transaction, Writer};

/// The wall clock may be set at any time; this often at least it is looked at again.
const LOOK_AGAIN: Span = Span::from_seconds(10);

/// What hooks are about may still be delivered within this when the VEN ends.
const HOOKS_END_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

type Commit = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A message that the VTN has pushed, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) service: Service,
    pub(crate) message: Verified<Payload>,
    pub(crate) respond: oneshot::Sender<PushAnswer>,
}

/// An engine and everything that serves it.
pub(crate) struct VenTask {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    pub(crate) seat: HandlerSeat,
    pub(crate) meters: Meters,
    pub(crate) desk: Desk,
    pub(crate) messages: mpsc::UnboundedSender<(ExchangeId, Payload)>,
    pub(crate) bus: Bus,
    pub(crate) outbox: Outbox,
    /// Who we are, and with whom we speak.
    pub(crate) names: watch::Sender<VenNames>,
    pub(crate) writer: Writer,
    pub(crate) pushes: Pushes,
    /// The poll that is under way, and since when.
    pub(crate) poll: Option<(ExchangeId, Span)>,
}

/// What the VTN pushes; where it does not, nobody sends anything.
pub(crate) struct Pushes {
    incoming: mpsc::Receiver<Push>,
    open: BTreeMap<DeliveryId, oneshot::Sender<PushAnswer>>,
    last: u64,
}

impl Pushes {
    pub(crate) const fn new(incoming: mpsc::Receiver<Push>) -> Self {
        Self { incoming, open: BTreeMap::new(), last: 0 }
    }

    async fn next(&mut self) -> Option<Input> {
        let Push { service, message, respond } = self.incoming.recv().await?;
        self.last += 1;
        let delivery = DeliveryId(self.last);
        self.open.insert(delivery, respond);
        Some(Input::Pushed { delivery, service, message })
    }

    /// That the VTN has gone meanwhile is its own affair: it sends the message again.
    fn respond(&mut self, delivery: DeliveryId, answer: PushAnswer) {
        if let Some(respond) = self.open.remove(&delivery) {
            drop(respond.send(answer));
        }
    }
}

impl VenTask {
    /// Runs until every sender of inputs is gone or `stop` says so.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<Input>,
        stop: impl Future<Output = String>,
    ) {
        tokio::pin!(stop);
        let mut commit: Option<Commit> = None;
        self.feed(Input::Tick);
        loop {
            let now = self.clock.now();
            if commit.is_none()
                && let Some(Transaction { writes, facts }) = self.writer.next_commit(now.since_start)
            {
                let store = self.store.clone();
                commit = Some(Box::pin(async move { store.commit(writes, facts).await }));
            }
            let wake = self.clock.instant(self.wake_at(now));
            tokio::select! {
                biased;
                why = &mut stop => break self.bus.tell(Notice::Stopping { why }),
                outcome = committed(&mut commit) => {
                    commit = None;
                    let released = self.writer.answered(outcome, self.clock.now().since_start);
                    self.release(released);
                }
                input = inputs.recv() => match input {
                    Some(input) => self.feed(input),
                    None => break,
                },
                order = self.desk.next() => self.feed(order),
                Some(pushed) = self.pushes.next() => self.feed(pushed),
                () = tokio::time::sleep_until(wake) => self.feed(Input::Tick),
            }
        }
        self.finish(commit).await;
    }

    /// What was decided is still stored; what it promises is done after the next start.
    async fn finish(mut self, commit: Option<Commit>) {
        if let Some(commit) = commit {
            let released = self.writer.answered(commit.await, self.clock.now().since_start);
            self.release(released);
        }
        if let Some(Transaction { writes, facts }) = self.writer.next_commit(self.clock.now().since_start)
            && let Err(error) = self.store.commit(writes, facts).await
        {
            tracing::error!("the last changes were not stored: {error}");
        }
        self.meters.finish().await;
        if let Err(error) = self.store.commit(Vec::new(), self.bus.take_owed()).await {
            tracing::error!("the last facts were not stored: {error}");
        }
        self.outbox.finish(HOOKS_END_WITHIN).await;
    }

    fn wake_at(&self, now: Now) -> Span {
        let engine = self.engine.next_deadline(now).map(|(at, _)| at);
        let deadlines = [engine, self.writer.retry_at(), Some(now.since_start + LOOK_AGAIN)];
        deadlines.into_iter().flatten().min().unwrap_or(now.since_start)
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.clock.now();
            let polled = self.polled(now, &input);
            let batch = self.engine.handle(now, input);
            if let Some((answer, took)) = polled {
                let next = self.engine.next_poll_in(now);
                self.bus.publish(of_exchange::polled(answer, took, next, now.wall));
            }
            let released = self.writer.take(batch, now.wall);
            inputs.extend(self.perform(released));
        }
    }

    /// What a poll has brought, and how long it took, where the input is its answer.
    fn polled(&mut self, now: Now, input: &Input) -> Option<(Option<PayloadKind>, Span)> {
        let Input::Replied { exchange, reply } = input else { return None };
        let (_, begun) = self.poll.take_if(|(poll, _)| poll == exchange)?;
        let answer = reply.as_ref().map(|reply| reply.content().kind());
        Some((answer, now.since_start - begun))
    }

    fn release(&mut self, released: Released) {
        for input in self.perform(released) {
            self.feed(input);
        }
    }

    /// Does the effects, and returns what the engine must be told about the store.
    fn perform(&mut self, released: Released) -> Vec<Input> {
        released.facts.into_iter().for_each(|draft| self.bus.publish(draft));
        self.bus.count_lost(released.lost);
        for effect in released.effects {
            self.effect(effect);
        }
        let mut inputs = Vec::new();
        if let Some((batches, why)) = released.failed {
            let failed = |batch| Input::PersistFailed { batch, why: why.clone() };
            inputs.extend(batches.into_iter().map(failed));
        }
        inputs.extend(released.recovered.map(|batch| Input::Persisted { batch }));
        inputs
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { exchange, payload } => {
                let begun = self.clock.now().since_start;
                self.poll = (payload.kind() == PayloadKind::Poll).then_some((exchange, begun));
                // The courier ends after this task only.
                drop(self.messages.send((exchange, payload)));
            }
            Effect::Respond { delivery, answer } => self.pushes.respond(delivery, answer),
            Effect::Offer { ticket, event, change, within } => self.seat.offer(ticket, event, change, within),
            Effect::Announce { told, event, what } => self.seat.announce(told, event, what),
            Effect::Collect { ticket, wish } => self.meters.collect(ticket, wish),
            Effect::Answer { number, answer } => self.desk.answer(number, answer),
            Effect::Notify(notice) => {
                if let Notice::ReportRequested { granularity, .. } = &notice {
                    self.meters.expect_step(*granularity);
                }
                if let Notice::Registered { ven_id, vtn_id, .. } = &notice {
                    self.names.send_modify(|names| {
                        (names.id, names.vtn_id) = (Some(ven_id.to_string()), Some(vtn_id.to_string()));
                    });
                }
                self.bus.announce(notice);
            }
        }
    }
}

async fn committed(commit: &mut Option<Commit>) -> Result<(), StoreError> {
    match commit {
        Some(commit) => commit.await,
        None => pending().await,
    }
}
