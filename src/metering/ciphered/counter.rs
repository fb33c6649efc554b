//! Keeps the frame counters, so that no frame is taken twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metering::decoder::Why;

/// Who sends encrypted frames: three letters of the maker, and five bytes of a number. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SystemTitle(pub(crate) [u8; 8]);

impl fmt::Display for SystemTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for SystemTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SystemTitle> for String {
    fn from(title: SystemTitle) -> Self {
        title.to_string()
    }
}

impl TryFrom<String> for SystemTitle {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() == 16;
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| digits);
        number.map(|number| Self(number.to_be_bytes())).ok_or("a system title is 16 hexadecimal digits")
    }
}

/// So many system titles are remembered; a line has one meter, or a few.
const MOST: usize = 16;

/// The last frame counter that was accepted of each system title. A later run of the program must begin with it, or with one that is
/// [`ahead`](Self::ahead) of it. What a meter starts anew is forgotten by beginning with an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct CounterGuard {
    last: BTreeMap<SystemTitle, u32>,
}

impl CounterGuard {
    /// Accepts a counter above the last one. `FFFFFFFF` is the end: nothing is above it, and the meter needs a new key.
    ///
    /// # Errors
    ///
    /// [`Why::Replayed`] where it is not above; and where there are too many meters to remember.
    pub(super) fn accept(&mut self, title: SystemTitle, counter: u32) -> Result<(), Why> {
        match self.last.get(&title) {
            Some(last) if counter <= *last => return Err(Why::Replayed { counter, last: *last }),
            None if self.last.len() >= MOST => {
                let what = format!("{title} is one meter more than the {MOST} whose counters are remembered");
                return Err(Why::Content { at: 2, what });
            }
            Some(_) | None => {}
        }
        self.last.insert(title, counter);
        Ok(())
    }

    /// The same, as if each meter had sent so many frames more.
    pub(crate) fn ahead(&self, frames: u32) -> Self {
        let ahead = |(title, last): (&SystemTitle, &u32)| (*title, last.saturating_add(frames));
        Self { last: self.last.iter().map(ahead).collect() }
    }

    /// Nothing that the other has accepted is accepted here.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.last.iter().all(|(title, last)| self.last.get(title).is_some_and(|own| own >= last))
    }

    /// How many frames have come since the counters were those, of the meter that has sent most.
    pub(crate) fn frames_since(&self, before: &Self) -> u32 {
        let since = |(title, last): (&SystemTitle, &u32)| Some(last.saturating_sub(*before.last.get(title)?));
        self.last.iter().filter_map(since).max().unwrap_or(0)
    }

    /// The last counter that was accepted of this system title.
    #[cfg(test)]
    pub(crate) fn last(&self, title: SystemTitle) -> Option<u32> {
        self.last.get(&title).copied()
    }
}
