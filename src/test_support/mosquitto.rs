//! Runs Mosquitto and its programs.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

/// What does not happen within this does not happen.
const SOON: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Debian puts servers where only the superuser looks.
fn program(name: &str) -> Option<PathBuf> {
    let found = PathBuf::from("/usr/sbin").join(name);
    if found.is_file() { Some(found) } else { super::peer(name) }
}

/// A broker that is killed when it is dropped.
pub(crate) struct Broker {
    pub(crate) port: u16,
    folder: TempDir,
    child: Option<Child>,
    /// How its own programs find it, and who they are.
    clients: Vec<String>,
}

impl Broker {
    /// On a free port; `None` where there is none to start.
    pub(crate) async fn start(settings: &[&str]) -> Option<Self> {
        Self::start_for(settings, &["-h", "127.0.0.1"]).await
    }

    /// The same, for listeners who say this of themselves.
    pub(crate) async fn start_for(settings: &[&str], clients: &[&str]) -> Option<Self> {
        program("mosquitto")?;
        program("mosquitto_sub")?;
        program("mosquitto_pub")?;
        let clients = clients.iter().map(|word| (*word).to_owned()).collect();
        let mut broker = Self { port: 0, folder: tempfile::tempdir().unwrap(), child: None, clients };
        for _ in 0..10 {
            // Somebody else may take it before the broker does.
            broker.port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            if broker.run(settings).await {
                return Some(broker);
            }
        }
        panic!("the broker does not start");
    }

    /// Runs it on its port; returns whether it does.
    pub(crate) async fn run(&mut self, settings: &[&str]) -> bool {
        let config = self.folder.path().join("broker.conf");
        let access = if settings.is_empty() { "allow_anonymous true" } else { "" };
        let text = format!(
            // As another user it could not read the files of tests.
            "user root\nlistener {} 127.0.0.1\npersistence false\n{access}\n{}\n",
            self.port,
            settings.join("\n")
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program("mosquitto").unwrap());
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let runs = async {
            loop {
                if child.try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let runs = tokio::time::timeout(SOON, runs).await.unwrap();
        self.child = Some(child);
        runs
    }

    /// Kills it, and waits until it is gone.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    pub(crate) async fn publish(&self, topic: &str, payload: &str) {
        let mut command = Command::new(program("mosquitto_pub").unwrap());
        command.args(&self.clients).args(["-p", &self.port.to_string(), "-t", topic, "-m", payload]);
        assert!(command.status().await.unwrap().success());
    }
}

/// Somebody who listens to topics.
pub(crate) struct Listener {
    lines: Lines<BufReader<ChildStdout>>,
    /// The topics of all that came.
    pub(crate) heard: Vec<String>,
    /// What nobody has asked for yet; brokers send what they have kept in any order.
    unasked: Vec<(String, bool, Vec<u8>)>,
    _child: Child,
}

impl Listener {
    /// Listens; what is retained comes first.
    pub(crate) fn start(broker: &Broker, topics: &str) -> Self {
        let mut command = Command::new(program("mosquitto_sub").unwrap());
        command.args(&broker.clients);
        command.args(["-p", &broker.port.to_string(), "-t", topics, "-F", "%r %t %x"]);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { lines, heard: Vec::new(), unasked: Vec::new(), _child: child }
    }

    /// The next message on a topic: whether it was retained, and the payload.
    pub(crate) async fn hears(&mut self, wanted: &str) -> (bool, Vec<u8>) {
        self.next(wanted, |_| true).await
    }

    /// Waits for a message like that.
    pub(crate) async fn until(&mut self, wanted: &str, fits: impl Fn(&[u8]) -> bool) {
        self.next(wanted, fits).await;
    }

    async fn next(&mut self, wanted: &str, fits: impl Fn(&[u8]) -> bool) -> (bool, Vec<u8>) {
        let listen = async {
            loop {
                let mut unasked = self.unasked.iter();
                if let Some(at) = unasked.position(|(topic, _, payload)| topic == wanted && fits(payload)) {
                    let (_, retained, payload) = self.unasked.remove(at);
                    return (retained, payload);
                }
                let line = self.lines.next_line().await.unwrap().unwrap();
                let (retained, rest) = line.split_once(' ').unwrap();
                let (topic, hex) = rest.rsplit_once(' ').unwrap();
                let octets = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
                let payload = octets.map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
                self.heard.push(topic.to_owned());
                self.unasked.push((topic.to_owned(), retained == "1", payload));
            }
        };
        tokio::time::timeout(SOON, listen).await.unwrap_or_else(|_| panic!("{wanted} is not told"))
    }
}
