//! Carries messages to the VTN and replies back, and takes what the VTN pushes.

mod chain;
mod listener;
mod pull_client;
mod push_server;
pub(crate) mod tls;
mod vtn_client;

pub(in crate::daemon) use chain::chain;
pub(in crate::daemon) use listener::Listener;
pub(in crate::daemon) use pull_client::causes;
pub(crate) use pull_client::{PullClient, Reply, simple_root};
pub(in crate::daemon) use push_server::{PushDesk, PushServer, normalised};
pub(in crate::daemon) use vtn_client::server_for_vtn;
