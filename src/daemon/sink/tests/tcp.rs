use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::super::tcp::{Listener, of};
use super::{LOOK, Sink, delivered, is_endpoint, telegram, until};
use crate::hook::settings::TcpTarget;

const TELEGRAM: &[u8] = b"/XMX5LGF\r\n\r\n!8A3F\r\n";

async fn listener() -> Listener {
    let mut sink = Listener::new("127.0.0.1:0".to_owned());
    sink.open().await;
    sink
}

async fn join(sink: &Listener, already: usize) -> TcpStream {
    let stream = TcpStream::connect(sink.bound.unwrap()).await.unwrap();
    until("the reader is let in", async || sink.readers() > already).await;
    stream
}

#[tokio::test]
async fn every_reader_gets_every_telegram_and_none_gets_old_ones() {
    let mut sink = listener().await;
    delivered(&mut sink, &telegram(b"nobody was there")).await;
    let mut readers = Vec::new();
    for already in 0..3 {
        readers.push(join(&sink, already).await);
    }
    delivered(&mut sink, &telegram(TELEGRAM)).await;
    for reader in &mut readers {
        let mut heard = vec![0; TELEGRAM.len()];
        reader.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, TELEGRAM);
    }
    drop(readers.pop());
    until("a reader that has gone is forgotten", async || sink.readers() == 2).await;
}

/// A reader that does not read misses telegrams, whole ones, and delays nobody.
#[tokio::test]
async fn a_slow_reader_misses_whole_telegrams_and_delays_nobody() {
    let mut sink = listener().await;
    let (mut slow, mut quick) = (join(&sink, 0).await, join(&sink, 1).await);
    let long = |at: u8| [b"/", vec![at; 1 << 18].as_slice(), b"!"].concat();
    for at in 1..=64 {
        delivered(&mut sink, &telegram(&long(at))).await;
        let mut heard = vec![0; long(at).len()];
        quick.read_exact(&mut heard).await.unwrap();
        assert!(heard == long(at), "the quick one gets telegram {at} at once");
    }
    drop(sink);
    let mut heard = Vec::new();
    // The connection is cut in the middle of a telegram when the sink is dropped, which the reader sees.
    slow.read_to_end(&mut heard).await.ok();
    let whole: Vec<&[u8]> = heard.split_inclusive(|octet| *octet == b'!').collect();
    let (last, before) = whole.split_last().unwrap();
    assert!(whole.len() < 64, "it was slow");
    assert!(
        before.iter().all(|telegram| *telegram == long(telegram[1])),
        "none is cut but the last: {}",
        last.len()
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut sink = Listener::new(address.to_string());
    sink.open().await;
    let tried = sink.deliver(&telegram(TELEGRAM)).await;
    assert!(is_endpoint(&tried) && tried.why.contains(&address.to_string()), "{tried:?}");
    drop(taken);
    delivered(&mut sink, &telegram(TELEGRAM)).await;
    drop(sink);
    until("the port is free again", async || TcpListener::bind(address).await.is_ok()).await;
}

#[tokio::test]
async fn no_more_readers_than_there_are_places() {
    let mut sink = listener().await;
    let mut readers = Vec::new();
    for already in 0..64 {
        readers.push(join(&sink, already).await);
    }
    let mut one_more = TcpStream::connect(sink.bound.unwrap()).await.unwrap();
    assert_eq!(one_more.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is sent away");
    delivered(&mut sink, &telegram(TELEGRAM)).await;
}

#[tokio::test]
async fn a_host_that_hangs_up_is_called_again() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sink = of(&TcpTarget::Connect(host.local_addr().unwrap().to_string()));
    let mut line = None;
    for _ in 0..2 {
        until("the host is called", async || {
            delivered(sink.as_mut(), &telegram(b"")).await;
            let called = tokio::time::timeout(LOOK, host.accept()).await;
            line = called.ok().map(|called| called.unwrap().0);
            line.is_some()
        })
        .await;
        let mut there = line.take().unwrap();
        for _ in 0..2 {
            delivered(sink.as_mut(), &telegram(TELEGRAM)).await;
            let mut heard = vec![0; TELEGRAM.len()];
            there.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, TELEGRAM);
        }
    }
    let address = host.local_addr().unwrap();
    drop(host);
    until("a host that is gone is the endpoint's fault", async || {
        let tried = sink.deliver(&telegram(TELEGRAM)).await;
        is_endpoint(&tried) && tried.why.contains(&address.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_host_that_no_hook_may_speak_to_is_not_called() {
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    // Where nothing is judged, the first of them leads to this machine.
    for host in ["0.0.0.0", "[::ffff:0.0.0.0]", "169.254.169.254", "[fd00:ec2::254]", "224.0.0.1"] {
        let mut sink = of(&TcpTarget::Connect(format!("{host}:{port}")));
        let tried = sink.deliver(&telegram(TELEGRAM)).await;
        assert!(is_endpoint(&tried) && tried.why.contains("no hook may speak to"), "{host}: {tried:?}");
    }
    assert!(tokio::time::timeout(LOOK, victim.accept()).await.is_err(), "nobody was called");
}

/// Time goes on by itself where nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_for_half_a_minute_is_sent_away() {
    let mut sink = listener().await;
    let stuck = join(&sink, 0).await;
    let long = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sink.readers() > 0 {
        delivered(&mut sink, &telegram(&long)).await;
        sent += 1;
        assert!(sent < 1000, "it is never sent away");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(sent >= 30, "half a minute it is waited for: {sent}");
    drop(stuck);
}
