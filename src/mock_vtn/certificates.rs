//! Makes certificates for tests: an authority, a VTN and a VEN.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::openadr::trust::Fingerprint;

/// The names by which VTN and VEN can be reached.
const NAMES: &[&str] = &["localhost"];

/// Which keys to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// EC on P-256.
    P256,
    /// RSA of 2048 bits; needs the `openssl` program.
    Rsa,
}

/// Where the certificates are: `ca.pem`, `vtn.pem`, `vtn.key`, `ven.pem`, `ven.key` in one folder.
#[derive(Clone, Debug)]
pub struct TestCertificates {
    folder: PathBuf,
    vtn_fingerprint: String,
    ven_fingerprint: String,
}

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// A file that is there already is not overwritten.
    #[error("{0} is there already; choose an empty folder")]
    Exists(PathBuf),
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// RSA keys need a program that is missing or failed.
    #[error("openssl, which makes RSA keys, failed: {0}; install it, or leave out --rsa")]
    OpenSsl(String),
    /// A certificate could not be made.
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
}

impl TestCertificates {
    /// Makes new ones in a folder, which is made too. The keys can be read by their owner only.
    ///
    /// # Errors
    ///
    /// Where one of the files is there already or cannot be written.
    pub fn create(folder: &Path, kind: KeyKind) -> Result<Self, CertificatesError> {
        std::fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        let ca_key = new_key(kind)?;
        let ca_params = authority()?;
        let ca = ca_params.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca_params, ca_key);
        write_new(&folder.join("ca.pem"), &ca.pem(), false)?;
        let vtn = issue(folder, "vtn", &leaf("test VTN", NAMES)?, kind, &issuer)?;
        let ven = issue(folder, "ven", &leaf("test VEN", NAMES)?, kind, &issuer)?;
        Ok(Self { folder: folder.to_owned(), vtn_fingerprint: vtn, ven_fingerprint: ven })
    }

    /// One of the files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// By which a VEN knows the VTN's signature.
    #[must_use]
    pub fn vtn_fingerprint(&self) -> &str {
        &self.vtn_fingerprint
    }

    /// By which a VTN knows the VEN.
    #[must_use]
    pub fn ven_fingerprint(&self) -> &str {
        &self.ven_fingerprint
    }
}

fn file_error(path: &Path, source: io::Error) -> CertificatesError {
    CertificatesError::File { path: path.to_owned(), source }
}

fn new_key(kind: KeyKind) -> Result<KeyPair, CertificatesError> {
    match kind {
        KeyKind::P256 => Ok(KeyPair::generate()?),
        // ring cannot make RSA keys.
        KeyKind::Rsa => {
            let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
            let output = Command::new("openssl").args(arguments).output();
            let output = output.map_err(|error| CertificatesError::OpenSsl(error.to_string()))?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(CertificatesError::OpenSsl(why));
            }
            Ok(KeyPair::from_pem(&String::from_utf8_lossy(&output.stdout))?)
        }
    }
}

fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "test authority, trust it for tests only");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf(common_name: &str, names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    if !names.is_empty() {
        let loopback = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
        params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Writes certificate and key, and returns the fingerprint.
fn issue(
    folder: &Path,
    name: &str,
    params: &CertificateParams,
    kind: KeyKind,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<String, CertificatesError> {
    let key = new_key(kind)?;
    let certificate = params.signed_by(&key, issuer)?;
    write_new(&folder.join(format!("{name}.pem")), &certificate.pem(), false)?;
    write_new(&folder.join(format!("{name}.key")), &key.serialize_pem(), true)?;
    Ok(Fingerprint::of(certificate.der()).to_string())
}

fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), CertificatesError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mode = if secret { 0o600 } else { 0o644 };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            CertificatesError::Exists(path.to_owned())
        } else {
            file_error(path, source)
        }
    })?;
    file.write_all(text.as_bytes()).map_err(|source| file_error(path, source))
}
