//! One message of the journal.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::openadr::message::Service;
use crate::time::Timestamp;

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the VTN to us.
    In,
    /// From us to the VTN.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// A message, or that none came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Counts from 1.
    pub(crate) number: u64,
    /// When it was sent or had come.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub(crate) time: Timestamp,
    pub(crate) direction: Direction,
    pub(crate) service: String,
    /// The name of the message; `None` where it was not understood or none came.
    pub(crate) kind: Option<String>,
    /// The HTTP status of an answer.
    pub(crate) status: Option<u16>,
    /// What the gate said of it, or why none came.
    pub(crate) verdict: Option<String>,
    pub(crate) octets: usize,
    /// The message, where it is UTF-8.
    text: Option<String>,
    /// The message, where it is not.
    base64: Option<String>,
    /// Polls before this that brought nothing.
    pub(crate) quiet_polls: u64,
    /// Entries before this that could not be kept.
    pub(crate) lost: u64,
}

impl Entry {
    /// Without a message.
    pub(crate) fn new(time: Timestamp, direction: Direction, service: Service) -> Self {
        Self {
            number: 0,
            time,
            direction,
            service: service.to_string(),
            kind: None,
            status: None,
            verdict: None,
            octets: 0,
            text: None,
            base64: None,
            quiet_polls: 0,
            lost: 0,
        }
    }

    /// With a message, whose octets are left out beyond so many.
    pub(super) fn with(mut self, message: &[u8], largest: usize) -> Self {
        self.octets = message.len();
        if message.len() <= largest {
            match std::str::from_utf8(message) {
                Ok(text) => self.text = Some(text.to_owned()),
                Err(_) => self.base64 = Some(STANDARD.encode(message)),
            }
        }
        self
    }

    /// The message to the octet; `None` where none came or it was too large to be kept.
    pub(crate) fn message(&self) -> Option<Cow<'_, [u8]>> {
        match (&self.text, &self.base64) {
            (Some(text), _) => Some(Cow::Borrowed(text.as_bytes())),
            (None, Some(base64)) => STANDARD.decode(base64).ok().map(Cow::Owned),
            (None, None) => None,
        }
    }
}

fn write_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
