//! Reads `type = "mqtt"`.

use std::path::Path;

use crate::fact::Topics;
use crate::fact::topic::CATALOGUE;
use crate::hook::settings::{Layout, MqttTarget};

use super::super::read::or;
use super::super::reader::Section;
use super::Around;
use super::http::{host, secrets};

/// `on_change`: as the hook has it, which the sink does topic by topic.
pub(super) fn target(
    section: &Section<'_, '_>,
    around: &Around<'_>,
    name: &str,
    topics: &Topics,
    on_change: bool,
) -> Option<MqttTarget> {
    let url = section.required("url", "name the broker, as url = \"mqtts://broker.example.net\"");
    if let Some(found) = &url
        && let Err(what) = check_url(&found.value)
    {
        section.reader.fault(found.line, &found.key, what);
    }
    let username = section.text("username").map(|found| found.value);
    let password = secrets(section, "password").into_iter().next();
    if password.is_some() && !section.has("username") {
        section.fault_at("password", "needs username beside it");
    }
    let base = section.text("base");
    let base_or = |found: Option<super::super::reader::Found<String>>| {
        found.map_or_else(|| format!("ven/{}", around.ven), |found| found.value)
    };
    if let Some(found) = base.as_ref().filter(|found| !is_topic(&found.value)) {
        let what = format!("expected words and / between them, as \"ven/house\", found \"{}\"", found.value);
        section.reader.fault(found.line, &found.key, what);
    } else if base.is_none() && !is_topic(around.ven) && !around.ven.is_empty() {
        section
            .fault("base", "is missing; the name of this VEN cannot be a topic, so say base = \"ven/house\"");
    }
    let discovery = section.text("discovery");
    if let Some(found) = discovery.as_ref().filter(|found| !is_topic(&found.value)) {
        let what =
            format!("expected \"homeassistant\", or what its topics begin with, found \"{}\"", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    let layouts = [("json", Layout::Json), ("split", Layout::Split), ("raw", Layout::Raw)];
    Some(MqttTarget {
        username,
        password,
        client_id: client_id(section, around.ven, name),
        base: base_or(base),
        layout: or(section.choice("layout", &layouts), Layout::Json),
        qos: or(section.whole("qos", 0..=2), 1),
        retain: or(section.boolean("retain"), false),
        on_change,
        discovery: discovery.map(|found| found.value),
        expire_after: section.span("expire_after").map(|found| found.value),
        events: CATALOGUE.iter().any(|topic| topic.name.starts_with("event.") && topics.pick(topic.name)),
        main_meter: around.meters.first().map(|meter| meter.name.clone()),
        ca: section
            .text("ca")
            .filter(|found| found.value != "system")
            .map(|found| around.folder.join(Path::new(&found.value))),
        url: url?.value,
    })
}

/// No other client of the broker may have it: of two with the same id each throws the other out, again and again.
fn client_id(section: &Section<'_, '_>, ven: &str, name: &str) -> String {
    let Some(found) = section.text("client_id") else { return format!("{ven}-{name}") };
    if found.value.is_empty() || found.value.chars().any(char::is_control) {
        section.reader.fault(
            found.line,
            &found.key,
            "expected a name that no other client of the broker has",
        );
    }
    found.value
}

/// What a topic may begin with (MQTT 3.1.1, 4.7): no wildcards, and none of the broker's own.
fn is_topic(text: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && !word.chars().any(|c| matches!(c, '+' | '#') || c.is_control());
    text.len() <= 200 && !text.starts_with('$') && text.split('/').all(word)
}

fn check_url(url: &str) -> Result<(), String> {
    let form = "expected \"mqtts://HOST[:PORT]\" or \"mqtt://HOST[:PORT]\"";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{form}; there is no :// in it"))?;
    if !matches!(scheme, "mqtt" | "mqtts") {
        return Err(format!("{form}, found {scheme}://"));
    }
    if rest.contains('@') {
        return Err("credentials do not belong into it; say username and password".into());
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(format!("{form}; what topics begin with is said by base"));
    }
    host(authority).map(|_| ()).ok_or_else(|| format!("{form}, found \"{authority}\" as host and port"))
}
