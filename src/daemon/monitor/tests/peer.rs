//! The client that Digi published reads a monitor of ours.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::push_tests::{LONG, Scene, patient, scene_with};
use super::registry::MonitorStatus;
use crate::test_support::{peer, skip};

struct Reader {
    told: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Reader {
    /// `None` where the client is not installed.
    async fn start(scene: &Scene, password: &str, monitor: u32) -> Option<Self> {
        let python = peer("python3")?;
        let has =
            Command::new(&python).args(["-c", "import devicecloud.monitor_tcp"]).output().await.unwrap();
        if !has.status.success() {
            skip("devicecloud");
            return None;
        }
        let arguments = [&scene.address.port().to_string(), "reader", password, &monitor.to_string()];
        let mut child = Command::new(python)
            .args(["-W", "ignore", "-c", SCRIPT])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { told, _child: child })
    }

    async fn next(&mut self) -> Value {
        let line = timeout(LONG, self.told.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The texts of the next document.
    async fn texts(&mut self) -> Vec<Value> {
        let messages = self.next().await["Document"]["Msg"].clone();
        let messages = messages.as_array().cloned().unwrap_or_else(|| vec![messages]);
        messages.iter().map(|message| message["Event"]["text"].clone()).collect()
    }
}

const SCRIPT: &str = include_str!("../../../../tests/peers/push_monitor.py");

#[tokio::test]
async fn the_published_client_reads_confirms_comes_again_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let options =
        json!({"ack": "explicit", "compression": "gzip", "batch_size": 2, "batch_duration": "100ms"});
    let id = scene.create(options).await;
    let Some(mut reader) = Reader::start(&scene, "secret", id).await else { return };
    assert_eq!(reader.next().await, json!({"connected": true}));
    scene.happened(&["a", "b", "c"]).await;
    let mut texts = reader.texts().await;
    while texts.len() < 3 {
        texts.extend(reader.texts().await);
    }
    assert_eq!(texts, ["a", "b", "c"]);
    scene.wait_for_acked(id, 3).await;
    // The client never reads again in a session that it has begun anew by itself, so it is started anew.
    drop(reader);
    scene.wait_for(id, MonitorStatus::Suspended).await;
    scene.happened(&["d"]).await;
    let Some(mut reader) = Reader::start(&scene, "secret", id).await else { return };
    assert_eq!(reader.next().await, json!({"connected": true}));
    assert_eq!(reader.texts().await, ["d"], "it goes on where it was");
    scene.wait_for_acked(id, 4).await;
}

#[tokio::test]
async fn the_published_client_understands_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let id = scene.create(json!({})).await;
    let Some(mut reader) = Reader::start(&scene, "guess", id).await else { return };
    let refused = reader.next().await["refused"].as_str().unwrap().to_owned();
    assert!(refused.contains("(403) is not STATUS_OK"), "{refused}");
}
