//! `ven deliveries`: what hooks were to tell, and what came of it.

use std::io::Write as _;
use std::path::Path;

use clap::Subcommand;

use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::control::{HooksRequest, Request, ask};
use crate::daemon::store::{Delivery, DeliveryStatus, Tried, Wanted};
use crate::time::Span;

use super::hooks::{status, with_facts};
use super::reports::table;

#[derive(Debug, Subcommand)]
pub(super) enum DeliveriesCommand {
    /// The newest first, one line each.
    List {
        /// Of this hook only.
        #[arg(long)]
        hook: Option<String>,
        /// waiting, sent, error, dead, expired, dropped, filtered.
        #[arg(long, value_parser = status)]
        status: Option<DeliveryStatus>,
        /// Those that changed within this, as 1h.
        #[arg(long, value_parser = humantime::parse_duration)]
        since: Option<std::time::Duration>,
        /// So many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// For programs, as lines of JSON.
        #[arg(long)]
        json: bool,
    },
    /// One delivery with what it tells, and the last ten tries with what was answered. Tries that sent the same have the same hash, and
    /// so have tries by the same settings; what is secret is not in it.
    Show {
        /// The hook.
        hook: String,
        /// Its number in the list.
        number: u64,
    },
    /// Deliver again, whatever came of it before; the VEN must run.
    Resend {
        /// The hook.
        hook: String,
        /// Their numbers in the list.
        #[arg(required = true)]
        numbers: Vec<u64>,
    },
}

pub(super) fn deliveries(path: &Path, command: DeliveriesCommand) -> anyhow::Result<()> {
    match command {
        DeliveriesCommand::List { hook, status, since, limit, json } => {
            let since = since.map(|since| Clock::start().now().wall - Span::from_std(since));
            let wanted = Wanted { hook, status, since, most: limit, newest_first: true, ..Wanted::default() };
            list(&with_facts(path, |log| log.deliveries(&wanted))?, json)
        }
        DeliveriesCommand::Show { hook, number } => show(path, &hook, number),
        DeliveriesCommand::Resend { hook, numbers } => {
            let config = Config::load(path)?;
            let request = HooksRequest::Send { hook, again: numbers };
            ask(&config.ven.state, &Request::Hooks(request))?.ordered().map_err(anyhow::Error::msg)?;
            Ok(writeln!(std::io::stdout(), "they are delivered again")?)
        }
    }
}

fn list(deliveries: &[Delivery], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        for delivery in deliveries {
            writeln!(out, "{}", delivery.view())?;
        }
        return Ok(());
    }
    let titles = ["NUMBER", "HOOK", "STATUS", "TRIES", "TOPIC", "SUBJECT", "HAPPENED", "NEXT", "CODE", "WHY"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for delivery in deliveries {
        let Delivery { hook, fact, status, item, code, why, .. } = delivery;
        rows.push(vec![
            fact.seq.to_string(),
            hook.clone(),
            status.as_str().to_owned(),
            item.attempts.to_string(),
            fact.topic.clone(),
            fact.subject.clone().unwrap_or_default(),
            fact.time.to_string(),
            item.next_at.map(|at| at.to_string()).unwrap_or_default(),
            code.map(|code| code.to_string()).unwrap_or_default(),
            why.clone().unwrap_or_default(),
        ]);
    }
    Ok(write!(out, "{}", table(0, &rows))?)
}

fn show(path: &Path, hook: &str, number: u64) -> anyhow::Result<()> {
    let wanted =
        Wanted { hook: Some(hook.to_owned()), after: number.saturating_sub(1), most: 1, ..Wanted::default() };
    let (deliveries, tries) =
        with_facts(path, |log| Ok((log.deliveries(&wanted)?, log.tries(hook, number)?)))?;
    let found = deliveries.into_iter().find(|delivery| delivery.fact.seq == number);
    let Some(delivery) = found else {
        anyhow::bail!(
            "hook {hook} has no delivery {number}; `ven deliveries list --hook {hook}` shows those there are"
        )
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &delivery.view())?;
    writeln!(out)?;
    for (number, tried) in &tries {
        writeln!(out, "{}", line(*number, tried))?;
    }
    Ok(())
}

fn line(number: u32, tried: &Tried) -> String {
    let Tried { message, at, took, code, why, answer, sent, settings } = tried;
    let code = code.map_or_else(|| "-".to_owned(), |code| code.to_string());
    let why = if why.is_empty() { "delivered" } else { why };
    let mut line = format!("try {number} at {at}, {took}, message {message}: {code} {}", why.escape_debug());
    let sent = sent.as_deref().unwrap_or("nothing");
    line += &format!("\n    sent {sent}, settings {settings}");
    if !answer.is_empty() {
        line += &format!("\n    answered: {}", answer.escape_debug());
    }
    line
}
