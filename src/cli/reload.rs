//! `ven reload`: a VEN that runs reads its configuration anew.

use std::io::Write as _;
use std::path::Path;

use crate::config::Config;
use crate::daemon::control::{Request, Response, ask};

pub(super) fn reload(config: &Path) -> anyhow::Result<()> {
    let answer = ask(&Config::state_of(config)?, &Request::Reload)?;
    if let Response::Rejected { faults } = answer {
        anyhow::bail!("{}\nthe VEN goes on with its old configuration", faults.join("\n"));
    }
    let Response::Reloaded { file, changes, warnings } = answer else {
        return answer.ordered().map_err(anyhow::Error::msg);
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{file} was read anew\n{changes}")?;
    for warning in &warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}
