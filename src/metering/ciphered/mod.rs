//! Opens what meters encrypt: `general-glo-ciphering` (IEC 62056-5-3, security suites 0 and 1) around P1 texts and HAN messages.
//!
//! ```text
//! DB 08 | system title, 8 | length, 1 to 3 | security byte | frame counter, 4 | content | tag, 12
//!                                          '-------------------- length ---------------------'
//! ```
//!
//! AES-128-GCM: the nonce is the system title and the frame counter, the additional data the security byte and the authentication key.
//! Nothing of a frame is used before its tag fits; what has no tag, or one that cannot be checked, is used only where the user allows
//! it. The frame counter of a system title only rises: an older frame is a replay.

mod counter;
mod frame;
mod keys;
mod open;
mod seal;

#[cfg(test)]
mod tests;

pub(crate) use counter::{CounterGuard, SystemTitle};
pub(in crate::metering) use frame::{CipheredFrame, Security};
pub(crate) use keys::Keys;
pub(crate) use open::Opener;
pub(in crate::metering) use seal::seal;
