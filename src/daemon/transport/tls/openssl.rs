//! TLS by OpenSSL, for VTNs that offer only the two cipher suites that OpenADR demands (section 10.4 of the profile); rustls has
//! neither.
//!
//! OpenSSL shakes hands; whether the certificate is believed, the very verifier of the rustls backend says, before the first
//! octet of ours is sent.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::daemon::clock::Clock;
use crate::openadr::signature::Description;

use super::client::{Secured, TlsStream};
use super::{Belief, OwnVerifier};

/// What rustls offers too, and then the two of OpenADR, which have no forward secrecy or no authenticated encryption.
const SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-SHA256:AES128-SHA256";

/// Shakes hands by OpenSSL.
#[derive(Clone)]
pub(crate) struct Client {
    context: SslContext,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("openssl::Client(..)")
    }
}

impl Client {
    /// Shows this certificate, and believes whom the verifier believes.
    pub(super) fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        chain: &[CertificateDer<'_>],
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, ErrorStack> {
        let mut builder = context()?;
        for (at, certificate) in chain.iter().enumerate() {
            let certificate = X509::from_der(certificate)?;
            if at == 0 {
                builder.set_certificate(&certificate)?;
            } else {
                builder.add_extra_chain_cert(certificate)?;
            }
        }
        let key = PKey::private_key_from_der(key.secret_der())?;
        builder.set_private_key(&key)?;
        builder.check_private_key()?;
        Ok(Self { context: builder.build(), verifier })
    }

    /// Shows none, and believes everybody.
    pub(super) fn looking() -> Result<Self, ErrorStack> {
        let verifier = Arc::new(OwnVerifier::new(Belief::Anybody));
        Ok(Self { context: context()?.build(), verifier })
    }

    /// Shakes hands over a connection that stands.
    pub(super) async fn connect(&self, name: &ServerName<'_>, tcp: TcpStream) -> io::Result<TlsStream> {
        let mut ssl = Ssl::new(&self.context)?;
        if let ServerName::DnsName(name) = name {
            ssl.set_hostname(name.as_ref())?;
        }
        let mut stream = SslStream::new(ssl, tcp)?;
        Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
        let peer = self.believed(stream.ssl(), name)?;
        let ssl = stream.ssl();
        let secured = Secured {
            backend: "openssl",
            version: ssl.version_str().to_owned(),
            suite: ssl.current_cipher().map_or("unknown suite", |suite| suite.name()).to_owned(),
            peer: Description::of(&peer),
        };
        Ok(TlsStream::new(stream, secured))
    }

    /// The certificate of the other side, where the verifier believes it.
    fn believed(&self, ssl: &SslRef, name: &ServerName<'_>) -> io::Result<CertificateDer<'static>> {
        let shown = ssl.peer_cert_chain().into_iter().flatten();
        let chain: Result<Vec<CertificateDer<'static>>, ErrorStack> =
            shown.map(|certificate| certificate.to_der().map(Into::into)).collect();
        let chain = chain?;
        let nobody = || io::Error::other("the VTN shows no certificate");
        let (peer, intermediates) = chain.split_first().ok_or_else(nobody)?;
        let seconds = u64::try_from(Clock::start().now().wall.seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.verifier.verify_server_cert(peer, intermediates, name, &[], now).map_err(io::Error::other)?;
        Ok(peer.clone())
    }
}

fn context() -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_cipher_list(SUITES)?;
    // A certificate that was judged stays that of the connection.
    builder.set_options(SslOptions::NO_RENEGOTIATION);
    // Not that nobody verifies: `Client::believed` does, by the rules of the other backend instead of a second set of rules.
    builder.set_verify(SslVerifyMode::NONE);
    Ok(builder)
}
