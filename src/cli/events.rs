//! `ven events`: what happened, as the store has it, and what happens.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::control::{AskError, FactsRequest, Request, Response, Told, ask};
use crate::daemon::store::{FactLog, StoreError};
use crate::fact::{Fact, Topics};
use crate::time::{Span, Timestamp};

use super::hooks::with_facts_of;
use super::outcome::{Fault, exit};

/// Facts that are read from the store at once.
const PAGE: usize = 256;
/// A VEN that does not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Characters of what is told of a fact to people.
const WORDS: usize = 120;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ven events --since 1h --topics 'event.*,opt.*'
  ven events tail --topics 'meter.reading' --json | jq .data.import_kwh")]
pub(super) struct EventsArguments {
    /// `tail` is short for --follow.
    #[arg(value_parser = ["tail"], hide_possible_values = true)]
    tail: Option<String>,
    /// Only these: topics and patterns, as event.*,opt.decided
    #[arg(short, long, value_delimiter = ',', value_name = "TOPIC")]
    topics: Vec<String>,
    /// What happened since then: a time ago as 1h, or a time as 2030-01-31T18:00:00Z.
    #[arg(long, value_parser = since)]
    since: Option<Since>,
    /// The newest so many of what is stored; facts of meters are not, unless a hook keeps them.
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
    /// Go on with what happens, of meters too, until Ctrl-C; a VEN that is restarted is waited for. Exits with 3 where none runs.
    #[arg(short, long)]
    follow: bool,
    /// For programs, as lines of JSON.
    #[arg(long)]
    json: bool,
    /// The configuration.
    #[arg(long, short, default_value = "ven.toml")]
    config: PathBuf,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(Span),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Since::Ago(Span::from_std(ago)));
    }
    text.parse()
        .map(Since::At)
        .map_err(|_| "expected a time ago as 1h, or a time as 2030-01-31T18:00:00Z".to_owned())
}

pub(super) fn events(arguments: EventsArguments) -> ExitCode {
    exit(told(arguments))
}

fn told(arguments: EventsArguments) -> Result<(), Fault> {
    let EventsArguments { tail, topics, since, limit, follow, json, config } = arguments;
    let wanted = match topics.as_slice() {
        [] => Topics::all(),
        patterns => Topics::parse(patterns.iter().map(String::as_str))
            .map_err(|fault| Fault::usage(fault.to_string()))?,
    };
    let config = Config::load(&config)?;
    let since = since.map(|since| match since {
        Since::Ago(span) => Clock::start().now().wall - span,
        Since::At(time) => time,
    });
    // Known first, so that nothing falls between what is stored and what happens.
    let cursor =
        if follow || tail.is_some() { Some(happens(&config.ven.state, &wanted, None)?.1) } else { None };
    let newest = |log: FactLog<'_>| newest(&log, &wanted, cursor, since, limit);
    let (past, more) = with_facts_of(&config, newest).map_err(Fault::store)?;
    if more {
        note(&format!(
            "what is older is left out; --limit {} shows more of it",
            limit.saturating_mul(10).max(10)
        ));
    }
    for fact in past {
        print(&Told::Fact(fact), json)?;
    }
    cursor.map_or(Ok(()), |cursor| go_on(&config.ven.state, &wanted, cursor, json))
}

/// The newest facts of these topics, oldest first, and whether there are more.
fn newest(
    log: &FactLog<'_>,
    topics: &Topics,
    up_to: Option<u64>,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<(VecDeque<Fact>, bool), StoreError> {
    let mut found = VecDeque::new();
    let mut place = up_to.map_or(u64::MAX, |last| last.saturating_add(1));
    loop {
        let page = log.before(place, since, PAGE)?;
        let Some(oldest) = page.last() else { return Ok((found, false)) };
        place = oldest.seq;
        for fact in page.into_iter().filter(|fact| topics.pick(&fact.topic)) {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push_front(fact);
        }
    }
}

/// What has happened behind a cursor, or happens soon, and where to go on.
fn happens(state: &Path, topics: &Topics, after: Option<u64>) -> Result<(Vec<Told>, u64), Fault> {
    let request = FactsRequest { topics: topics.patterns().to_vec(), after };
    let answer = ask(state, &Request::Facts(request))?;
    let Response::Facts { told, cursor } = answer else { return Err(Fault::answered(answer)) };
    Ok((told, cursor))
}

/// Until nobody reads it any more.
fn go_on(state: &Path, topics: &Topics, mut cursor: u64, json: bool) -> Result<(), Fault> {
    let mut away = false;
    loop {
        let request = FactsRequest { topics: topics.patterns().to_vec(), after: Some(cursor) };
        match ask(state, &Request::Facts(request)) {
            Ok(Response::Facts { told, cursor: next }) => {
                if std::mem::take(&mut away) {
                    note("the VEN is there again");
                }
                cursor = next;
                for told in &told {
                    print(told, json)?;
                }
            }
            Ok(other) => return Err(Fault::answered(other)),
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    let why = match error {
                        AskError::NotRunning { .. } => "it does not run".to_owned(),
                        AskError::Socket { .. } | AskError::Answer { .. } => error.to_string(),
                    };
                    note(&format!("the VEN does not answer, and is waited for: {why}"));
                }
                std::thread::sleep(AGAIN);
            }
        }
    }
}

/// Beside what was asked for.
fn note(text: &str) {
    // Nobody is left to tell where even this fails.
    drop(writeln!(io::stderr(), "note: {text}"));
}

fn print(told: &Told, json: bool) -> io::Result<()> {
    let line = if json { for_programs(told)? } else { for_people(told) };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A fact, or `{"gap": {…}}`.
fn for_programs(told: &Told) -> io::Result<String> {
    Ok(match told {
        Told::Fact(fact) => serde_json::to_string(fact)?,
        gap @ Told::Gap(_) => serde_json::to_string(gap)?,
    })
}

/// What strangers have written must not move the cursor of a terminal.
fn for_people(told: &Told) -> String {
    match told {
        Told::Fact(Fact { time, topic, subject, data, .. }) => {
            let subject = subject.as_deref().unwrap_or("-");
            let line = format!("{time}  {topic:20}  {}  {}", subject.escape_debug(), words(subject, data));
            line.trim_end().to_owned()
        }
        Told::Gap(gap) => {
            let word = |name: &str| gap.get(name).map(Value::to_string).unwrap_or_default();
            format!("-- facts {} to {} are missing: {} --", word("from"), word("to"), word("reason"))
        }
    }
}

/// What is said of it in single words and numbers, as `level=2 price="0.40"`.
fn words(subject: &str, data: &Map<String, Value>) -> String {
    let mut words = String::new();
    for (name, value) in data {
        let word = match value {
            Value::String(text) if text == subject => continue,
            Value::String(text) => format!("{text:?}"),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        // The topic says it too.
        if name == "operation" {
            continue;
        }
        let word = format!("{}={word}", name.escape_debug());
        if words.chars().count() + word.chars().count() > WORDS {
            return words + " …";
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words += &word;
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Fact, Since, Told, for_people, for_programs, newest, since};
    use crate::daemon::store::{Sqlite, Store as _, Told as Kept};
    use crate::fact::Topics;
    use crate::time::{Span, Timestamp};

    fn fact(seq: u64, topic: &str, data: &Value) -> Fact {
        let time = Timestamp::from_seconds(1_900_000_000 + i64::try_from(seq).unwrap());
        let (subject, data) = (Some("peak".to_owned()), data.as_object().unwrap().clone());
        Fact { id: seq.to_string(), seq, topic: topic.to_owned(), subject, time, data }
    }

    #[test]
    fn a_fact_is_a_line_for_people_and_a_line_for_programs() {
        let data = json!({"operation": "started", "event_id": "peak", "level": 2, "price": "0.40", "none": null,
            "vtn_comment": "a\u{1b}[2J\nb", "signals": [1], "test_event": false});
        let told = Told::Fact(fact(7, "event.started", &data));
        assert_eq!(
            for_people(&told),
            "2030-03-17T17:46:47Z  event.started         peak  level=2 price=\"0.40\" vtn_comment=\"a\\u{1b}[2J\\nb\" test_event=false"
        );
        let line = for_programs(&told).unwrap();
        assert_eq!(serde_json::from_str::<Fact>(&line).unwrap(), fact(7, "event.started", &data));
        assert!(!line.contains('\n'));
        let long = Told::Fact(fact(7, "event.started", &json!({"a": 1, "comment": "x".repeat(500), "b": 2})));
        assert!(for_people(&long).ends_with("a=1 …"));
        let gap = Told::Gap(json!({"from": 3, "to": 9, "reason": "expired"}).as_object().unwrap().clone());
        assert_eq!(for_people(&gap), "-- facts 3 to 9 are missing: \"expired\" --");
        assert_eq!(for_programs(&gap).unwrap(), r#"{"gap":{"from":3,"to":9,"reason":"expired"}}"#);
    }

    #[test]
    fn since_is_a_time_ago_or_a_time() {
        assert_eq!(since("1h"), Ok(Since::Ago(Span::HOUR)));
        assert_eq!(since("1970-01-01T01:00:00Z"), Ok(Since::At(Timestamp::EPOCH + Span::HOUR)));
        assert!(since("yesterday").unwrap_err().contains("1h"));
    }

    #[test]
    fn the_newest_of_a_topic_are_found_however_many_others_there_are() {
        let mut store = Sqlite::open(std::path::Path::new(":memory:"), "a").unwrap();
        let topic = |seq| if seq % 100 == 0 { "event.started" } else { "vtn.connected" };
        let kept: Vec<_> = (1..=1000)
            .map(|seq| Kept { fact: fact(seq, topic(seq), &json!({})).into(), hooks: Vec::new() })
            .collect();
        store.facts().keep(&kept).unwrap();
        let topics = Topics::parse(["event.*"]).unwrap();
        let mut found = |up_to, since: Option<i64>, limit| {
            let since = since.map(|seq| Timestamp::from_seconds(1_900_000_000 + seq));
            let (facts, more) = newest(&store.facts(), &topics, up_to, since, limit).unwrap();
            (facts.iter().map(|fact| fact.seq).collect::<Vec<_>>(), more)
        };
        assert_eq!(found(None, None, 3), (vec![800, 900, 1000], true));
        assert_eq!(found(Some(899), None, 2), (vec![700, 800], true));
        assert_eq!(found(Some(900), Some(801), 9), (vec![900], false));
        assert!(!found(None, None, 10).1, "there are just as many");
        assert_eq!(found(None, Some(2000), 9), (vec![], false));
    }
}
