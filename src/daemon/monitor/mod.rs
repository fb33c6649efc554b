//! Lets others read what happened by a cursor of their own: pushed over TCP, or asked for over HTTP.
//!
//! ```text
//! bus, store -> cursor (facts and gaps, in order) -> document -> push (TCP, frames)
//!                  ^ registry: who reads what, how far it is
//! ```
//!
//! `client` is the other end of `push`: it reads the monitors of any VEN.
//!
//! Nothing of ours ever waits for a reader: each has a cursor and a task of its own, and who is too slow or away for too long finds a
//! gap that is told.

pub(crate) mod client;
#[cfg(test)]
#[path = "tests/client.rs"]
mod client_tests;
#[cfg(test)]
mod configured_tests;
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
mod state;

pub(in crate::daemon) use cursor::{Found, Reader};
pub(in crate::daemon) use document::of_gap;
pub(in crate::daemon) use push::{Door, Patience, PushMonitors};
pub(in crate::daemon) use registry::{MonitorFault, Monitors};
pub(in crate::daemon) use state::State;
