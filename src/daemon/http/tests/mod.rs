//! Asks a real server over real connections.

mod own;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::answer::{Answer, Gone};
use super::call::Call;
use super::server::Deadlines;
use super::{Route, Routes, Server, Setup, Token, Tokens, Traffic, hash};
use crate::config::Scope;
use crate::daemon::clock::Clock;
use crate::time::Span;

/// Nothing waits so long unless it is broken; less than the usual deadlines, so that it is seen when a shorter one does not hold.
const PATIENCE: Duration = Duration::from_secs(20);

const TOKEN: &str = "ven_0123456789012345678901234567890123456789012";

async fn told(call: Call) -> Answer {
    Answer::text("text/plain", format!("{:?} {}", call.who, String::from_utf8_lossy(&call.body)))
}

/// One route of each kind.
fn routes() -> Routes {
    let read = Some(Scope::Read);
    Routes::default().with([
        Route::new(Method::GET, "/open", None, "", told),
        Route::new(Method::GET, "/read", read.clone(), "", told),
        Route::new(Method::POST, "/read", read.clone(), "", told).takes(&["application/json"]),
        Route::new(Method::POST, "/hooks", Some(Scope::Hooks), "", told).takes(&["application/json"]),
        Route::new(Method::POST, "/meter", Some(Scope::Meter), "", told)
            .takes(&["application/octet-stream"])
            .with_foreign_tokens(),
        Route::new(Method::GET, "/never", read, "", |_| std::future::pending())
            .within(Duration::from_millis(20)),
    ])
}

struct Served {
    at: SocketAddr,
    traffic: Traffic,
    stop: Arc<Notify>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn served(tokens: Vec<Token>, routes: Routes, deadlines: Option<Deadlines>) -> Served {
    served_at("127.0.0.1:0", tokens, routes, deadlines).await
}

async fn served_at(listen: &str, tokens: Vec<Token>, routes: Routes, deadlines: Option<Deadlines>) -> Served {
    let setup =
        Setup { listen: listen.parse().unwrap(), hosts: Vec::new(), tls: None, tokens: Tokens::new(tokens) };
    let traffic = Traffic::default();
    let server = Server::bind(setup, routes, Clock::start(), traffic.clone()).await.unwrap();
    let server = match deadlines {
        Some(deadlines) => server.with(deadlines),
        None => server,
    };
    let (at, stop) = (server.address().unwrap(), Arc::new(Notify::new()));
    let stopped = stop.clone();
    tokio::spawn(server.run(async move { stopped.notified().await }));
    Served { at: ([127, 0, 0, 1], at.port()).into(), traffic, stop }
}

fn with_scopes(scopes: &[Scope]) -> Vec<Token> {
    vec![Token { name: "ops".into(), hash: hash(TOKEN), scopes: scopes.to_vec() }]
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends this and reads all that comes until the connection ends.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // Who does not want the rest answers and hangs up.
        stream.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("the connection ends").ok();
        String::from_utf8(answer).unwrap()
    }

    /// Asks with some header lines, each with its end.
    async fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n{body}");
        self.exchange(&request).await
    }

    async fn status(&self, line: &str, headers: &str, body: &str) -> u16 {
        status(&self.ask(line, headers, body).await)
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {answer:?}")).parse().unwrap()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

const JSON: &str = "Content-Type: application/json\r\n";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn without_tokens_this_machine_may_read_and_nothing_else() {
    let served = served(Vec::new(), routes(), None).await;
    assert!(served.ask("GET /read", "", "").await.contains("Local"));
    let refused = served.ask("POST /hooks", JSON, "{}").await;
    assert_eq!(status(&refused), 403);
    assert!(refused.contains("ven token new --scope hooks"), "{refused}");
    assert_eq!(served.status("POST /meter", "Content-Type: application/octet-stream\r\n", "x").await, 403);
}

#[tokio::test]
async fn whoever_can_be_reached_from_elsewhere_is_open_to_nobody_without_a_token() {
    let served = served_at("0.0.0.0:0", Vec::new(), routes(), None).await;
    assert_eq!(served.status("GET /read", "", "").await, 401);
    assert_eq!(served.status("GET /open", "", "").await, 200);
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say() {
    let served = served(with_scopes(&[Scope::Read, Scope::Meter]), routes(), None).await;
    let (good, octets) = (bearer(TOKEN), "Content-Type: application/octet-stream\r\n");
    assert!(served.ask("GET /read", &good, "").await.contains("ops"));
    let refused = served.ask("POST /hooks", &format!("{good}{JSON}"), "{}").await;
    assert_eq!(status(&refused), 403);
    assert!(refused.contains("the token of ops lacks the scope \\\"hooks\\\""), "{refused}");
    let nobody = served.ask("GET /read", "", "").await;
    assert!(status(&nobody) == 401 && nobody.contains("www-authenticate: Bearer"), "{nobody}");
    for (headers, expected) in [
        (bearer(&TOKEN[1..]), 401),
        (bearer(""), 401),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401),
        (format!("Authorization: Token {TOKEN}\r\n"), 401),
        (format!("{good}{good}"), 400),
        (format!("Authorization: bearer  {TOKEN}\r\n"), 200),
    ] {
        assert_eq!(served.status("GET /read", &headers, "").await, expected, "{headers}");
    }
    for (headers, expected) in [
        (format!("X-AUTHKEY: {TOKEN}\r\n"), 200),
        (format!("Authorization: Token {TOKEN}\r\n"), 200),
        (format!("X-AUTHKEY: {TOKEN}x\r\n"), 401),
    ] {
        assert_eq!(served.status("POST /meter", &format!("{headers}{octets}"), "x").await, expected);
    }
    assert_eq!(served.status("GET /read", &format!("X-AUTHKEY: {TOKEN}\r\n"), "").await, 401);
}

#[tokio::test]
async fn a_token_in_an_address_is_refused_though_it_is_right() {
    let served = served(with_scopes(&[Scope::Read]), routes(), None).await;
    for name in ["token", "access_token", "API-KEY"] {
        let answer = served.ask(&format!("GET /read?{name}={TOKEN}"), &bearer(TOKEN), "").await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(answer.contains("does not belong into an address") && !answer.contains(TOKEN), "{answer}");
    }
}

#[tokio::test]
async fn many_wrong_tokens_are_answered_late_and_a_right_one_at_once() {
    let served = served(with_scopes(&[Scope::Read]), routes(), None).await;
    for _ in 0..5 {
        assert_eq!(served.status("GET /read", &bearer("wrong"), "").await, 401);
    }
    let clock = Clock::start();
    assert_eq!(served.status("GET /read", &bearer("wrong"), "").await, 401);
    assert!(clock.now().since_start >= Span::SECOND, "it had to wait");
    assert_eq!(served.status("GET /read", &bearer(TOKEN), "").await, 200);
}

#[tokio::test]
async fn another_name_that_points_to_us_gets_nothing() {
    let served = served(Vec::new(), routes(), None).await;
    for (host, expected) in [("evil.example", 421), ("localhost", 200), ("127.0.0.1:8410", 200)] {
        let request = format!("GET /read HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = served.exchange(&request).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert_eq!(answer.contains("Local"), expected == 200, "{answer}");
    }
    assert_eq!(status(&served.exchange("GET /read HTTP/1.0\r\n\r\n").await), 400, "no name at all");
}

#[tokio::test]
async fn pages_of_other_sites_write_nothing_though_the_browser_knows_a_token() {
    let served = served(with_scopes(&[Scope::Hooks]), routes(), None).await;
    let good = format!("{}{JSON}", bearer(TOKEN));
    for (more, expected) in [
        ("", 200),
        ("Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n", 200),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(served.status("POST /hooks", &format!("{good}{more}"), "{}").await, expected, "{more}");
    }
    let form = format!("{}Content-Type: text/plain\r\n", bearer(TOKEN));
    assert_eq!(served.status("POST /hooks", &form, "{}").await, 415);
}

#[tokio::test]
async fn no_other_origin_is_allowed_anything() {
    let served = served(Vec::new(), routes(), None).await;
    let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    for line in ["OPTIONS /read", "GET /read"] {
        let answer = served.ask(line, preflight, "").await.to_ascii_lowercase();
        assert!(!answer.contains("access-control-"), "{answer}");
    }
    let answer = served.ask("OPTIONS /read", preflight, "").await;
    assert!(status(&answer) == 405 && answer.contains("allow: GET, POST"), "{answer}");
}

#[tokio::test]
async fn every_answer_says_that_nobody_may_keep_run_or_frame_it() {
    let served = served(with_scopes(&[Scope::Read]), routes(), None).await;
    for (line, headers) in [("GET /open", ""), ("GET /nothing", ""), ("GET /read", ""), ("PUT /read", "")] {
        let answer = served.ask(line, headers, "").await;
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-frame-options: DENY",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{header} in {answer}");
        }
    }
}

#[tokio::test]
async fn problems_are_told_for_people_and_programs() {
    let served = served(Vec::new(), routes(), None).await;
    let answer = served.ask("GET /nothing", "", "").await;
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    let problem: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&404.into(), &"Not Found".into()));
    assert!(problem["detail"].as_str().unwrap().contains("/openapi.json"));
    assert_eq!(served.traffic.look().get(&404), Some(&1));
}

#[tokio::test]
async fn a_body_beyond_a_mebibyte_is_refused_whether_it_says_so_or_not() {
    let served = served(with_scopes(&[Scope::Hooks]), routes(), None).await;
    let headers = format!("{}{JSON}", bearer(TOKEN));
    let announced = format!(
        "POST /hooks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: 1048577\r\n\r\n"
    );
    assert_eq!(status(&served.exchange(&announced).await), 413);
    let mut chunked =
        format!("POST /hooks HTTP/1.1\r\nHost: localhost\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    (0..17).for_each(|_| chunked += &piece);
    let answer = served.exchange(&(chunked + "0\r\n\r\n")).await;
    // Where the answer was lost because the other side was still writing, the connection is over all the same.
    assert!(answer.is_empty() || status(&answer) == 413, "{answer}");
    let just = "x".repeat(1 << 20);
    assert_eq!(served.status("POST /hooks", &headers, &just).await, 200);
}

const SHORT: Duration = Duration::from_millis(50);
/// None that a slow machine could miss.
const LONG: Deadlines = Deadlines { header: PATIENCE, body: PATIENCE, taken: PATIENCE };

#[tokio::test]
async fn who_sends_slowly_is_left_and_keeps_nobody_out() {
    let impatient = served(Vec::new(), routes(), Some(Deadlines { header: SHORT, ..LONG })).await;
    assert_eq!(impatient.exchange("").await, "", "says nothing");
    assert_eq!(impatient.exchange("GET /open HTTP/1.1\r\nHost: loc").await, "", "stops within the header");
    let served =
        served(with_scopes(&[Scope::Hooks]), routes(), Some(Deadlines { body: SHORT, ..LONG })).await;
    let headers = format!("Host: localhost\r\n{}{JSON}Content-Length: 9\r\n\r\n", bearer(TOKEN));
    let late = served.exchange(&format!("POST /hooks HTTP/1.1\r\n{headers}half")).await;
    assert_eq!(status(&late), 408, "stops within the body");
}

#[tokio::test]
async fn one_address_has_sixteen_connections_and_no_more() {
    let served = served(Vec::new(), routes(), None).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut stream = served.connect().await;
        stream.write_all(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        held.push(stream);
    }
    assert_eq!(served.ask("GET /open", "", "").await, "", "the seventeenth is closed at once");
    held.clear();
    let again = async {
        while served.ask("GET /open", "", "").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("places are given back");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_no_answer_for_ever() {
    let served = served(Vec::new(), routes(), None).await;
    assert_eq!(served.status("GET /never", "", "").await, 504);
}

/// A route whose stream sends what comes here, and then says how that went.
fn streaming(pieces: mpsc::Receiver<Vec<u8>>, outcome: mpsc::Sender<Result<(), Gone>>) -> Routes {
    let pieces = Arc::new(tokio::sync::Mutex::new(pieces));
    let handler = move |_| {
        let (pieces, outcome) = (pieces.clone(), outcome.clone());
        async move {
            let (answer, mut stream) = Answer::stream("text/event-stream", false);
            tokio::spawn(async move {
                let mut pieces = pieces.lock().await;
                while let Some(piece) = pieces.recv().await {
                    let sent = stream.send(piece).await;
                    if outcome.send(sent).await.is_err() {
                        return;
                    }
                }
            });
            answer
        }
    };
    Routes::default().with([Route::new(Method::GET, "/stream", None, "", handler)])
}

#[tokio::test]
async fn a_stream_is_told_piece_by_piece_and_knows_when_its_reader_is_gone() {
    let (send, pieces) = mpsc::channel(1);
    let (outcomes, mut outcome) = mpsc::channel(1);
    let served = served(Vec::new(), streaming(pieces, outcomes), None).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut told = String::new();
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        send.send(piece.into()).await.unwrap();
        assert_eq!(outcome.recv().await.unwrap(), Ok(()));
        while !told.contains(piece) {
            let mut bytes = [0; 512];
            let count = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
            assert!(count > 0, "{told}");
            told += std::str::from_utf8(&bytes[..count]).unwrap();
        }
    }
    assert!(told.contains("content-type: text/event-stream"), "{told}");
    drop(stream);
    let gone = async {
        loop {
            send.send(b"data: 3\n\n".to_vec()).await.unwrap();
            if outcome.recv().await.unwrap() == Err(Gone) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_stream_whose_reader_takes_nothing_ends() {
    let (send, pieces) = mpsc::channel(1);
    let (outcomes, mut outcome) = mpsc::channel(1);
    let served =
        served(Vec::new(), streaming(pieces, outcomes), Some(Deadlines { taken: SHORT, ..LONG })).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let gone = async {
        loop {
            send.send(vec![b'x'; 1 << 16]).await.unwrap();
            if outcome.recv().await.unwrap() == Err(Gone) {
                return;
            }
        }
    };
    // The reader is still there; it is the server that ends it.
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let served = served(Vec::new(), routes(), None).await;
    let mut stream = served.connect().await;
    served.stop.notify_one();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    drop(read.expect("what is open is cut"));
    assert!(TcpStream::connect(served.at).await.is_err());
}
