//! Serves the local API: each connection is a task of its own, with deadlines of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::config::Scope;
use crate::daemon::clock::Clock;
use crate::daemon::transport::Listener;

use super::answer::{Answer, Body};
use super::call::{Call, query};
use super::guard::{Hosts, check_address, check_origin, check_type};
use super::route::{Found, Parameters, Route, Routes};
use super::token::{Failures, Tokens, Who};

const LARGEST_BODY: usize = 1024 * 1024;
const LARGEST_HEADER: usize = 32 * 1024;
/// The header of DSMR-reader that bears a token.
const X_AUTHKEY: &str = "x-authkey";

/// How long others may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// For the TLS handshake, and for each header.
    pub(super) header: Duration,
    pub(super) body: Duration,
    /// For taking anything at all of an answer.
    pub(super) taken: Duration,
}

impl Deadlines {
    const USUAL: Self = Self {
        header: Duration::from_secs(10),
        body: Duration::from_secs(15),
        taken: Duration::from_secs(30),
    };
}

/// How the local API is set up.
#[derive(Debug)]
pub(in crate::daemon) struct Setup {
    pub(in crate::daemon) listen: SocketAddr,
    /// Names by which we may be asked for.
    pub(in crate::daemon) hosts: Vec<String>,
    /// `None`: in the clear.
    pub(in crate::daemon) tls: Option<Arc<rustls::ServerConfig>>,
    pub(in crate::daemon) tokens: Tokens,
}

/// How many answers there were, by their status.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Traffic(Arc<Mutex<BTreeMap<u16, u64>>>);

impl Traffic {
    fn count(&self, status: StatusCode) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
    }

    /// How many there were of each.
    pub(in crate::daemon) fn look(&self) -> BTreeMap<u16, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The local API.
pub(in crate::daemon) struct Server {
    listener: Listener,
    tls: Option<TlsAcceptor>,
    clerk: Clerk,
}

impl Server {
    /// # Errors
    ///
    /// Where the address cannot be listened at.
    pub(in crate::daemon) async fn bind(
        setup: Setup,
        routes: Routes,
        clock: Clock,
        traffic: Traffic,
    ) -> io::Result<Self> {
        let listener = Listener::bind(setup.listen).await?;
        let clerk = Clerk {
            // Whoever can reach us from elsewhere has to say who they are.
            local: setup.listen.ip().is_loopback(),
            hosts: Hosts::new(setup.hosts),
            tokens: setup.tokens,
            failures: Mutex::default(),
            routes,
            clock,
            traffic,
            deadlines: Deadlines::USUAL,
        };
        Ok(Self { listener, tls: setup.tls.map(TlsAcceptor::from), clerk })
    }

    #[cfg(test)]
    pub(super) const fn with(mut self, deadlines: Deadlines) -> Self {
        self.clerk.deadlines = deadlines;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub(in crate::daemon) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Serves until `stop`, then cuts what is open.
    pub(in crate::daemon) async fn run(self, stop: impl Future<Output = ()>) {
        let (tls, clerk) = (self.tls, Arc::new(self.clerk));
        self.listener.run(stop, |stream, peer| serve(stream, peer, tls.clone(), clerk.clone())).await;
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, clerk: Arc<Clerk>) {
    let Ok(ours) = stream.local_addr() else { return };
    let ends = Ends { peer: peer.ip().to_canonical(), ours: ours.ip() };
    let Some(tls) = tls else { return converse(stream, ends, clerk).await };
    match timeout(clerk.deadlines.header, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, ends, clerk).await,
        Ok(Err(error)) => tracing::debug!("a connection to the local API failed: {error}"),
        Err(_) => tracing::debug!("a connection to the local API said nothing"),
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    peer: IpAddr,
    ours: IpAddr,
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    clerk: Arc<Clerk>,
) {
    let Deadlines { header, taken, .. } = clerk.deadlines;
    let service = service_fn(move |request| {
        let clerk = clerk.clone();
        async move { Ok::<_, Infallible>(clerk.respond(request, ends).await) }
    });
    let stream = super::patient::Patient::new(stream, taken);
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(header).max_buf_size(LARGEST_HEADER);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("a connection to the local API ended: {error}");
    }
}

/// Finds out who asks for what, and has it answered.
struct Clerk {
    /// Nobody can reach us from elsewhere: everybody may read, where nobody has a token.
    local: bool,
    hosts: Hosts,
    tokens: Tokens,
    failures: Mutex<Failures>,
    routes: Routes,
    clock: Clock,
    traffic: Traffic,
    deadlines: Deadlines,
}

impl Clerk {
    async fn respond(&self, request: Request<Incoming>, ends: Ends) -> Response<Body> {
        // What was refused may have a body that nobody has read.
        let answer = self.answer(request, ends).await.unwrap_or_else(Answer::last);
        self.traffic.count(answer.status);
        answer.secured()
    }

    /// # Errors
    ///
    /// The answer to what was refused.
    async fn answer(&self, request: Request<Incoming>, ends: Ends) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        let host = self.hosts.check(&head.uri, &head.headers, ends.ours)?;
        let query_text = head.uri.query().unwrap_or_default().to_owned();
        let query = query(&query_text)
            .ok_or_else(|| Answer::problem(StatusCode::BAD_REQUEST, "the query cannot be read"))?;
        check_address(&query)?;
        let (route, parameters) = self.route(&head.method, head.uri.path())?;
        let admission = self.tokens.admission();
        let scope = route.scope(&parameters);
        let shown = shown(&head.headers, route.foreign_tokens)?;
        let who = self.admit(scope.as_ref(), shown, ends.peer).await?;
        if route.writes() {
            check_origin(&head.headers, &host)?;
        }
        let body = if body.is_end_stream() {
            Bytes::new()
        } else {
            check_type(&head.headers, route.takes)?;
            read(body, self.deadlines.body).await?
        };
        let headers = head.headers.clone();
        let call = Call { who, admission: admission.clone(), headers, body, parameters, query, query_text };
        let answer = timeout(route.within, (route.handler)(call)).await.map_err(|_| {
            let why = format!("there was no answer within {} s", route.within.as_secs());
            Answer::problem(StatusCode::GATEWAY_TIMEOUT, why)
        })?;
        if !route.writes() && admission.is_over() {
            // The token may have been taken away while it waited for something to tell.
            self.admit(scope.as_ref(), shown, ends.peer).await?;
        }
        Ok(answer)
    }

    fn route(&self, method: &Method, path: &str) -> Result<(&Route, Parameters), Answer> {
        match self.routes.find(method, path) {
            Found::Route(route, parameters) => Ok((route, parameters)),
            Found::Nothing => {
                let why = "there is nothing at this path; /openapi.json says what there is";
                Err(Answer::problem(StatusCode::NOT_FOUND, why))
            }
            Found::Methods(methods) => {
                let methods: Vec<_> = methods.into_iter().map(Method::as_str).collect();
                let methods = methods.join(", ");
                let answer = Answer::problem(StatusCode::METHOD_NOT_ALLOWED, format!("expected {methods}"));
                // Names of methods are good values.
                Err(HeaderValue::from_str(&methods)
                    .map(|value| answer.with(ALLOW, value))
                    .unwrap_or_else(|_| Answer::empty(StatusCode::METHOD_NOT_ALLOWED)))
            }
        }
    }

    /// Who asks with this token, if they may ask for this.
    async fn admit(&self, scope: Option<&Scope>, shown: Option<&str>, peer: IpAddr) -> Result<Who, Answer> {
        let who = match shown {
            Some(token) => match self.tokens.owner(token) {
                Some(who) => who,
                None => return Err(self.refuse_guess(peer).await),
            },
            None if self.local && self.tokens.is_empty() => Who::Local,
            None => Who::Unknown,
        };
        let Some(scope) = scope.filter(|scope| !who.may(scope)) else { return Ok(who) };
        Err(match &who {
            Who::Unknown => unauthorized("say who you are: Authorization: Bearer TOKEN"),
            Who::Local => {
                let why = format!(
                    "without tokens everything can only be read; `ven token new --scope {scope}` makes one that may more"
                );
                Answer::problem(StatusCode::FORBIDDEN, why)
            }
            Who::Known { name, .. } => {
                let why = format!("the token of {name} lacks the scope \"{scope}\"");
                Answer::problem(StatusCode::FORBIDDEN, why)
            }
        })
    }

    /// The answer to a wrong token, late where there were many from there.
    async fn refuse_guess(&self, peer: IpAddr) -> Answer {
        let now = self.clock.now().since_start;
        let wait = self.failures.lock().unwrap_or_else(PoisonError::into_inner).count(peer, now);
        if !wait.is_zero() {
            tracing::info!("somebody at {peer} shows one wrong token after another to the local API");
            tokio::time::sleep(wait.to_std()).await;
        }
        unauthorized("no token is like this")
    }
}

fn unauthorized(why: &str) -> Answer {
    let challenge = HeaderValue::from_static("Bearer realm=\"ven\"");
    Answer::problem(StatusCode::UNAUTHORIZED, why).with(WWW_AUTHENTICATE, challenge)
}

/// The token that is shown, where one is.
fn shown(headers: &HeaderMap, foreign: bool) -> Result<Option<&str>, Answer> {
    let mut all = headers.get_all(AUTHORIZATION).iter().map(|value| (value, false)).collect::<Vec<_>>();
    if foreign {
        all.extend(headers.get_all(X_AUTHKEY).iter().map(|value| (value, true)));
    }
    let (value, bare) = match all.as_slice() {
        [] => return Ok(None),
        [only] => *only,
        _ => return Err(Answer::problem(StatusCode::BAD_REQUEST, "more than one token is shown")),
    };
    let text = value.to_str().unwrap_or_default();
    if bare {
        return Ok(Some(text.trim()));
    }
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let known = scheme.eq_ignore_ascii_case("bearer") || (foreign && scheme.eq_ignore_ascii_case("token"));
    if known { Ok(Some(token.trim())) } else { Err(unauthorized("expected Authorization: Bearer TOKEN")) }
}

async fn read(body: Incoming, within: Duration) -> Result<Bytes, Answer> {
    let too_large = || {
        let why = format!("the body is larger than {LARGEST_BODY} bytes");
        Answer::problem(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let largest = u64::try_from(LARGEST_BODY).unwrap_or(u64::MAX);
    if body.size_hint().lower() > largest {
        return Err(too_large());
    }
    match timeout(within, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Answer::problem(StatusCode::BAD_REQUEST, error.to_string())),
        Err(_) => {
            let why = format!("the body did not come within {} s", within.as_secs());
            Err(Answer::problem(StatusCode::REQUEST_TIMEOUT, why))
        }
    }
}
