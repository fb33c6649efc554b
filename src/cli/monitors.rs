//! `ven monitors`: what others read by a cursor of their own; and a reader of them.

mod tail;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::config::{Config, Scope, TokenSection};
use crate::daemon::control::{MonitorsRequest, Request, Response, ask};
use crate::hook::monitor::{MonitorOptions, MonitorSettings};

use super::outcome::{Fault, exit};
use super::reports::table;

#[derive(Debug, Args)]
pub(super) struct MonitorsArguments {
    #[command(subcommand)]
    command: MonitorsCommand,
    /// The configuration.
    #[arg(long, global = true, default_value = "ven.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum MonitorsCommand {
    /// The monitors of a VEN that runs. Exits with 3 where none runs.
    #[command(after_help = "Example: ven monitors list --json | jq '.[].id'")]
    List {
        /// Only those with exactly these topics, as event.*,opt.*
        #[arg(short, long)]
        topics: Option<String>,
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a monitor, which tells what happens from now on; prints its number.
    #[command(
        after_help = "Example: ven monitors create 'event.*' opt.decided --ack explicit --description 'the pump'"
    )]
    Create {
        /// What it tells: topics and patterns, as `ven topics` lists them.
        #[arg(required = true, value_delimiter = ',', value_name = "TOPIC")]
        topics: Vec<String>,
        #[command(flatten)]
        shape: Shape,
        /// explicit: a message was told when its reader says so; off: when it is written.
        #[arg(long)]
        ack: Option<String>,
        /// Tell later what happens while nobody reads.
        #[arg(long)]
        replay: bool,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        /// Who may read it: the name of an [[http.token]] with the scope monitors; needed where there are several.
        #[arg(long)]
        owner: Option<String>,
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// One monitor with all its options, and how far its reader is.
    #[command(after_help = "Example: ven monitors show 1000")]
    Show {
        /// Its number.
        id: u32,
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a monitor; one that stands in the configuration is ended there. Exits with 1 where there is none.
    #[command(after_help = "Example: ven monitors delete 1000")]
    Delete {
        /// Its number.
        id: u32,
    },
    /// Read a monitor as it is pushed, until Ctrl-C: each message is a line of JSON on stdout, or a document of XML.
    ///
    /// Without --monitor it makes one and deletes it at the end. Whatever breaks is connected again, after 1 s to a minute, for ever; what
    /// was not printed comes again, what was printed just before the VEN broke may. Exits with 1 where the VEN refuses.
    #[command(after_help = tail::EXAMPLES)]
    Tail(Box<tail::TailArguments>),
}

/// How messages are pushed.
#[derive(Clone, Debug, Default, Args)]
struct Shape {
    /// json or xml.
    #[arg(short, long)]
    format: Option<String>,
    /// none, or zlib, which is called gzip too.
    #[arg(short, long)]
    compression: Option<String>,
    /// So many messages at once, 1 to 1000.
    #[arg(short, long, allow_negative_numbers = true)]
    batch_size: Option<i64>,
    /// How long the first of them waits for others: seconds, or a time as 500ms, up to a minute.
    #[arg(short = 'd', long)]
    batch_duration: Option<String>,
}

impl Shape {
    fn options(&self, topics: &[String]) -> MonitorOptions {
        // The client of old takes seconds.
        let seconds = |text: &String| {
            if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.clone() }
        };
        MonitorOptions {
            topics: topics.to_vec(),
            format: self.format.clone(),
            compression: self.compression.clone(),
            batch_size: self.batch_size,
            batch_duration: self.batch_duration.as_ref().map(seconds),
            ..MonitorOptions::default()
        }
    }
}

pub(super) fn monitors(MonitorsArguments { command, config: path }: MonitorsArguments) -> ExitCode {
    exit(match command {
        MonitorsCommand::List { topics, json } => list(&path, topics, json),
        MonitorsCommand::Create { topics, shape, ack, replay, description, owner, json } => {
            let options = MonitorOptions { ack, replay, description, ..shape.options(&topics) };
            create(&path, options, owner.as_deref(), json)
        }
        MonitorsCommand::Show { id, json } => show(&path, id, json),
        MonitorsCommand::Delete { id } => delete(&path, id),
        MonitorsCommand::Tail(arguments) => tail::tail(&path, &arguments),
    })
}

fn list(path: &Path, topics: Option<String>, json: bool) -> Result<(), Fault> {
    let config = Config::load(path)?;
    let monitors = asked(&config, MonitorsRequest::Look { topics })?;
    let mut out = std::io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{:#}", Value::Array(monitors))?);
    }
    Ok(write!(out, "{}", lines(&monitors))?)
}

fn create(path: &Path, options: MonitorOptions, owner: Option<&str>, json: bool) -> Result<(), Fault> {
    let config = Config::load(path)?;
    let owner = reader(&config, owner)?.map_or_else(String::new, |token| token.name.clone());
    let made = made(&config, owner, options)?;
    let mut out = std::io::stdout().lock();
    let said = if json { format!("{made:#}") } else { made["id"].to_string() };
    Ok(writeln!(out, "{said}")?)
}

fn show(path: &Path, id: u32, json: bool) -> Result<(), Fault> {
    let monitor = asked(&Config::load(path)?, MonitorsRequest::Show { id })?.into_iter().next();
    let monitor = monitor.unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{monitor:#}")?);
    }
    let members = monitor.as_object().cloned().unwrap_or_default();
    let rows: Vec<_> = members.iter().map(|(name, value)| vec![name.clone(), word(value)]).collect();
    Ok(write!(out, "{}", table(0, &rows))?)
}

fn delete(path: &Path, id: u32) -> Result<(), Fault> {
    deleted(&Config::load(path)?, id)?;
    Ok(writeln!(std::io::stdout(), "monitor {id} is no more")?)
}

/// The monitors that the VEN answers with.
fn asked(config: &Config, request: MonitorsRequest) -> Result<Vec<Value>, Fault> {
    let answer = ask(&config.ven.state, &Request::Monitors(request))?;
    let Response::Monitors { monitors } = answer else { return Err(Fault::answered(answer)) };
    Ok(monitors)
}

/// A new monitor; what is wrong with its options is told before anybody is asked.
fn made(config: &Config, owner: String, options: MonitorOptions) -> Result<Value, Fault> {
    MonitorSettings::read(&options).map_err(|faults| Fault::usage(faults.join("; ")))?;
    let made = asked(config, MonitorsRequest::Create { owner, options })?;
    made.into_iter().next().ok_or_else(|| Fault::failed("the VEN has made no monitor"))
}

fn deleted(config: &Config, id: u32) -> Result<(), Fault> {
    let answer = ask(&config.ven.state, &Request::Monitors(MonitorsRequest::Delete { id }))?;
    answer.ordered().map_err(Fault::failed)
}

/// The token whose bearer reads; `None` where the local API is open to everybody on this machine.
fn reader<'c>(config: &'c Config, named: Option<&str>) -> Result<Option<&'c TokenSection>, Fault> {
    let Some(http) = &config.http else {
        let advice = "nobody could read it; add [http], and an [[http.token]] with scopes = [\"monitors\"]";
        return Err(Fault::usage(advice));
    };
    let may = |token: &&TokenSection| token.scopes.contains(&Scope::Monitors);
    let readers: Vec<&TokenSection> = http.tokens.iter().filter(may).collect();
    let names = || readers.iter().map(|token| token.name.as_str()).collect::<Vec<_>>().join(", ");
    match (named, readers.as_slice()) {
        (Some(name), _) => {
            let found = readers.iter().find(|token| token.name == name).copied();
            let unknown = || {
                Fault::usage(format!(
                    "no [[http.token]] with the scope monitors is called \"{name}\"; there are: {}",
                    names()
                ))
            };
            found.map(Some).ok_or_else(unknown)
        }
        (None, [one]) => Ok(Some(one)),
        (None, []) if http.tokens.is_empty() => Ok(None),
        (None, []) => {
            Err(Fault::usage("no [[http.token]] may read monitors; add \"monitors\" to its scopes"))
        }
        (None, _) => Err(Fault::usage(format!("several may read monitors, say who is to: {}", names()))),
    }
}

/// For people.
fn lines(monitors: &[Value]) -> String {
    if monitors.is_empty() {
        return "there are no monitors; `ven monitors create` makes one\n".to_owned();
    }
    let columns =
        ["id", "status", "owner", "topics", "format", "ack", "cursor", "last_connect", "description"];
    let mut rows = vec![columns.map(|name| name.replace('_', " ").to_ascii_uppercase()).to_vec()];
    let empty = Map::new();
    for monitor in monitors {
        let monitor = monitor.as_object().unwrap_or(&empty);
        rows.push(columns.map(|name| monitor.get(name).map(word).unwrap_or_default()).to_vec());
    }
    table(0, &rows)
}

/// A value in a line for people; who has made a monitor may have put anything into it.
fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.escape_debug().to_string(),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Shape, lines};

    #[test]
    fn people_see_a_line_for_each_monitor_and_nothing_of_it_moves_their_cursor() {
        assert!(lines(&[]).contains("ven monitors create"));
        let monitor = json!({"id": 1000, "status": "SUSPENDED", "owner": "pump", "topics": ["event.*", "opt.*"],
            "format": "json", "ack": "off", "cursor": 7, "last_connect": null, "description": "a\u{1b}[2J"});
        let text = lines(&[monitor]);
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("ID    STATUS"));
        let line = lines.next().unwrap();
        assert!(line.contains("event.*,opt.*") && line.ends_with("a\\u{1b}[2J"), "{line}");
    }

    #[test]
    fn seconds_may_be_written_as_the_client_of_old_takes_them() {
        let shape = |text: &str| Shape { batch_duration: Some(text.into()), ..Shape::default() };
        let topics = ["event.*".to_owned()];
        assert_eq!(shape("10").options(&topics).batch_duration.as_deref(), Some("10s"));
        assert_eq!(shape("500ms").options(&topics).batch_duration.as_deref(), Some("500ms"));
    }
}
