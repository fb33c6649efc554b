//! What becomes of facts when an endpoint is away for days, words or a filter fail, the store takes nothing, or the VEN has to end: in
//! virtual time.

use super::*;
use crate::daemon::clock::EARLIEST;
use crate::daemon::fact_keeper::RETENTION;
use crate::daemon::store::{Sqlite, Store as _};

/// As after a start on this folder, in the paused time of the runtime.
pub(super) fn virtual_scene(folder: &Path) -> Scene {
    virtual_scene_at(folder, Timestamp::from_seconds(1_900_000_000))
}

fn virtual_scene_at(folder: &Path, start: Timestamp) -> Scene {
    let clock = Clock::start_virtually(start);
    let bus = Bus::new(clock);
    let mut file = Sqlite::open(&folder.join("ven.db"), "a").unwrap();
    let snapshot = file.load().unwrap();
    bus.go_on_after(file.facts().begin_places().unwrap());
    let store = StoreHandle::start_task(Box::new(file), bus.clone());
    tokio::spawn(keep_owed(bus.clone(), store.clone()));
    let (names, receiver) = watch::channel(VenNames { name: "a".into(), ..VenNames::default() });
    let board = keep(Status::default(), bus.clone(), clock, std::future::pending());
    Scene { ground: Ground::new(&bus, &store, clock, receiver, &board), snapshot, _names: names }
}

/// What hooks tell of themselves is stored, and with that told.
async fn keep_owed(bus: Bus, store: StoreHandle) {
    loop {
        let owed = bus.owed().await;
        store.commit(Vec::new(), owed).await.unwrap();
    }
}

pub(super) async fn pass(span: Span) {
    tokio::time::sleep(span.to_std()).await;
}

pub(super) fn in_earnest(mut hook: Hook) -> Hook {
    hook.parts.rules.retry = RetrySettings { jitter_percent: 0, ..RetrySettings::default() };
    hook
}

fn away() -> Answer {
    Box::new(|_| outcome(Outcome::Endpoint { retry_after: None }))
}

fn all_got(hook: &mut Hook) -> Vec<Message> {
    std::iter::from_fn(|| hook.got.try_recv().ok()).collect()
}

async fn prune(scene: &Scene) -> u64 {
    let now = scene.ground.clock.now().wall;
    scene.ground.store.facts(move |mut log| log.prune(RETENTION, now)).await.unwrap()
}

/// Where the facts of its deliveries stand.
async fn places(scene: &Scene, hook: &str) -> Vec<u64> {
    let wanted = Wanted { hook: Some(hook.into()), most: 99, ..Wanted::default() };
    let deliveries = scene.ground.store.facts(move |log| log.deliveries(&wanted)).await.unwrap();
    deliveries.iter().map(|delivery| delivery.fact.seq).collect()
}

fn times(messages: &[Message], topic: &str) -> usize {
    messages.iter().filter(|message| message.facts[0].topic == topic).count()
}

#[tokio::test(start_paused = true)]
async fn facts_are_tried_for_three_days_kept_for_thirty_and_can_be_sent_again_then() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let mut dead = in_earnest(hook("dead", &["event.*"], away()));
    let mut good = in_earnest(hook("good", &["event.*", "hook.*"], sent()));
    let (to_dead, to_good) =
        (std::mem::replace(&mut dead.parts, spare()), std::mem::replace(&mut good.parts, spare()));
    let outbox = Outbox::start(vec![to_dead, to_good], &scene.ground).await;
    for number in 0..20 {
        happened(&scene, "event.started", &number.to_string()).await;
    }
    pass(Span::HOUR * 72 - Span::SECOND).await;
    let probes = all_got(&mut dead);
    assert_eq!(probes.len(), 4 + 71, "at 0, 5 s, 5 min, 30 min and then hourly, for all of the queue");
    assert!(probes.iter().all(|probe| probe.id == probes[0].id), "it is the first that is tried");
    let waiting = |row: &(DeliveryStatus, u32)| row.0 == DeliveryStatus::Waiting;
    assert!(statuses(&scene, "dead").await.iter().all(waiting), "72 h long all of them wait");
    let told = all_got(&mut good);
    assert_eq!(times(&told, "event.started"), 20, "another hook has everything");
    assert_eq!((times(&told, "hook.failing"), times(&told, "hook.recovered")), (1, 0), "said once");

    pass(Span::HOUR).await;
    let expired = |row: &(DeliveryStatus, u32)| row.0 == DeliveryStatus::Expired;
    assert!(statuses(&scene, "dead").await.iter().all(expired), "then they are given up");
    let lost = outbox.look("dead").await.unwrap().losses.expired;
    assert_eq!((lost, all_got(&mut dead).len()), (20, 0), "that is counted, and nothing is sent of it");

    pass(Span::DAY * 29).await;
    assert_eq!(prune(&scene).await, 0);
    assert_eq!(statuses(&scene, "dead").await.len(), 20, "they are kept for thirty days");
    *dead.answer.lock().unwrap() = sent();
    outbox.order("dead", Order::Resend(places(&scene, "dead").await[..5].to_vec())).unwrap();
    pass(Span::HOUR).await;
    let again = all_got(&mut dead);
    let texts: Vec<_> = again.iter().map(|message| text(&message.facts[0])).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    assert_eq!(again[0].id, probes[0].id, "the same message, whatever became of it");
    let told = all_got(&mut good);
    assert_eq!((times(&told, "hook.failing"), times(&told, "hook.recovered")), (0, 1), "said once");

    pass(Span::DAY * 2).await;
    prune(&scene).await;
    let left = statuses(&scene, "dead").await;
    assert_eq!(left.len(), 5, "thirty days after they were given up the others are forgotten");
    assert!(left.iter().all(|(status, _)| *status == DeliveryStatus::Sent));
    pass(Span::DAY * 6).await;
    prune(&scene).await;
    assert!(statuses(&scene, "dead").await.is_empty(), "what is done is kept for seven days");
    finish(&outbox).await;
}

/// Nothing runs with these.
fn spare() -> Parts {
    hook("spare", &["event.*"], sent()).parts
}

#[tokio::test(start_paused = true)]
async fn while_the_store_takes_nothing_deliveries_go_on_and_what_came_of_them_is_written_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let mut one = hook("one", &["event.*"], sent());
    let parts = std::mem::replace(&mut one.parts, spare());
    let outbox = Outbox::start(vec![parts], &scene.ground).await;
    // Another connection forbids what a full disk would.
    let other = rusqlite::Connection::open(folder.path().join("ven.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON delivery BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    other.execute(full, []).unwrap();
    for text in ["a", "b", "c"] {
        happened(&scene, "event.started", text).await;
    }
    pass(Span::MINUTE).await;
    let waiting = (DeliveryStatus::Waiting, 0);
    assert_eq!(statuses(&scene, "one").await, [waiting; 3], "nothing could be written down");
    assert_eq!(all_got(&mut one).len(), 3, "all the same all was told, once");
    other.execute("DROP TRIGGER full", []).unwrap();
    pass(Span::from_seconds(6)).await;
    assert_eq!(statuses(&scene, "one").await, [(DeliveryStatus::Sent, 1); 3]);
    pass(Span::HOUR).await;
    assert!(all_got(&mut one).is_empty(), "nothing is told twice");
    finish(&outbox).await;
}

/// Takes a message and says nothing more.
struct Stuck;

impl Sink for Stuck {
    fn deliver<'s>(&'s mut self, _message: &'s Message) -> Delivering<'s> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_ten_seconds_for_hooks_that_are_stuck_whatever_they_were_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let mut stuck = hook("a-stuck", &["event.*"], sent()).parts;
    (stuck.sink, stuck.timeout) = (Box::new(Stuck), Span::HOUR);
    let good = hook("good", &["event.*"], sent());
    let outbox = Outbox::start(vec![stuck, good.parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    pass(Span::SECOND).await;
    while outbox.order("a-stuck", Order::SendNow).is_ok() {}
    let before = scene.ground.clock.now().since_start;
    outbox.finish(Duration::from_secs(10)).await;
    assert_eq!(scene.ground.clock.now().since_start - before, Span::from_seconds(10));
    assert_eq!(
        statuses(&scene, "a-stuck").await,
        [(DeliveryStatus::Waiting, 0)],
        "it is told after the next start"
    );
    assert_eq!(
        statuses(&scene, "good").await,
        [(DeliveryStatus::Sent, 1)],
        "the other has ended in good order"
    );
}

/// In these words, of facts with a text.
fn in_words(mut hook: Hook, template: &str) -> Hook {
    let words = Words { template: Some(template.into()), ..Words::default() };
    let samples = Samples::new(&hook.parts.topics, [("event.started", "{\"text\":\"x\"}")]);
    hook.parts.renderer = Renderer::new(&words, "one", false, &samples).unwrap();
    hook
}

fn started_with(hook: &mut Hook) -> Vec<Parts> {
    vec![std::mem::replace(&mut hook.parts, spare())]
}

#[tokio::test(start_paused = true)]
async fn what_words_fail_for_is_not_sent_nor_tried_again_and_can_be_sent_once_they_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let wrong = "{\"n\":{{ 10 // (data.text | length - 3) }}}";
    let mut one = in_words(hook("one", &["event.*"], sent()), wrong);
    let outbox = Outbox::start(started_with(&mut one), &scene.ground).await;
    for text in ["long", "two", "longer"] {
        happened(&scene, "event.started", text).await;
    }
    pass(Span::DAY).await;
    let bodies = |all: Vec<Message>| -> Vec<String> {
        all.into_iter().map(|message| String::from_utf8(message.body).unwrap()).collect()
    };
    assert_eq!(bodies(all_got(&mut one)), ["{\"n\":10}", "{\"n\":3}"], "the next goes on at once");
    let error = (DeliveryStatus::Error, 0);
    assert_eq!(statuses(&scene, "one").await, [(DeliveryStatus::Sent, 1), error, (DeliveryStatus::Sent, 1)]);
    finish(&outbox).await;

    let mut one = in_words(hook("one", &["event.*"], sent()), "{\"text\":\"{{ data.text }}\"}");
    let outbox = Outbox::start(started_with(&mut one), &scene.ground).await;
    pass(Span::DAY).await;
    assert!(all_got(&mut one).is_empty(), "nobody tries it blindly");
    outbox.order("one", Order::Resend(vec![2])).unwrap();
    pass(Span::SECOND).await;
    assert_eq!(bodies(all_got(&mut one)), ["{\"text\":\"two\"}"]);
    assert_eq!(statuses(&scene, "one").await[1], (DeliveryStatus::Sent, 1));
    finish(&outbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_the_filter_cannot_judge_is_not_told_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let mut one = hook("one", &["event.*"], sent());
    let samples = Samples::new(&one.parts.topics, [("event.started", "{\"text\":\"x\"}")]);
    one.parts.filter = Some(Filter::new("10 // (data.text | length - 3) == 10", &samples).unwrap());
    let outbox = Outbox::start(started_with(&mut one), &scene.ground).await;
    for text in ["two", "long", "longer"] {
        happened(&scene, "event.started", text).await;
    }
    pass(Span::MINUTE).await;
    let texts: Vec<_> = all_got(&mut one).iter().map(|message| text(&message.facts[0]).to_owned()).collect();
    assert_eq!(texts, ["long"]);
    assert_eq!(outbox.look("one").await.unwrap().filter_faults, 1);
    let filtered = (DeliveryStatus::Filtered, 0);
    assert_eq!(statuses(&scene, "one").await, [filtered, (DeliveryStatus::Sent, 1), filtered]);
    finish(&outbox).await;
}

/// Signs what it says, as a hook with a `secret` does.
struct Signing(Box<dyn Sink>);

impl Sink for Signing {
    fn signs(&self) -> bool {
        true
    }

    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        self.0.deliver(message)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_signs_says_nothing_before_the_clock_can_be_right_and_then_all_of_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene_at(folder.path(), EARLIEST - Span::HOUR);
    let (mut signed, mut plain) = (hook("signed", &["event.*"], sent()), hook("plain", &["event.*"], sent()));
    signed.parts.sink = Box::new(Signing(signed.parts.sink));
    let parts = vec![signed.parts, plain.parts];
    let outbox = Outbox::start(parts, &scene.ground).await;
    for number in 0..3 {
        happened(&scene, "event.started", &number.to_string()).await;
    }
    pass(Span::MINUTE * 59).await;
    let texts = |got: &mut mpsc::UnboundedReceiver<Message>| {
        let got = std::iter::from_fn(|| got.try_recv().ok());
        got.map(|message| text(&message.facts[0]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&mut signed.got), [""; 0]);
    assert_eq!(texts(&mut plain.got), ["0", "1", "2"], "what is not signed goes out");
    assert_eq!(statuses(&scene, "signed").await, [(DeliveryStatus::Waiting, 0); 3], "it was not even tried");
    pass(Span::MINUTE + Span::SECOND * 2).await;
    assert_eq!(texts(&mut signed.got), ["0", "1", "2"]);
    finish(&outbox).await;
}
