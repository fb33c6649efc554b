//! Knows which way energy flows, where the sign of a power does not say it or says it wrongly.
//!
//! What decides is the status word that stands with the register of energy taken from the grid. The maker alone never decides: newer
//! meters of the same makers send the right sign.

use crate::metering::obis::ObisCode;
use crate::openadr::message::Decimal;

/// The code of the register whose status word says which way energy flows.
pub(super) const IMPORT: ObisCode = ObisCode::electricity(1, 8, 0);
/// Energy given to the grid.
pub(super) const EXPORT: ObisCode = ObisCode::electricity(2, 8, 0);
/// Power, positive when taken from the grid.
pub(super) const NET_POWER: ObisCode = ObisCode::electricity(16, 7, 0);
/// Power without a sign.
pub(super) const ABSOLUTE_POWER: ObisCode = ObisCode::electricity(15, 7, 0);

/// The bits of a status word that are the same in all words of the form that the FNN's specification of meters has: all but those of
/// what happens (9 to 20).
const FNN_MASK: u64 = 0xFFE0_01FF;
/// What they are then.
const FNN: u64 = 0x104;
/// Bit 11 of such a word: the sum of the phases is given to the grid. The bits after it say the same of each phase.
const FNN_EXPORT: u32 = 11;
/// The bit of an older status word (EDL21) that says that energy is given to the grid.
const EDL_EXPORT: u32 = 5;

/// Whether the sum of the phases is given to the grid, by the status word of the register of import.
pub(super) const fn is_export(status: u64) -> bool {
    let bit = if is_fnn(status) { FNN_EXPORT } else { EDL_EXPORT };
    status >> bit & 1 == 1
}

const fn is_fnn(status: u64) -> bool {
    status & FNN_MASK == FNN
}

/// The bit that says that this power is given to the grid; `None` for what is no power with a sign.
const fn export_bit(code: ObisCode) -> Option<u32> {
    match code.0 {
        [1, 0, 16, 7, 0, 255] => Some(FNN_EXPORT),
        [1, 0, 36, 7, 0, 255] => Some(FNN_EXPORT + 1),
        [1, 0, 56, 7, 0, 255] => Some(FNN_EXPORT + 2),
        [1, 0, 76, 7, 0, 255] => Some(FNN_EXPORT + 3),
        _ => None,
    }
}

/// The number that a negative power may stand for: meters of type DVS74 by DZG write a positive power in as few bytes as hold it
/// without a sign, and say that it has one, so that 356.24 W come as -299.12 W. It happens in one to three bytes.
pub(super) fn without_sign(code: ObisCode, value: i64, bytes: usize) -> Option<i64> {
    (value < 0 && bytes <= 3 && export_bit(code).is_some()).then(|| value + (1 << (bytes * 8)))
}

/// Whether a negative power of this meter is positive in truth: it is one of DZG, and the status word says that energy is taken from
/// the grid (all of it for the sum, of that phase for a phase). Where the word's bit of export is set the sign is right.
pub(super) fn is_false_negative(server: &[u8], code: ObisCode, status: Option<u64>) -> bool {
    let says_import =
        |status: u64| is_fnn(status) && export_bit(code).is_some_and(|bit| status >> bit & 1 == 0);
    server.get(2..5) == Some(b"DZG") && status.is_some_and(says_import)
}

/// Power with a sign from one without, of meters that send no other.
///
/// `status` says the way. A meter without a status word counts one way only if it has no register of export; else nobody knows.
pub(super) fn with_sign(power: Decimal, status: Option<u64>, has_export: bool) -> Option<Decimal> {
    match status {
        Some(status) if is_export(status) => Some(-power),
        Some(_) => Some(power),
        None => (!has_export).then_some(power),
    }
}
