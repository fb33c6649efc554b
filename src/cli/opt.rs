//! `ven opt`: changes the mind of a VEN that runs.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::daemon::control::{OptWord, Request, Response, ScheduleLine, ScheduleWish, ask};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct OptArguments {
    #[command(subcommand)]
    command: Option<OptCommand>,
    /// The event.
    #[arg(required = true)]
    event: Option<String>,
    /// In or out.
    #[arg(required = true)]
    opt: Option<OptWord>,
    /// Only this resource of `[ven] resources`; may be given several times.
    #[arg(long = "resource")]
    resources: Vec<String>,
    /// The configuration that the VEN runs with.
    #[arg(long, short, default_value = "ven.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum OptCommand {
    /// In or out for some time, whatever events come.
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
        /// The configuration that the VEN runs with.
        #[arg(long, short, default_value = "ven.toml", global = true)]
        config: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Declare a schedule; one with the same id is replaced.
    Add {
        /// In or out.
        #[arg(long)]
        opt: OptWord,
        /// From when, as 2030-01-31T18:00:00Z.
        #[arg(long)]
        start: String,
        /// How long, as 4h; without it, until it is cancelled.
        #[arg(long, value_parser = humantime::parse_duration)]
        duration: Option<std::time::Duration>,
        /// Only for events of this programme.
        #[arg(long)]
        market_context: Option<String>,
        /// Only this resource of `[ven] resources`; may be given several times.
        #[arg(long = "resource")]
        resources: Vec<String>,
        /// Why, as economic, mustRun, x-holiday.
        #[arg(long)]
        reason: Option<String>,
        /// Its name; without it, one is made up.
        #[arg(long)]
        id: Option<String>,
    },
    /// List the schedules that hold.
    List,
    /// Withdraw a schedule.
    Cancel {
        /// Its id.
        id: String,
    },
}

pub(super) fn opt(arguments: OptArguments) -> anyhow::Result<()> {
    let (config, request) = match (arguments.command, arguments.event, arguments.opt) {
        (Some(OptCommand::Schedule { command, config }), ..) => (config, command.try_into()?),
        (None, Some(event), Some(opt)) => {
            (arguments.config, Request::Opt { event, opt, resources: arguments.resources })
        }
        (None, ..) => anyhow::bail!("name an event, and optIn or optOut"),
    };
    let config = Config::load(&config)?;
    let mut out = std::io::stdout().lock();
    match ask(&config.ven.state, &request)? {
        Response::Opted { told: true } => writeln!(out, "changed; the VTN is told")?,
        Response::Opted { told: false } => writeln!(out, "changed; the VTN wants no answer to this event")?,
        Response::ScheduleAdded { id } => writeln!(out, "schedule {id} holds; the VTN is told")?,
        Response::ScheduleCancelled => writeln!(out, "cancelled; the VTN is told")?,
        Response::Schedules { schedules } => {
            for schedule in &schedules {
                writeln!(out, "{}", line(schedule))?;
            }
        }
        answer @ (Response::Error { .. }
        | Response::Reports(_)
        | Response::Hooks { .. }
        | Response::Status(_)
        | Response::Reloaded { .. }
        | Response::Rejected { .. }
        | Response::Monitors { .. }
        | Response::Pushed { .. }
        | Response::Facts { .. }
        | Response::Ordered) => anyhow::bail!(answer.amiss()),
    }
    Ok(())
}

impl TryFrom<ScheduleCommand> for Request {
    type Error = anyhow::Error;

    fn try_from(command: ScheduleCommand) -> anyhow::Result<Self> {
        Ok(match command {
            ScheduleCommand::Add { opt, start, duration, market_context, resources, reason, id } => {
                let seconds = duration.map(|duration| u32::try_from(duration.as_secs())).transpose();
                let seconds = seconds.map_err(|_| anyhow::anyhow!("the duration is too long"))?;
                let wish = ScheduleWish { id, opt, reason, market_context, resources, start, seconds };
                Self::ScheduleAdd(wish)
            }
            ScheduleCommand::List => Self::ScheduleList,
            ScheduleCommand::Cancel { id } => Self::ScheduleCancel { id },
        })
    }
}

fn line(schedule: &ScheduleLine) -> String {
    let period = |[start, duration]: &[String; 2]| match duration.as_str() {
        "PT0S" => format!("from {start} on"),
        duration => format!("{start} for {duration}"),
    };
    let periods: Vec<_> = schedule.periods.iter().map(period).collect();
    let mut line = format!("{}: {} {} ({})", schedule.id, schedule.opt, periods.join(", "), schedule.reason);
    if !schedule.resources.is_empty() {
        line += &format!(", only {}", schedule.resources.join(", "));
    }
    if let Some(context) = &schedule.market_context {
        line += &format!(", only events of {context}");
    }
    if schedule.configured {
        line += ", from the configuration";
    }
    if schedule.owed {
        line += "; the VTN is still to be told";
    }
    line
}
