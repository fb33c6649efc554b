//! `ven hooks test`: one message, now, past the queue.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::show::{configured, goal};
use crate::cli::plain::plain;
use crate::config::{Config, folder_of};
use crate::daemon::bus::uuid_v7;
use crate::daemon::clock::Clock;
use crate::daemon::outbox::Parts;
use crate::daemon::sink::{self, Message};
use crate::fact::Fact;
use crate::fact::topic::CATALOGUE;
use crate::hook::filter::Filter;
use crate::hook::outcome::Outcome;
use crate::hook::render::{Around, Renderer, Samples, VenNames};
use crate::hook::settings::HookSettings;
use crate::time::Timestamp;

/// What `--event` names: a fact as `ven topics` shows it, or a `CloudEvent` as a hook has sent it.
#[derive(Deserialize)]
struct Told {
    #[serde(alias = "type")]
    topic: String,
    subject: Option<String>,
    data: Map<String, Value>,
}

pub(super) fn test(config: &Config, name: &str, event: Option<&Path>, dry_run: bool) -> anyhow::Result<()> {
    let settings = configured(config, name)?;
    let now = Clock::start().now().wall;
    let samples = Samples::new(&settings.topics, CATALOGUE.iter().map(|topic| (topic.name, topic.sample)));
    let fact = match event {
        Some(file) => told(file, now)?,
        None => sample(settings, &samples, now)?,
    };
    notes(settings, &samples, &fact)?;
    let renderer = Renderer::new(&settings.words, name, settings.batch.max_items > 1, &samples)?;
    let ven = VenNames { name: config.ven.name.clone(), ..VenNames::default() };
    let rendered = renderer.render(&[&fact], Around { ven: &ven, now })?;
    let message = Message {
        id: fact.id.clone(),
        facts: vec![Arc::new(fact)],
        body: rendered.body,
        content_type: rendered.content_type,
        at: now,
    };
    request(settings, &message)?;
    if dry_run {
        return Ok(());
    }
    let parts = Parts::of_configured(settings, folder_of(&config.file));
    let parts = parts.map_err(|error| anyhow::anyhow!("hook {name}: {error}"))?;
    deliver(parts, &message)
}

fn told(file: &Path, now: Timestamp) -> anyhow::Result<Fact> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let told: Told = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    Ok(fact(told.topic, told.subject, told.data, now))
}

/// Of the first topic whose sample the filter lets through; where it lets none through, of the first.
fn sample(settings: &HookSettings, samples: &Samples, now: Timestamp) -> anyhow::Result<Fact> {
    let filter = settings.filter.as_deref().map(|text| Filter::new(text, samples)).transpose()?;
    let mut facts = Vec::new();
    for topic in CATALOGUE.iter().filter(|topic| settings.topics.pick(topic.name)) {
        facts.push(fact(topic.name.to_owned(), None, serde_json::from_str(topic.sample)?, now));
    }
    let wanted = |fact: &Fact| filter.as_ref().is_none_or(|filter| filter.holds(fact) == Ok(true));
    let at = facts.iter().position(wanted).unwrap_or(0);
    anyhow::ensure!(at < facts.len(), "no topic of this hook has a sample; give a fact by --event");
    Ok(facts.swap_remove(at))
}

fn fact(topic: String, subject: Option<String>, data: Map<String, Value>, now: Timestamp) -> Fact {
    Fact { id: uuid_v7(now), seq: 0, topic, subject, time: now, data }
}

/// What a delivery would not have got so far by.
fn notes(settings: &HookSettings, samples: &Samples, fact: &Fact) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if !settings.enabled {
        writeln!(out, "note: this hook is not enabled")?;
    }
    if !settings.topics.pick(&fact.topic) {
        writeln!(out, "note: {} is not among its topics", fact.topic)?;
    }
    if let Some(text) = &settings.filter {
        match Filter::new(text, samples)?.holds(fact) {
            Ok(true) => {}
            Ok(false) => writeln!(out, "note: its filter does not hold, so this would not be told")?,
            Err(error) => writeln!(out, "note: this would not be told: {error}")?,
        }
    }
    Ok(())
}

/// As far as it is known without secrets.
fn request(settings: &HookSettings, message: &Message) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match sink::said(settings, message) {
        Err(why) => writeln!(out, "note: this would not be told: {why}")?,
        Ok(said) => {
            if said.head.is_empty() {
                writeln!(out, "{} to {}", settings.target.word(), goal(&settings.target))?;
            }
            for line in &said.head {
                writeln!(out, "{line}")?;
            }
            writeln!(out)?;
            out.write_all(&said.body)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn deliver(mut parts: Parts, message: &Message) -> anyhow::Result<()> {
    let timeout = parts.timeout.to_std();
    let tried = super::super::runtime()?.block_on(async {
        parts.sink.open().await;
        let tried = tokio::time::timeout(timeout, parts.sink.deliver(message)).await;
        // What a sink says goodbye with is not worth waiting for.
        drop(tokio::time::timeout(timeout, parts.sink.close()).await);
        tried
    });
    let tried = tried.map_err(|_| anyhow::anyhow!("no answer within {}", parts.timeout))?;
    let mut out = std::io::stdout().lock();
    let code = tried.code.map_or_else(String::new, |code| format!(", {code}"));
    let came_of_it = match tried.outcome {
        Outcome::Sent => "sent",
        Outcome::Unchanged => "not sent, since it says nothing new",
        Outcome::Endpoint { .. } => {
            "the endpoint has failed; all that waits for it would be held up, and tried again"
        }
        Outcome::Payload => "the endpoint does not take this message; it would be dead after a few tries",
        Outcome::Gone => "the endpoint wants nothing any more; the hook would be disabled",
        Outcome::Unsaid => "nothing could be sent",
    };
    writeln!(out, "{came_of_it}{code}")?;
    for line in tried.answer.lines() {
        writeln!(out, "answer: {}", plain(line))?;
    }
    anyhow::ensure!(matches!(tried.outcome, Outcome::Sent | Outcome::Unchanged), plain(&tried.why));
    Ok(())
}
