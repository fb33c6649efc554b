//! What is kept of facts and deliveries, and what is forgotten.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use rusqlite::params;

use super::retention::{FORGET_UNTOLD, all_at, bytes_of_one};
use super::{DeliveryStatus, Retention, Told, Tried, Update, Wanted};
use crate::daemon::store::{Sqlite, Store as _};
use crate::fact::Fact;
use crate::hook::queue::{Item, Standing};
use crate::time::{Span, Timestamp};

fn fact(seq: u64, text: &str) -> Arc<Fact> {
    let data = Map::from_iter([("text".to_owned(), Value::from(text))]);
    let time = Timestamp::from_seconds(i64::try_from(seq).unwrap());
    Arc::new(Fact { id: format!("id {seq}"), seq, topic: "event.started".into(), subject: None, time, data })
}

fn told(seq: u64, hooks: &[&str]) -> Told {
    Told { fact: fact(seq, &"x".repeat(800)), hooks: hooks.iter().map(|hook| (*hook).to_owned()).collect() }
}

fn open(folder: &Path, ven: &str) -> Sqlite {
    Sqlite::open(&folder.join("ven.db"), ven).unwrap()
}

fn update(seq: u64, status: DeliveryStatus) -> Update {
    Update { item: Item { attempts: 1, ..Item::new(&fact(seq, "")) }, status, tried: None }
}

fn tried(code: Option<u16>, why: &str) -> Tried {
    Tried {
        message: "id 3".into(),
        at: Timestamp::from_seconds(9),
        took: Span::SECOND,
        code,
        why: why.into(),
        answer: "no".into(),
        sent: Some("00112233".repeat(2)),
        settings: "44556677".repeat(2),
    }
}

fn waiting(store: &mut Sqlite, hook: &str) -> Vec<u64> {
    let wanted = Wanted {
        hook: Some(hook.into()),
        status: Some(DeliveryStatus::Waiting),
        most: 100,
        ..Wanted::default()
    };
    store.facts().deliveries(&wanted).unwrap().iter().map(|delivery| delivery.fact.seq).collect()
}

#[test]
fn facts_come_back_with_their_deliveries_and_tries() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "a");
    store.commit(&[], &[told(3, &["one", "two"]), told(4, &["one"]), told(6, &[])]).unwrap();
    let after = store.facts().after(3, 9).unwrap();
    assert_eq!(after, [fact(4, &"x".repeat(800)), fact(6, &"x".repeat(800))].map(|fact| (*fact).clone()));
    assert_eq!((waiting(&mut store, "one"), waiting(&mut store, "two")), (vec![3, 4], vec![3]));
    assert!(open(folder.path(), "b").facts().after(0, 9).unwrap().is_empty(), "of another VEN");

    let mut tried = tried(Some(503), "busy");
    for attempts in 1..=12 {
        let next_at = Some(Timestamp::from_seconds(20));
        let item = Item { attempts, next_at, batch: Some(7), refusals: 2, ..Item::new(&fact(3, "")) };
        let update = Update { item, status: DeliveryStatus::Waiting, tried: Some(tried.clone()) };
        store.facts().update("one", &[update], None, Timestamp::from_seconds(10)).unwrap();
    }
    tried.code = Some(200);
    let sent = Update { tried: Some(tried.clone()), ..update(4, DeliveryStatus::Sent) };
    store.facts().update("one", &[sent], None, Timestamp::from_seconds(11)).unwrap();
    assert_eq!(waiting(&mut store, "one"), [3]);
    let wanted = Wanted { hook: Some("one".into()), most: 1, ..Wanted::default() };
    let item = store.facts().deliveries(&wanted).unwrap().remove(0).item;
    assert_eq!((item.attempts, item.refusals, item.batch), (12, 2, Some(7)));
    assert_eq!(item.next_at, Some(Timestamp::from_seconds(20)));
    let tries = store.facts().tries("one", 3).unwrap();
    assert_eq!((tries.len(), tries[0].0, tries[9].0), (10, 3, 12), "the last ten");
    assert_eq!(store.facts().tries("one", 4).unwrap(), [(1, tried)]);
    let counts = store.facts().counts(None).unwrap();
    let row = |hook: &str, status: &str, count| (hook.to_owned(), status.to_owned(), count);
    assert_eq!(counts, [row("one", "sent", 1), row("one", "waiting", 1), row("two", "waiting", 1)]);
    assert_eq!(store.facts().counts(Some(Timestamp::from_seconds(11))).unwrap(), [row("one", "sent", 1)]);
}

/// There are no words for it, which counts for no try of its own.
#[test]
fn a_try_that_sent_nothing_takes_the_place_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "a");
    store.commit(&[], &[told(3, &["one"])]).unwrap();
    for (attempts, why) in [(0, "no words"), (0, "no words yet"), (1, "busy"), (1, "no words again"), (2, "")]
    {
        let item = Item { attempts, ..Item::new(&fact(3, "")) };
        let update = Update { item, status: DeliveryStatus::Waiting, tried: Some(tried(None, why)) };
        store.facts().update("one", &[update], None, Timestamp::from_seconds(10)).unwrap();
    }
    let tries = store.facts().tries("one", 3).unwrap();
    let tries: Vec<_> = tries.iter().map(|(number, tried)| (*number, tried.why.as_str())).collect();
    assert_eq!(tries, [(1, "no words"), (2, "no words yet"), (3, "busy"), (4, "no words again"), (5, "")]);
}

#[test]
fn no_place_is_given_twice_whatever_was_in_memory_only() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || open(folder.path(), "a").facts().begin_places().unwrap();
    assert_eq!((begin(), begin()), (0, 100_000), "all that may have been given before");
    let mut store = open(folder.path(), "a");
    store.facts().claim_places(149_999).unwrap();
    assert_eq!(begin(), 200_000, "there are enough for hours");
    store.facts().claim_places(250_000).unwrap();
    assert_eq!(begin(), 350_000);
    store.commit(&[], &[told(500_000, &[])]).unwrap();
    assert_eq!(begin(), 500_000);
}

#[test]
fn what_is_too_old_goes_and_then_what_is_done_what_failed_and_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "a");
    let all: Vec<Told> = (1..=60).map(|seq| told(seq, if seq % 4 == 0 { &[] } else { &["hook"] })).collect();
    store.commit(&[], &all).unwrap();
    let status = |seq: u64| match seq % 4 {
        1 => DeliveryStatus::Sent,
        2 => DeliveryStatus::Dead,
        _ => DeliveryStatus::Waiting,
    };
    let updates: Vec<_> = (1..=60).filter(|seq| seq % 4 != 0).map(|seq| update(seq, status(seq))).collect();
    store.facts().update("hook", &updates, None, Timestamp::from_seconds(100)).unwrap();
    let mut prune = |seconds, max_bytes| {
        let retention = Retention { sent: Span::HOUR, failed: Span::DAY, max_bytes };
        let given_up = store.facts().prune(retention, Timestamp::from_seconds(seconds)).unwrap();
        (given_up, store.facts().after(0, 99).unwrap().len(), waiting(&mut store, "hook").len())
    };
    assert_eq!(prune(101, 1 << 20), (0, 60, 15), "nothing is old");
    assert_eq!(prune(3_800, 1 << 20), (0, 30, 15), "what is done, and what nobody is to tell");
    let (given_up, left, waiting) = prune(3_800, 20_000);
    assert_eq!((given_up, waiting), (0, 15), "what failed goes before what waits");
    assert!(left < 22, "{left}");
    let (given_up, left, still_waiting) = prune(3_800, 10_000);
    assert!(given_up > 0 && left < 11, "{given_up} {left}");
    assert_eq!(still_waiting, 15 - usize::try_from(given_up).unwrap());
    let at = Timestamp::from_seconds(3_900);
    assert_eq!(store.facts().forget(at, false).unwrap(), left - still_waiting, "by hand");
    assert_eq!(store.facts().forget(at, true).unwrap(), still_waiting);
    assert!(store.facts().after(0, 99).unwrap().is_empty());
}

/// What is kept is bounded as it lies on the disk: a fact for many hooks, with what its receivers have answered, is more than a fact.
#[test]
fn deliveries_and_their_tries_count_for_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "a");
    let hooks = ["h1", "h2", "h3", "h4", "h5"];
    let all: Vec<Told> = (1..=100).map(|seq| told(seq, &hooks)).collect();
    store.commit(&[], &all).unwrap();
    let tried = Tried { answer: "x".repeat(2_000), ..tried(Some(422), "no") };
    let dead = |seq| Update { tried: Some(tried.clone()), ..update(seq, DeliveryStatus::Dead) };
    let updates: Vec<_> = (1..=50).map(dead).collect();
    for hook in hooks {
        store.facts().update(hook, &updates, None, Timestamp::EPOCH).unwrap();
    }
    let mut prune = |max_bytes| {
        let retention = Retention { sent: Span::DAY, failed: Span::DAY, max_bytes };
        store.facts().prune(retention, Timestamp::from_seconds(1)).unwrap();
        let left: Vec<u64> = store.facts().after(0, 999).unwrap().iter().map(|fact| fact.seq).collect();
        left
    };
    // 100 facts of 1 kB each, 500 deliveries of 200 octets, 250 tries of 2.2 kB, each of which has a page of its own.
    let from = |first: u64| (first..=100).collect::<Vec<_>>();
    assert_eq!(prune(1_300_000), from(1));
    assert_eq!(prune(500_000), from(34), "of those that failed, each has 22.5 kB");
    assert_eq!(prune(102_000), from(51), "those that failed go first");
    assert_eq!(prune(50_000), from(77), "of those that wait, each has 2 kB");
}

/// Short rows have much in indices, and of those that are half as long as a page only one is in each.
#[test]
fn the_file_is_no_larger_than_it_may_be_whatever_is_told() {
    const MOST: u64 = 1 << 20;
    for (octets, tries, answer) in
        [(250, 0, 0), (600, 2, 100), (2_000, 0, 0), (2_000, 2, 2_000), (6_000, 1, 500)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), "a house");
        let tried = Tried { message: "m".repeat(36), answer: "x".repeat(answer), ..tried(Some(503), "busy") };
        let minute = 5;
        for first in (0..240).map(|minutes| minutes * minute + 1) {
            let all: Vec<_> = (first..first + minute)
                .map(|seq| {
                    let mut fact = Arc::unwrap_or_clone(fact(seq, &"x".repeat(octets)));
                    fact.id = format!("{seq:036}");
                    Told { fact: Arc::new(fact), hooks: vec!["one".to_owned(), "other".to_owned()] }
                })
                .collect();
            store.commit(&[], &all).unwrap();
            for _ in 0..tries {
                let waits =
                    |seq| Update { tried: Some(tried.clone()), ..update(seq, DeliveryStatus::Waiting) };
                let updates: Vec<_> = (first..first + minute).map(waits).collect();
                for hook in ["one", "other"] {
                    store.facts().update(hook, &updates, None, Timestamp::from_seconds(9)).unwrap();
                }
            }
            let retention = Retention { sent: Span::DAY, failed: Span::DAY, max_bytes: MOST };
            store.facts().prune(retention, Timestamp::from_seconds(9)).unwrap();
        }
        let log = std::fs::metadata(folder.path().join("ven.db-wal")).unwrap().len();
        let last = store.facts().after(0, 9_999).unwrap().len() as u64;
        drop(store);
        let file = std::fs::metadata(folder.path().join("ven.db")).unwrap().len();
        let what =
            format!("{octets} octets, {tries} tries: {last} facts in {file} octets, the log has {log}");
        // What came since the last housekeeping is in it too.
        assert!(file > MOST * 3 / 5 && file < MOST * 13 / 10, "{what}");
        assert!(log < 3 << 20, "{what}");
    }
}

/// Housekeeping looks at each fact; were all deliveries searched for each, it would take minutes where many wait.
#[test]
fn what_may_be_forgotten_is_looked_up_and_not_searched_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "a");
    let log = store.facts();
    let oldest = format!("SELECT seq, {} FROM fact WHERE {}", bytes_of_one(), all_at("status <> 'waiting'"));
    for query in [FORGET_UNTOLD, &oldest] {
        let mut plan = log.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let steps = plan.query_map(params!["a", 0], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let of_deliveries: Vec<_> = steps.iter().filter(|step| step.contains(" delivery ")).collect();
        assert!(
            !of_deliveries.is_empty() && of_deliveries.iter().all(|step| step.contains("seq=?")),
            "{steps:#?}"
        );
    }
}

#[test]
fn how_a_hook_stands_survives() {
    let folder = tempfile::tempdir().unwrap();
    let next_at = Some(Timestamp::from_seconds(7));
    let standing = Standing { failures: 3, next_at, disabled: false, paused: true };
    open(folder.path(), "a").facts().update("one", &[], Some(standing), Timestamp::EPOCH).unwrap();
    assert_eq!(open(folder.path(), "a").facts().standing("one").unwrap(), standing);
    assert_eq!(open(folder.path(), "a").facts().standing("two").unwrap(), Standing::default());
}
