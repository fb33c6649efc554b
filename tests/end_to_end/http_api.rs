//! The local API of a VEN that runs: what it shows is what happens, what it is given counts, and nothing that is done to it
//! keeps the VEN from polling.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};
use std::sync::Arc;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn, VtnCore};
use openadr_ven::time::{Span, Timestamp};
use openadr_ven::{Config, Ven, VenHandle};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, Lines,
};
use tokio::net::TcpStream;

use crate::support::{House, PATIENCE, TOKEN};

/// `[http]` with one token that may read and give telegrams.
fn section(house: &House, listen: &str, more: &str) -> String {
    house.write_secret("token", &format!("{TOKEN}\n"));
    format!(
        "[http]\nlisten = \"{listen}\"\n{more}\n[[http.token]]\nname = \"test\"\ntoken = \"${{file:token}}\"\n\
         scopes = [\"read\", \"meter\", \"monitors\"]\n"
    )
}

struct Scene {
    house: House,
    vtn: MockVtn,
    ven: VenHandle,
    at: SocketAddr,
}

impl Scene {
    async fn new(listen: &str, tls: &str) -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let meter = "\n[[meter]]\nname = \"main\"\nsource = \"api\"\n\n";
        let file = house.configure(&vtn.url(), &format!("{meter}{}", section(&house, listen, tls)));
        let ven = Ven::builder(Config::load(&file).unwrap()).start().await.unwrap();
        let port = ven.http_address().unwrap().port();
        Self { house, vtn, ven, at: ([127, 0, 0, 1], port).into() }
    }

    async fn ask(&self, line: &str, more: &str, body: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.at).await.unwrap();
        exchange(stream, line, more, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask(&format!("GET {path}"), &bearer(), "").await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = (0, Value::Null);
        let asked = async {
            loop {
                last = self.get(path).await;
                if wanted(last.0, &last.1) {
                    return;
                }
                // What is waited for happens by itself; asking faster would only heat the room.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asked).await.is_err() {
            panic!("{path} does not become as wanted: {last:?}");
        }
        last.1
    }

    async fn vtn_has(&self, wanted: impl FnMut(&mut VtnCore) -> bool) {
        assert!(self.vtn.until(PATIENCE, wanted).await);
    }

    /// `ven` with the configuration of the VEN that runs.
    async fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
        command.args(words).arg("--config").arg(self.house.path("ven.toml"));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// Asks over a stream that ends with the answer: its status and body.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
    more: &str,
    body: &str,
) -> (u16, String) {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{more}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Not everybody says that TLS is over.
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).unwrap_or("0").parse().unwrap_or(0), body.to_owned())
}

/// A telegram of a DSMR 4 meter without a clock, with its checksum (CRC-16/ARC over all from `/` to `!`).
pub(crate) fn telegram(import_kwh: &str) -> String {
    let text = format!(
        "/OVN5\\HOUSE\r\n\r\n1-3:0.2.8(42)\r\n1-0:1.8.1({import_kwh}*kWh)\r\n1-0:1.8.2(000000.000*kWh)\r\n\
         1-0:2.8.1(000000.000*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n1-0:1.7.0(00.350*kW)\r\n1-0:2.7.0(00.000*kW)\r\n!"
    );
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    };
    let crc = text.bytes().fold(0, step);
    format!("{text}{crc:04X}\r\n")
}

fn tomorrow(vtn: &MockVtn) -> Timestamp {
    vtn.with(|core| core.received.last().map_or(Timestamp::EPOCH, |(at, _)| *at)) + Span::DAY
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_can_be_seen_by_programs_and_people() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    assert_eq!(scene.ask("GET /healthz", "", "").await.0, 200, "before anything else");
    scene.until("/readyz", |status, _| status == 200).await;
    scene.vtn_has(|core| core.received.iter().any(|(_, kind)| *kind == PayloadKind::Poll)).await;
    let start = tomorrow(&scene.vtn);
    scene.vtn.with(|core| core.add_event(EventBuilder::new("peak", start, Span::HOUR).level(1).build()));
    let answered = |_, body: &Value| body["events"][0]["answered"] == true;
    let events = scene.until("/v1/events", answered).await;
    let event = &events["events"][0];
    assert_eq!((&event["event_id"], &event["opt"]), (&"peak".into(), &"optOut".into()));
    assert_eq!((&event["active"], &event["start"]), (&false.into(), &start.to_string().into()));
    let (_, status) = scene.get("/v1/status").await;
    assert_eq!((&status["ven"]["name"], &status["vtn"]["id"]), (&"test-ven".into(), &"mock-vtn".into()));
    assert_eq!(status["vtn"]["connected"], true);
    let people = scene.command(&["status"]).await;
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.contains("event    peak (version 0) is to come") && text.ends_with("ready\n"), "{text}");
    assert_eq!(people.status.code(), Some(0));
    let programs = scene.command(&["status", "--json"]).await;
    let told: Value = serde_json::from_slice(&programs.stdout).unwrap();
    assert_eq!(told["events"]["peak"]["opt"], "optOut");
    scene.ven.stop().await;
    let address = scene.at;
    assert!(TcpStream::connect(address).await.is_err(), "the API ends with the VEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_before_a_restart_is_shown_after_it() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    scene.vtn_has(|core| core.received.iter().any(|(_, kind)| *kind == PayloadKind::Poll)).await;
    let start = tomorrow(&scene.vtn);
    scene.vtn.with(|core| core.add_event(EventBuilder::new("peak", start, Span::HOUR).level(1).build()));
    scene.until("/v1/events", |_, body| body["events"][0]["answered"] == true).await;
    let Scene { house, vtn, ven, .. } = scene;
    ven.stop().await;
    vtn.stop().await;
    let ven = Ven::builder(Config::load(&house.path("ven.toml")).unwrap()).start().await.unwrap();
    let at = ven.http_address().unwrap();
    let stream = TcpStream::connect(at).await.unwrap();
    let (status, body) = exchange(stream, "GET /v1/events", &bearer(), "").await;
    let events: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    let event = &events["events"][0];
    assert_eq!((&event["event_id"], &event["opt"]), (&"peak".into(), &"optOut".into()), "{events}");
    assert_eq!(event["start"], start.to_string());
    ven.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_that_is_posted_counts_and_a_damaged_one_does_not() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    let key = format!("X-AUTHKEY: {TOKEN}\r\n");
    let form = format!("{key}Content-Type: application/x-www-form-urlencoded\r\n");
    let encoded: String = telegram("000123.456").bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = "POST /api/v1/datalogger/dsmrreading";
    let taken = scene.ask(path, &form, &format!("telegram={encoded}")).await;
    assert_eq!(taken, (201, "{\"accepted\":true}\n".into()));
    let status = scene.until("/v1/status", |_, status| status["meters"]["main"]["last"] != Value::Null).await;
    let values = &status["meters"]["main"]["last"]["values"];
    assert!(values.to_string().contains("123.456"), "{values}");
    assert_eq!(status["meters"]["main"]["online"], true);
    let (code, why) =
        scene.ask(path, &form, &format!("telegram={}", encoded.replace("%34%35", "%34%34"))).await;
    assert!(code == 400 && why.contains("checksum"), "{code} {why}");
    let raw = format!("{key}Content-Type: application/octet-stream\r\n");
    assert_eq!(scene.ask("POST /v1/meter/telegrams", &raw, &telegram("000123.500")).await.0, 201);
    scene.until("/v1/status", |_, status| status["meters"]["main"]["readings"] == 2).await;
    let (_, metrics) = scene.ask("GET /metrics", &bearer(), "").await;
    assert!(metrics.contains("ven_meter_readings_total{meter=\"main\"} 2\n"), "{metrics}");
    scene.ven.stop().await;
}

/// The next event of a stream, by its fields; comments are left out.
async fn sse(lines: &mut Lines<BufReader<TcpStream>>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        match line.split_once(": ") {
            Some((name, value)) if ["id", "event", "data"].contains(&name) => {
                fields.insert(name.to_owned(), value.to_owned());
            }
            _ if line.is_empty() && fields.contains_key("data") => return fields,
            // Heads, sizes of chunks, and what is empty.
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_first_how_things_stand_and_then_what_happens() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    scene.vtn_has(|core| core.received.iter().any(|(_, kind)| *kind == PayloadKind::Poll)).await;
    let start = tomorrow(&scene.vtn);
    scene.vtn.with(|core| core.add_event(EventBuilder::new("peak", start, Span::HOUR).level(1).build()));
    scene.until("/v1/events", |_, body| body["events"][0]["answered"] == true).await;
    let json = format!("{}Content-Type: application/json\r\n", bearer());
    let options = r#"{"topics": ["event.*", "vtn.connected", "vtn.disconnected"]}"#;
    let (status, made) = scene.ask("POST /v1/monitors", &json, options).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1/monitors/{}/stream?state=", made["id"]);
    let (status, why) = scene.ask(&format!("GET {path}yes"), &bearer(), "").await;
    assert!(status == 400 && why.contains("state: expected true or false"), "{why}");
    let open = async |more: &str| {
        let mut stream = TcpStream::connect(scene.at).await.unwrap();
        let head = format!("GET {path}true HTTP/1.1\r\nHost: localhost\r\n{}{more}\r\n", bearer());
        stream.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(stream).lines()
    };
    let mut lines = open("").await;
    let state = sse(&mut lines).await;
    let told: Value = serde_json::from_str(&state["data"]).unwrap();
    assert_eq!((state["event"].as_str(), &told["type"]), ("monitor.state", &"monitor.state".into()));
    let event = &told["data"]["events"][0];
    assert_eq!((&event["event_id"], &event["opt"]), (&"peak".into(), &"optOut".into()), "{told}");
    assert_eq!(
        told["data"]["vtn"],
        serde_json::json!({"id": "mock-vtn", "connected": true, "registered": true})
    );
    assert_eq!(told["data"].get("meters"), None, "it tells of no meter");
    scene.vtn.with(|core| core.add_event(EventBuilder::new("later", start, Span::HOUR).level(1).build()));
    let live = sse(&mut lines).await;
    assert_eq!(live["event"], "event.received", "{live:?}");
    assert!(live["data"].contains("\"later\""), "{live:?}");
    // Who comes back with the id of the state has missed nothing, and is not told it again.
    let mut again = open(&format!("Last-Event-ID: {}\r\n", state["id"])).await;
    assert_eq!(sse(&mut again).await, live);
    scene.ven.stop().await;
}

/// Reads one event of a stream as gzip, unpacked as it comes.
const UNPACK: &str = r#"
import http.client, sys, zlib
host, path, token = sys.argv[1:]
connection = http.client.HTTPConnection(host, timeout=60)
connection.request("GET", path, headers={"Authorization": "Bearer " + token, "Accept-Encoding": "gzip"})
answer = connection.getresponse()
assert answer.getheader("Content-Encoding") == "gzip", answer.getheaders()
unpacker, text = zlib.decompressobj(wbits=31), b""
while b"\n\n" not in text:
    piece = answer.read1()
    assert piece, text
    text += unpacker.decompress(piece)
sys.stdout.buffer.write(text)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_packed_for_a_reader_in_python_who_reads_it_as_it_comes() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    let json = format!("{}Content-Type: application/json\r\n", bearer());
    let (_, made) = scene.ask("POST /v1/monitors", &json, r#"{"topics": ["event.*"]}"#).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let path = format!("/v1/monitors/{}/stream?state=true", made["id"]);
    let mut reader = Command::new("python3");
    reader.args(["-c", UNPACK]).args([&scene.at.to_string(), &path, TOKEN]);
    let read = tokio::task::spawn_blocking(move || reader.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    let error = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success() && text.contains("event: monitor.state\n"), "{text}{error}");
    scene.ven.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_go_on_while_the_local_api_is_full_of_those_who_say_nothing() {
    let scene = Scene::new("127.0.0.1:0", "").await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(scene.at).await.unwrap();
        // Those beyond sixteen are hung up on.
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: loc").await.ok();
        held.push(stream);
    }
    let polls = |core: &VtnCore| core.received.iter().filter(|(_, kind)| *kind == PayloadKind::Poll).count();
    let before = scene.vtn.with(|core| polls(core));
    scene.vtn_has(|core| polls(core) >= before + 3).await;
    drop(held);
    scene.ven.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_elsewhere_it_is_asked_over_tls_and_with_a_token_only() {
    let tls = "cert = \"certs/vtn.pem\"\nkey = \"certs/vtn.key\"";
    let scene = Scene::new("0.0.0.0:0", tls).await;
    let (in_the_clear, _) = scene.ask("GET /healthz", "", "").await;
    assert_eq!(in_the_clear, 0, "no answer");
    let pem = std::fs::read(scene.house.path("certs/ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    for (token, expected) in [(bearer(), 200), (String::new(), 401)] {
        let stream = TcpStream::connect(scene.at).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(exchange(stream, "GET /v1/status", &token, "").await.0, expected);
    }
    scene.ven.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_can_read_and_a_meter_that_nobody_feeds_are_faults() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let section = section(&house, "127.0.0.1:0", "");
    std::fs::set_permissions(house.path("token"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let meter = "\n[[meter]]\nname = \"main\"\nsource = \"api\"\n";
    let only_reads = section.replace(", \"meter\"", "");
    for (more, what) in [
        (section.clone(), "chmod 600"),
        (format!("{meter}{only_reads}"), "scopes = [\"meter\"]"),
        (meter.to_owned(), "add [http] listen"),
    ] {
        let file = house.configure(&vtn.url(), &more);
        let error = Ven::builder(Config::load(&file).unwrap()).start().await.unwrap_err().to_string();
        assert!(error.contains(what) && !error.contains(TOKEN), "{error}");
    }
}

#[test]
fn a_new_token_goes_alone_to_where_it_can_be_kept() {
    let made = Command::new(env!("CARGO_BIN_EXE_ven"))
        .args(["token", "new", "--name", "ops", "--scope", "read", "--scope", "hooks"])
        .output()
        .unwrap();
    let (token, told) = (String::from_utf8(made.stdout).unwrap(), String::from_utf8(made.stderr).unwrap());
    assert!(token.starts_with("ven_") && token.trim().len() == 47, "{token}");
    assert!(told.contains("name = \"ops\"") && told.contains("scopes = [\"read\", \"hooks\"]"), "{told}");
    assert!(!told.contains(token.trim()), "{told}");
}

#[tokio::test]
async fn nobody_answers_where_no_ven_runs() {
    let house = House::new(KeyKind::P256);
    let file = house.configure("https://localhost:1", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    let output = command.arg("status").arg("--config").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no VEN runs with this configuration"));
}
