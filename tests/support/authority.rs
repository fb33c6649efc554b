//! An authority for certificates as some VTNs have them and `ven certs` does not make.

use std::path::{Path, PathBuf};
use std::process::Command;

use openadr_ven::mock_vtn::{MockVtn, MockVtnSettings, VtnCore};
use openadr_ven::time::{Span, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Issues certificates that have a common name and no other.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Its certificate is `ca.pem` in that folder.
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority of the old school");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// Writes `file.pem` and `file.key`; returns the fingerprint as `ven fingerprint` prints it.
    pub(crate) fn issue(&self, file: &str, common_name: &str) -> String {
        self.write(file, common_name, Vec::new(), None)
    }

    /// The same, valid until then.
    pub(crate) fn issue_until(&self, file: &str, common_name: &str, until: Timestamp) -> String {
        self.write(file, common_name, Vec::new(), u64::try_from(until.seconds()).ok())
    }

    /// The same, valid for so many days from when the authority was made; below zero: no longer.
    pub(crate) fn issue_for(&self, file: &str, common_name: &str, days: i64) -> String {
        let made = std::fs::metadata(self.folder.join("ca.pem")).unwrap().modified().unwrap();
        let made = made.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.write(file, common_name, Vec::new(), Some(made.saturating_add_signed(days * 24 * 3600)))
    }

    /// For a VEN that is found by that name, valid until then.
    pub(crate) fn issue_host(&self, file: &str, host: &str, until: Timestamp) -> String {
        self.write(file, "VEN", vec![host.to_owned()], u64::try_from(until.seconds()).ok())
    }

    fn write(&self, file: &str, common_name: &str, names: Vec<String>, until: Option<u64>) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        if let Some(until) = until {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(until);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.folder.join(format!("{file}.pem"));
        std::fs::write(&path, certificate.pem()).unwrap();
        std::fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
        let ven = Command::new(env!("CARGO_BIN_EXE_ven")).arg("fingerprint").arg(&path).output().unwrap();
        String::from_utf8(ven.stdout).unwrap().trim().to_owned()
    }

    /// A VTN with a certificate of its own, which believes every VEN of the authority; and its fingerprint.
    pub(crate) async fn vtn_for_all(&self) -> (MockVtn, String) {
        let fingerprint = self.issue("vtn", "localhost");
        let settings = MockVtnSettings { ven_fingerprint: None, ..self.vtn_settings("") };
        (MockVtn::start(VtnCore::new("mock-vtn", Span::SECOND), &settings).await.unwrap(), fingerprint)
    }

    /// A VTN with the certificate `vtn.pem`, for the VEN with that fingerprint.
    pub(crate) fn vtn_settings(&self, ven_fingerprint: &str) -> MockVtnSettings {
        let ven_fingerprint = Some(ven_fingerprint.to_owned());
        MockVtnSettings { ven_fingerprint, ..MockVtnSettings::in_folder(&self.folder) }
    }
}
