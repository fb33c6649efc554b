//! Helps you to test what you bring to a VEN: what a hook would tell, and who is told.
//!
//! [`HookBuilder`] puts a fact into the words of a hook, without a network and without a VEN; [`RecordingSink`] is a receiver that
//! remembers what hooks have sent to it; [`crate::mock_vtn`] is a VTN.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, ConfigError, HookFile, folder_of};
use crate::daemon::outbox::Parts;
use crate::fact::Fact;
use crate::fact::topic::CATALOGUE;
use crate::hook::render::{Around, VenNames};
use crate::hook::settings::{HookSettings, Serializer, Serializers};
use crate::plugin::PluginError;
use crate::time::Timestamp;

/// A body is not larger, in octets.
const LARGEST: usize = 16 << 20;

/// What is wrong with a hook, or with what it would tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hook {hook}: {why}")]
pub struct HookFault {
    hook: String,
    why: String,
}

/// A fact of this topic as `ven topics --json` shows it; `None`: there is no such topic.
#[must_use]
pub fn sample(topic: &str) -> Option<Fact> {
    let found = CATALOGUE.iter().find(|known| known.name == topic)?;
    Some(Fact {
        id: "01900000-0000-7000-8000-000000000000".to_owned(),
        seq: 1,
        topic: topic.to_owned(),
        subject: None,
        time: Timestamp::from_seconds(1_893_456_000),
        data: serde_json::from_str(found.sample).ok()?,
    })
}

/// Takes what a hook needs.
///
/// ```
/// use openadr_ven::testing::{HookBuilder, sample};
///
/// let hook = r#"
/// type = "http"
/// url = "https://ops.example.org/ven"
/// topics = ["event.*"]
/// filter = "data.event_id != 'secret'"
/// serializer = "shout"
/// content_type = "text/plain"
/// "#;
/// let hook = HookBuilder::new("ops", hook)?.serializer("shout", |facts| Ok(facts[0].topic.to_uppercase())).build()?;
/// let fact = sample("event.started").ok_or("no such topic")?;
/// assert!(hook.wants(&fact)?);
/// assert_eq!(hook.render(&[&fact])?.body, "EVENT.STARTED");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HookBuilder {
    settings: HookSettings,
    /// Secrets in files are relative to its folder.
    config: std::path::PathBuf,
    ven: VenNames,
    serializers: Brought,
}

/// Serializers, which have nothing to show.
#[derive(Default)]
struct Brought(Serializers);

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl HookBuilder {
    /// A hook as it stands in `hooks.d/<name>.toml`: the keys of `[[hook]]`, without that line and without `name`.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub fn new(name: &str, toml: &str) -> Result<Self, ConfigError> {
        let file = HookFile { path: format!("{name}.toml").into(), text: Ok(toml.to_owned()) };
        let config = file.path.clone();
        let alone = file.alone().map_err(|faults| ConfigError { file: file.path, faults })?;
        let ven = VenNames { name: "ven".to_owned(), ..VenNames::default() };
        Ok(Self { settings: alone, config, ven, serializers: Brought::default() })
    }

    /// The hook of this name in a configuration; `None`: there is none.
    #[must_use]
    pub fn of(config: &Config, name: &str) -> Option<Self> {
        let settings = config.hooks.iter().find(|hook| hook.name == name)?.clone();
        let ven = VenNames { name: config.ven.name.clone(), ..VenNames::default() };
        Some(Self { settings, config: config.file.clone(), ven, serializers: Brought::default() })
    }

    /// As [`VenBuilder::serializer`](crate::VenBuilder::serializer).
    #[must_use]
    pub fn serializer(
        mut self,
        name: impl Into<String>,
        write: impl Fn(&[&Fact]) -> Result<String, PluginError> + Send + Sync + 'static,
    ) -> Self {
        self.serializers.0.insert(name.into(), Arc::new(write));
        self
    }

    /// The hook, as it would run.
    ///
    /// # Errors
    ///
    /// What is wrong with its words, its filter, or what it sends to.
    pub fn build(mut self) -> Result<TestHook, HookFault> {
        if let Some(Serializer::Own(own)) = &mut self.settings.words.serializer {
            own.bring(&self.serializers.0);
        }
        let parts = Parts::of_configured(&self.settings, folder_of(&self.config));
        let fault = |why| HookFault { hook: self.settings.name.clone(), why };
        Ok(TestHook { parts: parts.map_err(fault)?, ven: self.ven })
    }
}

/// A hook that tells nobody.
#[derive(Debug)]
pub struct TestHook {
    parts: Parts,
    ven: VenNames,
}

/// What a hook would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// As `application/json`.
    pub content_type: String,
    /// The words.
    pub body: String,
}

impl TestHook {
    fn fault(&self, why: impl std::fmt::Display) -> HookFault {
        HookFault { hook: self.parts.name.clone(), why: why.to_string() }
    }

    /// Whether its topics and its filter let a fact through.
    ///
    /// # Errors
    ///
    /// Where the filter fails, which counts as no where the VEN runs.
    pub fn wants(&self, fact: &Fact) -> Result<bool, HookFault> {
        let holds = self.parts.filter.as_ref().map_or(Ok(true), |filter| filter.holds(fact));
        Ok(self.parts.topics.pick(&fact.topic) && holds.map_err(|error| self.fault(error))?)
    }

    /// The words for these facts, of which there is one unless the hook has a `batch`.
    ///
    /// # Errors
    ///
    /// Why nothing would be sent.
    pub fn render(&self, facts: &[&Fact]) -> Result<Told, HookFault> {
        let now = facts.iter().map(|fact| fact.time).max().unwrap_or(Timestamp::EPOCH);
        let rendered = self.parts.renderer.render(facts, Around { ven: &self.ven, now });
        let rendered = rendered.map_err(|fault| self.fault(fault))?;
        let body = String::from_utf8_lossy(&rendered.body).into_owned();
        Ok(Told { content_type: rendered.content_type, body })
    }
}

/// A receiver of hooks on this machine that remembers what was sent to it; it ends when it is dropped.
#[derive(Debug)]
pub struct RecordingSink {
    address: SocketAddr,
    received: watch::Receiver<Vec<Received>>,
    status: watch::Sender<StatusCode>,
    task: JoinHandle<()>,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// As `POST`.
    pub method: String,
    /// With what stands behind `?`.
    pub path: String,
    /// In the order in which they came, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// At most 16 MiB.
    pub body: Vec<u8>,
}

impl Received {
    /// The first header of this name, in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl RecordingSink {
    /// Listens on a port that is free, on the current tokio runtime. Everything is answered with 200.
    ///
    /// # Errors
    ///
    /// Where the system gives no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (sender, received) = watch::channel(Vec::new());
        let (status, answers) = watch::channel(StatusCode::OK);
        let sender = Arc::new(sender);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, sender.clone(), answers.clone()));
            }
        });
        Ok(Self { address, received, status, task })
    }

    /// Where it is, for the `url` of a hook, which needs `allow_private = true` beside it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers with this from now on: a status of HTTP, otherwise with 500.
    pub fn answer(&self, status: u16) {
        self.status.send_replace(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }

    /// Everything that came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until so much has come, or so long; everything that came.
    pub async fn until(&self, count: usize, within: Duration) -> Vec<Received> {
        let mut received = self.received.clone();
        let enough = received.wait_for(|received| received.len() >= count);
        // Where it does not come to that, the caller sees what came.
        drop(tokio::time::timeout(within, enough).await);
        self.received()
    }
}

impl Drop for RecordingSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    stream: TcpStream,
    sender: Arc<watch::Sender<Vec<Received>>>,
    answers: watch::Receiver<StatusCode>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (sender, answers) = (sender.clone(), answers.clone());
        async move {
            let (head, body) = request.into_parts();
            let mut answer = Response::new(Full::new(Bytes::new()));
            let Ok(body) = Limited::new(body, LARGEST).collect().await else {
                *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok::<_, Infallible>(answer);
            };
            let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            let received = Received {
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers: head.headers.iter().map(header).collect(),
                body: body.to_bytes().to_vec(),
            };
            *answer.status_mut() = *answers.borrow();
            sender.send_modify(|all| all.push(received));
            Ok(answer)
        }
    });
    // A sender that goes away has its reasons.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::{HookBuilder, RecordingSink, sample};

    const HTTP: &str = "type = \"http\"\nurl = \"https://ops.example.org/\"\ntopics = [\"event.*\"]\n";

    #[test]
    fn a_hook_shows_what_it_would_tell() {
        let hook = format!("{HTTP}filter = \"data.event_id == 'never'\"\ntemplate = '\"{{{{ topic }}}}\"'");
        let hook = HookBuilder::new("ops", &hook).unwrap().build().unwrap();
        let fact = sample("event.started").unwrap();
        assert_eq!(hook.wants(&fact), Ok(false));
        assert_eq!(hook.render(&[&fact]).unwrap().body, "\"event.started\"");
        let error = HookBuilder::new("ops", "type = \"http\"\ntopics = [\"event.*\"]").unwrap_err();
        assert!(error.to_string().contains("url: is missing"), "{error}");
        let mine = HookBuilder::new("ops", &format!("{HTTP}serializer = \"mine\"")).unwrap();
        let error = mine.build().unwrap_err().to_string();
        assert!(error.starts_with("hook ops: serializer: no serializer is called \"mine\""), "{error}");
        assert!(sample("event.never").is_none());
    }

    #[tokio::test]
    async fn a_receiver_remembers_what_was_sent_to_it() {
        let sink = RecordingSink::start().await.unwrap();
        sink.answer(503);
        let address = sink.url().replace("http://", "").replace('/', "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"PUT /a?b=1 HTTP/1.1\r\nhost: x\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        let received = sink.until(1, Duration::from_secs(60)).await;
        assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("PUT", "/a?b=1"));
        assert_eq!(
            (received[0].body.as_slice(), received[0].header("content-length")),
            (&b"hi"[..], Some("2"))
        );
    }
}
