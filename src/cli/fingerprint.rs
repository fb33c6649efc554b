//! `ven fingerprint`: by which the other side knows a certificate.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::daemon::transport::tls;
use crate::openadr::trust::Fingerprint;

pub(super) fn fingerprint(path: &Path) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let pem = std::fs::read(path).with_context(name)?;
    let certificates = tls::certificates(&pem).with_context(name)?;
    // Those behind the first are its chain.
    if let Some(certificate) = certificates.first() {
        writeln!(std::io::stdout(), "{}", Fingerprint::of(certificate))?;
    }
    Ok(())
}
