//! Hooks over a real store and a sink that does what the test says.

mod change;
mod hashes;
mod patience;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};

use super::*;
use crate::daemon::sink::{Delivering, Message, Sink};
use crate::daemon::status::{Status, keep};
use crate::daemon::store::{DeliveryStatus, Wanted};
use crate::engine::Snapshot;
use crate::fact::topic::CATALOGUE;
use crate::fact::{Draft, Fact, Topics};
use crate::hook::filter::Filter;
use crate::hook::hashes::Hashes;
use crate::hook::outcome::{Outcome, Try};
use crate::hook::queue::Rules;
use crate::hook::render::{Renderer, Samples};
use crate::hook::settings::{Batching, QueueLimits, RetrySettings, Words};
use crate::time::{Span, Timestamp};

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Answer = Box<dyn FnMut(&Message) -> Try + Send>;

/// Answers as the test says, and tells the test what it got.
struct Fake {
    answer: Arc<Mutex<Answer>>,
    got: mpsc::UnboundedSender<Message>,
}

impl Sink for Fake {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            let tried = (self.answer.lock().unwrap())(message);
            self.got.send(message.clone()).ok();
            tried
        })
    }
}

fn sent() -> Answer {
    Box::new(|_| Try::sent(Some(200)))
}

fn outcome(outcome: Outcome) -> Try {
    Try { outcome, code: Some(500), why: "it fails".into(), answer: "no".into() }
}

struct Scene {
    ground: Ground,
    snapshot: Snapshot,
    _names: watch::Sender<VenNames>,
}

/// As after a start on this folder.
fn scene(folder: &Path) -> Scene {
    let clock = Clock::start();
    let bus = Bus::new(clock);
    let (store, snapshot) = StoreHandle::open(&folder.join("ven.db"), "a", bus.clone()).unwrap();
    let (names, receiver) = watch::channel(VenNames { name: "a".into(), ..VenNames::default() });
    let board = keep(Status::default(), bus.clone(), clock, std::future::pending());
    Scene { ground: Ground::new(&bus, &store, clock, receiver, &board), snapshot, _names: names }
}

/// Tries again soon, so that nobody waits.
fn rules() -> Rules {
    let soon = Span::from_millis(20);
    Rules {
        strict_order: true,
        control: QueueLimits::CONTROL,
        meter: QueueLimits::METER,
        batch: Batching { max_items: 1, max_wait: Span::ZERO },
        min_interval: Span::ZERO,
        retry: RetrySettings {
            schedule: vec![Span::ZERO, soon],
            meter_schedule: vec![Span::ZERO, soon],
            jitter_percent: 0,
            poison_attempts: 2,
        },
    }
}

struct Hook {
    parts: Parts,
    got: mpsc::UnboundedReceiver<Message>,
    answer: Arc<Mutex<Answer>>,
}

fn hook(name: &str, patterns: &[&str], answer: Answer) -> Hook {
    let (sender, got) = mpsc::unbounded_channel();
    let answer = Arc::new(Mutex::new(answer));
    let topics = Topics::parse(patterns.iter().copied()).unwrap();
    let samples = Samples::new(&topics, []);
    let parts = Parts {
        name: name.into(),
        renderer: Renderer::new(&Words::default(), name, false, &samples).unwrap(),
        topics,
        filter: None,
        rules: rules(),
        durable: false,
        timeout: Span::from_seconds(30),
        on_change: false,
        hashes: Hashes::default(),
        sink: Box::new(Fake { answer: answer.clone(), got: sender }),
    };
    Hook { parts, got, answer }
}

fn draft(topic: &str, text: &str) -> Draft {
    let data = Map::from_iter([("text".to_owned(), Value::from(text))]);
    Draft {
        topic: topic.into(),
        subject: Some("s".into()),
        time: Timestamp::from_seconds(1_900_000_000),
        data,
    }
}

async fn happened(scene: &Scene, topic: &str, text: &str) {
    scene.ground.store.commit(Vec::new(), vec![draft(topic, text)]).await.unwrap();
}

async fn next(got: &mut mpsc::UnboundedReceiver<Message>) -> Message {
    tokio::time::timeout(PATIENCE, got.recv()).await.unwrap().unwrap()
}

fn text(fact: &Fact) -> &str {
    fact.data["text"].as_str().unwrap()
}

async fn statuses(scene: &Scene, hook: &str) -> Vec<(DeliveryStatus, u32)> {
    let wanted = Wanted { hook: Some(hook.into()), most: 99, ..Wanted::default() };
    let deliveries = scene.ground.store.facts(move |log| log.deliveries(&wanted)).await.unwrap();
    deliveries.into_iter().map(|delivery| (delivery.status, delivery.item.attempts)).collect()
}

/// Waits until the store says so of a hook.
async fn until(scene: &Scene, hook: &str, wanted: &[(DeliveryStatus, u32)]) {
    let reached = async {
        while statuses(scene, hook).await != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{:?} instead of {wanted:?}", statuses(scene, hook).await);
}

async fn finish(outbox: &Outbox) {
    outbox.finish(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_fails_twice_arrives_with_the_same_id_and_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut failures = 2;
    let answer = Box::new(move |_: &Message| {
        failures -= i32::from(failures > 0);
        if failures > 0 { outcome(Outcome::Endpoint { retry_after: None }) } else { Try::sent(Some(200)) }
    });
    let Hook { parts, mut got, .. } = hook("one", &["event.*"], answer);
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    happened(&scene, "opt.decided", "not wanted").await;
    happened(&scene, "event.completed", "b").await;
    let (first, again, second) = (next(&mut got).await, next(&mut got).await, next(&mut got).await);
    assert_eq!((text(&first.facts[0]), text(&again.facts[0]), text(&second.facts[0])), ("a", "a", "b"));
    assert_eq!((&first.id, &first.body), (&again.id, &again.body));
    assert_eq!(first.id, first.facts[0].id);
    until(&scene, "one", &[(DeliveryStatus::Sent, 2), (DeliveryStatus::Sent, 1)]).await;
    let tries = scene.ground.store.facts(|log| log.tries("one", 1)).await.unwrap();
    let tries: Vec<_> =
        tries.iter().map(|(number, tried)| (*number, tried.why.as_str(), tried.code)).collect();
    assert_eq!(tries, [(1, "it fails", Some(500)), (2, "", Some(200))]);
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_restart_is_told_after_it_and_what_was_told_is_not() {
    let folder = tempfile::tempdir().unwrap();
    {
        let scene = scene(folder.path());
        let Hook { parts, mut got, answer } = hook("one", &["event.*"], sent());
        let outbox = Outbox::start(vec![parts], &scene.ground).await;
        happened(&scene, "event.started", "a").await;
        next(&mut got).await;
        until(&scene, "one", &[(DeliveryStatus::Sent, 1)]).await;
        *answer.lock().unwrap() = Box::new(|_| outcome(Outcome::Endpoint { retry_after: Some(Span::HOUR) }));
        happened(&scene, "event.interval", "b").await;
        next(&mut got).await;
        happened(&scene, "event.completed", "c").await;
        until(
            &scene,
            "one",
            &[(DeliveryStatus::Sent, 1), (DeliveryStatus::Waiting, 1), (DeliveryStatus::Waiting, 0)],
        )
        .await;
        finish(&outbox).await;
    }
    let scene = scene(folder.path());
    assert!(scene.snapshot.events.is_empty());
    let Hook { parts, mut got, .. } = hook("one", &["event.*"], sent());
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    outbox.order("one", Order::SendNow).unwrap();
    assert_eq!(text(&next(&mut got).await.facts[0]), "b");
    assert_eq!(text(&next(&mut got).await.facts[0]), "c");
    let all = [(DeliveryStatus::Sent, 1), (DeliveryStatus::Sent, 2), (DeliveryStatus::Sent, 1)];
    until(&scene, "one", &all).await;
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hook_that_fails_never_delays_another_and_is_told_of_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let stuck = hook(
        "stuck",
        &["event.*", "hook.*"],
        Box::new(|_| outcome(Outcome::Endpoint { retry_after: Some(Span::HOUR) })),
    );
    let mut good = hook("good", &["event.*", "hook.*"], sent());
    let outbox = Outbox::start(vec![stuck.parts, good.parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    let mut topics = vec![next(&mut good.got).await.facts[0].topic.clone()];
    // Whatever is owed is stored by the keeper of facts; here by hand.
    let owed = tokio::time::timeout(PATIENCE, scene.ground.bus.owed()).await.unwrap();
    scene.ground.store.commit(Vec::new(), owed).await.unwrap();
    topics.push(next(&mut good.got).await.facts[0].topic.clone());
    assert_eq!(topics, ["event.started", "hook.failing"]);
    assert_eq!(statuses(&scene, "stuck").await.len(), 1, "of itself it is not told");
    let view = outbox.look("stuck").await.unwrap();
    assert_eq!((view.standing.failures, view.control.items), (1, 1));
    assert_eq!(outbox.look("none").await.unwrap_err(), OrderFault::Unknown("none".into()));
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_is_refused_is_dead_the_next_goes_on_and_it_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let answer = Box::new(|message: &Message| {
        if text(&message.facts[0]) == "poison" { outcome(Outcome::Payload) } else { Try::sent(Some(200)) }
    });
    let Hook { parts, mut got, answer } = hook("one", &["event.*"], answer);
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    happened(&scene, "event.started", "poison").await;
    happened(&scene, "event.completed", "b").await;
    until(&scene, "one", &[(DeliveryStatus::Dead, 2), (DeliveryStatus::Sent, 1)]).await;
    *answer.lock().unwrap() = sent();
    outbox.order("one", Order::Resend(vec![1, 77])).unwrap();
    until(&scene, "one", &[(DeliveryStatus::Sent, 3), (DeliveryStatus::Sent, 1)]).await;
    let got: Vec<String> = std::iter::from_fn(|| got.try_recv().ok())
        .map(|message| text(&message.facts[0]).to_owned())
        .collect();
    assert_eq!(got, ["poison", "poison", "b", "poison"]);
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_meters_are_told_without_the_store_and_like_ones_once_where_only_changes_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut hook = hook("one", &["meter.*"], sent());
    hook.parts.on_change = true;
    // Only the data, so that like facts look alike.
    let words = Words { template: Some("{\"text\":\"{{ data.text }}\"}".into()), ..Words::default() };
    let samples = Samples::new(&hook.parts.topics, [("meter.reading", "{\"text\":\"x\"}")]);
    hook.parts.renderer = Renderer::new(&words, "one", false, &samples).unwrap();
    let outbox = Outbox::start(vec![hook.parts], &scene.ground).await;
    for text in ["a", "a", "b", "a"] {
        let sent = outbox.look("one").await.unwrap().sent;
        scene.ground.bus.publish(draft("meter.reading", text));
        while outbox.look("one").await.unwrap().sent == sent {
            tokio::task::yield_now().await;
        }
    }
    let got: Vec<String> = std::iter::from_fn(|| hook.got.try_recv().ok())
        .map(|message| String::from_utf8(message.body).unwrap())
        .collect();
    assert_eq!(got, ["{\"text\":\"a\"}", "{\"text\":\"b\"}", "{\"text\":\"a\"}"]);
    assert!(statuses(&scene, "one").await.is_empty());
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart_and_what_comes_meanwhile_waits() {
    let folder = tempfile::tempdir().unwrap();
    {
        let scene = scene(folder.path());
        let outbox = Outbox::start(vec![hook("one", &["event.*"], sent()).parts], &scene.ground).await;
        outbox.order("one", Order::Pause).unwrap();
        assert!(outbox.look("one").await.unwrap().standing.paused);
        finish(&outbox).await;
    }
    let scene = scene(folder.path());
    let Hook { parts, mut got, .. } = hook("one", &["event.*"], sent());
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    assert!(outbox.look("one").await.unwrap().standing.paused);
    assert!(got.try_recv().is_err());
    outbox.order("one", Order::Resume).unwrap();
    assert_eq!(text(&next(&mut got).await.facts[0]), "a");
    let (done, ended) = oneshot::channel();
    outbox.order("one", Order::Finish(done)).unwrap();
    ended.await.unwrap();
}

/// Takes a message and never says what came of it.
struct BlackHole(mpsc::UnboundedSender<()>);

impl Sink for BlackHole {
    fn deliver<'s>(&'s mut self, _: &'s Message) -> Delivering<'s> {
        self.0.send(()).ok();
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_hook_stands_can_be_seen_while_its_endpoint_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let (took, mut taken) = mpsc::unbounded_channel();
    let mut stuck = hook("stuck", &["event.*"], sent());
    stuck.parts.sink = Box::new(BlackHole(took));
    stuck.parts.timeout = Span::HOUR;
    let other = hook("other", &["meter.*"], sent());
    let outbox = Outbox::start(vec![stuck.parts, other.parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    tokio::time::timeout(PATIENCE, taken.recv()).await.unwrap().unwrap();
    let seen = tokio::time::timeout(PATIENCE, outbox.seen()).await.unwrap();
    let waiting = |name: &str| (seen[name].control.items, seen[name].oldest);
    assert_eq!(waiting("stuck"), (1, Some(Timestamp::from_seconds(1_900_000_000))));
    assert_eq!(waiting("other"), (0, None));
    let shown = scene.ground.board.look().status.hooks;
    assert_eq!((shown["stuck"].waiting, shown["other"].waiting), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_one_tick_waits_for_a_hook_that_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let away = Box::new(|_: &Message| outcome(Outcome::Endpoint { retry_after: Some(Span::HOUR) }));
    let Hook { parts, mut got, answer } = hook("one", &["system.tick", "meter.reading"], away);
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    for at in 0..5 {
        scene.ground.bus.publish(draft("system.tick", &at.to_string()));
        scene.ground.bus.publish(draft("meter.reading", "r"));
        // The first look has it read the log.
        outbox.look("one").await.unwrap();
        assert_eq!(outbox.look("one").await.unwrap().meter.items, 2 + at, "one tick and every reading");
    }
    *answer.lock().unwrap() = sent();
    outbox.order("one", Order::SendNow).unwrap();
    while text(&next(&mut got).await.facts[0]) != "r" {}
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_strict_what_cannot_be_said_or_judged_is_complained_of_and_nothing_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let bus = &scene.ground.bus;
    bus.complain(|| panic!("nobody asks"));
    bus.be_strict();
    let Hook { mut parts, .. } =
        hook("one", &["event.started"], Box::new(|_: &Message| outcome(Outcome::Unsaid)));
    let samples = Samples::new(&parts.topics, CATALOGUE.iter().map(|topic| (topic.name, topic.sample)));
    parts.filter = Some(Filter::new("data.priority > 0", &samples).unwrap());
    let other = hook("two", &["opt.decided"], Box::new(|_: &Message| outcome(Outcome::Unsaid)));
    let outbox = Outbox::start(vec![parts, other.parts], &scene.ground).await;
    let complaint = async || tokio::time::timeout(PATIENCE, bus.complaint()).await.unwrap();
    happened(&scene, "event.started", "without a priority").await;
    let first = complaint().await;
    assert!(first.starts_with("hook one: event.started: "), "{first}");
    happened(&scene, "opt.decided", "b").await;
    until(&scene, "two", &[(DeliveryStatus::Error, 0)]).await;
    assert_eq!(complaint().await, first, "the first is told");
    finish(&outbox).await;
}
