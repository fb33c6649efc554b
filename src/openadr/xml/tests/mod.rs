//! The codec as a whole.

mod examples;
pub(in crate::openadr) mod fuzz;
mod hostile;
mod quirks;
mod roundtrip;
mod rules;
mod schema;
