//! Knows the standard: bytes, what they mean, and whether to believe them.
//!
//! ```text
//! bytes -> xml -> signature -> Verified<Payload> -> (the engine)
//! bytes <- signature <- xml <- Payload           <- (the engine)
//! ```
//!
//! Everything here is pure: no clock, no dice, no socket.

pub mod message;
pub(crate) mod signature;
pub(crate) mod trust;
pub(crate) mod xml;
