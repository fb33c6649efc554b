//! `ven plugins`: how the plugins of a VEN that runs are, and one that is to start again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::daemon::control::{Request, Response, ask};
use crate::daemon::status::PluginStatus;

use super::outcome::{Fault, exit};
use super::reports::table;

#[derive(Debug, Args)]
pub(super) struct PluginsArguments {
    #[command(subcommand)]
    command: PluginsCommand,
    /// The configuration.
    #[arg(long, short, global = true, default_value = "ven.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum PluginsCommand {
    /// How each plugin is, and the program that decides. Exits with 3 where no VEN runs.
    #[command(after_help = "Example: ven plugins list --json | jq '.[] | select(.state == \"failed\")'")]
    List {
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// End the program of a plugin where it runs, and start it again, though it has failed too often. Exits with 1 where there is none.
    #[command(after_help = "Example: ven plugins restart peak_guard")]
    Restart {
        /// Its name in the configuration.
        plugin: String,
    },
}

pub(super) fn plugins(PluginsArguments { command, config }: PluginsArguments) -> ExitCode {
    exit(match command {
        PluginsCommand::List { json } => list(&config, json),
        PluginsCommand::Restart { plugin } => restart(&config, plugin),
    })
}

fn list(path: &Path, json: bool) -> Result<(), Fault> {
    let config = Config::load(path)?;
    let answer = ask(&config.ven.state, &Request::Status)?;
    let Response::Status(look) = answer else { return Err(Fault::answered(answer)) };
    let mut plugins = look.status.plugins;
    // Nothing has been heard of one that still starts.
    for plugin in &config.plugins {
        plugins.entry(plugin.name.clone()).or_default();
    }
    let mut out = std::io::stdout().lock();
    if json {
        let all: Vec<_> = plugins.iter().map(|(name, plugin)| object(name, plugin)).collect();
        return Ok(writeln!(out, "{:#}", Value::Array(all))?);
    }
    Ok(write!(out, "{}", lines(&plugins))?)
}

fn restart(path: &Path, plugin: String) -> Result<(), Fault> {
    let config = Config::load(path)?;
    let name = plugin.clone();
    let answer = ask(&config.ven.state, &Request::RestartPlugin { plugin })?;
    answer.ordered().map_err(|why| {
        let known: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Fault::failed(format!("{why}; those of the configuration can be started again: {known}"))
    })?;
    Ok(writeln!(std::io::stdout(), "plugin {name} is started again")?)
}

fn state(plugin: &PluginStatus) -> &'static str {
    match plugin {
        PluginStatus { running: true, .. } => "running",
        PluginStatus { failed: true, .. } => "failed",
        PluginStatus { since: None, .. } => "starting",
        PluginStatus { .. } => "ended",
    }
}

fn object(name: &str, plugin: &PluginStatus) -> Value {
    json!({
        "name": name,
        "kind": plugin.kind,
        "state": state(plugin),
        "since": plugin.since,
        "restarts": plugin.starts.saturating_sub(1),
        "last_error": plugin.last_error,
    })
}

/// For people.
fn lines(plugins: &BTreeMap<String, PluginStatus>) -> String {
    if plugins.is_empty() {
        return "there are no plugins; [[plugin]] in the configuration makes one\n".to_owned();
    }
    let titles = ["PLUGIN", "KIND", "STATE", "SINCE", "RESTARTS", "LAST ERROR"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for (name, plugin) in plugins {
        rows.push(vec![
            name.clone(),
            plugin.kind.clone().unwrap_or_default(),
            state(plugin).to_owned(),
            plugin.since.map(|since| since.to_string()).unwrap_or_default(),
            plugin.starts.saturating_sub(1).to_string(),
            plugin.last_error.as_deref().unwrap_or_default().escape_debug().to_string(),
        ]);
    }
    table(0, &rows)
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, PluginStatus, lines, object};
    use crate::time::Timestamp;

    #[test]
    fn every_plugin_is_a_line_and_an_object() {
        let failed = PluginStatus {
            failed: true,
            kind: Some("exec".into()),
            since: Some(Timestamp::EPOCH),
            starts: 5,
            last_error: Some("exit status: 1\u{1b}".into()),
            ..PluginStatus::default()
        };
        let all = BTreeMap::from([
            ("guard".to_owned(), failed.clone()),
            ("late".to_owned(), PluginStatus::default()),
        ]);
        let expected = "\
PLUGIN  KIND  STATE     SINCE                 RESTARTS  LAST ERROR
guard   exec  failed    1970-01-01T00:00:00Z  4         exit status: 1\\u{1b}
late          starting                        0
";
        assert_eq!(lines(&all), expected);
        let object = object("guard", &failed);
        assert_eq!((object["state"].as_str(), object["restarts"].as_u64()), (Some("failed"), Some(4)));
    }
}
