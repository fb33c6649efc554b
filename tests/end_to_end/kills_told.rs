//! Kills the VEN at random moments while it tells a receiver that fails now and then: whatever it has stored arrives, in order, under one id.
//!
//! `VEN_KILLS` sets the number of kills, `VEN_LONG=1` makes them a thousand, `VEN_SEED` sets the moments.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, Opt};
use openadr_ven::time::Span;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::support::dice::Dice;
use crate::support::receiver::{Arrival, Receiver, SECRET};
use crate::support::telemetry::{meter_section, wish};
use crate::support::{House, PATIENCE, Process};

/// A moment that is counted from something waits so long for it.
const LONGEST_LIFE: Duration = Duration::from_millis(2500);

/// From what the moment of a kill is counted.
const REQUESTS: [PayloadKind; 5] = [
    PayloadKind::CreatePartyRegistration,
    PayloadKind::RequestEvent,
    PayloadKind::Poll,
    PayloadKind::CreatedEvent,
    PayloadKind::UpdateReport,
];

/// The VTN holds no more at once.
const MOST_EVENTS: usize = 12;

/// So often it is looked whether all is told before it is held that nothing comes any more.
const LOOKS: usize = 600;

/// Every topic of control facts that happens here, but for those of the hook itself.
const TOPICS: &str = r#"["event.*", "opt.*", "report.*", "registration.*", "vtn.connected", "vtn.disconnected",
    "system.started", "system.clock_jump", "system.disk_low", "system.disk_recovered"]"#;

/// A fact as it is stored.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    seq: u64,
    id: String,
    topic: String,
    subject: Option<String>,
    data: Value,
}

impl Stored {
    fn is_about(&self, topics: &[&str], event: &str, modification: u32) -> bool {
        topics.contains(&self.topic.as_str())
            && self.data["event_id"] == event
            && self.data["modification_number"] == modification
    }
}

/// What the store has.
struct FactLog {
    facts: Vec<Stored>,
    /// So many deliveries have each status.
    statuses: BTreeMap<String, usize>,
}

impl FactLog {
    /// Reads the store of a VEN that may be running.
    fn read(store: &Path) -> Self {
        let database = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        let transaction = database.unchecked_transaction().unwrap();
        let query = "SELECT seq, id, topic, subject, data FROM fact ORDER BY seq";
        let mut statement = transaction.prepare(query).unwrap();
        let facts = statement.query_map([], |row| {
            let data: String = row.get(4)?;
            Ok(Stored {
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                id: row.get(1)?,
                topic: row.get(2)?,
                subject: row.get(3)?,
                data: serde_json::from_str(&data).unwrap(),
            })
        });
        let facts = facts.unwrap().map(Result::unwrap).collect();
        let mut counts =
            transaction.prepare("SELECT status, count(*) FROM delivery GROUP BY status").unwrap();
        let count =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, usize::try_from(row.get::<_, i64>(1)?).unwrap()));
        let statuses = counts.query_map([], count).unwrap().map(Result::unwrap).collect();
        Self { facts, statuses }
    }

    /// Those that the hook is to tell.
    fn told(&self) -> impl Iterator<Item = &Stored> {
        self.facts.iter().filter(|fact| !fact.topic.starts_with("hook."))
    }

    fn has(&self, topics: &[&str], event: &str, modification: u32) -> bool {
        self.facts.iter().any(|fact| fact.is_about(topics, event, modification))
    }

    /// For people.
    fn all_about(&self, event: &str) -> String {
        let about = self.facts.iter().filter(|fact| fact.subject.as_deref() == Some(event));
        let line =
            |fact: &Stored| format!("\n{} {} {}", fact.seq, fact.topic, fact.data["modification_number"]);
        about.map(line).collect()
    }
}

struct Scene {
    house: House,
    vtn: MockVtn,
    receiver: Receiver,
    _meter: MockMeter,
    configuration: std::path::PathBuf,
    dice: Dice,
    /// Events that there have been.
    added: usize,
    /// The newest version of each event that the VTN still holds.
    events: BTreeMap<String, u32>,
    /// The version that cancels an event; one that was not known is answered, and there is nothing to decide.
    cancelled: BTreeSet<(String, u32)>,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let mut dice = Dice::seeded();
        let receiver = Receiver::start(&mut dice).await;
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_secs(1)).unwrap();
        vtn.with(|core| core.piggyback = vec![wish("each-second", Span::SECOND, Span::SECOND, None)]);
        let hook = format!(
            "{}\n[[hook]]\nname = \"told\"\ntype = \"http\"\ntopics = {TOPICS}\nurl = \"{}\"\nsecret = \"${{file:secret}}\"\n\
             allow_private = true\nallow_http = true\ntimeout = \"300ms\"\n\
             retry = {{ schedule = [\"0s\", \"1s\"] }}\n",
            meter_section(meter.path()),
            receiver.url()
        );
        house.write_secret("secret", SECRET);
        let configuration = house.configure(&vtn.url(), &hook);
        let text = std::fs::read_to_string(&configuration).unwrap();
        std::fs::write(
            &configuration,
            text.replace("[vtn]", "[vtn]\npoll_min = \"100ms\"\npoll_max = \"200ms\""),
        )
        .unwrap();
        Self {
            house,
            vtn,
            receiver,
            _meter: meter,
            configuration,
            dice,
            added: 0,
            events: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        }
    }

    /// One life and death.
    async fn round(&mut self) {
        let process = Process::ven(&self.configuration);
        for _ in 0..=self.dice.below(2) {
            self.stir();
        }
        self.wait().await;
        tokio::task::block_in_place(|| process.kill());
    }

    async fn wait(&mut self) {
        let most = match self.dice.below(100) {
            0..20 => 300,
            20..40 => 2000,
            40..65 => {
                let kind = self.dice.one_of(&REQUESTS);
                let before = self.vtn.with(|core| core.count(kind));
                self.vtn.until(LONGEST_LIFE, |core| core.count(kind) > before).await;
                30
            }
            _ => {
                for _ in 0..=self.dice.below(6) {
                    self.receiver.next_arrival(LONGEST_LIFE).await;
                }
                10
            }
        };
        // At once is sooner than the shortest pause: before what was said or sent is stored.
        if self.dice.below(3) > 0 {
            tokio::time::sleep(Duration::from_micros(self.dice.below(most * 1000))).await;
        }
    }

    /// The VTN does something.
    fn stir(&mut self) {
        let known: Vec<String> = self.events.keys().cloned().collect();
        let event = (!known.is_empty()).then(|| self.dice.one_of(&known));
        match (self.dice.below(100), event) {
            (0..25, Some(id)) => {
                let priority = u32::try_from(1 + self.dice.below(5)).unwrap();
                self.vtn.with(|core| {
                    core.modify_event(&id, |event| event.event.descriptor.priority = Some(priority));
                });
                *self.events.get_mut(&id).unwrap() += 1;
            }
            (25..35, Some(id)) => {
                self.vtn.with(|core| core.cancel_event(&id));
                self.cancelled.extend(self.events.remove_entry(&id).map(|(id, version)| (id, version + 1)));
            }
            // A VTN that forgets nothing says more and more.
            (throw, Some(id)) if (35..40).contains(&throw) || known.len() > MOST_EVENTS => {
                let cancelled = self.cancelled.iter().map(|(id, _)| id);
                self.vtn.with(|core| cancelled.chain([&id]).for_each(|id| core.drop_event(id)));
                self.events.remove(&id);
            }
            _ => {
                self.added += 1;
                let id = format!("event-{}", self.added);
                let start = self.vtn.now() + Span::from_millis(i64::try_from(self.dice.below(4000)).unwrap());
                let levels = 1 + i64::try_from(self.dice.below(4)).unwrap();
                let steps = (0..levels).map(|level| (Span::SECOND, level));
                let event = EventBuilder::new(&id, start, Span::from_seconds(levels)).steps(steps);
                self.vtn.with(|core| core.add_event(event));
                self.events.insert(id, 0);
            }
        }
    }

    /// The last life: everything that is still owed is told. Returns what the store has then.
    async fn calm(&mut self) -> FactLog {
        self.receiver.behave();
        let process = Process::ven(&self.configuration);
        let expected: BTreeSet<(String, u32)> = self.events.clone().into_iter().collect();
        let answered = self.vtn.until(PATIENCE, |core| {
            let opts: BTreeSet<_> =
                core.opts.iter().map(|opt| (opt.event_id.to_string(), opt.modification)).collect();
            opts.is_superset(&expected)
        });
        assert!(answered.await, "an event is never answered; the log:\n{}", process.log().join("\n"));
        let store = self.house.path("state/ven.db");
        let (mut told, mut looks) = (0, 0);
        let log = loop {
            let log = FactLog::read(&store);
            let is_sent = expected.iter().all(|(event, version)| log.has(&["opt.sent"], event, *version));
            if is_sent && !log.statuses.contains_key("waiting") {
                break log;
            }
            self.receiver.next_arrival(Duration::from_millis(100)).await;
            let arrived = self.receiver.arrivals().len();
            (told, looks) = (arrived, if arrived > told { 0 } else { looks + 1 });
            let lines = || process.log().join("\n");
            assert!(looks < LOOKS, "something is never told: {:?}; the log:\n{}", log.statuses, lines());
        };
        tokio::task::block_in_place(|| process.kill());
        log
    }

    /// Everything that the VTN got was decided before, and that was told.
    fn judge_opts(&self, log: &FactLog) -> usize {
        let opts = self.vtn.with(|core| {
            assert_eq!(core.violations, Vec::<String>::new());
            core.opts.clone()
        });
        let cancels = |opt: &&Opt| self.cancelled.contains(&(opt.event_id.to_string(), opt.modification));
        for opt in opts.iter().filter(|opt| !cancels(opt)) {
            let (event, version) = (opt.event_id.as_str(), opt.modification);
            let decided = log.has(&["opt.decided", "opt.changed"], event, version);
            assert!(decided, "the VTN got {opt:?}, and no fact says so: {}", log.all_about(event));
            let received = log.has(&["event.received", "event.modified"], event, version);
            assert!(
                received,
                "the VTN got {opt:?} to what no fact says that it came: {}",
                log.all_about(event)
            );
        }
        opts.len()
    }
}

/// What was said of arrivals against what is stored; how many were repeats.
fn judge_arrivals(arrivals: &[Arrival], log: &FactLog) -> usize {
    let stored: BTreeMap<&str, &Stored> = log.facts.iter().map(|fact| (fact.id.as_str(), fact)).collect();
    let mut first: BTreeMap<&str, &Arrival> = BTreeMap::new();
    let mut last_place = 0;
    for arrival in arrivals {
        let Arrival { id, body, .. } = arrival;
        assert!(arrival.is_signed(), "{arrival:?}");
        if let Some(first) = first.get(id.as_str()) {
            assert_eq!(first.body, body, "one id has one body");
            continue;
        }
        first.insert(id, arrival);
        let event = arrival.event();
        let fact = stored.get(id.as_str()).unwrap_or_else(|| panic!("{event} was told and is not stored"));
        assert_eq!((&event["id"], &event["type"]), (&fact.id.clone().into(), &fact.topic.clone().into()));
        assert_eq!(event["data"], fact.data);
        assert_eq!(event["subject"].as_str(), fact.subject.as_deref());
        assert_eq!(event["sequence"], format!("{:020}", fact.seq));
        assert!(fact.seq > last_place, "{} comes after {last_place}", fact.seq);
        last_place = fact.seq;
    }
    let missing: Vec<&Stored> = log.told().filter(|fact| !first.contains_key(fact.id.as_str())).collect();
    assert!(missing.is_empty(), "these are stored and were never told: {missing:#?}");
    arrivals.len() - first.len()
}

#[expect(clippy::disallowed_methods, reason = "a test asks who started it")]
fn kills() -> usize {
    let long = std::env::var_os("VEN_LONG").is_some_and(|text| text == "1");
    let told = std::env::var("VEN_KILLS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if long { 1000 } else { 50 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_stored_is_told_in_order_and_under_one_id_whenever_the_ven_is_killed() {
    let mut scene = Scene::new().await;
    let kills = kills();
    for _ in 0..kills {
        scene.round().await;
    }
    let early = scene.receiver.arrivals().len();
    let log = scene.calm().await;
    let opts = scene.judge_opts(&log);
    let arrivals = scene.receiver.arrivals();
    let repeats = judge_arrivals(&arrivals, &log);
    assert!(repeats > 0, "a receiver that fails is told again");
    assert!(early * 10 > arrivals.len(), "{early} of {} requests came between kills", arrivals.len());
    eprintln!(
        "{kills} kills: {} facts told in {} requests, {early} between kills, {repeats} repeats; {opts} opts; the receiver: {}; deliveries: {:?}",
        log.told().count(),
        arrivals.len(),
        scene.receiver.moods(),
        log.statuses,
    );
}
