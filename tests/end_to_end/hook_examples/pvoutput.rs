//! `pvoutput.toml`: two accounts at a service that behaves as pvoutput.org does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::time::Timestamp;
use openadr_ven::{Config, Ven};

use super::receiver::{Answer, Receiver, Request};
use super::{Example, NO_VTN, hooks, telegram};
use crate::support::{House, TOKEN, until};

const EXCEEDED: Answer = ("403 Forbidden", String::new());

/// What the clock on the wall says; a slot of five minutes is over when the test says so.
static WALL: AtomicI64 = AtomicI64::new(0);

fn wall() -> Timestamp {
    Timestamp::from_micros(WALL.load(Ordering::SeqCst))
}

/// Accepts what fits, and says of the rest what the service says.
fn judge(request: &Request, limited: bool) -> Answer {
    let key = match request.header("x-pvoutput-systemid") {
        "11111" => "key of the roof",
        "22222" => "key of the garage",
        other => return ("401 Unauthorized", format!("Unauthorized 401: Invalid System ID {other}")),
    };
    if request.header("x-pvoutput-apikey") != key {
        return ("401 Unauthorized", "Unauthorized 401: Invalid API Key".into());
    }
    if request.header("content-type") != "application/x-www-form-urlencoded" {
        return ("400 Bad Request", "Bad request 400: No parameters".into());
    }
    if limited {
        return (EXCEEDED.0, "Forbidden 403: Exceeded 60 requests per hour".into());
    }
    let form = request.form();
    let fits = |date: &str, time: &str| {
        date.len() == 8 && date.bytes().all(|octet| octet.is_ascii_digit()) && time.len() == 5
    };
    match request.line.as_str() {
        "POST /service/r2/addstatus.jsp" if fits(&form["d"], &form["t"]) => {
            ("200 OK", "OK 200: Added Status".into())
        }
        "POST /service/r2/addbatchstatus.jsp" => {
            let slots: Vec<Vec<&str>> =
                form["data"].split(';').map(|slot| slot.split(',').collect()).collect();
            let added = |slot: &Vec<&str>| {
                let fits = slot.len() == 6 && fits(slot[0], slot[1]);
                format!("{},{},{}", slot[0], slot[1], i32::from(fits))
            };
            ("200 OK", slots.iter().map(added).collect::<Vec<_>>().join(";"))
        }
        line => ("400 Bad Request", format!("Bad request 400: {line}")),
    }
}

/// The example with its meter read from the local API.
fn configuration(house: &House, port: u16) -> PathBuf {
    house.write_secret("token", &format!("{TOKEN}\n"));
    let url = format!("url = \"http://127.0.0.1:{port}\"");
    let http = "[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"test\"\n\
                token = \"${file:token}\"\nscopes = [\"read\", \"meter\"]";
    Example::of("pvoutput", house, NO_VTN)
        .with("serial:/dev/serial/by-id/usb-P1", "api")
        .below("system_id = ", &url)
        .secret(house, "/etc/ven/pvoutput-roof.key", "key of the roof")
        .secret(house, "/etc/ven/pvoutput-garage.key", "key of the garage")
        .and(http)
        .save(house)
}

/// A telegram comes at that time.
fn comes(api: SocketAddr, at: &jiff::Zoned, import_kwh: &str, export_kwh: &str) {
    WALL.store(at.timestamp().as_microsecond(), Ordering::SeqCst);
    let body = telegram(import_kwh, export_kwh);
    let mut stream = TcpStream::connect(api).unwrap();
    let head = format!(
        "POST /v1/meter/telegrams HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-AUTHKEY: {TOKEN}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// What Prometheus is told.
fn numbers(api: SocketAddr) -> String {
    let mut stream = TcpStream::connect(api).unwrap();
    let head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ";
    stream.write_all(format!("{head}{TOKEN}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The midnight of this machine after the certificates were made.
fn midnight(house: &House) -> jiff::Zoned {
    let made = std::fs::metadata(house.path("certs/ca.pem")).unwrap().modified().unwrap();
    let made = jiff::Timestamp::try_from(made).unwrap().to_zoned(TimeZone::system());
    made.tomorrow().unwrap().start_of_day().unwrap()
}

/// What one system was told, as its forms.
fn told(seen: &[Request], system: &str) -> Vec<String> {
    let of_system = seen.iter().filter(|request| request.header("x-pvoutput-systemid") == system);
    let text = |request: &Request| {
        let form = request.form();
        form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    of_system.map(text).collect()
}

fn waiting(configuration: &Path, hook: &str) -> u64 {
    let (fine, listed) = hooks(configuration, &["list", "--json"]);
    assert!(fine, "{listed}");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let hook = listed.as_array().unwrap().iter().find(|line| line["name"] == hook).unwrap();
    hook["waiting"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pvoutput_gets_each_slot_in_local_time_and_what_has_waited_in_one_request() {
    let house = House::new(KeyKind::P256);
    let limited = Arc::new(AtomicBool::new(true));
    let service = Receiver::start({
        let limited = limited.clone();
        move |request| {
            let garage = request.header("x-pvoutput-systemid") == "22222";
            judge(request, garage && limited.load(Ordering::SeqCst))
        }
    });
    let file = configuration(&house, service.port);
    let midnight = midnight(&house);
    let at = |minutes: i64| midnight.checked_add(minutes.minutes()).unwrap();
    WALL.store(at(-6).timestamp().as_microsecond(), Ordering::SeqCst);
    let ven = Ven::builder(Config::load(&file).unwrap()).wall_clock(wall).start().await.unwrap();
    let api = ven.http_address().unwrap();
    let (old, new) = (at(-1).strftime("%Y%m%d").to_string(), at(1).strftime("%Y%m%d").to_string());
    tokio::task::block_in_place(|| {
        comes(api, &at(-5), "000100.000", "000050.000");
        // 30 Wh net in five minutes; the energy since the midnight before was not measured from its beginning.
        comes(api, &at(0), "000100.050", "000050.020");
        let of_roof = |count: usize| {
            service.wait_until(&format!("slot {count} of the roof"), |seen| {
                let told = told(seen, "11111");
                (told.len() >= count).then_some(told)
            })
        };
        assert_eq!(of_roof(1), [format!("d={old}&n=1&t=23:59&v4=360")]);
        // The clock goes on when all that happened is known.
        let waits = |count: u64| until("the garage waits", || waiting(&file, "pvoutput-garage") == count);
        waits(1);
        comes(api, &at(5), "000100.133", "000050.040");
        waits(2);
        comes(api, &at(10), "000100.200", "000050.040");
        let expected = [
            format!("d={old}&n=1&t=23:59&v4=360"),
            format!("d={new}&n=1&t=00:05&v3=83&v4=756"),
            format!("d={new}&n=1&t=00:10&v3=150&v4=804"),
        ];
        assert_eq!(of_roof(3), expected);

        // The garage has asked too often; it waits for the next hour, unless somebody will not.
        waits(3);
        let tries = told(&service.seen(), "22222").len();
        assert!(tries >= 1 && told(&service.seen(), "22222").iter().all(|form| *form == expected[0]));
        let (_, listed) = hooks(&file, &["list"]);
        assert!(listed.contains("failing") && listed.contains("Exceeded 60 requests per hour"), "{listed}");
        let (_, shown) = hooks(&file, &["show", "pvoutput-garage"]);
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in ["state failing waiting 3 waiting since ", " sent 0 lost 0 tried again ", "403"] {
            assert!(shown.contains(text), "{text} is not in\n{shown}");
        }
        let metrics = numbers(api);
        for line in [
            "ven_hook_waiting{hook=\"pvoutput-garage\"} 3",
            "ven_hook_waiting{hook=\"pvoutput-roof\"} 0",
            "ven_hook_sent_total{hook=\"pvoutput-roof\"} 3",
            "ven_hook_oldest_seconds{hook=\"pvoutput-garage\"} 600",
            "ven_dropped_total{reader=\"pvoutput-garage\",reason=\"expired\"} 0",
        ] {
            assert!(metrics.contains(&format!("{line}\n")), "{line} is not in\n{metrics}");
        }
        limited.store(false, Ordering::SeqCst);
        assert!(hooks(&file, &["send", "pvoutput-garage"]).0);
        let all = service.wait_until("the rest of the garage", |seen| {
            let told = told(seen, "22222");
            told.last()?.starts_with("data=").then_some(told)
        });
        let batch = format!("data={new},00:05,,,83,756;{new},00:10,,,150,804&n=1");
        assert_eq!(all[tries..], [expected[0].clone(), batch]);
        until("nothing of the garage waits", || waiting(&file, "pvoutput-garage") == 0);
    });
    ven.stop().await;
}
