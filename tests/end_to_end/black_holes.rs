//! Readers that take everything and say nothing never hold the VEN up: it polls as one does that nobody reads.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and tells what it measured"
)]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{KeyKind, MockVtn};
use openadr_ven::time::Span;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::support::{House, PATIENCE, Process, TOKEN};

/// Of each kind of monitor so many are read by nobody.
const STREAMS: usize = 4;
const SESSIONS: usize = 4;
const HTTP_HOOKS: usize = 8;
const TCP_HOOKS: usize = 4;

/// So many polls are looked at, of each of the two.
const POLLS: usize = 300;
/// The hundredth part of the polls may come so much later than without those readers.
const LATER: Span = Span::from_millis(50);
/// So many times it is measured where the machine is busy with something else.
const MEASURES: usize = 5;

/// A VEN that polls as often as it may, reads a meter ten times a second, and that meter.
struct Household {
    house: House,
    vtn: MockVtn,
    process: Process,
    _meter: MockMeter,
}

impl Household {
    async fn start(readers: impl FnOnce(&House) -> String) -> Self {
        let house = House::new(KeyKind::P256);
        let vtn = house.vtn(Span::SECOND).await;
        let meter = MockMeter::start(house.folder.path(), "meter", Duration::from_millis(100)).unwrap();
        let meter_section =
            format!("\n[[meter]]\nname = \"main\"\nsource = \"serial:{}\"\n", meter.path().display());
        let more = meter_section + &readers(&house);
        let configuration = house.configure(&vtn.url(), &more);
        let text = std::fs::read_to_string(&configuration).unwrap();
        std::fs::write(
            &configuration,
            text.replace("[vtn]", "[vtn]\npoll_min = \"100ms\"\npoll_max = \"100ms\""),
        )
        .unwrap();
        let process = Process::ven(&configuration);
        Self { house, vtn, process, _meter: meter }
    }

    fn polls(&self) -> usize {
        self.vtn.with(|core| core.count(PayloadKind::Poll))
    }

    async fn until_polled(&self, count: usize) {
        let polled = self.vtn.until(PATIENCE * 3, |core| core.count(PayloadKind::Poll) >= count).await;
        assert!(polled, "it stopped polling; the log:\n{}", self.process.log().join("\n"));
    }

    /// The times between polls, from that one on, shortest first.
    fn pauses(&self, from: usize) -> Vec<Span> {
        let received = self.vtn.with(|core| core.received.clone());
        let polls = received.iter().filter(|(_, kind)| *kind == PayloadKind::Poll).map(|(at, _)| *at);
        let polls: Vec<_> = polls.skip(from).take(POLLS).collect();
        let mut pauses: Vec<Span> = polls.windows(2).map(|two| two[1] - two[0]).collect();
        pauses.sort_unstable();
        pauses
    }
}

/// Of a hundred, one is longer.
fn p99(sorted: &[Span]) -> Span {
    sorted[sorted.len() * 99 / 100]
}

/// Accepts whoever comes, and neither reads nor writes.
struct BlackHole {
    address: SocketAddr,
    fallen: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl BlackHole {
    fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that it is soon full.
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let fallen = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        task.spawn(swallow(listener, fallen.clone()));
        Self { address, fallen, _task: task }
    }

    fn fallen(&self) -> usize {
        self.fallen.load(Ordering::Relaxed)
    }
}

async fn swallow(listener: TcpListener, fallen: Arc<AtomicUsize>) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.push(stream);
        fallen.fetch_add(1, Ordering::Relaxed);
    }
}

/// Connects, says something, and never reads what comes.
async fn say_and_fall_silent(to: SocketAddr, words: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

/// Hooks that end in the hole, and monitors for those who read nothing.
fn readers(house: &House, hole: &BlackHole) -> String {
    house.write_secret("token", &format!("{TOKEN}\n"));
    let mut text =
        "[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"pump\"\ntoken = \"${file:token}\"\n\
                    scopes = [\"monitors\"]\n[push_monitor]\ntcp = \"127.0.0.1:0\"\n"
            .to_owned();
    for id in 1..=STREAMS + SESSIONS {
        writeln!(text, "[[monitor]]\nid = {id}\nowner = \"pump\"\ntopics = [\"meter.*\"]\nack = \"off\"")
            .unwrap();
    }
    let at = hole.address;
    for number in 0..HTTP_HOOKS {
        let head = format!(
            "[[hook]]\nname = \"http-{number}\"\ntype = \"http\"\ntopics = [\"meter.*\", \"event.*\"]"
        );
        writeln!(text, "{head}\nurl = \"http://{at}/\"\nallow_private = true\nallow_http = true").unwrap();
    }
    for number in 0..TCP_HOOKS {
        writeln!(text, "[[hook]]\nname = \"tcp-{number}\"\ntype = \"tcp\"\nconnect = \"{at}\"").unwrap();
    }
    let of_mqtt = "topics = [\"meter.*\"]\nclient_id = \"ven\"\nbase = \"ven/house\"";
    writeln!(text, "[[hook]]\nname = \"mqtt\"\ntype = \"mqtt\"\nurl = \"mqtt://{at}\"\n{of_mqtt}").unwrap();
    let hangs = "command = [\"/bin/sleep\", \"3600\"]\ntopics = [\"meter.reading\"]\nmin_interval = \"5s\"";
    writeln!(text, "[[hook]]\nname = \"exec\"\ntype = \"exec\"\n{hangs}").unwrap();
    text
}

/// Those who read nothing connect.
async fn fall_silent(household: &Household) -> Vec<TcpStream> {
    let api = household.process.api();
    let push = household.process.address("monitors are pushed at tcp://");
    let mut silent = Vec::new();
    for id in 1..=STREAMS {
        let request = format!(
            "GET /v1/monitors/{id}/stream HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer {TOKEN}\r\nAccept: text/event-stream\r\n\r\n"
        );
        silent.push(say_and_fall_silent(api, request.as_bytes()).await);
    }
    for id in STREAMS + 1..=STREAMS + SESSIONS {
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let id = u32::try_from(id).unwrap().to_be_bytes();
        let body = [&[0, 1][..], &text("pump"), &text(TOKEN), &id].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        silent.push(say_and_fall_silent(push, &[&[0, 1][..], &length, &body].concat()).await);
    }
    silent
}

/// Two VENs side by side on one machine: whatever else it does, it does to both.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn twenty_two_readers_that_never_read_do_not_delay_polls() {
    let hole = BlackHole::open();
    let alone = Household::start(|_| String::new()).await;
    let read = Household::start(|house| readers(house, &hole)).await;
    let silent = fall_silent(&read).await;
    for household in [&alone, &read] {
        household.until_polled(20).await;
    }
    let mut later = Vec::new();
    while later.len() < MEASURES {
        let from = [&alone, &read].map(Household::polls);
        for (household, from) in [&alone, &read].into_iter().zip(from) {
            household.until_polled(from + POLLS + 1).await;
        }
        let pauses = [alone.pauses(from[0]), read.pauses(from[1])];
        let [without, with] = pauses.each_ref().map(|pauses| p99(pauses));
        eprintln!(
            "of {POLLS} polls each, 1 % come after more than {without} without readers and {with} with them; median {} and {}",
            pauses[0][POLLS / 2],
            pauses[1][POLLS / 2],
        );
        later.push(with - without);
        // One measure is enough where nothing disturbs it.
        if later.len() == 1 && later[0] < LATER {
            break;
        }
    }
    later.sort_unstable();
    assert!(later[later.len() / 2] < LATER, "polls come later by {later:?}");
    let fallen = hole.fallen();
    assert!(fallen > HTTP_HOOKS + TCP_HOOKS, "only {fallen} connections fell into the hole");
    let connected = tokio::task::block_in_place(|| sessions(&read));
    assert_eq!(connected, SESSIONS, "everybody was let in");
    for stream in &silent[..STREAMS] {
        let mut head = [0; 15];
        assert_eq!(stream.peek(&mut head).await.unwrap(), head.len());
        assert_eq!(String::from_utf8_lossy(&head), "HTTP/1.1 200 OK");
    }
    for household in [alone, read] {
        assert_eq!(household.vtn.with(|core| core.violations.clone()), [""; 0]);
        household.process.terminate();
        drop(household.house);
    }
}

/// How many monitors have had a session.
fn sessions(household: &Household) -> usize {
    use std::io::{Read as _, Write as _};
    let api = household.process.api();
    let mut stream = std::net::TcpStream::connect(api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("Host: {api}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close");
    write!(stream, "GET /v1/monitors HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    let monitors = body["monitors"].as_array().unwrap();
    monitors.iter().filter(|monitor| !monitor["last_connect"].is_null()).count()
}
