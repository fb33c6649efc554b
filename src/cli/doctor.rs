//! `ven doctor`: tries the whole path, and says which step fails and what to do.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, MeterSource};
use crate::daemon::{Finding, Prepared, examine};

/// A host that hands a meter's line through answers within this.
const REACH_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn doctor(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let mut prepared = Prepared::new(&config)?;
    let mut told = Teller::default();
    told.tell(&Finding::good("configuration", path.display().to_string()));
    if let Some(key) = &prepared.credentials.key {
        told.tell(&Finding::good("fingerprint", format!("ours is {}", key.fingerprint())));
    }
    super::log("off");
    super::runtime()?.block_on(async {
        examine(&mut prepared, &mut |finding| told.tell(&finding)).await;
    });
    for meter in &config.meters {
        told.tell(&source(&meter.name, &meter.source));
    }
    anyhow::ensure!(told.failed == 0, "{} of the steps failed", told.failed);
    Ok(())
}

/// Is there something that can be read?
fn source(meter: &str, source: &MeterSource) -> Finding {
    let (opened, advice) = match source {
        MeterSource::Serial(path) | MeterSource::File(path) => (
            std::fs::File::open(path).map(drop),
            "is the cable plugged in (ls /dev/serial/by-id), and may this user read it (usually the group dialout)?",
        ),
        MeterSource::Tcp(address) => {
            (reach(address), "is the host on, and does it listen at this port for one more connection?")
        }
        MeterSource::Exec(_) => {
            return Finding::good("meter", format!("{meter}: {source}, not started to try"));
        }
        MeterSource::Api => {
            return Finding::good("meter", format!("{meter}: telegrams are posted to the VEN when it runs"));
        }
    };
    match opened {
        Ok(()) => Finding::good("meter", format!("{meter}: {source} can be opened")),
        Err(error) => Finding::bad("meter", format!("{meter}: {source}: {error}"), advice),
    }
}

/// Connects, and hangs up.
fn reach(address: &str) -> std::io::Result<()> {
    use std::net::ToSocketAddrs as _;
    let addresses = address.to_socket_addrs()?;
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, REACH_WITHIN) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Prints findings and counts those that are bad.
#[derive(Debug, Default)]
struct Teller {
    failed: usize,
}

impl Teller {
    fn tell(&mut self, finding: &Finding) {
        let mark = if finding.advice.is_none() { "ok  " } else { "FAIL" };
        self.failed += usize::from(finding.advice.is_some());
        let mut out = std::io::stdout().lock();
        let mut line =
            |mark: &str, step: &str, text: &str| drop(writeln!(out, "{mark:<4} {step:<13} {text}"));
        for (at, seen) in finding.seen.iter().enumerate() {
            if at == 0 { line(mark, finding.step, seen) } else { line("", "", seen) }
        }
        if let Some(advice) = &finding.advice {
            line("", "what to do:", advice);
        }
    }
}
