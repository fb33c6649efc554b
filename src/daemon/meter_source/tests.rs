//! Feeds from real files, hosts and commands.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Fed, FeedSettings, Place, Trouble, feed};
use crate::config::MeterSource;
use crate::daemon::clock::Clock;
use crate::daemon::list_models;
use crate::metering::{
    HanSimulator, Keys, ModbusSettings, ModbusSimulator, ProtocolSettings, Refused, RegisterMap, Sealing,
    Simulator, SystemTitle, Why,
};
use crate::time::{Span, Timestamp};

/// Nothing waits so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const LONG: Span = Span::from_seconds(1000);

fn telegrams(count: i64) -> Vec<Vec<u8>> {
    let start = Timestamp::from_seconds(2_000_000_000);
    let mut meter = Simulator::v5(start);
    (1..=count).map(|second| meter.telegram(start + Span::from_seconds(second))).collect()
}

fn damaged(telegram: &[u8]) -> Vec<u8> {
    let mut telegram = telegram.to_vec();
    telegram[100] ^= 1;
    telegram
}

fn fed(source: MeterSource, patience: Span) -> mpsc::Receiver<Fed> {
    let protocol = ProtocolSettings::Dsmr { clock_base: Span::HOUR, sealing: Sealing::default() };
    fed_by(&protocol, source, patience)
}

fn fed_by(protocol: &ProtocolSettings, source: MeterSource, patience: Span) -> mpsc::Receiver<Fed> {
    let settings = FeedSettings { source, line: protocol.usual_line() };
    let (out, fed) = mpsc::channel(16);
    let place = Place { decoder: protocol.decoder(), patience, out };
    tokio::spawn(feed(settings, vec![place], Clock::start(), false));
    fed
}

/// What comes next, in a word; the counters of what is encrypted are no matter here.
async fn next(fed: &mut mpsc::Receiver<Fed>) -> String {
    loop {
        return match tokio::time::timeout(PATIENCE, fed.recv()).await.unwrap() {
            None => "over".into(),
            Some(Fed::Telegram { telegram, .. }) => format!("good {}", telegram.clock.unwrap()),
            Some(Fed::Refused(Refused { why: Why::Crc { .. }, .. })) => "damaged".into(),
            Some(Fed::Refused(refused)) => refused.to_string(),
            Some(Fed::Trouble(trouble)) => trouble.to_string(),
            Some(Fed::HeldBack) => "held back".into(),
            Some(Fed::Counters(_) | Fed::Raw(_)) => continue,
        };
    }
}

fn good(second: i64) -> String {
    format!("good {}", Timestamp::from_seconds(2_000_000_000 + second))
}

fn write(folder: &Path, pieces: &[&[u8]]) -> std::path::PathBuf {
    let file = folder.join("recording");
    std::fs::write(&file, pieces.concat()).unwrap();
    file
}

#[tokio::test]
async fn a_recording_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let all = telegrams(3);
    let file = write(folder.path(), &[&damaged(&all[0]), &all[1], &all[2]]);
    let mut fed = fed(MeterSource::File(file), LONG);
    for expected in ["damaged".to_owned(), good(2), good(3), "the recording has ended".into(), "over".into()]
    {
        assert_eq!(next(&mut fed).await, expected);
    }
}

#[tokio::test]
async fn a_host_that_hangs_up_is_connected_again_and_the_rest_of_a_telegram_is_no_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let all = telegrams(4);
    let mut fed = fed(MeterSource::Tcp(address), LONG);
    for (half, whole, second) in [(&all[0], &all[1], 2), (&all[2], &all[3], 4)] {
        let (mut host, _) = listener.accept().await.unwrap();
        host.write_all(&half[half.len() / 2..]).await.unwrap();
        host.write_all(whole).await.unwrap();
        // And half of one that does not go on.
        host.write_all(&half[..half.len() / 2]).await.unwrap();
        assert_eq!(next(&mut fed).await, good(second));
        drop(host);
        assert_eq!(next(&mut fed).await, "the other side closed the connection");
    }
}

#[tokio::test]
async fn a_command_that_ends_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let all = telegrams(1);
    let file = write(folder.path(), &[&all[0]]);
    let mut fed = fed(MeterSource::Exec(format!("cat {}; exit 3", file.display())), LONG);
    for _ in 0..2 {
        assert_eq!(next(&mut fed).await, good(1));
        assert_eq!(next(&mut fed).await, "the command has ended (exit status: 3)");
    }
}

#[tokio::test]
async fn a_command_does_not_see_what_stands_in_our_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen");
    let command = format!("env > {0}.new; mv {0}.new {0}; exit 3", file.display());
    let mut fed = fed(MeterSource::Exec(command), LONG);
    assert_eq!(next(&mut fed).await, "the command has ended (exit status: 3)");
    let seen = std::fs::read_to_string(file).unwrap();
    // The last three are of the shell.
    let known = ["PATH", "HOME", "LANG", "TZ", "PWD", "SHLVL", "_", "OLDPWD"];
    let others: Vec<_> =
        seen.lines().filter(|line| !known.contains(&line.split('=').next().unwrap())).collect();
    assert!(seen.contains("PATH=") && others.is_empty(), "{others:?}");
    assert!(std::env::vars_os().count() > known.len(), "there is something to be seen");
}

/// The process is gone, or only waits to be buried.
fn is_dead(id: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat"));
    state.map_or(true, |state| state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])))
}

#[tokio::test]
async fn what_a_command_has_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let command = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let fed = fed(MeterSource::Exec(command), LONG);
    let id = async {
        loop {
            if let Ok(id) = std::fs::read_to_string(&file) {
                return id.trim().to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    let id = tokio::time::timeout(PATIENCE, id).await.unwrap();
    assert!(!is_dead(&id));
    drop(fed);
    let dead = async {
        while !is_dead(&id) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.unwrap();
}

/// What a feed says of a host that sends this each time it is connected.
async fn verdict(bytes: &[u8]) -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut fed = fed(MeterSource::Tcp(address), Span::SECOND);
    let (mut host, _) = listener.accept().await.unwrap();
    host.write_all(bytes).await.unwrap();
    loop {
        let said = next(&mut fed).await;
        if said != "damaged" {
            // The port was opened again.
            tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
            return (said, listener);
        }
    }
}

#[tokio::test]
async fn silence_noise_and_damage_are_told_apart_and_the_port_is_opened_again() {
    let damaged = damaged(&telegrams(1)[0]);
    let (silence, noise, broken) =
        tokio::join!(verdict(b""), verdict(b"noise without an end"), verdict(&damaged));
    assert!(silence.0.starts_with("nothing was heard for 1 s"), "{}", silence.0);
    assert!(noise.0.starts_with("20 bytes came in 1 s, but no telegram; are protocol, baud"), "{}", noise.0);
    assert!(
        broken.0.starts_with("1 telegrams came in 1 s, none of them good; the last: checksum"),
        "{}",
        broken.0
    );
}

/// The host that floods never waits for anything but us; what it sends at once is less than the system keeps.
#[tokio::test(start_paused = true)]
async fn a_host_that_floods_is_held_back_and_not_a_byte_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut fed = fed(MeterSource::Tcp(listener.local_addr().unwrap().to_string()), LONG);
    let (mut host, _) = listener.accept().await.unwrap();
    host.set_nodelay(true).unwrap();
    let (clock, all) = (Clock::start(), telegrams(2_000));
    let (mut bytes, mut second, mut told) = (0, 0, 0);
    for together in all.chunks(20) {
        let piece = together.concat();
        host.write_all(&piece).await.unwrap();
        bytes += piece.len();
        for _ in together {
            let mut said = next(&mut fed).await;
            while said == "held back" {
                told += 1;
                said = next(&mut fed).await;
            }
            second += 1;
            assert_eq!(said, good(second));
        }
    }
    // Four seconds of the rate may come at once.
    let least = Span::from_seconds(i64::try_from(bytes).unwrap() / (64 << 10) - 5);
    let took = clock.now().since_start;
    assert!(least >= Span::from_seconds(10) && took >= least, "{bytes} bytes in {took}");
    assert!(took <= least * 2, "and not more than is needed: {bytes} bytes in {took}");
    assert_eq!(told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_up_again_and_again_is_not_connected_in_a_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut fed = fed(MeterSource::Tcp(listener.local_addr().unwrap().to_string()), LONG);
    let clock = Clock::start();
    let host = async {
        for _ in 0..30 {
            // A byte, since one who says nothing is waited for ever longer.
            listener.accept().await.unwrap().0.write_all(b"x").await.unwrap();
        }
    };
    let listen = async { while next(&mut fed).await != "over" {} };
    tokio::select! {
        () = host => {}
        () = listen => panic!("it goes on"),
    }
    let took = clock.now().since_start;
    assert!(took >= Span::from_seconds(25), "30 connections in {took}");
}

#[tokio::test]
async fn a_missing_port_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut fed = fed(MeterSource::Serial(folder.path().join("tty")), LONG);
    let said = next(&mut fed).await;
    assert!(said.contains("No such file"), "{said}");
}

#[tokio::test]
async fn a_missing_key_and_a_wrong_one_are_never_called_silence() {
    let folder = tempfile::tempdir().unwrap();
    let start = Timestamp::from_seconds(2_000_000_000);
    let mut house = Simulator::v5(start);
    house.telegram(start + Span::SECOND);
    let keys = |text: &str| Keys::parse(text, Some(&"1f".repeat(16))).unwrap();
    let mut meter = HanSimulator::encrypted(keys(&"2e".repeat(16)), SystemTitle(*b"OVNSIMUL"), 7);
    let file = write(folder.path(), &[&meter.frames(&house.reading())]);
    let said = |keys: Option<Keys>| {
        let sealing = Sealing { keys, ..Sealing::default() };
        let models = list_models(None, None).unwrap();
        let protocol = ProtocolSettings::Dlms { clock_base: Span::HOUR, sealing, models };
        let mut fed = fed_by(&protocol, MeterSource::File(file.clone()), LONG);
        async move { [next(&mut fed).await, next(&mut fed).await] }
    };
    let missing = "it is encrypted, and no key is configured";
    assert_eq!(said(None).await, [missing.to_owned(), format!("telegrams come, but {missing}")]);
    let wrong = "the key or the authentication key is wrong";
    let other = keys(&"3d".repeat(16));
    assert_eq!(said(Some(other)).await, [wrong.to_owned(), format!("telegrams come, but {wrong}")]);
    let [good, end] = said(Some(keys(&"2e".repeat(16)))).await;
    assert_eq!((good, end), (self::good(1), "the recording has ended".to_owned()));
}

#[tokio::test]
async fn a_dead_meter_on_a_line_is_told_of_alone_and_the_line_stays_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = MeterSource::Tcp(listener.local_addr().unwrap().to_string());
    let map = RegisterMap::built_in("eastron-sdm120").unwrap().unwrap();
    let place = |unit, patience| {
        let protocol = ProtocolSettings::Modbus(ModbusSettings {
            unit,
            map: map.clone(),
            interval: Span::from_millis(100),
            time_out: ModbusSettings::TIME_OUT,
            invert: false,
        });
        let (out, fed) = mpsc::channel(1024);
        (Place { decoder: protocol.decoder(), patience, out }, fed)
    };
    let ((living, mut of_living), (dead, mut of_dead)) = (place(1, LONG), place(2, Span::SECOND));
    let settings = FeedSettings { source, line: map.serial };
    tokio::spawn(feed(settings, vec![living, dead], Clock::start(), false));
    let (mut host, _) = listener.accept().await.unwrap();
    let mut meter = ModbusSimulator::new(1, &map);
    let answering = async {
        let mut piece = [0; 64];
        loop {
            let length = host.read(&mut piece).await.unwrap();
            assert!(length > 0, "the line was closed");
            host.write_all(&meter.hear(&piece[..length])).await.unwrap();
        }
    };
    let told = async {
        for _ in 0..2 {
            let trouble = loop {
                if let Fed::Trouble(trouble) = of_dead.recv().await.unwrap() {
                    break trouble;
                }
            };
            assert!(matches!(trouble, Trouble::NoAnswer { .. }), "{trouble}");
        }
        for _ in 0..5 {
            let fed = of_living.recv().await.unwrap();
            assert!(matches!(fed, Fed::Telegram { .. }), "{fed:?}");
        }
    };
    tokio::select! {
        () = answering => {}
        told = tokio::time::timeout(PATIENCE, told) => told.unwrap(),
    }
}
