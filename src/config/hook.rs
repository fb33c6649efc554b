//! Reads `[[hook]]`: who is told of what, in which words, and how urgently.

mod file;
mod from_afar;
mod http;
mod lines;
mod mqtt;
mod pace;
mod pvoutput;
mod secrets;
mod words;

use std::path::Path;

pub(crate) use file::HookFile;
pub(crate) use from_afar::{is_fit_from_afar, names_no_file};
pub(super) use secrets::{References, filled};
pub(crate) use secrets::{secret_files, with_secrets};

use crate::fact::Topics;
use crate::fact::topic::{CATALOGUE, Class};
use crate::hook::settings::{HookSettings, QueueLimits, Target, Words};
use crate::time::Span;

use super::meter::MeterSection;
use super::read::or;
use super::reader::Section;
use pace::{batch, queues, retry};
use pvoutput::PvOutput;
use words::words;

/// Longer than this nobody waits for an answer.
const LONGEST_TRY: Span = Span::from_seconds(600);

/// What a hook is made of, by `type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Mqtt,
    File,
    Tcp,
    Serial,
    Exec,
    PvOutput,
}

const KINDS: &[(&str, Kind)] = &[
    ("http", Kind::Http),
    ("mqtt", Kind::Mqtt),
    ("file", Kind::File),
    ("tcp", Kind::Tcp),
    ("serial", Kind::Serial),
    ("exec", Kind::Exec),
    ("pvoutput", Kind::PvOutput),
];

/// What else of the configuration hooks speak of.
pub(super) struct Around<'a> {
    /// Paths are relative to it.
    pub(super) folder: &'a Path,
    /// The VEN's name; empty where it is not known.
    pub(super) ven: &'a str,
    pub(super) meters: &'a [MeterSection],
}

/// What holds of a type where nothing else is said.
struct Usual {
    topics: Option<&'static str>,
    /// Of facts of meters.
    durable: bool,
    meter_queue: QueueLimits,
    batch: usize,
}

impl Kind {
    fn usual(self) -> Usual {
        let usual = Usual { topics: None, durable: false, meter_queue: QueueLimits::METER, batch: 1 };
        match self {
            Self::Http | Self::Mqtt | Self::File | Self::Exec => usual,
            // Who reads a line wants to know how things are now.
            Self::Tcp | Self::Serial => {
                let meter_queue =
                    QueueLimits { max_items: 2, max_age: Span::from_seconds(10), ..QueueLimits::METER };
                Usual { topics: Some("meter.telegram"), meter_queue, ..usual }
            }
            // Slots have their own times and are taken for two weeks, 30 in one request.
            Self::PvOutput => {
                let max_age = Span::DAY * 14;
                let meter_queue = QueueLimits { max_items: 14 * 288, max_age, ..QueueLimits::METER };
                Usual { topics: Some("meter.interval"), durable: true, meter_queue, batch: 30 }
            }
        }
    }
}

/// The hooks of the file.
pub(super) fn hooks(root: &Section<'_, '_>, around: &Around<'_>) -> Vec<HookSettings> {
    let mut hooks: Vec<HookSettings> = Vec::new();
    for section in root.sections("hook") {
        let (path, line) = section.place();
        let Some(hook) = hook(section, around, None) else { continue };
        if hooks.iter().any(|other| other.name == hook.name) {
            root.reader.fault(line, &format!("{path}.name"), format!("\"{}\" stands twice", hook.name));
            continue;
        }
        root.reader.stands(format!("hook.{}", hook.name), line);
        hooks.push(hook);
    }
    hooks
}

/// `file`: the name of its file, where it has one of its own.
fn hook(section: Section<'_, '_>, around: &Around<'_>, file: Option<&str>) -> Option<HookSettings> {
    let name = match file {
        None => name(&section),
        Some(file) => Some(name_of_file(&section, file)),
    };
    let kind = section.choice("type", KINDS);
    if !section.has("type") {
        section.fault("type", "is missing; say how it is told, as type = \"http\"");
    }
    // What else is said depends on the type, and would be blamed wrongly.
    let kind = kind?.value;
    let usual = kind.usual();
    let enabled = or(section.boolean("enabled"), true);
    let topics = topics(&section, &usual);
    let on_change = or(section.boolean("on_change"), false);
    let aim = aim(&section, kind, around, name.as_deref().unwrap_or_default(), &topics, on_change);
    let durable = section.choice("durable", &[("auto", false), ("always", true)]);
    let order = section.choice("order", &[("strict", true), ("relaxed", false)]);
    let timeout = timeout(&section);
    let meters_alone = tells_of_meters_alone(&topics);
    let (queue, meter_queue) = queues(&section, meters_alone, usual.meter_queue);
    let batch = batch(section.section("batch"), usual.batch);
    let min_interval = or(section.span("min_interval"), Span::ZERO);
    let mut retry = retry(section.section("retry"), meters_alone);
    if let Some((Target::PvOutput(target), _)) = &aim
        && let Some(first) = retry.meter_schedule.first_mut()
    {
        *first = (*first).max(target.offset);
    }
    // The service has its own words.
    let words = if kind == Kind::PvOutput { Words::default() } else { words(&section, around.folder) };
    let filter = section.text("filter").map(|found| found.value);
    section.end();
    let (target, of_target) = aim?;
    Some(HookSettings {
        name: name?,
        enabled,
        topics,
        filter: both(of_target, filter),
        durable_always: or(durable, usual.durable),
        strict_order: or(order, true),
        timeout,
        queue,
        meter_queue,
        batch,
        min_interval,
        // The sink of MQTT knows what each of its topics was told.
        on_change: on_change && kind != Kind::Mqtt,
        retry,
        words,
        target,
    })
}

/// Where it goes, and an expression that picks what goes there.
fn aim(
    section: &Section<'_, '_>,
    kind: Kind,
    around: &Around<'_>,
    name: &str,
    topics: &Topics,
    on_change: bool,
) -> Option<(Target, Option<String>)> {
    let target = match kind {
        Kind::Http => Target::Http(http::target(section, around.folder)?),
        Kind::Mqtt => Target::Mqtt(mqtt::target(section, around, name, topics, on_change)?),
        Kind::File => Target::File(lines::file(section, around.folder)?),
        Kind::Tcp => Target::Tcp(lines::tcp(section)?),
        Kind::Serial => Target::Serial(lines::serial(section, around.folder, around.meters)?),
        Kind::Exec => Target::Exec(lines::exec(section, around.folder)),
        Kind::PvOutput => {
            let PvOutput { target, filter } = pvoutput::target(section, around)?;
            return Some((Target::PvOutput(target), Some(filter)));
        }
    };
    Some((target, None))
}

/// What holds where both of these hold.
fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one} and ({other})")),
        (one, other) => one.or(other),
    }
}

/// A name is not longer.
pub(super) const LONGEST_NAME: usize = 63;

/// A name that can stand in commands, paths and topics.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= LONGEST_NAME && text.chars().all(fits)
}

fn name(section: &Section<'_, '_>) -> Option<String> {
    let found = section.required("name", "give the hook a name of your choice, as name = \"ops\"")?;
    if is_name(&found.value) {
        return Some(found.value);
    }
    let what = format!(
        "expected a small letter and then at most 62 small letters, digits, _ and -, found \"{}\"",
        found.value
    );
    section.reader.fault(found.line, &found.key, what);
    None
}

/// The file has the name already.
fn name_of_file(section: &Section<'_, '_>, file: &str) -> String {
    if let Some(found) = section.text("name").filter(|found| found.value != file) {
        let what = format!("is \"{file}\", as the file is called; leave it out, found \"{}\"", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    file.to_owned()
}

/// Every topic that is wrong is named.
fn topics(section: &Section<'_, '_>, usual: &Usual) -> Topics {
    let found = section.texts("topics");
    if let Some(topics) = usual.topics.filter(|_| !section.has("topics")) {
        return Topics::parse([topics]).unwrap_or_default();
    }
    if found.is_empty() {
        let advice = if section.has("topics") { "has none" } else { "is missing" };
        section
            .fault_at("topics", format!("{advice}; expected topics = [\"event.*\"]; `ven topics` lists all"));
    }
    for found in &found {
        if let Err(error) = Topics::parse([found.value.as_str()]) {
            section.reader.fault(found.line, &found.key, error.to_string());
        }
    }
    Topics::parse(found.iter().map(|found| found.value.as_str())).unwrap_or_default()
}

/// Then `queue` and `retry` speak of facts of meters.
fn tells_of_meters_alone(topics: &Topics) -> bool {
    let control =
        |topic: &crate::fact::topic::Topic| topic.class == Class::Control && topics.pick(topic.name);
    let plugins = |pattern: &String| pattern.starts_with("x.") || pattern.starts_with('*');
    !topics.patterns().is_empty() && !CATALOGUE.iter().any(control) && !topics.patterns().iter().any(plugins)
}

fn timeout(section: &Section<'_, '_>) -> Span {
    let Some(found) = section.span("timeout") else { return Span::from_seconds(10) };
    if found.value.is_zero() || found.value > LONGEST_TRY {
        let what = format!("expected more than nothing and at most {LONGEST_TRY}, found {}", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    found.value
}
