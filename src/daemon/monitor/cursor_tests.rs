//! Readers over a real store.

use std::path::Path;

use serde_json::{Map, Value};

use super::cursor::{Found, Gap, GapReason, Reader};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::store::{StoreHandle, Window};
use crate::fact::{Draft, Topics};
use crate::time::{Span, Timestamp};

struct Scene {
    clock: Clock,
    bus: Bus,
    store: StoreHandle,
}

/// As after a start on this folder.
fn scene(folder: &Path) -> Scene {
    let clock = Clock::start();
    let bus = Bus::new(clock);
    let (store, _) = StoreHandle::open(&folder.join("ven.db"), "a", bus.clone()).unwrap();
    Scene { clock, bus, store }
}

impl Scene {
    fn draft(&self, topic: &str, text: &str, age: Span) -> Draft {
        let data = Map::from_iter([("text".to_owned(), Value::from(text))]);
        Draft { topic: topic.into(), subject: None, time: self.clock.now().wall - age, data }
    }

    async fn control(&self, text: &str, age: Span) {
        self.store.commit(Vec::new(), vec![self.draft("event.started", text, age)]).await.unwrap();
    }

    fn meter(&self, text: &str) {
        self.bus.publish(self.draft("meter.reading", text, Span::ZERO));
    }

    fn reader(&self, patterns: &[&str], place: Option<u64>) -> Reader {
        let topics = Topics::parse(patterns.iter().copied()).unwrap();
        Reader::new(self.bus.clone(), self.store.clone(), self.clock, topics, place)
    }
}

/// The texts of facts, and the gaps between them.
async fn all(reader: &mut Reader) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let found = reader.ready(2).await.unwrap();
        if found.is_empty() {
            return told;
        }
        assert!(found.len() <= 2);
        told.extend(found.into_iter().map(|found| match found {
            Found::Fact(fact) => fact.data["text"].as_str().unwrap().chars().take(9).collect(),
            Found::Gap(Gap { from, to, count, why }) => format!("{} {from}-{to} {count:?}", why.as_str()),
        }));
    }
}

#[tokio::test]
async fn a_reader_gets_what_it_wants_in_order_and_where_it_stopped_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut live = scene.reader(&["event.*", "meter.reading"], None);
    let mut control = scene.reader(&["event.*"], Some(0));
    scene.meter("a");
    scene.control("b", Span::ZERO).await;
    scene.meter("c");
    scene.bus.publish(scene.draft("vtn.polled", "x", Span::ZERO));
    assert_eq!(all(&mut live).await, ["a", "b", "c"]);
    assert_eq!(all(&mut control).await, ["b"]);
    assert_eq!((live.place(), control.place()), (4, 4));
    scene.control("d", Span::ZERO).await;
    let mut again = scene.reader(&["event.*"], Some(control.place()));
    assert_eq!(all(&mut again).await, ["d"]);
    assert_eq!(all(&mut scene.reader(&["**"], Some(1))).await, ["b", "c", "x", "d"]);
}

#[tokio::test]
async fn a_reader_waits_for_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut reader = scene.reader(&["event.*"], None);
    let waiting = tokio::spawn(async move { reader.next(9).await.unwrap().len() });
    scene.meter("a");
    scene.control("b", Span::ZERO).await;
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn after_a_restart_control_facts_come_from_the_store_and_those_of_meters_are_told_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let before = scene(folder.path());
    before.control("a", Span::ZERO).await;
    before.meter("lost");
    for text in ["b", "c", "d"] {
        before.control(text, Span::ZERO).await;
    }
    drop(before);
    let scene = scene(folder.path());
    scene.control("e", Span::ZERO).await;
    let gone = scene.bus.after(0, 1).gone;
    assert_eq!(
        all(&mut scene.reader(&["event.*"], Some(1))).await,
        ["b", "c", "d", "e"],
        "nothing is missing"
    );
    let mut of_both = scene.reader(&["event.*", "meter.*"], Some(1));
    let gap = format!("not_kept 2-{gone} None");
    assert_eq!(all(&mut of_both).await, [gap.as_str(), "b", "c", "d", "e"], "the gap once, and first");
}

#[tokio::test]
async fn what_is_out_of_memory_is_told_to_be_missing_and_never_silently_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    scene.control("first", Span::ZERO).await;
    let long = "x".repeat(1 << 20);
    (0..20).for_each(|_| scene.meter(&long));
    scene.control("last", Span::ZERO).await;
    let gone = scene.bus.after(0, 1).gone;
    assert!(gone > 5, "{gone}");
    let told = all(&mut scene.reader(&["**"], Some(0))).await;
    let kept = usize::try_from(22 - gone).unwrap();
    assert_eq!(told[..2], [format!("not_kept 1-{gone} None"), "first".into()]);
    assert_eq!((told.len(), told.last().unwrap().as_str()), (2 + kept, "last"));
}

#[tokio::test]
async fn control_facts_beyond_a_day_are_a_gap_that_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let before = scene(folder.path());
    for (text, age) in [("a", 30), ("b", 26), ("c", 23), ("d", 1)] {
        before.control(text, Span::HOUR * age).await;
    }
    drop(before);
    let scene = scene(folder.path());
    assert_eq!(all(&mut scene.reader(&["event.*"], Some(0))).await, ["expired 1-2 Some(2)", "c", "d"]);
    assert_eq!(all(&mut scene.reader(&["event.*"], Some(1))).await, ["expired 2-2 Some(1)", "c", "d"]);
    assert_eq!(all(&mut scene.reader(&["event.*"], Some(2))).await, ["c", "d"]);
    let others = all(&mut scene.reader(&["opt.*"], Some(0))).await;
    assert!(others.is_empty(), "nothing of its topics is missing: {others:?}");
}

#[tokio::test]
async fn of_what_is_forgotten_nobody_knows_how_much_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let before = scene(folder.path());
    for text in ["a", "b", "c"] {
        before.control(text, Span::ZERO).await;
    }
    drop(before);
    let file = rusqlite::Connection::open(folder.path().join("ven.db")).unwrap();
    file.execute("DELETE FROM fact WHERE seq <= 2", []).unwrap();
    drop(file);
    let scene = scene(folder.path());
    assert_eq!(all(&mut scene.reader(&["event.*"], Some(0))).await, ["expired 1-2 None", "c"]);
    assert_eq!(all(&mut scene.reader(&["event.*"], Some(2))).await, ["c"]);
}

#[tokio::test]
async fn the_window_is_bounded_by_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    for text in ["a", "b", "c"] {
        scene.control(&text.repeat(1000), Span::ZERO).await;
    }
    let window = Window { since: Timestamp::EPOCH, bytes: 2 * 1400 };
    let topics = Topics::all();
    let kept = scene.store.facts(move |log| log.kept(0, window, &topics)).await.unwrap();
    assert_eq!((kept.from, kept.missed), (1, Some(1)));
}

#[tokio::test]
async fn a_cursor_of_another_log_is_told_so_and_gets_all_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    scene.control("a", Span::ZERO).await;
    let mut reader = scene.reader(&["event.*"], Some(5_000_000));
    let unknown = Gap { from: 0, to: 1, count: None, why: GapReason::Unknown };
    assert_eq!(reader.ready(9).await.unwrap(), [Found::Gap(unknown)]);
    assert_eq!(all(&mut reader).await, ["a"]);
}
