//! Hooks that are changed, come and go while others run.

use super::*;
use crate::dice::Dice;

/// A hook that says this before the text.
fn saying(word: &str, answer: Answer) -> Hook {
    let mut hook = hook("one", &["event.*", "meter.*"], answer);
    hook.parts.renderer = renderer(word, &hook.parts.topics);
    hook
}

fn renderer(word: &str, topics: &Topics) -> Renderer {
    let template = format!("{{\"said\":\"{word} {{{{ data.text }}}}\"}}");
    let words = Words { template: Some(template), ..Words::default() };
    let all = ["event.started", "meter.reading", "opt.decided"].map(|topic| (topic, "{\"text\":\"x\"}"));
    Renderer::new(&words, "one", false, &Samples::new(topics, all)).unwrap()
}

fn said(message: &Message) -> String {
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    body["said"].as_str().unwrap().to_owned()
}

async fn change(outbox: &Outbox, scene: &Scene, changes: HookChanges) {
    outbox.change(changes, &scene.ground).await;
}

fn away() -> Answer {
    Box::new(|_| outcome(Outcome::Endpoint { retry_after: Some(Span::HOUR) }))
}

/// Waits until the hook stands so.
async fn stands(outbox: &Outbox, hook: &str, wanted: impl Fn(&View) -> bool) {
    let reached = async {
        while !wanted(&outbox.look(hook).await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{:?}", outbox.look(hook).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_in_the_new_words_facts_of_meters_too() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut old = saying("old", away());
    let mut other = hook("other", &["event.*"], sent());
    let outbox = Outbox::start(vec![old.parts, other.parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    assert_eq!(said(&next(&mut old.got).await), "old a");
    scene.ground.bus.publish(draft("meter.reading", "b"));
    happened(&scene, "event.completed", "c").await;
    stands(&outbox, "one", |view| view.control.items == 2 && view.meter.items == 1).await;
    next(&mut other.got).await;

    let mut new = saying("new", sent());
    change(&outbox, &scene, HookChanges { change: vec![new.parts], ..HookChanges::default() }).await;
    let told = [next(&mut new.got).await, next(&mut new.got).await, next(&mut new.got).await];
    assert_eq!(told.each_ref().map(said), ["new a", "new b", "new c"]);
    until(&scene, "one", &[(DeliveryStatus::Sent, 2), (DeliveryStatus::Sent, 1)]).await;
    assert!(old.got.recv().await.is_none(), "the old sink is let go, and was told nothing more");
    // The other one's is the one it had.
    happened(&scene, "event.started", "d").await;
    assert_eq!(text(&next(&mut other.got).await.facts[0]), "c");
    assert_eq!(text(&next(&mut other.got).await.facts[0]), "d");
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_topics_and_another_filter_hold_from_then_on_and_nothing_falls_between() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let old = saying("old", away());
    let outbox = Outbox::start(vec![old.parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    happened(&scene, "opt.decided", "not wanted").await;
    stands(&outbox, "one", |view| view.control.items == 1).await;
    let mut new = saying("new", sent());
    new.parts.topics = Topics::parse(["opt.*"]).unwrap();
    new.parts.renderer = renderer("new", &Topics::parse(["opt.*", "event.*"]).unwrap());
    let samples = Samples::new(&new.parts.topics, [("opt.decided", "{\"text\":\"x\"}")]);
    new.parts.filter = Some(Filter::new("data.text != \"left out\"", &samples).unwrap());
    change(&outbox, &scene, HookChanges { change: vec![new.parts], ..HookChanges::default() }).await;
    for text in ["left out", "b"] {
        happened(&scene, "event.started", "not wanted").await;
        happened(&scene, "opt.decided", text).await;
    }
    assert_eq!([next(&mut new.got).await, next(&mut new.got).await].each_ref().map(said), ["new a", "new b"]);
    let all = [(DeliveryStatus::Sent, 2), (DeliveryStatus::Filtered, 0), (DeliveryStatus::Sent, 1)];
    until(&scene, "one", &all).await;
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_hook_that_is_removed_is_expired_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let mut stays = hook("stays", &["event.*"], sent());
    let goes = hook("goes", &["event.*"], away());
    let outbox = Outbox::start(vec![stays.parts, goes.parts], &scene.ground).await;
    outbox.order("goes", Order::Pause).unwrap();
    // Orders are obeyed one after the other: by now it has paused.
    outbox.look("goes").await.unwrap();
    happened(&scene, "event.started", "a").await;
    until(&scene, "goes", &[(DeliveryStatus::Waiting, 0)]).await;
    change(&outbox, &scene, HookChanges { forsake: vec!["goes".into()], ..HookChanges::default() }).await;
    until(&scene, "goes", &[(DeliveryStatus::Expired, 0)]).await;
    assert_eq!(outbox.order("goes", Order::SendNow), Err(OrderFault::Unknown("goes".into())));
    happened(&scene, "event.completed", "b").await;
    assert_eq!(text(&next(&mut stays.got).await.facts[0]), "a");
    assert_eq!(text(&next(&mut stays.got).await.facts[0]), "b");
    assert_eq!(statuses(&scene, "goes").await.len(), 1, "nothing waits for it any more");

    let mut again = hook("goes", &["event.*"], sent());
    change(&outbox, &scene, HookChanges { start: vec![again.parts], ..HookChanges::default() }).await;
    happened(&scene, "event.started", "c").await;
    assert_eq!(text(&next(&mut again.got).await.facts[0]), "c", "its pause went with it");
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_hook_that_is_switched_off_is_told_when_it_is_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let outbox = Outbox::start(vec![saying("old", away()).parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    until(&scene, "one", &[(DeliveryStatus::Waiting, 1)]).await;
    change(&outbox, &scene, HookChanges { rest: vec!["one".into()], ..HookChanges::default() }).await;
    happened(&scene, "event.started", "not told").await;
    let mut new = saying("new", sent());
    change(&outbox, &scene, HookChanges { start: vec![new.parts], ..HookChanges::default() }).await;
    outbox.order("one", Order::SendNow).unwrap();
    assert_eq!(said(&next(&mut new.got).await), "new a");
    until(&scene, "one", &[(DeliveryStatus::Sent, 2)]).await;
    finish(&outbox).await;
}

/// Delivers nothing before it may.
struct Busy {
    begun: mpsc::UnboundedSender<()>,
    may: mpsc::UnboundedReceiver<()>,
}

impl Sink for Busy {
    fn deliver<'s>(&'s mut self, _message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            self.begun.send(()).unwrap();
            self.may.recv().await;
            Try::sent(Some(200))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_delivering_ends_that_first_and_two_of_one_name_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (allow, may) = mpsc::unbounded_channel();
    let mut old = hook("one", &["event.*"], sent()).parts;
    old.sink = Box::new(Busy { begun, may });
    let outbox = Outbox::start(vec![old], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    begins.recv().await.unwrap();
    // It is not waited for longer than some seconds.
    change(&outbox, &scene, HookChanges { rest: vec!["one".into()], ..HookChanges::default() }).await;
    let mut new = hook("one", &["event.*"], sent());
    change(&outbox, &scene, HookChanges { start: vec![new.parts], ..HookChanges::default() }).await;
    happened(&scene, "event.completed", "b").await;
    assert_eq!(statuses(&scene, "one").await, [(DeliveryStatus::Waiting, 0), (DeliveryStatus::Waiting, 0)]);
    assert!(new.got.try_recv().is_err(), "the old one is still delivering");
    allow.send(()).unwrap();
    assert_eq!(
        text(&next(&mut new.got).await.facts[0]),
        "b",
        "what the old one has delivered is not told again"
    );
    until(&scene, "one", &[(DeliveryStatus::Sent, 1), (DeliveryStatus::Sent, 1)]).await;
    finish(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_meters_that_wait_get_to_the_disk_when_that_is_wanted_and_off_it_when_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = scene(folder.path());
    let meter_facts = folder.path().join("meter-facts.db");
    let (store, _) = StoreHandle::open(&meter_facts, "a", Bus::new(scene.ground.clock)).unwrap();
    let on_disk = async || {
        let wanted = Wanted { status: Some(DeliveryStatus::Waiting), most: 9, ..Wanted::default() };
        store.facts(move |log| log.deliveries(&wanted)).await.unwrap().len()
    };
    let outbox = Outbox::start(vec![saying("old", away()).parts], &scene.ground).await;
    scene.ground.bus.publish(draft("meter.reading", "a"));
    stands(&outbox, "one", |view| view.meter.items == 1).await;
    scene.ground.meter_facts = Some(store.clone());
    let mut durable = saying("new", away());
    durable.parts.durable = true;
    change(&outbox, &scene, HookChanges { change: vec![durable.parts], ..HookChanges::default() }).await;
    next(&mut durable.got).await;
    let (done, ended) = oneshot::channel();
    outbox.order("one", Order::Finish(done)).unwrap();
    ended.await.unwrap();
    assert_eq!(on_disk().await, 1);

    let mut again = saying("again", away());
    again.parts.durable = true;
    let outbox = Outbox::start(vec![again.parts], &scene.ground).await;
    outbox.order("one", Order::SendNow).unwrap();
    assert_eq!(said(&next(&mut again.got).await), "again a");
    let mut memory = saying("memory", sent());
    change(
        &outbox,
        &scene,
        HookChanges { change: vec![saying("x", away()).parts], ..HookChanges::default() },
    )
    .await;
    assert_eq!(on_disk().await, 0);
    change(&outbox, &scene, HookChanges { change: vec![memory.parts], ..HookChanges::default() }).await;
    assert_eq!(said(&next(&mut memory.got).await), "memory a", "it waits in memory all the same");
    finish(&outbox).await;
}

#[tokio::test]
async fn at_a_start_what_waits_for_hooks_that_are_configured_no_more_is_expired() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let hooks = vec![hook("gone", &["event.*"], away()).parts, hook("off", &["event.*"], away()).parts];
    let outbox = Outbox::start(hooks, &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    finish(&outbox).await;
    forsake_others(&["off".into()], &scene.ground).await;
    let status = |statuses: Vec<(DeliveryStatus, u32)>| statuses[0].0;
    assert_eq!(status(statuses(&scene, "gone").await), DeliveryStatus::Expired);
    assert_eq!(status(statuses(&scene, "off").await), DeliveryStatus::Waiting);
}

/// Fails now and then, and otherwise tells what it was told.
struct Flaky {
    dice: Arc<Mutex<Dice>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Sink for Flaky {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            if self.dice.lock().unwrap().one_in(3) {
                return outcome(Outcome::Endpoint { retry_after: None });
            }
            self.told.lock().unwrap().push(text(&message.facts[0]).to_owned());
            Try::sent(Some(200))
        })
    }
}

/// Whatever is done to the hook meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn every_fact_that_happens_while_a_hook_is_on_is_told_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene(folder.path());
    let (dice, told) = (Arc::new(Mutex::new(Dice::seeded())), Arc::new(Mutex::new(Vec::new())));
    let parts = || {
        let mut parts = hook("one", &["event.*"], sent()).parts;
        parts.sink = Box::new(Flaky { dice: dice.clone(), told: told.clone() });
        parts
    };
    let outbox = Outbox::start(vec![parts()], &scene.ground).await;
    let (mut is_on, mut expected) = (true, Vec::new());
    for step in 0..50 {
        let changes = match (dice.lock().unwrap().below(6), is_on) {
            (0, true) => HookChanges { rest: vec!["one".into()], ..HookChanges::default() },
            (0 | 1, false) => HookChanges { start: vec![parts()], ..HookChanges::default() },
            (1, true) => HookChanges { change: vec![parts()], ..HookChanges::default() },
            _ => HookChanges::default(),
        };
        is_on = (is_on || !changes.start.is_empty()) && changes.rest.is_empty();
        outbox.change(changes, &scene.ground).await;
        happened(&scene, "event.started", &step.to_string()).await;
        expected.extend(is_on.then(|| step.to_string()));
    }
    if !is_on {
        outbox.change(HookChanges { start: vec![parts()], ..HookChanges::default() }, &scene.ground).await;
    }
    let all_told = async {
        while told.lock().unwrap().len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // What is missing is seen below.
    tokio::time::timeout(PATIENCE, all_told).await.ok();
    finish(&outbox).await;
    assert_eq!(*told.lock().unwrap(), expected);
    let statuses = statuses(&scene, "one").await;
    assert!(statuses.iter().all(|(status, _)| *status == DeliveryStatus::Sent), "{statuses:?}");
}
