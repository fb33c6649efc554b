//! Shows texts of others, so that they control no terminal and forge no line.

use std::io::{self, Write};

/// The text with every control character written out, as `\\n`.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if controls(c) { c.escape_default().to_string() } else { c.into() }).collect()
}

/// It moves a cursor, ends a line, or turns the direction in which text is shown (Unicode, UAX #9).
fn controls(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

const ESCAPE: char = '\u{1B}';

/// What stands behind an escape changes the colour and nothing else (ECMA-48, 8.3.117: SGR).
fn colours(behind: &str) -> bool {
    let digits = behind
        .strip_prefix('[')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
    digits.is_some_and(|rest| rest.starts_with('m'))
}

/// Writes records, each of which comes whole and ends with a line end, so that each is one line.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    /// The log colours what it writes; more than that nobody else can do to a terminal either.
    coloured: bool,
}

impl<W> Lines<W> {
    pub(super) const fn new(out: W, coloured: bool) -> Self {
        Self { out, coloured }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let mut shown = String::new();
        let mut pieces = line.split(ESCAPE);
        pieces.next().into_iter().for_each(|first| shown += &plain(first));
        for piece in pieces {
            let colours = self.coloured && colours(piece);
            shown += &if colours {
                format!("{ESCAPE}{}", plain(piece))
            } else {
                plain(&format!("{ESCAPE}{piece}"))
            };
        }
        shown.push_str(end);
        self.out.write_all(shown.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(coloured: bool, record: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Log {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().map_err(|_| io::Error::other("poisoned"))?.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = Log::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(coloured)
            .with_target(false)
            .without_time()
            .with_writer(move || Lines::new(to.clone(), coloured));
        tracing::subscriber::with_default(subscriber.finish(), record);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    /// What an attacker may write into an event, a header or the answer of an endpoint.
    const EVIL: &str =
        "a\r\n2030-01-01T00:00:00Z  INFO registered\n\u{1B}[2J\u{9B}31m\u{7}\u{202E}b\u{2028}c\0";

    #[test]
    fn one_record_is_one_line_and_controls_no_terminal_whatever_was_said() {
        for coloured in [false, true] {
            let log = logged(coloured, || {
                tracing::warn!(event = EVIL, "the VTN says {EVIL}");
                tracing::warn!(event = %EVIL, "and {EVIL:?}");
            });
            assert_eq!(log.lines().count(), 2, "{log:?}");
            let told = log.split(ESCAPE).enumerate().map(|(at, piece)| {
                assert!(at == 0 || coloured && colours(piece), "{log:?}");
                piece
            });
            let told: String = told.collect();
            assert!(!told.chars().any(|c| controls(c) && c != '\n'), "{told:?}");
            assert!(told.contains("INFO registered") && told.contains("202e"), "{told}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_all_the_same() {
        let mut out = Vec::new();
        Lines::new(&mut out, false).write_all(b"a\xFFb\x00\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\u{FFFD}b\\u{0}\n");
        assert_eq!(plain("peak\t\u{85}\u{2067}x"), "peak\\t\\u{85}\\u{2067}x");
        assert_eq!(plain("Wärme 🔥"), "Wärme 🔥");
    }
}
