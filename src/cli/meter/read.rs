//! `ven meter read`: what a meter says, as it comes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::mpsc;

use crate::config::{Config, MeterSource};
use crate::daemon::clock::Clock;
use crate::daemon::meter_source::{Fed, FeedSettings, HELD_BACK, Place, Trouble, feed};
use crate::daemon::{line_or, meter_settings};
use crate::metering::{Protocol, ProtocolSettings, PulseForm};

use super::print::Printer;
use super::{LineArguments, ProtocolArguments};

/// What comes from the meter and waits to be printed.
const FED: usize = 64;

#[derive(Debug, Args)]
pub(in crate::cli) struct ReadArguments {
    /// The port, or a source as in the configuration, as tcp://host:port.
    #[arg(required_unless_present = "config")]
    port: Option<String>,
    /// The configuration that names the meter.
    #[arg(long, short, conflicts_with = "port")]
    config: Option<PathBuf>,
    /// Which meter of the configuration; without it, the first.
    #[arg(long, requires = "config")]
    meter: Option<String>,
    #[command(flatten)]
    protocol: ProtocolArguments,
    #[command(flatten)]
    line: LineArguments,
    /// Keep the bytes as they come, for `ven meter replay`.
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    /// End after this time, as 30s; without it, go on until Ctrl-C.
    #[arg(long = "for", value_parser = humantime::parse_duration)]
    lasting: Option<Duration>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Prints what comes; whether anything was good.
pub(super) fn read(arguments: &ReadArguments) -> anyhow::Result<bool> {
    let (settings, protocol) = arguments.settings()?;
    let raw = arguments.raw.as_deref().map(create).transpose()?;
    crate::cli::log("warn");
    crate::cli::runtime()?.block_on(async {
        let (out, fed) = mpsc::channel(FED);
        let place = Place { decoder: protocol.decoder(), patience: protocol.patience(), out };
        let reading = tokio::spawn(feed(settings, vec![place], Clock::start(), raw.is_some()));
        let outcome = arguments.print(fed, raw).await;
        // Closes the port.
        drop(reading.await);
        outcome
    })
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}

impl ReadArguments {
    fn settings(&self) -> anyhow::Result<(FeedSettings, ProtocolSettings)> {
        if let Some(config) = &self.config {
            let config = Config::load(config)?;
            let meter = meter_settings(&config, self.meter.as_deref())?;
            return Ok((FeedSettings { source: meter.source, line: meter.line }, meter.protocol));
        }
        let mut protocol = self.protocol.named(self.protocol.protocol.unwrap_or(Protocol::Dsmr))?;
        let line = line_or(protocol.usual_line(), self.line.baud, self.line.framing);
        let source = source(self.port.as_deref().unwrap_or_default())?;
        if let (ProtocolSettings::S0 { form, .. }, MeterSource::Serial(_)) = (&mut protocol, &source) {
            *form = PulseForm::Bytes;
        }
        Ok((FeedSettings { source, line }, protocol))
    }

    async fn print(&self, mut fed: mpsc::Receiver<Fed>, mut raw: Option<File>) -> anyhow::Result<bool> {
        let mut printer = Printer::new(std::io::stdout().lock(), self.json);
        let end = async {
            match self.lasting {
                Some(lasting) => {
                    tokio::time::sleep(lasting).await;
                    Ok(())
                }
                None => crate::cli::told_to_stop().await,
            }
        };
        tokio::pin!(end);
        loop {
            let fed = tokio::select! {
                ended = &mut end => {
                    ended?;
                    break;
                }
                fed = fed.recv() => fed,
            };
            match fed {
                Some(Fed::Telegram { telegram, .. }) => printer.telegram(&telegram)?,
                Some(Fed::Refused(refused)) => printer.refused(&refused)?,
                Some(Fed::Raw(bytes)) => {
                    if let Some(raw) = &mut raw {
                        raw.write_all(&bytes)?;
                    }
                }
                Some(Fed::Counters(_)) => {}
                Some(Fed::Trouble(Trouble::Ended)) | None => break,
                Some(Fed::Trouble(trouble)) => writeln!(std::io::stderr(), "{trouble}")?,
                Some(Fed::HeldBack) => writeln!(std::io::stderr(), "{HELD_BACK}")?,
            }
        }
        Ok(printer.finish()?)
    }
}

/// A source as in the configuration, or the path of a port.
pub(super) fn source(text: &str) -> anyhow::Result<MeterSource> {
    if text.starts_with(['/', '.']) || !text.contains(':') {
        return Ok(MeterSource::Serial(text.into()));
    }
    MeterSource::parse(text, Path::new("")).map_err(anyhow::Error::msg)
}
