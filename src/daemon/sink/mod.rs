//! Carries messages of hooks to those who want them, one file for each way.
//!
//! A sink tries once and says what came of it; when it is tried again, and what that means for other messages, is decided elsewhere.

mod address;
mod http;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::fact::Fact;
use crate::hook::outcome::Try;
use crate::hook::settings::{HookSettings, Target};
use crate::time::Timestamp;

use http::HttpSink;

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

/// Tries to deliver.
pub(crate) trait Sink: Send {
    /// Tries once. Whoever calls gives up after the hook's `timeout`, and drops what this has returned.
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s>;

    /// Says goodbye, where that is due.
    fn close(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

/// The sink of a hook.
///
/// # Errors
///
/// What it needs and does not have.
pub(crate) fn of(settings: &HookSettings) -> Result<Box<dyn Sink>, String> {
    match &settings.target {
        Target::Http(target) => {
            let sink = HttpSink::new(settings, target).map_err(|error| error.to_string())?;
            Ok(Box::new(sink))
        }
    }
}
