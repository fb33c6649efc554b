//! Lets others read what happened by a cursor of their own: pushed over TCP, or asked for over HTTP.
//!
//! ```text
//! bus, store -> cursor (facts and gaps, in order) -> document -> push (TCP, frames)
//!                  ^ registry: who reads what, how far it is
//! ```
//!
//! Nothing of ours ever waits for a reader: each has a cursor and a task of its own, and who is too slow or away for too long finds a
//! gap that is told.

mod cursor;
#[cfg(test)]
mod cursor_tests;
mod document;
mod frames;
pub(in crate::daemon) mod http;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
#[path = "tests/peer.rs"]
mod peer_tests;
mod push;
#[cfg(test)]
mod push_tests;
mod registry;
mod session;

#[cfg(test)]
pub(in crate::daemon) use cursor::Found;
pub(in crate::daemon) use cursor::Reader;
pub(in crate::daemon) use push::{Door, Patience, PushMonitors};
pub(in crate::daemon) use registry::{MonitorFault, Monitors};
