//! `ven journal`: what went over the wire, and what the gate says of it.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::{Subcommand, ValueEnum};

use crate::config::Config;
use crate::daemon::Prepared;
use crate::daemon::journal::{self, Direction, Entry};
use crate::daemon::transport::tls;
use crate::openadr::signature::{Gate, Policy, Trust};
use crate::openadr::trust::Fingerprint;
use crate::openadr::xml::Limits;
use crate::time::Timestamp;

use super::plain::plain;

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// One line for each message: number, time, direction, service, kind, HTTP status, octets, and what the gate said of it.
    ///
    /// Polls that brought nothing are no lines of their own; the message after them says how many they were.
    List {
        /// Those of that time and later, as 2030-01-02T03:04:05Z.
        #[arg(long)]
        since: Option<Timestamp>,
        /// Those of that kind, as oadrDistributeEvent.
        #[arg(long)]
        kind: Option<String>,
        /// Those in that direction.
        #[arg(long)]
        direction: Option<Way>,
    },
    /// Print a message to the octet.
    Show {
        /// Its number in the list.
        number: u64,
    },
    /// Verify and decode a message again as of the time when it came, and print what the gate says; exit code 1 if it is refused.
    ///
    /// The trust is that of the configuration as it is now. No message is known from before, so a repetition counts as good.
    Replay {
        /// Its number in the list.
        number: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// From the VTN.
    In,
    /// To the VTN.
    Out,
}

impl Way {
    const fn direction(self) -> Direction {
        match self {
            Self::In => Direction::In,
            Self::Out => Direction::Out,
        }
    }
}

pub(super) fn journal(config: &Path, command: &JournalCommand) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let folder = config.ven.state.join(journal::FOLDER);
    match command {
        JournalCommand::List { since, kind, direction } => list(&folder, |entry| {
            since.is_none_or(|since| entry.time >= since)
                && direction.is_none_or(|way| entry.direction == way.direction())
                && kind.as_ref().is_none_or(|kind| entry.kind.as_ref() == Some(kind))
        }),
        JournalCommand::Show { number } => {
            let entry = find(&folder, *number)?;
            let message = entry.message().ok_or_else(|| absent(&entry))?;
            Ok(std::io::stdout().write_all(&message)?)
        }
        JournalCommand::Replay { number } => replay(&config, &find(&folder, *number)?),
    }
}

fn read(folder: &Path, show: impl FnMut(Entry)) -> anyhow::Result<()> {
    let unreadable = journal::read(folder, show).with_context(|| folder.display().to_string())?;
    if unreadable > 0 {
        writeln!(std::io::stderr(), "{unreadable} lines of the journal cannot be read")?;
    }
    Ok(())
}

fn list(folder: &Path, wanted: impl Fn(&Entry) -> bool) -> anyhow::Result<()> {
    let mut written = Ok(());
    let mut out = std::io::stdout().lock();
    read(folder, |entry| {
        if written.is_ok() && wanted(&entry) {
            written = writeln!(out, "{}", line(&entry));
        }
    })?;
    Ok(written?)
}

/// Whatever a VTN brought into it, it stays one line.
fn line(entry: &Entry) -> String {
    let Entry { number, direction, service, octets, .. } = entry;
    let time = entry.time.to_string();
    let kind = entry.kind.as_deref().unwrap_or("-");
    let status = entry.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let verdict = entry.verdict.as_deref().unwrap_or_default();
    let mut line = format!(
        "{number:>6} {time:<27} {direction:<3} {service:<15} {kind:<31} {status:>3} {octets:>7} {verdict}"
    );
    if entry.quiet_polls > 0 {
        line.push_str(&format!(" (polls before it that brought nothing: {})", entry.quiet_polls));
    }
    if entry.lost > 0 {
        line.push_str(&format!(" (messages before it that are missing: {})", entry.lost));
    }
    plain(line.trim_end())
}

fn find(folder: &Path, number: u64) -> anyhow::Result<Entry> {
    let mut found = None;
    read(folder, |entry| {
        if entry.number == number {
            found = Some(entry);
        }
    })?;
    found.ok_or_else(|| anyhow!("there is no message {number}; `ven journal list` shows which there are"))
}

fn absent(entry: &Entry) -> anyhow::Error {
    let verdict = entry.verdict.as_deref().unwrap_or("it was too large");
    anyhow!("the journal has no octets of {}: {verdict}", entry.number)
}

fn replay(config: &Config, entry: &Entry) -> anyhow::Result<()> {
    let message = entry.message().ok_or_else(|| absent(entry))?;
    let policy = match entry.direction {
        Direction::In => Prepared::policy(config)?,
        Direction::Out => ours(config)?,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line(entry))?;
    let mut gate =
        Gate::new(policy, config.signature.window, Limits::VEN).tolerating(config.signature.tolerance);
    let verified = gate.open(&message, entry.time).map_err(|refusal| anyhow!("gate: refused: {refusal}"))?;
    writeln!(out, "gate: {}", verified.peer())?;
    writeln!(out, "{:#?}", verified.into_content())?;
    Ok(())
}

/// What we say is signed with our own certificate, or not at all.
fn ours(config: &Config) -> anyhow::Result<Policy> {
    let section = &config.signature;
    if !section.sign {
        return Ok(Policy::TlsOnly);
    }
    let name = || section.cert.display().to_string();
    let certificates =
        tls::certificates(&std::fs::read(&section.cert).with_context(name)?).with_context(name)?;
    let pins = certificates.first().map(|der| Fingerprint::of(der)).into_iter().collect();
    Ok(Policy::Require(Trust::Pinned(pins)))
}
