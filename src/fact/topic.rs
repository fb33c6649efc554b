//! The topics there are, what each tells, and how its facts are kept.

pub(crate) mod event;
pub(crate) mod meter;
pub(crate) mod opt;
pub(crate) mod own;
pub(crate) mod report;
pub(crate) mod vtn;

/// How facts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Few and precious: on the disk together with what caused them, delivered for days.
    Control,
    /// Many and soon stale: in memory, the oldest give way.
    Meter,
}

impl Class {
    /// Its word in what is printed.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Meter => "meter",
        }
    }
}

/// One topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// When it is told.
    pub(crate) about: &'static str,
    /// The data of one fact, a JSON object with every member that there can be.
    pub(crate) sample: &'static str,
}

impl Topic {
    const fn control(name: &'static str, about: &'static str, sample: &'static str) -> Self {
        Self { name, class: Class::Control, about, sample }
    }

    const fn meter(name: &'static str, about: &'static str, sample: &'static str) -> Self {
        Self { name, class: Class::Meter, about, sample }
    }

    /// What happened to the subject, in one word: the last of the topic; who is new was `created`.
    pub(crate) fn operation(&self) -> &'static str {
        if self.name == event::RECEIVED.name {
            return "created";
        }
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

/// Topics of plugins begin so.
pub(crate) const OF_PLUGINS: &str = "x.";

/// Every topic of our own.
pub(crate) const CATALOGUE: &[Topic] = &[
    event::RECEIVED,
    event::MODIFIED,
    event::REJECTED,
    event::NEAR,
    event::STARTED,
    event::INTERVAL,
    event::COMPLETED,
    event::CANCELLED,
    event::STOPPED,
    opt::DECIDED,
    opt::CHANGED,
    opt::RESOURCES,
    opt::SENT,
    opt::FAILED,
    opt::SCHEDULED,
    opt::UNSCHEDULED,
    meter::TELEGRAM,
    meter::REJECTED,
    meter::READING,
    meter::INTERVAL,
    meter::DAY,
    meter::ONLINE,
    meter::OFFLINE,
    report::REGISTERED,
    report::REQUESTED,
    report::REFUSED,
    report::READY,
    report::SENT,
    report::FAILED,
    report::SKIPPED,
    report::COMPLETED,
    report::CANCELLED,
    report::DROPPED,
    report::OFFERED,
    report::RECEIVED,
    report::SOURCE_FAILING,
    report::SOURCE_RECOVERED,
    vtn::CONNECTED,
    vtn::DISCONNECTED,
    vtn::UNREACHABLE,
    vtn::POLLED,
    vtn::REQUEST,
    vtn::MESSAGE,
    vtn::REJECTED,
    vtn::REFUSED,
    vtn::CREATED,
    vtn::RENEWED,
    vtn::REQUESTED,
    vtn::REGISTRATION_REFUSED,
    vtn::CANCELLED,
    own::HOOK_FAILING,
    own::HOOK_RECOVERED,
    own::HOOK_EXHAUSTED,
    own::HOOK_DISABLED,
    own::HOOK_OVERFLOW,
    own::PLUGIN_STARTED,
    own::PLUGIN_EXITED,
    own::PLUGIN_FAILED,
    own::MONITOR_CONNECTED,
    own::MONITOR_SUSPENDED,
    own::MONITOR_GAP,
    own::CONFIG_RELOADED,
    own::CONFIG_REJECTED,
    own::CERTIFICATE_EXPIRING,
    own::CERTIFICATE_EXPIRED,
    own::CERTIFICATE_REPLACED,
    own::CERTIFICATE_REFUSED,
    own::JOURNAL_FAILING,
    own::JOURNAL_RECOVERED,
    own::STARTED,
    own::STOPPING,
    own::TICK,
    own::CLOCK_JUMP,
    own::DISK_LOW,
    own::DISK_RECOVERED,
    own::STORE_FAILING,
    own::STORE_RECOVERED,
];

/// The topic of this name.
pub(crate) fn find(name: &str) -> Option<&'static Topic> {
    CATALOGUE.iter().find(|topic| topic.name == name)
}

/// How facts of this topic are kept; those of plugins like control facts.
pub(crate) fn class(name: &str) -> Class {
    find(name).map_or(Class::Control, |topic| topic.class)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};

    use super::{CATALOGUE, Class, class, find};
    use crate::fact::Topics;

    #[test]
    fn every_topic_stands_there_once_with_a_sample_that_is_an_object() {
        let names: BTreeSet<&str> = CATALOGUE.iter().map(|topic| topic.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for topic in CATALOGUE {
            let sample: Map<String, Value> =
                serde_json::from_str(topic.sample).unwrap_or_else(|error| panic!("{}: {error}", topic.name));
            assert_eq!(sample.get("operation"), Some(&Value::from(topic.operation())), "{}", topic.name);
            assert!(!topic.about.is_empty() && !topic.about.ends_with('.'), "{}", topic.about);
            assert!(Topics::parse([topic.name]).unwrap().pick(topic.name));
            assert_eq!(find(topic.name).unwrap().sample, topic.sample);
        }
    }

    /// A sample shows what there can be: nothing that is always unknown, and no list without its items.
    #[test]
    fn no_sample_leaves_a_member_open() {
        fn is_open(value: &Value) -> bool {
            match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty() || items.iter().any(is_open),
                Value::Object(members) => members.values().any(is_open),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            }
        }
        for topic in CATALOGUE {
            let sample: Map<String, Value> = serde_json::from_str(topic.sample).unwrap();
            for (name, value) in sample {
                assert!(!is_open(&value), "{}: {name}", topic.name);
            }
        }
    }

    #[test]
    fn what_comes_all_the_time_is_of_the_class_of_meters() {
        for name in
            ["meter.reading", "meter.telegram", "meter.offline", "vtn.polled", "vtn.request", "vtn.message"]
        {
            assert_eq!(class(name), Class::Meter, "{name}");
        }
        for name in [
            "event.received",
            "opt.decided",
            "report.sent",
            "vtn.disconnected",
            "x.peak.state",
            "hook.failing",
        ] {
            assert_eq!(class(name), Class::Control, "{name}");
        }
        for topic in CATALOGUE {
            let often = topic.name.starts_with("meter.")
                || ["vtn.unreachable", "vtn.polled", "vtn.request", "vtn.message", "system.tick"]
                    .contains(&topic.name);
            assert_eq!(topic.class == Class::Meter, often, "{}", topic.name);
        }
    }
}
