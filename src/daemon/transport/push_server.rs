//! Takes what the VTN posts to our services (section 9.1 of the profile).
//!
//! ```text
//! connection -> (64 in all, 16 from one address) -> TLS, the VTN's certificate -> header -> body -> Gate -> ven_task
//!                                                                                 VTN <- signed answer <-┘
//! ```
//!
//! Each connection is a task of its own with deadlines of its own; nothing of ours ever waits for one.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::daemon::bus::Bus;
use crate::daemon::certificates::Credentials;
use crate::daemon::journal::{Direction, Entry};
use crate::daemon::scribe::Scribe;
use crate::daemon::ven_task::Push;
use crate::engine::PushAnswer;
use crate::fact::of_exchange::Exchange;
use crate::notice::Notice;
use crate::openadr::message::{Payload, PayloadKind, Service};
use crate::openadr::signature::{Description, Refusal};
use crate::openadr::trust::Verified;
use crate::time::{Span, Timestamp};

use super::listener::Listener;

/// For the TLS handshake, and for each header.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
const BODY_DEADLINE: Duration = Duration::from_secs(15);
/// A store that hangs must not hang the VTN too.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
const LARGEST_BODY: u64 = 2 * 1024 * 1024;

/// Everything that a message needs on its way in.
#[derive(Debug)]
pub(in crate::daemon) struct PushDesk {
    /// Under which our services are (rule 511), normalised.
    pub(in crate::daemon) path: String,
    pub(in crate::daemon) scribe: Arc<Scribe>,
    pub(in crate::daemon) pushes: mpsc::Sender<Push>,
    pub(in crate::daemon) bus: Bus,
}

/// Our services for the VTN.
pub(in crate::daemon) struct PushServer {
    listener: Listener,
}

impl PushServer {
    /// # Errors
    ///
    /// Where the address cannot be listened at.
    pub(in crate::daemon) async fn bind(listen: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: Listener::bind(listen).await? })
    }

    /// Serves until `stop`, then cuts what is open.
    pub(in crate::daemon) async fn run(self, desk: PushDesk, stop: impl Future<Output = ()>) {
        let desk = Arc::new(desk);
        self.listener.run(stop, |stream, _| serve(stream, desk.clone())).await;
    }
}

/// What a connection was made with.
#[derive(Clone)]
struct Made {
    credentials: Arc<Credentials>,
    /// When the certificate of the VTN expires.
    peer_until: Option<Timestamp>,
}

impl Made {
    /// A connection does not outlive the certificates of either side (rule 516), nor does anything go over it by a clock that is not set.
    fn is_over(&self, now: Timestamp) -> bool {
        !self.credentials.may_speak(now) || self.peer_until.is_some_and(|until| until < now)
    }
}

async fn serve(stream: TcpStream, desk: Arc<PushDesk>) {
    let credentials = desk.scribe.credentials();
    let may_speak = credentials.may_speak(desk.scribe.now());
    let Some(acceptor) = credentials.server.clone().filter(|_| may_speak).map(TlsAcceptor::from) else {
        return tracing::info!(
            "a connection to our services is refused: our certificate has expired, or our clock is not set"
        );
    };
    let stream = match timeout(HEADER_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!("a connection to our services failed: {error}"),
        Err(_) => return tracing::debug!("a connection to our services said nothing"),
    };
    let peer = stream.get_ref().1.peer_certificates().and_then(|all| Description::of(all.first()?));
    let made = Made { credentials, peer_until: peer.map(|certificate| certificate.to) };
    let service = service_fn(move |request| {
        let (desk, made) = (desk.clone(), made.clone());
        async move { Ok::<_, Infallible>(desk.respond(request, &made).await) }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("a connection to our services ended: {error}");
    }
}

/// Why a message is not taken.
struct Refused {
    status: StatusCode,
    why: String,
}

fn refused<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, why: why.into() })
}

/// What is known of a request as far as it was taken.
#[derive(Default)]
struct Seen {
    received: usize,
    kind: Option<PayloadKind>,
    answer: Option<Payload>,
    /// The answer's bytes.
    sent: usize,
    /// Why it was refused.
    why: Option<String>,
}

impl PushDesk {
    async fn respond(&self, request: Request<Incoming>, made: &Made) -> Response<Full<Bytes>> {
        let begun = self.scribe.wire.begin();
        // With new credentials, the VTN shall see them.
        let mut close = !Arc::ptr_eq(&made.credentials, &self.scribe.credentials());
        let service = service_at(&self.path, request.uri().path());
        let mut seen = Seen::default();
        let mut response = match self.take(service, request, made, &mut seen).await {
            Ok(Some(answer)) => {
                seen.sent = answer.len();
                let mut response = Response::new(Full::from(answer));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                response
            }
            Ok(None) => Response::new(Full::default()),
            Err(Refused { status, why }) => {
                let why = format!("answered with http status {status}: {why}");
                self.bus.tell(Notice::MessageRejected { service, why: why.clone() });
                seen.why = Some(why);
                let mut response = Response::new(Full::default());
                *response.status_mut() = status;
                // What is left of a body that nobody reads is no next request.
                close = true;
                response
            }
        };
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(service) = service {
            self.tell(begun, (service, response.status()), seen);
        }
        response
    }

    /// Tells others of an exchange that is over.
    fn tell(&self, begun: Span, (service, status): (Service, StatusCode), seen: Seen) {
        let Seen { received, kind, answer, sent, why } = seen;
        self.scribe.wire.exchanged(begun, |took| Exchange {
            by_vtn: true,
            service,
            message: kind,
            answer: answer.as_ref(),
            http: Some(status.as_u16()),
            took,
            sent,
            received,
            why,
        });
    }

    /// The document to answer with; `None`: 200 without a body.
    async fn take(
        &self,
        service: Option<Service>,
        request: Request<Incoming>,
        made: &Made,
        seen: &mut Seen,
    ) -> Result<Option<String>, Refused> {
        if made.is_over(self.scribe.now()) {
            return refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "a certificate of the connection has expired, or our clock is not set",
            );
        }
        let Some(service) = service else {
            return refused(
                StatusCode::NOT_FOUND,
                format!("there is no service at {}", request.uri().path()),
            );
        };
        if request.method() != Method::POST {
            return refused(StatusCode::NOT_IMPLEMENTED, format!("method {}", request.method()));
        }
        check_headers(request.headers())?;
        let body = read(request.into_body()).await?;
        tracing::trace!(%service, message = %String::from_utf8_lossy(&body), "pushed");
        seen.received = body.len();
        let opened = self.scribe.open(&body, |_| true).await;
        self.note(service, &body, &opened);
        let known = opened.as_ref().map(|message| (message.content().kind(), message.peer()));
        seen.kind = known.as_ref().ok().map(|(kind, _)| *kind);
        self.scribe.wire.received(service, &body, known.map_err(|why| why as &dyn Error));
        let message = opened.or_else(|why| {
            // Rule 514: what is not signed as it should be is ignored; rule 517 has this status for it.
            let status = if why.is_unreadable() { StatusCode::NOT_ACCEPTABLE } else { StatusCode::FORBIDDEN };
            refused(status, why.to_string())
        })?;
        let (respond, answered) = oneshot::channel();
        if self.pushes.try_send(Push { service, message, respond }).is_err() {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "too many messages wait already");
        }
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(PushAnswer::Message(answer))) => {
                let text = self.written(service, &answer);
                seen.answer = Some(answer);
                text.map(Some)
            }
            Ok(Ok(PushAnswer::Empty)) => Ok(None),
            Ok(Ok(PushAnswer::TryAgain) | Err(_)) | Err(_) => {
                refused(StatusCode::SERVICE_UNAVAILABLE, "what follows from it could not be stored")
            }
        }
    }

    /// Notes in the journal what came, and what the gate said of it.
    fn note(&self, service: Service, body: &[u8], opened: &Result<Verified<Payload>, Refusal>) {
        let (kind, verdict) = match opened {
            Ok(message) => (Some(message.content().kind().to_string()), message.peer().to_string()),
            Err(why) => (None, why.to_string()),
        };
        let entry = || {
            let mut entry = Entry::new(self.scribe.now(), Direction::In, service);
            (entry.kind, entry.verdict) = (kind, Some(verdict));
            entry
        };
        self.scribe.journal.received(entry, Some(body));
    }

    fn written(&self, service: Service, answer: &Payload) -> Result<String, Refused> {
        let text =
            self.scribe.write(answer).or_else(|why| refused(StatusCode::INTERNAL_SERVER_ERROR, why))?;
        tracing::trace!(kind = %answer.kind(), text, "answered");
        self.scribe.journal.sent(self.scribe.now(), answer.kind(), &text);
        self.scribe.wire.sent((service, answer.kind()), &text, self.scribe.signs());
        Ok(text)
    }
}

/// The service at a path under ours; polling is a service of VTNs (rule 501).
fn service_at(ours: &str, path: &str) -> Option<Service> {
    let path = normalised(path)?;
    let service = Service::from_token(path.strip_prefix(ours)?.strip_prefix('/')?)?;
    (service != Service::OadrPoll).then_some(service)
}

/// A path as section 6.2.2 of RFC 3986 makes it comparable (rule 511); `None` where it cannot be.
pub(in crate::daemon) fn normalised(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            bytes.push(byte);
        } else {
            bytes.extend(format!("%{byte:02X}").bytes());
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut segments = Vec::new();
    for segment in text.strip_prefix('/')?.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// Section 9.1.2: application/xml in UTF-8, of a length that is known, and not packed.
fn check_headers(headers: &HeaderMap) -> Result<(), Refused> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_xml(content_type) {
        return refused(StatusCode::NOT_ACCEPTABLE, format!("content type \"{content_type}\""));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return refused(StatusCode::NOT_ACCEPTABLE, "there is a Content-Encoding");
    }
    if headers.contains_key(TRANSFER_ENCODING) || !headers.contains_key(hyper::header::CONTENT_LENGTH) {
        return refused(StatusCode::LENGTH_REQUIRED, "there is no Content-Length");
    }
    Ok(())
}

fn is_xml(content_type: &str) -> bool {
    let text = content_type.to_ascii_lowercase().replace([' ', '\t', '"'], "");
    let (kind, charset) = text.split_once(';').unwrap_or((&text, "charset=utf-8"));
    matches!(kind, "application/xml" | "text/xml") && charset == "charset=utf-8"
}

async fn read(body: Incoming) -> Result<Bytes, Refused> {
    if body.size_hint().upper().is_none_or(|bytes| bytes > LARGEST_BODY) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, format!("it is larger than {LARGEST_BODY} bytes"));
    }
    match timeout(BODY_DEADLINE, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => refused(StatusCode::BAD_REQUEST, error.to_string()),
        Err(_) => {
            let why = format!("the body did not come within {} s", BODY_DEADLINE.as_secs());
            refused(StatusCode::REQUEST_TIMEOUT, why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Service, is_xml, service_at};

    #[test]
    fn rule_511_services_are_found_under_every_spelling_of_their_path() {
        let ours = "/dr/OpenADR2/Simple/2.0b";
        for path in [
            "/dr/OpenADR2/Simple/2.0b/EiEvent",
            "/dr/OpenADR2/Simple/2%2E0b/Ei%45vent",
            "/x/../dr/./OpenADR2/Simple/2.0b/EiEvent",
        ] {
            assert_eq!(service_at(ours, path), Some(Service::EiEvent), "{path}");
        }
        for path in [
            "/OpenADR2/Simple/2.0b/EiEvent",
            "/dr/OpenADR2/Simple/2.0b/OadrPoll",
            "/dr/OpenADR2/Simple/2.0b/eievent",
            "/dr/OpenADR2/Simple/2.0b",
            "/dr/OpenADR2/Simple/2.0b/",
            "/dr/OpenADR2/Simple/2.0bEiEvent",
            "/dr%2FOpenADR2/Simple/2.0b/EiEvent",
            "/dr/OpenADR2/Simple/2.0b/EiEvent%",
            "*",
        ] {
            assert_eq!(service_at(ours, path), None, "{path}");
        }
    }

    #[test]
    fn rule_53_the_content_type_is_xml_in_utf_8() {
        for good in ["application/xml", "application/xml; charset=utf-8", "text/xml;charset=\"UTF-8\""] {
            assert!(is_xml(good), "{good}");
        }
        for bad in ["", "application/json", "application/xml; charset=latin1", "application/xmlx", "xml"] {
            assert!(!is_xml(bad), "{bad}");
        }
    }
}
