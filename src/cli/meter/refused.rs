//! `ven meter refused`: the last telegrams that were refused.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::config::Config;
use crate::daemon::refused;

pub(super) fn refused(config: &Path, meter: Option<&str>, out: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let names: Vec<&str> = config.meters.iter().map(|meter| meter.name.as_str()).collect();
    if let Some(meter) = meter {
        ensure!(names.contains(&meter), "there is no [[meter]] with name = \"{meter}\"");
    }
    let mut bytes = Vec::new();
    let mut stdout = std::io::stdout().lock();
    for name in names.iter().filter(|name| meter.is_none_or(|meter| meter == **name)) {
        let folder = refused::folder(&config.ven.state, name);
        let kept = refused::list(&folder).with_context(|| folder.display().to_string())?;
        writeln!(stdout, "meter {name}: {} kept in {}", kept.len(), folder.display())?;
        for kept in kept {
            let content = std::fs::read(&kept.file).with_context(|| kept.file.display().to_string())?;
            let file = kept.file.file_name().unwrap_or_default().to_string_lossy();
            writeln!(stdout, "  {file}  {} bytes: {}", content.len(), kept.why)?;
            bytes.extend(content);
        }
    }
    if let Some(out) = out {
        std::fs::write(out, &bytes).with_context(|| out.display().to_string())?;
        writeln!(stdout, "{}: {} bytes", out.display(), bytes.len())?;
    }
    Ok(())
}
