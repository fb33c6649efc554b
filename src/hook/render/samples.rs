//! What the facts of a hook can have, so that a wrong name is told before anything happens.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::values;
use crate::fact::Topics;

/// Samples of the data of the topics that a hook takes; each has every member that there can be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    of: Vec<(String, Map<String, Value>)>,
    /// Topics of plugins may be among them, of whose data nothing is known.
    open: bool,
}

/// Topics of plugins begin so.
const OF_PLUGINS: &str = "x";

impl Samples {
    /// The samples of those topics that are picked, each a name and the data, a JSON object.
    pub(crate) fn new<'s>(topics: &Topics, all: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let picked = all.into_iter().filter(|(topic, _)| topics.pick(topic));
        let read =
            |(topic, sample): (&str, &str)| Some((topic.to_owned(), serde_json::from_str(sample).ok()?));
        let word = |pattern: &String| pattern.split('.').next().map(str::to_owned).unwrap_or_default();
        let open = topics.patterns().iter().map(word).any(|word| word.starts_with('*') || word == OF_PLUGINS);
        Self { of: picked.filter_map(read).collect(), open }
    }

    /// These samples, and no topics of plugins.
    #[cfg(test)]
    pub(in crate::hook) fn closed<'s>(all: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        Self { open: false, ..Self::new(&Topics::all(), all) }
    }

    pub(in crate::hook) fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.of.iter().map(|(topic, data)| (topic.as_str(), data))
    }

    /// Whether some fact can have this member of its data, `a.b` for a member of a member.
    pub(in crate::hook) fn know(&self, path: &str) -> bool {
        self.open || self.of.iter().any(|(_, data)| leads(data, path))
    }

    /// Where facts hold decimals as texts.
    pub(in crate::hook) fn decimals(&self) -> Decimals {
        let mut found = BTreeMap::new();
        for (topic, data) in self.iter() {
            decimals_within("", data, found.entry(topic.to_owned()).or_default());
        }
        Decimals(found)
    }

    /// The members that facts can have, for people.
    pub(in crate::hook) fn members(&self) -> String {
        let mut names: Vec<&str> =
            self.of.iter().flat_map(|(_, data)| data.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

/// For each topic the paths of members whose samples are decimals in texts. Ids are none, whatever they look like.
#[derive(Clone, Debug, Default)]
pub(in crate::hook) struct Decimals(BTreeMap<String, BTreeSet<String>>);

impl Decimals {
    pub(super) fn of(&self, topic: &str) -> &BTreeSet<String> {
        const NONE: &BTreeSet<String> = &BTreeSet::new();
        self.0.get(topic).unwrap_or(NONE)
    }
}

fn decimals_within(path: &str, members: &Map<String, Value>, found: &mut BTreeSet<String>) {
    for (name, value) in members.iter().filter(|(name, _)| !is_id(name)) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut values = vec![value];
        while let Some(value) = values.pop() {
            match value {
                Value::String(text) if values::decimal(text).is_some() => drop(found.insert(path.clone())),
                Value::Array(items) => values.extend(items),
                Value::Object(members) => decimals_within(&path, members, found),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
}

/// Whether a member of this name is an id, or holds some.
pub(super) fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id") || name.ends_with("_ids")
}

/// Whether a path leads to a member of the sample; where the sample is empty, all that is below may be there.
fn leads(data: &Map<String, Value>, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (data.get(first), rest) {
        (None, _) => false,
        (Some(_), None) | (Some(Value::Null), Some(_)) => true,
        (Some(Value::Object(members)), Some(rest)) => members.is_empty() || leads(members, rest),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;
    use crate::fact::Topics;

    const ALL: &[(&str, &str)] = &[
        (
            "event.started",
            r#"{"event_id":"e1","period":{"start":"2030-01-01T00:00:00Z"},"signals":[{"name":"SIMPLE"}]}"#,
        ),
        ("meter.reading", r#"{"meter":"main","values":{}}"#),
    ];

    #[test]
    fn members_of_the_picked_topics_are_known() {
        let topics = Topics::parse(["x.p.q"]).unwrap();
        assert!(Samples::new(&topics, ALL.iter().copied()).know("anything.at.all"));
        let samples = Samples::new(&Topics::all(), ALL.iter().copied());
        assert_eq!(samples.iter().count(), 2);
        assert_eq!(samples.members(), "event_id, meter, period, signals, values");
        let closed = Samples::closed(ALL.iter().copied());
        for path in ["event_id", "period", "period.start", "signals", "meter", "values.l1"] {
            assert!(closed.know(path), "{path}");
        }
        for path in ["", "eventid", "event_id.x", "period.end", "signals.name"] {
            assert!(!closed.know(path), "{path}");
        }
    }
}
