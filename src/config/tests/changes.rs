//! What is told of a configuration that was read anew.

use std::path::Path;

use super::super::{Changes, Config};

const MAIN: &str = r#"
[ven]
name = "house"
state = "state"
[vtn]
url = "https://vtn.example.org"
[tls]
ca = "system"
cert = "ven.pem"
key = "ven.key"
[signature]
vtn_fingerprint = "AA:BB:CC:DD:EE:FF:00:11:22:33"
[handler]
rule = [ { when = "priority == 1", opt = "optOut" } ]
[journal]
keep = "7d"
[bus]
hooks = true
[http]
listen = "127.0.0.1:0"
[[http.token]]
name = "pump"
hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
scopes = ["monitors"]
[[meter]]
name = "main"
source = "file:meter"
protocol = "dsmr"
[[report]]
points = [ { quantity = "import_energy", meter = "main" } ]
min_period = "1min"
[[opt_schedule]]
name = "night"
opt = "optOut"
periods = [ { start = "2030-01-01T22:00:00Z", duration = "8h" } ]
[[hook]]
name = "one"
type = "file"
topics = "event.*"
path = "one.jsonl"
[[hook]]
name = "two"
type = "file"
topics = "opt.*"
path = "two.jsonl"
[[plugin]]
name = "guard"
command = ["guard"]
[[monitor]]
id = 7
owner = "pump"
topics = ["event.*"]
"#;

fn config(text: &str) -> Config {
    Config::from_toml(text, Path::new("/etc/ven/ven.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// What is different where this stands in place of that.
fn told(that: &str, this: &str) -> String {
    assert!(MAIN.contains(that), "{that}");
    Changes::between(&config(MAIN), &config(&MAIN.replace(that, this))).to_string()
}

#[test]
fn what_says_the_same_is_no_change_wherever_it_stands() {
    assert_eq!(told("[bus]\n", "\n\n# a remark\n[bus]\n"), "nothing has changed");
    assert_eq!(told("keep = \"7d\"", "keep = \"168h\""), "nothing has changed");
    assert!(Changes::between(&config(MAIN), &config(MAIN)).is_empty());
    let (before, plugin) = MAIN.split_once("[[plugin]]").unwrap();
    let (plugin, after) = plugin.split_once("[[monitor]]").unwrap();
    let moved = format!("{before}[[monitor]]{after}[[plugin]]{plugin}");
    assert!(Changes::between(&config(MAIN), &config(&moved)).is_empty());
}

/// What stands in the file, what is to stand there, and what is told of it.
type Edit = (&'static str, &'static str, &'static str);

const LIVE: &[Edit] = &[
    ("two.jsonl", "zwei.jsonl", "changed: [[hook]] \"two\""),
    ("name = \"two\"", "name = \"three\"", "added: [[hook]] \"three\"\nremoved: [[hook]] \"two\""),
    ("hooks = true", "hooks = false", "changed: [bus] hooks"),
    ("[\"guard\"]", "[\"guard\", \"-v\"]", "changed: [[plugin]] \"guard\""),
    ("name = \"guard\"", "name = \"guard\"\nenabled = false", "removed: [[plugin]] \"guard\""),
    ("id = 7", "id = 8", "added: [[monitor]] 8\nremoved: [[monitor]] 7"),
    ("[\"event.*\"]", "[\"opt.*\"]", "changed: [[monitor]] 7"),
    ("priority == 1", "priority == 2", "changed: [handler]"),
    ("scopes = [\"monitors\"]", "scopes = [\"monitors\", \"read\"]", "changed: [[http.token]] \"pump\""),
];

const FIXED: &[Edit] = &[
    ("name = \"house\"", "name = \"barn\"", "[ven]"),
    ("vtn.example.org", "vtn.example.net", "[vtn]"),
    ("key = \"ven.key\"", "key = \"new.key\"", "[tls], [signature]"),
    ("AA:BB", "BB:AA", "[signature]"),
    ("7d", "6d", "[journal]"),
    ("[bus]\n", "[bus]\nmax_size = \"1MiB\"\n", "[bus] max_size"),
    ("[handler]", "[handler]\ndefault = \"optIn\"", "[handler] default"),
    ("[handler]", "[handler]\ntimeout = \"1s\"", "[handler] timeout"),
    ("127.0.0.1:0", "127.0.0.1:1", "[http]"),
    ("file:meter", "file:other", "[[meter]] \"main\""),
    ("duration = \"8h\"", "duration = \"9h\"", "[[opt_schedule]] \"night\""),
    ("[bus]\n", "[store]\nwhen_full = \"optIn\"\n[bus]\n", "[store]"),
    ("[bus]\n", "[push_monitor]\ntcp = \"127.0.0.1:3200\"\n[bus]\n", "[push_monitor]"),
];

#[test]
fn what_can_change_while_the_ven_runs_is_named_as_it_stands_in_the_file() {
    for (that, this, expected) in LIVE {
        assert_eq!(told(that, this), *expected, "{this}");
    }
}

#[test]
fn what_cannot_change_while_it_runs_is_said_to_need_a_restart() {
    for (that, this, expected) in FIXED {
        assert_eq!(told(that, this), format!("needs a restart: {expected}"), "{this}");
    }
    // Where there is a local API, a monitor may want it any day, and a plugin that says nothing hears everything.
    assert_eq!(told("topics = \"opt.*\"", "topics = \"meter.*\""), "changed: [[hook]] \"two\"");
    let (before, rest) = MAIN.split_once("[http]").unwrap();
    let (_, rest) = rest.split_once("[[meter]]").unwrap();
    let (rest, _) = rest.split_once("[[plugin]]").unwrap();
    let quiet = format!("{before}[[meter]]{rest}");
    let told = Changes::between(&config(&quiet), &config(&quiet.replace("opt.*", "meter.*"))).to_string();
    let expected = "changed: [[hook]] \"two\"\nneeds a restart: meters that tell meter.telegram, meters that tell meter.interval, \
                    meters that tell meter.day";
    assert_eq!(told, expected, "meters have to begin to tell it");
}

#[test]
fn what_needs_a_restart_is_named_again_until_there_was_one_and_the_rest_holds() {
    let (old, new) = (config(MAIN), MAIN.replace("vtn.example.org", "vtn.example.net"));
    let new = config(&new.replace("one.jsonl", "eins.jsonl").replace("priority == 1", "priority == 2"));
    let running = old.with_live_of(&new);
    assert_eq!(running.vtn, old.vtn);
    assert_eq!(Changes::between(&running, &new).to_string(), "needs a restart: [vtn]");
    let back = Changes::between(&running, &old).to_string();
    assert_eq!(back, "changed: [[hook]] \"one\", [handler]", "what was taken back needs no restart");
}

/// Whatever two things are different, in whichever order they come.
#[test]
fn after_it_was_read_nothing_is_left_but_what_needs_a_restart() {
    let old = config(MAIN);
    let edits: Vec<&Edit> = LIVE.iter().chain(FIXED).collect();
    for (at, (that, this, _)) in edits.iter().enumerate() {
        for (other, another, _) in &edits[at + 1..] {
            let text = MAIN.replace(that, this).replace(other, another);
            let Ok(new) = Config::from_toml(&text, Path::new("/etc/ven/ven.toml")) else { continue };
            let running = old.with_live_of(&new);
            let (all, left) = (Changes::between(&old, &new), Changes::between(&running, &new));
            let live = [&left.added, &left.changed, &left.removed];
            assert!(live.iter().all(|parts| parts.is_empty()), "{this} {another}: {left}");
            assert_eq!(left.needs_restart, all.needs_restart, "{this} {another}");
            assert_eq!(Changes::between(&old, &running).needs_restart, [], "{this} {another}");
        }
    }
}

#[test]
fn parts_have_a_key_for_programs() {
    let new = MAIN.replace("name = \"two\"", "name = \"three\"").replace("id = 7", "id = 8");
    let changes = Changes::between(&config(MAIN), &config(&new.replace("7d", "8d")));
    let keys = |parts: &[super::super::Part]| parts.iter().map(super::super::Part::key).collect::<Vec<_>>();
    assert_eq!(keys(&changes.added), ["hook.three", "monitor.8"]);
    assert_eq!(keys(&changes.removed), ["hook.two", "monitor.7"]);
    assert_eq!(keys(&changes.needs_restart), ["journal"]);
}
