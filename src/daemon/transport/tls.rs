//! Sets up TLS: who we are, whom we trust, and by which name.

mod client;
#[cfg(feature = "openssl")]
mod openssl;

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

pub(crate) use crate::config::TlsBackend;
use crate::openadr::signature::{common_name, has_alternative_names};

pub(crate) use client::{Secured, TlsClient, TlsStream};

/// Whom we trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// The certificates in this PEM text.
    Pem(Vec<u8>),
    /// What the operating system trusts.
    System,
}

/// How the VTN's certificate must name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameCheck {
    /// By a subject alternative name, as the standards of the web want it.
    AlternativeName,
    /// By the common name where there is no alternative name at all, as many test certificates do.
    OrCommonName,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("there is no certificate in it; expected a block -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("there is no private key in it; expected a block -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error("the operating system offers no trusted certificates: {0}")]
    NoSystemRoots(String),
    #[error("{}", in_plain_words(.0))]
    Rustls(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[cfg(feature = "openssl")]
    #[error("{0}")]
    OpenSsl(#[from] ::openssl::error::ErrorStack),
}

/// Faults of certificates that rustls names for programmers only.
fn in_plain_words(error: &rustls::Error) -> String {
    let text = error.to_string();
    let hint = if text.contains("UnsupportedCertVersion") {
        "; the certificate is X.509 version 1, which is refused: have it issued anew as version 3"
    } else if text.contains("KeyMismatch") || text.contains("inconsistent") {
        "; the private key does not belong to the certificate"
    } else {
        ""
    };
    format!("{text}{hint}")
}

/// The certificates in a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(TlsError::NoCertificate)
}

pub(super) fn store(roots: &Roots) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Pem(pem) => {
            for certificate in certificates(pem)? {
                store.add(certificate)?;
            }
        }
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                let why: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                return Err(TlsError::NoSystemRoots(why.join("; ")));
            }
            store.add_parsable_certificates(found.certs);
        }
    }
    Ok(Arc::new(store))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS as a client that shows its certificate, by that backend.
///
/// # Errors
///
/// Where a certificate or key cannot be used.
pub(crate) fn client(
    backend: TlsBackend,
    roots: &Roots,
    certificate: &[u8],
    key: PrivateKeyDer<'static>,
    names: NameCheck,
) -> Result<TlsClient, TlsError> {
    let chain = certificates(certificate)?;
    let verifier = verifier(store(roots)?, names)?;
    Ok(match backend {
        TlsBackend::Rustls => {
            let builder =
                ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
            let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
            let mut config = builder.with_client_auth_cert(chain, key)?;
            // A session that is resumed brings its certificate along unjudged, even where it has expired since (rule 516).
            config.resumption = Resumption::disabled();
            TlsClient::Rustls(Arc::new(config))
        }
        #[cfg(feature = "openssl")]
        TlsBackend::OpenSsl => TlsClient::OpenSsl(openssl::Client::new(verifier, &chain, &key)?),
    })
}

/// TLS as a client that shows no certificate, as the web has it.
///
/// # Errors
///
/// Where a certificate cannot be used, or none is trusted.
pub(crate) fn nameless(roots: &Roots) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(store(roots)?).with_no_client_auth()))
}

/// Judges the VTN's certificate, the same for every backend.
fn verifier(roots: Arc<RootCertStore>, names: NameCheck) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    Ok(match names {
        NameCheck::AlternativeName => {
            WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?
        }
        NameCheck::OrCommonName => Arc::new(OwnVerifier::new(Belief::OrCommonName(roots))),
    })
}

/// TLS as a server that demands a certificate under these roots.
///
/// # Errors
///
/// Where a certificate or key cannot be used.
pub(crate) fn server(roots: &Roots, certificate: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(store(roots)?, provider()).build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?)
}

/// TLS as a server that asks for no certificate.
///
/// # Errors
///
/// Where the certificate or the key cannot be used.
pub(in crate::daemon) fn server_for_anybody(
    certificate: &[u8],
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(certificates(certificate)?, key)?)
}

/// TLS that believes everybody, to look at a certificate that is refused otherwise; nothing is ever sent over it.
///
/// # Errors
///
/// None that can happen; rustls cannot say so.
fn looking() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(OwnVerifier::new(Belief::Anybody));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Whom to believe where rustls's own rule is not the right one.
#[derive(Debug)]
enum Belief {
    /// Everything is checked that is usually checked, but the common name counts where there is no alternative name.
    OrCommonName(Arc<RootCertStore>),
    /// Whoever has the key of the certificate that it shows.
    Anybody,
}

impl Belief {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        (now, algorithms): (UnixTime, &WebPkiSupportedAlgorithms),
    ) -> Result<(), rustls::Error> {
        let roots = match self {
            Self::Anybody => return Ok(()),
            Self::OrCommonName(roots) => roots,
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms.all)?;
        if has_alternative_names(end_entity) {
            return verify_server_name(&certificate, server_name);
        }
        let named =
            common_name(end_entity).is_some_and(|name| name.eq_ignore_ascii_case(&server_name.to_str()));
        if named { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
    }
}

/// Checks certificates by a belief of ours, and signatures as always.
#[derive(Debug)]
struct OwnVerifier {
    belief: Belief,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OwnVerifier {
    fn new(belief: Belief) -> Self {
        Self { belief, algorithms: ring::default_provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for OwnVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.belief.check(end_entity, intermediates, server_name, (now, &self.algorithms))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
