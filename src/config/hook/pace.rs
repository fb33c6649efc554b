//! Reads how much may wait for a hook, how much goes at once, and when it is tried again.

use rust_decimal::Decimal;

use crate::hook::settings::{Batching, QueueLimits, RetrySettings, WhenFull};
use crate::time::Span;

use super::super::read::or;
use super::super::reader::Section;

/// What may wait of control facts, and of facts of meters.
pub(super) fn queues(
    section: &Section<'_, '_>,
    meters_alone: bool,
    of_meters: QueueLimits,
) -> (QueueLimits, QueueLimits) {
    if meters_alone && section.has("queue") && section.has("meter_queue") {
        let what = "means the same as queue in a hook that tells of meters alone; take one of them out";
        section.fault_at("meter_queue", what);
    }
    let of_queue = if meters_alone { of_meters } else { QueueLimits::CONTROL };
    let queue = limits(section.section("queue"), of_queue);
    let meter_queue = limits(section.section("meter_queue"), of_meters);
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

pub(super) fn batch(section: Section<'_, '_>, usual: usize) -> Batching {
    let max_items = at_least_one(&section, "max_items", usual);
    let max_wait = section.span("max_wait");
    if let Some(found) = max_wait.as_ref().filter(|found| max_items == 1 && !found.value.is_zero()) {
        let what = "waits for others that never join; say batch = { max_items = 20, … } or leave it out";
        section.reader.fault(found.line, &found.key, what);
    }
    section.end();
    Batching { max_items, max_wait: or(max_wait, Span::ZERO) }
}

pub(super) fn retry(section: Section<'_, '_>, meters_alone: bool) -> RetrySettings {
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
    let percent = found.value * Decimal::ONE_HUNDRED;
    let whole = u8::try_from(percent).ok().filter(|whole| *whole <= 100 && percent.fract().is_zero());
    if whole.is_none() {
        let what = format!("expected 0.0 to 1.0 in steps of 0.01, found {}", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    whole
}
