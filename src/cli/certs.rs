//! `ven certs init`: certificates for tests.

use std::io::Write as _;
use std::path::Path;

use crate::mock_vtn::{KeyKind, TestCertificates};

pub(super) fn init(folder: &Path, rsa: bool) -> anyhow::Result<()> {
    let kind = if rsa { KeyKind::Rsa } else { KeyKind::P256 };
    let made = TestCertificates::create(folder, kind)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "made in {}, for tests only:", folder.display())?;
    writeln!(out, "  ca.pem            signed both")?;
    writeln!(out, "  vtn.pem vtn.key   VTN localhost, fingerprint {}", made.vtn_fingerprint())?;
    writeln!(out, "  ven.pem ven.key   VEN,           fingerprint {}", made.ven_fingerprint())?;
    Ok(())
}
