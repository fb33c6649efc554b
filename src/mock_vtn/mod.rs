//! The other side: a VTN to test against.

mod core;
mod event;

pub use core::{Answer, Fault, Opt, Unknown, VtnCore};
pub use event::EventBuilder;
