//! Runs programs that decide and that want to know: in any language, by lines of JSON on their standard input and output.
//!
//! ```text
//! ExecHandler -┐
//!   decides    ├-> ProgramSeat --> Conversation --> Process
//! ExecPlugin  -┘     keeps it        lines of         one run,
//!   is told          running         JSON             killed with all that it started
//! ```
//!
//! Plugins of the embedding program are told the same by `rust_plugin`, each by a `rust_seat`.
//!
//! A program decides nothing about us: whatever it does, each question has a deadline, each pipe a bound, and what it writes
//! is taken as what a stranger writes.

mod conversation;
mod exec_handler;
mod exec_plugin;
mod lines;
mod oneshot;
mod process;
mod program_seat;
mod protocol;
mod reader;
mod restarts;
mod rust_plugin;
mod rust_seat;
#[cfg(test)]
mod tests;

use crate::daemon::bus::Bus;
use crate::daemon::clock::Clock;
use crate::daemon::inlets::Inlets;

pub(crate) use conversation::Patience;
pub(crate) use exec_handler::{Asked, DECIDE, EVENT, ExecHandler};
pub(crate) use exec_plugin::{ExecPlugin, NotServed, Plugins, REPORT_READ};
pub(crate) use oneshot::OneShot;
pub(crate) use process::{Program, is_there};
pub(crate) use program_seat::{Keeping, ProgramSeat, ProgramSettings, State};
pub(crate) use rust_plugin::{BroughtPlugin, DynPlugin, RustPlugins};

/// What programs and plugins live among.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Room {
    pub(in crate::daemon) bus: Bus,
    pub(in crate::daemon) clock: Clock,
    /// Where they give telegrams that they have read.
    pub(in crate::daemon) inlets: Inlets,
}

#[cfg(test)]
impl Room {
    pub(in crate::daemon) fn without_meters(bus: &Bus, clock: Clock) -> Self {
        Self { bus: bus.clone(), clock, inlets: Inlets::default() }
    }
}
