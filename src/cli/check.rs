//! `ven check`: every fault of a configuration at once.

use std::io::Write as _;
use std::path::Path;

use crate::config::Config;
use crate::daemon::clock::Clock;
use crate::daemon::{Brought, Prepared, check_names, report_sources};
use crate::metering::Protocol;

pub(super) fn check(path: &Path, brought: Brought) -> anyhow::Result<()> {
    let mut config = Config::load(path)?;
    config.bring_serializers(&brought.serializers);
    let prepared = Prepared::new(&config)?;
    check_names(&config, &brought.plugins)?;
    let sources = report_sources(&config, brought.sources)?;
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
        let is_modbus = meter.protocol == Protocol::Modbus;
        let unit = if is_modbus { format!(", unit {}", meter.unit) } else { String::new() };
        writeln!(out, "meter        {} on {}, {}{unit}", meter.name, meter.source, meter.protocol.word())?;
    }
    for hook in config.hooks.iter().filter(|hook| hook.enabled) {
        writeln!(out, "hook         {}, {}: {}", hook.name, hook.target.word(), hook.topics)?;
    }
    let of_plugins = config.report_sources.iter().map(|section| &section.name);
    for source in sources.keys().chain(of_plugins.filter(|name| !sources.contains_key(*name))) {
        writeln!(out, "source       {source}")?;
    }
    for report in &config.reports {
        let points: Vec<&str> = report.points.iter().map(|point| point.r_id.as_str()).collect();
        writeln!(out, "report       {}: {}", report.specifier, points.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Brought, check};
    use crate::mock_vtn::{KeyKind, TestCertificates};
    use crate::report_source::{ReportSource, SourceError, SourceValue};
    use crate::time::{Span, Timestamp};

    struct Battery;

    impl ReportSource for Battery {
        async fn window(&self, _: Timestamp, _: Timestamp, _: Span) -> Result<Vec<SourceValue>, SourceError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn what_the_program_brings_is_no_fault_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = TestCertificates::create(folder.path(), KeyKind::P256).unwrap();
        let file = folder.path().join("ven.toml");
        let text = format!(
            r#"
            ven = {{ name = "v", state = "state" }}
            vtn = {{ url = "https://localhost:1" }}
            tls = {{ ca = "ca.pem", cert = "ven.pem", key = "ven.key" }}
            signature = {{ vtn_fingerprint = "{}" }}
            [[report]]
            name = "x-battery"
            points = [ {{ source = "battery", unit = "W" }} ]
            "#,
            certificates.vtn_fingerprint()
        );
        std::fs::write(&file, text).unwrap();
        let fault = check(&file, Brought::default()).unwrap_err().to_string();
        assert!(fault.contains("there is no [[report_source]] with name = \"battery\""), "{fault}");
        let sources = [("battery".to_owned(), Arc::new(Battery) as _)].into();
        check(&file, Brought { sources, ..Brought::default() }).unwrap();
    }
}
