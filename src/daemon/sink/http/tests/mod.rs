//! Against a real server on the loopback, well-behaved and not.

mod server;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use self::server::{Act, OK, Server, say, status};
use super::*;
use crate::dice::{Dice, fuzz};
use crate::fact::Topics;
use crate::hook::settings::{Batching, QueueLimits, RetrySettings, Target, Words};
use crate::hook::webhook::{Signed, receiver};
use crate::time::Timestamp;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Long enough for any machine.
const PATIENT: Span = Span::from_seconds(60);
/// For what never answers.
const BRIEF: Span = Span::from_millis(300);

fn target(url: impl Into<String>) -> HttpTarget {
    HttpTarget {
        url: url.into(),
        method: "POST".to_owned(),
        headers: Vec::new(),
        expect: Vec::new(),
        gzip: false,
        secrets: Vec::new(),
        allow_private: true,
        ca: None,
    }
}

fn settings(timeout: Span) -> HookSettings {
    HookSettings {
        name: "test".to_owned(),
        enabled: true,
        topics: Topics::all(),
        filter: None,
        durable_always: false,
        strict_order: true,
        timeout,
        queue: QueueLimits::CONTROL,
        meter_queue: QueueLimits::METER,
        batch: Batching { max_items: 1, max_wait: Span::ZERO },
        min_interval: Span::ZERO,
        on_change: false,
        retry: RetrySettings::default(),
        words: Words::default(),
        target: Target::Http(target("http://127.0.0.1/")),
    }
}

fn sink(target: &HttpTarget) -> HttpSink {
    HttpSink::new(&settings(PATIENT), target).unwrap()
}

fn message(body: &str, at: Timestamp) -> Message {
    Message {
        id: "01980000-0000-7000-8000-000000000001".to_owned(),
        facts: Vec::new(),
        content_type: "application/json".to_owned(),
        body: body.as_bytes().to_vec(),
        at,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_900_000_000 + seconds)
}

fn away(tried: &Try) -> bool {
    matches!(tried.outcome, Outcome::Endpoint { .. })
}

#[tokio::test]
async fn a_request_is_as_it_is_configured() {
    let server = Server::start([]).await;
    let mut target = target(server.url("/api/v1/x?y=1"));
    target.method = "put".to_owned();
    target.headers = vec![
        ("X-Auth".to_owned(), "https://h:1/p".to_owned()),
        ("x-tag".to_owned(), "a".to_owned()),
        ("X-Tag".to_owned(), "b".to_owned()),
    ];
    let tried = sink(&target).deliver(&message("{\"a\":1}", at(0))).await;
    assert_eq!(tried, Try { answer: "ok".to_owned(), ..Try::sent(Some(200)) });
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "PUT /api/v1/x?y=1 HTTP/1.1");
    assert_eq!(seen.header("host").unwrap(), format!("127.0.0.1:{}", server.port));
    assert_eq!(seen.header("x-auth"), Some("https://h:1/p"));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name == "x-tag").count(), 2);
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("user-agent").unwrap().starts_with("openadr-ven/"));
    assert_eq!(seen.body, b"{\"a\":1}");
    assert_eq!(seen.header("webhook-id"), None, "unsigned, as there is no secret");
}

#[tokio::test]
async fn answers_mean_what_their_status_says() {
    let server = Server::start([
        status("204 No Content", ""),
        status("400 Bad Request", ""),
        status("410 Gone", ""),
        status("429 Too Many Requests", "Retry-After: 17\r\n"),
        status("503 Service Unavailable", "Retry-After: Sun, 17 Mar 2030 17:46:41 GMT\r\n"),
        status("500 Internal Server Error", "Retry-After: -3\r\n"),
        status("401 Unauthorized", ""),
    ])
    .await;
    let mut sink = sink(&target(server.url("/")));
    let mut found = Vec::new();
    for _ in 0..7 {
        let tried = sink.deliver(&message("{}", at(0))).await;
        found.push((tried.code.unwrap(), tried.outcome));
    }
    let endpoint = |seconds: Option<i64>| Outcome::Endpoint { retry_after: seconds.map(Span::from_seconds) };
    let expected = [
        (204, Outcome::Sent),
        (400, Outcome::Payload),
        (410, Outcome::Gone),
        (429, endpoint(Some(17))),
        (503, endpoint(Some(1))),
        (500, endpoint(Some(0))),
        (401, endpoint(None)),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn only_what_is_expected_is_success() {
    let server = Server::start([status("201 Created", ""), status("200 OK", "")]).await;
    let mut sink = sink(&HttpTarget { expect: vec![201], ..target(server.url("/")) });
    assert_eq!(sink.deliver(&message("{}", at(0))).await, Try::sent(Some(201)));
    let tried = sink.deliver(&message("{}", at(0))).await;
    assert!(away(&tried), "{tried:?}");
    assert_eq!(tried.why, "answered 200 OK, expected 201");
}

#[tokio::test]
async fn one_connection_is_kept_between_tries() {
    let server = Server::start([status("503 Busy", "")]).await;
    let mut sink = sink(&target(server.url("/")));
    for second in 0..5 {
        sink.deliver(&message("{}", at(second))).await;
    }
    assert_eq!(server.connections_seen(), [0, 0, 0, 0, 0]);
    sink.deliver(&message("{}", at(4 + 55))).await;
    assert_eq!(server.connections_seen()[5], 1, "what has been idle for long is not trusted");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_costs_nothing() {
    let farewell = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![Act::SayAndClose(farewell.as_bytes().to_vec()); 20]).await;
    let mut sink = sink(&target(server.url("/")));
    for second in 0..20 {
        assert_eq!(sink.deliver(&message("{}", at(second))).await.outcome, Outcome::Sent);
    }
    assert_eq!(server.connections_seen(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([]).await;
    let to = format!("Location: {}\r\n", elsewhere.url("/stolen"));
    let moved = ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"];
    let server = Server::start(moved.map(|line| status(line, &to))).await;
    let mut sink = sink(&target(server.url("/")));
    for _ in moved {
        let tried = sink.deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && tried.why.contains("redirects are not followed"), "{tried:?}");
    }
    assert_eq!((server.seen().len(), elsewhere.connections()), (3, 0));
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up_at_the_deadline() {
    for act in [
        Act::Stall(""),
        Act::Stall("HTTP/1.1 200 OK\r\nX: "),
        Act::Endless { head: "HTTP/1.1 200 OK\r\nX: ", pause_ms: 20 },
    ] {
        let server = Server::start([act]).await;
        let mut sink = HttpSink::new(&settings(BRIEF), &target(server.url("/"))).unwrap();
        let tried = sink.deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && tried.why.ends_with("within 0.3 s"), "{tried:?}");
    }
}

#[tokio::test]
async fn an_answer_that_stalls_after_its_status_changes_nothing() {
    for act in [
        Act::Stall("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"),
        Act::Endless { head: "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\npart", pause_ms: 20 },
    ] {
        let server = Server::start([act]).await;
        let mut sink = HttpSink::new(&settings(Span::from_seconds(4)), &target(server.url("/"))).unwrap();
        let tried = sink.deliver(&message("{}", at(0))).await;
        assert_eq!((tried.outcome, tried.code), (Outcome::Sent, Some(200)));
        assert!(tried.answer.starts_with("part"), "{}", tried.answer);
        sink.deliver(&message("{}", at(0))).await;
        assert_eq!(server.connections_seen(), [0, 1], "that connection is not used again");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_fault_of_the_endpoint_and_nothing_is_sent_twice() {
    for act in [
        Act::Reset,
        Act::SayAndClose(Vec::new()),
        Act::SayAndClose(b"HTTP/1.1 200".to_vec()),
        Act::SayAndClose(b"SSH-2.0-OpenSSH_9\r\n".to_vec()),
    ] {
        let server = Server::start([act.clone(), say(OK), act]).await;
        let mut sink = sink(&target(server.url("/")));
        let tried = sink.deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && !tried.why.is_empty() && tried.code.is_none(), "{tried:?}");
        assert_eq!(sink.deliver(&message("{}", at(1))).await.outcome, Outcome::Sent);
        assert!(away(&sink.deliver(&message("{}", at(2))).await), "over a kept connection too");
        assert_eq!(server.seen().len(), 3, "one request for each try");
    }
}

#[tokio::test]
async fn a_bomb_is_read_no_further_than_64_kib_and_kept_to_2() {
    let bomb = "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    let server = Server::start([
        Act::Endless { head: bomb, pause_ms: 0 },
        say(format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{}", "é".repeat(1500))),
        Act::Endless { head: "HTTP/1.1 200 OK\r\nX: ", pause_ms: 0 },
    ])
    .await;
    let mut sink = sink(&target(server.url("/")));
    let tried = sink.deliver(&message("{}", at(0))).await;
    assert_eq!((tried.code, tried.answer.len()), (Some(500), 2048));
    let tried = sink.deliver(&message("{}", at(0))).await;
    assert_eq!((tried.code, tried.answer.len()), (Some(200), 2048));
    let tried = sink.deliver(&message("{}", at(0))).await;
    assert!(away(&tried) && tried.code.is_none(), "a head without end: {tried:?}");
    let why = "what was left over cost the connection, what was read did not";
    assert_eq!(server.connections_seen(), [0, 1, 1], "{why}");
    assert_eq!(server.exhausted(), 0, "neither was read to its end");
}

#[test]
fn an_answer_is_kept_as_text_that_controls_no_terminal() {
    let answer = |octets: &[u8]| Answer { kept: octets.to_vec(), whole: true }.text();
    assert_eq!(answer(b"a\x1b[31mb\0\nc\t\xFF"), "a\u{FFFD}[31mb\u{FFFD}\nc\t\u{FFFD}");
    assert!(answer(&[0xFF; ANSWER_KEPT]).len() <= ANSWER_KEPT);
}

#[tokio::test]
async fn nobody_at_the_address_is_a_fault_of_the_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let tried = sink(&target(url)).deliver(&message("{}", at(0))).await;
    assert!(away(&tried) && tried.why.ends_with("Connection refused"), "{tried:?}");
    let tried = sink(&target("http://nowhere.invalid/")).deliver(&message("{}", at(0))).await;
    assert!(away(&tried) && tried.why.contains("cannot resolve nowhere.invalid"), "{tried:?}");
}

#[tokio::test]
async fn the_own_machine_is_spoken_to_only_where_it_is_allowed() {
    let server = Server::start([]).await;
    let port = server.port;
    let names =
        ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "LOCALHOST"];
    for name in names {
        let target = HttpTarget { allow_private: false, ..target(format!("http://{name}:{port}/")) };
        let tried = sink(&target).deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && tried.why.contains("allow_private"), "{name}: {tried:?}");
    }
    assert_eq!(server.connections(), 0);
    let tried = sink(&target(format!("http://localhost:{port}/"))).deliver(&message("{}", at(0))).await;
    assert_eq!(tried.outcome, Outcome::Sent, "{tried:?}");
}

#[tokio::test]
async fn metadata_and_the_local_link_are_spoken_to_never() {
    for host in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "2852039166",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let tried = sink(&target(format!("http://{host}/latest"))).deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && tried.why.contains("no hook may speak to"), "{host}: {tried:?}");
    }
}

#[tokio::test]
async fn messages_are_signed_anew_at_each_try_and_before_they_are_packed() {
    let server = Server::start([]).await;
    let secrets = vec![SECRET.to_owned()];
    let mut sink = sink(&HttpTarget { secrets, gzip: true, ..target(server.url("/")) });
    let body = "{\"text\":\"the same again and again and again and again\"}";
    for second in [0, 60] {
        sink.deliver(&message(body, at(second))).await;
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.header("content-encoding"), Some("gzip"));
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(seen.body.as_slice()).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, body);
        let signed = Signed {
            timestamp: seen.header("webhook-timestamp").unwrap().to_owned(),
            signature: seen.header("webhook-signature").unwrap().to_owned(),
        };
        assert_eq!(signed.timestamp, (1_900_000_000 + second).to_string());
        let id = seen.header("webhook-id").unwrap();
        assert_eq!(id, message(body, at(0)).id);
        assert!(receiver::believes(SECRET, id, &signed, body.as_bytes(), at(second)));
    }
}

#[tokio::test]
async fn get_and_delete_have_no_body_unless_there_is_a_template() {
    let server = Server::start([]).await;
    for method in ["GET", "DELETE"] {
        let target = HttpTarget { method: method.to_owned(), ..target(server.url("/")) };
        sink(&target).deliver(&message("{}", at(0))).await;
        let seen = server.seen().pop().unwrap();
        assert_eq!((seen.body.len(), seen.header("content-type")), (0, None), "{method}");
        let mut settings = settings(PATIENT);
        settings.words.template = Some("{}".to_owned());
        HttpSink::new(&settings, &target).unwrap().deliver(&message("{}", at(0))).await;
        assert_eq!(server.seen().pop().unwrap().body, b"{}", "{method}");
    }
}

#[tokio::test]
async fn an_id_that_no_header_can_have_is_no_fault_of_the_endpoint() {
    let server = Server::start([]).await;
    let target = HttpTarget { secrets: vec![SECRET.to_owned()], ..target(server.url("/")) };
    let message = Message { id: "a\r\nb".to_owned(), ..message("{}", at(0)) };
    let tried = sink(&target).deliver(&message).await;
    assert_eq!(tried.outcome, Outcome::Unsaid);
    assert!(tried.why.contains("webhook-id"), "{}", tried.why);
    assert!(server.seen().is_empty());
}

#[test]
fn what_is_wrong_with_a_target_is_told_before_anything_is_sent() {
    let good = || target("http://example.org/");
    let header = |name: &str, text: &str| vec![(name.to_owned(), text.to_owned())];
    for (target, why) in [
        (target(""), "url: "),
        (target("/x"), "neither http nor https"),
        (target("ftp://example.org/"), "neither http nor https"),
        (target("http:///x"), "url: "),
        (target("http://example.org:port/"), "url: "),
        (target("http://example.org:/"), "the port is none"),
        (target("http://example.org:99999/"), "the port is none"),
        (target("http://user:secret@example.org/"), "headers = { Authorization"),
        (target("http://exämple.org/"), "xn--"),
        (HttpTarget { method: "BREW".to_owned(), ..good() }, "POST, PUT, PATCH, GET or DELETE"),
        (HttpTarget { headers: header("a b", ""), ..good() }, "no name of a header"),
        (HttpTarget { headers: header("X-Key", "a\nb"), ..good() }, "the value of X-Key"),
        (HttpTarget { headers: header("Content-Length", "1"), ..good() }, "Content-Length is set by"),
        (HttpTarget { headers: header("host", "x"), ..good() }, "host is set by"),
        (HttpTarget { headers: header("Webhook-Id", "x"), ..good() }, "Webhook-Id is set by"),
        (HttpTarget { expect: vec![20], ..good() }, "20 is no status"),
        (HttpTarget { secrets: vec!["s".to_owned()], ..good() }, "secret: expected whsec_"),
        (
            HttpTarget { ca: Some(PathBuf::from("/nowhere/ca.pem")), ..target("https://h/") },
            "/nowhere/ca.pem",
        ),
    ] {
        let error = HttpSink::new(&settings(PATIENT), &target).unwrap_err().to_string();
        assert!(error.contains(why), "{}: {error}", target.url);
        assert!(!error.contains("user:secret"), "{error}");
    }
}

/// A certificate for `localhost`, as a file to trust and as that of a server.
fn certificate() -> (tempfile::NamedTempFile, TlsAcceptor) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), own.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = builder.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    (file, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn over_tls_only_a_certificate_that_is_trusted_and_of_that_name_is_spoken_to() {
    let (ca, tls) = certificate();
    let server = Server::start_with([], Some(tls)).await;
    let to = |host: &str, port: u16, ca: &Path| HttpTarget {
        ca: Some(ca.to_owned()),
        ..target(format!("https://{host}:{port}/"))
    };
    let mut trusting = sink(&to("localhost", server.port, ca.path()));
    for second in 0..2 {
        assert_eq!(trusting.deliver(&message("{}", at(second))).await.outcome, Outcome::Sent);
    }
    assert_eq!(server.connections_seen(), [0, 0]);
    let (other, _) = certificate();
    for target in [to("localhost", server.port, other.path()), to("127.0.0.1", server.port, ca.path())] {
        let tried = sink(&target).deliver(&message("{}", at(0))).await;
        assert!(away(&tried) && tried.why.contains("no TLS with"), "{tried:?}");
    }
    assert_eq!(server.seen().len(), 2, "nothing was said to who is not trusted");
}

fn any_answer(dice: &mut Dice) -> Vec<u8> {
    let pieces: [&[u8]; 14] = [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 503 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1 999 ?\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 18446744073709551616\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Retry-After: 1\r\n",
        b"Location: \xFF\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"\0",
    ];
    let mut octets = if dice.one_in(4) { Vec::new() } else { dice.one_of(&pieces[..5]).to_vec() };
    for _ in 0..dice.below(8) {
        octets.extend_from_slice(dice.one_of(&pieces));
        if dice.one_in(6) {
            octets.push(dice.octet());
        }
    }
    octets
}

#[test]
fn fuzz_no_answer_upsets_a_sink() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fuzz(|dice| {
        let answers: Vec<Act> = (0..8).map(|_| Act::SayAndClose(any_answer(dice))).collect();
        runtime.block_on(async {
            let server = Server::start(answers).await;
            let target = target(server.url("/"));
            let mut sink = sink(&target);
            while server.seen().len() < 8 {
                let tried = sink.deliver(&message("{}", at(0))).await;
                assert!(tried.answer.len() <= ANSWER_KEPT);
                assert!(tried.outcome == Outcome::Sent || !tried.why.is_empty(), "{tried:?}");
                assert!(tried.why.len() < 1_000, "{}", tried.why);
            }
        });
    });
}
