//! Posts messages to the VTN's services (section 9.1 of the profile).
//!
//! One connection is kept and used again. Nothing is ever sent twice by the transport itself: whether a message is repeated is
//! for the engine to decide, which knows whether that is harmless.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::http::uri::{InvalidUri, PathAndQuery, Scheme};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tower_service::Service as Connect;

use crate::engine::Failure;
use crate::openadr::message::Service;
use crate::time::{Span, Timestamp};

use super::chain::chain;
use super::tls::{Secured, TlsClient, TlsStream};

/// For a request and its whole answer.
const DEADLINE: Duration = Duration::from_secs(15);
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Shorter than what servers and routers usually allow, so that a dead connection is seldom tried.
const IDLE: Duration = Duration::from_secs(55);
/// What rustls says of a certificate without alternative names.
const NAMELESS: &str = "is not valid for any names";
/// The path of every VTN (rule 511).
const SIMPLE: &str = "/OpenADR2/Simple/2.0b";

type HttpClient = Client<TlsConnector, Full<Bytes>>;

/// Posts to one VTN.
#[derive(Debug)]
pub(crate) struct PullClient {
    client: HttpClient,
    tls: TlsClient,
    root: String,
    largest_reply: usize,
    /// When the certificate that the VTN has shown expires.
    peer_until: Option<Timestamp>,
}

/// What the VTN has answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `None`: nothing.
    pub(crate) body: Option<Bytes>,
}

/// TLS on top of TCP, for the pool of connections.
#[derive(Clone, Debug)]
struct TlsConnector {
    tcp: HttpConnector,
    tls: TlsClient,
}

impl Connect<Uri> for TlsConnector {
    type Response = TokioIo<TlsStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let (tcp, tls) = (self.tcp.call(uri), self.tls.clone());
        Box::pin(async move {
            let tcp = tcp.await.map_err(io::Error::other)?;
            tls.connect(&host, tcp.into_inner()).await.map(TokioIo::new)
        })
    }
}

fn http_client(tls: &TlsClient) -> HttpClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .build(TlsConnector { tcp, tls: tls.clone() })
}

impl PullClient {
    /// For the VTN at `root` (see [`simple_root`]); replies beyond `largest_reply` bytes are refused.
    pub(crate) fn new(root: String, tls: TlsClient, largest_reply: usize) -> Self {
        Self { client: http_client(&tls), tls, root, largest_reply, peer_until: None }
    }

    /// From now on as somebody else; connections that stand are not used again.
    pub(crate) fn set_tls(&mut self, tls: TlsClient) {
        self.tls = tls;
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.client = http_client(&self.tls);
        self.peer_until = None;
    }

    /// Sends a message, and returns the answer.
    ///
    /// # Errors
    ///
    /// Where there is no answer in time, its status is neither 200 nor 204, or it is too large.
    pub(crate) async fn post(
        &mut self,
        service: Service,
        message: String,
        now: Timestamp,
    ) -> Result<Reply, Failure> {
        // A connection may outlive the certificate that it was made with (rule 516).
        if self.peer_until.is_some_and(|until| until < now) {
            self.begin_anew();
        }
        match tokio::time::timeout(DEADLINE, self.exchange(service, message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()))),
        }
    }

    async fn exchange(&mut self, service: Service, message: String) -> Result<Reply, Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{service}", self.root))
            .header(CONTENT_TYPE, "application/xml")
            .body(Full::new(Bytes::from(message)))
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let response =
            self.client.request(request).await.map_err(|error| Failure::Unreachable(causes(&error)))?;
        let peer = response.extensions().get::<Secured>().and_then(|secured| secured.peer.as_ref());
        self.peer_until = peer.map(|certificate| certificate.to);
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::NO_CONTENT) {
            return Err(refusal(&response));
        }
        let body = Limited::new(response.into_body(), self.largest_reply).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
            Some(_) => Failure::Rejected(format!("reply is larger than {} bytes", self.largest_reply)),
            None => Failure::Unreachable(causes(error.as_ref())),
        })?;
        let bytes = body.to_bytes();
        let body = (!bytes.iter().all(u8::is_ascii_whitespace)).then_some(bytes);
        Ok(Reply { status: status.as_u16(), body })
    }
}

fn refusal<B>(response: &Response<B>) -> Failure {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Failure::Status { code: response.status().as_u16(), retry_after: seconds.map(Span::from_seconds) }
}

/// An error with everything that led to it, and what to do about it.
pub(in crate::daemon) fn causes(error: &dyn Error) -> String {
    let text = chain(error);
    let hint = if text.contains(NAMELESS) {
        "; where the name stands in its common name, [tls] server_name = \"allow-cn\" takes that"
    } else {
        ""
    };
    format!("{text}{hint}")
}

/// Why a URL is not that of a VTN.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error("it is not a URL: {0}")]
    Unreadable(#[from] InvalidUri),
    #[error("expected https://HOST[:PORT][/PATH]")]
    NotHttps,
    #[error("expected a path that ends in {SIMPLE}, or none at all, found {0}")]
    WrongPath(String),
}

/// Everything before the name of the service: of a base address, or of the full path in either spelling of its end.
///
/// # Errors
///
/// Where it is no https URL, or leads somewhere else.
pub(crate) fn simple_root(url: &str) -> Result<String, BadUrl> {
    let uri: Uri = url.trim().parse()?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(BadUrl::NotHttps);
    };
    if *scheme != Scheme::HTTPS {
        return Err(BadUrl::NotHttps);
    }
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str).trim_end_matches('/');
    if path.contains(['?', '#']) || path.contains("/Simple/") && !path.ends_with(SIMPLE) {
        return Err(BadUrl::WrongPath(path.to_owned()));
    }
    let path = path.strip_suffix(SIMPLE).unwrap_or(path);
    Ok(format!("https://{authority}{path}{SIMPLE}"))
}

#[cfg(test)]
mod tests {
    use super::simple_root;

    #[test]
    fn every_spelling_of_a_vtn_leads_to_its_services() {
        let root = "https://vtn.example.org:8443/OpenADR2/Simple/2.0b";
        for url in [
            "https://vtn.example.org:8443",
            "https://vtn.example.org:8443/",
            " https://vtn.example.org:8443/OpenADR2/Simple/2.0b",
            "https://vtn.example.org:8443/OpenADR2/Simple/2.0b/",
        ] {
            assert_eq!(simple_root(url).unwrap(), root, "{url}");
        }
        let prefixed = simple_root("https://h/dr/").unwrap();
        assert_eq!(prefixed, "https://h/dr/OpenADR2/Simple/2.0b", "a path in front is kept");
    }

    #[test]
    fn other_urls_are_refused_with_advice() {
        for (url, why) in [
            ("http://vtn.example.org", "expected https://HOST"),
            ("vtn.example.org", "expected https://HOST"),
            ("https://vtn.example.org/OpenADR2/Simple/2.0b/EiEvent", "ends in /OpenADR2/Simple/2.0b"),
            ("https://vtn.example.org/OpenADR2/Simple/2.0a", "ends in /OpenADR2/Simple/2.0b"),
            ("https://vtn.example.org/?x=1", "ends in"),
            ("https://", "it is not a URL"),
        ] {
            let error = simple_root(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
