//! Reads SML, the Smart Message Language of German meters: files of bytes that a meter sends by itself every few seconds.
//!
//! Sources: BSI TR-03109-1 annex IV (Smart Message Language 1.04), the FNN's specification of basic meters, DIN 43863-5 (numbers
//! of meters), and recordings of meters for what they do otherwise.

// Open for benches/against_sml_rs, which looks at entries where they stand.
pub(crate) mod message;
mod objects;
mod signs;
mod simulator;
mod transport;
pub(crate) mod tree;
mod writer;

#[cfg(test)]
mod tests;

use crate::metering::decoder::{Decoder, Refused};
use crate::metering::telegram::Telegram;

use message::{Checksums, Part};
use objects::Collector;
use transport::Frames;

pub(crate) use objects::PIN_MISSING;
pub(crate) use simulator::{SmlReading, sml_file};

/// Takes bytes in pieces of any size, and gives telegrams.
#[derive(Debug, Default)]
pub(crate) struct SmlDecoder {
    frames: Frames,
    /// The line is silent: what has begun will not go on.
    ended: bool,
    checksums: Checksums,
    /// This meter has said parts of a kilowatt hour.
    fine: bool,
}

impl SmlDecoder {
    /// For any meter: nothing needs to be known of it.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads the next file and tells its parts as they stand in it; or says what was no good one. The parts count only when it was good.
    pub(crate) fn next_file(&mut self, tell: impl FnMut(Part<'_>)) -> Option<Result<(), Refused>> {
        let (read, framed) = match self.frames.next(self.ended)? {
            Ok(payload) => (message::read(payload, &mut self.checksums, tell), true),
            Err(why) => (Err(why), false),
        };
        let why = match read {
            Ok(()) => return Some(Ok(())),
            Err(why) => why,
        };
        let refused = Refused::new(why, self.frames.last_bytes());
        if framed {
            self.frames.refuse();
        }
        Some(Err(refused))
    }

    /// Bytes of memory that undecided bytes take.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.frames.held()
    }

    /// Bytes that went into checksums.
    #[cfg(test)]
    fn work(&self) -> usize {
        self.frames.work
    }
}

impl Decoder for SmlDecoder {
    /// Only so much is kept as is good for a few files.
    fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        self.frames.push(bytes);
    }

    fn quiet(&mut self) {
        self.ended = true;
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        let mut collector = Collector::default();
        let read = self.next_file(|part| collector.take(part))?;
        Some(read.map(|()| collector.telegram(&mut self.fine)))
    }
}
