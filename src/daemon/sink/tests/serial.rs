use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::super::serial::SerialSink;
use super::{Sink, delivered, is_endpoint, telegram, until};
use crate::hook::settings::{Flow, Parity, SerialLine, SerialTarget};
use crate::time::Span;

const TELEGRAM: &[u8] = b"/XMX5LGF\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n!8A3F\r\n";

/// A pseudo-terminal; its far end is the port.
struct Port {
    near: File,
    far: File,
}

impl Port {
    fn new() -> Self {
        let pair = openpty(None, None).unwrap();
        let mut settings = tcgetattr(&pair.slave).unwrap();
        cfmakeraw(&mut settings);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings).unwrap();
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        Self { near: pair.master.into(), far: pair.slave.into() }
    }

    fn path(&self) -> PathBuf {
        nix::unistd::ttyname(&self.far).unwrap()
    }

    fn take(&mut self, into: &mut Vec<u8>) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = self.near.read(&mut piece) {
            into.extend_from_slice(&piece[..length]);
        }
    }

    async fn hears(&mut self, expected: &[u8]) {
        let mut heard = Vec::new();
        until("the bytes come out of the port", async || {
            self.take(&mut heard);
            heard.len() >= expected.len()
        })
        .await;
        assert_eq!(heard, expected);
    }
}

fn sink(port: &Path) -> SerialSink {
    sink_within(port, Span::from_seconds(30))
}

fn sink_within(port: &Path, write_timeout: Span) -> SerialSink {
    SerialSink::new(&SerialTarget { port: port.to_owned(), line: SerialLine::P1, write_timeout }).unwrap()
}

#[tokio::test]
async fn a_telegram_leaves_the_port_byte_by_byte() {
    let mut port = Port::new();
    let mut sink = sink(&port.path());
    let every_octet: Vec<u8> = (0..=255).collect();
    for telegram_bytes in [TELEGRAM, &every_octet] {
        let telegram = telegram(telegram_bytes);
        let ((), ()) = tokio::join!(delivered(&mut sink, &telegram), port.hears(telegram_bytes));
    }
}

#[tokio::test]
async fn a_port_that_comes_back_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("ttyUSB1");
    let mut first = Port::new();
    std::os::unix::fs::symlink(first.path(), &name).unwrap();
    let mut sink = sink(&name);
    let message = telegram(TELEGRAM);
    let (_, ()) = tokio::join!(delivered(&mut sink, &message), first.hears(TELEGRAM));
    drop(first);
    std::fs::remove_file(&name).unwrap();
    for _ in 0..2 {
        let tried = sink.deliver(&message).await;
        assert!(is_endpoint(&tried), "{tried:?}");
    }
    let mut second = Port::new();
    std::os::unix::fs::symlink(second.path(), &name).unwrap();
    let ((), ()) = tokio::join!(delivered(&mut sink, &message), second.hears(TELEGRAM));
}

/// Nobody reads: the port fills up, and a telegram waits no longer than it may.
#[tokio::test]
async fn a_stuck_port_is_given_up_and_keeps_no_half_telegram() {
    let mut port = Port::new();
    let mut stuck = sink_within(&port.path(), Span::from_millis(50));
    let long = telegram(&[b'x'; 1 << 17]);
    let tried = stuck.deliver(&long).await;
    assert!(is_endpoint(&tried) && tried.why.contains("is not out within"), "{tried:?}");
    // What the system has taken for the reader cannot be called back; nothing is added to it.
    let mut heard = Vec::new();
    port.take(&mut heard);
    assert!(heard.len() < 1 << 17 && heard.iter().all(|octet| *octet == b'x'));
    let message = telegram(TELEGRAM);
    let ((), ()) = tokio::join!(delivered(&mut stuck, &message), port.hears(TELEGRAM));
}

#[tokio::test]
async fn a_port_that_is_let_go_can_be_had_by_another() {
    let mut port = Port::new();
    let (mut first, mut second) = (sink(&port.path()), sink(&port.path()));
    let message = telegram(TELEGRAM);
    let ((), ()) = tokio::join!(delivered(&mut first, &message), port.hears(TELEGRAM));
    let tried = second.deliver(&message).await;
    assert!(is_endpoint(&tried), "two programs on one port would mix their telegrams: {tried:?}");
    drop(first);
    let ((), ()) = tokio::join!(delivered(&mut second, &message), port.hears(TELEGRAM));
}

#[test]
fn a_line_that_no_port_has_is_refused() {
    let refused = |line| {
        let target = SerialTarget { port: "/dev/null".into(), line, write_timeout: Span::SECOND };
        SerialSink::new(&target).unwrap_err()
    };
    let line = SerialLine { parity: Parity::Even, flow: Flow::XonXoff, ..SerialLine::P1 };
    assert_eq!(refused(SerialLine { data_bits: 9, ..line }), "line: data_bits = 9; expected 5, 6, 7 or 8");
    assert_eq!(refused(SerialLine { stop_bits: 0, ..line }), "line: stop_bits = 0; expected 1 or 2");
}
