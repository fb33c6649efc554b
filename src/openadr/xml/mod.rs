//! Turns bytes into messages and messages into bytes.
//!
//! ```text
//! bytes -> tree (limits, well-formedness, namespaces) -> cursor -> decode -> Payload
//! bytes <- envelope <- encode                                             <- Payload
//! ```
//!
//! Names are matched by namespace URI and local name, never by prefix. What real VTNs send is read leniently (missing
//! `schemaVersion`, bare messages without envelope, odd dates and durations); what is written is strict and validates
//! against `schemas/`.

mod base;
mod canonical;
mod characters;
mod cursor;
mod decode;
mod encode;
mod error;
mod limits;
mod names;
mod tree;
mod writer;

#[cfg(test)]
pub(super) mod tests;

pub(crate) use canonical::{Canonicalization, Inclusion};
pub(crate) use characters::is_ncname;
pub(crate) use cursor::{Children, Element};
pub(crate) use decode::{decode, decode_document, decode_signed_object, envelope};
pub(crate) use encode::{SignedObject, encode};
pub(crate) use error::XmlError;
pub(crate) use limits::Limits;
pub(crate) use names::Ns;
pub(crate) use tree::Document;
