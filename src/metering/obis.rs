//! Names what a meter measures: OBIS codes (IEC 62056-61).

use std::fmt;

/// `A-B:C.D.E`; the group F, where there is one, says "now" and is left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObisCode(pub(crate) [u8; 5]);

impl ObisCode {
    /// Reads a code by its numbers alone: meters and standards mix up the separators.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut groups = [0; 6];
        let mut count = 0;
        for number in text.split(['-', ':', '.', '*', '&']) {
            *groups.get_mut(count)? = number.parse::<u8>().ok()?;
            count += 1;
        }
        let now = count == 5 || (count == 6 && groups[5] == 255);
        now.then(|| Self([groups[0], groups[1], groups[2], groups[3], groups[4]]))
    }

    /// A quantity of electricity of this meter.
    pub(crate) const fn electricity(c: u8, d: u8, e: u8) -> Self {
        Self([1, 0, c, d, e])
    }
}

impl fmt::Display for ObisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e] = self.0;
        write!(f, "{a}-{b}:{c}.{d}.{e}")
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
        ] {
            assert_eq!(ObisCode::parse(text).map(|code| code.to_string()).as_deref(), Some(code), "{text}");
        }
        for text in ["", "1-0:1.8", "1-0:1.8.256", "1-0:1.8.x", "1-0:1.8.0*1", "1-0:1.8.0*255*1"] {
            assert_eq!(ObisCode::parse(text), None, "{text}");
        }
    }
}
