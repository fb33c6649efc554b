//! Delivers rendered messages, one try at a time; a sink never repeats anything by itself.

mod address;
pub(crate) mod http;

use bytes::Bytes;

/// A message in the words in which it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// The same at every try.
    pub(crate) id: String,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}
