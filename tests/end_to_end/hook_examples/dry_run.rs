//! `ven hooks test NAME --dry-run` on every hook of every example: what would be sent is shown, and nothing is.

use std::net::TcpListener;

use openadr_ven::mock_vtn::KeyKind;

use super::{Example, NO_VTN, hooks};
use crate::support::House;

/// File, hook, and what has to be shown of its request.
const SHOWN: &[(&str, &str, &[&str])] = &[
    (
        "pvoutput",
        "pvoutput-roof",
        &[
            "POST http://HOST/service/r2/addstatus.jsp\n",
            "X-Pvoutput-Apikey: ${file:",
            "X-Pvoutput-SystemId: 11111\n",
            "content-type: application/x-www-form-urlencoded\n\n",
            "d=20300102&t=",
            "&v3=4200&v4=408&n=1\n",
        ],
    ),
    ("pvoutput", "pvoutput-garage", &["X-Pvoutput-SystemId: 22222\n", "&v4=408&n=1\n"]),
    ("serial-copy", "p1-copy", &["serial to ", "\n\n/XMX5LGF\r\n"]),
    ("serial-copy", "p1-network", &["tcp to whoever connects to ", "\n\n/XMX5LGF\r\n"]),
    (
        "telegram-forward",
        "second-house",
        &[
            "POST http://HOST/api/v1/datalogger/dsmrreading\n",
            "X-AUTHKEY: ${env:DSMR_KEY}\n",
            "content-type: application/x-www-form-urlencoded\n\n",
            "telegram=%2FXMX5LGF%0D%0A\n",
        ],
    ),
    (
        "readings-api",
        "my-service",
        &[
            "POST http://HOST/readings\nAuthorization: Bearer ${file:",
            "content-type: application/json\n\n{\"at\": \"2030-01-02T",
            "\"meter\": \"main\", \"watt\": 417, \"kwh\": 12345.678}\n",
        ],
    ),
    (
        "home-assistant",
        "home-assistant",
        &["mqtt to mqtt://HOST ven/house\n\n", "ven/house/", "(retained)\n"],
    ),
    (
        "operations",
        "operations",
        &[
            "POST http://HOST/ven\n",
            "webhook-id: ",
            "webhook-signature: by the secret\n",
            "\"type\":\"event.",
        ],
    ),
    ("operations", "journal", &["file to ", "\n\n{\"specversion\":\"1.0\""]),
    ("operations", "siren", &["exec to ", "siren.sh --long\n\n{", "\"type\":\"event.interval\""]),
];

#[test]
fn a_dry_run_of_each_example_shows_the_request_and_sends_nothing() {
    let house = House::new(KeyKind::P256);
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let host = receiver.local_addr().unwrap().to_string();
    let home = "allow_private = true";
    for (file, hook, shown) in SHOWN {
        let example = Example::of(file, &house, NO_VTN);
        // No secret is there, and none is needed.
        let example = match *file {
            "pvoutput" => example.below("system_id = ", &format!("url = \"http://{host}\"")),
            "serial-copy" => example
                .with("/dev/serial/by-id/usb-second-cable", &house.path("cable").display().to_string())
                .with("127.0.0.1:2001", &host),
            "telegram-forward" => example
                .with("https://dsmr.example.net", &format!("http://{host}"))
                .below("url = \"http://", home),
            "readings-api" => example
                .with("https://api.example.net", &format!("http://{host}"))
                .below("url = \"http://", home),
            "home-assistant" => example.with("mqtts://broker.example.net:8883", &format!("mqtt://{host}")),
            "operations" => example
                .with("https://operations.example.net", &format!("http://{host}"))
                .below("url = \"http://", home)
                .with("/var/log/ven/events.jsonl", &house.path("events.jsonl").display().to_string()),
            other => panic!("{other} is not tried"),
        };
        let (fine, said) = hooks(&example.save(&house), &["test", hook, "--dry-run"]);
        assert!(fine, "{said}");
        for text in *shown {
            let text = text.replace("HOST", &host);
            assert!(said.contains(&text), "{text:?} is not in what is said of {hook}:\n{said}");
        }
    }
    let called = receiver.accept();
    assert_eq!(called.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody was spoken to");
    for made in ["cable", "events.jsonl", "state"] {
        assert!(!house.path(made).exists(), "{made}");
    }
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hooks")).unwrap();
    let names = examples.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    for name in names {
        assert!(SHOWN.iter().any(|(file, ..)| *file == name), "{name}.toml is not tried");
    }
}
