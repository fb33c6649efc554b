//! A broker (Mosquitto), and one of its own programs that listens.

mod words;

use serde_json::{Value, json};

use super::super::Message;
use super::super::mqtt::MqttSink;
use super::{Outcome, Sink, delivered, fact, is_endpoint, noon, of, telegram, until};
use crate::daemon::status::Status;
use crate::hook::settings::{Layout, MqttTarget};
use crate::test_support::mosquitto::{Broker, Listener};
use crate::time::Span;

fn target(port: u16) -> MqttTarget {
    MqttTarget {
        url: format!("mqtt://127.0.0.1:{port}"),
        username: None,
        password: None,
        client_id: "ven-1".to_owned(),
        base: "ven/house".to_owned(),
        layout: Layout::Json,
        qos: 1,
        retain: true,
        on_change: false,
        discovery: Some("homeassistant".to_owned()),
        expire_after: Some(Span::from_seconds(60)),
        events: true,
        main_meter: Some("main".to_owned()),
        ca: None,
    }
}

fn reading(meter: &str, net_w: &str) -> Message {
    let data = json!({
        "operation": "reading", "meter": meter, "timestamp": "2030-01-02T12:00:00Z", "import_kwh": "12345.678", "net_w": net_w,
        "voltage_l1_v": "230.1", "gas_m3": "2400.123", "gas_at": "2030-01-02T11:55:00Z",
    });
    of(&fact("meter.reading", Some(meter), data))
}

fn event(what: &str, more: &Value) -> Message {
    let mut data = json!({"event_id": "e1", "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T19:00:00Z"});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    of(&fact(what, Some("e1"), data))
}

fn interval(level: u8) -> Message {
    let (start, end) = ("2030-01-02T17:00:00Z", "2030-01-02T19:00:00Z");
    event(
        "event.interval",
        &json!({"event_start": start, "event_end": end, "level": level, "overridden_by": null}),
    )
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

#[tokio::test]
async fn who_comes_later_finds_readings_and_how_it_stands_with_events() {
    let Some(broker) = Broker::start(&[]).await else { return };
    let mut sink = MqttSink::new(&target(broker.port)).unwrap();
    let opt = event("opt.decided", &json!({"opt": "optIn"}));
    for message in [
        &reading("main", "417"),
        &reading("barn/1", "9"),
        &opt,
        &event("event.started", &json!({})),
        &interval(2),
    ] {
        delivered(&mut sink, message).await;
    }
    let mut listener = Listener::start(&broker, "ven/#");
    assert_eq!(listener.hears("ven/house/availability").await, (true, b"online".to_vec()));
    assert_eq!(listener.hears("ven/house/meter").await, (true, reading("main", "417").body));
    assert_eq!(parsed(&listener.hears("ven/house/meter/reading/barn_1").await.1)["net_w"], "9");
    assert_eq!(parsed(&listener.hears("ven/house/event/interval").await.1)["level"], 2);
    let expected = json!({
        "active": true, "event_id": "e1", "level": 2, "price": null, "opt": "optIn",
        "start": "2030-01-02T17:00:00Z", "end": "2030-01-02T19:00:00Z",
    });
    assert_eq!(parsed(&listener.hears("ven/house/event").await.1), expected);
    delivered(&mut sink, &event("event.completed", &json!({}))).await;
    listener.until("ven/house/event", |payload| parsed(payload)["active"] == false).await;
}

#[tokio::test]
async fn home_assistant_is_told_what_there_is_and_again_when_it_starts() {
    let Some(broker) = Broker::start(&[]).await else { return };
    let mut sink = MqttSink::new(&target(broker.port)).unwrap();
    delivered(&mut sink, &reading("main", "417")).await;
    let mut listener = Listener::start(&broker, "homeassistant/#");
    let (retained, config) = listener.hears("homeassistant/device/ven-1/config").await;
    assert!(retained);
    let config = parsed(&config);
    assert_eq!(config["availability_topic"], "ven/house/availability");
    assert_eq!(
        config["components"]["main_import_kwh"],
        json!({
            "platform": "sensor", "unique_id": "ven-1_main_import_kwh", "name": "Import energy", "state_topic": "ven/house/meter",
            "value_template": "{{ value_json['import_kwh'] }}", "state_class": "total_increasing", "device_class": "energy",
            "unit_of_measurement": "kWh", "expire_after": 60,
        })
    );
    let of = |id: &str, what: &str| config["components"][id][what].clone();
    assert_eq!(
        (of("main_net_w", "device_class"), of("main_net_w", "state_class")),
        (json!("power"), json!("measurement"))
    );
    assert_eq!(
        (of("main_voltage_l1_v", "device_class"), of("main_gas_m3", "device_class")),
        (json!("voltage"), json!("gas"))
    );
    assert_eq!(
        (of("main_gas_m3", "unit_of_measurement"), of("main_gas_at", "name")),
        (json!("m³"), Value::Null)
    );
    assert_eq!(
        (of("event_active", "platform"), of("event_active", "payload_on")),
        (json!("binary_sensor"), json!("true"))
    );
    assert_eq!(
        (of("event_opt", "options"), of("event_level", "state_topic")),
        (json!(["optIn", "optOut"]), json!("ven/house/event"))
    );

    broker.publish("homeassistant/status", "online").await;
    let (retained, again) = listener.hears("homeassistant/device/ven-1/config").await;
    assert!(!retained && parsed(&again) == config, "it is sent anew");
    delivered(&mut sink, &reading("barn", "5")).await;
    let (_, more) = listener.hears("homeassistant/device/ven-1/config").await;
    let barn = &parsed(&more)["components"]["barn_net_w"];
    assert_eq!(
        (&barn["name"], &barn["state_topic"]),
        (&json!("barn Net power"), &json!("ven/house/meter/reading/barn"))
    );
}

#[tokio::test]
async fn readers_know_that_we_are_gone_with_and_without_a_goodbye() {
    let Some(broker) = Broker::start(&[]).await else { return };
    for goodbye in [false, true] {
        let mut sink = MqttSink::new(&target(broker.port)).unwrap();
        sink.open().await;
        let mut listener = Listener::start(&broker, "ven/house/availability");
        listener.until("ven/house/availability", |payload| payload == b"online").await;
        if goodbye {
            sink.close().await;
            let mut later = Listener::start(&broker, "ven/house/availability");
            assert_eq!(
                later.hears("ven/house/availability").await,
                (true, b"offline".to_vec()),
                "it is there when close ends"
            );
        }
        drop(sink);
        listener.until("ven/house/availability", |payload| payload == b"offline").await;
    }
}

#[tokio::test]
async fn a_broker_that_comes_back_empty_is_told_everything_anew() {
    let Some(mut broker) = Broker::start(&[]).await else { return };
    let mut sink = MqttSink::new(&MqttTarget { on_change: true, ..target(broker.port) }).unwrap();
    let message = reading("main", "417");
    delivered(&mut sink, &message).await;
    broker.stop().await;
    until("the broker is missed", async || is_endpoint(&sink.deliver(&message).await)).await;
    let tried = sink.deliver(&message).await;
    assert!(tried.why.starts_with(&format!("broker 127.0.0.1:{}: ", broker.port)), "{}", tried.why);
    assert!(broker.run(&[]).await, "its port is free again");
    until("it is found again", async || sink.deliver(&message).await.outcome == Outcome::Sent).await;
    let mut listener = Listener::start(&broker, "#");
    listener.until("ven/house/availability", |payload| payload == b"online").await;
    let mut listener = Listener::start(&broker, "#");
    assert!(listener.hears("homeassistant/device/ven-1/config").await.0);
    assert_eq!(Listener::start(&broker, "#").hears("ven/house/meter").await, (true, message.body));
}

#[tokio::test]
async fn a_broker_that_does_not_want_us_is_the_endpoints_fault() {
    let Some(broker) = Broker::start(&["allow_anonymous false"]).await else { return };
    let user = |name: &str| Some(name.to_owned());
    let target = MqttTarget { username: user("ven"), password: user("wrong"), ..target(broker.port) };
    let tried = MqttSink::new(&target).unwrap().deliver(&reading("main", "417")).await;
    assert!(is_endpoint(&tried) && tried.why.contains("refused"), "{tried:?}");
}

#[tokio::test]
async fn only_what_changes_is_told_each_value_in_its_own_topic() {
    let Some(broker) = Broker::start(&[]).await else { return };
    let target = MqttTarget { layout: Layout::Split, on_change: true, retain: false, ..target(broker.port) };
    let mut sink = MqttSink::new(&target).unwrap();
    sink.open().await;
    let mut listener = Listener::start(&broker, "ven/#");
    listener.until("ven/house/availability", |payload| payload == b"online").await;
    for net_w in ["417", "417", "418"] {
        delivered(&mut sink, &reading("main", net_w)).await;
    }
    // After half of what it may be silent, all is told again.
    let later = Message { at: noon() + Span::from_seconds(30), ..reading("main", "418") };
    delivered(&mut sink, &later).await;
    for (topic, payload) in [
        ("ven/house/meter/net_w", "417"),
        ("ven/house/meter/net_w", "418"),
        ("ven/house/meter/import_kwh", "12345.678"),
    ] {
        assert_eq!(listener.hears(topic).await, (false, payload.as_bytes().to_vec()));
    }
    assert_eq!(
        listener.hears("ven/house/meter/net_w").await.1,
        b"418",
        "once more, and not before the others"
    );
    let heard: Vec<_> = listener.heard.iter().filter(|topic| topic.ends_with("/import_kwh")).collect();
    assert_eq!(heard.len(), 2, "{:?}", listener.heard);
}

#[tokio::test]
async fn a_raw_telegram_comes_byte_by_byte() {
    let Some(broker) = Broker::start(&[]).await else { return };
    let mut sink = MqttSink::new(&MqttTarget { layout: Layout::Raw, ..target(broker.port) }).unwrap();
    let bytes: Vec<u8> = [b"/XMX5LGF\r\n\r\n".as_slice(), &[0, 0x80, 0xFF], b"\r\n!8A3F\r\n"].concat();
    delivered(&mut sink, &telegram(&bytes)).await;
    let mut listener = Listener::start(&broker, "ven/#");
    assert_eq!(listener.hears("ven/house/meter/telegram").await, (true, bytes));
    let long = Message { body: vec![b'x'; 1 << 20], ..reading("main", "417") };
    assert_eq!(sink.deliver(&long).await.outcome, Outcome::Payload, "others may be taken");
    delivered(&mut sink, &reading("main", "417")).await;
}

#[tokio::test]
async fn a_broker_that_has_forgotten_is_told_how_things_stand_though_nothing_happens() {
    let Some(mut broker) = Broker::start(&[]).await else { return };
    let mut sink = MqttSink::new(&MqttTarget { expire_after: None, ..target(broker.port) }).unwrap();
    let (message, opt) = (reading("main", "417"), event("opt.decided", &json!({"opt": "optIn"})));
    for message in [&message, &opt, &event("event.started", &json!({})), &interval(2)] {
        delivered(&mut sink, message).await;
    }
    broker.stop().await;
    until("its port is free again", async || broker.run(&[]).await).await;
    let mut listener = Listener::start(&broker, "#");
    listener.until("ven/house/event", |payload| parsed(payload)["level"] == 2).await;
    assert_eq!(listener.hears("ven/house/meter").await.1, message.body);
    listener.until("ven/house/availability", |payload| payload == b"online").await;
    drop(sink);
}

#[tokio::test]
async fn a_ven_that_starts_again_tells_how_it_stands_before_anything_happens() {
    let Some(broker) = Broker::start(&[]).await else { return };
    let mut old = MqttSink::new(&target(broker.port)).unwrap();
    delivered(&mut old, &event("event.started", &json!({"event_id": "over"}))).await;
    drop(old);
    let mut status = Status::default();
    let mut sink = MqttSink::new(&target(broker.port)).unwrap();
    sink.stands(&status);
    sink.open().await;
    let mut listener = Listener::start(&broker, "ven/house/event");
    let nothing = |payload: &[u8]| parsed(payload)["event_id"].is_null();
    listener.until("ven/house/event", nothing).await;
    drop(sink);
    let e2 = json!({
        "modification": 0, "market_context": "m", "priority": null, "test": false, "start": "2030-01-02T17:00:00Z", "end": null,
        "active": true, "cancelled": false, "opt": "optIn", "decided_by": "rules", "answered": true, "values": {"SIMPLE": "2"},
        "overridden_by": null,
    });
    status.events.insert("e2".into(), serde_json::from_value(e2).unwrap());
    let mut sink = MqttSink::new(&target(broker.port)).unwrap();
    sink.stands(&status);
    sink.open().await;
    let runs = |payload: &[u8]| {
        let event = parsed(payload);
        event["event_id"] == "e2" && event["active"] == true && event["opt"] == "optIn" && event["level"] == 2
    };
    listener.until("ven/house/event", runs).await;
}
