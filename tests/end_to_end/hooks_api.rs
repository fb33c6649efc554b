//! Hooks by the local API: looked at, paused, resumed, and made to send again; by those only whose token says so.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use openadr_ven::mock_vtn::{KeyKind, MockVtn};
use openadr_ven::time::Span;
use openadr_ven::{Config, Ven, VenHandle};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http_api::exchange;
use crate::support::{House, PATIENCE, happens};

const BOSS: &str = "ven_b0ss56789012345678901234567890123456789012";
const CHIEF: &str = "ven_ch1ef6789012345678901234567890123456789012";
const GUEST: &str = "ven_gue5t6789012345678901234567890123456789012";

const SECTIONS: &str = r#"
[http]
listen = "127.0.0.1:0"

[[http.token]]
name = "boss"
token = "${file:boss}"
scopes = ["read", "hooks"]

[[http.token]]
name = "chief"
token = "${file:chief}"
scopes = ["read", "admin"]

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

/// Who asks, and where.
struct Desk {
    at: SocketAddr,
    token: &'static str,
}

impl Desk {
    async fn ask(&self, line: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.send(line, "application/json", body).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    async fn send(&self, line: &str, content_type: &str, body: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.at).await.unwrap();
        let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        exchange(stream, line, &format!("Authorization: Bearer {}\r\n{kind}", self.token), body).await
    }

    /// Makes or changes a hook.
    async fn put(&self, hook: &str, text: &str) -> (u16, String) {
        self.send(&format!("PUT /v1/hooks/{hook}"), "application/toml", text).await
    }

    async fn hooks(&self) -> Vec<String> {
        let (_, answer) = self.ask("GET /v1/hooks", "").await;
        let hooks = answer["hooks"].as_array().unwrap();
        hooks.iter().map(|hook| hook["name"].as_str().unwrap().to_owned()).collect()
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

fn lines(house: &House) -> Vec<Value> {
    let text = std::fs::read_to_string(house.path("diary.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A VEN with those tokens and that hook.
async fn start(house: &House, vtn: &MockVtn) -> (VenHandle, SocketAddr) {
    for (name, token) in [("boss", BOSS), ("chief", CHIEF), ("guest", GUEST)] {
        house.write_secret(name, token);
    }
    let configuration = house.configure(&vtn.url(), SECTIONS);
    let ven = Ven::builder(Config::load(&configuration).unwrap()).start().await.unwrap();
    let at = ([127, 0, 0, 1], ven.http_address().unwrap().port()).into();
    (ven, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_paused_resumed_and_sent_again_by_whoever_may() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let (ven, at) = start(&house, &vtn).await;
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
    let twice = |told: &Value| told["tries"] == 2;
    let any_twice = |answer: &Value| answer["deliveries"].as_array().unwrap().iter().any(twice);
    let answer = guest.until("/v1/deliveries?hook=diary", any_twice).await;
    let again = answer["deliveries"].as_array().unwrap().iter().find(|told| twice(told)).unwrap();
    for hash in ["sent_hash", "settings_hash"] {
        assert_eq!(again[hash].as_str().map(str::len), Some(16), "{again}");
        assert_eq!(again[hash], first[hash], "the same words, by the same settings");
    }
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_ven"))
        .args(["deliveries", "show", "diary", &first["number"].to_string(), "--config"])
        .arg(house.path("ven.toml"))
        .output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    let hashes = format!(
        "    sent {}, settings {}\n",
        first["sent_hash"].as_str().unwrap(),
        first["settings_hash"].as_str().unwrap()
    );
    assert_eq!(shown.matches(&hashes).count(), 2, "{shown}");
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

/// Nobody listens there, so that what it is to tell waits.
const OPS: &str = "type = \"mqtt\"\ntopics = [\"event.received\"]\nurl = \"mqtt://127.0.0.1:1\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_made_changed_and_removed_from_afar_by_an_admin_and_taken_at_once() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let (ven, at) = start(&house, &vtn).await;
    let (chief, boss) = (Desk { at, token: CHIEF }, Desk { at, token: BOSS });
    let (file, path) = (house.path("hooks.d/ops.toml"), "/v1/hooks/ops");
    for line in [format!("GET {path}"), format!("PUT {path}"), format!("DELETE {path}")] {
        let (status, why) = boss.send(&line, "application/toml", OPS).await;
        assert!(status == 403 && why.contains("lacks the scope"), "{line}: {why}");
    }
    assert!(!file.exists());
    let (status, told) = chief.put("ops", OPS).await;
    assert!(status == 201 && told.contains("hooks.d/ops.toml"), "{status} {told}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(chief.send(&format!("GET {path}"), "", "").await, (200, OPS.to_owned()));
    assert_eq!(chief.hooks().await, ["diary", "ops"]);
    assert!(vtn.until(PATIENCE, |core| !core.received.is_empty()).await);
    happens(&vtn, "one");
    chief
        .until("/v1/deliveries?hook=ops", |answer| answer["deliveries"][0]["fact"]["subject"] == "one")
        .await;

    let other = OPS.replace("event.received", "event.*");
    assert_eq!(chief.put("ops", &other).await.0, 200);
    let (status, why) = chief.put("ops", &OPS.replace("event.received", "evnt.*")).await;
    assert!(status == 400 && why.contains("hooks.d/ops.toml:2: topics: invalid-topic"), "{why}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), other, "what is wrong changes nothing");
    for (line, body, expected, why) in [
        ("PUT /v1/hooks/diary", OPS, 409, "diary stands in"),
        ("PUT /v1/hooks/Ops", OPS, 400, "expected a name"),
        ("PUT /v1/hooks/..%2Fven", OPS, 400, "expected a name"),
        ("DELETE /v1/hooks/diary", "", 409, "diary stands in"),
        ("DELETE /v1/hooks/other", "", 404, "no hook is called"),
        ("GET /v1/hooks/other", "", 404, "no hook is called"),
    ] {
        let (status, told) = chief.send(line, "application/toml", body).await;
        assert!(status == expected && told.contains(why), "{line}: {status} {told}");
    }

    // What can be written cannot be taken all the same: the program of a plugin is not there.
    let main = house.path("ven.toml");
    let good = std::fs::read_to_string(&main).unwrap();
    let plugin = "[[plugin]]\nname = \"gone\"\nstartup = \"error\"\nkind = \"exec\"\ncommand = [\"/no/such/program\"]\n";
    std::fs::write(&main, format!("{good}\n{plugin}")).unwrap();
    for (line, body) in [("PUT /v1/hooks/new", OPS), ("PUT /v1/hooks/ops", OPS), ("DELETE /v1/hooks/ops", "")]
    {
        let (status, why) = chief.send(line, "application/toml", body).await;
        assert!(status == 409 && why.contains("nothing is changed"), "{line}: {status} {why}");
    }
    assert!(!house.path("hooks.d/new.toml").exists());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
    std::fs::write(&main, good).unwrap();

    assert_eq!(chief.send(&format!("DELETE {path}"), "", "").await, (204, String::new()));
    assert_eq!((file.exists(), chief.hooks().await), (false, vec!["diary".to_owned()]));
    ven.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_hooks_from_afar_starts_no_program_writes_no_file_and_has_none_read() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let (ven, at) = start(&house, &vtn).await;
    let chief = Desk { at, token: CHIEF };
    let topics = "topics = [\"event.received\"]";
    let http = format!("type = \"http\"\n{topics}\nurl = \"https://example.net/hook\"\n");
    for (text, why) in [
        (format!("type = \"exec\"\n{topics}\ncommand = [\"/bin/true\"]\n"), "starts programs"),
        (format!("type = \"file\"\n{topics}\npath = \"other.jsonl\"\n"), "writes files"),
        (format!("type = \"tcp\"\n{topics}\nconnect = \"127.0.0.1:1\"\n"), "reaches the own network"),
        ("type = \"serial\"\nport = \"/dev/ttyUSB9\"\n".to_owned(), "writes to devices"),
        (format!("{http}allow_private = true\n"), "allow_private"),
        (format!("{http}template_file = \"certs/ven.key\"\n"), "template_file has a file read"),
        (format!("{http}ca = \"certs/ven.key\"\n"), "ca has a file read"),
        (format!("{http}headers = {{ authorization = \"Bearer ${{env:HOME}}\" }}\n"), "hooks.d/NAME"),
        (format!("{http}secret = \"${{file:certs/ven.key}}\"\n"), "hooks.d/NAME"),
        (format!("{http}secret = \"${{file:hooks.d/../certs/ven.key}}\"\n"), "hooks.d/NAME"),
        (format!("{http}secret = \"${{file:hooks.d/..}}\"\n"), "hooks.d/NAME"),
    ] {
        let (status, told) = chief.put("ops", &text).await;
        assert!(status == 403 && told.contains(why), "{text}{status} {told}");
    }
    assert_eq!(chief.hooks().await, ["diary"]);
    // A secret that was laid there for a hook is one that it may have.
    std::fs::create_dir(house.path("hooks.d")).unwrap();
    house.write_secret("hooks.d/secret", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let (status, told) = chief.put("ops", &format!("{http}secret = \"${{file:hooks.d/secret}}\"\n")).await;
    assert_eq!(status, 201, "{told}");
    ven.stop().await;
}
