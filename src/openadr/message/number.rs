//! Keeps numbers as they were written.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

/// An `xs:float` as it stands in a message.
///
/// A meter's register is an exact decimal, and stays one up to the last byte on the wire; what does not
/// fit into 28 digits, and what is not a number, is kept as the 32-bit float that the schema means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Float {
    /// Any finite number of up to 28 digits.
    Exact(Decimal),
    /// `INF`, `-INF`, `NaN`, and what is too large or too small for [`Float::Exact`].
    Binary(f32),
}

impl Float {
    /// The number, where it is one that can be calculated with.
    #[must_use]
    pub const fn exact(self) -> Option<Decimal> {
        match self {
            Self::Exact(decimal) => Some(decimal),
            Self::Binary(_) => None,
        }
    }

    /// The nearest 64-bit float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Exact(decimal) => decimal.try_into().unwrap_or(f64::NAN),
            Self::Binary(float) => f64::from(float),
        }
    }
}

impl Serialize for Float {
    /// As text: no digit is lost.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Decimal> for Float {
    fn from(decimal: Decimal) -> Self {
        Self::Exact(decimal)
    }
}

impl From<i64> for Float {
    fn from(whole: i64) -> Self {
        Self::Exact(Decimal::from(whole))
    }
}

impl fmt::Display for Float {
    /// A form that `xs:float` allows, without exponent and without idle zeros where it is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exact(decimal) => decimal.normalize().fmt(f),
            Self::Binary(float) if float.is_nan() => f.write_str("NaN"),
            Self::Binary(f32::INFINITY) => f.write_str("INF"),
            Self::Binary(f32::NEG_INFINITY) => f.write_str("-INF"),
            Self::Binary(float) => write!(f, "{float:e}"),
        }
    }
}

/// The text is not an `xs:float`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an xs:float")]
pub struct BadFloat(String);

impl FromStr for Float {
    type Err = BadFloat;

    fn from_str(text: &str) -> Result<Self, BadFloat> {
        let bad = || BadFloat(text.chars().take(64).collect());
        match text {
            "INF" => return Ok(Self::Binary(f32::INFINITY)),
            "-INF" => return Ok(Self::Binary(f32::NEG_INFINITY)),
            "NaN" => return Ok(Self::Binary(f32::NAN)),
            _ => {}
        }
        // Rust's own parser also takes "inf" and "infinity", which xs:float does not.
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            return Err(bad());
        }
        let float: f32 = text.parse().map_err(|_| bad())?;
        Ok(exact(text, float).map_or(Self::Binary(float), Self::Exact))
    }
}

/// `text` as a decimal, unless that would lose the number (`1e-40` has no digit left among 28).
fn exact(text: &str, float: f32) -> Option<Decimal> {
    if float == 0.0 {
        return Some(Decimal::ZERO);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let decimal =
        if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok()? } else { text.parse().ok()? };
    // Idle zeros are not written either, so that what is read again is the same to the last detail.
    (!decimal.is_zero()).then(|| decimal.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_exactly() {
        for (text, written) in [
            ("0012345.6780", "12345.678"),
            ("+1.5", "1.5"),
            ("-0.1", "-0.1"),
            ("1e3", "1000"),
            ("2.5E-3", "0.0025"),
            (".5", "0.5"),
            ("7.", "7"),
            ("1234567890.123456789", "1234567890.123456789"),
            ("INF", "INF"),
            ("-INF", "-INF"),
            ("NaN", "NaN"),
            ("1e30", "1e30"),
            ("1e-40", "1e-40"),
            ("1e400", "INF"),
            ("0e99", "0"),
        ] {
            let number: Float = text.parse().unwrap();
            assert_eq!(number.to_string(), written, "{text}");
        }
    }

    #[test]
    fn idle_zeros_are_gone_once_it_is_read() {
        let number: Float = "-447350666281514.00000000000000".parse().unwrap();
        assert_eq!(format!("{number:?}"), "Exact(-447350666281514)");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " 1", "1,5", "inf", "nan", "0x10", "1e", "--1", "1_000", "."] {
            assert!(text.parse::<Float>().is_err(), "{text}");
        }
    }
}
