//! Hooks that are right, and hooks that are wrong in many ways at once.

use std::path::Path;

use super::{SMALLEST, read};
use crate::config::{Config, secret_files, with_secrets};
use crate::hook::settings::{
    HookSettings, HttpTarget, QueueLimits, RetrySettings, Serializer, Target, TimeZone, WhenFull,
};
use crate::time::Span;

/// A hook of type http, with more said.
const HTTP: &str = "[[hook]]\nname = \"ops\"\ntype = \"http\"\n";

fn config(hooks: &str) -> Result<Config, String> {
    read(&format!("{SMALLEST}\n{hooks}"))
}

/// What is wrong with an HTTP hook of which this is said.
fn fault(said: &str) -> String {
    let rest = [("topics", "topics = [\"event.*\"]"), ("url", "url = \"https://example.net/hook\"")];
    let stands = |key: &str| said.lines().any(|line| line.starts_with(&format!("{key} =")));
    let rest: Vec<&str> = rest.into_iter().filter(|(key, _)| !stands(key)).map(|(_, line)| line).collect();
    config(&format!("{HTTP}{said}\n{}\n", rest.join("\n"))).map(|config| config.hooks).unwrap_err()
}

fn hook(said: &str) -> HookSettings {
    let url = "url = \"https://example.net/hook\"";
    config(&format!("{HTTP}{url}\n{said}")).unwrap().hooks.remove(0)
}

fn http(hook: &HookSettings) -> &HttpTarget {
    let Target::Http(target) = &hook.target else { panic!("{hook:?}") };
    target
}

#[test]
fn four_lines_make_a_hook() {
    let hook = hook("topics = \"event.*\"");
    assert_eq!((hook.name.as_str(), hook.enabled, hook.strict_order), ("ops", true, true));
    assert!(hook.topics.pick("event.started") && !hook.topics.pick("opt.decided"));
    assert_eq!((hook.queue, hook.meter_queue), (QueueLimits::CONTROL, QueueLimits::METER));
    assert_eq!((hook.timeout, hook.min_interval), (Span::from_seconds(10), Span::ZERO));
    assert_eq!((hook.batch.max_items, hook.batch.max_wait), (1, Span::ZERO));
    assert_eq!(hook.retry, RetrySettings::default());
    assert!(!hook.on_change && !hook.durable_always && hook.filter.is_none());
    assert_eq!((&hook.words.serializer, &hook.words.timezone), (&None, &TimeZone::Utc));
    let target = http(&hook);
    assert_eq!((target.url.as_str(), target.method.as_str()), ("https://example.net/hook", "POST"));
    assert!(target.expect.is_empty() && target.headers.is_empty() && target.secrets.is_empty());
    assert!(!target.gzip && !target.allow_private && target.ca.is_none());
}

#[test]
fn every_key_is_read() {
    let hook = hook(
        r#"enabled = false
topics = ["event.started", "meter.reading"]
filter = "data.level >= 2"
durable = "always"
order = "relaxed"
timeout = "5s"
queue = { max_items = 20, max_bytes = "16KiB", max_age = "7d", when_full = "drop_newest" }
meter_queue = { max_items = 2 }
batch = { max_items = 20, max_wait = "1min" }
min_interval = "10s"
on_change = true
retry = { schedule = "standard-webhooks", meter_schedule = ["0s", "7s"], jitter = 0.15, poison_attempts = 5 }
serializer = "data"
content_type = "application/json"
fields = { zulu = "level", alpha = "event_id" }
timezone = "Europe/Amsterdam"
method = "PUT"
headers = { "X-Plain" = "one", Authorization = "Bearer ${file:token}" }
expect = [201, 204]
compression = "gzip"
secret = ["${env:ONE}", "${file:two}"]
allow_private = true
ca = "ca.pem""#,
    );
    assert!(!hook.enabled && hook.durable_always && !hook.strict_order && hook.on_change);
    assert_eq!(hook.filter.as_deref(), Some("data.level >= 2"));
    assert_eq!((hook.timeout, hook.min_interval), (Span::from_seconds(5), Span::from_seconds(10)));
    let queue = hook.queue;
    assert_eq!((queue.max_items, queue.max_bytes, queue.max_age), (20, 16 << 10, Span::DAY * 7));
    assert_eq!(queue.when_full, WhenFull::DropNewest);
    assert_eq!(hook.meter_queue, QueueLimits { max_items: 2, ..QueueLimits::METER });
    assert_eq!((hook.batch.max_items, hook.batch.max_wait), (20, Span::MINUTE));
    assert_eq!(hook.retry.schedule, RetrySettings::STANDARD_WEBHOOKS);
    assert_eq!(hook.retry.meter_schedule, [Span::ZERO, Span::from_seconds(7)]);
    assert_eq!((hook.retry.jitter_percent, hook.retry.poison_attempts), (15, 5));
    assert_eq!(hook.words.serializer, Some(Serializer::Data));
    assert_eq!(hook.words.content_type.as_deref(), Some("application/json"));
    let names: Vec<_> = hook.words.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["zulu", "alpha"], "in the order of the file");
    assert_eq!(hook.words.timezone, TimeZone::Named("Europe/Amsterdam".into()));
    let target = http(&hook);
    assert_eq!((target.method.as_str(), &*target.expect, target.gzip), ("PUT", &[201, 204][..], true));
    assert_eq!(target.headers[1], ("Authorization".into(), "Bearer ${file:token}".into()));
    assert_eq!(target.secrets, ["${env:ONE}", "${file:two}"]);
    assert_eq!((target.allow_private, target.ca.as_deref()), (true, Some(Path::new("/etc/ven/ca.pem"))));
}

#[test]
fn a_hook_of_meters_alone_speaks_of_their_queue() {
    let hook =
        hook("topics = \"meter.telegram\"\nqueue = { max_items = 2 }\nretry = { schedule = [\"3s\"] }");
    assert_eq!(hook.queue, QueueLimits::CONTROL);
    assert_eq!(hook.meter_queue, QueueLimits { max_items: 2, ..QueueLimits::METER });
    assert_eq!(hook.retry.schedule, RetrySettings::STANDARD);
    assert_eq!(hook.retry.meter_schedule, [Span::from_seconds(3)]);
    for mixed in ["[\"meter.*\", \"event.*\"]", "\"**\"", "[\"meter.reading\", \"x.peak.state\"]"] {
        let hook = self::hook(&format!("topics = {mixed}\nqueue = {{ max_items = 2 }}"));
        assert_eq!((hook.queue.max_items, hook.meter_queue.max_items), (2, 600), "{mixed}");
    }
}

/// What is said of a hook, and what is wrong with that.
const FAULTS: &[(&str, &str)] = &[
    ("enabled = \"yes\"", "hook[0].enabled: expected true or false"),
    ("topics = [\"event.startet\", \"evnt.*\"]", "did you mean \"event.started\"?"),
    ("topics = [\"event.startet\", \"Evnt\"]", "\"Evnt\" is no pattern"),
    ("topics = []", "hook[0].topics: has none; expected topics = [\"event.*\"]"),
    ("topics = 5", "hook[0].topics: expected a text in quotes, or a list of them, found integer"),
    ("durable = \"allways\"", "expected one of \"auto\", \"always\", found \"allways\""),
    ("order = 1", "hook[0].order: expected a text in quotes"),
    ("timeout = \"0s\"", "hook[0].timeout: expected more than nothing and at most 10 min"),
    ("timeout = \"1h\"", "at most 10 min, found 1 h"),
    ("timeout = 5", "hook[0].timeout: expected a length of time like"),
    ("queue = { max_items = 0 }", "hook[0].queue.max_items: expected 1 or more, found 0"),
    ("queue = { max_bytes = 5 }", "hook[0].queue.max_bytes: expected a size like"),
    ("queue = { max_age = \"0s\" }", "hook[0].queue.max_age: is no time at all"),
    ("queue = { when_full = \"block\" }", "expected one of \"drop_oldest\", \"drop_newest\""),
    ("queue = { max_item = 5 }", "hook[0].queue.max_item: is not known; did you mean \"max_items\"?"),
    ("queue = 5", "hook[0].queue: expected [queue], found integer"),
    (
        "topics = [\"meter.*\"]\nqueue = {}\nmeter_queue = {}",
        "hook[0].meter_queue: means the same as queue in a hook that tells of meters alone",
    ),
    (
        "topics = [\"meter.*\"]\nretry = { schedule = \"standard\", meter_schedule = \"standard\" }",
        "hook[0].retry.meter_schedule: means the same as schedule",
    ),
    ("batch = { max_items = 0 }", "hook[0].batch.max_items: expected 1 or more"),
    ("batch = { max_wait = \"5s\" }", "hook[0].batch.max_wait: waits for others that never join"),
    ("min_interval = \"soon\"", "hook[0].min_interval: expected a length of time"),
    ("retry = { schedule = \"standart\" }", "hook[0].retry.schedule: expected a length of time"),
    ("retry = { schedule = [] }", "hook[0].retry.schedule: expected \"standard\", \"standard-webhooks\""),
    ("retry = { schedule = [\"5s\", \"0s\"] }", "the last wait is repeated"),
    ("retry = { jitter = 1.5 }", "hook[0].retry.jitter: expected 0.0 to 1.0 in steps of 0.01, found 1.5"),
    ("retry = { jitter = 0.005 }", "in steps of 0.01, found 0.005"),
    ("retry = { jitter = \"a\" }", "hook[0].retry.jitter: expected a number like 0.2, found string"),
    ("retry = { jitter = nan }", "hook[0].retry.jitter: expected a number like 0.2"),
    ("retry = { poison_attempts = 0 }", "hook[0].retry.poison_attempts: expected 1 to 100, found 0"),
    ("serializer = \"cloudevent\"", "hook[0].serializer: no serializer is called \"cloudevent\""),
    ("template = \"{}\"\ntemplate_file = \"t\"", "hook[0].template_file: stands beside template"),
    ("template_file = \"/nowhere/t.json\"", "hook[0].template_file: /nowhere/t.json: No such file"),
    ("form = [\"a\"]", "hook[0].form: expected a table like { name = \"text\" }, found array"),
    ("form = { a = 5 }", "hook[0].form.a: expected a text in quotes, found integer"),
    ("fields = { a = [] }", "hook[0].fields.a: expected a text in quotes, found array"),
    ("method = \"post\"", "hook[0].method: expected one of \"POST\""),
    ("compression = \"zip\"", "hook[0].compression: expected one of \"none\", \"gzip\""),
    ("expect = [99]", "hook[0].expect: expected statuses of HTTP, 200 to 599, found 99"),
    ("expect = \"201\"", "hook[0].expect: expected a whole number, or a list of them"),
    ("headers = \"a\"", "hook[0].headers: expected a table"),
    ("headers = { \"a b\" = \"c\" }", "hook[0].headers.a b: invalid-header: no header can be called that"),
    ("headers = { Host = \"c\" }", "hook[0].headers.Host: invalid-header: is set by the request itself"),
    ("headers = { content-length = \"1\" }", "invalid-header: is set by the request itself"),
    ("headers = { Webhook-Id = \"1\" }", "invalid-header: names that begin with webhook-"),
    ("headers = { a = \"1\\n2\" }", "invalid-header: the value has control characters"),
    ("headers = { a = \"1\", A = \"2\" }", "invalid-header: stands twice"),
    ("headers = { a = \"${KEY}\" }", "invalid-header: expected ${env:NAME} or ${file:/path}"),
    ("headers = { a = \"${env:KEY\" }", "invalid-header: expected ${env:NAME} or ${file:/path}"),
    ("url = \"example.net\"", "hook[0].url: expected \"https://HOST[:PORT]/PATH\"; there is no ://"),
    ("url = \"ftp://example.net\"", "expected \"https://HOST[:PORT]/PATH\", found ftp://"),
    ("url = \"https://example.net/a b\"", "' ' cannot stand in a URL"),
    ("url = \"https://bücher.example\"", "'ü' cannot stand in a URL"),
    ("url = \"https://\"", "found \"\" as host and port"),
    ("url = \"https://example.net:0/\"", "found \"example.net:0\" as host and port"),
    ("url = \"https://example.net:99999\"", "found \"example.net:99999\" as host and port"),
    ("url = \"https://[::1/\"", "as host and port"),
    ("url = \"https://example.net/#a\"", "what stands behind # is never sent"),
    ("url = \"https://u:p@example.net/\"", "credentials do not belong into it"),
    ("url = \"https://${env:HOST}/\"", "a secret can stand behind the host only"),
    ("url = \"https://example.net/?k=${KEY}\"", "expected ${env:NAME} or ${file:/path}"),
    ("url = \"http://example.net/\"", "say allow_http = true"),
    ("url = \"http://127.0.0.1:8000/\"", "127.0.0.1 is this machine; say allow_private = true"),
    ("url = \"https://192.168.1.5/\"", "192.168.1.5 is a private network; say allow_private = true"),
    ("url = \"http://[::1]:8000/\"", "::1 is this machine; say allow_private = true"),
    ("nmae = \"x\"", "hook[0].nmae: is not known; did you mean \"name\"?"),
    ("colour = \"x\"", "hook[0].colour: is not known"),
];

#[test]
fn each_fault_is_named_with_its_setting_and_what_to_do() {
    for (said, expected) in FAULTS {
        let fault = fault(said);
        assert!(fault.contains(expected), "{said}\n{expected}\nis not in\n{fault}");
        assert!(fault.contains("ven.toml:"), "{fault}: with its line");
    }
}

#[test]
fn what_must_be_there_is_named() {
    let missing = config("[[hook]]\nenabled = true\n").unwrap_err();
    for expected in ["hook[0].name: is missing; give the hook a name", "hook[0].type: is missing"] {
        assert!(missing.contains(expected), "{expected}\nis not in\n{missing}");
    }
    let missing = config("[[hook]]\nname = \"a\"\ntype = \"http\"").unwrap_err();
    for expected in ["hook[0].topics: is missing; expected topics", "hook[0].url: is missing; say where"] {
        assert!(missing.contains(expected), "{expected}\nis not in\n{missing}");
    }
    let unknown = config("[[hook]]\nname = \"a\"\ntype = \"htpp\"").unwrap_err();
    assert!(unknown.contains("hook[0].type: expected one of \"http\", \"mqtt\""), "{unknown}");
    assert_eq!(unknown.lines().count(), 1, "nothing else is blamed: {unknown}");
}

#[test]
fn a_name_is_one_word_of_its_own() {
    let named = |names: &[&str]| {
        let hook = |name: &&str| {
            format!(
                "[[hook]]\nname = \"{name}\"\ntype = \"http\"\ntopics = \"event.*\"\nurl = \"https://h\"\n"
            )
        };
        config(&names.iter().map(hook).collect::<String>()).map(|config| config.hooks.len())
    };
    let longest = "a".repeat(63);
    assert_eq!(named(&["a", "ops-2_b", &longest]), Ok(3));
    for wrong in ["", "Ops", "2ops", "-a", "a.b", "a b", "../a", &"a".repeat(64)] {
        let fault = named(&[wrong]).unwrap_err();
        assert!(fault.contains("hook[0].name: expected a small letter"), "{fault}");
    }
    let fault = named(&["a", "b", "a"]).unwrap_err();
    assert!(fault.contains("hook[2].name: \"a\" stands twice"), "{fault}");
}

#[test]
fn a_secret_does_not_stand_in_the_file_and_is_not_shown() {
    for said in [
        "secret = \"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\"",
        "secret = [\"${env:A}\", \"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\"]",
        "headers = { authorization = \"Bearer c2VjcmV0c2VjcmV0\" }",
        "headers = { Cookie = \"c2VjcmV0c2VjcmV0\" }",
        "headers = { a = \"${c2VjcmV0c2VjcmV0\" }",
        "url = \"https://example.net/?key=${c2VjcmV0c2VjcmV0}\"",
        "url = \"https://u:c2VjcmV0c2VjcmV0@example.net/\"",
    ] {
        let fault = fault(said);
        assert!(fault.contains("${env:NAME}") || fault.contains("credentials"), "{fault}");
        assert!(!fault.contains("c2VjcmV0"), "{fault}");
    }
}

#[test]
fn secrets_are_put_in_when_a_hook_is_made_ready() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("token", "a&b=\u{e9}/c d\r\n");
    write("whsec", "whsec_abc\n");
    write("empty", "\n");
    let hook = hook(
        "topics = \"event.*\"\nsecret = \"${file:whsec}\"\nheaders = { Authorization = \"Bearer ${file:token}!\", b = \"c\" }",
    );
    let ready = with_secrets(&hook, folder.path()).unwrap();
    let target = http(&ready);
    assert_eq!(target.headers[0].1, "Bearer a&b=\u{e9}/c d!");
    assert_eq!(target.headers[1].1, "c");
    assert_eq!(target.secrets, ["whsec_abc"]);
    assert!(!format!("{ready:?}").contains("abc"), "{ready:?}");
    let files = ["token", "whsec"].map(|name| folder.path().join(name));
    assert_eq!(secret_files(&hook, folder.path()), files, "of which is warned where others can read them");
    let with_url = |url: &str| {
        let target = HttpTarget { url: url.to_owned(), ..http(&hook).clone() };
        let hook = HookSettings { target: Target::Http(target), ..hook.clone() };
        with_secrets(&hook, folder.path()).map(|hook| http(&hook).url.clone())
    };
    let url = with_url("https://h/${file:token}?k=${file:whsec}").unwrap();
    assert_eq!(url, "https://h/a%26b%3D%C3%A9/c%20d?k=whsec_abc", "it ends nothing of the URL");
    let error = with_url("https://h/?k=${file:absent}").unwrap_err();
    assert!(error.starts_with("url: ") && error.contains("absent: No such file"), "{error}");
    let error = with_url("https://h/?k=${file:empty}").unwrap_err();
    assert!(error.contains("is empty"), "{error}");
    let error = with_url("https://h/?k=${env:VEN_TEST_NOBODY_SETS_THIS}").unwrap_err();
    assert_eq!(error, "url: $VEN_TEST_NOBODY_SETS_THIS is not set");
}
