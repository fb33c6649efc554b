//! `ven topics`: what a hook, a monitor or a plugin can be told, and how a fact of each topic looks.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::fact::Topics;
use crate::fact::topic::{CATALOGUE, Topic};

pub(super) fn topics(patterns: &[String], json: bool) -> anyhow::Result<()> {
    let text = if json { for_programs(patterns)? } else { for_people(patterns)? };
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Those that the patterns pick; without patterns, all.
fn picked(patterns: &[String]) -> anyhow::Result<impl Iterator<Item = &'static Topic>> {
    let topics = match patterns {
        [] => Topics::all(),
        patterns => Topics::parse(patterns.iter().map(String::as_str))?,
    };
    Ok(CATALOGUE.iter().filter(move |topic| topics.pick(topic.name)))
}

fn for_people(patterns: &[String]) -> anyhow::Result<String> {
    let picked: Vec<&Topic> = picked(patterns)?.collect();
    let width = picked.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  {:7}  TOLD WHEN\n", "TOPIC", "CLASS");
    for Topic { name, class, about, .. } in picked {
        text += &format!("{name:width$}  {:7}  {about}\n", class.as_str());
    }
    Ok(text)
}

/// One object, with a member for each topic.
fn for_programs(patterns: &[String]) -> anyhow::Result<String> {
    let of = |topic: &Topic| -> anyhow::Result<(String, Value)> {
        let sample: Value = serde_json::from_str(topic.sample).context(topic.name)?;
        let described = json!({"class": topic.class.as_str(), "about": topic.about, "sample": sample});
        Ok((topic.name.to_owned(), described))
    };
    let all: Map<String, Value> = picked(patterns)?.map(of).collect::<Result<_, _>>()?;
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::{CATALOGUE, for_people, for_programs};

    fn patterns(given: &[&str]) -> Vec<String> {
        given.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    #[test]
    fn people_get_a_line_for_each_topic_that_a_pattern_picks() {
        let all = for_people(&[]).unwrap();
        assert_eq!(all.lines().count(), CATALOGUE.len() + 1);
        let events = for_people(&patterns(&["event.*", "vtn.polled"])).unwrap();
        let mut lines = events.lines();
        assert_eq!(lines.next().unwrap(), "TOPIC            CLASS    TOLD WHEN");
        assert_eq!(
            lines.next().unwrap(),
            "event.received   control  The VTN has sent an event that was not known before"
        );
        let polled = "vtn.polled       meter    The VTN was polled, and has answered";
        assert!(lines.last().unwrap().starts_with(polled));
    }

    #[test]
    fn programs_get_the_class_and_a_sample_of_each_topic() {
        let all: Map<String, Value> = serde_json::from_str(&for_programs(&[]).unwrap()).unwrap();
        assert_eq!(all.len(), CATALOGUE.len());
        let one: Map<String, Value> =
            serde_json::from_str(&for_programs(&patterns(&["meter.reading"])).unwrap()).unwrap();
        assert_eq!(one.len(), 1);
        let reading = &one["meter.reading"];
        assert_eq!(reading["class"], "meter");
        assert_eq!(reading["sample"]["import_kwh"], "12345.678");
    }

    #[test]
    fn a_pattern_that_picks_nothing_is_named_with_what_is_near() {
        let error = for_people(&patterns(&["event.startet"])).unwrap_err().to_string();
        assert!(error.contains("invalid-topic") && error.contains("event.started"), "{error}");
    }
}
