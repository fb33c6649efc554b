//! Writes numbers for Prometheus: its text format, version 0.0.4.

use std::fmt::Display;

use crate::daemon::status::Look;

use super::server::Traffic;

/// The type of what [`text`] writes.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families of samples.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A family of values that go up and down.
    fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// A family of counts since the start.
    fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, "counter")
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { page: &mut self.0, name: name.to_owned() }
    }
}

/// Samples of one name.
struct Family<'p> {
    page: &'p mut String,
    name: String,
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let quoted = |(name, value): &(&str, &str)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        };
        let labels: Vec<_> = labels.iter().map(quoted).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        *self.page += &format!("{}{labels} {value}\n", self.name);
        self
    }

    fn only(&mut self, value: impl Display) {
        self.sample(&[], value);
    }
}

/// Everything that is counted and measured.
pub(super) fn text(look: &Look, traffic: &Traffic) -> String {
    let mut page = Page::default();
    own(&mut page, look);
    duty(&mut page, look);
    meters(&mut page, look);
    readers(&mut page, look);
    let mut family = page.counter("ven_http_answers_total", "Answers of the local API, by status.");
    for (status, count) in traffic.look() {
        family.sample(&[("status", &status.to_string())], count);
    }
    page.0
}

fn own(page: &mut Page, look: &Look) {
    let ven = &look.status.ven;
    page.gauge("ven_info", "Who this is; always 1.")
        .sample(&[("name", &ven.name), ("version", &ven.version)], 1);
    page.gauge("ven_uptime_seconds", "Since the program started.").only(look.uptime_seconds);
    if let Some(bytes) = look.resident_bytes {
        page.gauge("ven_resident_memory_bytes", "What the program takes of the memory.").only(bytes);
    }
    page.gauge("ven_ready", "Whether the VEN does what it is there for, as /readyz says.")
        .only(i32::from(look.ready));
    let status = &look.status;
    page.gauge("ven_store_failing", "Whether the disk does not take what has to be kept.")
        .only(i32::from(status.store.failing));
    let mut until = page.gauge(
        "ven_certificate_expires_timestamp_seconds",
        "When a certificate of ours expires that expires soon or has.",
    );
    for (file, certificate) in &status.certificates {
        until.sample(&[("file", file)], certificate.until.seconds());
    }
}

/// What is between the VTN and us.
fn duty(page: &mut Page, look: &Look) {
    let status = &look.status;
    page.gauge("ven_registered", "Whether we are registered at the VTN.")
        .only(i32::from(status.registration.id.is_some()));
    if let Some(connected) = status.vtn.connected {
        page.gauge("ven_vtn_connected", "Whether exchanges with the VTN succeed.").only(i32::from(connected));
    }
    if let Some(at) = status.vtn.last_poll {
        page.gauge("ven_last_poll_timestamp_seconds", "When the VTN was polled last.").only(at.seconds());
    }
    let active = status.events.values().filter(|event| event.active).count();
    page.gauge("ven_events", "Events that run or are to come.")
        .sample(&[("state", "active")], active)
        .sample(&[("state", "coming")], status.events.len() - active);
    let reports = &status.reports;
    page.gauge("ven_report_requests", "Reports that the VTN wants.").only(reports.requests.len());
    page.counter("ven_reports_delivered_total", "Reports that the VTN has taken.").only(reports.delivered);
    page.counter("ven_reports_dropped_total", "Reports that were dropped.").only(reports.dropped);
    page.gauge("ven_report_sources_failing", "Sources of reports that bring no values.")
        .only(reports.failing_sources.len());
}

fn meters(page: &mut Page, look: &Look) {
    let meters = &look.status.meters;
    let mut family = page.gauge("ven_meter_online", "Whether a meter delivers.");
    for (name, online) in meters.iter().filter_map(|(name, meter)| Some((name, meter.online?))) {
        family.sample(&[("meter", name)], i32::from(online));
    }
    let mut family = page.counter("ven_meter_readings_total", "Good readings of a meter.");
    for (name, meter) in meters {
        family.sample(&[("meter", name)], meter.readings);
    }
    let mut family =
        page.counter("ven_meter_rejected_total", "Telegrams of a meter that were refused and told.");
    for (name, meter) in meters {
        family.sample(&[("meter", name)], meter.rejected);
    }
    let last = || meters.iter().filter_map(|(name, meter)| Some((name, meter.last.as_ref()?)));
    let mut family = page.gauge("ven_meter_reading_timestamp_seconds", "When a meter was read last.");
    for (name, reading) in last() {
        family.sample(&[("meter", name)], reading.at.seconds());
    }
    let mut family =
        page.gauge("ven_meter_value", "What a meter said last; the name of a value ends in its unit.");
    for (name, reading) in last() {
        for (value_name, value) in &reading.values {
            family.sample(&[("meter", name), ("value", value_name)], value);
        }
    }
}

/// The log of facts, and those who read it.
fn readers(page: &mut Page, look: &Look) {
    let bus = &look.status.bus;
    page.gauge("ven_facts_newest", "The place of the newest fact in the log.").only(bus.newest);
    let mut family = page.counter("ven_facts_total", "Facts that were told, by topic.");
    for (topic, count) in &bus.facts {
        family.sample(&[("topic", topic)], count);
    }
    let hooks = &look.status.hooks;
    let mut family = page.gauge("ven_hook_failing", "Whether a hook cannot deliver.");
    for (name, hook) in hooks {
        family.sample(&[("hook", name)], i32::from(hook.failing || hook.disabled));
    }
    let mut family = page.gauge("ven_hook_waiting", "What waits at a hook.");
    for (name, hook) in hooks {
        family.sample(&[("hook", name)], hook.waiting);
    }
    let mut family = page.gauge("ven_hook_oldest_seconds", "How long that waits which waits longest.");
    for (name, hook) in hooks {
        let age = hook.oldest.map_or(0, |oldest| (look.at - oldest).seconds().max(0));
        family.sample(&[("hook", name)], age);
    }
    let mut family = page.counter("ven_hook_sent_total", "Facts that a hook has delivered.");
    for (name, hook) in hooks {
        family.sample(&[("hook", name)], hook.sent);
    }
    let mut family = page.counter("ven_dropped_total", "What was dropped, by who did not get it and why.");
    family.sample(&[("reader", "bus"), ("reason", "unstored")], bus.dropped);
    family.sample(&[("reader", "status"), ("reason", "late")], bus.missed);
    for (name, hook) in hooks {
        family.sample(&[("reader", name), ("reason", "dead")], hook.given_up);
        for (cause, count) in &hook.dropped {
            family.sample(&[("reader", name), ("reason", cause)], count);
        }
    }
    let mut family = page.gauge("ven_plugin_running", "Whether a plugin runs.");
    for (name, plugin) in &look.status.plugins {
        family.sample(&[("plugin", name)], i32::from(plugin.running));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Page, Traffic, text};
    use crate::daemon::status::{HookStatus, Look, MeterStatus, ReadingStatus, Status};
    use crate::time::Timestamp;

    fn is_name(text: &str) -> bool {
        !text.is_empty()
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
    }

    /// The labels between braces, with their escapes undone.
    fn labels(text: &str) -> BTreeMap<String, String> {
        let (mut labels, mut rest) = (BTreeMap::new(), text);
        while !rest.is_empty() {
            let (name, behind) = rest.split_once("=\"").expect("a label has a value in quotes");
            assert!(is_name(name) && !name.contains(':'), "{name:?} is no name of a label");
            let (mut value, mut letters) = (String::new(), behind.char_indices());
            let end = loop {
                match letters.next().expect("a value ends") {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().map(|(_, letter)| letter) {
                        Some('n') => '\n',
                        Some(letter @ ('\\' | '"')) => letter,
                        other => panic!("{other:?} is no escape"),
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            assert!(labels.insert(name.to_owned(), value).is_none(), "{name} stands twice");
            rest = &behind[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        labels
    }

    /// Samples by name and labels; panics where the text breaks a rule of the format: every family once, HELP and TYPE before its samples,
    /// no sample twice, numbers as numbers, a line end at the end.
    pub(in crate::daemon::http) fn parsed(page: &str) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
        let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
        let (mut family, mut kind) = (String::new(), String::new());
        assert!(page.ends_with('\n'), "the last line ends");
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap_or_default().to_owned();
                assert!(is_name(&family) && families.insert(family.clone()), "{family:?} stands twice");
                kind.clear();
            } else if let Some(typed) = line.strip_prefix("# TYPE ") {
                kind = typed.strip_prefix(&format!("{family} ")).expect("TYPE follows HELP").to_owned();
                assert!(["gauge", "counter"].contains(&kind.as_str()), "{kind}");
                assert_eq!(kind == "counter", family.ends_with("_total"), "{family} is a {kind}");
            } else {
                let end = line.find(['{', ' ']).expect("a sample has a value");
                let (name, rest) = line.split_at(end);
                assert!(name == family && !kind.is_empty(), "{name} stands outside its family");
                let (inner, value) = match rest.strip_prefix('{') {
                    Some(rest) => rest.rsplit_once("} ").expect("the braces are closed"),
                    None => ("", rest.trim_start()),
                };
                let value = value.parse().unwrap_or_else(|_| panic!("{value:?} is no number in {line}"));
                let known = samples.insert((name.to_owned(), labels(inner)), value);
                assert!(known.is_none(), "{line} stands twice");
            }
        }
        samples
    }

    fn look() -> Look {
        let mut status = Status::default();
        status.ven.name = "a \"house\"\\\nby the sea".into();
        let last = ReadingStatus {
            at: Timestamp::from_seconds(1_900_000_000),
            serial: None,
            quality: "Good".into(),
            values: BTreeMap::from([
                ("import_kwh".into(), "12345.678".into()),
                ("net_w".into(), "-350".into()),
            ]),
            summary: String::new(),
        };
        let meter =
            MeterStatus { online: Some(true), readings: 3, last: Some(last), ..MeterStatus::default() };
        status.meters = BTreeMap::from([("main".into(), meter), ("garage".into(), MeterStatus::default())]);
        let hook = HookStatus { failing: true, waiting: 7, ..HookStatus::default() };
        status.hooks.insert("ops".into(), hook);
        status.bus.facts = BTreeMap::from([("event.started".into(), 2), ("meter.reading".into(), 3)]);
        Look {
            at: Timestamp::EPOCH,
            uptime_seconds: 86_400,
            resident_bytes: Some(12 << 20),
            ready: false,
            reasons: Vec::new(),
            status,
        }
    }

    #[test]
    fn every_line_is_as_prometheus_reads_it() {
        let samples = parsed(&text(&look(), &Traffic::default()));
        let sample = |name: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            samples.get(&(name.to_owned(), labels.collect())).copied()
        };
        assert_eq!(sample("ven_uptime_seconds", &[]), Some(86_400.0));
        assert_eq!(sample("ven_resident_memory_bytes", &[]), Some(12_582_912.0));
        assert_eq!(sample("ven_meter_value", &[("meter", "main"), ("value", "import_kwh")]), Some(12345.678));
        assert_eq!(sample("ven_meter_value", &[("meter", "main"), ("value", "net_w")]), Some(-350.0));
        assert_eq!(sample("ven_meter_online", &[("meter", "garage")]), None, "not known");
        assert_eq!(sample("ven_hook_waiting", &[("hook", "ops")]), Some(7.0));
        assert_eq!(sample("ven_facts_total", &[("topic", "event.started")]), Some(2.0));
        let names: BTreeSet<_> = samples.keys().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name.starts_with("ven_")), "{names:?}");
    }

    #[test]
    fn whatever_stands_in_a_label_comes_back_the_same() {
        let samples = parsed(&text(&look(), &Traffic::default()));
        let info = samples.keys().find(|(name, _)| name == "ven_info").map(|(_, labels)| &labels["name"]);
        assert_eq!(info.map(String::as_str), Some("a \"house\"\\\nby the sea"));
    }

    #[test]
    fn the_reader_of_these_tests_finds_what_is_wrong() {
        let found = |fill: fn(&mut Page)| {
            let mut page = Page::default();
            fill(&mut page);
            std::panic::catch_unwind(|| parsed(&page.0)).is_err()
        };
        assert!(!found(|page| page.gauge("ven_x", "").only(1)));
        assert!(found(|page| page.gauge("ven_x", "").sample(&[], 1).only(2)));
        assert!(found(|page| page.gauge("ven x", "").only(1)));
        assert!(found(|page| page.gauge("ven_x", "").only("much")));
        assert!(found(|page| page.counter("ven_x", "").only(1)));
    }
}
