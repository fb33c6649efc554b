//! The order in which a line is tried, and what comes out of it.
//!
//! Whoever speaks by himself does so at least every ten seconds, and is heard at any speed, as noise at the wrong one. So we listen
//! once; what is heard is sought at the other settings; what is silent is asked.

use std::fmt;
use std::io;

use crate::metering::{Framing, LineSettings};
use crate::time::Span;

use super::ask::{ask_iec, ask_modbus};
use super::line::Line;
use super::listen::{Heard, listen};

/// Nobody waits longer.
const WITHIN: Span = Span::from_seconds(60);
/// A little more than the pause of a meter that speaks every ten seconds.
const PAUSE: Span = Span::from_seconds(12);
/// The settings of meters that speak by themselves, those of most first. 9600 7E1 is found at 9600 8N1: its characters are as long,
/// with the parity where the eighth bit is.
const SETTINGS: &[LineSettings] = &[
    LineSettings { baud: 115_200, framing: Framing::EightNone },
    LineSettings { baud: 2400, framing: Framing::EightEven },
    LineSettings { baud: 2400, framing: Framing::EightNone },
    LineSettings { baud: 9600, framing: Framing::EightNone },
    LineSettings { baud: 9600, framing: Framing::EightEven },
];

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// `settings`: lines of the configuration beside name, source and those of the line.
    Found {
        what: String,
        settings: Vec<String>,
        line: LineSettings,
    },
    /// It is understood as far as one can without its key.
    Encrypted {
        what: String,
        settings: Vec<String>,
        line: LineSettings,
    },
    /// Something was heard.
    NotUnderstood {
        bytes: usize,
    },
    Nothing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { what, line, .. } => write!(f, "found: {what} at {line}"),
            Self::Encrypted { what, line, .. } => {
                write!(f, "found: {what} at {line}, encrypted: a key is needed, which the operator of the grid gives")
            }
            Self::NotUnderstood { bytes } => write!(
                f,
                "heard {bytes} bytes, but understood nothing; is the signal inverted, or the protocol one that is not known here?"
            ),
            Self::Nothing => f.write_str(
                "nothing was heard, and nobody answers; is the cable plugged in, the meter's port switched on, the reading head in its \
                 place?",
            ),
        }
    }
}

/// A search on a line.
pub(super) struct Search<'l, L, T> {
    line: &'l mut L,
    tell: T,
    until: Span,
    bytes: usize,
}

impl<'l, L: Line, T: FnMut(&str)> Search<'l, L, T> {
    /// Begins now; `tell` is told what is tried.
    pub(super) fn new(line: &'l mut L, tell: T) -> Self {
        let until = line.now() + WITHIN;
        Self { line, tell, until, bytes: 0 }
    }

    /// Searches, for a minute at most.
    ///
    /// # Errors
    ///
    /// Where the line goes away.
    pub(super) async fn run(&mut self) -> io::Result<Verdict> {
        let settings = if self.line.has_speeds() { SETTINGS } else { &SETTINGS[..1] };
        let mut rest = settings.iter();
        if let Some(first) = rest.next()
            && let Some(verdict) = self.listen(*first, PAUSE).await?
        {
            return Ok(verdict);
        }
        if self.bytes == 0
            && let Some(verdict) = self.ask().await?
        {
            return Ok(verdict);
        }
        while let Some(setting) = rest.next() {
            // What is left is for those that are left.
            let left = i64::try_from(rest.len()).unwrap_or(0) + 1;
            let share = Span::from_micros((self.until - self.line.now()).micros() / left);
            if let Some(verdict) = self.listen(*setting, share.min(PAUSE)).await? {
                return Ok(verdict);
            }
        }
        // Somebody who is asked and speaks at another speed is heard too, by chance.
        if self.bytes > 0
            && let Some(verdict) = self.ask().await?
        {
            return Ok(verdict);
        }
        Ok(if self.bytes > 0 { Verdict::NotUnderstood { bytes: self.bytes } } else { Verdict::Nothing })
    }

    async fn listen(&mut self, setting: LineSettings, within: Span) -> io::Result<Option<Verdict>> {
        if within <= Span::ZERO {
            return Ok(None);
        }
        (self.tell)(&format!("listening at {setting}"));
        self.line.set(setting).await?;
        let Heard { bytes, verdict } = listen(self.line, setting, within).await?;
        self.bytes += bytes;
        Ok(verdict)
    }

    async fn ask(&mut self) -> io::Result<Option<Verdict>> {
        (self.tell)("asking by IEC 62056-21");
        if let Some(verdict) = ask_iec(self.line, self.until).await? {
            return Ok(Some(verdict));
        }
        (self.tell)("asking by Modbus");
        ask_modbus(self.line, self.until).await
    }
}
