//! Asks a meter for its registers, round after round, and makes each round a telegram.
//!
//! ```text
//! Between -> Ready -> Sent -> Waiting -> Settling -> Between     answered; 20 ms later nothing more had come
//! (Rest)     (Discard) (Send)     |          |
//!                                 +----------+---> Draining      no answer, a damaged one, or two: one more time-out, and all that
//!                                                                comes is thrown away; then the same request once more
//! ```
//!
//! Replies do not say which registers they hold. One that comes late, when the next request is out already, would be taken for the
//! answer to that: volts for amperes. So after a time-out nothing is asked until what may still come has come.

use std::collections::VecDeque;

use super::direction;
use super::frame::{Listening, has_no_such};
use super::map::{Register, RegisterMap};
use super::plan::{Block, blocks, values};
use crate::metering::decoder::{Act, Decoder, Refused, Why};
use crate::metering::obis::ObisCode;
use crate::metering::telegram::{Object, ObjectValue, Telegram};
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Span;

/// Between a reply and the next request: so long the line is silent.
const PAUSE: Span = Span::from_millis(20);
/// Bytes that come one after the other are no further apart, whatever adapter is between.
const TOGETHER: Span = Span::from_millis(100);
/// So many times the time-out, and no longer, a line is listened to on which bytes come all the time.
const PATIENCE: i64 = 3;
/// What a meter says that it does not have is asked for again after so long: it may have been set up otherwise.
const REST: Span = Span::HOUR;
/// So many telegrams and refusals wait to be taken; then the oldest is dropped.
const MOST_WAITING: usize = 8;

/// How a meter is asked.
#[derive(Clone, Debug)]
pub(crate) struct ModbusSettings {
    /// The meter's address on the bus, 1 to 247.
    pub(crate) unit: u8,
    pub(crate) map: RegisterMap,
    /// From the beginning of a round to that of the next.
    pub(crate) interval: Span,
    /// From the end of a request to the reply.
    pub(crate) time_out: Span,
    /// The meter is built in the other way round: what it calls import is export.
    pub(crate) invert: bool,
}

impl ModbusSettings {
    /// How long a meter may take to answer; most take less than 100 ms.
    pub(crate) const TIME_OUT: Span = Span::SECOND;
}

/// Asks a meter by Modbus RTU. A telegram becomes ready in [`Decoder::act`], so ask for [`Decoder::next`] after that as well.
#[derive(Debug)]
pub(crate) struct ModbusDecoder {
    settings: ModbusSettings,
    blocks: Vec<Block>,
    /// Counts from 1.
    round: u32,
    round_began: Span,
    /// What is still to be asked for in this round.
    queue: VecDeque<Block>,
    /// What the meter has said in this round, by the places in the map.
    values: Vec<Option<Decimal>>,
    /// A request of this round had no good answer, even when it was repeated.
    failed: bool,
    /// It was told of this round that there is no answer.
    told: bool,
    /// What is asked for was asked for before, in vain.
    repeated: bool,
    state: State,
    waiting: VecDeque<Result<Telegram, Refused>>,
}

/// Where it is in a request.
#[derive(Debug)]
enum State {
    /// Nothing is asked for before this time.
    Between(Span),
    /// What is left on the line is being forgotten; then the request goes out.
    Ready(Block),
    /// It is going out.
    Sent(Block, Listening),
    /// There is no reply yet.
    Waiting(Asked),
    /// The reply is there; it must stay alone until the line has been silent for the pause.
    Settling(Asked),
    /// What comes is thrown away.
    Draining {
        until: Span,
        latest: Span,
        /// Something has come since it was looked last.
        heard: bool,
    },
}

/// A request that is out.
#[derive(Debug)]
struct Asked {
    block: Block,
    listening: Listening,
    /// It is listened to until then.
    until: Span,
    /// However much comes.
    latest: Span,
    /// So many bytes had come when it was looked last.
    seen: u64,
}

impl Asked {
    /// Where bytes have come, more of the same may come for so long.
    fn prolong(&mut self, now: Span, by: Span) {
        let count = self.listening.count();
        if std::mem::replace(&mut self.seen, count) != count {
            self.until = self.until.max(now + by).min(self.latest);
        }
    }
}

impl ModbusDecoder {
    pub(crate) fn new(settings: ModbusSettings) -> Self {
        Self {
            blocks: blocks(&settings.map),
            round: 0,
            round_began: Span::ZERO,
            queue: VecDeque::new(),
            values: vec![None; settings.map.registers.len()],
            failed: false,
            told: false,
            repeated: false,
            state: State::Between(Span::from_micros(i64::MIN)),
            waiting: VecDeque::new(),
            settings,
        }
    }

    /// The next request, once it is time.
    fn ask(&mut self, from: Span, now: Span) -> Act {
        if now < from {
            return Act::Rest(from);
        }
        if self.queue.is_empty() {
            self.begin_round(now);
        }
        match self.queue.pop_front() {
            Some(block) => {
                self.state = State::Ready(block);
                Act::Discard
            }
            // The meter has none of the registers.
            None => {
                let from = now + self.settings.interval.max(Span::SECOND);
                self.state = State::Between(from);
                Act::Rest(from)
            }
        }
    }

    fn begin_round(&mut self, now: Span) {
        self.round = self.round.wrapping_add(1);
        self.round_began = now;
        (self.failed, self.told, self.repeated) = (false, false, false);
        self.values.fill(None);
        let round = self.round.wrapping_sub(1);
        let is_due = |block: &&Block| {
            round.is_multiple_of(block.every) && block.rests_until.is_none_or(|until| until <= now)
        };
        self.queue = self.blocks.iter().filter(is_due).cloned().collect();
    }

    /// The reply has stayed alone, or there is none.
    fn conclude(&mut self, block: Block, listening: &Listening, now: Span) -> Act {
        match listening.outcome() {
            Ok(bytes) => {
                for (place, value) in values(&self.settings.map, block.request(0), bytes) {
                    if let Some(slot) = self.values.get_mut(place) {
                        *slot = value;
                    }
                }
            }
            Err(why @ Why::Exception { code, .. }) => {
                self.excepted(&block, code, Refused::new(why, listening.bytes()), now);
            }
            Err(why) => return self.failed(block, Refused::new(why, listening.bytes()), now),
        }
        self.repeated = false;
        self.go_on(now)
    }

    /// The meter has said why it does not answer. Where it lacks a register of many, the others are asked for without it.
    fn excepted(&mut self, block: &Block, code: u8, refused: Refused, now: Span) {
        let own = self.blocks.iter().position(|known| has_no_such(code) && known == block);
        match (own, block.halves(&self.settings.map)) {
            (Some(own), Some([left, right])) => {
                self.queue.push_front(right.clone());
                self.queue.push_front(left.clone());
                self.blocks.splice(own..=own, [left, right]);
            }
            (Some(own), None) => {
                if let Some(block) = self.blocks.get_mut(own) {
                    block.rests_until = Some(now + REST);
                }
                self.tell(Err(refused));
            }
            (None, _) => self.tell(Err(refused)),
        }
    }

    /// No good reply: it is asked for once more, unless another was in vain already, as all are where the meter is off.
    fn failed(&mut self, block: Block, refused: Refused, now: Span) -> Act {
        let last = self.repeated || self.failed;
        let silence = refused.why == Why::NoAnswer;
        if !silence || (last && !self.told) {
            self.told |= silence;
            self.tell(Err(refused));
        }
        self.failed |= last;
        self.repeated = !last;
        if !last {
            self.queue.push_front(block);
        }
        let time_out = self.settings.time_out;
        let until = now + time_out;
        self.state = State::Draining { until, latest: now + time_out * PATIENCE, heard: false };
        Act::ListenUntil(until)
    }

    /// Others may have the line before the next request, or the next round.
    fn go_on(&mut self, now: Span) -> Act {
        let mut from = now;
        if self.queue.is_empty() {
            let telegram = self.telegram();
            if !telegram.objects.is_empty() {
                self.tell(Ok(telegram));
            }
            from = from.max(self.round_began + self.settings.interval);
        }
        self.state = State::Between(from);
        Act::Rest(from)
    }

    /// What the meter has said in this round, in the order of the map.
    fn telegram(&self) -> Telegram {
        let map = &self.settings.map;
        let said = |(register, value): (_, &Option<Decimal>)| {
            let value = (*value)?;
            Some(match self.settings.invert {
                true => object(register, direction::inverted(map, register, value)),
                false => object(register, (register.code, value)),
            })
        };
        let objects = map.registers.iter().zip(&self.values).filter_map(said).collect();
        Telegram { meter: None, clock: None, objects, quality: DataQuality::Good }
    }

    fn tell(&mut self, outcome: Result<Telegram, Refused>) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(outcome);
    }

    /// Waits for the reply: as long as the time-out, and until the end of one that has begun.
    fn wait(&mut self, mut asked: Asked, now: Span) -> Act {
        if asked.listening.is_answered() {
            (asked.until, asked.latest) = (now + PAUSE, now + self.settings.time_out);
            return self.settle(asked, now);
        }
        asked.prolong(now, TOGETHER);
        if now >= asked.until {
            return self.conclude(asked.block, &asked.listening, now);
        }
        let until = asked.until;
        self.state = State::Waiting(asked);
        Act::ListenUntil(until)
    }

    /// Waits for the pause behind the reply; what comes in it may be another one.
    fn settle(&mut self, mut asked: Asked, now: Span) -> Act {
        asked.prolong(now, PAUSE);
        if now >= asked.until {
            return self.conclude(asked.block, &asked.listening, now);
        }
        let until = asked.until;
        self.state = State::Settling(asked);
        Act::ListenUntil(until)
    }

    /// Bytes of memory that undecided bytes take.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let listening = match &self.state {
            State::Sent(_, listening)
            | State::Waiting(Asked { listening, .. })
            | State::Settling(Asked { listening, .. }) => listening.held(),
            State::Between(_) | State::Ready(_) | State::Draining { .. } => 0,
        };
        let refused = self.waiting.iter().filter_map(|outcome| outcome.as_ref().err());
        listening + refused.map(|refused| refused.bytes.len()).sum::<usize>()
    }
}

/// What a register says, under the code that counts for it.
pub(super) fn object(register: &Register, (code, value): (ObisCode, Decimal)) -> Object {
    let value = ObjectValue::Number(value, register.unit);
    Object { code, value, at: None, quality: DataQuality::Good }
}

impl Decoder for ModbusDecoder {
    /// What comes when nothing was asked for is no answer.
    fn push(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sent(_, listening)
            | State::Waiting(Asked { listening, .. })
            | State::Settling(Asked { listening, .. }) => listening.push(bytes),
            State::Draining { heard, .. } => *heard |= !bytes.is_empty(),
            State::Between(_) | State::Ready(_) => {}
        }
    }

    /// The time-out decides what will not go on: adapters make pauses inside replies.
    fn quiet(&mut self) {}

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        self.waiting.pop_front()
    }

    fn act(&mut self, now: Span) -> Act {
        match std::mem::replace(&mut self.state, State::Between(now)) {
            State::Between(from) => {
                self.state = State::Between(from);
                self.ask(from, now)
            }
            State::Ready(block) => {
                let request = block.request(self.settings.unit);
                self.state = State::Sent(block, Listening::new(request));
                Act::Send(request.bytes())
            }
            State::Sent(block, listening) => {
                let (until, latest) = (now + self.settings.time_out, now + self.settings.time_out * PATIENCE);
                self.wait(Asked { block, listening, until, latest, seen: 0 }, now)
            }
            State::Waiting(asked) => self.wait(asked, now),
            State::Settling(asked) => self.settle(asked, now),
            State::Draining { until, latest, heard } => {
                let until = if heard { until.max(now + TOGETHER).min(latest) } else { until };
                if now >= until {
                    return self.go_on(now);
                }
                self.state = State::Draining { until, latest, heard: false };
                Act::ListenUntil(until)
            }
        }
    }
}
