//! A decoder at a line with a meter, in virtual time.

mod fuzz;
mod rounds;
mod samples;

use std::collections::VecDeque;

use super::poll::time_of;
use super::{IecDecoder, IecSimulator, PullSettings, SimulatedMode};
use crate::metering::decoder::{Act, Decoder as _, Framing, LineSettings, Why};
use crate::metering::session::Said;
use crate::metering::telegram::Telegram;
use crate::time::{Span, Timestamp};

/// In pieces of these sizes bytes come from a line.
const PIECES: [usize; 4] = [1, 7, 64, 4096];

const START: Timestamp = Timestamp::from_seconds(1_893_456_000);

/// What a test plays a meter with: what it says when it hears bytes at a speed.
type Meter<'a> = Box<dyn FnMut(&[u8], u32, Timestamp) -> Vec<Said> + 'a>;

/// A line with a decoder at one end and a meter at the other.
struct Line<'a> {
    decoder: IecDecoder,
    meter: Meter<'a>,
    now: Span,
    set: LineSettings,
    piece: usize,
    /// Bytes on their way to the decoder: when they come, at which speed, which.
    coming: VecDeque<(Span, u32, Vec<u8>)>,
    /// The head sends back what it hears.
    echoes: bool,
    /// What was sent, when it began.
    sent: Vec<(Span, u32, Vec<u8>)>,
    outcomes: Vec<Result<Telegram, Why>>,
}

impl<'a> Line<'a> {
    fn new(decoder: IecDecoder, piece: usize, meter: Meter<'a>) -> Self {
        Self {
            decoder,
            meter,
            now: Span::ZERO,
            set: LineSettings { baud: 1, framing: Framing::EightNone },
            piece,
            coming: VecDeque::new(),
            echoes: false,
            sent: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    fn take(&mut self) {
        let outcomes = std::iter::from_fn(|| self.decoder.next());
        self.outcomes.extend(outcomes.map(|outcome| outcome.map_err(|refused| refused.why)));
    }

    /// The meter's bytes come at the speed of the line, in pieces.
    fn say(&mut self, said: Vec<Said>) {
        let mut at = self.now.max(self.coming.back().map_or(Span::ZERO, |(at, ..)| *at));
        for Said { after, line, bytes } in said {
            let line = line.unwrap_or(self.set);
            at = at + after;
            // No system collects bytes for longer than a second.
            let second = usize::try_from(line.baud / 10).unwrap();
            for piece in bytes.chunks(self.piece.min(second)) {
                at = at + time_of(line, piece.len());
                self.coming.push_back((at, line.baud, piece.to_vec()));
            }
        }
    }

    /// Plays until that time.
    fn until(&mut self, end: Span) {
        let mut idle = 0;
        while self.now < end {
            self.take();
            let wake = match self.decoder.act(self.now) {
                Act::Listen => end,
                Act::ListenUntil(until) | Act::Rest(until) => {
                    idle = if until <= self.now { idle + 1 } else { 0 };
                    assert!(idle < 10, "it is never done");
                    until
                }
                Act::Set(line) => {
                    self.set = line;
                    continue;
                }
                Act::Discard => {
                    self.coming.clear();
                    continue;
                }
                Act::Send(bytes) => {
                    self.send(&bytes);
                    continue;
                }
            };
            let next = self.coming.front().map_or(end, |(at, ..)| *at);
            self.now = wake.min(next).min(end).max(self.now);
            while self.coming.front().is_some_and(|(at, ..)| *at <= self.now)
                && let Some((_, baud, bytes)) = self.coming.pop_front()
            {
                // At another speed nothing but garbage is heard.
                let heard = if baud == self.set.baud { bytes } else { vec![0x7E; bytes.len()] };
                self.decoder.push(&heard);
            }
        }
        self.take();
    }

    fn send(&mut self, bytes: &[u8]) {
        self.sent.push((self.now, self.set.baud, bytes.to_vec()));
        self.now = self.now + time_of(self.set, bytes.len());
        if self.echoes {
            self.coming.push_back((self.now, self.set.baud, bytes.to_vec()));
        }
        let said = (self.meter)(bytes, self.set.baud, START + self.now);
        self.say(said);
    }

    /// The texts that were sent, without what wakes a meter up.
    fn texts(&self) -> Vec<String> {
        let texts = self.sent.iter().map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned());
        texts.filter(|text| !text.starts_with('\0')).collect()
    }

    fn telegrams(&self) -> Vec<&Telegram> {
        self.outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect()
    }
}

const HOUR: Span = Span::HOUR;

fn asking(settings: PullSettings) -> IecDecoder {
    IecDecoder::asking(settings).unwrap()
}

fn simulated(meter: &mut IecSimulator) -> Meter<'_> {
    Box::new(|bytes, baud, at| meter.hear(bytes, baud, at))
}
