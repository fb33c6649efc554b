//! `ven meter detect`: finds out how a port must be set, and what the meter on it speaks.

mod ask;
mod line;
mod listen;
mod search;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::config::MeterSource;
use crate::daemon::meter_source::by_id;
use crate::metering::LineSettings;

use line::PortLine;
use search::{Search, Verdict};

#[derive(Debug, Args)]
pub(in crate::cli) struct DetectArguments {
    /// The port, or a source as in the configuration, as tcp://host:port.
    port: String,
}

/// Prints the section for the configuration; whether a meter was found.
pub(super) fn detect(arguments: &DetectArguments) -> anyhow::Result<bool> {
    let source = super::read::source(&arguments.port)?;
    crate::cli::log("warn");
    let mut line = PortLine::open(source.clone());
    let tell = |text: &str| drop(writeln!(std::io::stderr(), "{text}"));
    let verdict = crate::cli::runtime()?.block_on(async {
        line.ready().await?;
        Search::new(&mut line, tell).run().await
    })?;
    let mut out = std::io::stdout().lock();
    match &verdict {
        Verdict::Found { settings, line, .. } | Verdict::Encrypted { settings, line, .. } => {
            write!(out, "{}", section(&source, settings, *line))?;
        }
        Verdict::NotUnderstood { .. } | Verdict::Nothing => {}
    }
    out.flush()?;
    writeln!(std::io::stderr(), "{verdict}")?;
    Ok(matches!(verdict, Verdict::Found { .. } | Verdict::Encrypted { .. }))
}

/// What is to stand in the configuration.
fn section(source: &MeterSource, settings: &[String], line: LineSettings) -> String {
    let source = match source {
        MeterSource::Serial(port) => {
            let name: PathBuf = by_id(port).unwrap_or_else(|| port.clone());
            format!("serial:{}", name.display())
        }
        MeterSource::File(path) => format!("file:{}", path.display()),
        MeterSource::Exec(command) => format!("exec:{command}"),
        MeterSource::Tcp(_) | MeterSource::Api => source.to_string(),
    };
    let mut text = format!("[[meter]]\nname = \"main\"\nsource = {}\n", quoted(&source));
    for setting in settings {
        text += &format!("{setting}\n");
    }
    if source.starts_with("serial:") {
        text += &format!("baud = {}\nframing = \"{}\"\n", line.baud, line.framing);
    }
    text
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
