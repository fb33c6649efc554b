//! Names what a meter measures: OBIS codes (IEC 62056-61).

use std::fmt;

/// `A-B:C.D.E*F`; the group F is 255 where the value is that of now, and is then left out in writing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObisCode(pub(crate) [u8; 6]);

/// The group F of a value of now.
pub(crate) const NOW: u8 = 255;

impl ObisCode {
    /// Reads a code by its numbers alone: meters and standards mix up the separators.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut groups = [0, 0, 0, 0, 0, NOW];
        let mut count = 0;
        let mut number: Option<u8> = None;
        // A separator behind the last number, so that it is taken as the others are.
        for byte in text.bytes().chain([b'.']) {
            match byte {
                b'0'..=b'9' => {
                    let tens = number.unwrap_or(0).checked_mul(10)?;
                    number = Some(tens.checked_add(byte - b'0')?);
                }
                b'-' | b':' | b'.' | b'*' | b'&' => {
                    *groups.get_mut(count)? = number.take()?;
                    count += 1;
                }
                _ => return None,
            }
        }
        (count >= 5).then_some(Self(groups))
    }

    /// The value of now.
    pub(crate) const fn now(a: u8, b: u8, c: u8, d: u8, e: u8) -> Self {
        Self([a, b, c, d, e, NOW])
    }

    /// A quantity of electricity of this meter.
    pub(crate) const fn electricity(c: u8, d: u8, e: u8) -> Self {
        Self::now(1, 0, c, d, e)
    }

    /// The channel: 0 or 1 is the meter itself, 1 to 4 in front of what is no electricity a device behind it on its M-Bus.
    pub(crate) const fn channel(self) -> u8 {
        self.0[1]
    }
}

impl fmt::Display for ObisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, stored] = self.0;
        write!(f, "{a}-{b}:{c}.{d}.{e}")?;
        if stored == NOW { Ok(()) } else { write!(f, "*{stored}") }
    }
}

impl fmt::Debug for ObisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::ObisCode;

    #[test]
    fn codes_are_read_as_meters_write_them() {
        for (text, code) in [
            ("1-0:1.8.1", "1-0:1.8.1"),
            ("1-0:1.8.0*255", "1-0:1.8.0"),
            ("1-0:1.8.0.255", "1-0:1.8.0"),
            ("1-0:72:32.0", "1-0:72.32.0"),
            ("1-0:99:97.0", "1-0:99.97.0"),
            ("0-0:96.1.255*255", "0-0:96.1.255"),
            ("1-0:1.8.0*96", "1-0:1.8.0*96"),
        ] {
            assert_eq!(ObisCode::parse(text).map(|code| code.to_string()).as_deref(), Some(code), "{text}");
        }
        for text in [
            "",
            "1-0:1.8",
            "1-0:1.8.0.",
            "1-0:1..0.0",
            "-1-0:1.8.0",
            "1-0:1.8.+0",
            "1-0:1.8.256",
            "1-0:1.8.x",
            "1-0:1.8.0*255*1",
        ] {
            assert_eq!(ObisCode::parse(text), None, "{text}");
        }
    }
}
