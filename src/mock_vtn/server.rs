//! Serves a [`VtnCore`] over mutual TLS with signed messages, and pushes to a VEN that wants it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::daemon::clock::{self, Clock};
use crate::daemon::entropy;
use crate::daemon::transport::tls;
use crate::openadr::message::{Payload, PayloadKind, Service};
use crate::openadr::signature::{Gate, Policy, SigningKey, Trust, private_key, sign};
use crate::openadr::trust::Fingerprint;
use crate::openadr::xml::{Limits, encode};
use crate::time::{Span, Timestamp};

use super::certificates::TestCertificates;
use super::core::{Answer, VtnCore};
use super::pusher::push;

/// Where a VTN serves, and who it is.
#[derive(Clone, Debug)]
pub struct MockVtnSettings {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Signed the certificates of the VENs.
    pub ca: PathBuf,
    /// Our certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Sign what we send.
    pub sign: bool,
    /// Demand messages signed with this certificate; `None`: believe the TLS connection.
    pub ven_fingerprint: Option<String>,
    /// Its wall clock: that of the system, or the one of [`VenBuilder::wall_clock`](crate::VenBuilder::wall_clock).
    pub wall_clock: fn() -> Timestamp,
}

impl MockVtnSettings {
    /// On a free port of this machine, as the VTN of the certificates in that folder (see [`TestCertificates`]); signs, and believes
    /// the TLS connection.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            ca: folder.join("ca.pem"),
            cert: folder.join("vtn.pem"),
            key: folder.join("vtn.key"),
            sign: true,
            ven_fingerprint: None,
            wall_clock: clock::system,
        }
    }
}

impl From<&TestCertificates> for MockVtnSettings {
    /// The same, but demands messages that the VEN of these certificates has signed.
    fn from(certificates: &TestCertificates) -> Self {
        let ven_fingerprint = Some(certificates.ven_fingerprint().to_owned());
        Self { ven_fingerprint, ..Self::in_folder(&certificates.path("")) }
    }
}

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// They are served.
    #[default]
    Up,
    /// They are cut as soon as they are made, and those that stand at once.
    Reset,
    /// They are taken, and nothing is ever said.
    Stalled,
}

/// A VTN that serves; it stops when this is dropped.
#[derive(Debug)]
pub struct MockVtn {
    shared: Arc<Shared>,
    address: SocketAddr,
    link: watch::Sender<Link>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) core: Mutex<VtnCore>,
    pub(super) served: Notify,
    /// There may be something to push.
    pub(super) news: Notify,
    pub(super) gate: Mutex<Gate>,
    key: Option<SigningKey>,
    /// The last answer of each kind.
    sent: Mutex<BTreeMap<PayloadKind, Bytes>>,
    /// The fingerprint of the certificate that each connection came with.
    clients: Mutex<Vec<String>>,
    pub(super) clock: Clock,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking test left behind may still be looked at.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A message as it is sent.
    pub(super) fn document(&self, payload: &Payload) -> Result<String, String> {
        match &self.key {
            None => Ok(encode(payload).unsigned()),
            Some(key) => {
                let signed = sign(payload, key, self.clock.now().wall, &entropy::dice());
                signed.map_err(|error| error.to_string())
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

impl MockVtn {
    /// Starts to serve on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Where a file cannot be used or the address is taken.
    pub async fn start(core: VtnCore, settings: &MockVtnSettings) -> io::Result<Self> {
        let (ca, cert, key) = (read(&settings.ca)?, read(&settings.cert)?, read(&settings.key)?);
        let roots = tls::Roots::Pem(ca);
        let tls = tls::server(&roots, &cert, &key).map_err(io::Error::other)?;
        let client = private_key(&key, None).map_err(io::Error::other)?;
        let names = tls::NameCheck::OrCommonName;
        let client =
            tls::client(tls::TlsBackend::Rustls, &roots, &cert, client, names).map_err(io::Error::other)?;
        let signer = SigningKey::from_pem(&key, &cert, &entropy::dice()).map_err(io::Error::other)?;
        let policy = match &settings.ven_fingerprint {
            None => Policy::TlsOnly,
            Some(text) => {
                let pin = text.parse::<Fingerprint>().map_err(io::Error::other)?;
                Policy::Require(Trust::Pinned(vec![pin]))
            }
        };
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            served: Notify::new(),
            news: Notify::new(),
            gate: Mutex::new(Gate::new(policy, Span::MINUTE * 5, Limits::VTN)),
            key: settings.sign.then_some(signer),
            sent: Mutex::default(),
            clients: Mutex::default(),
            clock: Clock::by(settings.wall_clock),
        });
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (link, watching) = watch::channel(Link::Up);
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, shared.clone(), watching));
        tasks.spawn(push(shared.clone(), client));
        Ok(Self { shared, address, link, tasks })
    }

    /// The base address for `[vtn] url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks at what the VTN knows, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut VtnCore) -> T) -> T {
        let seen = look(&mut lock(&self.shared.core));
        self.shared.news.notify_one();
        seen
    }

    /// The fingerprint of the certificate that each connection came with, in their order.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        lock(&self.shared.clients).clone()
    }

    /// The time at the VTN.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now().wall
    }

    /// Waits until something holds of what the VTN knows; `false` where it does not in that time.
    pub async fn until(&self, within: Duration, mut holds: impl FnMut(&mut VtnCore) -> bool) -> bool {
        let wait = async {
            loop {
                let served = self.shared.served.notified();
                if self.with(&mut holds) {
                    return;
                }
                served.await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }

    /// Cuts or stalls connections, or serves them again.
    pub fn set_link(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Stops to serve; what it knows is handed back, and its port is free.
    pub async fn stop(mut self) -> VtnCore {
        self.tasks.shutdown().await;
        let shared = self.shared.clone();
        std::mem::replace(&mut *lock(&shared.core), VtnCore::new("stopped", Span::SECOND))
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    mut link: watch::Receiver<Link>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = link.changed() => {
                if changed.is_err() {
                    return;
                }
                if *link.borrow_and_update() != Link::Up {
                    connections.abort_all();
                }
                continue;
            }
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        let state = *link.borrow();
        match state {
            Link::Up => {
                connections.spawn(serve(stream, acceptor.clone(), shared.clone()));
            }
            Link::Reset => {
                // Data that nobody reads make the system send a reset instead of a polite end.
                drop(stream.set_zero_linger());
            }
            Link::Stalled => {
                connections.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(stream);
                });
            }
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return tracing::info!("mock vtn: a connection failed: {error}"),
    };
    let client = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
    lock(&shared.clients).extend(client.map(|der| Fingerprint::of(der).to_string()));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, std::convert::Infallible>(respond(&shared, request).await) }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new());
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("mock vtn: a connection ended: {error}");
    }
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED, None);
    }
    let service = request.uri().path().strip_prefix("/OpenADR2/Simple/2.0b/").and_then(Service::from_token);
    let Some(service) = service else { return status(StatusCode::NOT_FOUND, None) };
    let body = Limited::new(request.into_body(), Limits::VTN.bytes).collect().await;
    let Ok(body) = body else { return status(StatusCode::PAYLOAD_TOO_LARGE, None) };
    let now = shared.clock.now().wall;
    let opened = lock(&shared.gate).open(&body.to_bytes(), now);
    let message = match opened {
        Ok(verified) => verified.into_content(),
        Err(why) => {
            lock(&shared.core).violations.push(why.to_string());
            shared.served.notify_waiters();
            return status(StatusCode::FORBIDDEN, None);
        }
    };
    let answer = lock(&shared.core).handle(now, service, message);
    shared.served.notify_waiters();
    shared.news.notify_one();
    match answer {
        Answer::Message(payload) => written(shared, &payload),
        Answer::Repeat(kind) => {
            let sent = lock(&shared.sent).get(&kind).cloned();
            sent.map_or_else(|| status(StatusCode::INTERNAL_SERVER_ERROR, None), xml)
        }
        Answer::Empty => Response::new(Full::default()),
        Answer::Status(code, retry_after) => {
            status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), retry_after)
        }
    }
}

fn written(shared: &Shared, payload: &Payload) -> Response<Full<Bytes>> {
    let text = match shared.document(payload) {
        Ok(text) => Bytes::from(text),
        Err(error) => {
            tracing::error!("mock vtn: {error}");
            return status(StatusCode::INTERNAL_SERVER_ERROR, None);
        }
    };
    lock(&shared.sent).insert(payload.kind(), text.clone());
    xml(text)
}

fn xml(text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/xml"));
    response
}

fn status(code: StatusCode, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
