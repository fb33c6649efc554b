//! `[[monitor]]` and `[push_monitor]`.

use super::{SMALLEST, read};
use crate::hook::monitor::{Acks, Compression, Format};
use crate::time::Span;

/// Two tokens, of which one may read monitors.
const TOKENS: &str = r#"
[http]
listen = "127.0.0.1:8410"
cert = "api.pem"
key = "api.key"

[[http.token]]
name = "pump"
hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
scopes = ["monitors"]

[[http.token]]
name = "meter"
hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ae"
scopes = ["meter"]
"#;

fn faults(more: &str) -> String {
    read(&format!("{SMALLEST}{more}")).unwrap_err()
}

#[test]
fn monitors_are_read_with_all_their_options_and_where_they_are_pushed() {
    let text = r#"
[[monitor]]
id = 1
owner = "pump"
topics = ["event.*", "opt.*"]
format = "xml"
compression = "gzip"
batch_size = 20
batch_duration = "10s"
ack = "explicit"
replay = true
description = "the pump"

[[monitor]]
id = 999
owner = "pump"
topics = "**"

[push_monitor]
tcp = "127.0.0.1:3200"
tls = "0.0.0.0:3201"
"#;
    let config = read(&format!("{SMALLEST}{TOKENS}{text}")).unwrap();
    let [first, second] = &config.monitors[..] else { panic!("{:?}", config.monitors) };
    assert_eq!((first.id, first.owner.as_str(), second.id), (1, "pump", 999));
    let settings = &first.settings;
    assert_eq!(settings.topics.patterns(), ["event.*", "opt.*"]);
    assert_eq!((settings.format, settings.compression), (Format::Xml, Compression::Zlib));
    assert_eq!((settings.batch_size, settings.batch_duration), (20, Span::from_seconds(10)));
    assert_eq!((settings.acks, settings.replay), (Acks::Explicit, true));
    assert_eq!(settings.description, "the pump");
    assert_eq!((second.settings.batch_size, second.settings.acks), (1, Acks::Off));
    let push = config.push_monitor.unwrap();
    assert_eq!(push.tcp, Some("127.0.0.1:3200".parse().unwrap()));
    assert_eq!(push.tls, Some("0.0.0.0:3201".parse().unwrap()));
    let config = read(&format!("{SMALLEST}{TOKENS}")).unwrap();
    assert!(config.monitors.is_empty() && config.push_monitor.is_none());
}

#[test]
fn each_fault_of_a_monitor_has_its_line_and_an_advice() {
    let text = r#"
[[monitor]]
id = 1000
owner = "meter"
topics = ["event.startet"]
batch_size = 0
batch_duraton = "1s"

[[monitor]]
owner = "nobody"

[[monitor]]
id = 7
owner = "pump"
topics = ["**"]

[[monitor]]
id = 7
owner = "pump"
topics = ["**"]
"#;
    let before = format!("{SMALLEST}{TOKENS}").lines().count();
    let found = faults(&format!("{TOKENS}{text}"));
    for (line, expected) in [
        (3, "monitor[0].id: expected 1 to 999, found 1000"),
        (
            4,
            "monitor[0].owner: the [[http.token]] \"meter\" may not read monitors; add \"monitors\" to its scopes",
        ),
        (5, "monitor[0].topics: invalid-topic: no topic is called \"event.startet\"; did you mean"),
        (6, "monitor[0].batch_size: 0 is not from 1 to 1000"),
        (7, "monitor[0].batch_duraton: "),
        (9, "monitor[1].id: is missing; give the monitor a number"),
        (9, "monitor[1].topics: none is named; [\"**\"] is all of them"),
        (10, "monitor[1].owner: there is no [[http.token]] with name = \"nobody\""),
        (18, "monitor[3].id: 7 stands twice"),
    ] {
        let expected = format!("{}: {expected}", before + line);
        assert!(found.contains(&expected), "{expected} is not in:\n{found}");
    }
}

#[test]
fn monitors_are_pushed_in_the_clear_to_nobody_outside_and_to_nobody_without_a_token() {
    for (text, expected) in [
        ("tcp = \"0.0.0.0:3200\"", "push_monitor.tcp: 0.0.0.0:3200 is not on the loopback"),
        (
            "tcp = \"3200\"",
            "push_monitor.tcp: expected an address and a port like \"127.0.0.1:3200\", found \"3200\"",
        ),
        ("", "push_monitor.tcp: is missing; say where to push"),
        ("port = 3200", "push_monitor.port: "),
    ] {
        let found = faults(&format!("{TOKENS}[push_monitor]\n{text}\n"));
        assert!(found.contains(expected), "{expected} is not in:\n{found}");
    }
    let found = faults("[push_monitor]\ntls = \"0.0.0.0:3201\"\n");
    assert!(found.contains("push_monitor: nobody may read monitors; add [http]"), "{found}");
    assert!(
        found.contains("push_monitor.tls: takes the certificate of the local API; add cert and key"),
        "{found}"
    );
}
