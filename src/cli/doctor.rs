//! `ven doctor`: tries the whole path, and says which step fails and what to do.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::daemon::{Finding, Prepared, examine};

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
        told.tell(&port(&meter.name, &meter.port));
    }
    anyhow::ensure!(told.failed == 0, "{} of the steps failed", told.failed);
    Ok(())
}

/// Is there something that can be read?
fn port(meter: &str, path: &PathBuf) -> Finding {
    match std::fs::File::open(path) {
        Ok(_) => Finding::good("meter", format!("{meter}: {} can be opened", path.display())),
        Err(error) => {
            let advice = "is the cable plugged in (ls /dev/serial/by-id), and may this user read it (usually the group dialout)?";
            Finding::bad("meter", format!("{meter}: {}: {error}", path.display()), advice)
        }
    }
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
