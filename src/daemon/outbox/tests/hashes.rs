//! What the log of deliveries says of each try: whether the same was sent, and by the same settings.

use super::patience::{in_earnest, pass, virtual_scene};
use super::*;
use crate::config::HookFile;
use crate::daemon::store::{Delivery, Tried};

/// A hook with this template, of which more is said, as it is configured.
fn saying(template: &str, said: &str, answer: Answer) -> Hook {
    let toml = format!(
        "type = \"http\"\ntopics = [\"event.*\"]\nurl = \"https://example.net/hook\"\ntemplate = '{template}'\n{said}"
    );
    let settings = HookFile { path: "one.toml".into(), text: Ok(toml) }.alone().unwrap();
    let fake = hook("one", &["event.*"], answer);
    let parts = Parts::of(&settings, Hashes::of(&settings)).unwrap();
    in_earnest(Hook { parts: Parts { sink: fake.parts.sink, ..parts }, ..fake })
}

/// Fails so often, and then does not.
fn after(mut failures: u32) -> Answer {
    Box::new(move |_| {
        let fails = failures > 0;
        failures = failures.saturating_sub(1);
        if fails { outcome(Outcome::Endpoint { retry_after: None }) } else { Try::sent(Some(200)) }
    })
}

/// Of the first delivery, the second, …: what hooks tell of themselves lies between.
async fn tries(scene: &Scene, which: usize) -> Vec<Tried> {
    let seq = deliveries(scene).await[which - 1].fact.seq;
    let tries = scene.ground.store.facts(move |log| log.tries("one", seq)).await.unwrap();
    tries.into_iter().map(|(_, tried)| tried).collect()
}

async fn deliveries(scene: &Scene) -> Vec<Delivery> {
    let wanted = Wanted { hook: Some("one".into()), most: 99, ..Wanted::default() };
    scene.ground.store.facts(move |log| log.deliveries(&wanted)).await.unwrap()
}

async fn change(outbox: &Outbox, scene: &Scene, hook: Hook) {
    let changes = HookChanges { change: vec![hook.parts], ..HookChanges::default() };
    outbox.change(changes, &scene.ground).await;
}

const TEXT: &str = r#"{"text": "{{ topic }}"}"#;

#[tokio::test(start_paused = true)]
async fn tries_of_one_message_have_one_hash_over_a_restart_too_and_those_of_another_have_another() {
    let folder = tempfile::tempdir().unwrap();
    {
        let scene = virtual_scene(folder.path());
        let outbox = Outbox::start(vec![saying(TEXT, "", after(99)).parts], &scene.ground).await;
        happened(&scene, "event.started", "a").await;
        happened(&scene, "event.completed", "b").await;
        assert_eq!(deliveries(&scene).await[1].settings, None, "it was not tried yet");
        pass(Span::from_seconds(6)).await;
        finish(&outbox).await;
    }
    let scene = virtual_scene(folder.path());
    let outbox = Outbox::start(vec![saying(TEXT, "", after(0)).parts], &scene.ground).await;
    outbox.order("one", Order::SendNow).unwrap();
    pass(Span::MINUTE).await;
    let first = tries(&scene, 1).await;
    assert_eq!(first.iter().map(|tried| tried.code).collect::<Vec<_>>(), [Some(500), Some(500), Some(200)]);
    assert_eq!(first[0].sent.as_ref().map(String::len), Some(16));
    assert!(first.iter().all(|tried| tried.sent == first[0].sent), "{first:?}");
    assert!(first.iter().all(|tried| tried.settings == first[0].settings), "{first:?}");
    let second = tries(&scene, 2).await;
    assert_eq!(second.len(), 1);
    assert!(second[0].sent.is_some() && second[0].sent != first[0].sent, "{second:?}");
    assert_eq!(second[0].settings, first[0].settings);
    let told = deliveries(&scene).await;
    assert_eq!((&told[0].sent, &told[0].settings), (&first[2].sent, &Some(first[2].settings.clone())));
    assert_eq!(told[1].view()["sent_hash"].as_str(), second[0].sent.as_deref());
    finish(&outbox).await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_of_one_message_have_one_hash() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let template =
        r#"[{% for fact in facts %}"{{ fact.topic }}"{% if not loop.last %},{% endif %}{% endfor %}]"#;
    let batch = "batch = { max_items = 2, max_wait = \"1m\" }";
    let outbox = Outbox::start(vec![saying(template, batch, after(1)).parts], &scene.ground).await;
    for topic in ["event.started", "event.completed", "event.near", "event.started"] {
        happened(&scene, topic, "a").await;
    }
    pass(Span::HOUR).await;
    let mut all = Vec::new();
    for number in 1..=4 {
        let tries = tries(&scene, number).await;
        assert!(tries.iter().all(|tried| tried.sent == tries[0].sent), "{tries:?}");
        all.push((tries.len(), tries[0].sent.clone().unwrap(), tries[0].message.clone()));
    }
    assert_eq!((&all[0], all[0].0), (&all[1], 2), "one message, tried twice");
    assert_eq!((&all[2], all[2].0), (&all[3], 1));
    assert_ne!(all[0].1, all[2].1);
    finish(&outbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_is_changed_between_two_tries_shows_in_them_and_so_does_what_it_says_then() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let outbox = Outbox::start(vec![saying(TEXT, "", after(99)).parts], &scene.ground).await;
    happened(&scene, "event.started", "a").await;
    pass(Span::SECOND).await;
    let others: [(&str, &str, u32); 4] = [
        (TEXT, "timeout = \"9s\"", 99),
        (r#"{"other": "{{ topic }}"}"#, "timeout = \"9s\"", 99),
        // The fact has no such member.
        (r#"{"other": "{{ data.event_id }}"}"#, "timeout = \"9s\"", 99),
        (TEXT, "", 0),
    ];
    for (template, said, failures) in others {
        change(&outbox, &scene, saying(template, said, after(failures))).await;
        pass(Span::SECOND).await;
        // What there were no words for is over until somebody wants it to be told again.
        outbox.order("one", Order::Resend(vec![1])).unwrap();
        pass(Span::from_seconds(3)).await;
    }
    let mut tries = tries(&scene, 1).await;
    tries.dedup_by(|one, before| (&one.sent, &one.settings) == (&before.sent, &before.settings));
    let [first, slower, reworded, unsaid, last] = tries.as_slice() else { panic!("{tries:#?}") };
    assert_eq!((&slower.sent, slower.settings == first.settings), (&first.sent, false), "the same words");
    assert!(reworded.sent.is_some() && reworded.sent != first.sent, "{tries:#?}");
    assert_ne!(reworded.settings, slower.settings);
    assert_eq!((&unsaid.sent, unsaid.code), (&None, None), "nothing was sent");
    assert_ne!(unsaid.settings, reworded.settings);
    assert_eq!((&last.sent, &last.settings), (&first.sent, &first.settings), "all is as it was");
    assert_eq!(deliveries(&scene).await[0].status, DeliveryStatus::Sent);
    finish(&outbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_like_the_one_before_and_therefore_not_sent_has_no_hash() {
    let folder = tempfile::tempdir().unwrap();
    let scene = virtual_scene(folder.path());
    let outbox = Outbox::start(vec![saying(TEXT, "on_change = true", after(0)).parts], &scene.ground).await;
    for text in ["a", "b"] {
        happened(&scene, "event.started", text).await;
    }
    pass(Span::SECOND).await;
    let (first, second) = (tries(&scene, 1).await.remove(0), tries(&scene, 2).await.remove(0));
    assert!(first.sent.is_some(), "{first:?}");
    assert_eq!((second.why.as_str(), second.sent), ("the same as before", None));
    finish(&outbox).await;
}
