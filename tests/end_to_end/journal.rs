//! `ven journal` after a run with a mock VTN: everything that went over the wire is there, and can be judged again.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

use openadr_ven::message::PayloadKind;
use openadr_ven::mock_vtn::{EventBuilder, Fault, KeyKind};
use openadr_ven::time::Span;

use crate::support::push::{Reserved, exchange, no_events, post, sign, tls};
use crate::support::{House, PATIENCE, Process};

/// What it says, and whether all is well.
fn journal(configuration: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    let output = command.arg("journal").args(arguments).arg("--config").arg(configuration).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

fn listed(configuration: &Path, arguments: &[&str]) -> Vec<String> {
    let (well, said) = journal(configuration, &[&["list"], arguments].concat());
    assert!(well, "{said}");
    said.lines().map(str::to_owned).collect()
}

/// The number of the first line with these words.
fn number(lines: &[String], words: &[&str]) -> String {
    let line = lines.iter().find(|line| words.iter().all(|word| line.contains(word)));
    let line = line.unwrap_or_else(|| panic!("{words:?} is not in\n{}", lines.join("\n")));
    line.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_over_the_wire_can_be_judged_again() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.configure(&vtn.url(), "");
    let process = Process::ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > 3).await);
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::HOUR)));
    assert!(vtn.until(PATIENCE, |core| core.opts.len() == 1).await);
    let polls = vtn.with(|core| {
        core.faults
            .extend([Fault::Status(503, Some(0)), Fault::Repeat(PayloadKind::CreatedPartyRegistration)]);
        core.count(PayloadKind::Poll)
    });
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::Poll) > polls + 2).await);
    // `kill -9`: what was there a moment ago is there.
    let log = process.kill();

    let lines = listed(&configuration, &[]);
    let created = number(
        &lines,
        &[" in ", "EiRegisterParty", "oadrCreatedPartyRegistration", " 200 ", "believed, signed by"],
    );
    let answer = number(&lines, &[" out ", "EiEvent", "oadrCreatedEvent"]);
    let unavailable = number(&lines, &[" in ", "OadrPoll", " 503 ", "http status 503"]);
    let repeated =
        number(&lines, &[" in ", "was refused: message is a repetition: its nonce was used before"]);
    assert!(
        lines.iter().any(|line| line.contains("(polls before it that brought nothing: ")),
        "{}",
        lines.join("\n")
    );
    let plain =
        |line: &&String| line.contains(" in ") && line.contains("OadrPoll") && line.contains("oadrResponse");
    assert_eq!(
        lines.iter().filter(plain).count(),
        0,
        "what says nothing is counted only; the log:\n{}",
        log.join("\n")
    );

    let distributed = lines.iter().filter(|line| line.contains("oadrDistributeEvent")).count();
    assert!(distributed > 1);
    assert_eq!(listed(&configuration, &["--kind", "oadrDistributeEvent"]).len(), distributed);
    assert!(listed(&configuration, &["--direction", "out"]).iter().all(|line| line.contains(" out ")));
    assert_eq!(listed(&configuration, &["--since", "2999-01-01T00:00:00Z"]), Vec::<String>::new());

    let (well, message) = journal(&configuration, &["show", &answer]);
    assert!(
        well && message.starts_with('<')
            && message.contains("oadrCreatedEvent")
            && message.contains("SignatureValue")
    );
    for (number, meaning) in [
        (&created, "CreatedPartyRegistration"),
        (&answer, "CreatedEvent"),
        (&repeated, "CreatedPartyRegistration"),
    ] {
        let (well, said) = journal(&configuration, &["replay", number]);
        assert!(well && said.contains("gate: believed, signed by") && said.contains(meaning), "{said}");
    }
    let (well, said) = journal(&configuration, &["replay", &unavailable]);
    assert!(!well && said.contains("no octets") && said.contains("http status 503"), "{said}");
    let (well, said) = journal(&configuration, &["show", "99999"]);
    assert!(!well && said.contains("there is no message 99999"), "{said}");

    // Another trust, another verdict.
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(
        &configuration,
        text.replace(house.certificates.vtn_fingerprint(), "00:11:22:33:44:55:66:77:88:99"),
    )
    .unwrap();
    let (well, said) = journal(&configuration, &["replay", &created]);
    assert!(!well && said.contains("gate: refused: signer is not trusted"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_there_with_the_verdict_and_our_answer() {
    let (house, reserved) = (House::new(KeyKind::P256), Reserved::new());
    let vtn = house.vtn(Span::SECOND).await;
    let configuration = house.path("ven.toml");
    std::fs::write(&configuration, reserved.configuration(&house, &vtn.url(), "", "")).unwrap();
    let process = Process::ven(&configuration);
    assert!(vtn.until(PATIENCE, |core| core.count(PayloadKind::RequestEvent) > 0).await);
    let start = vtn.now() + Span::HOUR;
    vtn.with(|core| core.add_event(EventBuilder::new("e1", start, Span::HOUR)));
    assert!(vtn.until(PATIENCE, |core| core.opts.len() == 1).await);
    let folder = house.certificates.path("");
    let connector = tls(&folder, Some((&folder, "vtn")));
    let unsigned = no_events("mock-vtn");
    let misplaced = sign(&unsigned, &house.certificates.path("vtn"));
    for (service, message, status) in [("EiEvent", &unsigned, "403"), ("EiReport", &misplaced, "200")] {
        let answer = exchange(reserved.address, &connector, &post(service, message)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    // What is killed may not have written its last lines yet.
    process.terminate();

    let lines = listed(&configuration, &[]);
    let pushed = number(&lines, &[" in ", "EiEvent", "oadrDistributeEvent", "believed, signed by"]);
    number(&lines, &[" out ", "EiEvent", "oadrCreatedEvent"]);
    let refused = number(&lines, &[" in ", "EiEvent", "message is not signed"]);
    number(&lines, &[" in ", "EiReport", "oadrDistributeEvent", "believed, signed by"]);
    let answered = number(&lines, &[" out ", "oadrResponse"]);
    let (well, said) = journal(&configuration, &["replay", &pushed]);
    assert!(well && said.contains("gate: believed, signed by") && said.contains("DistributeEvent"), "{said}");
    let (well, said) = journal(&configuration, &["replay", &refused]);
    assert!(!well && said.contains("gate: refused: message is not signed"), "{said}");
    let (well, message) = journal(&configuration, &["show", &answered]);
    assert!(well && message.contains("459") && message.contains("SignatureValue"), "{message}");
}
