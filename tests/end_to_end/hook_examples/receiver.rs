//! Takes requests of HTTP/1.1 and answers them as the test says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::PATIENCE;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The method and the path.
    pub(super) line: String,
    /// By their names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value)
    }

    /// The fields of a form (`application/x-www-form-urlencoded`).
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        let decoded = |text: &str| {
            let mut octets = Vec::new();
            let mut rest = text.bytes();
            while let Some(octet) = rest.next() {
                octets.push(match octet {
                    b'+' => b' ',
                    b'%' => {
                        let hex = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                    }
                    other => other,
                });
            }
            String::from_utf8(octets).unwrap()
        };
        let pairs = self.body.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }
}

/// What is answered: a status with its reason, and a body.
pub(super) type Answer = (&'static str, String);
type Answerer = Box<dyn FnMut(&Request) -> Answer + Send>;

/// A server that remembers what it got; it lives as long as the program.
pub(super) struct Receiver {
    pub(super) port: u16,
    seen: Arc<(Mutex<Vec<Request>>, Condvar)>,
}

impl Receiver {
    /// Answers so on a port of its own.
    pub(super) fn start(answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let answer: Arc<Mutex<Answerer>> = Arc::new(Mutex::new(Box::new(answer)));
        let served = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (served.clone(), answer.clone());
                std::thread::spawn(move || serve(&stream, &seen, &answer));
            }
        });
        Self { port, seen }
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.0.lock().unwrap().clone()
    }

    /// Waits until what came is as wanted.
    pub(super) fn wait_until<T>(&self, what: &str, look: impl Fn(&[Request]) -> Option<T>) -> T {
        let (seen, news) = &*self.seen;
        let seen = seen.lock().unwrap();
        let (seen, _) = news.wait_timeout_while(seen, PATIENCE, |seen| look(seen).is_none()).unwrap();
        look(&seen).unwrap_or_else(|| panic!("{what} did not come; what came: {seen:#?}"))
    }

    /// Waits for so many requests.
    pub(super) fn wait_for(&self, count: usize) -> Vec<Request> {
        let enough = |seen: &[Request]| (seen.len() >= count).then(|| seen.to_vec());
        self.wait_until(&format!("request {count}"), enough)
    }
}

/// One connection, until the other side closes it.
fn serve(stream: &TcpStream, seen: &(Mutex<Vec<Request>>, Condvar), answer: &Mutex<Answerer>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        let (status, body) = (answer.lock().unwrap())(&request);
        seen.0.lock().unwrap().push(request);
        seen.1.notify_all();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        { stream }.write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|length| *length > 0)?;
        Some(text.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = first.strip_suffix(" HTTP/1.1")?.to_owned();
    Some(Request { line, headers, body: String::from_utf8(body).unwrap() })
}
