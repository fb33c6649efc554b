//! Hooks of each type but http: what may be said, what holds where nothing is said, and what is wrong.

use std::path::Path;

use super::{SMALLEST, read};
use crate::config::{Config, with_secrets};
use crate::fact::topic::CATALOGUE;
use crate::hook::filter::Filter;
use crate::hook::render::{Renderer, Samples};
use crate::hook::settings::{
    Flow, HookSettings, Layout, Parity, QueueLimits, SerialLine, Target, TcpTarget, TimeZone, WhenFull,
};
use crate::time::Span;

const METER: &str = "[[meter]]\nname = \"main\"\nsource = \"serial:/dev/ttyUSB0\"\n";

fn config(kind: &str, said: &str, more: &str) -> Result<Config, String> {
    read(&format!("{SMALLEST}\n[[hook]]\nname = \"it\"\ntype = \"{kind}\"\n{said}\n{more}"))
}

fn hook(kind: &str, said: &str) -> HookSettings {
    config(kind, said, METER).unwrap().hooks.remove(0)
}

#[test]
fn a_broker_is_told_with_few_words_and_with_many() {
    let few = hook("mqtt", "topics = \"meter.reading\"\nurl = \"mqtt://broker\"");
    let Target::Mqtt(target) = &few.target else { panic!("{few:?}") };
    assert_eq!((target.client_id.as_str(), target.base.as_str()), ("my-ven-it", "ven/my-ven"));
    assert_eq!((target.layout, target.qos, target.retain, target.on_change), (Layout::Json, 1, false, false));
    assert_eq!((&target.discovery, target.expire_after, target.events), (&None, None, false));
    assert_eq!((target.main_meter.as_deref(), &target.username, &target.ca), (Some("main"), &None, &None));
    let many = hook(
        "mqtt",
        r#"topics = ["meter.reading", "event.*"]
url = "mqtts://broker.example.net:8884/"
username = "ven"
password = "${file:/etc/ven/mqtt.pw}"
client_id = "ven-1"
base = "ven/house"
layout = "split"
qos = 2
retain = true
on_change = true
discovery = "homeassistant"
expire_after = "60s"
ca = "ca.pem""#,
    );
    let Target::Mqtt(target) = &many.target else { panic!("{many:?}") };
    assert!(target.events && target.retain && target.on_change && !many.on_change, "once, by the sink");
    assert_eq!((target.layout, target.qos, target.base.as_str()), (Layout::Split, 2, "ven/house"));
    assert_eq!(target.password.as_deref(), Some("${file:/etc/ven/mqtt.pw}"));
    assert_eq!(target.discovery.as_deref(), Some("homeassistant"));
    assert_eq!(target.expire_after, Some(Span::MINUTE));
    assert_eq!(target.ca.as_deref(), Some(Path::new("/etc/ven/ca.pem")));
}

#[test]
fn telegrams_go_to_lines_that_want_them_now() {
    let line = hook("serial", "port = \"/dev/ttyUSB1\"");
    assert_eq!(line.topics.patterns(), ["meter.telegram"]);
    let now = QueueLimits { max_items: 2, max_age: Span::from_seconds(10), ..QueueLimits::METER };
    assert_eq!((line.meter_queue, line.meter_queue.when_full), (now, WhenFull::DropOldest));
    let Target::Serial(target) = &line.target else { panic!("{line:?}") };
    assert_eq!((target.line, target.write_timeout), (SerialLine::P1, Span::from_seconds(2)));
    assert_eq!(target.port, Path::new("/dev/ttyUSB1"));

    let own = "port = \"p\"\nline = { baud = 9600, data_bits = 7, parity = \"even\", stop_bits = 2, flow = \"xonxoff\" }";
    let Target::Serial(target) = hook("serial", own).target else { panic!() };
    let own =
        SerialLine { baud: 9600, data_bits: 7, parity: Parity::Even, stop_bits: 2, flow: Flow::XonXoff };
    assert_eq!(target.line, own);

    let old = "[[meter]]\nname = \"old\"\nsource = \"serial:/dev/x\"\nbaud = 9600\nframing = \"7E1\"";
    let inherited = config("serial", "port = \"p\"\nline = \"inherit\"", old).unwrap().hooks.remove(0);
    let Target::Serial(target) = inherited.target else { panic!() };
    assert_eq!(target.line, SerialLine { baud: 9600, data_bits: 7, parity: Parity::Even, ..SerialLine::P1 });
    let differ = config("serial", "port = \"p\"", &format!("{METER}{old}")).unwrap_err();
    assert!(differ.contains("hook[0].line: cannot be inherited: the lines of the meters differ"), "{differ}");

    let Target::Tcp(target) = hook("tcp", "listen = \"0.0.0.0:2001\"").target else { panic!() };
    assert_eq!(target, TcpTarget::Listen("0.0.0.0:2001".into()));
    let Target::Tcp(target) = hook("tcp", "connect = \"display:2001\"").target else { panic!() };
    assert_eq!(target, TcpTarget::Connect("display:2001".into()));
}

#[test]
fn files_and_programs_are_found_from_the_folder_of_the_configuration() {
    let file = hook("file", "topics = \"**\"\npath = \"log/all.jsonl\"");
    let Target::File(target) = &file.target else { panic!("{file:?}") };
    assert_eq!(target.path, Path::new("/etc/ven/log/all.jsonl"));
    assert_eq!((target.max_bytes, target.keep, target.fsync), (10 << 20, 5, false));
    let file =
        hook("file", "topics = \"**\"\npath = \"/var/log/a\"\nmax_size = \"1MiB\"\nkeep = 2\nfsync = true");
    let Target::File(target) = &file.target else { panic!("{file:?}") };
    assert_eq!((target.max_bytes, target.keep, target.fsync), (1 << 20, 2, true));

    let command = |command: &str| {
        let hook = hook("exec", &format!("topics = \"event.*\"\ncommand = {command}"));
        let Target::Exec(target) = hook.target else { panic!() };
        target.command
    };
    assert_eq!(command("[\"./tell.sh\", \"./a\"]"), ["/etc/ven/./tell.sh", "./a"]);
    assert_eq!(command("\"logger\""), ["logger"], "is looked for in PATH");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "hush\n").unwrap();
    let exec =
        hook("exec", "topics = \"event.*\"\ncommand = \"a\"\nenv = { KEY = \"k:${file:key}\", B = \"b\" }");
    let ready = with_secrets(&exec, folder.path()).unwrap();
    let Target::Exec(target) = &ready.target else { panic!("{ready:?}") };
    assert_eq!(target.env, [("KEY".into(), "k:hush".into()), ("B".into(), "b".into())]);
    assert!(!format!("{ready:?}").contains("hush"));
}

#[test]
fn pvoutput_is_told_slots_of_one_meter() {
    let id = "system_id = \"12345\"\napi_key = \"${env:PVOUTPUT}\"";
    let few = hook("pvoutput", id);
    assert_eq!(few.topics.patterns(), ["meter.interval"]);
    assert_eq!(few.filter.as_deref(), Some("data.duration_seconds == 300"));
    assert!(few.durable_always, "a slot has its own time, and is taken for two weeks");
    assert_eq!((few.batch.max_items, few.meter_queue.max_age), (30, Span::DAY * 14));
    let Target::PvOutput(target) = &few.target else { panic!("{few:?}") };
    assert_eq!((target.url.as_str(), target.system_id.as_str()), ("https://pvoutput.org", "12345"));
    assert_eq!((&target.timezone, target.max_age), (&TimeZone::Local, Span::DAY * 14));
    let two = format!("{METER}[[meter]]\nname = \"so\\\"lar\"\nsource = \"serial:/dev/s\"");
    let said = format!(
        "{id}\nmeter = \"so\\\"lar\"\ninterval = \"15m\"\noffset = \"10m\"\nprocessing_delay = \"10m\"\ntimezone = \"Europe/Paris\"\nfilter = \"not data.late\""
    );
    let many = config("pvoutput", &said, &two).unwrap().hooks.remove(0);
    let filter = "data.meter == \"so\\\"lar\" and data.duration_seconds == 900 and (not data.late)";
    assert_eq!(many.filter.as_deref(), Some(filter));
    let Target::PvOutput(target) = &many.target else { panic!("{many:?}") };
    assert_eq!((target.max_age, target.processing_delay), (Span::DAY * 90, Some(Span::MINUTE * 10)));
    assert_eq!(
        many.retry.meter_schedule[..2],
        [Span::MINUTE * 10, Span::from_seconds(5)],
        "it waits for its first try"
    );
    assert_eq!(few.retry.meter_schedule[0], Span::ZERO);
    assert_eq!(target.timezone, TimeZone::Named("Europe/Paris".into()));
    let which = config("pvoutput", id, &two).unwrap_err();
    assert!(which.contains("hook[0].meter: is missing; say which meter it is, one of \"main\", "), "{which}");
}

/// A type, what is said of such a hook, and what is wrong with that.
const FAULTS: &[(&str, &str, &str)] = &[
    ("mqtt", "", "hook[0].url: is missing; name the broker"),
    (
        "mqtt",
        "url = \"http://h\"",
        "hook[0].url: expected \"mqtts://HOST[:PORT]\" or \"mqtt://HOST[:PORT]\", found http://",
    ),
    ("mqtt", "url = \"broker\"", "there is no :// in it"),
    ("mqtt", "url = \"mqtt://u:p@h\"", "credentials do not belong into it"),
    ("mqtt", "url = \"mqtt://h/house\"", "what topics begin with is said by base"),
    ("mqtt", "url = \"mqtt://h:99999\"", "found \"h:99999\" as host and port"),
    ("mqtt", "password = \"${env:P}\"", "hook[0].password: needs username beside it"),
    ("mqtt", "username = \"u\"\npassword = \"hush\"", "hook[0].password: expected \"${env:NAME}\""),
    ("mqtt", "base = \"ven/#\"", "hook[0].base: expected words and / between them"),
    ("mqtt", "base = \"\"", "hook[0].base: expected words"),
    ("mqtt", "base = \"$SYS/a\"", "hook[0].base: expected words"),
    ("mqtt", "discovery = \"+\"", "hook[0].discovery: expected \"homeassistant\""),
    ("mqtt", "client_id = \"\"", "hook[0].client_id: expected a name that no other client"),
    ("mqtt", "layout = \"xml\"", "hook[0].layout: expected one of \"json\", \"split\", \"raw\""),
    ("mqtt", "qos = 3", "hook[0].qos: expected 0 to 2, found 3"),
    ("mqtt", "headers = {}", "hook[0].headers: is not known"),
    ("file", "", "hook[0].path: is missing; name the file"),
    ("file", "max_size = \"5\"", "hook[0].max_size: expected a size"),
    ("tcp", "", "hook[0].listen: is missing; expected listen"),
    ("tcp", "listen = \"2001\"", "hook[0].listen: expected an address and a port"),
    ("tcp", "connect = \"display\"", "hook[0].connect: expected a host and a port"),
    ("tcp", "listen = \"0.0.0.0:1\"\nconnect = \"h:1\"", "hook[0].connect: stands beside listen"),
    ("serial", "", "hook[0].port: is missing; name it"),
    ("serial", "line = \"9600\"", "hook[0].line: expected one of \"inherit\", found \"9600\""),
    ("serial", "line = { baud = 9601 }", "hook[0].line.baud: expected one of 300, "),
    ("serial", "line = { data_bits = 9 }", "hook[0].line.data_bits: expected 5 to 8, found 9"),
    ("serial", "line = { stop_bits = 3 }", "hook[0].line.stop_bits: expected 1 to 2, found 3"),
    ("serial", "line = { parity = \"mark\" }", "hook[0].line.parity: expected one of"),
    ("serial", "line = { flow = \"dtr\" }", "hook[0].line.flow: expected one of"),
    ("serial", "line = { speed = 5 }", "hook[0].line.speed: is not known"),
    ("serial", "write_timeout = \"0s\"", "hook[0].write_timeout: is no time at all"),
    ("exec", "", "hook[0].command: expected a program and its arguments"),
    ("exec", "command = []", "hook[0].command: expected a program and its arguments"),
    ("exec", "command = [\"a\", \"${env:K}\"]", "every user of the machine sees the arguments"),
    ("exec", "env = { \"A=B\" = \"c\" }", "hook[0].env.A=B: no variable can be called that"),
    ("exec", "env = { A = \"${B}\" }", "hook[0].env.A: expected ${env:NAME}"),
    ("pvoutput", "", "hook[0].system_id: is missing"),
    ("pvoutput", "", "hook[0].api_key: is missing; put it into a file"),
    ("pvoutput", "api_key = \"hush\"", "hook[0].api_key: expected \"${env:NAME}\""),
    ("pvoutput", "system_id = \"mine\"", "hook[0].system_id: expected a number, found \"mine\""),
    ("pvoutput", "interval = \"7m\"", "hook[0].interval: expected one of \"5m\", \"10m\", \"15m\""),
    ("pvoutput", "processing_delay = \"3h\"", "hook[0].processing_delay: expected at most 120m"),
    ("pvoutput", "meter = \"mian\"", "hook[0].meter: there is no [[meter]] with name = \"mian\""),
    ("pvoutput", "url = \"http://pvoutput.org\"", "hook[0].url: by http everybody on the way"),
    ("pvoutput", "template = \"a\"", "hook[0].template: is not known"),
    ("pvoutput", "offset = \"31m\"", "offset: expected at most 30m, found "),
];

#[test]
fn each_fault_of_a_type_is_named() {
    for (kind, said, expected) in FAULTS {
        let fault = config(kind, &format!("topics = \"event.*\"\n{said}"), METER).unwrap_err();
        assert!(fault.contains(expected), "{kind}: {said}\n{expected}\nis not in\n{fault}");
        assert!(!fault.contains("hush"), "{fault}");
    }
}

#[test]
fn every_example_of_hooks_is_right_down_to_its_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks");
    let mut kinds = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!config.hooks.is_empty(), "{}", path.display());
        for hook in &config.hooks {
            let all = CATALOGUE.iter().map(|topic| (topic.name, topic.sample));
            let samples = Samples::new(&hook.topics, all);
            let batched = hook.batch.max_items > 1;
            let renderer = Renderer::new(&hook.words, &hook.name, batched, &samples);
            let renderer = renderer.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(renderer.warnings().is_empty(), "{}: {:?}", path.display(), renderer.warnings());
            if let Some(filter) = &hook.filter {
                Filter::new(filter, &samples).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
            kinds.insert(hook.target.word());
        }
    }
    assert_eq!(kinds.len(), 7, "each type is shown: {kinds:?}");
}
