//! `mock-vtn`: a VTN to test against.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use crate::mock_vtn::{MockVtn, MockVtnSettings, Script, VtnCore};
use crate::time::Span;

/// A VTN to test against: serves one VEN over mutual TLS with signed messages, and pushes to it where it registers for that.
#[derive(Debug, Parser)]
#[command(name = "mock-vtn", version)]
struct Arguments {
    /// The folder that `ven certs init` made.
    #[arg(long)]
    certs: PathBuf,
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// How often the VEN shall poll.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    poll: std::time::Duration,
    /// What happens when: a TOML file of steps.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Send unsigned messages.
    #[arg(long)]
    no_sign: bool,
    /// Demand messages signed with this certificate.
    #[arg(long)]
    ven_fingerprint: Option<String>,
}

/// The whole `mock-vtn` program.
#[must_use]
pub fn mock_vtn_main() -> ExitCode {
    super::exit_code(serve(Arguments::parse()))
}

fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let script = match &arguments.script {
        None => Script::default(),
        Some(path) => {
            let name = || path.display().to_string();
            Script::from_toml(&std::fs::read_to_string(path).with_context(name)?).with_context(name)?
        }
    };
    super::log("info");
    super::runtime()?.block_on(async {
        let core = VtnCore::new("mock-vtn", Span::from_std(arguments.poll));
        let settings = MockVtnSettings {
            listen: arguments.listen,
            sign: !arguments.no_sign,
            ven_fingerprint: arguments.ven_fingerprint,
            ..MockVtnSettings::in_folder(&arguments.certs)
        };
        let vtn = MockVtn::start(core, &settings).await?;
        writeln!(std::io::stdout(), "serving at {}", vtn.url())?;
        let told = async {
            let mut heard = 0;
            loop {
                vtn.until(std::time::Duration::from_secs(3600), |core| core.received.len() > heard).await;
                vtn.with(|core| {
                    for (at, kind) in core.received.iter().skip(heard) {
                        tracing::info!("{at} {kind}");
                    }
                    heard = core.received.len();
                });
            }
        };
        let played = async {
            script.play(&vtn).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = super::told_to_stop() => Ok(outcome?),
            () = told => Ok(()),
            () = played => Ok(()),
        }
    })
}
