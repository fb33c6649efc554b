//! Touches the world: clocks, dice, files, sockets, the serial port, the user's handler.
//!
//! ```text
//! meter_source -> meter_task ┐                    ┌-> courier -> transport -> VTN
//!                            ├-> ven_task (engine) ├-> handler_seat -> EventHandler
//! VTN -> courier, server ----┘        |            └-> notices
//! ven opt, reports -> control┘     writer -> store
//! ```
//!
//! Sources of reports that are no meter sit in `source_seat`, which `ven_task` asks as it asks a `meter_task`; programs among them are run by
//! `source_exec`. Programs that decide are run by `plugin`.
//!
//! What a new configuration says of hooks, programs, monitors and tokens, `reload` exchanges while all of it runs.
//!
//! Three owners of state and no locks around them: `ven_task` owns the engine, each `meter_task` its series, the store's thread the
//! database.

mod api;
mod api_hook_files;
mod api_hooks;
mod api_monitors;
mod api_plugins;
mod beginning;
pub(crate) mod bus;
mod certificates;
mod child;
pub(crate) mod clock;
pub(crate) mod control;
mod counters;
mod courier;
pub(crate) mod entropy;
mod examine;
mod examine_push;
mod exchange_handler;
mod fact_keeper;
mod handler_seat;
pub(crate) mod hook_files;
pub(crate) mod http;
mod inlets;
pub(crate) mod journal;
mod meter_days;
mod meter_health;
mod meter_slots;
pub(crate) mod meter_source;
mod meter_task;
mod meters;
pub(crate) mod monitor;
mod monitors_start;
pub(crate) mod outbox;
mod plugin;
mod prepare;
mod prepare_http;
mod prepare_meters;
mod prepare_programs;
mod programs;
mod pulse;
pub(crate) mod refused;
mod reload;
mod scribe;
pub(crate) mod sink;
mod source_exec;
mod source_seat;
pub(crate) mod status;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod transport;
mod ven;
mod ven_task;
mod wire;
mod writer;

pub(crate) use examine::{Finding, examine};
pub(crate) use prepare::{Prepared, offers};
pub(crate) use prepare_meters::{line_or, list_models, meter_settings, register_map};
pub(crate) use prepare_programs::check_names;
pub use reload::ReloadError;
pub(crate) use source_exec::report_sources;
pub(crate) use ven::Brought;
pub use ven::{StartError, Ven, VenBuilder, VenHandle};
