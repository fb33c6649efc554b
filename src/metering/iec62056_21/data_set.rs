//! Reads data sets: `address(value*unit)`, several on a line (IEC 62056-21, 6.3.12 and annex A).

use crate::metering::decoder::Why;

/// No address is longer; the standard has 16 characters.
const ADDRESS: usize = 32;
/// So much of an unreadable line is told.
const TOLD: usize = 60;

/// One address and what stands in parentheses behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataSet<'a> {
    /// As the meter writes it; that of the set before where it writes none.
    pub(super) address: &'a str,
    /// The meter wrote no address.
    pub(super) repeats: bool,
    /// Everything between the parentheses, without blanks around it.
    pub(super) text: &'a str,
}

impl<'a> DataSet<'a> {
    /// The values that `&` joins, each with its unit.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.text.split('&').map(|value| match value.split_once('*') {
            Some((value, unit)) => (value.trim(), Some(unit.trim())),
            None => (value.trim(), None),
        })
    }
}

/// The sets of a block, up to its `!`.
///
/// # Errors
///
/// Where a line is unreadable, if `strict`: what has no checksum, or one that may fit by chance, is believed only as a whole. The rest
/// of an unreadable line is left out otherwise. In any case where there is no set at all.
pub(super) fn data_sets(text: &str, strict: bool) -> Result<Vec<DataSet<'_>>, Why> {
    let mut sets: Vec<DataSet<'_>> = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with('!') {
            let Some((set, behind)) = next(rest, sets.last().map(|set| set.address)) else {
                if strict || sets.is_empty() {
                    return Err(Why::Line { number, text: rest.chars().take(TOLD).collect() });
                }
                break;
            };
            sets.push(set);
            rest = behind.trim_start();
        }
        if rest.starts_with('!') {
            break;
        }
    }
    if sets.is_empty() { Err(Why::Cut) } else { Ok(sets) }
}

/// The first set of a line, and what stands behind it.
fn next<'a>(line: &'a str, before: Option<&'a str>) -> Option<(DataSet<'a>, &'a str)> {
    let (address, rest) = line.split_once('(')?;
    let (text, rest) = rest.split_once(')')?;
    let address = address.trim();
    // An address is printable, and has none of the marks of a frame (6.3.12).
    let is_address = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '!' | ')');
    if address.len() > ADDRESS || !address.chars().all(is_address) || text.contains(['(', '\r']) {
        return None;
    }
    let repeats = address.is_empty();
    let address = if repeats { before? } else { address };
    Some((DataSet { address, repeats, text: text.trim() }, rest))
}

#[cfg(test)]
mod tests {
    use super::{DataSet, Why, data_sets};

    fn of<'a>(address: &'a str, text: &'a str) -> DataSet<'a> {
        DataSet { address, repeats: false, text }
    }

    #[test]
    fn several_sets_stand_on_a_line() {
        let sets =
            data_sets("6.8(0029.055*MWh)6.26*01(01563.92*m3) F(0)\r\n1.6.1(00.5*kW)(1701)()\r\n!\r\nX", true);
        let again = |text| DataSet { repeats: true, ..of("1.6.1", text) };
        assert_eq!(
            sets.unwrap(),
            [
                of("6.8", "0029.055*MWh"),
                of("6.26*01", "01563.92*m3"),
                of("F", "0"),
                of("1.6.1", "00.5*kW"),
                again("1701"),
                again("")
            ]
        );
        assert_eq!(data_sets("0.0(1)!\r\n", true).unwrap(), [of("0.0", "1")], "the end is behind a set");
    }

    #[test]
    fn values_are_joined_and_padded() {
        let values = |text| of("9.4", text).values().collect::<Vec<_>>();
        assert_eq!(values("088*C&082*C"), [("088", Some("C")), ("082", Some("C"))]);
        assert_eq!(values("  80*Deg"), [("80", Some("Deg"))]);
        assert_eq!(values("&&"), [("", None); 3]);
    }

    #[test]
    fn what_is_no_set_is_told_or_left_out() {
        for bad in ["1.8.0", "1.8.0(5", "(5)", "1.8\x010(5)", "1.8/0(5)", "1.8.0((5)", "a)b(5)"] {
            let line = Why::Line { number: 1, text: bad.into() };
            assert_eq!(data_sets(bad, false), Err(line.clone()), "{bad}");
            assert_eq!(data_sets(&format!("{bad}\r\n1.8.0(5)\r\n"), true), Err(line), "{bad}");
        }
        let sets = data_sets("1.8.0(5)garbage\r\n2.8.0(6)\r\n", false).unwrap();
        assert_eq!(sets, [of("1.8.0", "5"), of("2.8.0", "6")]);
        assert_eq!(data_sets("\r\n!\r\n", true), Err(Why::Cut));
        assert!(data_sets(&format!("{}(5)", "1".repeat(40)), true).is_err());
    }
}
