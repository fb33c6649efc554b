//! Reads the numbers that registers of 16 bits hold, exactly.

use std::str::FromStr as _;

use serde::Deserialize;

use crate::openadr::message::Decimal;

/// What a number looks like in registers; every register has its high byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NumberType {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
}

/// Which of the registers of a number comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum WordOrder {
    /// That of the highest bits.
    #[default]
    #[serde(rename = "high first")]
    HighFirst,
    /// That of the lowest bits.
    #[serde(rename = "low first")]
    LowFirst,
}

impl NumberType {
    /// How many registers it takes.
    pub(crate) const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }

    /// It can be below zero.
    pub(super) const fn has_sign(self) -> bool {
        !matches!(self, Self::U16 | Self::U32 | Self::U64)
    }

    /// The bits of the last number that it can hold; `None` where it counts in another way.
    pub(super) const fn last(self) -> Option<u64> {
        match self {
            Self::U16 => Some(0xFFFF),
            Self::I16 => Some(0x7FFF),
            Self::U32 => Some(0xFFFF_FFFF),
            Self::I32 => Some(0x7FFF_FFFF),
            Self::U64 => Some(u64::MAX),
            Self::I64 => Some(u64::MAX >> 1),
            Self::F32 | Self::F64 => None,
        }
    }

    /// The number in these bits, the lowest last; `None` where they hold none: NaN, an infinity, or one that is larger than anything a
    /// meter counts.
    pub(super) fn number(self, bits: u64) -> Option<Decimal> {
        let [.., e, f, g, h] = bits.to_be_bytes();
        Some(match self {
            Self::U16 => u16::from_be_bytes([g, h]).into(),
            Self::I16 => i16::from_be_bytes([g, h]).into(),
            Self::U32 => u32::from_be_bytes([e, f, g, h]).into(),
            Self::I32 => i32::from_be_bytes([e, f, g, h]).into(),
            Self::U64 => bits.into(),
            Self::I64 => i64::from_be_bytes(bits.to_be_bytes()).into(),
            // The shortest decimal that reads back as the same number: what the register holds, and no digit that it does not.
            Self::F32 => written(&format!("{:e}", f32::from_be_bytes([e, f, g, h])))?,
            Self::F64 => written(&format!("{:e}", f64::from_bits(bits)))?,
        })
    }

    /// The bits of the number that is nearest to this; `None` where it is too large.
    pub(super) fn bits(self, number: Decimal) -> Option<u64> {
        let whole = i128::try_from(number.round()).ok()?;
        Some(match self {
            Self::U16 => u16::try_from(whole).ok()?.into(),
            Self::I16 => bits_of(&i16::try_from(whole).ok()?.to_be_bytes()),
            Self::U32 => u32::try_from(whole).ok()?.into(),
            Self::I32 => bits_of(&i32::try_from(whole).ok()?.to_be_bytes()),
            Self::U64 => u64::try_from(whole).ok()?,
            Self::I64 => bits_of(&i64::try_from(whole).ok()?.to_be_bytes()),
            Self::F32 => f32::from_str(&number.to_string()).ok()?.to_bits().into(),
            Self::F64 => f64::from_str(&number.to_string()).ok()?.to_bits(),
        })
    }
}

/// Reads `-1.5e3`; what is too small to be told from nothing is nothing.
fn written(text: &str) -> Option<Decimal> {
    let (digits, exponent) = text.split_once('e')?;
    let number = Decimal::from_str(digits).ok()?;
    let exponent = exponent.parse::<i32>().ok()?;
    let power =
        |by: u32| 10_i128.checked_pow(by).and_then(|power| Decimal::try_from_i128_with_scale(power, 0).ok());
    Some(match (exponent, power(exponent.unsigned_abs())) {
        (0.., Some(power)) => number.checked_mul(power)?.normalize(),
        (..0, Some(power)) => number.checked_div(power)?.normalize(),
        (0.., None) => return None,
        (..0, None) => Decimal::ZERO,
    })
}

/// The bits in these bytes, the lowest last.
fn bits_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

impl WordOrder {
    /// The bits in the bytes of registers.
    pub(super) fn bits(self, bytes: &[u8]) -> u64 {
        match self {
            Self::HighFirst => bits_of(bytes),
            Self::LowFirst => bytes.rchunks(2).fold(0, |bits, word| bits << 16 | bits_of(word)),
        }
    }

    /// The words of so many registers that hold these bits.
    pub(super) fn words(self, bits: u64, registers: u16) -> Vec<u16> {
        let word = |at: u16| {
            let [.., high, low] = (bits >> (16 * at)).to_be_bytes();
            u16::from_be_bytes([high, low])
        };
        match self {
            Self::HighFirst => (0..registers).rev().map(word).collect(),
            Self::LowFirst => (0..registers).map(word).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NumberType, WordOrder};

    fn shown(form: NumberType, bits: u64) -> Option<String> {
        form.number(bits).map(|number| number.to_string())
    }

    #[test]
    fn numbers_are_read_exactly() {
        use NumberType::{F32, F64, I16, I32, I64, U16, U32, U64};
        for (form, bits, number) in [
            (U16, 0xFFFF, "65535"),
            (I16, 0xFFFF, "-1"),
            (I16, 0x8000, "-32768"),
            (U32, 0xFFFF_FFFE, "4294967294"),
            (I32, 0xFFFB_A903, "-284413"),
            (U64, 0xFFFF_FFFF_FFFF_FFFE, "18446744073709551614"),
            (I64, 0xFFFF_FFFF_FFFF_FFFE, "-2"),
            (F32, 0x4366_3334, "230.20001"),
            (F32, 0x4366_3333, "230.2"),
            (F32, 0x449A_5225, "1234.567"),
            (F32, 0xC55F_599A, "-3573.6"),
            (F32, 0x4680_0001, "16384.002"),
            (F32, 0x4683_126F, "16777.217"),
            (F32, 0x4683_1270, "16777.219"),
            (F32, 0x4B80_0000, "16777216"),
            (F32, 0x8000_0000, "0"),
            (F32, 0x0000_0001, "0"),
            (F32, 0x3A83_126F, "0.001"),
            (F64, 0x4132_D687_E6B7_457C, "1234567.901234"),
            (F64, 0x7E00_0000_0000_0000, "-"),
            (F64, 0x7FF8_0000_0000_0000, "-"),
            (F64, 0xFFF0_0000_0000_0000, "-"),
            (F32, 0x7FC0_0000, "-"),
            (F32, 0x7F80_0000, "-"),
            (F32, 0xFF7F_FFFF, "-"),
        ] {
            assert_eq!(shown(form, bits).as_deref(), Some(number).filter(|n| *n != "-"), "{form:?} {bits:X}");
        }
    }

    #[test]
    fn bits_are_those_of_the_nearest_number() {
        use NumberType::{F32, F64, I16, I32, I64, U16, U32, U64};
        for (form, number, bits) in [
            (U16, "65535", Some(0xFFFF)),
            (U16, "65536", None),
            (U16, "-1", None),
            (I16, "-1", Some(0xFFFF)),
            (U32, "7.6", Some(8)),
            (I32, "-284413", Some(0xFFFB_A903)),
            (U64, "18446744073709551615", Some(u64::MAX)),
            (I64, "-2", Some(u64::MAX - 1)),
            (F32, "230.2", Some(0x4366_3333)),
            (F64, "0.5", Some(0x3FE0_0000_0000_0000)),
        ] {
            assert_eq!(form.bits(number.parse().unwrap()), bits, "{form:?} {number}");
        }
    }

    #[test]
    fn words_come_in_either_order() {
        let bytes = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08];
        assert_eq!(WordOrder::HighFirst.bits(&bytes), 0x0102_0304_0506_0708);
        assert_eq!(WordOrder::LowFirst.bits(&bytes), 0x0708_0506_0304_0102);
        assert_eq!(WordOrder::LowFirst.bits(&bytes[..4]), 0x0304_0102);
        assert_eq!(WordOrder::HighFirst.words(0x0304_0102, 2), [0x0304, 0x0102]);
        assert_eq!(WordOrder::LowFirst.words(0x0304_0102, 2), [0x0102, 0x0304]);
    }
}
