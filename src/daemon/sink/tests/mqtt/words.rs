//! What is told, without a broker.

use std::path::PathBuf;

use tokio::net::TcpListener;

use super::{MqttSink, MqttTarget, Sink as _, is_endpoint, reading, target};

fn refused(target: &MqttTarget) -> String {
    MqttSink::new(target).err().unwrap()
}

#[test]
fn a_target_that_cannot_be_used_is_refused_with_what_to_do() {
    let with_url = |url: &str| refused(&MqttTarget { url: url.to_owned(), ..target(1) });
    for (url, why) in [
        ("http://broker", "it is neither mqtt nor mqtts"),
        ("broker:1883", "it is neither mqtt nor mqtts"),
        ("mqtt://ven:secret@broker", "credentials do not belong into it; set username and password"),
        ("mqtt://broker/topic", "there is something behind the host; topics are set by base"),
        ("mqtt://broker:99999", "the port is none"),
    ] {
        let fault = with_url(url);
        assert!(
            fault.contains(why) && fault.ends_with("expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"),
            "{fault}"
        );
        assert!(!fault.contains("secret"), "{fault}");
    }
    assert_eq!(refused(&MqttTarget { qos: 3, ..target(1) }), "qos = 3; expected 0, 1 or 2");
    assert!(refused(&MqttTarget { base: "ven/#".to_owned(), ..target(1) }).starts_with("base: "));
    assert!(
        refused(&MqttTarget { client_id: String::new(), ..target(1) }).starts_with("client_id: it is empty")
    );
    assert!(refused(&MqttTarget { password: Some("x".to_owned()), ..target(1) }).starts_with("password: "));
    let secure =
        MqttTarget { url: "mqtts://broker".to_owned(), ca: Some(PathBuf::from("/no/ca")), ..target(1) };
    assert!(refused(&secure).starts_with("ca: /no/ca: "), "{}", refused(&secure));
}

#[test]
fn secrets_are_not_shown() {
    let target =
        MqttTarget { username: Some("ven".to_owned()), password: Some("hunter2".to_owned()), ..target(1) };
    assert!(!format!("{target:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_broker_that_no_hook_may_speak_to_is_not_called() {
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = victim.local_addr().unwrap().port();
    // Where nothing is judged, the first of them leads to this machine.
    for host in ["0.0.0.0", "[::ffff:0.0.0.0]", "169.254.169.254", "[fd00:ec2::254]"] {
        let url = format!("mqtt://{host}:{port}");
        let mut sink = MqttSink::new(&MqttTarget { url, ..target(port) }).unwrap();
        let tried = sink.deliver(&reading("main", "1")).await;
        assert!(is_endpoint(&tried) && tried.why.contains("no hook may speak to"), "{host}: {tried:?}");
    }
    let called = tokio::time::timeout(std::time::Duration::from_millis(200), victim.accept()).await;
    assert!(called.is_err(), "nobody was called");
}
