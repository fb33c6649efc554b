//! Gives every fact its place in the log, and lets readers find those behind a place.
//!
//! ```text
//! tell(notice) -> the log for people, listeners in the program
//!              -> a fact of a meter:  its place, the ring
//!              -> a control fact:     kept until the store has it -> its place, the ring
//! ```
//!
//! A control fact gets its place from the store's thread, in the transaction that stores what caused it. What is published while
//! that is under way waits for it, so that nobody sees 12 before 11. Nobody waits for a reader: the ring is bounded, and those who come
//! late find out what they have missed.

mod wants;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ring::rand::SecureRandom as _;
use tokio::sync::{Notify, broadcast, watch};

use crate::fact::topic::own::TICK;
use crate::fact::{Class, Draft, Fact, Topics};
use crate::notice::Notice;
use crate::time::Timestamp;

use super::clock::Clock;
use super::entropy;

pub(crate) use wants::Want;
use wants::Wants;

/// Notices that a slow listener may be behind before it misses some, and is told so.
const BACKLOG: usize = 1024;
/// Bytes of facts that are kept in memory, about.
const RING: usize = 8 << 20;
/// Control facts that wait for the store.
const UNSTORED: usize = 1000;
/// Facts that wait for a transaction to end.
const HELD: usize = 1000;

/// Where everything is told that others may know.
#[derive(Clone)]
pub(crate) struct Bus {
    clock: Clock,
    notices: broadcast::Sender<Notice>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("newest", &*self.shared.newest.borrow()).finish_non_exhaustive()
    }
}

struct Shared {
    log: Mutex<Log>,
    /// The newest place.
    newest: watch::Sender<u64>,
    /// There are control facts for the store.
    owed: Notify,
    /// What could not be put into words first, where that is looked at.
    complaint: OnceLock<watch::Sender<Option<String>>>,
}

#[derive(Default)]
struct Log {
    /// The last place that was given.
    last: u64,
    /// The store's thread has places that it has not published yet.
    reserved: bool,
    /// Facts of meters that wait until it has.
    held: VecDeque<Draft>,
    /// Control facts that wait for the store.
    unstored: VecDeque<Draft>,
    ring: VecDeque<Arc<Fact>>,
    weight: usize,
    /// The last place that is not in the ring any more.
    gone: u64,
    /// Facts that were never given a place.
    dropped: u64,
    /// Who gets deliveries of which topics.
    takers: Vec<(String, Topics)>,
    /// The place of the newest `system.tick`.
    tick: u64,
    /// Who else wants some.
    wants: Wants,
}

/// What a reader finds behind its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) facts: Vec<Arc<Fact>>,
    /// The last place that is not in the ring any more: what lies behind the reader's place up to here, only the store knows.
    pub(crate) gone: u64,
}

/// Places that were given to facts of one transaction.
pub(crate) struct Reservation {
    bus: Bus,
    facts: Vec<Arc<Fact>>,
}

impl Bus {
    /// Empty; the first fact gets the place behind `last`.
    pub(crate) fn new(clock: Clock) -> Self {
        let shared = Shared {
            log: Mutex::default(),
            newest: watch::Sender::new(0),
            owed: Notify::new(),
            complaint: OnceLock::new(),
        };
        Self { clock, notices: broadcast::channel(BACKLOG).0, shared: Arc::new(shared) }
    }

    /// Goes on behind the places that were given before the start.
    pub(crate) fn go_on_after(&self, last: u64) {
        let mut log = self.log();
        log.last = log.last.max(last);
        log.gone = log.gone.max(last);
        drop(log);
        self.shared.newest.send_replace(last);
    }

    /// From now on it is kept what a hook cannot put into words, or its filter not judge (`[bus] strict`).
    pub(crate) fn be_strict(&self) {
        self.shared.complaint.get_or_init(|| watch::Sender::new(None));
    }

    /// A filter or a template has failed.
    pub(crate) fn complain(&self, why: impl FnOnce() -> String) {
        if let Some(complaint) = self.shared.complaint.get() {
            complaint.send_if_modified(|known| {
                let first = known.is_none();
                known.get_or_insert_with(why);
                first
            });
        }
    }

    /// Waits until a filter or a template has failed; for ever, where nobody wants to know.
    pub(crate) async fn complaint(&self) -> String {
        if let Some(complaint) = self.shared.complaint.get()
            && let Ok(known) = complaint.subscribe().wait_for(Option::is_some).await
            && let Some(why) = known.clone()
        {
            return why;
        }
        std::future::pending().await
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Nothing is done under this lock that could leave it half done.
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody; those that listen in the program now, others once it is stored where it has to be.
    pub(crate) fn tell(&self, notice: Notice) {
        self.publish(Draft::of(&notice, self.clock.now().wall));
        self.announce(notice);
    }

    /// Logs a notice and passes it on to those that listen in the program; that nobody does is no fault.
    pub(crate) fn announce(&self, notice: Notice) {
        if notice.is_trouble() {
            tracing::warn!("{notice}");
        } else if notice.is_routine() {
            tracing::debug!("{notice}");
        } else {
            tracing::info!("{notice}");
        }
        drop(self.notices.send(notice));
    }

    /// Hears every notice from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// A fact that nothing else has to be stored with.
    pub(crate) fn publish(&self, draft: Draft) {
        match draft.class() {
            Class::Control => self.owe([draft]),
            Class::Meter => {
                let mut log = self.log();
                if log.reserved {
                    log.hold(draft);
                    return;
                }
                let fact = log.place(draft);
                log.show(Arc::new(fact));
                let newest = log.last;
                drop(log);
                self.shared.newest.send_replace(newest);
            }
        }
    }

    /// Control facts that the store is still to be given.
    pub(crate) fn owe(&self, drafts: impl IntoIterator<Item = Draft>) {
        let mut log = self.log();
        log.unstored.extend(drafts);
        if log.unstored.is_empty() {
            return;
        }
        while log.unstored.len() > UNSTORED {
            log.unstored.pop_front();
            log.dropped += 1;
        }
        drop(log);
        self.shared.owed.notify_one();
    }

    /// So many facts could not wait for the store any longer.
    pub(crate) fn count_lost(&self, count: usize) {
        self.log().dropped += u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// The store has not taken these, which were owed before all others.
    pub(crate) fn owe_again(&self, drafts: Vec<Draft>) {
        let later = std::mem::take(&mut self.log().unstored);
        self.owe(drafts.into_iter().chain(later));
    }

    /// Control facts that the store is to be given, where there are some.
    pub(crate) fn take_owed(&self) -> Vec<Draft> {
        self.log().unstored.drain(..).collect()
    }

    /// Waits for control facts that the store is to be given.
    pub(crate) async fn owed(&self) -> Vec<Draft> {
        loop {
            let owed = self.take_owed();
            if !owed.is_empty() {
                return owed;
            }
            self.shared.owed.notified().await;
        }
    }

    /// Gives places to the facts of a transaction. For the store's thread: there is one at a time.
    pub(crate) fn reserve(&self, drafts: Vec<Draft>) -> Reservation {
        let mut log = self.log();
        log.reserved = true;
        let facts = drafts.into_iter().map(|draft| Arc::new(log.place(draft))).collect();
        drop(log);
        Reservation { bus: self.clone(), facts }
    }

    /// The facts behind a place that are in memory, at most so many.
    pub(crate) fn after(&self, place: u64, most: usize) -> Page {
        let log = self.log();
        let from = log.ring.partition_point(|fact| fact.seq <= place);
        Page { facts: log.ring.range(from..).take(most).cloned().collect(), gone: log.gone }
    }

    /// Changes with every fact to its place.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    /// Facts that were lost before they had a place.
    pub(crate) fn dropped(&self) -> u64 {
        self.log().dropped
    }

    /// From now on these get deliveries of control facts.
    pub(crate) fn set_takers(&self, takers: Vec<(String, Topics)>) {
        self.log().takers = takers;
    }

    /// Who is to tell this fact.
    pub(crate) fn takers(&self, fact: &Fact) -> Vec<String> {
        let log = self.log();
        let takers = log.takers.iter().filter(|(name, topics)| fact.is_for_hook(name, topics));
        takers.map(|(name, _)| name.clone()).collect()
    }
}

impl Log {
    fn place(&mut self, draft: Draft) -> Fact {
        self.last += 1;
        let Draft { topic, subject, time, data } = draft;
        Fact { id: uuid_v7(time), seq: self.last, topic, subject, time, data }
    }

    fn hold(&mut self, draft: Draft) {
        self.held.push_back(draft);
        if self.held.len() > HELD {
            self.held.pop_front();
            self.dropped += 1;
        }
    }

    fn show(&mut self, fact: Arc<Fact>) {
        self.weight += fact.weight();
        if fact.topic == TICK.name {
            self.forget_tick();
            self.tick = fact.seq;
        }
        self.ring.push_back(fact);
        while self.weight > RING
            && let Some(oldest) = self.ring.pop_front()
        {
            self.weight -= oldest.weight();
            self.gone = oldest.seq;
        }
    }
}

impl Log {
    /// A tick says nothing that the next one does not, so that no more than one waits for whoever is busy.
    fn forget_tick(&mut self) {
        if let Ok(at) = self.ring.binary_search_by_key(&self.tick, |fact| fact.seq)
            && let Some(tick) = self.ring.remove(at)
        {
            self.weight -= tick.weight();
        }
    }
}

impl Reservation {
    /// The facts, each with its place.
    pub(crate) fn facts(&self) -> &[Arc<Fact>] {
        &self.facts
    }

    /// They are stored: everybody may see them.
    pub(crate) fn publish(mut self) {
        let facts = std::mem::take(&mut self.facts);
        let mut log = self.bus.log();
        facts.into_iter().for_each(|fact| log.show(fact));
    }
}

impl Drop for Reservation {
    /// Places of facts that were not stored stay empty.
    fn drop(&mut self) {
        let mut log = self.bus.log();
        log.reserved = false;
        for draft in std::mem::take(&mut log.held) {
            let fact = log.place(draft);
            log.show(Arc::new(fact));
        }
        let newest = log.last;
        drop(log);
        self.bus.shared.newest.send_replace(newest);
    }
}

/// RFC 9562, 5.7: the time in milliseconds, and chance.
pub(crate) fn uuid_v7(time: Timestamp) -> String {
    let mut chance = [0; 10];
    // Without chance two facts of one millisecond would have one id; there is nothing that could be done about it.
    entropy::dice().fill(&mut chance).ok();
    let millis = u64::try_from(time.micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value};

    use super::{Bus, RING, UNSTORED};
    use crate::daemon::clock::Clock;
    use crate::fact::{Draft, Fact, Topics};
    use crate::time::Timestamp;

    fn draft(topic: &str, text: &str) -> Draft {
        let data = Map::from_iter([("text".to_owned(), Value::from(text))]);
        Draft { topic: topic.into(), subject: None, time: Timestamp::from_seconds(1_900_000_000), data }
    }

    fn texts(facts: &[Arc<Fact>]) -> Vec<&str> {
        facts.iter().map(|fact| fact.data["text"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_is_published_during_a_transaction_comes_after_it() {
        let bus = Bus::new(Clock::start());
        bus.go_on_after(40);
        bus.publish(draft("meter.reading", "a"));
        let reservation = bus.reserve(vec![draft("event.started", "b"), draft("event.ended", "c")]);
        bus.publish(draft("meter.reading", "d"));
        assert_eq!(texts(&bus.after(40, 9).facts), ["a"], "nothing of what is under way is seen");
        assert_eq!(*bus.newest().borrow(), 41);
        reservation.publish();
        let page = bus.after(40, 9);
        assert_eq!(texts(&page.facts), ["a", "b", "c", "d"]);
        assert_eq!(page.facts.iter().map(|fact| fact.seq).collect::<Vec<_>>(), [41, 42, 43, 44]);
        assert_eq!((page.gone, *bus.newest().borrow()), (40, 44));
        assert_eq!(texts(&bus.after(42, 1).facts), ["c"]);
    }

    #[test]
    fn a_transaction_that_fails_leaves_its_places_empty() {
        let bus = Bus::new(Clock::start());
        let reservation = bus.reserve(vec![draft("event.started", "a")]);
        bus.publish(draft("meter.reading", "b"));
        drop(reservation);
        let facts = bus.after(0, 9).facts;
        assert_eq!((texts(&facts), facts[0].seq), (vec!["b"], 2));
    }

    #[test]
    fn the_ring_is_bounded_and_says_up_to_where_it_has_lost() {
        let bus = Bus::new(Clock::start());
        let long = "x".repeat(RING / 10);
        (0..15).for_each(|_| bus.publish(draft("meter.telegram", &long)));
        let page = bus.after(0, 99);
        assert_eq!((page.facts.len(), page.gone), (9, 6));
    }

    #[tokio::test]
    async fn control_facts_wait_for_the_store_and_the_oldest_give_way() {
        let bus = Bus::new(Clock::start());
        (0..UNSTORED + 5).for_each(|at| bus.publish(draft("event.started", &at.to_string())));
        assert!(bus.after(0, 9).facts.is_empty(), "nothing is seen that is not stored");
        let owed = bus.owed().await;
        assert_eq!((owed.len(), bus.dropped()), (UNSTORED, 5));
        assert_eq!(owed[0].data["text"], "5");
    }

    #[test]
    fn ids_are_uuids_of_version_7_that_sort_by_time_and_never_repeat() {
        let bus = Bus::new(Clock::start());
        (0..100).for_each(|_| bus.publish(draft("meter.reading", "a")));
        let facts = bus.after(0, 100).facts;
        let ids: std::collections::BTreeSet<_> = facts.iter().map(|fact| &fact.id).collect();
        assert_eq!(ids.len(), 100);
        let milliseconds = format!("{:012x}", 1_900_000_000_000_u64);
        for id in ids {
            assert_eq!(id.replace('-', "")[..13], format!("{milliseconds}7"), "{id}");
        }
    }

    #[test]
    fn takers_are_found_by_topic_and_no_hook_tells_of_itself() {
        let bus = Bus::new(Clock::start());
        let topics = |patterns: &[&str]| Topics::parse(patterns.iter().copied()).unwrap();
        bus.set_takers(vec![("a".into(), topics(&["event.*", "hook.*"])), ("b".into(), topics(&["hook.*"]))]);
        let takers = |topic: &str, subject: &str| {
            let reservation = bus.reserve(vec![Draft { subject: Some(subject.into()), ..draft(topic, "") }]);
            bus.takers(&reservation.facts()[0])
        };
        assert_eq!(takers("event.started", "e1"), ["a"]);
        assert!(takers("opt.decided", "e1").is_empty());
        assert_eq!(takers("hook.failing", "a"), ["b"]);
    }

    #[test]
    fn what_hooks_monitors_and_plugins_want_is_known_as_long_as_they_do() {
        let bus = Bus::new(Clock::start());
        let topics = |pattern: &str| Topics::parse([pattern]).unwrap();
        assert!(!bus.is_wanted("vtn.message"));
        let (one, other) = (bus.want(vec![topics("vtn.*")]), bus.want(vec![topics("vtn.message")]));
        assert!(
            bus.is_wanted("vtn.message") && bus.is_wanted("vtn.polled") && !bus.is_wanted("event.started")
        );
        drop(one);
        assert!(bus.is_wanted("vtn.message") && !bus.is_wanted("vtn.polled"));
        drop(other);
        bus.set_takers(vec![("a".into(), topics("vtn.request"))]);
        assert!(bus.is_wanted("vtn.request") && !bus.is_wanted("vtn.message"));
    }
}
