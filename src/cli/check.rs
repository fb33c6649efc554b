//! `ven check`: every fault of a configuration at once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::{Prepared, report_sources};

pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let prepared = Prepared::new(&config)?;
    let sources = report_sources(&config, BTreeMap::new())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: no faults found", path.display())?;
    for warning in &prepared.warnings {
        writeln!(out, "warning      {warning}")?;
    }
    let now = Clock::start().now().wall;
    for certificate in &prepared.credentials.certificates {
        if let Some(notice) = certificate.notice(now) {
            writeln!(out, "warning      {notice}")?;
        }
    }
    writeln!(out, "VTN          {}", config.vtn.url)?;
    match &config.push {
        None => writeln!(out, "mode         pull, we poll")?,
        Some(push) => {
            writeln!(
                out,
                "mode         push, the VTN posts to {}; we listen at {}",
                push.address, push.listen
            )?;
        }
    }
    if let Some(key) = &prepared.credentials.key {
        writeln!(out, "fingerprint  {} (tell it to your utility)", key.fingerprint())?;
    }
    for certificate in &prepared.credentials.certificates {
        writeln!(out, "certificate  {}, valid until {}", certificate.path.display(), certificate.until)?;
    }
    if let Some(program) = &config.handler.program {
        writeln!(out, "handler      {}", program.command.join(" "))?;
    }
    for plugin in &config.plugins {
        writeln!(out, "plugin       {}: {}", plugin.name, plugin.program.command.join(" "))?;
    }
    for meter in &config.meters {
        writeln!(out, "meter        {} on {}, {}", meter.name, meter.source, meter.protocol.word())?;
    }
    for source in sources.keys() {
        writeln!(out, "source       {source}")?;
    }
    for report in &config.reports {
        let points: Vec<&str> = report.points.iter().map(|point| point.r_id.as_str()).collect();
        writeln!(out, "report       {}: {}", report.specifier, points.join(", "))?;
    }
    Ok(())
}
