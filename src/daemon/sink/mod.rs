//! Carries messages of hooks to those who want them, one file for each way.
//!
//! A sink tries once and says what came of it; when it is tried again, and what that means for other messages, is decided elsewhere.

mod address;
mod dial;
mod exec;
mod file;
mod http;
mod mqtt;
mod pvoutput;
mod said;
mod serial;
mod tcp;
mod telegram;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::daemon::status::Status;
use crate::fact::Fact;
use crate::hook::outcome::Try;
use crate::hook::settings::{HookSettings, Target};
use crate::time::Timestamp;

use http::HttpSink;

pub(crate) use said::said;

/// Something to deliver.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same at every try; of a message about one fact, the fact's.
    pub(crate) id: String,
    /// What it tells of, in order; never empty.
    pub(crate) facts: Vec<Arc<Fact>>,
    /// In the words that the hook wants.
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: String,
    /// When this try begins.
    pub(crate) at: Timestamp,
}

/// What is on its way.
pub(crate) type Delivering<'s> = Pin<Box<dyn Future<Output = Try> + Send + 's>>;

/// What ends when it has ended.
pub(crate) type Doing<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// Tries to deliver. One that is dropped lets go of its port, socket or process.
pub(crate) trait Sink: Send {
    /// How the VEN stands, as far as it was not told by facts; called before it is opened.
    fn stands(&mut self, _status: &Status) {}

    /// Begins to be there for those who wait for it, before there is anything to deliver; called once, and no fault if it was not.
    fn open(&mut self) -> Doing<'_> {
        Box::pin(async {})
    }

    /// Whether it signs what time it is, so that it says nothing before anybody knows.
    fn signs(&self) -> bool {
        false
    }

    /// Tries once. Whoever calls gives up after the hook's `timeout`, and drops what this has returned.
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s>;

    /// Says goodbye, where that is due.
    fn close(&mut self) -> Doing<'_> {
        Box::pin(async {})
    }
}

/// The sink of a hook; it touches nothing yet.
///
/// # Errors
///
/// What it needs and does not have.
pub(crate) fn of(settings: &HookSettings) -> Result<Box<dyn Sink>, String> {
    Ok(match &settings.target {
        Target::Http(target) => Box::new(HttpSink::new(settings, target).map_err(|error| error.to_string())?),
        Target::Mqtt(target) => Box::new(mqtt::MqttSink::new(target)?),
        Target::File(target) => Box::new(file::FileSink::new(target.clone())),
        Target::Tcp(target) => tcp::of(target),
        Target::Serial(target) => Box::new(serial::SerialSink::new(target)?),
        Target::Exec(target) => Box::new(exec::ExecSink::new(target)?),
        Target::PvOutput(target) => Box::new(pvoutput::PvOutputSink::new(settings, target)?),
    })
}
