//! Turns what a meter says round, where it is built in the wrong way.

use super::map::{Register, RegisterMap};
use crate::metering::obis::ObisCode;
use crate::openadr::message::Decimal;

/// Kinds of a value (group D of its code).
const REGISTER: u8 = 8;
/// Quantities of the three phases are these numbers above those of the whole (group C).
const PHASES: [u8; 4] = [0, 20, 40, 60];

/// What a value of this register is when import and export are exchanged.
///
/// Where each direction has a register, the code becomes that of the other. Where one register tells both by its sign, the sign
/// changes; so does that of the power factor.
pub(super) fn inverted(map: &RegisterMap, register: &Register, value: Decimal) -> (ObisCode, Decimal) {
    let ObisCode([a, b, c, d, e, f]) = register.code;
    let Some((phase, quantity)) = PHASES.iter().rev().find_map(|phase| Some((phase, c.checked_sub(*phase)?)))
    else {
        return (register.code, value);
    };
    let other = match quantity {
        1 | 3 | 9 => Some(quantity + 1),
        2 | 4 | 10 => Some(quantity - 1),
        // The quadrants opposite each other.
        5 | 6 => Some(quantity + 2),
        7 | 8 => Some(quantity - 2),
        _ => None,
    };
    let has_sign = register.form.has_sign();
    match other.map(|other| ObisCode([a, b, phase + other, d, e, f])) {
        Some(other)
            if d == REGISTER || !has_sign || map.registers.iter().any(|register| register.code == other) =>
        {
            (other, value)
        }
        Some(_) => (register.code, -value),
        None if matches!(quantity, 13 | 16) && has_sign => (register.code, -value),
        None => (register.code, value),
    }
}
