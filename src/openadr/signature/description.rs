//! Describes certificates for people.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::openadr::trust::Fingerprint;
use crate::time::Timestamp;

use super::certificate::{names, validity};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// DNS names and the common name.
    pub(crate) names: Vec<String>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) fingerprint: Fingerprint,
}

impl Description {
    /// Of a certificate in DER; `None` where it is none.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (from, to) = validity(&certificate);
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names(der),
            from,
            to,
            fingerprint: Fingerprint::of(der),
        })
    }
}
