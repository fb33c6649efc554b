//! Runs one hook: reads the log, puts facts into words, and has them carried.
//!
//! ```text
//! bus, store -> topics, filter -> queue -> renderer -> sink
//!    (reading)                      └── what came of it <──┘ (sending) -> store (writing)
//! ```
//!
//! Control facts have a row in the store from the moment they are stored themselves, so nothing is lost that was seen; facts of meters
//! wait in memory only. What the store does not take is kept and tried again; the worst that can come of it is that something is told
//! twice.

mod change;
mod orders;
mod reading;
mod sending;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::daemon::bus::Bus;
use crate::daemon::clock::{Clock, is_set};
use crate::daemon::status::Board;
use crate::daemon::store::{StoreHandle, Update};
use crate::fact::{Class, Fact};
use crate::hook::queue::{Queue, Standing, Step};
use crate::hook::render::VenNames;
use crate::hook::told::LastTold;
use crate::time::Span;

use super::durable::Durable;
use super::{Ground, Parts, View};

pub(crate) use orders::{Changed, Order};

/// The loop looks after itself this often.
const LOOK: Span = Span::MINUTE;

/// One hook.
pub(crate) struct HookTask {
    parts: Parts,
    bus: Bus,
    store: StoreHandle,
    clock: Clock,
    names: watch::Receiver<VenNames>,
    queue: Queue,
    /// The facts of the items in the queue.
    facts: BTreeMap<u64, Arc<Fact>>,
    /// The log is read up to here.
    place: u64,
    /// What is still to be written down of control facts, and how the hook stands.
    unwritten: BTreeMap<u64, Update>,
    unwritten_standing: Option<Standing>,
    durable: Option<Durable>,
    write_again_at: Option<Span>,
    told: LastTold,
    /// The last tick that was taken.
    tick: u64,
    board: Board,
    view: View,
}

impl HookTask {
    /// Goes on where the store says it stopped; facts of meters from now on.
    pub(crate) async fn new(parts: Parts, ground: Ground) -> Self {
        let Ground { bus, store, clock, names, meter_facts, board } = ground;
        let most = parts.rules.meter.max_bytes;
        let durable = meter_facts.filter(|_| parts.durable);
        let durable = durable.map(|store| Durable::new(store, parts.name.clone(), most, clock.now()));
        let name = parts.name.clone();
        let standing = store.facts(move |log| log.standing(&name)).await.unwrap_or_default();
        let queue = Queue::new(parts.rules.clone(), standing, clock.now());
        let place = *bus.newest().borrow();
        let mut task = Self {
            parts,
            bus,
            store,
            clock,
            names,
            queue,
            facts: BTreeMap::new(),
            place,
            unwritten: BTreeMap::new(),
            unwritten_standing: None,
            durable,
            write_again_at: None,
            told: LastTold::default(),
            tick: 0,
            board,
            view: View::default(),
        };
        task.load_waiting().await;
        task.load_durable().await;
        task
    }

    /// Runs until it is told to finish, or nobody can tell it any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        self.open().await;
        let mut newest = self.bus.newest();
        loop {
            self.read_log().await;
            self.write().await;
            self.board.views.put(&self.parts.name, self.view());
            let order = match self.next() {
                Step::Write(changes) => {
                    self.note(changes, None);
                    continue;
                }
                Step::Send(message) => {
                    // An order has to wait for the try, which has an end.
                    self.send(message).await;
                    orders.try_recv().ok()
                }
                step @ (Step::Wait(_) | Step::Idle) => {
                    let wake = self.clock.instant(self.wake_at(&step));
                    tokio::select! {
                        order = orders.recv() => match order {
                            Some(order) => Some(order),
                            None => return self.write().await,
                        },
                        _ = newest.changed() => None,
                        () = tokio::time::sleep_until(wake) => None,
                    }
                }
            };
            if let Some(order) = order
                && let Some(done) = self.obey(order).await
            {
                self.finish().await;
                // Whoever wanted to know may be gone.
                done.send(()).ok();
                return;
            }
        }
    }

    /// What is to be done now; where the time is signed and nobody knows it, all that comes waits.
    fn next(&mut self) -> Step {
        let now = self.clock.now();
        if self.parts.sink.signs() && !is_set(now.wall) {
            return Step::Wait(now.since_start + Span::SECOND);
        }
        self.queue.next(now)
    }

    /// Writes down everything, and says goodbye.
    async fn finish(&mut self) {
        self.write().await;
        if let Some(durable) = &mut self.durable {
            durable.write(self.clock.now(), true).await;
        }
        self.parts.sink.close().await;
        self.board.views.forget(&self.parts.name);
    }

    /// Where that takes long, the first message waits for it in its own time.
    async fn open(&mut self) {
        self.parts.sink.stands(&self.board.status());
        let opened = tokio::time::timeout(self.parts.timeout.to_std(), self.parts.sink.open()).await;
        if opened.is_err() {
            tracing::debug!(hook = self.parts.name, "its sink is not open yet");
        }
    }

    fn wake_at(&self, step: &Step) -> Span {
        let regular = self.clock.now().since_start + LOOK;
        let asked = if let Step::Wait(until) = step { Some(*until) } else { None };
        let durable = self.durable.as_ref().and_then(Durable::write_at);
        [asked, self.write_again_at, durable, Some(regular)].into_iter().flatten().min().unwrap_or(regular)
    }

    fn view(&self) -> View {
        View {
            oldest: self.queue.oldest(),
            standing: self.queue.standing(),
            control: self.queue.load(Class::Control),
            meter: self.queue.load(Class::Meter),
            losses: self.queue.losses(),
            ..self.view.clone()
        }
    }
}
