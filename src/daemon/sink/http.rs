//! Delivers by HTTP: one request for each try, and what its answer means.
//!
//! The address comes from the configuration and from nowhere else; redirects are not followed. One deadline lies over all of a try,
//! from the name to the head of the answer; its end is not waited for beyond nine tenths of that. Of an answer 64 KiB are read and 2 KiB kept; what comes beyond costs the connection. The
//! status alone says what came of it: once that is there, an answer that stalls changes nothing.

mod judge;
mod line;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Response, Uri};

use crate::daemon::sink::dial::Peer;
use crate::daemon::sink::{Delivering, Message, Sink};
use crate::daemon::transport::tls::{self, Roots};
use crate::hook::outcome::{ANSWER_KEPT, Outcome, Try};
use crate::hook::settings::{HookSettings, HttpTarget};
use crate::hook::webhook::{BadSecret, Signer};
use crate::time::{Span, Timestamp};

use judge::judge;
use line::{Body, Line, Place, Silence};

/// Of an answer no more than this is read.
const ANSWER_READ: usize = 64 << 10;
/// Shorter than what servers and routers usually allow, so that a dead connection is seldom tried.
const IDLE: Span = Span::from_seconds(55);
const OURSELVES: &str = concat!("openadr-ven/", env!("CARGO_PKG_VERSION"));
/// What the request itself says, or the signature.
const OURS: [HeaderName; 4] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];
const SIGNATURE: &str = "webhook-";

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("url: {0}; expected http://HOST[:PORT]/PATH or https://…, names of other scripts as xn--…")]
    Url(String),
    #[error("method: {0:?} is none; expected POST, PUT, PATCH, GET or DELETE")]
    Method(String),
    #[error("headers: {0:?} is no name of a header")]
    HeaderName(String),
    #[error("headers: the value of {0} has characters that no header may have")]
    HeaderValue(String),
    #[error("headers: {0} is set by the request itself, leave it out")]
    OursToSet(String),
    #[error("expect: {0} is no status; expected 100 to 599")]
    Status(u16),
    #[error("secret: {0}")]
    Secret(#[from] BadSecret),
    #[error("ca: {0}")]
    Ca(String),
    #[error("tls: {0}")]
    Tls(#[from] tls::TlsError),
}

/// Delivers to one endpoint.
pub(crate) struct HttpSink {
    place: Place,
    method: Method,
    path: Uri,
    /// Those of the configuration, and what is the same at every try.
    headers: HeaderMap,
    expect: Vec<u16>,
    gzip: bool,
    /// Nothing but the headers is sent.
    bodiless: bool,
    signer: Option<Signer>,
    timeout: Span,
    /// The connection of the try before, and when that was.
    kept: Option<(Line, Timestamp)>,
}

/// Such requests have a body only where somebody has said what stands in it.
pub(super) fn is_bodiless(settings: &HookSettings, method: &str) -> bool {
    let templated = settings.words.template.is_some() || !settings.words.form.is_empty();
    ["GET", "DELETE"].iter().any(|bare| method.eq_ignore_ascii_case(bare)) && !templated
}

impl fmt::Debug for HttpSink {
    /// Without headers, in which credentials may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpSink to {}:{}", self.place.peer.host, self.place.peer.port)
    }
}

impl HttpSink {
    /// For an endpoint; reads the certificates that are trusted, and connects to nobody.
    ///
    /// # Errors
    ///
    /// Where the target cannot be used; says what to do.
    pub(crate) fn new(settings: &HookSettings, target: &HttpTarget) -> Result<Self, BadTarget> {
        let (place, path, host) = place(target, settings.timeout)?;
        let methods = [Method::POST, Method::PUT, Method::PATCH, Method::GET, Method::DELETE];
        let method = methods.into_iter().find(|method| target.method.eq_ignore_ascii_case(method.as_str()));
        let method = method.ok_or_else(|| BadTarget::Method(target.method.clone()))?;
        if let Some(status) = target.expect.iter().find(|status| !(100..=599).contains(*status)) {
            return Err(BadTarget::Status(*status));
        }
        let mut headers = headers(&target.headers)?;
        headers.insert(HOST, host);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OURSELVES));
        let signer = (!target.secrets.is_empty()).then(|| Signer::new(&target.secrets)).transpose()?;
        Ok(Self {
            place,
            bodiless: is_bodiless(settings, method.as_str()),
            method,
            path,
            headers,
            expect: target.expect.clone(),
            gzip: target.gzip,
            signer,
            timeout: settings.timeout,
            kept: None,
        })
    }

    async fn try_once(&mut self, message: &Message) -> Try {
        let request = match self.request(message) {
            Ok(request) => request,
            Err(why) => return Try { outcome: Outcome::Unsaid, ..Try::unreachable(why) },
        };
        // Whoever calls gives up at the deadline, and would not learn of a status that has come before.
        let nearly = tokio::time::sleep(self.timeout.to_std() / 10 * 9);
        tokio::pin!(nearly);
        let (response, line) =
            match tokio::time::timeout(self.timeout.to_std(), self.ask(request, message.at)).await {
                Ok(Ok(asked)) => asked,
                Ok(Err(why)) => return Try::unreachable(why),
                Err(_) => return Try::unreachable(format!("no answer within {}", self.timeout)),
            };
        let (outcome, why) = judge(response.status(), response.headers(), &self.expect, message.at);
        let code = Some(response.status().as_u16());
        let mut answer = Answer::default();
        tokio::select! {
            () = answer.read(response) => {}
            () = &mut nearly => {}
        }
        if answer.whole {
            self.kept = Some((line, message.at));
        }
        Try { outcome, code, why, answer: answer.text() }
    }

    fn request(&self, message: &Message) -> Result<Request<Body>, String> {
        let payload = if self.bodiless { Bytes::new() } else { Bytes::from(message.body.clone()) };
        let mut headers = self.headers.clone();
        if let Some(signer) = &self.signer {
            // Signed is what the receiver's program sees, and servers undo a coding before that.
            let signed = signer.sign(&message.id, message.at, &payload);
            for (name, text) in [
                ("webhook-id", message.id.as_str()),
                ("webhook-timestamp", &signed.timestamp),
                ("webhook-signature", &signed.signature),
            ] {
                headers.insert(HeaderName::from_static(name), value(name, text)?);
            }
        }
        let body = if self.gzip && !payload.is_empty() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzipped(&payload).map_err(|error| error.to_string())?
        } else {
            payload
        };
        if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, value("content-type", &message.content_type)?);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Over the connection that is kept, or over a new one where nothing of the request went over that.
    async fn ask(
        &mut self,
        mut request: Request<Body>,
        at: Timestamp,
    ) -> Result<(Response<Incoming>, Line), String> {
        if let Some((mut line, used)) = self.kept.take()
            && (at - used).abs() < IDLE
        {
            match line.ask(request).await {
                Ok(response) => return Ok((response, line)),
                Err(Silence::Unsent(unsent)) => request = *unsent,
                Err(Silence::Broken(why)) => return Err(why),
            }
        }
        let mut line = Line::open(&self.place).await?;
        match line.ask(request).await {
            Ok(response) => Ok((response, line)),
            Err(Silence::Unsent(_)) => Err("connection closed before anything was sent".to_owned()),
            Err(Silence::Broken(why)) => Err(why),
        }
    }
}

impl Sink for HttpSink {
    fn signs(&self) -> bool {
        self.signer.is_some()
    }

    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(self.try_once(message))
    }
}

/// What of an answer has been read.
#[derive(Default)]
struct Answer {
    kept: Vec<u8>,
    /// It is at its end.
    whole: bool,
}

impl Answer {
    async fn read(&mut self, response: Response<Incoming>) {
        let (mut body, mut length) = (response.into_body(), 0_usize);
        loop {
            let Some(frame) = body.frame().await else {
                self.whole = true;
                return;
            };
            let Ok(frame) = frame else { return };
            let octets = frame.into_data().unwrap_or_default();
            let room = ANSWER_KEPT - self.kept.len();
            self.kept.extend_from_slice(&octets[..octets.len().min(room)]);
            length = length.saturating_add(octets.len());
            if length > ANSWER_READ {
                return;
            }
        }
    }

    /// For people: what is no text in it becomes a mark, and nothing in it controls a terminal.
    fn text(&self) -> String {
        let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c };
        let mut text = String::new();
        for c in String::from_utf8_lossy(&self.kept).chars().map(shown) {
            if text.len() + c.len_utf8() > ANSWER_KEPT {
                break;
            }
            text.push(c);
        }
        text
    }
}

/// Where a URL leads: the place, the path there, and how it is called in `Host`.
fn place(target: &HttpTarget, timeout: Span) -> Result<(Place, Uri, HeaderValue), BadTarget> {
    let bad = |why: &str| BadTarget::Url(why.to_owned());
    let uri: Uri = target.url.trim().parse().map_err(|error| BadTarget::Url(format!("{error}")))?;
    let secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(_) | None => return Err(bad("it is neither http nor https")),
    };
    let authority = uri.authority().ok_or_else(|| bad("there is no host in it"))?;
    if authority.as_str().contains('@') {
        return Err(bad("credentials do not belong into it; set headers = { Authorization = … }"));
    }
    let host = authority.host().trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(bad("there is no host in it"));
    }
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
        return Err(bad("the port is none"));
    }
    let name = HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the host is none"))?;
    let path = uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    let path: Uri = path.parse().map_err(|error| BadTarget::Url(format!("{error}")))?;
    let tls = secure.then(|| tls::nameless(&roots(target)?).map_err(BadTarget::from)).transpose()?;
    let peer = Peer { host: host.to_owned(), port, allow_private: target.allow_private };
    let place = Place { peer, tls, timeout };
    Ok((place, path, name))
}

fn roots(target: &HttpTarget) -> Result<Roots, BadTarget> {
    let Some(path) = &target.ca else { return Ok(Roots::System) };
    let pem = std::fs::read(path).map_err(|error| BadTarget::Ca(format!("{}: {error}", path.display())))?;
    Ok(Roots::Pem(pem))
}

fn headers(configured: &[(String, String)]) -> Result<HeaderMap, BadTarget> {
    let mut headers = HeaderMap::new();
    for (name, text) in configured {
        let known: HeaderName = name.parse().map_err(|_| BadTarget::HeaderName(name.clone()))?;
        if OURS.contains(&known) || known.as_str().starts_with(SIGNATURE) {
            return Err(BadTarget::OursToSet(name.clone()));
        }
        let value = value(name, text).map_err(|_| BadTarget::HeaderValue(name.clone()))?;
        headers.append(known, value);
    }
    Ok(headers)
}

fn value(name: &str, text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{name} would have characters that no header may have"))
}

fn gzipped(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}
