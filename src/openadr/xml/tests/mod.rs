//! The codec as a whole.

mod examples;
mod roundtrip;
mod rules;
mod schema;
