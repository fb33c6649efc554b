//! The command line: one file for each subcommand.

mod certs;
mod check;
mod confine;
mod deliveries;
mod demo;
mod doctor;
mod events;
mod fingerprint;
mod hooks;
mod journal;
mod meter;
mod mock_vtn;
mod monitors;
mod opt;
mod outcome;
mod plain;
mod plugins;
mod reload;
mod reports;
mod run;
mod status;
mod token;
mod topics;
mod xml;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::Scope;
use crate::daemon::Brought;
use crate::fact::Fact;
use crate::handler::EventHandler;
use crate::plugin::{Plugin, PluginError};
use crate::report_source::ReportSource;

pub use self::mock_vtn::mock_vtn_main;

/// An OpenADR 2.0b VEN: takes part in demand response for a building, a charger, a home.
#[derive(Debug, Parser)]
#[command(name = "ven", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take part: register, poll, decide, report, until it is told to stop.
    Run {
        /// The configuration.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
        /// Hooks tell nobody anything during this run, as with `VEN_HOOKS=off`.
        #[arg(long)]
        no_hooks: bool,
    },
    /// Have a VEN that runs read its configuration anew: hooks, plugins, monitors, who decides, tokens, certificates. What has faults is
    /// not taken; what needs a restart is named.
    Reload {
        /// The configuration that the VEN runs with.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// Say everything that is wrong with a configuration and the files that it names.
    Check {
        /// The configuration.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// Try the whole path to the VTN, and say which step fails and what to do; changes nothing there.
    Doctor {
        /// The configuration.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// Change a decision of a VEN that runs, or declare when it takes no part.
    Opt(opt::OptArguments),
    /// What can be reported, what the VTN has asked for, what it has got, and what is still owed.
    Reports {
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
        /// The configuration that the VEN runs with.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// How a VEN that runs stands: registration, events, meters, reports, hooks. Exits with 1 where it is not ready, with 3 where none runs.
    Status {
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
        /// The configuration that the VEN runs with.
        #[arg(long, short, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// Tokens for the local API.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Hooks: what tells others what happened.
    Hooks {
        #[command(subcommand)]
        command: hooks::HooksCommand,
        /// The configuration.
        #[arg(long, short, global = true, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// What hooks were to tell, and what came of it.
    Deliveries {
        #[command(subcommand)]
        command: deliveries::DeliveriesCommand,
        /// The configuration.
        #[arg(long, short, global = true, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// Monitors: what others read by a cursor of their own.
    Monitors(monitors::MonitorsArguments),
    /// What happened, and what happens.
    Events(events::EventsArguments),
    /// Plugins: programs and code that are told what happens.
    Plugins(plugins::PluginsArguments),
    /// Print the fingerprint of a certificate, by which the other side knows it.
    Fingerprint {
        /// The certificate, as PEM.
        certificate: PathBuf,
    },
    /// Certificates for tests.
    Certs {
        #[command(subcommand)]
        command: CertsCommand,
    },
    /// Canonicalise, verify, sign and decode documents by hand.
    Xml {
        #[command(subcommand)]
        command: xml::XmlCommand,
    },
    /// What went over the wire, both ways: for disputes with a utility.
    Journal {
        #[command(subcommand)]
        command: journal::JournalCommand,
        /// The configuration.
        #[arg(long, short, global = true, default_value = "ven.toml")]
        config: PathBuf,
    },
    /// What hooks, monitors and plugins can be told, when, and how it looks.
    Topics {
        /// Only these: a topic, or a pattern as `event.*`.
        #[arg(value_name = "TOPIC")]
        patterns: Vec<String>,
        /// For programs, as JSON, with a sample of each.
        #[arg(long)]
        json: bool,
    },
    /// Try a meter, find out what it speaks, decode what was recorded, play one.
    Meter {
        #[command(subcommand)]
        command: meter::MeterCommand,
    },
    /// See it all happen: certificates, a VTN, a meter and a VEN, made on the spot.
    Demo {
        /// End after this time, as 30s; without it, go on until Ctrl-C.
        #[arg(long = "for", value_parser = humantime::parse_duration)]
        lasting: Option<std::time::Duration>,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it goes to stdout, and what is to stand in the configuration to stderr.
    New {
        /// Whose it is.
        #[arg(long, default_value = "new")]
        name: String,
        /// What it may do: read, monitors, hooks, meter, plugin:NAME; may be given several times.
        #[arg(long = "scope", default_value = "read", value_parser = token::scope)]
        scopes: Vec<Scope>,
    },
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Make an authority, and certificates of a VTN and a VEN under it.
    Init {
        /// An empty folder, or one that does not exist yet.
        folder: PathBuf,
        /// RSA of 2048 bits instead of EC on P-256; needs the openssl program.
        #[arg(long)]
        rsa: bool,
    },
}

/// The whole `ven` program, with what a user's own crate brings to it: its `main`.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use openadr_ven::{handler::{Change, Decision, EventHandler}, message::{EiEvent, OptType}};
/// # use openadr_ven::report_source::{ReportSource, SourceError, SourceValue};
/// # use openadr_ven::time::{Span, Timestamp};
/// struct Always;
///
/// impl EventHandler for Always {
///     async fn on_event(&self, _event: Arc<EiEvent>, _change: Change) -> Decision {
///         OptType::OptIn.into()
///     }
/// }
///
/// struct Battery;
///
/// impl ReportSource for Battery {
///     async fn window(&self, _from: Timestamp, _to: Timestamp, _step: Span) -> Result<Vec<SourceValue>, SourceError> {
///         Ok(Vec::new())
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     openadr_ven::Cli::new().handler(Always).report_source("battery", Battery).main()
/// }
/// ```
///
/// Without a handler the rules of the configuration decide.
#[derive(Default)]
pub struct Cli {
    brought: Brought,
}

impl std::fmt::Debug for Cli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources = self.brought.sources.keys();
        f.debug_struct("Cli").field("sources", &sources).finish_non_exhaustive()
    }
}

impl Cli {
    /// The program as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides with this instead of the rules in the configuration.
    #[must_use]
    pub fn handler(mut self, handler: impl EventHandler) -> Self {
        self.brought.handler = Some(Arc::new(handler));
        self
    }

    /// Reports from this too, under a name by which `[[report]]` speaks of it: `points = [ { source = "battery", unit = "W" } ]`.
    #[must_use]
    pub fn report_source(mut self, name: impl Into<String>, source: impl ReportSource) -> Self {
        self.brought.sources.insert(name.into(), Arc::new(source));
        self
    }

    /// Tells this what happens, too; its name is a small letter, and small letters, digits, `_` and `-`.
    #[must_use]
    pub fn plugin(mut self, name: impl Into<String>, plugin: impl Plugin) -> Self {
        self.brought.plugins.insert(name.into(), Arc::new(plugin));
        self
    }

    /// Tells hooks in these words, where they name it: `serializer = "mine"` in `[[hook]]`. It is given what one message tells of: one fact,
    /// or those of a batch. What it writes must be what the `content_type` of the hook says, JSON where it says nothing; where it
    /// is not, or this fails or panics, the message is not sent and is kept as `error`. It is called on samples when the VEN starts.
    #[must_use]
    pub fn serializer(
        mut self,
        name: impl Into<String>,
        write: impl Fn(&[&Fact]) -> Result<String, PluginError> + Send + Sync + 'static,
    ) -> Self {
        self.brought.serializers.insert(name.into(), Arc::new(write));
        self
    }

    /// Does what the command line says; what the process ends with.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let outcome = match Arguments::parse().command {
            Command::Run { config, no_hooks } => run::run(&config, no_hooks, self.brought),
            Command::Reload { config } => reload::reload(&config),
            Command::Check { config } => check::check(&config, self.brought),
            Command::Doctor { config } => doctor::doctor(&config),
            Command::Opt(arguments) => opt::opt(arguments),
            Command::Reports { json, config } => reports::reports(&config, json),
            Command::Status { json, config } => return status::status(&config, json),
            Command::Token { command: TokenCommand::New { name, scopes } } => token::new(&name, &scopes),
            // It has exit codes of its own.
            Command::Hooks { command, config } => {
                return hooks::hooks(&config, command, &self.brought.serializers);
            }
            Command::Deliveries { command, config } => deliveries::deliveries(&config, command),
            Command::Monitors(arguments) => return monitors::monitors(arguments),
            Command::Events(arguments) => return events::events(arguments),
            Command::Plugins(arguments) => return plugins::plugins(arguments),
            Command::Topics { patterns, json } => topics::topics(&patterns, json),
            Command::Fingerprint { certificate } => fingerprint::fingerprint(&certificate),
            Command::Certs { command: CertsCommand::Init { folder, rsa } } => certs::init(&folder, rsa),
            // Its exit codes are a contract of their own.
            Command::Xml { command } => return xml::xml(command),
            Command::Journal { command, config } => journal::journal(&config, &command),
            Command::Meter { command } => return meter::meter(command),
            Command::Demo { lasting } => demo::demo(lasting, self.brought),
        };
        exit_code(outcome)
    }
}

/// The whole `ven` program, deciding with this handler: the short form of [`Cli`].
#[must_use]
pub fn main(handler: impl EventHandler) -> ExitCode {
    Cli::new().handler(handler).main()
}

/// The whole `ven` program, deciding by the rules of its configuration.
#[must_use]
pub fn main_by_rules() -> ExitCode {
    Cli::new().main()
}

fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where even this fails.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr; `RUST_LOG` says how much.
fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // Journals and files want no colours.
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(move || plain::Lines::new(std::io::stderr(), colours)).with_target(false).init();
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Until Ctrl-C or the service manager's SIGTERM.
async fn told_to_stop() -> std::io::Result<()> {
    StopSignals::listen()?.told().await;
    Ok(())
}

/// Hears of Ctrl-C and of the service manager's SIGTERM, also of one that comes while nobody waits for it.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
