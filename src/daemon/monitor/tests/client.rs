//! The reader of monitors, against servers that do what they should not, and against ours.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::client::{ConnectionRequest, End, Place, Way, connect, read};
use super::frames::{Status, connection_response, publish_header};
use super::push_tests::{LONG, patient, scene_with};
use crate::daemon::clock::Clock;
use crate::hook::monitor::{Compression, Format};
use crate::time::Span;

/// What a server does with a connection.
#[derive(Clone)]
enum Server {
    /// It is not there.
    Away,
    /// It says this, and nothing more.
    Says(Vec<u8>),
    /// It says this, and ends the connection.
    Ends(Vec<u8>),
}

fn request(monitor: u32) -> ConnectionRequest {
    ConnectionRequest { user: "reader".into(), password: "secret".into(), monitor }
}

fn block(number: u16, text: &str) -> Vec<u8> {
    let payload = json!({"Document": {"Msg": {"text": text}}}).to_string();
    let size = u32::try_from(payload.len()).unwrap();
    [&publish_header(number, 1, Compression::None, Format::Json, size)[..], payload.as_bytes()].concat()
}

fn welcome(blocks: &[Vec<u8>]) -> Vec<u8> {
    [connection_response(Status::Ok).to_vec(), blocks.concat()].concat()
}

/// What came of it: what was told, when each connection was begun, what the servers got behind the request.
#[derive(Debug, Default)]
struct Came {
    told: Vec<String>,
    begun: Vec<Span>,
    got: Vec<Vec<u8>>,
}

impl Came {
    /// How long it was from one connection to the next, in milliseconds.
    fn pauses(&self) -> Vec<i64> {
        self.begun.windows(2).map(|pair| (pair[1] - pair[0]).micros() / 1000).collect()
    }
}

/// Reads from one server after the other, until it ends by itself or the servers are used up; `fails` is the text that cannot be told.
async fn against(servers: &[Server], fails: &str) -> (Came, Option<End>) {
    let clock = Clock::start();
    let (left, came) =
        (RefCell::new(servers.iter().cloned().collect::<VecDeque<_>>()), RefCell::new(Came::default()));
    let (open, got) = (RefCell::new(Vec::<DuplexStream>::new()), tokio::sync::Notify::new());
    let connecting = async || {
        let next = left.borrow_mut().pop_front();
        let Some(server) = next else {
            got.notify_one();
            return std::future::pending().await;
        };
        came.borrow_mut().begun.push(clock.now().since_start);
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (says, stays) = match server {
            Server::Away => return Err(io::ErrorKind::ConnectionRefused.into()),
            Server::Says(bytes) => (bytes, true),
            Server::Ends(bytes) => (bytes, false),
        };
        theirs.write_all(&says).await?;
        if !stays {
            theirs.shutdown().await?;
        }
        open.borrow_mut().push(theirs);
        Ok(ours)
    };
    let telling = async |text: String| {
        if text.contains(fails) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        came.borrow_mut().told.push(text);
        Ok(())
    };
    let asked = request(7);
    let end = tokio::select! {
        end = read(&asked, connecting, telling, clock) => Some(end),
        () = got.notified() => None,
    };
    for mut server in open.into_inner() {
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        let behind = super::frames::client::connection_request(&asked).unwrap().len();
        came.borrow_mut().got.push(all.split_off(behind));
    }
    (came.into_inner(), end)
}

const NOTHING: &str = "that text is never told";

fn near(pause: i64, seconds: i64) -> bool {
    (seconds * 800..=seconds * 1200 + 10).contains(&pause)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_tried_for_ever_at_pauses_from_a_second_to_a_minute() {
    let (came, end) = against(&vec![Server::Away; 12], NOTHING).await;
    assert!(end.is_none());
    let pauses = came.pauses();
    for (pause, seconds) in pauses.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]) {
        assert!(near(*pause, seconds), "{pauses:?}");
    }
    assert!(pauses.iter().any(|pause| pause % 1000 != 0), "they come by chance: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_or_half_of_something_is_left_after_a_minute() {
    let half = welcome(&[block(1, "a")[..20].to_vec()]);
    let servers = [Server::Says(Vec::new()), Server::Says(vec![0, 2, 0]), Server::Says(half), Server::Away];
    let (came, end) = against(&servers, NOTHING).await;
    assert!(end.is_none() && came.told.is_empty());
    let pauses = came.pauses();
    for (pause, seconds) in pauses.iter().zip([1, 2, 4]) {
        assert!(near(pause - 60_000, seconds), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_has_let_us_in_may_say_nothing_for_days() {
    let servers = [Server::Says(welcome(&[])), Server::Away];
    let waited = tokio::time::timeout(Duration::from_secs(7 * 86_400), against(&servers, NOTHING)).await;
    assert!(waited.is_err(), "nothing has happened, and nothing is wrong");
}

#[tokio::test(start_paused = true)]
async fn after_nonsense_of_any_kind_it_connects_anew_and_what_comes_then_is_told() {
    let with = |at: usize, byte: u8| {
        let mut wrong = block(1, "never");
        wrong[at] = byte;
        Server::Says(welcome(&[wrong]))
    };
    let nonsense = [
        Server::Ends(Vec::new()),
        Server::Ends(vec![0, 2, 0, 0]),
        Server::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Server::Says(b"\x00\x02\x00\x00\x00\x04\x01\xf4\x00\x01".to_vec()),
        Server::Says(block(1, "never")),
        Server::Says(welcome(&[connection_response(Status::Ok).to_vec()])),
        with(2, 0xff),
        with(5, 0),
        with(9, 2),
        with(10, 1),
        with(10, 9),
        with(11, 9),
        with(20, 0xff),
    ];
    let mut servers = nonsense.to_vec();
    servers.extend([Server::Ends(welcome(&[block(1, "good"), block(2, "better")])), Server::Away]);
    let (came, end) = against(&servers, NOTHING).await;
    assert!(end.is_none());
    assert_eq!(came.told, ["{\"text\":\"good\"}\n", "{\"text\":\"better\"}\n"]);
    let receipts =
        [&b"\x00\x04\x00\x00\x00\x04\x00\x01\x00\xc8"[..], b"\x00\x04\x00\x00\x00\x04\x00\x02\x00\xc8"];
    assert_eq!(came.got.last().unwrap(), &receipts.concat());
    assert!(came.got.iter().rev().skip(1).all(Vec::is_empty), "nonsense is not confirmed: {came:?}");
    let pauses = came.pauses();
    assert!(near(pauses[pauses.len() - 2], 60), "nothing good had come for long: {pauses:?}");
    assert!(near(pauses[pauses.len() - 1], 1), "after something good the first pause is short: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_end() {
    for (status, said) in [(Status::Forbidden, "(403)"), (Status::BadRequest, "(400)")] {
        let servers = [Server::Away, Server::Says(connection_response(status).to_vec()), Server::Away];
        let (came, end) = against(&servers, NOTHING).await;
        assert!(end.unwrap().to_string().contains(said));
        assert_eq!((came.begun.len(), came.told.len()), (2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_not_confirmed() {
    let servers = [Server::Says(welcome(&[block(1, "good"), block(2, "full")]))];
    let (came, end) = against(&servers, "full").await;
    assert!(matches!(end, Some(End::Untold(_))), "{end:?}");
    assert_eq!(came.told.len(), 1);
    assert_eq!(came.got, [b"\x00\x04\x00\x00\x00\x04\x00\x01\x00\xc8"]);
}

#[tokio::test]
async fn our_own_server_is_read_in_every_notation_and_told_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let scene = scene_with(folder.path(), patient(), Vec::new()).await;
    let place = Place { host: scene.address.ip().to_string(), port: scene.address.port() };
    let kinds = [("json", "none"), ("json", "zlib"), ("xml", "none"), ("xml", "gzip")];
    for (at, (format, compression)) in kinds.into_iter().enumerate() {
        let options = json!({"ack": "explicit", "format": format, "compression": compression, "batch_size": 5,
            "batch_duration": "50ms"});
        let id = scene.create(options).await;
        scene.happened(&["one", "two \"<&>\" 3"]).await;
        let told = RefCell::new(Vec::new());
        let telling = async |text: String| {
            told.borrow_mut().push(text);
            Ok(())
        };
        let way = Way::Plain;
        let asked = request(id);
        let reading = read(&asked, async || connect(&place, &way).await, telling, Clock::start());
        let places = u64::try_from(2 * (at + 1)).unwrap();
        tokio::select! {
            end = reading => panic!("{end}"),
            () = scene.wait_for_acked(id, places) => {}
        }
        let told = told.into_inner().concat();
        if format == "json" {
            let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let texts: Vec<_> = lines.iter().map(|line| line["Event"]["text"].as_str().unwrap()).collect();
            assert_eq!(texts, ["one", "two \"<&>\" 3"]);
        } else {
            assert!(told.starts_with("<?xml") && told.contains("two &quot;&lt;&amp;&gt;&quot; 3"), "{told}");
        }
    }
}

#[tokio::test]
async fn without_tls_another_machine_is_not_even_connected_to() {
    // An address of documentation (RFC 5737): whoever connected there would wait.
    let place = Place { host: "192.0.2.1".into(), port: 3200 };
    let refused = tokio::time::timeout(LONG, connect(&place, &Way::Plain)).await.unwrap();
    let error = refused.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
}
