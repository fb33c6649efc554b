//! Rolls the dice; nothing else does.

use ring::rand::{SecureRandom as _, SystemRandom};

/// The system's random numbers.
#[expect(clippy::disallowed_methods, reason = "this is the one place that opens the dice")]
pub(crate) fn dice() -> SystemRandom {
    SystemRandom::new()
}

/// A seed for an engine.
///
/// # Errors
///
/// Where the system has no random numbers.
pub(crate) fn seed() -> Result<u64, ring::error::Unspecified> {
    let mut bytes = [0; 8];
    dice().fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
