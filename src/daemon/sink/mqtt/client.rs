//! Keeps a connection to a broker, in a task of its own, and greets it whenever it is made anew.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fmt, io};

use hyper::Uri;
use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, LastWill, MqttOptions, Outgoing, PublishOptions, QoS,
    TlsConfiguration, Transport,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::daemon::meter_source::Backoff;
use crate::daemon::transport::tls::{self, Roots};
use crate::hook::settings::MqttTarget;

use super::super::dial::Peer;
use super::{LONGEST, Said};

/// Messages that may wait for the connection's task: all that a broker is greeted with, and more than a telegram has values.
const ON_THE_WAY: usize = 1024;
/// So many topics are remembered for a broker that has forgotten them, with so many bytes in all.
const MOST_KEPT: usize = 512;
const MOST_KEPT_BYTES: usize = 1 << 20;
/// A broker that is silent for one and a half times this is away.
const KEEP_ALIVE_SECONDS: u16 = 20;
/// A broker that does not answer within this is away.
const CONNECT_WITHIN_SECONDS: u64 = 10;
/// Its address is found and called within this.
const CALLED_WITHIN: Duration = Duration::from_secs(CONNECT_WITHIN_SECONDS - 1);
/// The head of a packet, about.
const HEAD: usize = 1 << 10;
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// With what a connection is made.
#[derive(Clone)]
pub(super) struct Options {
    mqtt: MqttOptions,
    host: String,
    port: u16,
    availability: String,
    /// Where Home Assistant says that it has started.
    births: Option<String>,
    qos: QoS,
}

impl fmt::Debug for Options {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Options {
    /// Reads the certificates that are trusted.
    ///
    /// # Errors
    ///
    /// What of the target cannot be used.
    pub(super) fn of(target: &MqttTarget) -> Result<Self, String> {
        let (secure, host, port) = place(&target.url)?;
        let qos = match target.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            other => return Err(format!("qos = {other}; expected 0, 1 or 2")),
        };
        for (key, topic) in [("base", Some(&target.base)), ("discovery", target.discovery.as_ref())] {
            if topic.is_some_and(|topic| topic.is_empty() || topic.contains(['+', '#', '\0'])) {
                return Err(format!("{key}: no topic can begin so; expected words and /, as \"ven/house\""));
            }
        }
        if target.client_id.is_empty() {
            return Err(
                "client_id: it is empty; expected a name that no other client of the broker has".to_owned()
            );
        }
        let availability = availability(target);
        let mut mqtt = MqttOptions::new(&target.client_id, (host.as_str(), port));
        mqtt.set_keep_alive(KEEP_ALIVE_SECONDS).set_max_packet_size(LONGEST, LONGEST + HEAD);
        mqtt.set_last_will(LastWill::new(&availability, OFFLINE, QoS::AtLeastOnce, true));
        match (&target.username, &target.password) {
            (Some(name), Some(password)) => {
                mqtt.set_credentials(name, password.clone());
            }
            (Some(name), None) => {
                mqtt.set_username(name);
            }
            (None, Some(_)) => return Err("password: there is no username to it".to_owned()),
            (None, None) => {}
        }
        if secure {
            let roots = match &target.ca {
                Some(path) => Roots::Pem(
                    std::fs::read(path).map_err(|error| format!("ca: {}: {error}", path.display()))?,
                ),
                None => Roots::System,
            };
            let config = tls::nameless(&roots).map_err(|error| format!("tls: {error}"))?;
            mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        // Brokers stand in the own network, so that may be spoken to.
        let peer = Peer { host: host.clone(), port, allow_private: true };
        mqtt.set_socket_connector(move |_, _| {
            let peer = peer.clone();
            async move { peer.connect(CALLED_WITHIN).await.map_err(io::Error::other) }
        });
        mqtt.validate().map_err(|error| error.to_string())?;
        let births = target.discovery.as_ref().map(|prefix| format!("{prefix}/status"));
        Ok(Self { mqtt, host, port, availability, births, qos })
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        format!("broker {}:{}", self.host, self.port)
    }
}

/// Where it is said whether we are there.
pub(super) fn availability(target: &MqttTarget) -> String {
    format!("{}/availability", target.base)
}

/// By TLS or not, to which host and port.
fn place(url: &str) -> Result<(bool, String, u16), String> {
    let bad = |why: &str| format!("url: {why}; expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]");
    let uri: Uri = url.trim().parse().map_err(|error| bad(&format!("{error}")))?;
    let secure = match uri.scheme_str() {
        Some("mqtt") => false,
        Some("mqtts") => true,
        Some(_) | None => return Err(bad("it is neither mqtt nor mqtts")),
    };
    let authority = uri.authority().ok_or_else(|| bad("there is no host in it"))?;
    if authority.as_str().contains('@') {
        return Err(bad("credentials do not belong into it; set username and password"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(bad("there is something behind the host; topics are set by base"));
    }
    let host = authority.host().trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(bad("there is no host in it"));
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
        return Err(bad("the port is none"));
    }
    Ok((secure, host.to_owned(), authority.port_u16().unwrap_or(if secure { 8883 } else { 1883 })))
}

/// How it stands with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Not known yet.
    Trying,
    /// It is there; counted up each time it is made.
    There(u64),
    /// It is not there, and why.
    Away(String),
}

/// What whoever is new is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Greeting {
    /// What there is, for Home Assistant.
    pub(super) announcement: Option<Said>,
    /// The last word of topics that brokers keep, for one that has lost it.
    kept: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Greeting {
    /// Remembers the last word of a topic; one that finds no room is told again when there is something new to tell of it.
    pub(super) fn keep(&mut self, said: &Said) {
        if let Some(before) = self.kept.remove(&said.topic) {
            self.bytes -= said.topic.len() + before.len();
        }
        let added = said.topic.len() + said.payload.len();
        let fits = self.kept.len() < MOST_KEPT && self.bytes + added <= MOST_KEPT_BYTES;
        // Nothing makes a broker forget, and there is nothing to remember of that.
        if fits && !said.payload.is_empty() {
            self.bytes += added;
            self.kept.insert(said.topic.clone(), said.payload.clone());
        }
    }

    fn kept(&self) -> impl Iterator<Item = Said> {
        self.kept.iter().map(|(topic, payload)| Said { topic: topic.clone(), payload: payload.clone() })
    }
}

/// A connection; it ends without a goodbye when this is dropped.
pub(super) struct Client {
    requests: AsyncClient,
    availability: String,
    qos: QoS,
    /// Told by the task.
    standing: watch::Receiver<Standing>,
    /// What the broker and Home Assistant are told when they are new; read by the task.
    greeting: watch::Sender<Greeting>,
    task: JoinSet<()>,
}

impl Client {
    /// Begins to connect, and never stops until it is told to.
    pub(super) fn start(options: &Options, greeting: Greeting) -> Self {
        let (requests, mut events) = AsyncClient::builder(options.mqtt.clone()).capacity(ON_THE_WAY).build();
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_WITHIN_SECONDS);
        events.set_network_options(network);
        let (tell, standing) = watch::channel(Standing::Trying);
        let (greeting, greet_with) = watch::channel(greeting);
        let greeter = Greeter {
            requests: requests.clone(),
            availability: options.availability.clone(),
            births: options.births.clone(),
            greet_with,
        };
        let mut task = JoinSet::new();
        task.spawn(run(events, greeter, tell));
        Self {
            requests,
            availability: options.availability.clone(),
            qos: options.qos,
            standing,
            greeting,
            task,
        }
    }

    /// Waits for the first attempt to connect; returns the number of the connection.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) async fn connected(&mut self) -> Result<u64, String> {
        let standing = self.standing.wait_for(|standing| *standing != Standing::Trying).await;
        match &*standing.map_err(|_| "the connection is closed")? {
            Standing::There(number) => Ok(*number),
            Standing::Away(why) => Err(why.clone()),
            Standing::Trying => Err("no answer yet".to_owned()),
        }
    }

    /// Changes what is told from now on to whoever is new. What is kept before it is published is never followed by an older word:
    /// whoever is greeted meanwhile is told it too.
    pub(super) fn greet_with(&self, change: impl FnOnce(&mut Greeting)) {
        self.greeting.send_modify(change);
    }

    /// Publishes all, retained or not, and waits until the broker has acknowledged them.
    ///
    /// # Errors
    ///
    /// Why it is not known that it has all of them.
    pub(super) async fn publish(&self, all: &[(&Said, bool)], connection: u64) -> Result<(), String> {
        let mut standing = self.standing.clone();
        let acknowledged = async {
            let mut notices = Vec::with_capacity(all.len());
            for (said, retain) in all {
                let options = PublishOptions::new(self.qos).retain(*retain);
                let sent = self.requests.publish_tracked(said.topic.clone(), said.payload.clone(), options);
                notices.push(sent.await.map_err(|error| format!("{}: {error}", said.topic))?);
            }
            for notice in notices {
                notice.wait_completion_async().await.map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        tokio::select! {
            acknowledged = acknowledged => acknowledged,
            // What was on its way may be there or not.
            _ = standing.wait_for(|standing| *standing != Standing::There(connection)) => {
                Err("the connection was lost before all was acknowledged".to_owned())
            }
        }
    }

    /// Says goodbye, and waits until that is said.
    pub(super) async fn leave(mut self) {
        let options = PublishOptions::new(QoS::AtLeastOnce).retained();
        // Behind what waits, if the connection stands at all.
        let Ok(notice) = self.requests.try_publish_tracked(self.availability.clone(), OFFLINE, options)
        else {
            return;
        };
        notice.wait_completion_async().await.ok();
        if self.requests.try_disconnect_now().is_ok() {
            self.task.join_next().await;
        }
    }
}

/// Tells who is new what there is.
struct Greeter {
    requests: AsyncClient,
    availability: String,
    births: Option<String>,
    greet_with: watch::Receiver<Greeting>,
}

impl Greeter {
    /// The broker is new: it has forgotten us, or was told by our last will that we are gone.
    fn greet_broker(&self) {
        if let Some(births) = &self.births
            && let Err(error) = self.requests.try_subscribe(births.clone(), QoS::AtMostOnce)
        {
            tracing::debug!("{births} cannot be subscribed to: {error}");
        }
        self.announce();
        // Held until all is on its way, so that nothing newer gets between.
        self.greet_with.borrow().kept().for_each(|said| self.say(said));
        let online = Said { topic: self.availability.clone(), payload: ONLINE.into() };
        self.say(online);
    }

    fn announce(&self) {
        self.greet_with.borrow().announcement.iter().cloned().for_each(|said| self.say(said));
    }

    /// This task empties the queue, so it must not wait for room in it; where there is none, the next birth brings it.
    fn say(&self, said: Said) {
        let options = PublishOptions::new(QoS::AtLeastOnce).retained();
        if let Err(error) = self.requests.try_publish(said.topic, said.payload, options) {
            tracing::debug!("a broker is not greeted: {error}");
        }
    }

    fn is_birth(&self, topic: &[u8], payload: &[u8]) -> bool {
        self.births.as_ref().is_some_and(|births| births.as_bytes() == topic) && payload == ONLINE.as_bytes()
    }
}

/// Holds the connection until it is told to leave.
async fn run(mut events: EventLoop, greeter: Greeter, standing: watch::Sender<Standing>) {
    let (mut backoff, mut connections) = (Backoff::default(), 0);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                backoff.succeeded();
                connections += 1;
                standing.send_replace(Standing::There(connections));
                greeter.greet_broker();
            }
            Ok(Event::Incoming(Incoming::Publish(publish)))
                if greeter.is_birth(&publish.topic, &publish.payload) =>
            {
                greeter.announce();
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(error) => {
                standing.send_replace(Standing::Away(error.to_string()));
                // The first pause is none, and the broker has just failed.
                backoff.wait(None).await;
            }
        }
    }
}
