//! Reads meters by IEC 62056-21 ("D0"), modes A to D: asks them, or listens to those that speak by themselves.
//!
//! What a meter says in its data sets means the same in all modes. Mode E is offered by some meters; they are read in mode C.

mod clock;
mod data_set;
mod frame;
mod identification;
mod objects;
mod poll;
mod simulator;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::metering::decoder::{Act, Decoder, LineSettings, Refused, Why};
use crate::metering::telegram::{ObjectValue, Telegram};
use crate::openadr::message::DataQuality;
use crate::time::Span;

use data_set::data_sets;
use frame::{Block, Found, Frames};
use poll::{Awaited, Lapse, Poll};

pub(crate) use identification::name_of_meter;
pub(crate) use simulator::{IecSimulator, SimulatedMode};

/// So many outcomes wait to be taken; what comes after them waits as bytes.
const WAITING: usize = 2;
/// So much of the values of single addresses is kept.
const VALUES: usize = 8 * 1024;
/// No address of a device is longer (6.3.1).
const ADDRESS: usize = 32;

/// How a meter is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullSettings {
    /// The device that is meant, where several hear the line; empty: any.
    pub(crate) address: String,
    /// The meter has a battery, and sleeps.
    pub(crate) wake_up: bool,
    /// From one round to the next, if the answers take no longer; with a battery no less than an hour.
    pub(crate) every: Span,
    /// Speed of the request.
    pub(crate) start_baud: u32,
    /// The speed is this, and never changes.
    pub(crate) fixed_baud: Option<u32>,
    /// These addresses are read one by one in programming mode; none: the meter tells what it wants.
    pub(crate) read: Vec<String>,
    /// Believe blocks with a wrong checksum too, for meters that calculate it otherwise; such values are uncertain.
    pub(crate) ignore_bcc: bool,
}

/// A meter cannot be asked so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPull {
    #[error("device address \"{0}\" has more than 32 characters, or others than letters, digits and blanks")]
    Device(String),
    #[error("address \"{0}\" is none of a data set")]
    Address(String),
    #[error("a line of {0} bits per second is none of IEC 62056-21")]
    Baud(u32),
}

impl PullSettings {
    /// For a meter that is alone at its line, asked every so often.
    pub(crate) const fn every(every: Span) -> Self {
        Self {
            address: String::new(),
            wake_up: false,
            every,
            start_baud: 300,
            fixed_baud: None,
            read: Vec::new(),
            ignore_bcc: false,
        }
    }

    /// How the line is set when a round begins.
    pub(crate) fn line(&self) -> LineSettings {
        poll::first_line(self)
    }

    fn check(&self) -> Result<(), BadPull> {
        let is_device = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
        if self.address.len() > ADDRESS || !self.address.bytes().all(is_device) {
            return Err(BadPull::Device(self.address.clone()));
        }
        let is_set = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'/' | b'!');
        let bad =
            |address: &&String| address.is_empty() || address.len() > ADDRESS || !address.bytes().all(is_set);
        if let Some(address) = self.read.iter().find(bad) {
            return Err(BadPull::Address(address.clone()));
        }
        match self.line().baud {
            300..=115_200 => Ok(()),
            baud => Err(BadPull::Baud(baud)),
        }
    }
}

/// Takes bytes in pieces of any size, and gives telegrams.
#[derive(Debug)]
pub(crate) struct IecDecoder {
    frames: Frames,
    /// Where the meter is asked.
    poll: Option<Poll>,
    /// What the meter's clock is ahead of UTC in winter.
    clock_base: Span,
    waiting: VecDeque<Result<Telegram, Refused>>,
    /// The values of the addresses that were read one by one, as data sets.
    values: String,
    /// Something was told of this round.
    told: bool,
    /// This meter sends checksums; data without one are damaged from now on.
    sends_bcc: bool,
    /// Data without a checksum have come before.
    unchecked_before: bool,
}

impl IecDecoder {
    /// For a meter that speaks by itself (mode D), with or without the marks of a block.
    pub(crate) fn listening() -> Self {
        Self {
            frames: Frames::default(),
            poll: None,
            clock_base: Span::HOUR,
            waiting: VecDeque::new(),
            values: String::new(),
            told: false,
            sends_bcc: false,
            unchecked_before: false,
        }
    }

    /// For a meter that is asked (modes A, B, C).
    ///
    /// # Errors
    ///
    /// Where an address cannot be written in a request, or a speed is none.
    pub(crate) fn asking(settings: PullSettings) -> Result<Self, BadPull> {
        settings.check()?;
        let mut decoder = Self::listening();
        (decoder.frames.patient, decoder.frames.ignore_bcc) = (true, settings.ignore_bcc);
        decoder.poll = Some(Poll::new(settings));
        Ok(decoder)
    }

    /// The same, for a meter whose clock is ahead of UTC by this in winter.
    pub(crate) fn with_clock_base(self, clock_base: Span) -> Self {
        Self { clock_base, ..self }
    }

    fn awaited(&self) -> Awaited {
        self.poll.as_ref().map_or(Awaited::Nothing, Poll::awaited)
    }

    /// Looks at everything that has come, as long as somebody takes what it is.
    fn look(&mut self) {
        while self.waiting.len() < WAITING
            && let Some(found) = self.frames.next()
        {
            self.take(found);
        }
    }

    fn take(&mut self, found: Found) {
        match found {
            Found::Identification(identification) => {
                if let Some(poll) = &mut self.poll {
                    poll.identified(&identification);
                }
            }
            Found::Refused(refused) => self.refuse(refused),
            Found::Block(block) => {
                let taken = match (block.command, self.awaited()) {
                    (None, Awaited::Value) => self.value(&block),
                    (None, _) => self.readout(&block),
                    (Some(command), _) => {
                        // Any other is the echo of our own.
                        if command == *b"P0"
                            && let Some(poll) = &mut self.poll
                        {
                            poll.prompted();
                        }
                        Ok(())
                    }
                };
                if let Err(why) = taken {
                    self.refuse(Refused::new(why, block.text.as_bytes()));
                }
            }
        }
    }

    fn refuse(&mut self, refused: Refused) {
        if let Some(poll) = &mut self.poll {
            poll.damaged();
        }
        self.tell(Err(refused));
    }

    fn tell(&mut self, outcome: Result<Telegram, Refused>) {
        self.told = true;
        self.waiting.push_back(outcome);
    }

    /// Everything that the meter tells.
    fn readout(&mut self, block: &Block) -> Result<(), Why> {
        if !block.checked && self.sends_bcc && !self.frames.ignore_bcc {
            return Err(Why::CrcMissing);
        }
        let sets = data_sets(&block.text, !block.checked || block.doubtful)?;
        let telegram = objects::telegram(&sets, self.clock_base);
        let counts = telegram.objects.iter().any(|object| matches!(object.value, ObjectValue::Number(..)));
        if !block.checked && !counts {
            return Err(Why::Cut);
        }
        self.sends_bcc |= block.checked;
        let first = !block.checked && !std::mem::replace(&mut self.unchecked_before, !block.checked);
        let uncertain = first || !block.checked && self.frames.ignore_bcc;
        let quality = if uncertain { DataQuality::Uncertain } else { DataQuality::Good };
        self.tell(Ok(Telegram { quality, ..telegram }));
        if let Some(poll) = &mut self.poll {
            poll.readout();
        }
        Ok(())
    }

    /// The value of one address; some meters do not repeat the address.
    fn value(&mut self, block: &Block) -> Result<(), Why> {
        let Some(poll) = &mut self.poll else { return Ok(()) };
        let address = if block.text.trim_start().starts_with('(') { poll.address() } else { "" };
        let sets = format!("{address}{}", block.text.trim());
        if !block.checked && !self.frames.ignore_bcc {
            return Err(Why::CrcMissing);
        }
        let is_error = data_sets(&sets, true)?.iter().any(|set| set.text.starts_with("ER"));
        let missing = match is_error {
            true => Some(format!("the meter answers {sets} to a request for {}", poll.address())),
            false if self.values.len() + sets.len() > VALUES => Some("too many values are to be read".into()),
            false => None,
        };
        let over = poll.next_address();
        match missing {
            Some(what) => self.tell(Err(Refused::new(Why::Content { at: 0, what }, block.text.as_bytes()))),
            None => {
                self.values.push_str(&sets);
                self.values.push_str("\r\n");
            }
        }
        if over {
            self.values_told();
        }
        Ok(())
    }

    /// Everything was read that was to be.
    fn values_told(&mut self) {
        let values = std::mem::take(&mut self.values);
        if let Ok(sets) = data_sets(&values, false) {
            self.tell(Ok(objects::telegram(&sets, self.clock_base)));
        }
    }

    /// Nothing came in time.
    fn lapse(&mut self) {
        let Some(poll) = &mut self.poll else { return };
        match poll.lapse() {
            Lapse::Again => {}
            Lapse::Skipped => {
                let what = format!("no answer to a request for {}", poll.address());
                let over = poll.next_address();
                self.tell(Err(Refused::new(Why::Content { at: 0, what }, &[])));
                if over {
                    self.values_told();
                }
            }
            Lapse::Failed => {
                if !self.told {
                    self.tell(Err(Refused::new(Why::NoAnswer, &[])));
                }
            }
        }
    }

    fn planned(&mut self, now: Span) -> Option<Act> {
        self.poll.as_mut().and_then(|poll| poll.act(now))
    }

    /// Bytes of memory that undecided bytes take.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.frames.held() + self.values.capacity()
    }
}

impl Decoder for IecDecoder {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(poll) = &mut self.poll {
            poll.heard();
        }
        self.frames.push(bytes);
    }

    fn quiet(&mut self) {
        self.frames.end();
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        self.look();
        self.waiting.pop_front()
    }

    fn act(&mut self, now: Span) -> Act {
        if self.poll.is_none() {
            return Act::Listen;
        }
        self.look();
        let mut act = self.planned(now);
        if act.is_none() {
            // What has come may be everything.
            self.frames.end();
            self.look();
            act = self.planned(now);
        }
        if act.is_none() {
            self.lapse();
            act = self.planned(now);
        }
        if act == Some(Act::Discard) {
            self.frames.clear();
            self.values.clear();
            self.told = false;
        }
        act.unwrap_or(Act::Listen)
    }
}
