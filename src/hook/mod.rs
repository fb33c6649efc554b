//! Knows what is told to whom, in which words and when: everything about a hook but the wire.
//!
//! ```text
//! fact -> topics, filter -> queue (order, batches, retries) -> rendered message -> a sink, which says what came of it
//! ```

pub(crate) mod filter;
pub(crate) mod hashes;
pub(crate) mod monitor;
pub(crate) mod outcome;
pub(crate) mod queue;
pub(crate) mod render;
pub(crate) mod settings;
pub(crate) mod told;
pub(crate) mod webhook;
