//! Says of two tries whether the same was sent, and by the same settings, without saying what.
//!
//! A hash is the beginning of a SHA-256 (FIPS 180-4), 64 bits of it. Whoever sees hashes may guess what is in them, so nothing is in
//! them that may be a secret: where the configuration refers to one by `${env:NAME}` or `${file:/path}` the reference, and no value that
//! stands in the configuration itself where secrets use to stand (headers, the query of a URL, the environment of a program). So a
//! secret that is exchanged behind its reference makes no other hash.

use ring::digest::{Context, SHA256};

use super::settings::{ExecTarget, HookSettings, HttpTarget, MqttTarget, PvOutputTarget, Target};

/// Octets of a hash; two digits each.
const KEPT: usize = 8;

/// What the hashes of the tries of one hook have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hashes {
    settings: String,
    /// Where messages go.
    place: String,
}

impl Hashes {
    /// Of a hook as it is configured, with references where secrets will be.
    pub(crate) fn of(configured: &HookSettings) -> Self {
        let place = if let Target::Http(target) = &configured.target {
            format!("{} {}", target.method, without_query(&target.url))
        } else {
            configured.target.word().to_owned()
        };
        Self { settings: hash(&[text(configured).as_bytes()]), place }
    }

    /// Of the settings: another where anything is changed but a secret.
    pub(crate) fn settings(&self) -> &str {
        &self.settings
    }

    /// Of a message: the same for the same words to the same place.
    pub(crate) fn sent(&self, content_type: &str, body: &[u8]) -> String {
        hash(&[self.place.as_bytes(), content_type.as_bytes(), body])
    }
}

/// The length before each part keeps what stands in one apart from what stands in the next.
fn hash(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().take(KEPT).map(|octet| format!("{octet:02x}")).collect()
}

/// Everything that is configured and is no secret.
fn text(configured: &HookSettings) -> String {
    let HookSettings {
        name,
        enabled,
        topics,
        filter,
        durable_always,
        strict_order,
        timeout,
        queue,
        meter_queue,
        batch,
        min_interval,
        on_change,
        retry,
        words,
        target,
    } = configured;
    let of_facts = (name, enabled, topics, filter, words, on_change);
    let of_messages = (durable_always, strict_order, timeout, queue, meter_queue, batch, min_interval, retry);
    let target = match target {
        Target::Http(target) => of_http(target),
        Target::Mqtt(target) => of_mqtt(target),
        Target::Exec(target) => of_exec(target),
        Target::PvOutput(target) => of_pvoutput(target),
        Target::File(_) | Target::Tcp(_) | Target::Serial(_) => format!("{target:?}"),
    };
    format!("{of_facts:?} {of_messages:?} {target}")
}

fn of_http(target: &HttpTarget) -> String {
    let HttpTarget { url, method, headers, expect, gzip, secrets, allow_private, ca } = target;
    let (url, headers) = (without_query(url), references_in(headers));
    let secrets: Vec<&str> = secrets.iter().map(|secret| reference(secret)).collect();
    format!("{:?}", ("http", url, method, headers, expect, gzip, secrets, allow_private, ca))
}

fn of_mqtt(target: &MqttTarget) -> String {
    let MqttTarget {
        url,
        username,
        password,
        client_id,
        base,
        layout,
        qos,
        retain,
        on_change,
        discovery,
        expire_after,
        events,
        main_meter,
        ca,
    } = target;
    let of_broker = (url, username, password.as_deref().map(reference), client_id, qos, retain, ca);
    let of_topics = (base, layout, on_change, discovery, expire_after, events, main_meter);
    format!("mqtt {of_broker:?} {of_topics:?}")
}

fn of_exec(target: &ExecTarget) -> String {
    let ExecTarget { command, env, max_memory } = target;
    format!("{:?}", ("exec", command, references_in(env), max_memory))
}

fn of_pvoutput(target: &PvOutputTarget) -> String {
    let PvOutputTarget { url, system_id, api_key, timezone, offset, processing_delay, max_age, ca } = target;
    let of_slots = (timezone, offset, processing_delay, max_age);
    format!("{:?}", ("pvoutput", without_query(url), system_id, reference(api_key), of_slots, ca))
}

/// Names, and of their values those that refer to a secret.
fn references_in(values: &[(String, String)]) -> Vec<(&str, &str)> {
    values.iter().map(|(name, value)| (name.as_str(), reference(value))).collect()
}

/// What refers to a secret; nothing of what may be one.
fn reference(value: &str) -> &str {
    if value.contains("${") { value } else { "" }
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests;
