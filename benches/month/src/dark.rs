//! A VEN that nobody hears: ten hooks whose ends are dead, and ten monitors that nobody reads.
//!
//! What that may cost at most: memory, and room on the disk, beside what the same day costs without them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::usage::{Store, Usage};

/// Resident memory may be more by so much, in kB.
const MORE: u64 = 32 * 1_024;
/// What `[bus] max_size` says, and the durable hook about facts of meters, in octets.
const MOST_FACTS: u64 = 16 << 20;
const MOST_METER_FACTS: u64 = 4 << 20;
/// Beside the facts a database has a log of 256 pages and a transaction.
const LOG: u64 = 2 << 20;
/// Connections that are held open at the dark end; the sender has long given up those before.
const HELD: usize = 64;
/// Monitors that are read by somebody who never reads, half of them as streams and half pushed, and those whose cursor is never used again.
const SILENT: std::ops::RangeInclusive<u32> = 1..=5;
const ABANDONED: std::ops::RangeInclusive<u32> = 6..=10;
const LAST_STREAM: u32 = 2;
const TOKEN: &str = "ven_0123456789012345678901234567890123456789012";
/// So often those who never read come again, since they are sent away.
const AGAIN: i64 = 600;

/// What is around a VEN that nobody hears.
pub(crate) struct Darkness {
    hole: SocketAddr,
    dead: SocketAddr,
    push: SocketAddr,
    silent: Vec<TcpStream>,
}

impl Darkness {
    pub(crate) fn new(folder: &Path) -> Self {
        for name in ["token", "key"] {
            let path = folder.join(name);
            std::fs::write(&path, TOKEN).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a file of ours");
        }
        Self { hole: open_hole(), dead: nobody(), push: nobody(), silent: Vec::new() }
    }

    pub(crate) fn configuration(&self) -> String {
        let Self { hole, dead, push, .. } = self;
        let mut text = format!(
            "\n[bus]\nmax_size = \"{}KiB\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"nobody\"\n\
             token = \"${{file:token}}\"\nscopes = [\"monitors\"]\n[push_monitor]\ntcp = \"{push}\"\n",
            MOST_FACTS / 1_024
        );
        for id in 1..=*ABANDONED.end() {
            writeln!(
                text,
                "[[monitor]]\nid = {id}\nowner = \"nobody\"\ntopics = [\"**\"]\nack = \"explicit\""
            )
            .expect("a text");
        }
        let all = "topics = [\"**\"]";
        let private = "allow_private = true\nallow_http = true";
        let durable = format!(
            "durable = \"always\"\nmeter_queue = {{ max_bytes = \"{}KiB\", max_items = 100000, max_age = \"2d\" }}",
            MOST_METER_FACTS / 1_024
        );
        let hooks = [
            ("http-dead", "http", format!("{all}\nurl = \"http://{dead}/\"\n{private}\n{durable}")),
            ("http-dark", "http", format!("{all}\nurl = \"http://{hole}/\"\n{private}")),
            (
                "http-batch",
                "http",
                format!("{all}\nurl = \"http://{hole}/\"\n{private}\nbatch = {{ max_items = 50, max_wait = \"5s\" }}"),
            ),
            (
                "mqtt-dead",
                "mqtt",
                format!("{all}\nurl = \"mqtt://{dead}\"\nbase = \"ven\"\ndiscovery = \"homeassistant\"\nretain = true"),
            ),
            ("tcp-dead", "tcp", format!("connect = \"{dead}\"")),
            ("tcp-dark", "tcp", format!("connect = \"{hole}\"")),
            ("serial", "serial", "port = \"/dev/ttyNOBODY\"".to_owned()),
            ("file", "file", format!("{all}\npath = \"/dev/full\"")),
            ("exec", "exec", "topics = [\"meter.reading\", \"event.*\", \"report.*\"]\ncommand = [\"/bin/sleep\", \"86400\"]".to_owned()),
            (
                "pvoutput",
                "pvoutput",
                format!("url = \"https://{dead}\"\nsystem_id = \"1\"\napi_key = \"${{file:key}}\""),
            ),
        ];
        for (name, kind, more) in hooks {
            writeln!(text, "[[hook]]\nname = \"{name}\"\ntype = \"{kind}\"\n{more}").expect("a text");
        }
        text
    }

    /// Those who read a monitor once and never again.
    pub(crate) fn abandon(api: SocketAddr) {
        for id in ABANDONED {
            let mut stream = ask(api, &format!("/v1/monitors/{id}/events?limit=10"));
            let mut answer = Vec::new();
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a line");
            stream.read_to_end(&mut answer).expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
    }

    /// Those who never read come (again).
    pub(crate) fn fall_silent(&mut self, second: i64, api: SocketAddr) {
        if second % AGAIN != 1 {
            return;
        }
        self.silent.clear();
        for id in SILENT {
            self.silent.push(if id <= LAST_STREAM {
                ask(api, &format!("/v1/monitors/{id}/stream"))
            } else {
                self.session(id)
            });
        }
    }

    /// Asks to be pushed a monitor.
    fn session(&self, id: u32) -> TcpStream {
        let text =
            |text: &str| [&u16::try_from(text.len()).expect("short").to_be_bytes(), text.as_bytes()].concat();
        let body = [&[0, 1][..], &text("nobody"), &text(TOKEN), &id.to_be_bytes()].concat();
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        let mut stream = TcpStream::connect(self.push).expect("a VEN that pushes monitors");
        stream.write_all(&[&[0, 1][..], &length, &body].concat()).expect("a line");
        stream
    }

    /// Panics where it costs more than it may, beside that many kB without all this.
    pub(crate) fn judge(store: &Store, usage: &Usage, without: u64) {
        let [ven, meters] = ["ven.db", "meter-facts.db"].map(|name| store.size(name));
        let (resident, more) = (usage.resident(), usage.resident().saturating_sub(without));
        println!(
            "dark: {resident} kB resident, {more} kB more than without; ven.db {} kB, meter-facts.db {} kB, with their logs",
            ven / 1_024,
            meters / 1_024
        );
        assert!(more < MORE, "{more} kB more are resident");
        assert!(ven <= MOST_FACTS + LOG, "ven.db has {ven} octets");
        assert!(meters <= MOST_METER_FACTS + LOG, "meter-facts.db has {meters} octets");
        assert!(meters > MOST_METER_FACTS / 2, "meter-facts.db has {meters} octets only");
    }
}

fn ask(api: SocketAddr, what: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api).expect("a VEN with an API");
    write!(
        stream,
        "GET {what} HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    )
    .expect("a line");
    stream
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// Whoever comes there is taken in and never hears a word.
fn open_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port");
    let swallow = move || {
        let mut held = VecDeque::new();
        for stream in listener.incoming().flatten() {
            held.push_back(stream);
            if held.len() > HELD {
                held.pop_front();
            }
        }
    };
    std::thread::Builder::new().name("hole".into()).spawn(swallow).expect("a thread");
    address
}
