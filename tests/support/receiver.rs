//! A receiver of webhooks that does not always behave, and remembers everything that has come.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dice::Dice;

/// Signs what is sent here, as Standard Webhooks has it: 32 octets behind the prefix.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mood {
    /// 200.
    Take,
    /// 200, but the answer is lost with the connection.
    TakeAndReset,
    /// 500.
    Fail,
    /// Never an answer.
    Stall,
    /// The connection is reset before the request is read.
    Reset,
}

impl Mood {
    /// Mostly good, since every fault costs a second at least, and a life is shorter.
    fn by(throw: u64) -> Self {
        match throw {
            0..95 => Self::Take,
            95..97 => Self::TakeAndReset,
            97 => Self::Fail,
            98 => Self::Stall,
            _ => Self::Reset,
        }
    }
}

/// A request that has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    /// Of this try, in seconds since 1970.
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Arrival {
    /// The body, an event of `CloudEvents`.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`.
    pub(crate) fn is_signed(&self) -> bool {
        let key = BASE64_STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let content = [format!("{}.{}.", self.id, self.timestamp).as_bytes(), &self.body].concat();
        let tag = self.signature.strip_prefix("v1,").and_then(|tag| BASE64_STANDARD.decode(tag).ok());
        tag.is_some_and(|tag| hmac::verify(&key, &content, &tag).is_ok())
    }
}

/// Over and over again.
type Throws = std::iter::Cycle<std::vec::IntoIter<u64>>;

struct Desk {
    /// What the dice have said for each request; `None`: everything is taken.
    throws: Mutex<Option<Throws>>,
    moods: Mutex<BTreeMap<Mood, usize>>,
    arrivals: watch::Sender<Vec<Arrival>>,
}

/// Listens until it is dropped.
pub(crate) struct Receiver {
    desk: Arc<Desk>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// One that behaves as its dice say.
    pub(crate) async fn start(dice: &mut Dice) -> Self {
        let throws: Vec<u64> = (0..10_000).map(|_| dice.below(100)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Desk {
            throws: Mutex::new(Some(throws.into_iter().cycle())),
            moods: Mutex::default(),
            arrivals: watch::Sender::new(Vec::new()),
        };
        let desk = Arc::new(desk);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, desk.clone()));
        Self { desk, address, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/told", self.address)
    }

    /// From now on it takes everything.
    pub(crate) fn behave(&self) {
        *self.desk.throws.lock().unwrap() = None;
    }

    /// Everything that has come, oldest first.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.desk.arrivals.borrow().clone()
    }

    /// Waits for the next request; at most so long.
    pub(crate) async fn next_arrival(&self, within: Duration) {
        let mut arrivals = self.desk.arrivals.subscribe();
        arrivals.mark_unchanged();
        // That nothing comes in that time is no fault here.
        drop(tokio::time::timeout(within, arrivals.changed()).await);
    }

    /// How often it did what.
    pub(crate) fn moods(&self) -> String {
        format!("{:?}", self.desk.moods.lock().unwrap())
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, desk.clone()));
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let stream = stream.into_std().unwrap();
    let resets = Arc::new(stream.try_clone().unwrap());
    let stream = TcpStream::from_std(stream).unwrap();
    let answer = service_fn(move |request| {
        let (desk, resets) = (desk.clone(), resets.clone());
        async move {
            let answered = desk.answer(request).await;
            if answered.is_err() {
                // What is closed with a linger of zero is reset.
                socket2::SockRef::from(&*resets).set_linger(Some(Duration::ZERO)).unwrap();
            }
            answered
        }
    });
    // A sender that is killed, and a connection that is reset, are what this is for.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("reset")]
struct NoAnswer;

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let throw = self.throws.lock().unwrap().as_mut().and_then(Iterator::next);
        let mood = throw.map_or(Mood::Take, Mood::by);
        *self.moods.lock().unwrap().entry(mood).or_default() += 1;
        if mood == Mood::Reset {
            return Err(NoAnswer);
        }
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let signature = header("webhook-signature");
        // A sender that is killed leaves half a request.
        let body = request.into_body().collect().await.map_err(|_| NoAnswer)?.to_bytes();
        self.arrivals.send_modify(|all| all.push(Arrival { id, timestamp, signature, body }));
        match mood {
            Mood::Take => Ok(status(StatusCode::OK)),
            Mood::Fail => Ok(status(StatusCode::INTERNAL_SERVER_ERROR)),
            Mood::TakeAndReset | Mood::Reset => Err(NoAnswer),
            Mood::Stall => match std::future::pending::<Infallible>().await {},
        }
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
