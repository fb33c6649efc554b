//! An OpenADR 2.0b VEN: the client end of utility demand response.
//!
//! ```text
//! openadr    knows the standard:       bytes <-> meaning <-> trust             (pure)
//! engine     decides:                  what a VEN does, in virtual time        (pure)
//! metering   knows the meters:         bytes -> readings -> report values      (pure)
//! daemon     touches the world:        network, serial port, disk, handler     (feature `daemon`)
//! ```
//!
//! Implement [`handler::EventHandler`] and give it to [`main`], which is the whole `ven` command line, or to [`Cli`] beside sources of
//! reports; or embed a VEN in a larger program with [`Ven::builder`]; or write no code at all and let the rules of the configuration decide. [`mock_vtn`] is a
//! VTN to test against.
//!
//! Three invariants hold the house together: only one task speaks to the engine; no message leaves before what it promises is
//! stored; and only what was verified is believed.
#![cfg_attr(
    not(feature = "daemon"),
    expect(dead_code, unused_imports, reason = "most of what the pure rooms know, only the daemon asks for")
)]

#[cfg(feature = "daemon")]
mod cli;
#[cfg(feature = "daemon")]
mod config;
#[cfg(feature = "daemon")]
mod daemon;
#[cfg(test)]
#[path = "../tests/support/dice.rs"]
#[expect(clippy::print_stderr, reason = "a seed is printed, so that a failure can be repeated")]
mod dice;
mod engine;
pub mod fact;
pub mod handler;
#[cfg(feature = "daemon")]
mod hook;
mod metering;
#[cfg(feature = "daemon")]
pub mod mock_meter;
pub mod mock_vtn;
pub mod notice;
mod openadr;
pub mod plugin;
pub mod report_source;
#[cfg(feature = "daemon")]
mod rules;
#[cfg(test)]
mod test_support;
#[cfg(feature = "daemon")]
pub mod testing;
pub mod time;

#[cfg(feature = "daemon")]
pub use cli::{Cli, main, main_by_rules, mock_vtn_main};
#[cfg(feature = "daemon")]
pub use config::{Changes, Config, ConfigError, ConfigFault, Part};
#[cfg(feature = "daemon")]
pub use daemon::{ReloadError, StartError, Ven, VenBuilder, VenHandle};
pub use openadr::message;
