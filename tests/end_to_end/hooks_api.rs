//! Hooks by the local API: looked at, paused, resumed, and made to send again; by those only whose token says so.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn};
use openadr_ven::time::Span;
use openadr_ven::{Config, Ven};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http_api::exchange;
use crate::support::{House, PATIENCE};

const BOSS: &str = "ven_b0ss56789012345678901234567890123456789012";
const GUEST: &str = "ven_gue5t6789012345678901234567890123456789012";

const SECTIONS: &str = r#"
[http]
listen = "127.0.0.1:0"

[[http.token]]
name = "boss"
token = "${file:boss}"
scopes = ["read", "hooks"]

[[http.token]]
name = "guest"
token = "${file:guest}"
scopes = ["read"]

[[hook]]
name = "diary"
type = "file"
topics = ["event.received"]
path = "diary.jsonl"
"#;

fn write_token(path: &Path, token: &str) {
    std::fs::write(path, token).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Who asks, and where.
struct Desk {
    at: SocketAddr,
    token: &'static str,
}

impl Desk {
    async fn ask(&self, line: &str, body: &str) -> (u16, Value) {
        let stream = TcpStream::connect(self.at).await.unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let headers = format!("Authorization: Bearer {}\r\n{kind}", self.token);
        let (status, body) = exchange(stream, line, &headers, body).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asked = async {
            loop {
                let (status, answer) = self.ask(&format!("GET {path}"), "").await;
                if status == 200 && wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| panic!("{path} does not become as wanted"))
    }

    /// Waits until there are so many deliveries of that status; the newest first.
    async fn deliveries(&self, status: &str, count: usize) -> Vec<Value> {
        let path = format!("/v1/deliveries?hook=diary&status={status}");
        let there = |answer: &Value| answer["deliveries"].as_array().unwrap().len() == count;
        self.until(&path, there).await["deliveries"].as_array().unwrap().clone()
    }
}

fn happens(vtn: &MockVtn, event: &str) {
    vtn.with(|core| {
        let now = core.received.last().unwrap().0;
        core.add_event(EventBuilder::new(event, now + Span::DAY, Span::HOUR).level(1).build());
    });
}

fn lines(house: &House) -> Vec<Value> {
    let text = std::fs::read_to_string(house.path("diary.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_paused_resumed_and_sent_again_by_whoever_may() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    write_token(&house.path("boss"), BOSS);
    write_token(&house.path("guest"), GUEST);
    let configuration = house.configure(&vtn.url(), SECTIONS);
    let ven = Ven::builder(Config::load(&configuration).unwrap()).start().await.unwrap();
    let at = ([127, 0, 0, 1], ven.http_address().unwrap().port()).into();
    let (boss, guest) = (Desk { at, token: BOSS }, Desk { at, token: GUEST });
    assert!(vtn.until(PATIENCE, |core| !core.received.is_empty()).await);
    happens(&vtn, "one");
    let first = guest.deliveries("sent", 1).await.remove(0);
    assert_eq!((&first["fact"]["subject"], &first["tries"]), (&"one".into(), &1.into()));

    for order in ["pause", "resume", "send"] {
        let refused = guest.ask(&format!("POST /v1/hooks/diary/{order}"), "{}").await;
        assert_eq!(refused.0, 403, "{order}: {refused:?}");
    }
    assert_eq!(boss.ask("POST /v1/hooks/diary/pause", "").await.0, 202);
    guest.until("/v1/hooks", |answer| answer["hooks"][0]["state"] == "paused").await;
    happens(&vtn, "two");
    let waiting = guest.deliveries("waiting", 1).await.remove(0);
    assert_eq!((&waiting["fact"]["subject"], &waiting["tries"]), (&"two".into(), &0.into()));
    assert_eq!(lines(&house).len(), 1, "nothing is sent of it");
    assert_eq!(boss.ask("POST /v1/hooks/diary/resume", "").await.0, 202);
    guest.deliveries("sent", 2).await;

    let again = format!("{{\"again\": [{}]}}", first["number"]);
    assert_eq!(boss.ask("POST /v1/hooks/diary/send", &again).await.0, 202);
    let twice =
        |answer: &Value| answer["deliveries"].as_array().unwrap().iter().any(|told| told["tries"] == 2);
    guest.until("/v1/deliveries?hook=diary", twice).await;
    let told = lines(&house);
    assert_eq!(
        told.iter().map(|line| line["subject"].as_str().unwrap()).collect::<Vec<_>>(),
        ["one", "two", "one"]
    );
    assert_eq!(told[0]["id"], told[2]["id"], "the same fact");

    for (line, body, expected) in [
        ("POST /v1/hooks/nobody/pause", "", 404),
        ("POST /v1/hooks/nobody/send", "{}", 404),
        ("POST /v1/hooks/diary/send", "{\"again\": [\"x\"]}", 400),
        ("POST /v1/hooks/diary/send", "{\"agian\": [1]}", 400),
        ("GET /v1/deliveries?status=odd", "", 400),
        ("GET /v1/deliveries?limit=x", "", 400),
        ("GET /v1/deliveries?since=yesterday", "", 400),
        ("DELETE /v1/hooks/diary/pause", "", 405),
    ] {
        let answer = boss.ask(line, body).await;
        assert_eq!(answer.0, expected, "{line}: {answer:?}");
    }
    ven.stop().await;
}
