//! Sessions over real sockets.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::push::{Door, Patience, PushMonitors};
use super::registry::{MonitorFault, MonitorStatus, Monitors};
use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::store::StoreHandle;
use crate::daemon::transport::Listener;
use crate::fact::Draft;
use crate::hook::monitor::{MonitorOptions, MonitorSettings, StaticMonitor};
use crate::time::Span;

/// Longer than anything here takes on the slowest machine.
pub(super) const LONG: Duration = Duration::from_secs(60);
const OK: &[u8] = b"\x00\x02\x00\x00\x00\x04\x00\xc8\x00\x01";
const BAD_REQUEST: &[u8] = b"\x00\x02\x00\x00\x00\x04\x01\x90\x00\x01";
const FORBIDDEN: &[u8] = b"\x00\x02\x00\x00\x00\x04\x01\x93\x00\x01";

/// `reader` and `other` may read monitors.
#[derive(Default)]
pub(super) struct TestDoor {
    failures: AtomicU32,
}

impl Door for TestDoor {
    fn owner(&self, token: &str) -> Option<String> {
        Some(match token {
            "secret" => "reader".to_owned(),
            "others" => "other".to_owned(),
            _ => return None,
        })
    }

    fn failed(&self, _: IpAddr) -> Duration {
        self.failures.fetch_add(1, Ordering::Relaxed);
        Duration::ZERO
    }
}

pub(super) struct Scene {
    bus: Bus,
    store: StoreHandle,
    pub(super) monitors: Monitors,
    door: Arc<TestDoor>,
    pub(super) address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(super) async fn scene_with(folder: &Path, patience: Patience, configured: Vec<StaticMonitor>) -> Scene {
    let clock = Clock::start();
    let bus = Bus::new(clock);
    let (store, _) = StoreHandle::open(&folder.join("ven.db"), "a", bus.clone()).unwrap();
    let monitors = Monitors::open(bus.clone(), store.clone(), clock, configured).await.unwrap();
    let door = Arc::new(TestDoor::default());
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address().unwrap();
    let push = PushMonitors { monitors: monitors.clone(), door: door.clone(), patience, tls: None };
    let server = tokio::spawn(push.run(listener, std::future::pending()));
    Scene { bus, store, monitors, door, address, server }
}

/// Nobody hurries.
pub(super) fn patient() -> Patience {
    Patience { request: LONG, receipt: LONG, block: LONG }
}

pub(super) fn settings(options: Value) -> MonitorSettings {
    let mut all = json!({"topics": ["event.*"]});
    let Value::Object(options) = options else { panic!("{options} is no object") };
    all.as_object_mut().unwrap().extend(options);
    let options: MonitorOptions = serde_json::from_value(all).unwrap();
    MonitorSettings::read(&options).unwrap()
}

impl Scene {
    pub(super) async fn create(&self, options: Value) -> u32 {
        self.monitors.create("reader".into(), settings(options)).await.unwrap().id
    }

    pub(super) async fn happened(&self, texts: &[&str]) {
        for text in texts {
            let data = [("text".to_owned(), Value::from(*text))].into_iter().collect();
            let time = self.monitors.clock.now().wall;
            let draft = Draft { topic: "event.started".into(), subject: None, time, data };
            self.store.commit(Vec::new(), vec![draft]).await.unwrap();
        }
    }

    async fn client(&self, monitor: u32) -> Client {
        let (client, answer) = self.connect(&request("reader", "secret", monitor)).await;
        assert_eq!(answer, OK);
        client
    }

    /// A client that has said this, and what it was answered.
    async fn connect(&self, bytes: &[u8]) -> (Client, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = vec![0; 10];
        let length = timeout(LONG, stream.read(&mut answer)).await.unwrap().unwrap();
        answer.truncate(length);
        (Client { stream }, answer)
    }

    fn status(&self, id: u32) -> MonitorStatus {
        self.monitors.status(&self.monitors.get(None, id).unwrap())
    }

    pub(super) async fn wait_for(&self, id: u32, status: MonitorStatus) {
        let wait = async {
            while self.status(id) != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, wait).await.unwrap_or_else(|_| panic!("it is {:?}", self.status(id)));
    }

    pub(super) async fn wait_for_acked(&self, id: u32, place: u64) {
        let wait = async {
            while self.monitors.get(None, id).unwrap().acked < place {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, wait).await.unwrap();
    }

    /// The data of the first fact of this topic.
    async fn fact(&self, topic: &str) -> Value {
        let wait = async {
            loop {
                // Facts that nothing is stored with wait for somebody who stores them.
                let owed = self.bus.take_owed();
                self.store.commit(Vec::new(), owed).await.unwrap();
                let page = self.bus.after(0, 999);
                if let Some(fact) = page.facts.iter().find(|fact| fact.topic == topic) {
                    return Value::Object(fact.data.clone());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, wait).await.unwrap()
    }
}

fn request(user: &str, password: &str, monitor: u32) -> Vec<u8> {
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let body = [&[0, 1][..], &text(user), &text(password), &monitor.to_be_bytes()].concat();
    [&[0, 1][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

struct Client {
    stream: TcpStream,
}

impl Client {
    /// The number and the texts of the next block.
    async fn block(&mut self) -> (u16, Vec<String>) {
        timeout(LONG, async {
            let mut header = [0; 16];
            self.stream.read_exact(&mut header).await.unwrap();
            assert_eq!((&header[..2], header[11]), (&[0, 3][..], 1), "PublishMessage, JSON");
            let size = u32::from_be_bytes(header[12..].try_into().unwrap());
            assert_eq!(u32::from_be_bytes(header[2..6].try_into().unwrap()), size + 10);
            let mut payload = vec![0; usize::try_from(size).unwrap()];
            self.stream.read_exact(&mut payload).await.unwrap();
            let document: Value = serde_json::from_slice(&payload).unwrap();
            let messages = document["Document"]["Msg"].clone();
            let messages = messages.as_array().cloned().unwrap_or_else(|| vec![messages]);
            assert_eq!(usize::from(u16::from_be_bytes([header[8], header[9]])), messages.len());
            let text = |message: &Value| message["Event"]["text"].as_str().unwrap_or("gap").to_owned();
            (u16::from_be_bytes([header[6], header[7]]), messages.iter().map(text).collect())
        })
        .await
        .unwrap()
    }

    async fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// As documented.
    async fn has(&mut self, block: u16) {
        self.says(&[&[0, 4, 0, 0, 0, 4], &block.to_be_bytes()[..], &[0, 200]].concat()).await;
    }

    /// As the clients do that were published.
    async fn has_short(&mut self, block: u16) {
        self.says(&[&[0, 4], &block.to_be_bytes()[..], &[0, 200]].concat()).await;
    }

    /// Everything until the server closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(timeout(LONG, self.stream.read_to_end(&mut rest)).await.unwrap());
        rest
    }
}

#[tokio::test]
async fn who_may_read_is_answered_in_ten_bytes_and_sent_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    assert_eq!((id, scene.status(id)), (1000, MonitorStatus::Inactive));
    let mut client = scene.client(id).await;
    scene.wait_for(id, MonitorStatus::Active).await;
    scene.happened(&["a", "b"]).await;
    assert_eq!(client.block().await, (1, vec!["a".into()]));
    assert_eq!(client.block().await, (2, vec!["b".into()]));
    assert!(scene.monitors.get(None, id).unwrap().sent.is_some());
    let connected = scene.fact("monitor.connected").await;
    assert_eq!(connected["monitor"], 1000);
    assert_eq!(connected["transport"], "tcp");
    drop(client);
    scene.wait_for(id, MonitorStatus::Inactive).await;
}

#[tokio::test]
async fn who_may_not_is_told_403_and_nothing_of_whether_there_is_such_a_monitor() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    let wrong = [
        request("reader", "guess", id),
        request("other", "secret", id),
        request("other", "others", id),
        request("reader", "secret", id + 1),
        request("", "", 0),
    ];
    for (at, wrong) in (1..).zip(&wrong) {
        let (mut client, answer) = scene.connect(wrong).await;
        assert_eq!(answer, FORBIDDEN, "{at}");
        assert!(client.rest().await.is_empty());
        assert_eq!(scene.door.failures.load(Ordering::Relaxed), at, "each counts, and may be delayed");
    }
    assert_eq!(scene.status(id), MonitorStatus::Inactive);
}

#[tokio::test]
async fn what_is_no_request_is_told_400_and_silence_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { request: Duration::from_millis(100), ..patient() };
    let scene = scene_with(folder.path(), patience, Vec::new()).await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x00\x01\xff\xff\xff\xff", b"\x00\x04\x00\x01\x00\xc8"]
    {
        let (mut client, answer) = scene.connect(nonsense).await;
        assert_eq!(answer, BAD_REQUEST, "{nonsense:?}");
        assert!(client.rest().await.is_empty());
    }
    for silent in [&b""[..], b"\x00\x01\x00\x00\x00\x13\x00\x01\x00\x05pep"] {
        assert_eq!(scene.connect(silent).await.1, b"", "{silent:?}");
    }
}

#[tokio::test]
async fn a_block_is_sent_again_until_it_is_confirmed_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({"ack": "explicit"})).await;
    let mut client = scene.client(id).await;
    scene.happened(&["a", "b", "c", "d"]).await;
    let (block, texts) = client.block().await;
    assert_eq!(texts, ["a"]);
    client.has_short(block).await;
    let (block, texts) = client.block().await;
    assert_eq!(texts, ["b"]);
    client.has(block).await;
    assert_eq!(client.block().await.1, ["c"]);
    drop(client);
    scene.wait_for(id, MonitorStatus::Suspended).await;
    let mut client = scene.client(id).await;
    let (block, texts) = client.block().await;
    assert_eq!(texts, ["c"], "what was not confirmed comes again, what was confirmed does not");
    client.has_short(block).await;
    assert_eq!(client.block().await.1, ["d"]);
}

#[tokio::test]
async fn who_does_not_confirm_is_disconnected_and_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { receipt: Duration::from_millis(200), ..patient() };
    let scene = scene_with(folder.path(), patience, Vec::new()).await;
    let id = scene.create(json!({"ack": "explicit"})).await;
    let mut client = scene.client(id).await;
    scene.happened(&["a"]).await;
    assert_eq!(client.block().await.1, ["a"]);
    client.says(b"\x00\x04\x00\x00\x00\x04\x00\x01\x01\xf4").await;
    client.has(7).await;
    assert!(client.rest().await.is_empty(), "500 is no receipt, and neither is one of another block");
    scene.wait_for(id, MonitorStatus::Suspended).await;
    let expected = json!({"operation": "suspended", "monitor": id, "waiting": 1,
        "reason": "block 1 was not acknowledged within 200ms; its status was 500"});
    assert_eq!(scene.fact("monitor.suspended").await, expected);
    assert_eq!(scene.client(id).await.block().await.1, ["a"]);
}

#[tokio::test]
async fn the_newest_session_wins() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({"ack": "explicit"})).await;
    let mut first = scene.client(id).await;
    scene.happened(&["a"]).await;
    first.block().await;
    let mut second = scene.client(id).await;
    assert!(first.rest().await.is_empty());
    assert_eq!(second.block().await.1, ["a"]);
    scene.wait_for(id, MonitorStatus::Active).await;
}

#[tokio::test]
async fn what_happens_while_nobody_is_there_is_told_later_only_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let (live, replayed) = (scene.create(json!({})).await, scene.create(json!({"replay": true})).await);
    scene.happened(&["away"]).await;
    let (mut of_live, mut of_replayed) = (scene.client(live).await, scene.client(replayed).await);
    scene.wait_for(live, MonitorStatus::Active).await;
    scene.happened(&["there"]).await;
    assert_eq!(of_live.block().await.1, ["there"]);
    assert_eq!(of_replayed.block().await.1, ["away"]);
    assert_eq!(of_replayed.block().await.1, ["there"]);
    assert_eq!(scene.status(replayed), MonitorStatus::Active);
}

#[tokio::test]
async fn batches_are_full_or_their_time_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let by_size = scene.create(json!({"replay": true, "batch_size": 2, "batch_duration": "60s"})).await;
    let by_time = scene.create(json!({"replay": true, "batch_size": 1000, "batch_duration": "50ms"})).await;
    scene.happened(&["a", "b", "c", "d", "e"]).await;
    let mut client = scene.client(by_size).await;
    assert_eq!(client.block().await.1, ["a", "b"]);
    assert_eq!(client.block().await.1, ["c", "d"]);
    let mut client_by_time = scene.client(by_time).await;
    assert_eq!(client_by_time.block().await.1, ["a", "b", "c", "d", "e"]);
    scene.happened(&["f"]).await;
    assert_eq!(client.block().await.1, ["e", "f"], "the first has waited for the second");
}

#[tokio::test]
async fn who_takes_nothing_is_disconnected_and_its_cursor_stays() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { block: Duration::from_millis(300), ..patient() };
    let scene = scene_with(folder.path(), patience, Vec::new()).await;
    let id = scene.create(json!({"replay": true})).await;
    let mut client = scene.client(id).await;
    let long = "x".repeat(400_000);
    for at in 0..40 {
        scene.happened(&[&format!("{at} {long}")]).await;
    }
    scene.wait_for(id, MonitorStatus::Suspended).await;
    let acked = scene.monitors.get(None, id).unwrap().acked;
    assert!(acked < 40, "{acked}");
    let sent = client.rest().await.len();
    assert!(sent < 40 * long.len(), "{sent}");
    let (_, texts) = scene.client(id).await.block().await;
    assert!(texts[0].starts_with(&format!("{acked} ")), "{acked} {:.9}", texts[0]);
}

#[tokio::test]
async fn a_monitor_and_its_cursor_survive_a_restart_and_what_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let before = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = before.create(json!({"ack": "explicit", "topics": ["event.*", "meter.*"]})).await;
    let mut client = before.client(id).await;
    before.happened(&["a", "b"]).await;
    let (block, _) = client.block().await;
    client.has(block).await;
    assert_eq!(client.block().await.1, ["b"]);
    before.wait_for_acked(id, 1).await;
    drop(client);
    before.wait_for(id, MonitorStatus::Suspended).await;
    before.store.facts(|_| Ok(())).await.unwrap();
    drop(before);
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    assert_eq!(scene.status(id), MonitorStatus::Suspended);
    let mut client = scene.client(id).await;
    let (block, texts) = client.block().await;
    assert_eq!(texts, ["gap"], "facts of meters may have been there");
    client.has(block).await;
    assert_eq!(client.block().await.1, ["b"]);
    let gap = scene.fact("monitor.gap").await;
    assert_eq!((&gap["monitor"], &gap["from"], &gap["count"]), (&json!(id), &json!(2), &Value::Null));
}

#[tokio::test]
async fn monitors_are_created_listed_changed_and_deleted_by_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let configured = StaticMonitor { id: 7, owner: "other".into(), settings: settings(json!({})) };
    let scene = scene_with(folder.path(), patient(), vec![configured.clone()]).await;
    let monitors = &scene.monitors;
    let id = scene.create(json!({})).await;
    let ids = |owner| monitors.list(owner).iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!((ids(None), ids(Some("reader")), ids(Some("x"))), (vec![7, id], vec![id], vec![]));
    assert!(matches!(monitors.get(Some("other"), id), Err(MonitorFault::Unknown(_))));
    let changed = settings(json!({"description": "new"}));
    let by_other = monitors.change(Some("other"), id, changed.clone()).await;
    assert!(matches!(by_other, Err(MonitorFault::Unknown(_))));
    let mut client = scene.client(id).await;
    scene.wait_for(id, MonitorStatus::Active).await;
    monitors.change(Some("reader"), id, changed).await.unwrap();
    assert!(client.rest().await.is_empty(), "a session of the old settings ends");
    assert!(matches!(monitors.delete(None, 7).await, Err(MonitorFault::Configured(7))));
    drop(scene);
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    assert_eq!(scene.monitors.list(None).len(), 1, "one that is configured no more is gone");
    assert_eq!(scene.monitors.get(None, id).unwrap().settings.description, "new");
    scene.monitors.delete(Some("reader"), id).await.unwrap();
    assert!(matches!(scene.monitors.delete(None, id).await, Err(MonitorFault::Unknown(_))));
    assert_eq!(scene.connect(&request("reader", "secret", id)).await.1, FORBIDDEN);
}

#[tokio::test]
async fn who_stays_away_for_a_day_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({"replay": true})).await;
    let mut record = scene.monitors.get(None, id).unwrap();
    assert_eq!(scene.monitors.status(&record), MonitorStatus::Suspended);
    record.created = record.created - Span::DAY;
    assert_eq!(scene.monitors.status(&record), MonitorStatus::Disabled);
    record.left = Some(record.created + Span::HOUR);
    assert_eq!(scene.monitors.status(&record), MonitorStatus::Suspended);
}
