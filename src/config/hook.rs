//! Reads `[[hook]]`: who is told of what, in which words, and how urgently.

mod http;
mod secrets;

use std::path::Path;

pub(crate) use secrets::with_secrets;

use crate::fact::Topics;
use crate::fact::topic::{CATALOGUE, Class};
use crate::hook::settings::{
    Batching, HookSettings, QueueLimits, RetrySettings, Serializer, Target, TimeZone, WhenFull, Words,
};
use crate::time::Span;

use super::read::or;
use super::reader::Section;

/// Longer than this nobody waits for an answer.
const LONGEST_TRY: Span = Span::from_seconds(600);
/// A template is no larger.
const TEMPLATE_SIZE: u64 = 256 << 10;

/// What a hook is made of, by `type`.
#[derive(Clone, Copy)]
enum Kind {
    Http,
}

const KINDS: &[(&str, Kind)] = &[("http", Kind::Http)];

/// The hooks of the file; paths are relative to that folder.
pub(super) fn hooks(root: &Section<'_, '_>, folder: &Path) -> Vec<HookSettings> {
    let mut hooks: Vec<HookSettings> = Vec::new();
    for section in root.sections("hook") {
        let place = section.place();
        let Some(hook) = hook(section, folder) else { continue };
        if hooks.iter().any(|other| other.name == hook.name) {
            root.reader.fault(
                place.1,
                &format!("{}.name", place.0),
                format!("\"{}\" stands twice", hook.name),
            );
            continue;
        }
        root.reader.stands(format!("hook.{}", hook.name), place.1);
        hooks.push(hook);
    }
    hooks
}

fn hook(section: Section<'_, '_>, folder: &Path) -> Option<HookSettings> {
    let name = name(&section);
    let kind = section.choice("type", KINDS);
    if !section.has("type") {
        section.fault("type", "is missing; say how it is told, as type = \"http\"");
    }
    let enabled = or(section.boolean("enabled"), true);
    let topics = topics(&section);
    let durable = section.choice("durable", &[("auto", false), ("always", true)]);
    let order = section.choice("order", &[("strict", true), ("relaxed", false)]);
    let timeout = timeout(&section);
    let (queue, meter_queue) = queues(&section, tells_of_meters_alone(&topics));
    let batch = batch(section.section("batch"));
    let min_interval = or(section.span("min_interval"), Span::ZERO);
    let on_change = or(section.boolean("on_change"), false);
    let retry = retry(section.section("retry"), tells_of_meters_alone(&topics));
    let words = words(&section, folder);
    let filter = section.text("filter").map(|found| found.value);
    let target = match kind.map(|found| found.value) {
        Some(Kind::Http) => http::target(&section, folder).map(Target::Http),
        None => {
            // What else is said depends on the type, and would be blamed wrongly.
            return None;
        }
    };
    section.end();
    Some(HookSettings {
        name: name?,
        enabled,
        topics,
        filter,
        durable_always: or(durable, false),
        strict_order: or(order, true),
        timeout,
        queue,
        meter_queue,
        batch,
        min_interval,
        on_change,
        retry,
        words,
        target: target?,
    })
}

/// A name that can stand in commands, paths and topics.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 63 && text.chars().all(fits)
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

/// Every topic that is wrong is named.
fn topics(section: &Section<'_, '_>) -> Topics {
    let found = section.texts("topics");
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

/// What may wait of control facts, and of facts of meters.
fn queues(section: &Section<'_, '_>, meters_alone: bool) -> (QueueLimits, QueueLimits) {
    if meters_alone && section.has("queue") && section.has("meter_queue") {
        let what = "means the same as queue in a hook that tells of meters alone; take one of them out";
        section.fault_at("meter_queue", what);
    }
    let of_queue = if meters_alone { QueueLimits::METER } else { QueueLimits::CONTROL };
    let queue = limits(section.section("queue"), of_queue);
    let meter_queue = limits(section.section("meter_queue"), QueueLimits::METER);
    match meters_alone {
        true if section.has("queue") => (QueueLimits::CONTROL, queue),
        true => (QueueLimits::CONTROL, meter_queue),
        false => (queue, meter_queue),
    }
}

fn limits(section: Section<'_, '_>, default: QueueLimits) -> QueueLimits {
    let max_items = at_least_one(&section, "max_items", default.max_items);
    let max_bytes = section.octets("max_bytes").map_or(default.max_bytes, |found| {
        // More than the machine can address is all of it.
        usize::try_from(found.value).unwrap_or(usize::MAX)
    });
    let max_age = section.span("max_age").map_or(default.max_age, |found| {
        if found.value.is_zero() {
            section.reader.fault(
                found.line,
                &found.key,
                "is no time at all; nothing would ever be delivered",
            );
        }
        found.value
    });
    let words = [("drop_oldest", WhenFull::DropOldest), ("drop_newest", WhenFull::DropNewest)];
    let when_full = or(section.choice("when_full", &words), default.when_full);
    section.end();
    QueueLimits { max_items, max_bytes, max_age, when_full }
}

fn at_least_one(section: &Section<'_, '_>, name: &'static str, default: usize) -> usize {
    let Some(found) = section.number(name) else { return default };
    if found.value == 0 {
        section.reader.fault(found.line, &found.key, "expected 1 or more, found 0");
    }
    usize::try_from(found.value).unwrap_or(default)
}

fn batch(section: Section<'_, '_>) -> Batching {
    let max_items = at_least_one(&section, "max_items", 1);
    let max_wait = section.span("max_wait");
    if let Some(found) = max_wait.as_ref().filter(|found| max_items == 1 && !found.value.is_zero()) {
        let what = "waits for others that never join; say batch = { max_items = 20, … } or leave it out";
        section.reader.fault(found.line, &found.key, what);
    }
    section.end();
    Batching { max_items, max_wait: or(max_wait, Span::ZERO) }
}

fn retry(section: Section<'_, '_>, meters_alone: bool) -> RetrySettings {
    let default = RetrySettings::default();
    if meters_alone && section.has("schedule") && section.has("meter_schedule") {
        let what = "means the same as schedule in a hook that tells of meters alone; take one of them out";
        section.fault_at("meter_schedule", what);
    }
    let schedule = schedule(&section, "schedule");
    let meter_schedule = self::schedule(&section, "meter_schedule");
    let jitter_percent = jitter(&section).unwrap_or(default.jitter_percent);
    let poison = section.number("poison_attempts");
    if let Some(found) = poison.as_ref().filter(|found| !(1..=100).contains(&found.value)) {
        section.reader.fault(found.line, &found.key, format!("expected 1 to 100, found {}", found.value));
    }
    section.end();
    let (schedule, meter_schedule) = match meters_alone {
        true => (None, schedule.or(meter_schedule)),
        false => (schedule, meter_schedule),
    };
    RetrySettings {
        schedule: schedule.unwrap_or(default.schedule),
        meter_schedule: meter_schedule.unwrap_or(default.meter_schedule),
        jitter_percent,
        poison_attempts: or(poison, default.poison_attempts),
    }
}

/// A name, or waits one by one.
fn schedule(section: &Section<'_, '_>, name: &'static str) -> Option<Vec<Span>> {
    if !section.has(name) {
        return None;
    }
    match section.texts(name).as_slice() {
        [found] if found.value == "standard" => return Some(RetrySettings::STANDARD.to_vec()),
        [found] if found.value == "standard-webhooks" => {
            return Some(RetrySettings::STANDARD_WEBHOOKS.to_vec());
        }
        _ => {}
    }
    let spans = section.spans(name);
    match spans.last() {
        None => section.fault_at(
            name,
            "expected \"standard\", \"standard-webhooks\", or waits like [\"0s\", \"5s\", \"5min\", \"1h\"]",
        ),
        Some(last) if last.value < Span::SECOND => {
            let what = "the last wait is repeated until the fact is too old; make it 1s or longer";
            section.reader.fault(last.line, &last.key, what);
        }
        Some(_) => {}
    }
    Some(spans.into_iter().map(|found| found.value).collect())
}

/// `0.2` are 20 per cent.
fn jitter(section: &Section<'_, '_>) -> Option<u8> {
    let found = section.fraction("jitter")?;
    let percent = found.value * rust_decimal::Decimal::ONE_HUNDRED;
    let whole = u8::try_from(percent).ok().filter(|whole| *whole <= 100 && percent.fract().is_zero());
    if whole.is_none() {
        let what = format!("expected 0.0 to 1.0 in steps of 0.01, found {}", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    whole
}

fn words(section: &Section<'_, '_>, folder: &Path) -> Words {
    let serializer = section.text("serializer").and_then(|found| match found.value.parse::<Serializer>() {
        Ok(serializer) => Some(serializer),
        Err(error) => {
            section.reader.fault(found.line, &found.key, error.to_string());
            None
        }
    });
    let texts = |name| section.pairs(name).into_iter().map(|(name, found)| (name, found.value)).collect();
    Words {
        template: template(section, folder),
        serializer,
        content_type: section.text("content_type").map(|found| found.value),
        form: texts("form"),
        fields: texts("fields"),
        timezone: section.text("timezone").map_or(TimeZone::Utc, |found| found.value.as_str().into()),
    }
}

/// What stands here, or in a file of its own.
fn template(section: &Section<'_, '_>, folder: &Path) -> Option<String> {
    let (here, file) = (section.text("template"), section.text("template_file"));
    let Some(file) = file else { return here.map(|found| found.value) };
    if here.is_some() {
        section.reader.fault(file.line, &file.key, "stands beside template; take one of them out");
    }
    let path = folder.join(&file.value);
    match read_template(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            section.reader.fault(file.line, &file.key, format!("{}: {error}", path.display()));
            None
        }
    }
}

fn read_template(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > TEMPLATE_SIZE {
        return Err(format!("has {size} octets; a template has at most {TEMPLATE_SIZE}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
