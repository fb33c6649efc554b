//! `ven hooks`: how hooks stand, and orders to those of a VEN that runs.

mod change;
mod show;
mod trial;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::control::{HookLine, HooksRequest, Request, Response, ask};
use crate::daemon::store::{DeliveryStatus, FactLog, STORE, Sqlite, Store as _};
use crate::hook::settings::Serializers;
use crate::time::Span;

use super::reports::table;

/// The store cannot be read.
const UNREADABLE: u8 = 3;

#[derive(Debug, Subcommand)]
pub(super) enum HooksCommand {
    /// How the hooks of a VEN that runs stand.
    List {
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
        /// Those of the configuration, whether a VEN runs with it or not.
        #[arg(long, conflicts_with = "json")]
        configured: bool,
    },
    /// What the configuration says of a hook, and what holds where it says nothing; secrets are not shown.
    Show {
        /// Its name in the configuration.
        hook: String,
    },
    /// Make a hook in a file of its own, hooks.d/NAME.toml beside the configuration.
    Add {
        /// Its name, unlike every other.
        hook: String,
        /// What is to stand in the file; - for the standard input.
        file: PathBuf,
    },
    /// Change a hook that has a file of its own.
    Edit {
        /// Its name.
        hook: String,
        /// What is to stand in the file, - for the standard input; without it, an editor is opened ($VISUAL, $EDITOR, vi).
        file: Option<PathBuf>,
    },
    /// Take a hook away that has a file of its own.
    Remove {
        /// Its name.
        hook: String,
    },
    /// Deliver one message now, past the queue, and say what came of it.
    Test {
        /// Its name in the configuration.
        hook: String,
        /// The fact to tell, as JSON: {"topic": "event.started", "data": {…}}; without it, the sample of `ven topics`.
        #[arg(long)]
        event: Option<PathBuf>,
        /// Show what would be sent, and send nothing; no secret is read.
        #[arg(long)]
        dry_run: bool,
    },
    /// Deliver nothing for a while; what happens meanwhile waits, within bounds.
    Pause {
        /// Its name in the configuration.
        hook: String,
    },
    /// Deliver again, after a pause or after the receiver has wanted nothing any more (410).
    Resume {
        /// Its name in the configuration.
        hook: String,
    },
    /// Wait no longer, and deliver again what is named here.
    Send {
        /// Its name in the configuration.
        hook: String,
        /// Deliveries, as `ven deliveries list` numbers them; they may be sent, dead or in error.
        again: Vec<u64>,
    },
    /// For watchmen (cron, Nagios, systemd): exit code 1 if more deliveries than the limit have this status, 3 if the store cannot be
    /// read.
    Monitor {
        /// waiting, sent, error, dead, expired, dropped, filtered.
        #[arg(long, value_parser = status)]
        status: DeliveryStatus,
        /// So many are no alarm.
        #[arg(long, default_value_t = 0)]
        limit: u64,
        /// Those that changed within this, as 10m; without it, all that are kept.
        #[arg(long, value_parser = humantime::parse_duration)]
        since: Option<std::time::Duration>,
        /// Of this hook only.
        #[arg(long)]
        hook: Option<String>,
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forget deliveries that have not changed for so long.
    Prune {
        /// As 30d.
        #[arg(long, value_parser = humantime::parse_duration)]
        older_than: std::time::Duration,
        /// Those that wait too: nobody will ever hear of them.
        #[arg(long)]
        include_waiting: bool,
    },
}

/// Reads a status.
pub(super) fn status(word: &str) -> Result<DeliveryStatus, String> {
    DeliveryStatus::of(word).ok_or_else(|| {
        let known = DeliveryStatus::ALL.map(DeliveryStatus::as_str);
        format!("expected one of {}", known.join(", "))
    })
}

pub(super) fn hooks(path: &Path, command: HooksCommand, brought: &Serializers) -> ExitCode {
    let done = match command {
        HooksCommand::Monitor { status, limit, since, hook, json } => {
            let since = since.map(Span::from_std);
            return match counted(path, status, since, hook.as_deref()) {
                Ok(count) => told(count, status, limit, json),
                Err(error) => {
                    // Nobody is left to tell where even this fails.
                    drop(writeln!(std::io::stderr(), "error: {error:#}"));
                    ExitCode::from(UNREADABLE)
                }
            };
        }
        HooksCommand::List { configured: true, .. } => show::list(path),
        HooksCommand::List { json, configured: false } => list(path, json),
        HooksCommand::Show { hook } => show::show(path, &hook),
        HooksCommand::Add { hook, file } => change::add(path, &hook, &file, brought),
        HooksCommand::Edit { hook, file } => change::edit(path, &hook, file.as_deref(), brought),
        HooksCommand::Remove { hook } => change::remove(path, &hook),
        HooksCommand::Test { hook, event, dry_run } => {
            Config::load(path).map_err(Into::into).and_then(|mut config| {
                config.bring_serializers(brought);
                trial::test(&config, &hook, event.as_deref(), dry_run)
            })
        }
        HooksCommand::Pause { hook } => order(path, HooksRequest::Pause { hook }),
        HooksCommand::Resume { hook } => order(path, HooksRequest::Resume { hook }),
        HooksCommand::Send { hook, again } => order(path, HooksRequest::Send { hook, again }),
        HooksCommand::Prune { older_than, include_waiting } => {
            prune(path, Span::from_std(older_than), include_waiting)
        }
    };
    super::exit_code(done)
}

/// Does something with the facts of a VEN, whether it runs or not.
pub(super) fn with_facts<T>(
    path: &Path,
    work: impl FnOnce(FactLog<'_>) -> Result<T, crate::daemon::store::StoreError>,
) -> anyhow::Result<T> {
    with_facts_of(&Config::load(path)?, work)
}

/// The same, where the configuration is known.
pub(super) fn with_facts_of<T>(
    config: &Config,
    work: impl FnOnce(FactLog<'_>) -> Result<T, crate::daemon::store::StoreError>,
) -> anyhow::Result<T> {
    let file = config.ven.state.join(STORE);
    anyhow::ensure!(file.exists(), "{}: nothing is stored there; has this VEN ever run?", file.display());
    let mut store = Sqlite::open(&file, &config.ven.name)?;
    Ok(work(store.facts())?)
}

fn counted(
    path: &Path,
    status: DeliveryStatus,
    since: Option<Span>,
    hook: Option<&str>,
) -> anyhow::Result<u64> {
    let now = Clock::start().now().wall;
    let counts = with_facts(path, |log| log.counts(since.map(|since| now - since)))?;
    let of = counts
        .iter()
        .filter(|(name, word, _)| word == status.as_str() && hook.is_none_or(|hook| hook == name));
    Ok(of.map(|(_, _, count)| count).sum())
}

fn told(count: u64, status: DeliveryStatus, limit: u64, json: bool) -> ExitCode {
    let status = status.as_str();
    let line = if json {
        serde_json::json!({ "status": status, "count": count, "limit": limit, "alarm": count > limit })
            .to_string()
    } else {
        format!("{count} deliveries are {status}, {limit} are no alarm")
    };
    // The exit code says the same.
    drop(writeln!(std::io::stdout(), "{line}"));
    if count > limit { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn order(path: &Path, request: HooksRequest) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    ask(&config.ven.state, &Request::Hooks(request))?.ordered().map_err(anyhow::Error::msg)?;
    Ok(writeln!(std::io::stdout(), "done")?)
}

fn list(path: &Path, json: bool) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let answer = ask(&config.ven.state, &Request::Hooks(HooksRequest::Look))?;
    let Response::Hooks { hooks } = answer else {
        return answer.ordered().map_err(anyhow::Error::msg);
    };
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &hooks)?;
        return Ok(writeln!(out)?);
    }
    Ok(write!(out, "{}", lines(&hooks))?)
}

const HEAD: [&str; 8] = ["HOOK", "STATE", "WAITING", "SINCE", "SENT", "LOST", "NEXT", "LAST FAULT"];

fn lines(hooks: &[HookLine]) -> String {
    if hooks.is_empty() {
        return "no hooks run; [[hook]] in the configuration makes one\n".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for hook in hooks {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        rows.push(vec![
            hook.name.clone(),
            hook.state.clone(),
            hook.waiting.to_string(),
            text(&hook.oldest),
            hook.sent.to_string(),
            lost(hook),
            text(&hook.next),
            text(&hook.fault),
        ]);
    }
    table(0, &rows)
}

/// How much, and why.
fn lost(hook: &HookLine) -> String {
    let reasons = hook.dropped.iter().filter(|(_, count)| **count > 0);
    let reasons: Vec<_> = reasons.map(|(reason, count)| format!("{count} {reason}")).collect();
    if reasons.is_empty() { hook.lost.to_string() } else { reasons.join(", ") }
}

fn prune(path: &Path, older_than: Span, include_waiting: bool) -> anyhow::Result<()> {
    let before = Clock::start().now().wall - older_than;
    let pruned = with_facts(path, |mut log| log.forget(before, include_waiting))?;
    Ok(writeln!(std::io::stdout(), "{pruned} deliveries are forgotten")?)
}
