//! Reads what a meter says first: who made it, and how it goes on (IEC 62056-21, 6.3.2).

/// No identification is longer; the standard has 16 characters behind the slash and four.
pub(super) const IDENTIFICATION: usize = 80;

/// A meter's first line: `/XXXZ` and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identification {
    /// The third letter of its maker is small: it answers after 20 ms already.
    pub(super) fast: bool,
    pub(super) mode: Mode,
}

/// What the character behind the maker's letters says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Data follow at the same speed.
    A,
    /// Data follow at this speed.
    B(u32),
    /// Data follow at this speed, which the character names, after an acknowledgement.
    C(u8, u32),
}

/// The last identification that such a line ends with, and where it begins.
pub(super) fn identification(line: &[u8]) -> Option<(usize, Identification)> {
    let starts = line.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    starts.filter_map(|at| Some((at, Identification::parse(&line[at..])?))).next()
}

/// What a meter calls itself, without the slash, in the first whole line that is an identification.
pub(crate) fn name_of_meter(heard: &[u8]) -> Option<String> {
    let end = heard.iter().rposition(|byte| *byte == b'\n')?;
    heard[..end].split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.trim_ascii_end();
        let (at, _) = identification(line)?;
        Some(String::from_utf8_lossy(&line[at + 1..]).into_owned())
    })
}

impl Identification {
    fn parse(line: &[u8]) -> Option<Self> {
        let [b'/', a, b, c, rest @ ..] = line else { return None };
        let is_name = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'(' | b')' | b'!');
        if ![a, b, c].iter().all(|letter| letter.is_ascii_alphabetic()) || !rest.iter().all(is_name) {
            return None;
        }
        const BAUD: [u32; 7] = [300, 600, 1200, 2400, 4800, 9600, 19_200];
        let baud = |first: u8| BAUD.get(usize::from(rest.first()?.checked_sub(first)?)).copied();
        let letter = rest.first().filter(|byte| matches!(byte, b'A'..=b'F'));
        let mode = match (letter.and_then(|_| baud(b'A' - 1)), rest.first().zip(baud(b'0'))) {
            (Some(baud), _) => Mode::B(baud),
            (None, Some((character, baud))) => Mode::C(*character, baud),
            (None, None) => Mode::A,
        };
        Some(Self { fast: c.is_ascii_lowercase(), mode })
    }
}

#[cfg(test)]
mod tests {
    use super::{Identification, Mode, identification, name_of_meter};

    #[test]
    fn the_character_behind_the_maker_says_the_mode() {
        for (line, fast, mode) in [
            (&b"/LGZ5\\2ZMD4104407.B31"[..], false, Mode::C(b'5', 9600)),
            (b"/LGz6X", true, Mode::C(b'6', 19_200)),
            (b"/ACE0\\3k260V01.18", false, Mode::C(b'0', 300)),
            (b"/SIEC2WR5", false, Mode::B(2400)),
            (b"/SYNA", false, Mode::B(600)),
            (b"/SYNF", false, Mode::B(19_200)),
            (b"/SYNG", false, Mode::A),
            (b"/SYN7", false, Mode::A),
            (b"/SYN", false, Mode::A),
            (b"/SYN\\2x", false, Mode::A),
        ] {
            assert_eq!(Identification::parse(line), Some(Identification { fast, mode }), "{line:?}");
        }
        for line in [&b"/?!"[..], b"/AB", b"/A1C5", b"/ABC5(", b"/ABC5\x01", b"ABC5"] {
            assert_eq!(Identification::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_last_one_of_a_line_counts() {
        let found = |line: &[u8]| identification(line).map(|(at, found)| (at, found.mode));
        assert_eq!(found(b"/AB/LGZ5X"), Some((3, Mode::C(b'5', 9600))), "the first was cut");
        assert_eq!(found(b"noise/ESYD1024/V3.04"), Some((5, Mode::B(4800))));
        assert_eq!(found(b"1.8.0(test-/-test)"), None);
    }

    #[test]
    fn a_meter_has_a_name_once_its_line_is_whole() {
        for (heard, name) in [
            (&b"/LGZ5\\2ZMD310\r\n"[..], Some("LGZ5\\2ZMD310")),
            (b"/?!\r\nnoise/ISK5ME162 \r\n/XYZ", Some("ISK5ME162")),
            (b"/LGZ5\\2ZMD310", None),
            (b"/?!\r\n", None),
            (b"", None),
        ] {
            assert_eq!(name_of_meter(heard).as_deref(), name, "{heard:?}");
        }
    }
}
