//! Hashes of hooks as they are configured.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use super::{Hashes, text};
use crate::config::{HookFile, with_secrets};
use crate::hook::settings::HookSettings;

const HTTP: &str = "type = \"http\"\ntopics = [\"event.*\"]\nurl = \"https://example.net/hook\"\n";

fn hook(toml: &str) -> HookSettings {
    let file = HookFile { path: "ops.toml".into(), text: Ok(toml.to_owned()) };
    file.alone().unwrap_or_else(|faults| panic!("{toml}: {faults:?}"))
}

fn of(toml: &str) -> Hashes {
    Hashes::of(&hook(toml))
}

#[test]
fn the_same_words_to_the_same_place_have_one_hash_and_all_others_another() {
    let post = of(HTTP);
    let put = of(&format!("{HTTP}method = \"PUT\""));
    let elsewhere = of(&HTTP.replace("/hook", "/other"));
    let sent = post.sent("text/plain", b"ab");
    assert_eq!(sent, of(&format!("{HTTP}timeout = \"3s\"")).sent("text/plain", b"ab"), "it goes there alike");
    assert!(sent.len() == 16 && sent.bytes().all(|digit| digit.is_ascii_hexdigit()), "{sent}");
    let others = [
        post.sent("text/plain", b"abc"),
        post.sent("text/plain", b""),
        post.sent("text/plaina", b"b"),
        put.sent("text/plain", b"ab"),
        elsewhere.sent("text/plain", b"ab"),
    ];
    let all: BTreeSet<_> = others.iter().chain([&sent]).collect();
    assert_eq!(all.len(), 6, "{others:?}");
}

/// By one setting at a time, of each type.
#[test]
fn whatever_is_changed_of_a_hook_gives_another_hash() {
    let broker = "type = \"mqtt\"\ntopics = [\"event.*\"]\nurl = \"mqtts://broker.example.net\"\n";
    let program = "type = \"exec\"\ntopics = [\"event.*\"]\ncommand = [\"/bin/cat\"]\n";
    let account = "type = \"pvoutput\"\nsystem_id = \"1\"\napi_key = \"${env:KEY}\"\n";
    let types = [
        (
            HTTP,
            vec![
                "template = \"a\"",
                "template = \"b\"",
                "filter = \"true\"",
                "timeout = \"9s\"",
                "order = \"relaxed\"",
                "batch = { max_items = 2 }",
                "queue = { max_items = 2 }",
                "retry = { poison_attempts = 2 }",
                "on_change = true",
                "min_interval = \"1s\"",
                "timezone = \"local\"",
                "content_type = \"text/plain\"",
                "method = \"PUT\"",
                "headers = { X-Who = \"${env:A}\" }",
                "headers = { X-Who = \"${env:B}\" }",
                "headers = { X-Whom = \"${env:B}\" }",
                "secret = \"${env:A}\"",
                "secret = [\"${env:A}\", \"${env:B}\"]",
                "expect = [201]",
                "compression = \"gzip\"",
                "allow_private = true",
                "ca = \"ca.pem\"",
            ],
        ),
        (
            broker,
            vec![
                "qos = 2",
                "retain = true",
                "layout = \"split\"",
                "client_id = \"other\"",
                "username = \"ven\"",
                "username = \"ven\"\npassword = \"${env:A}\"",
                "on_change = true",
            ],
        ),
        (program, vec!["env = { KEY = \"${env:A}\" }", "env = { KEY = \"${env:B}\" }"]),
        (account, vec!["offset = \"1m\"", "interval = \"15m\"", "timezone = \"Europe/Amsterdam\""]),
        ("type = \"file\"\ntopics = [\"event.*\"]\npath = \"a\"\n", vec!["keep = 1", "fsync = true"]),
        ("type = \"tcp\"\nlisten = \"127.0.0.1:1\"\n", vec!["meter_queue = { max_items = 3 }"]),
        ("type = \"serial\"\nport = \"/dev/p1\"\n", vec!["line = { baud = 9600 }", "write_timeout = \"1s\""]),
    ];
    let mut found = BTreeSet::new();
    let mut count = 0;
    for (base, changes) in types {
        for change in std::iter::once("").chain(changes) {
            let hashes = of(&format!("{base}{change}"));
            assert!(found.insert(hashes.settings().to_owned()), "{base}{change}");
            count += 1;
        }
    }
    assert_eq!(found.len(), count);
    assert_eq!(of(HTTP), of(&format!("{HTTP}# a comment\nenabled = true\n")));
}

/// A short one could be guessed from the hash.
#[test]
fn no_secret_is_in_a_hash_neither_one_behind_a_reference_nor_one_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("secret");
    std::fs::write(&place, "whsec_cGluMTIzNHBpbjEyMzRwaW4xMjM0cGlu").unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).unwrap();
    for said in [
        "type = \"http\"\ntopics = [\"event.*\"]\nurl = \"https://example.net/hook?key=SECRET\"",
        &format!("{HTTP}headers = {{ X-Pin = \"SECRET\" }}"),
        &format!("{HTTP}secret = \"SECRET\""),
        "type = \"mqtt\"\ntopics = [\"event.*\"]\nurl = \"mqtts://b.example.net\"\nusername = \"v\"\npassword = \"SECRET\"",
        "type = \"exec\"\ntopics = [\"event.*\"]\ncommand = [\"/bin/cat\"]\nenv = { KEY = \"SECRET\" }",
        "type = \"pvoutput\"\nsystem_id = \"1\"\napi_key = \"SECRET\"",
    ] {
        let configured = hook(&said.replace("SECRET", "${file:secret}"));
        let ready = with_secrets(&configured, folder.path()).unwrap();
        assert_ne!(ready, configured, "{said}");
        // What stands in the configuration itself looks like this.
        assert!(!text(&ready).contains("whsec_"), "{}", text(&ready));
    }
    let pin = |pin: &str| {
        let url = HTTP.replace("/hook", &format!("/hook?pin={pin}"));
        of(&format!("{url}headers = {{ X-Pin = \"{pin}\" }}"))
    };
    assert_eq!(pin("1234"), pin("1235"));
    assert_eq!(pin("1234").sent("text/plain", b"a"), pin("1235").sent("text/plain", b"a"));
}
