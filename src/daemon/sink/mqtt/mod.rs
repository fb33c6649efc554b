//! Tells a broker of MQTT 3.1.1, and Home Assistant by it.
//!
//! ```text
//! <base>/availability         online | offline (the last will), retained
//! <base>/meter                the last reading of the main meter; <base>/meter/reading/<meter> those of others
//! <base>/event                how it stands with demand response: active, event_id, level, price, opt, start, end
//! <base>/<topic of a fact>    with / for each dot: <base>/event/started, <base>/vtn/connected, <base>/meter/telegram
//! ```
//!
//! Split, a topic has one below it for each member: `<base>/meter/net_w`. The connection lives in a task of its own, and a message
//! counts as sent when the broker has acknowledged all of it.

mod client;
mod discovery;
mod speech;
mod standing;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::daemon::status::Status;
use crate::hook::outcome::{Outcome, Try};
use crate::hook::settings::MqttTarget;
use crate::time::{Span, Timestamp};

use super::{Delivering, Doing, Message, Sink};
use client::{Client, Greeting, Options};
use discovery::Discovery;
use speech::{Said, Speech, Told};

/// Topic and payload of a message are no longer than this together.
const LONGEST: usize = 1 << 20;
/// Of so many topics it is remembered what they were told.
const MOST_TOLD: usize = 1_000;
/// For saying goodbye; the last will does it too, later.
const GOODBYE: Duration = Duration::from_secs(2);

/// Tells one broker.
pub(super) struct MqttSink {
    options: Options,
    /// `None` before it is opened.
    client: Option<Client>,
    speech: Speech,
    discovery: Option<Discovery>,
    retain: bool,
    /// Events are among what it tells.
    events: bool,
    on_change: bool,
    /// A value of a meter is told again after this though it is the same, before it expires.
    refresh: Option<Span>,
    /// What each topic was last told, and when; of the connection of this number.
    told: BTreeMap<String, (Vec<u8>, Timestamp)>,
    connection: u64,
    /// How it stood when the VEN started, until the connection is opened.
    beginning: Vec<Said>,
}

impl MqttSink {
    /// Connects to nobody yet.
    ///
    /// # Errors
    ///
    /// What of the target cannot be used.
    pub(super) fn new(target: &MqttTarget) -> Result<Self, String> {
        Ok(Self {
            options: Options::of(target)?,
            client: None,
            speech: Speech::new(target),
            discovery: target.discovery.as_ref().map(|prefix| Discovery::new(prefix, target)),
            retain: target.retain,
            events: target.events,
            on_change: target.on_change,
            refresh: target.expire_after.map(|expires| Span::from_micros(expires.micros() / 2)),
            told: BTreeMap::new(),
            connection: 0,
            beginning: Vec::new(),
        })
    }

    fn start(&mut self) -> &mut Client {
        let mut greeting = Greeting::default();
        greeting.announcement = self.discovery.as_ref().map(Discovery::announcement);
        self.beginning.drain(..).for_each(|said| greeting.keep(&said));
        self.client.get_or_insert_with(|| Client::start(&self.options, greeting))
    }

    async fn tell(&mut self, message: &Message) -> Result<(), String> {
        let connection = self.start().connected().await?;
        if connection != self.connection {
            // The broker may have been told otherwise meanwhile, or have forgotten.
            self.told.clear();
            self.connection = connection;
        }
        let said = self.speech.of(message);
        let client = self.client.as_ref().ok_or("closed")?;
        if let Some(discovery) = &mut self.discovery
            && discovery.note(&said)
        {
            let announcement = discovery.announcement();
            client.greet_with(|greeting| greeting.announcement = Some(announcement.clone()));
            client.publish(&[(&announcement, true)], connection).await?;
        }
        if self.retain {
            // What expires must not seem new because a broker is.
            let lasts = |told: &&Told| told.meter.is_none() || self.refresh.is_none();
            client
                .greet_with(|greeting| said.iter().filter(lasts).for_each(|told| greeting.keep(&told.said)));
        }
        let changed: Vec<_> = said.iter().filter(|said| !self.is_told(said, message.at)).collect();
        let all: Vec<_> = changed.iter().map(|said| (&said.said, self.retain)).collect();
        client.publish(&all, connection).await?;
        if self.on_change {
            if self.told.len() > MOST_TOLD {
                // Plugins invent topics; what is forgotten is told once more than it need be.
                self.told.clear();
            }
            for Told { said, .. } in said {
                let told = self.told.get(&said.topic);
                if told.is_none_or(|(payload, _)| *payload != said.payload) || self.refresh.is_some() {
                    self.told.insert(said.topic, (said.payload, message.at));
                }
            }
        }
        Ok(())
    }

    fn is_told(&self, told: &Told, at: Timestamp) -> bool {
        let Some((payload, before)) = self.told.get(&told.said.topic).filter(|_| self.on_change) else {
            return false;
        };
        let stale = told.meter.is_some() && self.refresh.is_some_and(|refresh| at - *before >= refresh);
        *payload == told.said.payload && !stale
    }
}

/// Topic and payload of each message that would be published.
pub(super) fn said(target: &MqttTarget, message: &Message) -> Vec<u8> {
    let kept = if target.retain { " (retained)" } else { "" };
    let mut text = Vec::new();
    for Told { said: Said { topic, payload }, .. } in Speech::new(target).of(message) {
        text.extend_from_slice(format!("{topic}{kept}\n").as_bytes());
        text.extend_from_slice(&payload);
        text.push(b'\n');
    }
    text
}

impl Sink for MqttSink {
    fn stands(&mut self, status: &Status) {
        self.speech.stands(status);
        if self.retain && self.events {
            self.beginning = self.speech.standing();
        }
    }

    fn open(&mut self) -> Doing<'_> {
        Box::pin(async {
            self.start();
        })
    }

    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            if message.body.len() >= LONGEST {
                let why = format!("{} bytes; a broker gets at most {LONGEST}", message.body.len());
                return Try { outcome: Outcome::Payload, ..Try::unreachable(why) };
            }
            let place = self.options.place();
            self.tell(message)
                .await
                .map_or_else(|why| Try::unreachable(format!("{place}: {why}")), |()| Try::sent(None))
        })
    }

    fn close(&mut self) -> Doing<'_> {
        Box::pin(async {
            if let Some(client) = self.client.take() {
                // Where it does not succeed, the broker notices that we are gone and says so itself.
                tokio::time::timeout(GOODBYE, client.leave()).await.ok();
            }
        })
    }
}
