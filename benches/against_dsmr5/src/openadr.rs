//! The part of the VEN that the metering room takes words from.

#[path = "../../../src/openadr/message/mod.rs"]
pub(crate) mod message;
