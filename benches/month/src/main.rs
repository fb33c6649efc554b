//! Lets a whole VEN live through a month with a telegram each second, and tells what that costs.
//!
//! Only time is not real: the wall clock and tokio's are moved on when everything that the moment brought is done. The telegrams come over
//! TCP, since a pseudo-terminal hands them on later; the store is on the disk; and a mock VTN, on a thread of its own, is polled each ten
//! to twelve seconds and gets a report each quarter of an hour over TLS with signed messages. What VTN and meter use of the processor is not
//! counted; they are part of the resident size, and forget each day what they have seen, but for the requestID of each report.
//!
//! With `dark` behind the number of days it lives through them twice: as ever, and telling ten hooks and ten monitors whose other ends are
//! dead; what is told then is how much more that takes.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::Duration;

use openadr_ven::mock_vtn::{KeyKind, MockVtn, MockVtnSettings, TestCertificates, VtnCore};
use openadr_ven::notice::Notice;
use openadr_ven::time::{Span, Timestamp};
use openadr_ven::{Config, Ven};
use tokio::sync::{broadcast, oneshot};

use dark::Darkness;
use usage::{Day, Store, Usage};

mod dark;
#[path = "../../against_dsmr5/src/telegram.rs"]
mod telegram;
#[path = "../../../tests/support/telemetry.rs"]
#[expect(dead_code, reason = "the tests need more")]
mod telemetry;
mod usage;

/// The threads that do not count; the VTN answers the VEN, so that it is waited for too.
const OTHERS: [&str; 3] = ["vtn", "meter", "watch"];
const DAYS: i64 = 30;
const DAY: i64 = 86_400;
const POLL: Span = Span::from_seconds(10);
/// The VEN adds up to a tenth.
const POLLED_BY: Span = Span::from_seconds(11);
const QUARTER: i64 = 900;
/// So long after a quarter of an hour there may be talk of its report.
const TALK: i64 = 15;
/// The days after which is told what is used, and those after the last one.
const TOLD: [i64; 5] = [1, 2, 5, 10, 20];
/// After so many days everything is kept that is kept in memory.
const FULL: i64 = 2;
/// What the meter says is ahead of UTC by this in winter.
const CET: Span = Span::from_seconds(3_600);
/// A telegram is on its way for so long after the second that it tells of.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);

/// What time it is, for VEN and VTN, in microseconds.
static NOW: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::from_micros(NOW.load(Ordering::Relaxed))
}

fn main() {
    let days = std::env::args().nth(1).map_or(DAYS, |days| days.parse().expect("a number of days"));
    let dark = std::env::args().nth(2).is_some_and(|word| word == "dark");
    // Beside it, and by itself, so that neither has what the other has taken.
    let without = dark.then(|| resident_without(days));
    let real =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock that is set");
    let start = Timestamp::EPOCH + Span::from_std(real).max(Span::DAY);
    let start = start.floor_to(Span::from_seconds(QUARTER));
    NOW.store(start.micros(), Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(start, days, without));
}

/// Lives through the same days with nobody to tell; how much is resident then, in kB.
fn resident_without(days: i64) -> u64 {
    let program = std::env::current_exe().expect("a program");
    let output = std::process::Command::new(program).arg(days.to_string()).output().expect("a run");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    print!("{told}");
    let number = told.rsplit_once(" kB resident").and_then(|(before, _)| before.rsplit_once(' '));
    number.and_then(|(_, number)| number.parse().ok()).expect("what is resident")
}

/// What surrounds the VEN.
struct Scene {
    store: Store,
    vtn: MockVtn,
    line: TcpStream,
    telegrams: Receiver<Vec<u8>>,
    watch: Sender<oneshot::Sender<()>>,
    notices: broadcast::Receiver<Notice>,
    /// When the VTN was polled last, as far as is known.
    polled: Timestamp,
}

async fn live(start: Timestamp, days: i64, without: Option<u64>) {
    // While it blocks, only who says so moves tokio's clock.
    let (let_go, held) = channel::<()>();
    let hold = tokio::task::spawn_blocking(move || held.recv().is_ok());
    let folder = tempfile::tempdir().expect("a folder");
    let certificates =
        TestCertificates::create(&folder.path().join("certs"), KeyKind::P256).expect("certificates");
    let vtn = start_vtn(MockVtnSettings { wall_clock: now, ..MockVtnSettings::from(&certificates) });
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut darkness = without.map(|_| Darkness::new(folder.path()));
    let mut text = configuration(&vtn, &certificates, &port.local_addr().expect("a port").to_string());
    text.extend(darkness.as_ref().map(Darkness::configuration));
    let config = Config::from_toml(&text, &folder.path().join("ven.toml")).expect("a configuration");
    let ven = Ven::builder(config).wall_clock(now).start().await.expect("a VEN");
    let (notices, api) = (ven.notices(), ven.http_address());
    let line = port.accept().await.expect("a VEN that reads its meter").0.into_std().expect("a line");
    line.set_nonblocking(false).expect("a line that waits");
    line.set_nodelay(true).expect("a line that does not wait for more");
    let telegrams = start_meter(start);
    let mut scene = Scene {
        store: Store::of_ven(folder.path().join("state")),
        vtn,
        line,
        telegrams,
        watch: start_watch(),
        notices,
        polled: start,
    };
    scene.settle().await;
    if let Some(api) = api {
        tokio::task::spawn_blocking(move || Darkness::abandon(api)).await.expect("a VEN that is read");
    }
    let begun = scene.day(0, 0, 0);
    let (mut reports, mut full) = (0, None);
    for second in 1..=days * DAY {
        if let (Some(darkness), Some(api)) = (&mut darkness, api) {
            darkness.fall_silent(second, api);
        }
        reports += scene.pass(start + Span::from_seconds(second)).await;
        if second % DAY == 0 {
            let day = scene.day(second / DAY, second, reports);
            if TOLD.contains(&day.number) || day.number == days {
                println!("{}", day.since(&begun));
            }
            if day.number == FULL {
                full = Some(day.clone());
            }
            scene.check(&day);
            if let Some(full) = full.as_ref().filter(|_| day.number == days && days > FULL) {
                day.judge(&begun, full);
            }
            if let Some(without) = without.filter(|_| day.number == days) {
                Darkness::judge(&scene.store, &day.usage, without);
            }
        }
    }
    // A hook that is stuck is waited for a while, which has to pass.
    drop(let_go);
    hold.await.ok();
    ven.stop().await;
}

impl Scene {
    /// A second passes: the meter speaks, and it is waited until all that this brings is done. Returns how many reports were delivered.
    async fn pass(&mut self, second: Timestamp) -> u32 {
        move_on(second, SECOND - ON_ITS_WAY).await;
        move_on(second + Span::from_std(ON_ITS_WAY), ON_ITS_WAY).await;
        self.line.write_all(&self.telegrams.recv().expect("a telegram")).expect("a line");
        let mut reports = 0;
        loop {
            match self.notices.recv().await.expect("a VEN that can be followed") {
                Notice::MeterReading { .. } => break,
                Notice::ReportDelivered { .. } => reports += 1,
                notice if notice.is_trouble() => panic!("{second}: {notice}"),
                _ => {}
            }
        }
        let talk = second.seconds().rem_euclid(QUARTER) < TALK;
        if talk || second - self.polled >= POLLED_BY {
            self.settle().await;
            self.polled = self.vtn.with(|core| core.received.last().map_or(second, |(at, _)| *at));
        }
        reports
    }

    /// Waits until nothing is done any more.
    async fn settle(&self) {
        let (quiet, told) = oneshot::channel();
        self.watch.send(quiet).expect("a watch");
        told.await.expect("a watch");
    }

    fn day(&self, number: i64, telegrams: i64, reports: u32) -> Day {
        let polls = self.vtn.with(|core| core.received.len());
        Day { number, telegrams, reports, polls, usage: Usage::now(&self.store, &OTHERS) }
    }

    /// What the VTN says of the day; it begins anew.
    fn check(&self, day: &Day) {
        self.vtn.with(|core| {
            assert!(core.violations.is_empty(), "day {}: {}", day.number, core.violations.join("; "));
            core.received.clear();
            core.verdicts.clear();
            core.reports.clear();
        });
    }
}

/// It is `now` for all who ask, a while later than it was.
async fn move_on(now: Timestamp, later: Duration) {
    NOW.store(now.micros(), Ordering::Relaxed);
    tokio::time::advance(later).await;
    // What is due now hears of it before time goes on: from the timer to the engine to the meter's task.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// On a thread of its own, so that what it costs can be told apart.
fn start_vtn(settings: MockVtnSettings) -> MockVtn {
    let (started, vtn) = channel();
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut core = VtnCore::new("month-vtn", POLL);
            let quarter = Span::from_seconds(QUARTER);
            core.piggyback = vec![telemetry::wish("quarters", quarter, quarter, None)];
            started.send(MockVtn::start(core, &settings).await.expect("a VTN")).expect("somebody who waits");
            std::future::pending::<()>().await;
        });
    };
    std::thread::Builder::new().name(OTHERS[0].into()).spawn(serve).expect("a thread");
    vtn.recv().expect("a VTN")
}

/// Tells whoever asks when all other threads sleep, on a thread of its own: then nothing happens any more until time goes on.
fn start_watch() -> Sender<oneshot::Sender<()>> {
    let (sender, waiting) = channel::<oneshot::Sender<()>>();
    let watch = move || {
        for quiet in waiting {
            // Twice, since something may be handed from one thread to the other.
            let mut quiets = 0;
            while quiets < 2 {
                std::thread::sleep(Duration::from_micros(200));
                quiets = if usage::sleep(&OTHERS[1..]) { quiets + 1 } else { 0 };
            }
            quiet.send(()).expect("somebody who waits");
        }
    };
    std::thread::Builder::new().name(OTHERS[2].into()).spawn(watch).expect("a thread");
    sender
}

/// Writes telegrams ahead on a thread of its own, for each second after the start.
fn start_meter(start: Timestamp) -> Receiver<Vec<u8>> {
    let (sender, telegrams) = sync_channel(1_024);
    let write = move || {
        let (mut second, mut milliwatthours) = (0_u32, 0_u64);
        loop {
            second += 1;
            let watts = 200 + second * 7 % 3_000;
            milliwatthours += u64::from(watts) * 1_000 / 3_600;
            let house = telegram::House {
                clock: meter_clock(start + Span::from_seconds(second.into())),
                import: 2_130_000 + u32::try_from(milliwatthours / 1_000).expect("less than a million kWh"),
                export: 0,
                watts,
            };
            if sender.send(house.telegram()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name(OTHERS[1].into()).spawn(write).expect("a thread");
    telegrams
}

/// As `260115090000W`; the meter does not know of summer.
fn meter_clock(at: Timestamp) -> String {
    let digits: String = (at + CET).to_string().chars().filter(char::is_ascii_digit).collect();
    format!("{}W", &digits[2..14])
}

fn configuration(vtn: &MockVtn, certificates: &TestCertificates, meter: &str) -> String {
    format!(
        r#"
[ven]
name = "month"
state = "state"

[vtn]
url = "{}"

[tls]
ca = "certs/ca.pem"
cert = "certs/ven.pem"
key = "certs/ven.key"

[signature]
vtn_fingerprint = "{}"

[[meter]]
name = "main"
source = "tcp://{meter}"
"#,
        vtn.url(),
        certificates.vtn_fingerprint()
    )
}
