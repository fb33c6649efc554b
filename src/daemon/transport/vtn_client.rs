//! Judges in the handshake who pushes to us: nobody else gets a byte of HTTP across.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::openadr::signature::Trust;
use crate::time::Timestamp;

use super::tls::{Roots, TlsError, certificates, provider, store};

/// TLS as a server for one VTN: its certificate must lead to the roots and be the one that is trusted. Every VEN of the same authority
/// has a chain too, so that a chain alone proves nothing.
///
/// # Errors
///
/// Where a certificate or key cannot be used.
pub(in crate::daemon) fn server_for_vtn(
    roots: &Roots,
    certificate: &[u8],
    key: PrivateKeyDer<'static>,
    trust: Trust,
) -> Result<ServerConfig, TlsError> {
    let chain = WebPkiClientVerifier::builder_with_provider(store(roots)?, provider()).build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.with_client_cert_verifier(Arc::new(TheVtn { chain, trust }));
    let mut config = builder.with_single_cert(certificates(certificate)?, key)?;
    // A session that is resumed brings its certificate along unjudged, even where it has expired since (rule 516).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Believes the VTN, and nobody else.
#[derive(Debug)]
struct TheVtn {
    chain: Arc<dyn ClientCertVerifier>,
    trust: Trust,
}

impl ClientCertVerifier for TheVtn {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let all: Vec<_> = std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match self.trust.check_peer(&all, Timestamp::from_seconds(seconds)) {
            Ok(()) => Ok(verified),
            Err(why) => Err(CertificateError::Other(OtherError(Arc::new(why))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
