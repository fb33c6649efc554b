//! A VEN with its meters and a VTN in virtual time: hours pass in seconds, and each value at the VTN is held against what the meters have counted.
//!
//! ```text
//! house -> telegram -> decoder -> meter task -> series -> ven task (engine) -> text of the message -> VTN
//! ```
//!
//! All of it is what `ven run` runs, the store too. Left out are lines, sockets and signatures: virtual time would not wait for them.

mod dark;
mod house;
mod reports;
mod unset_clock;
mod world;
