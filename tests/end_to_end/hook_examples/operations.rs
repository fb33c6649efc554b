//! `operations.toml`: a receiver that checks signatures, a file that is put aside when it is full, and a siren.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use openadr_ven::mock_vtn::{EventBuilder, KeyKind, MockVtn};
use openadr_ven::time::Span;
use serde_json::{Value, json};

use super::receiver::{Receiver, Request};
use super::{Example, hooks};
use crate::support::peers::{peer, skip};
use crate::support::{House, PATIENCE, Process, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwCkM0c0rL5nE=";

/// Says of each message whether the reference library believes it, and does not believe another.
const CHECK: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
hook = Webhook(sys.argv[1])
messages = json.load(open(sys.argv[2]))
for message in messages:
    hook.verify(message["body"], message["headers"])
    try:
        hook.verify(message["body"] + " ", message["headers"])
        sys.exit("another body is believed")
    except WebhookVerificationError:
        pass
print(len(messages))
"#;

fn fact(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

/// Type and subject of what came.
fn facts(seen: &[Request]) -> Vec<String> {
    let text = |fact: Value| {
        format!("{} {}", fact["type"].as_str().unwrap(), fact["subject"].as_str().unwrap_or("-"))
    };
    seen.iter().map(fact).map(text).collect()
}

/// The lines of the file and of those that were put aside, oldest first; and how many files there are.
fn journal(file: &Path) -> (Vec<Value>, usize) {
    let name = |number: usize| match number {
        0 => file.to_owned(),
        number => file.with_extension(format!("jsonl.{number}")),
    };
    let texts: Vec<String> = (0..10).map_while(|number| std::fs::read_to_string(name(number)).ok()).collect();
    let lines = texts.iter().rev().flat_map(|text| text.lines());
    (lines.map(|line| serde_json::from_str(line).unwrap()).collect(), texts.len())
}

fn python_believes(house: &House, seen: &[Request]) {
    let Some(python) = peer("python3") else { return };
    let has_it = Command::new(&python).args(["-c", "import standardwebhooks"]).output().unwrap();
    if !has_it.status.success() {
        return skip("the Python package standardwebhooks");
    }
    let message = |request: &Request| json!({"headers": request.headers, "body": request.body});
    let messages: Vec<Value> = seen.iter().map(message).collect();
    let file = house.path("messages.json");
    std::fs::write(&file, serde_json::to_vec(&messages).unwrap()).unwrap();
    let done = Command::new(&python).args(["-c", CHECK, SECRET]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert_eq!(said.trim(), seen.len().to_string());
}

/// Every fact that is not about hooks is in the file or in one that was put aside, once.
fn all_is_written_down(log: &Path, taken: &[Request]) {
    let of_events: BTreeSet<_> = taken
        .iter()
        .map(fact)
        .filter(|fact| !fact["type"].as_str().unwrap().starts_with("hook."))
        .map(|fact| fact["id"].as_str().unwrap().to_owned())
        .collect();
    let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
    until("all of it is in the file", || {
        journal(log).0.iter().map(id).collect::<BTreeSet<_>>().is_superset(&of_events)
    });
    let (lines, files) = journal(log);
    assert!(files >= 2, "the full file is put aside");
    assert_eq!(lines.iter().map(id).collect::<BTreeSet<_>>().len(), lines.len(), "each line once");
    assert!(std::fs::metadata(log).unwrap().len() <= 4 << 10);
}

fn only_the_high_one_is_heard(heard: &Path) {
    let sounded = || std::fs::read_to_string(heard).unwrap_or_default();
    until("the siren sounds", || sounded().matches("--long\n").count() == 1 && sounded().ends_with("}\n"));
    let levels: Vec<Value> = sounded()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|fact| fact["data"]["level"].clone())
        .collect();
    assert_eq!(levels, [json!(2)], "not for the moderate one");
}

fn send(vtn: &MockVtn, id: &str, level: i64) {
    let start = vtn.now().floor_to(Span::SECOND) + Span::from_seconds(2);
    vtn.with(|core| core.add_event(EventBuilder::new(id, start, Span::HOUR).level(level)));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_told_signed_written_down_and_the_siren_sounds() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let mut busy = true;
    let duty = Receiver::start(move |_| match std::mem::replace(&mut busy, false) {
        true => ("503 Service Unavailable", "not yet".into()),
        false => ("204 No Content", String::new()),
    });
    let (log, siren, heard) = (house.path("events.jsonl"), house.path("siren.sh"), house.path("heard"));
    std::fs::write(&siren, format!("#!/bin/sh\n{{ echo \"$1\"; cat; echo; }} >> {}\n", heard.display()))
        .unwrap();
    std::fs::set_permissions(&siren, std::fs::Permissions::from_mode(0o700)).unwrap();
    let configuration = Example::of("operations", &house, &vtn.url())
        .with("https://operations.example.net/ven", &format!("http://127.0.0.1:{}/ven", duty.port))
        .below("url = \"http://", "allow_private = true")
        .secret(&house, "/etc/ven/operations.secret", SECRET)
        .with("/var/log/ven/events.jsonl", &log.display().to_string())
        .with("max_size = \"10MiB\"", "max_size = \"4KiB\"")
        .with("/etc/ven/siren.sh", &siren.display().to_string())
        .save(&house);
    let ven = Process::ven(&configuration);
    tokio::task::block_in_place(|| {
        ven.wait_for("registered at VTN", 0);
        send(&vtn, "low", 1);
        send(&vtn, "high", 2);
        send(&vtn, "special", 3);
        // One that we are out of does not run for us.
        let all = ["low", "high"].map(|id| format!("event.interval {id}"));
        let seen = duty.wait_until("that both events run", |seen| {
            let facts = facts(seen);
            all.iter().all(|fact| facts.contains(fact)).then(|| seen.to_vec())
        });
        // What was not taken comes again, with the same id and before the rest.
        let (refused, taken) = seen.split_first().unwrap();
        assert_eq!(refused.header("webhook-id"), taken[0].header("webhook-id"));
        assert_eq!(
            (&refused.body, refused.header("webhook-id")),
            (&taken[0].body, fact(refused)["id"].as_str().unwrap())
        );
        let opt = |id: &str| {
            let of = |fact: &Value| fact["type"] == "opt.decided" && fact["data"]["event_id"] == id;
            taken.iter().map(fact).find(of).unwrap()["data"]["opt"].clone()
        };
        assert_eq!([opt("low"), opt("high"), opt("special")], ["optIn", "optIn", "optOut"]);
        let ids: BTreeSet<_> = taken.iter().map(|request| request.header("webhook-id").to_owned()).collect();
        assert_eq!(ids.len(), taken.len(), "each once");
        python_believes(&house, &seen);

        all_is_written_down(&log, taken);
        only_the_high_one_is_heard(&heard);
        let (fine, monitored) = hooks(&configuration, &["monitor", "--status", "dead"]);
        assert!(fine, "{monitored}");
    });
    ven.terminate();
    assert!(vtn.until(PATIENCE, |core| core.violations.is_empty()).await);
}
