//! Cuts what a program writes into lines, and notices when it is too much.

use crate::time::Span;

/// Lines that a program may write in a second.
pub(super) const MOST_A_SECOND: u32 = 1000;

/// What has been read and is no whole line yet.
#[derive(Debug)]
pub(super) struct Lines {
    longest: usize,
    rest: Vec<u8>,
    /// The second in which lines are counted, and how many there were in it.
    counted: (Span, u32),
}

/// It writes too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flood {
    #[error("it has written a line of more than {0} octets")]
    Long(usize),
    #[error("it has written more than {MOST_A_SECOND} lines within a second")]
    Many,
}

impl Lines {
    pub(super) const fn new(longest: usize) -> Self {
        Self { longest, rest: Vec::new(), counted: (Span::ZERO, 0) }
    }

    /// The lines that end in what was read at this time (since the start of the VEN), without their ends; empty ones are left out.
    ///
    /// # Errors
    ///
    /// Where there are too many, or one is too long.
    pub(super) fn feed(&mut self, piece: &[u8], now: Span) -> Result<Vec<Vec<u8>>, Flood> {
        let mut lines = Vec::new();
        let mut pieces = piece.split(|octet| *octet == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.rest.extend_from_slice(piece);
            if self.rest.len() > self.longest {
                return Err(Flood::Long(self.longest));
            }
            if pieces.peek().is_some() {
                self.count(now)?;
                let line = std::mem::take(&mut self.rest);
                let line = line.strip_suffix(b"\r").map_or_else(|| line.clone(), <[u8]>::to_vec);
                lines.extend((!line.trim_ascii().is_empty()).then_some(line));
            }
        }
        Ok(lines)
    }

    fn count(&mut self, now: Span) -> Result<(), Flood> {
        if now - self.counted.0 >= Span::SECOND {
            self.counted = (now, 0);
        }
        self.counted.1 += 1;
        if self.counted.1 > MOST_A_SECOND { Err(Flood::Many) } else { Ok(()) }
    }
}

/// Lets some lines of a second through, and counts the others.
#[derive(Debug)]
pub(super) struct Throttle {
    most: u32,
    second: Span,
    count: u32,
    dropped: u64,
}

impl Throttle {
    pub(super) const fn new(most: u32) -> Self {
        Self { most, second: Span::ZERO, count: 0, dropped: 0 }
    }

    /// Whether a line goes through; with the first after some that did not, how many those were.
    pub(super) fn pass(&mut self, now: Span) -> Option<u64> {
        if now - self.second >= Span::SECOND {
            (self.second, self.count) = (now, 0);
        }
        self.count += 1;
        if self.count > self.most {
            self.dropped += 1;
            return None;
        }
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::{Flood, Lines, MOST_A_SECOND, Throttle};
    use crate::time::Span;

    #[test]
    fn lines_are_the_same_however_they_are_cut_into_pieces() {
        let text = b"{\"a\":1}\r\n\n  \n{\"b\":\"\xc3\xa4\"}\nrest";
        let whole = Lines::new(99).feed(text, Span::ZERO).unwrap();
        assert_eq!(whole, [b"{\"a\":1}".to_vec(), "{\"b\":\"ä\"}".as_bytes().to_vec()]);
        for size in 1..text.len() {
            let mut lines = Lines::new(99);
            let cut = text.chunks(size).flat_map(|piece| lines.feed(piece, Span::ZERO).unwrap());
            assert_eq!(cut.collect::<Vec<_>>(), whole, "{size}");
        }
    }

    #[test]
    fn a_line_too_long_is_noticed_before_it_ends() {
        let mut lines = Lines::new(10);
        assert_eq!(lines.feed(b"0123456789\n0123456789", Span::ZERO).unwrap().len(), 1);
        assert_eq!(lines.feed(b"0", Span::ZERO), Err(Flood::Long(10)));
    }

    #[test]
    fn a_thousand_lines_a_second_are_the_most() {
        let mut lines = Lines::new(10);
        let many = b"x\n".repeat(MOST_A_SECOND as usize);
        for second in 0..5 {
            assert_eq!(lines.feed(&many, Span::from_seconds(second)).unwrap().len(), 1000);
        }
        assert_eq!(lines.feed(b"\n", Span::from_seconds(4)), Err(Flood::Many), "empty ones count too");
    }

    #[test]
    fn what_is_held_back_is_counted() {
        let mut throttle = Throttle::new(2);
        let first: Vec<_> = (0..5).map(|_| throttle.pass(Span::ZERO)).collect();
        assert_eq!(first, [Some(0), Some(0), None, None, None]);
        assert_eq!([throttle.pass(Span::SECOND), throttle.pass(Span::SECOND)], [Some(3), Some(0)]);
    }
}
