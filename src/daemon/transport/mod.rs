//! Carries messages to the VTN and replies back.

mod pull_client;
pub(crate) mod tls;

pub(in crate::daemon) use pull_client::causes;
pub(crate) use pull_client::{PullClient, Reply, simple_root};
