//! Fuzzes decoders.

use crate::dice::{Dice, fuzz};

/// Rounds where nobody asks for more: less than a second.
const ROUNDS: u32 = 1500;

/// `round` after `round`: for `VEN_FUZZ_SECONDS`, or a few. `VEN_SEED`, which is printed, repeats them.
pub(in crate::metering) fn rounds(mut round: impl FnMut(&mut Dice)) {
    if std::env::var_os("VEN_FUZZ_SECONDS").is_some() {
        return fuzz(round);
    }
    let mut dice = Dice::seeded();
    for _ in 0..ROUNDS {
        round(&mut dice);
    }
}
