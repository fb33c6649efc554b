//! A VEN that is told to stop while a hook is about something that does not come to an end, or while it starts.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use nix::sys::signal::Signal;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::Span;

use crate::support::{House, Process};

/// Longer than any test takes.
fn hook(listener: &TcpListener) -> String {
    let port = listener.local_addr().unwrap().port();
    format!(
        "[[hook]]\nname = \"ops\"\ntype = \"http\"\ntopics = \"registration.*\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         allow_private = true\ntimeout = \"10m\"\n"
    )
}

/// A request, up to the end of its body of JSON; the connection stays open.
fn request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let (mut request, mut piece) = (String::new(), [0; 4096]);
    while !request.ends_with('}') {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "cut: {request}");
        request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    (stream, request)
}

/// What is told, by the body of a request.
fn fact(request: &str) -> serde_json::Value {
    let fact: serde_json::Value = serde_json::from_str(request.rsplit_once("\r\n\r\n").unwrap().1).unwrap();
    serde_json::json!({"id": fact["id"], "type": fact["type"]})
}

/// How the deliveries of the hook stand.
fn statuses(house: &House) -> Vec<String> {
    let store = rusqlite::Connection::open(house.path("state/ven.db")).unwrap();
    let mut statement = store.prepare("SELECT status FROM delivery ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ven_ends_in_good_order_though_a_hook_is_stuck_and_tells_it_after_the_next_start() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = house.configure(&vtn.url(), &hook(&listener));
    let ven = Process::ven(&configuration);
    tokio::task::block_in_place(|| {
        let (stream, before) = request(&listener);
        // Well before the ten minutes that the hook would wait for an answer.
        ven.terminate();
        assert!(statuses(&house).iter().all(|status| status == "waiting"), "{:?}", statuses(&house));
        assert!(!statuses(&house).is_empty());
        drop(stream);
        let ven = Process::ven(&configuration);
        let (mut stream, again) = request(&listener);
        assert_eq!(fact(&again), fact(&before), "the same fact, by the same id");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        drop(listener);
        ven.terminate();
    });
    assert_eq!(statuses(&house)[0], "sent");
    assert_eq!(vtn.stop().await.violations, [""; 0]);
}

/// By the very program for which it waits.
#[test]
fn a_ven_that_is_told_to_stop_while_it_starts_ends_in_good_order() {
    let house = House::new(KeyKind::P256);
    let script = r#"
echo '{"v":[1],"name":"guard","kinds":["event"],"topics":[]}'
read -r initialize
kill -TERM $PPID
read -r nothing
"#;
    std::fs::write(house.path("guard.sh"), script).unwrap();
    let plugin = format!(
        "[[plugin]]\nname = \"guard\"\nstartup = \"error\"\ncommand = [\"/bin/sh\", \"{}\"]\n",
        house.path("guard.sh").display()
    );
    let mut ven = Process::ven(&house.configure("https://localhost:1", &plugin));
    let status = ven.wait();
    assert!(status.success(), "{status}; the log:\n{}", ven.log().join("\n"));
    ven.wait_for("stopping before all of it has started", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tells_it_twice_to_stop_waits_for_nothing() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ven = Process::ven(&house.configure(&vtn.url(), &hook(&listener)));
    tokio::task::block_in_place(|| {
        let (_stream, _) = request(&listener);
        ven.signal(Signal::SIGTERM);
        let stopping = ven.wait_for("stopping", 0);
        ven.signal(Signal::SIGTERM);
        let status = ven.wait();
        assert_eq!(status.code(), Some(1), "it is no good order: {status}");
        ven.wait_for("told twice to stop", stopping);
    });
    assert!(statuses(&house).iter().all(|status| status == "waiting"), "{:?}", statuses(&house));
}
