//! The seam between the backends of TLS: whichever shakes hands, what comes out is a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::openadr::signature::Description;

#[cfg(feature = "openssl")]
use super::openssl;

/// What rustls cannot know is why the VTN finds no cipher suite; most often it is this.
const NO_COMMON_SUITE: &str = "it seems that the VTN offers only the cipher suites that OpenADR demands, \
     ECDHE-ECDSA-AES128-SHA256 and AES128-SHA256, which rustls does not have: ";
const TAKE_OPENSSL: &str = if cfg!(feature = "openssl") {
    "set [tls] backend = \"openssl\""
} else {
    "build with --features openssl, and set [tls] backend = \"openssl\""
};

/// Shakes hands with the VTN.
#[derive(Clone, Debug)]
pub(crate) enum TlsClient {
    Rustls(Arc<ClientConfig>),
    #[cfg(feature = "openssl")]
    OpenSsl(openssl::Client),
}

impl TlsClient {
    /// Shakes hands over a connection that stands.
    ///
    /// # Errors
    ///
    /// Where the VTN is not believed, or does not believe us.
    pub(crate) async fn connect(&self, host: &str, tcp: TcpStream) -> io::Result<TlsStream> {
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
        match self {
            Self::Rustls(config) => {
                let stream = TlsConnector::from(config.clone()).connect(name, tcp).await;
                let stream = stream.map_err(with_advice)?;
                let connection = stream.get_ref().1;
                let version = connection.protocol_version().and_then(|version| version.as_str());
                let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
                let secured = Secured {
                    backend: "rustls",
                    version: version.unwrap_or("unknown version").to_owned(),
                    suite: suite.unwrap_or("unknown suite").to_owned(),
                    peer: connection.peer_certificates().and_then(|all| Description::of(all.first()?)),
                };
                Ok(TlsStream::new(stream, secured))
            }
            #[cfg(feature = "openssl")]
            Self::OpenSsl(client) => client.connect(&name, tcp).await,
        }
    }

    /// The same, but believes everybody and says nothing of us, to look at a certificate that is refused otherwise.
    ///
    /// # Errors
    ///
    /// None that can happen; neither backend can say so.
    pub(crate) fn looking(&self) -> Result<Self, super::TlsError> {
        match self {
            Self::Rustls(_) => Ok(Self::Rustls(Arc::new(super::looking()?))),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(_) => Ok(Self::OpenSsl(openssl::Client::looking()?)),
        }
    }
}

/// A VTN that finds no suite that it likes says no more than that.
fn with_advice(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    if !matches!(cause, Some(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure))) {
        return error;
    }
    io::Error::other(format!("{error}; {NO_COMMON_SUITE}{TAKE_OPENSSL}"))
}

/// What the handshake has shown.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    pub(crate) backend: &'static str,
    pub(crate) version: String,
    pub(crate) suite: String,
    /// The VTN's certificate.
    pub(crate) peer: Option<Description>,
}

trait Octets: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Octets for T {}

/// A connection with the VTN.
pub(crate) struct TlsStream {
    octets: Pin<Box<dyn Octets>>,
    pub(crate) secured: Secured,
}

impl TlsStream {
    pub(super) fn new(octets: impl AsyncRead + AsyncWrite + Send + 'static, secured: Secured) -> Self {
        Self { octets: Box::pin(octets), secured }
    }
}

impl Connection for TlsStream {
    /// Every response that comes over it tells what its handshake has shown.
    fn connected(&self) -> Connected {
        Connected::new().extra(self.secured.clone())
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.octets.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.octets.as_mut().poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.octets.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.octets.as_mut().poll_shutdown(context)
    }
}
