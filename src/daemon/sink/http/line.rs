//! Makes the connection to an endpoint, to an address that was judged, and keeps it.

use std::io;
use std::net::SocketAddr;
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
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::daemon::sink::address;
use crate::daemon::transport::chain;
use crate::time::Span;

/// Of the head of an answer no more than this is read.
const LARGEST_HEAD: usize = 64 << 10;
/// Of the addresses of a name no more than these are tried.
const MOST_ADDRESSES: usize = 8;

pub(super) type Body = Full<Bytes>;

/// Where the endpoint is.
#[derive(Clone)]
pub(super) struct Place {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) allow_private: bool,
    /// `None`: `http`.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// For everything; each address gets its share of it.
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
        let tcp = connect(place).await?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let octets: Box<dyn Octets> = match &place.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(place.host.clone());
                let name =
                    name.map_err(|_| format!("{} is no name that a certificate can have", place.host))?;
                let stream = TlsConnector::from(config.clone()).connect(name, tcp).await;
                Box::new(stream.map_err(|error| format!("no TLS with {}: {}", place.host, chain(&error)))?)
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

async fn connect(place: &Place) -> Result<TcpStream, String> {
    let (good, bad) = addresses(place).await?;
    let share = place.timeout.to_std() / u32::try_from(good.len().max(1)).unwrap_or(1);
    let mut why = bad;
    for address in good {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = Some(format!("no connection to {address}: {}", in_short(&error))),
            Err(_) => why = Some(format!("no connection to {address} within {}", Span::from_std(share))),
        }
    }
    Err(why.unwrap_or_else(|| format!("{} has no address", place.host)))
}

/// The addresses that may be spoken to, and why one may not.
async fn addresses(place: &Place) -> Result<(Vec<SocketAddr>, Option<String>), String> {
    let found = lookup_host((place.host.as_str(), place.port)).await;
    let found = found.map_err(|error| format!("cannot resolve {}: {}", place.host, in_short(&error)))?;
    let (mut good, mut bad) = (Vec::new(), None);
    for address in found.take(MOST_ADDRESSES) {
        match address::check(address.ip(), place.allow_private) {
            Ok(()) => good.push(address),
            Err(why) => bad = Some(format!("{}: {why}", place.host)),
        }
    }
    Ok((good, bad))
}

/// Without the number of the operating system.
fn in_short(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
