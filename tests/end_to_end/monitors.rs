//! Monitors of the configuration: who reads one over TCP is told what the VTN wants, and goes on where it was.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{KeyKind, MockVtn};
use openadr_ven::time::Span;
use serde_json::Value;

use crate::support::{House, PATIENCE, Process, TOKEN, happens};

/// A VEN with a monitor that is confirmed block by block.
fn start(house: &House, vtn: &MockVtn) -> Process {
    let explicit = ("[push_monitor]", "ack = \"explicit\"\n\n[push_monitor]");
    Process::ven(&house.configure_monitors(&vtn.url(), &[explicit]))
}

/// A client of the frames: a type of two octets, a length of four, a body.
struct Client {
    stream: TcpStream,
}

impl Client {
    /// Says who it is to the VEN, wherever that listens; what it is answered.
    fn connect(ven: &Process, token: &str) -> (Self, u16) {
        let mut stream = TcpStream::connect(ven.address("monitors are pushed at tcp://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let body = [&[0, 1][..], &text("pump"), &text(token), &7_u32.to_be_bytes()].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        stream.write_all(&[&[0, 1][..], &length, &body].concat()).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..6], [0, 2, 0, 0, 0, 4], "ConnectionResponse");
        (Self { stream }, u16::from_be_bytes([answer[6], answer[7]]))
    }

    /// The number of the next block, and its one message.
    fn block(&mut self) -> (u16, Value) {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).unwrap();
        assert_eq!((&header[..2], &header[8..12]), (&[0, 3][..], &[0, 1, 0, 1][..]), "one message, as JSON");
        let size = u32::from_be_bytes(header[12..].try_into().unwrap());
        let mut payload = vec![0; usize::try_from(size).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        let document: Value = serde_json::from_slice(&payload).unwrap();
        (u16::from_be_bytes([header[6], header[7]]), document["Document"]["Msg"].clone())
    }

    fn has(&mut self, block: u16) {
        self.stream.write_all(&[&[0, 4, 0, 0, 0, 4], &block.to_be_bytes()[..], &[0, 200]].concat()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_of_the_configuration_is_told_of_events_and_resumes_behind_what_it_confirmed() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let told = |(block, message): (u16, Value)| {
        assert_eq!(message["topic"], "event.received", "{message}");
        (block, message["subject"].as_str().unwrap().to_owned())
    };
    let ven = start(&house, &vtn);
    assert!(
        vtn.until(PATIENCE, |core| core.received.iter().any(|(_, kind)| *kind == PayloadKind::Poll)).await
    );
    tokio::task::block_in_place(|| {
        assert_eq!(Client::connect(&ven, "ven_guess").1, 403);
        let (mut client, status) = Client::connect(&ven, TOKEN);
        assert_eq!(status, 200);
        happens(&vtn, "first");
        let (block, event) = told(client.block());
        assert_eq!(event, "first");
        client.has(block);
        happens(&vtn, "second");
        assert_eq!(told(client.block()).1, "second", "which is not confirmed");
        drop(client);
        let (mut client, _) = Client::connect(&ven, TOKEN);
        let (block, event) = told(client.block());
        assert_eq!(event, "second", "what was confirmed does not come again");
        client.has(block);
        happens(&vtn, "third");
        assert_eq!(told(client.block()).1, "third");
    });
    // How far the reader is, outlives the VEN, and so does what it has not confirmed.
    ven.terminate();
    let ven = start(&house, &vtn);
    tokio::task::block_in_place(|| {
        let (mut client, status) = Client::connect(&ven, TOKEN);
        assert_eq!((status, told(client.block()).1.as_str()), (200, "third"));
    });
    ven.terminate();
    assert_eq!(vtn.stop().await.violations, [""; 0]);
}
