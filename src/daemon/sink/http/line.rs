//! Makes the connection to an endpoint, to an address that was judged, and keeps it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::daemon::sink::dial::Peer;
use crate::daemon::transport::chain;
use crate::time::Span;

/// Of the head of an answer no more than this is read.
const LARGEST_HEAD: usize = 64 << 10;

pub(super) type Body = Full<Bytes>;

/// Where the endpoint is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) peer: Peer,
    /// `None`: `http`.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// For everything.
    pub(super) timeout: Span,
}

/// A connection, over which one request goes at a time.
pub(super) struct Line {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no answer.
pub(super) enum Silence {
    /// Nothing of the request was sent; here it is.
    Unsent(Box<Request<Body>>),
    /// It may have arrived.
    Broken(String),
}

trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Octets for T {}

impl Line {
    /// Resolves the name once, and connects to the first of its addresses that may be spoken to and that answers.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    pub(super) async fn open(place: &Place) -> Result<Self, String> {
        let host = &place.peer.host;
        let tcp = place.peer.connect(place.timeout.to_std()).await?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let octets: Box<dyn Octets> = match &place.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| format!("{host} is no name that a certificate can have"))?;
                let stream = TlsConnector::from(config.clone()).connect(name, tcp).await;
                Box::new(stream.map_err(|error| format!("no TLS with {host}: {}", chain(&error)))?)
            }
        };
        let mut builder = Builder::new();
        let shaken = builder.max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(octets)).await;
        let (sender, connection) = shaken.map_err(|error| chain(&error))?;
        let driver = tokio::spawn(async move {
            // Its errors reach whoever waits for an answer.
            drop(connection.await);
        });
        Ok(Self { sender, driver })
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn ask(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Silence> {
        if self.sender.ready().await.is_err() {
            return Err(Silence::Unsent(Box::new(request)));
        }
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Silence::Unsent(Box::new(request)),
            None => Silence::Broken(chain(&error.into_error())),
        })
    }
}
