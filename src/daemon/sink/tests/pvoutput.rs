use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::pvoutput::PvOutputSink;
use super::{Message, Outcome, Sink, delivered, fact, noon, of};
use crate::fact::Topics;
use crate::hook::settings::{
    Batching, HookSettings, PvOutputTarget, QueueLimits, RetrySettings, Target, TimeZone, Words,
};
use crate::time::Span;

fn target(url: String) -> PvOutputTarget {
    PvOutputTarget {
        url,
        system_id: "22222".to_owned(),
        api_key: "secret-key".to_owned(),
        timezone: TimeZone::Named("Europe/Amsterdam".to_owned()),
        offset: Span::ZERO,
        processing_delay: Some(Span::from_seconds(600)),
        max_age: Span::from_seconds(14 * 86_400),
        ca: None,
    }
}

fn settings(target: &PvOutputTarget) -> HookSettings {
    HookSettings {
        name: "pvoutput".to_owned(),
        enabled: true,
        topics: Topics::all(),
        filter: None,
        durable_always: false,
        strict_order: true,
        timeout: Span::from_seconds(60),
        queue: QueueLimits::CONTROL,
        meter_queue: QueueLimits::METER,
        batch: Batching { max_items: 30, max_wait: Span::ZERO },
        min_interval: Span::ZERO,
        on_change: false,
        retry: RetrySettings::default(),
        words: Words::default(),
        target: Target::PvOutput(target.clone()),
    }
}

fn sink(url: String) -> PvOutputSink {
    let target = target(url);
    PvOutputSink::new(&settings(&target), &target).unwrap()
}

/// Answers each request with the next of these, and returns where, and the texts of all requests.
async fn service(answers: &[(&str, &str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, body)| {
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        })
        .collect();
    let requests = seen.clone();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut piece) = (String::new(), [0; 4096]);
            // Every request ends with this field.
            while !request.ends_with("n=1") {
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "cut: {request}");
                request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            requests.lock().unwrap().push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

fn slots(ends: &[&str]) -> Message {
    let slot = |end: &&str| {
        let data = json!({"end": end, "date": &end[..10], "day_import_kwh": "4.2", "net_w": "-408"});
        fact("meter.interval", Some("main"), data)
    };
    let facts: Vec<_> = ends.iter().map(slot).collect();
    Message { facts: facts.clone(), ..of(&facts[0]) }
}

#[tokio::test]
async fn slots_reach_the_service_alone_or_as_a_batch() {
    let batch = "20300102,12:55,1;20300102,13:00,1";
    let (url, seen) = service(&[("200 OK", "OK 200: Added Status"), ("200 OK", batch)]).await;
    let mut sink = sink(url);
    delivered(&mut sink, &slots(&["2030-01-02T11:55:00Z"])).await;
    delivered(&mut sink, &slots(&["2030-01-02T11:55:00Z", "2030-01-02T12:00:00Z"])).await;
    let seen = seen.lock().unwrap().clone();
    let (one, several) = (seen[0].to_lowercase(), seen[1].to_lowercase());
    assert!(one.starts_with("post /service/r2/addstatus.jsp http/1.1\r\n"), "{one}");
    assert!(several.starts_with("post /service/r2/addbatchstatus.jsp http/1.1\r\n"), "{several}");
    for request in [&one, &several] {
        for header in [
            "x-pvoutput-apikey: secret-key",
            "x-pvoutput-systemid: 22222",
            "content-type: application/x-www-form-urlencoded",
        ] {
            assert!(request.contains(&format!("{header}\r\n")), "{request}");
        }
    }
    assert!(one.ends_with("\r\n\r\nd=20300102&t=12%3a55&v3=4200&v4=-408&delay=10&n=1"), "{one}");
    let data = "data=20300102%2c12%3a55%2c%2c%2c4200%2c-408%3b20300102%2c13%3a00%2c%2c%2c4200%2c-408&n=1";
    assert!(several.ends_with(data), "{several}");
}

#[tokio::test]
async fn the_limit_of_an_hour_waits_and_a_bad_value_does_not() {
    let (url, _) = service(&[
        ("403 Forbidden", "Forbidden 403: Exceeded 60 requests per hour"),
        ("400 Bad Request", "Bad request 400: Moon Powered [123]"),
    ])
    .await;
    let mut sink = sink(url);
    let message = slots(&["2030-01-02T11:55:00Z"]);
    let limited = sink.deliver(&message).await;
    assert_eq!(
        limited.outcome,
        Outcome::Endpoint { retry_after: Some(Span::from_seconds(3630)) },
        "{}",
        limited.why
    );
    let refused = sink.deliver(&message).await;
    assert_eq!(
        (refused.outcome, refused.why.as_str()),
        (Outcome::Payload, "Bad request 400: Moon Powered [123]")
    );
}

/// Nobody listens there, and nobody is asked.
#[tokio::test]
async fn a_slot_that_is_too_old_is_not_sent() {
    let message = slots(&["2030-01-02T11:55:00Z"]);
    let later = Message { at: noon() + Span::from_seconds(15 * 86_400), ..message };
    let tried = sink("http://127.0.0.1:1".to_owned()).deliver(&later).await;
    assert_eq!(tried.outcome, Outcome::Payload);
    assert!(tried.why.contains("too old"), "{}", tried.why);
}

#[test]
fn what_the_service_would_refuse_is_refused_at_once() {
    let good = target("http://127.0.0.1:1".to_owned());
    let refused =
        |settings: &HookSettings, target: &PvOutputTarget| PvOutputSink::new(settings, target).err().unwrap();
    let batch = Batching { max_items: 31, max_wait: Span::ZERO };
    let many = HookSettings { batch, ..settings(&good) };
    assert_eq!(refused(&many, &good), "batch: max_items = 31; PVOutput takes at most 30 at once");
    let keyless = PvOutputTarget { api_key: String::new(), ..good.clone() };
    assert!(refused(&settings(&good), &keyless).starts_with("api_key: it is empty"));
    let nowhere = PvOutputTarget { timezone: TimeZone::Named("Mars/North".to_owned()), ..good.clone() };
    assert!(
        refused(&settings(&good), &nowhere).starts_with("timezone: no time zone is called \"Mars/North\"")
    );
    assert!(!format!("{good:?}").contains("secret-key"));
}
