//! Runs one hook: reads the log, puts facts into words, and has them carried.
//!
//! ```text
//! bus, store -> topics, filter -> queue -> renderer -> sink
//!                                   └── what came of it <──┘ -> store
//! ```
//!
//! Control facts have a row in the store from the moment they are stored themselves, so nothing is lost that was seen; facts of meters
//! wait in memory only. What the store does not take is kept and tried again; the worst that can come of it is that something is told
//! twice.

mod change;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::SecureRandom as _;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::entropy;
use crate::daemon::sink::{Message, Sink};
use crate::daemon::status::Board;
use crate::daemon::store::{DeliveryStatus, StoreHandle, Tried, Update, Wanted};
use crate::fact::topic::own::{
    HOOK_DISABLED, HOOK_EXHAUSTED, HOOK_FAILING, HOOK_OVERFLOW, HOOK_RECOVERED, TICK,
};
use crate::fact::{Class, Draft, Fact, Member, Topic, Topics};
use crate::hook::filter::Filter;
use crate::hook::hashes::Hashes;
use crate::hook::outcome::{Outcome, Try};
use crate::hook::queue::{self, Change, Fate, Item, Load, Losses, Queue, Standing, Step};
use crate::hook::render::{Around, Renderer, VenNames};
use crate::hook::told::LastTold;
use crate::time::{Span, Timestamp};

use super::Ground;
use super::durable::Durable;

/// Facts that are read at once.
const PAGE: usize = 256;
/// A store that has failed is tried again after this.
const RETRY_AFTER: Span = Span::from_seconds(5);
/// The loop looks after itself this often.
const LOOK: Span = Span::MINUTE;

/// Something a hook is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Pause,
    Resume,
    /// Wait no longer.
    SendNow,
    /// Tell these facts again.
    Resend(Vec<u64>),
    /// How it stands.
    Look(oneshot::Sender<View>),
    /// Go on with other parts.
    Change(Box<Changed>),
    /// End; what waits, waits for the next start.
    Finish(oneshot::Sender<()>),
}

/// What a hook is to be from now on.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) parts: Parts,
    /// Where facts of meters are kept until they are told.
    pub(crate) meter_facts: Option<StoreHandle>,
    /// Told when it holds.
    pub(crate) done: oneshot::Sender<()>,
}

/// How a hook stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) standing: Standing,
    pub(crate) control: Load,
    pub(crate) meter: Load,
    /// Since when that waits which waits longest.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) losses: Losses,
    pub(crate) sent: u64,
    /// Facts that no filter could judge.
    pub(crate) filter_faults: u64,
    /// What the last try that failed said.
    pub(crate) last_fault: Option<String>,
}

/// What makes a hook.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) topics: Topics,
    pub(crate) filter: Option<Filter>,
    pub(crate) renderer: Renderer,
    pub(crate) rules: queue::Rules,
    /// Facts of meters are kept on the disk until they are told.
    pub(crate) durable: bool,
    pub(crate) timeout: Span,
    pub(crate) on_change: bool,
    /// What tells its tries apart.
    pub(crate) hashes: Hashes,
    pub(crate) sink: Box<dyn Sink>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

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
            let order = match self.queue.next(self.clock.now()) {
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
                self.write().await;
                if let Some(durable) = &mut self.durable {
                    durable.write(self.clock.now(), true).await;
                }
                self.parts.sink.close().await;
                self.board.views.forget(&self.parts.name);
                // Whoever wanted to know may be gone.
                done.send(()).ok();
                return;
            }
        }
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

    /// Does what it is told; where that is to finish, returns whom to tell.
    async fn obey(&mut self, order: Order) -> Option<oneshot::Sender<()>> {
        let changes = match order {
            Order::Pause => self.queue.pause(),
            Order::Resume => self.queue.resume(self.clock.now()),
            Order::SendNow => self.queue.send_now(self.clock.now()),
            Order::Resend(places) => self.resend(places).await,
            Order::Look(view) => {
                // Whoever asked may be gone.
                drop(view.send(self.view()));
                Vec::new()
            }
            Order::Change(changed) => {
                self.change(*changed).await;
                Vec::new()
            }
            Order::Finish(done) => return Some(done),
        };
        self.note(changes, None);
        None
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

    /// Takes what is new in the log.
    async fn read_log(&mut self) {
        loop {
            let page = self.bus.after(self.place, PAGE);
            if page.gone > self.place {
                // Control facts have rows in the store; facts of meters that were missed are lost.
                self.place = page.gone;
                self.load_waiting().await;
                continue;
            }
            let Some(last) = page.facts.last() else { return };
            self.place = last.seq;
            for fact in page.facts {
                if fact.is_for_hook(&self.parts.name, &self.parts.topics) {
                    if let Some(durable) = &mut self.durable
                        && fact.class() == Class::Meter
                        && fact.topic != TICK.name
                    {
                        durable.keep(fact.clone(), self.clock.now().since_start);
                    }
                    self.take(Item::new(&fact), fact);
                }
            }
        }
    }

    /// Takes what waits in the store.
    async fn load_waiting(&mut self) {
        let most = self.parts.rules.control.max_items;
        let wanted = Wanted {
            hook: Some(self.parts.name.clone()),
            status: Some(DeliveryStatus::Waiting),
            most,
            ..Wanted::default()
        };
        match self.store.facts(move |log| log.deliveries(&wanted)).await {
            Ok(deliveries) => {
                deliveries.into_iter().for_each(|delivery| self.take(delivery.item, delivery.fact));
            }
            Err(error) => tracing::warn!(hook = self.parts.name, "what waits cannot be read: {error}"),
        }
    }

    /// Takes facts of meters that were not told before the start.
    async fn load_durable(&mut self) {
        let Some(durable) = &self.durable else { return };
        match durable.waiting(self.parts.rules.meter.max_items).await {
            Ok(deliveries) => {
                deliveries.into_iter().for_each(|delivery| self.take(delivery.item, delivery.fact));
            }
            Err(error) => tracing::warn!(hook = self.parts.name, "what waits cannot be read: {error}"),
        }
    }

    /// Puts a fact into the queue, unless the filter leaves it out.
    fn take(&mut self, item: Item, fact: Arc<Fact>) {
        let wanted = self.parts.filter.as_ref().map_or(Ok(true), |filter| filter.holds(&fact));
        if let Err(fault) = &wanted {
            self.view.filter_faults += 1;
            tracing::debug!(hook = self.parts.name, "filter: {fault}");
            self.bus.complain(|| format!("hook {}: {}: {fault}", self.parts.name, fact.topic));
        }
        if !wanted.unwrap_or(false) {
            self.put_down(item, DeliveryStatus::Filtered, None);
            return;
        }
        if fact.topic == TICK.name && self.facts.contains_key(&self.tick) {
            // One waits already, and says as much.
            return;
        }
        let seq = item.seq;
        if fact.topic == TICK.name {
            self.tick = seq;
        }
        self.facts.insert(seq, fact);
        let changes = self.queue.push(item, self.clock.now());
        self.note(changes, None);
    }

    async fn resend(&mut self, places: Vec<u64>) -> Vec<Change> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        for place in places {
            let wanted = Wanted {
                hook: Some(self.parts.name.clone()),
                after: place.saturating_sub(1),
                most: 1,
                ..Wanted::default()
            };
            let found = self.store.facts(move |log| log.deliveries(&wanted)).await;
            let Some(delivery) =
                found.unwrap_or_default().into_iter().find(|delivery| delivery.fact.seq == place)
            else {
                continue;
            };
            let item = Item { since: now.wall, refusals: 0, next_at: None, batch: None, ..delivery.item };
            self.facts.insert(place, delivery.fact);
            self.put_down(item.clone(), DeliveryStatus::Waiting, None);
            changes.extend(self.queue.push(item, now));
        }
        changes
    }

    /// Tries to deliver, and takes down what came of it.
    async fn send(&mut self, message: queue::Message) {
        let started = self.clock.now();
        let queue::Message { id, items } = message;
        let facts: Vec<Arc<Fact>> =
            items.iter().filter_map(|item| self.facts.get(&item.seq).cloned()).collect();
        let names = self.names.borrow().clone();
        let around = Around { ven: &names, now: started.wall };
        let references: Vec<&Fact> = facts.iter().map(AsRef::as_ref).collect();
        let rendered = self.parts.renderer.render(&references, around);
        let sent =
            rendered.as_ref().ok().map(|words| self.parts.hashes.sent(&words.content_type, &words.body));
        let tried = match rendered {
            Err(fault) => {
                Try { outcome: Outcome::Unsaid, code: None, why: fault.to_string(), answer: String::new() }
            }
            Ok(words) => {
                let digest = digest(&SHA256, &words.body).as_ref().to_vec();
                let about = facts.first().map(|fact| (fact.topic.clone(), fact.subject.clone()));
                let about = about.filter(|_| self.parts.on_change && facts.len() == 1);
                if about.as_ref().is_some_and(|about| self.told.is(about, &digest)) {
                    let why = "the same as before".to_owned();
                    Try { outcome: Outcome::Unchanged, code: None, why, answer: String::new() }
                } else {
                    let (body, content_type) = (words.body, words.content_type);
                    let message = Message { id: id.clone(), facts, body, content_type, at: started.wall };
                    let tried = self.deliver(&message).await;
                    if tried.outcome == Outcome::Sent {
                        about.into_iter().for_each(|about| self.told.note(about, digest.clone()));
                    }
                    tried
                }
            }
        };
        let ended = self.clock.now();
        if matches!(tried.outcome, Outcome::Sent | Outcome::Unchanged) {
            self.view.sent += u64::try_from(items.len()).unwrap_or(0);
        } else {
            self.view.last_fault = Some(tried.why.clone());
        }
        if tried.outcome == Outcome::Unsaid {
            self.bus.complain(|| format!("hook {}: {}", self.parts.name, tried.why));
        }
        let taken = Tried {
            message: id,
            at: started.wall,
            took: ended.since_start - started.since_start,
            code: tried.code,
            why: tried.why.clone(),
            answer: tried.answer.clone(),
            sent: sent.filter(|_| !matches!(tried.outcome, Outcome::Unsaid | Outcome::Unchanged)),
            settings: self.parts.hashes.settings().to_owned(),
        };
        let changes = self.queue.answered(&tried, ended, roll());
        self.note(changes, Some(&taken));
    }

    async fn deliver(&mut self, message: &Message) -> Try {
        let limit = self.parts.timeout;
        let delivered = tokio::time::timeout(limit.to_std(), self.parts.sink.deliver(message)).await;
        delivered.unwrap_or_else(|_| Try::unreachable(format!("no answer within {limit}")))
    }

    /// Takes down what is to be written, and tells what others should know.
    fn note(&mut self, changes: Vec<Change>, tried: Option<&Tried>) {
        for change in changes {
            match change {
                Change::Item(item, fate) => {
                    let status = DeliveryStatus::from_fate(fate);
                    let fact =
                        if status == DeliveryStatus::Waiting { None } else { self.facts.remove(&item.seq) };
                    if fate == Fate::Dead {
                        let of_fact = [
                            ("status", status.as_str().into()),
                            ("fact_id", item.id.clone().into()),
                            ("fact_seq", item.seq.into()),
                            ("fact_topic", fact.map(|fact| fact.topic.clone()).into()),
                            ("attempts", item.attempts.into()),
                        ];
                        self.publish(&HOOK_EXHAUSTED, of_fact.into_iter().chain(fault(tried)));
                    }
                    self.put_down(item, status, tried.cloned());
                }
                Change::Standing(standing) => self.unwritten_standing = Some(standing),
                Change::Failing => {
                    self.publish(&HOOK_FAILING, fault(tried).into_iter().chain([self.waiting()]));
                }
                Change::Recovered => self.publish(&HOOK_RECOVERED, [self.waiting()]),
                Change::Disabled => self.publish(&HOOK_DISABLED, fault(tried)),
                Change::Overflow(count) => {
                    self.publish(&HOOK_OVERFLOW, [("dropped", count.into()), self.waiting()]);
                }
            }
        }
    }

    fn put_down(&mut self, item: Item, status: DeliveryStatus, tried: Option<Tried>) {
        let update = Update { item, status, tried };
        if update.item.class == Class::Control {
            self.unwritten.insert(update.item.seq, update);
        } else if let Some(durable) = &mut self.durable {
            durable.note(update, self.clock.now().since_start);
        }
    }

    /// Tells something of the hook itself.
    fn publish(&self, topic: &Topic, members: impl IntoIterator<Item = Member>) {
        let subject = Some(self.parts.name.clone());
        let members = [("hook", Value::from(self.parts.name.clone()))].into_iter().chain(members);
        self.bus.publish(Draft::new(topic, subject, self.clock.now().wall, members));
    }

    fn waiting(&self) -> Member {
        let waiting = self.queue.load(Class::Control).items + self.queue.load(Class::Meter).items;
        ("waiting", waiting.into())
    }

    /// Writes down what there is; what the store does not take stays for later.
    async fn write(&mut self) {
        let now = self.clock.now();
        if let Some(durable) = &mut self.durable {
            durable.write(now, false).await;
        }
        let nothing = self.unwritten.is_empty() && self.unwritten_standing.is_none();
        if nothing || self.write_again_at.is_some_and(|at| now.since_start < at) {
            return;
        }
        let updates: Vec<Update> = self.unwritten.values().cloned().collect();
        let (hook, standing) = (self.parts.name.clone(), self.unwritten_standing);
        let written = self.store.facts(move |mut log| log.update(&hook, &updates, standing, now.wall)).await;
        self.write_again_at = written.is_err().then(|| now.since_start + RETRY_AFTER);
        match written {
            Ok(()) => {
                self.unwritten.clear();
                self.unwritten_standing = None;
            }
            Err(error) => tracing::debug!(hook = self.parts.name, "deliveries are not written down: {error}"),
        }
    }
}

/// What went wrong.
fn fault(tried: Option<&Tried>) -> [Member; 2] {
    let (code, why) = tried.map_or((None, None), |tried| (tried.code, Some(tried.why.as_str())));
    [("code", code.into()), ("reason", why.into())]
}

/// Any number; without chance all hooks would be tried again at the same moment, which is no harm.
fn roll() -> u64 {
    let mut bytes = [0; 8];
    entropy::dice().fill(&mut bytes).ok();
    u64::from_le_bytes(bytes)
}
