//! Turns bytes into messages and messages into bytes.
//!
//! ```text
//! bytes -> tree (limits, well-formedness, namespaces) -> cursor -> decode -> Payload
//! bytes <- envelope <- encode                                             <- Payload
//! ```
//!
//! Names are matched by namespace URI and local name, never by prefix. What real VTNs send is read
//! leniently (missing `schemaVersion`, bare messages without envelope, odd dates and durations); what is
//! written is strict and validates against `schemas/`.

mod characters;
mod cursor;
mod error;
mod limits;
mod names;
mod tree;
