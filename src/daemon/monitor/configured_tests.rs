//! Monitors of the configuration that change while the VEN runs.

use serde_json::json;

use super::push_tests::{LONG, patient, scene_with, settings};
use super::registry::MonitorFault;
use crate::hook::monitor::StaticMonitor;

fn monitor(id: u32, topics: &str) -> StaticMonitor {
    StaticMonitor {
        id,
        owner: "reader".into(),
        settings: settings(json!({"topics": [topics], "replay": true})),
    }
}

#[tokio::test]
async fn those_that_are_different_end_their_sessions_and_go_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let all = vec![monitor(1, "event.*"), monitor(2, "event.*"), monitor(3, "event.*")];
    let scene = scene_with(folder.path(), patient(), all).await;
    let created = scene.create(json!({})).await;
    scene.happened(&["a"]).await;
    scene.monitors.acked(2, 1).await.unwrap();
    let mut leases: Vec<_> =
        [1, 2, 3, created].map(|id| scene.monitors.connect("reader", id).unwrap()).into();
    scene.monitors.configure(vec![monitor(1, "event.*"), monitor(2, "opt.*"), monitor(4, "event.*")]).await;
    let ids = || scene.monitors.list(None).iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(), [1, 2, 4, created]);
    for (lease, ends) in leases.iter_mut().zip([false, true, true, false]) {
        let ended =
            tokio::time::timeout(if ends { LONG } else { std::time::Duration::ZERO }, &mut lease.ended);
        assert_eq!(ended.await.is_ok(), ends, "monitor {}", lease.monitor.id);
    }
    let changed = scene.monitors.get(None, 2).unwrap();
    assert_eq!((changed.settings.topics.to_string().as_str(), changed.acked), ("opt.*", 1));
    assert!(matches!(scene.monitors.get(None, 3), Err(MonitorFault::Unknown(3))));
    drop((leases, scene));
    let scene = scene_with(folder.path(), patient(), vec![monitor(1, "event.*")]).await;
    assert_eq!(scene.monitors.list(None).iter().map(|one| one.id).collect::<Vec<_>>(), [1, created]);
}

#[tokio::test]
async fn whose_token_is_taken_away_has_no_session_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), vec![monitor(1, "event.*")]).await;
    let other = scene.monitors.create("other".into(), settings(json!({}))).await.unwrap().id;
    let ours = scene.monitors.connect("reader", 1).unwrap();
    let mut theirs = scene.monitors.connect("other", other).unwrap();
    scene.monitors.cut(&["reader".into()]);
    assert!(ours.ended.await.is_err(), "it ends");
    let ended = tokio::time::timeout(std::time::Duration::ZERO, &mut theirs.ended);
    assert!(ended.await.is_err(), "that of another goes on");
}
