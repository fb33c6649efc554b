//! Asks a meter, step by step (IEC 62056-21, 6.4): what is to be done at the line, and when a step has failed.
//!
//! ```text
//! wake-up -> request -> identification -> (acknowledgement) -> new speed -> block -> rest until the next round
//!                                                                 | nothing: back to the first speed, and listen
//!                                                                 | damaged: ask again by NAK, three times
//! programming mode: prompt -> for each address: read, block -> end of session
//! ```

use std::collections::VecDeque;

use crate::metering::decoder::{Act, Framing, LineSettings};
use crate::time::Span;

use super::PullSettings;
use super::frame::{LONGEST, bcc};
use super::identification::{Identification, Mode};

/// An answer begins within 1500 ms, and this for slow adapters.
const FIRST: Span = Span::from_millis(2_000);
/// The longest pause within an answer.
const BETWEEN: Span = Span::from_millis(1_500);
/// A damaged answer is over when the line is silent for so long.
const SETTLED: Span = Span::from_millis(300);
/// A meter needs 200 ms until it hears again; 300 ms are safe.
const REACTION: Span = Span::from_millis(300);
/// One whose maker has a small third letter needs this.
const FAST_REACTION: Span = Span::from_millis(20);
/// Bytes without meaning are listened to no longer than this, and the time that the longest answer takes.
const CHATTER: Span = Span::from_seconds(10);
/// A wake-up lasts from 2.1 s to 2.3 s,
const WAKE_UP_MILLIS: u64 = 2_200;
/// and then the meter gets ready from 1.5 s to 1.7 s.
const WAKING: Span = Span::from_millis(1_600);
/// A block is asked for again so many times.
const NAKS: u8 = 3;
/// So many rounds that failed are followed by another one at once; by one alone where the meter has a battery.
const AT_ONCE: u8 = 2;
/// Between two rounds a meter has time to go back to its first speed.
const REST: Span = Span::from_seconds(5);
/// A battery meter is asked no more often than this.
const BATTERY: Span = Span::HOUR;

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
/// Ends the programming mode: command `B0`, and its checksum.
const END: &[u8] = b"\x01B0\x03q";

/// Something to be done in its turn.
#[derive(Clone, Debug)]
enum Todo {
    /// Wait for so long, from when it is its turn.
    Pause(Span),
    Until(Span),
    Act(Act),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The next round.
    #[default]
    Nothing,
    Identification,
    /// The data of a readout.
    Data,
    /// Data at the first speed, because nothing was heard at the other.
    Late,
    /// That the meter is in programming mode.
    Prompt,
    /// The data of one address.
    Value,
}

/// What is to be done because nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// Nothing: it was asked again.
    Again,
    /// One address has no answer.
    Skipped,
    /// The round has failed.
    Failed,
}

/// Where a round stands.
#[derive(Debug)]
pub(super) struct Poll {
    settings: PullSettings,
    plan: VecDeque<Todo>,
    awaited: Awaited,
    /// How the line is set.
    line: LineSettings,
    /// Bytes have come since the last look at the clock.
    heard: bool,
    /// Something of the answer was damaged.
    damaged: bool,
    /// The answer must have begun, or gone on, by then.
    deadline: Option<Span>,
    /// No answer lasts longer.
    latest: Span,
    naks: u8,
    /// Rounds that failed, one after the other.
    failures: u8,
    /// When the round began.
    began: Span,
    /// The round is over, and the next begins so long after its beginning.
    rest: Option<Span>,
    /// The next round begins then; at once at the start.
    next_round: Option<Span>,
    /// How long the meter needs to hear again.
    reaction: Span,
    /// The meter did not follow to its other speed: let it stay at the first.
    stay: bool,
    /// In programming mode: how many addresses were read.
    read: usize,
}

impl Poll {
    pub(super) fn new(settings: PullSettings) -> Self {
        let line = first_line(&settings);
        Self {
            settings,
            plan: VecDeque::new(),
            awaited: Awaited::Nothing,
            line,
            heard: false,
            damaged: false,
            deadline: None,
            latest: Span::ZERO,
            naks: 0,
            failures: 0,
            began: Span::ZERO,
            rest: None,
            next_round: None,
            reaction: REACTION,
            stay: false,
            read: 0,
        }
    }

    pub(super) const fn awaited(&self) -> Awaited {
        self.awaited
    }

    /// The address whose value is waited for.
    pub(super) fn address(&self) -> &str {
        self.settings.read.get(self.read).map_or("", |address| address)
    }

    /// Bytes have come.
    pub(super) const fn heard(&mut self) {
        self.heard = true;
    }

    /// What has come was no good answer.
    pub(super) const fn damaged(&mut self) {
        self.damaged = true;
    }

    /// What is to be done now; `None`: the time for an answer is over, see [`Poll::lapse`].
    pub(super) fn act(&mut self, now: Span) -> Option<Act> {
        if let Some(act) = self.planned(now) {
            return Some(act);
        }
        if self.awaited == Awaited::Nothing {
            if let Some(every) = self.rest.take() {
                self.next_round = Some((self.began + every).max(now + REST));
            }
            return match self.next_round {
                Some(next) if now < next => Some(Act::ListenUntil(next)),
                _ => {
                    self.begin(now);
                    self.planned(now)
                }
            };
        }
        let heard = std::mem::take(&mut self.heard);
        let deadline = match self.deadline {
            None => {
                self.latest = now + CHATTER + time_of(self.line, self.longest());
                now + FIRST
            }
            Some(_) if heard && self.damaged => now + SETTLED,
            // What was heard may be our own echo.
            Some(deadline) if heard => deadline.max(now + BETWEEN),
            Some(deadline) => deadline,
        };
        let deadline = deadline.min(self.latest);
        self.deadline = Some(deadline);
        (now < deadline).then_some(Act::ListenUntil(deadline))
    }

    /// The next thing of the plan.
    fn planned(&mut self, now: Span) -> Option<Act> {
        while let Some(todo) = self.plan.pop_front() {
            match todo {
                Todo::Pause(span) => self.plan.push_front(Todo::Until(now + span)),
                Todo::Until(until) if now < until => {
                    self.plan.push_front(todo);
                    return Some(Act::ListenUntil(until));
                }
                Todo::Until(_) => {}
                Todo::Act(act) => {
                    match &act {
                        // Nothing is answered before it is out.
                        Act::Send(bytes) => {
                            self.plan.push_front(Todo::Until(now + time_of(self.line, bytes.len())));
                            self.heard = false;
                        }
                        Act::Set(line) => self.line = *line,
                        Act::Listen | Act::ListenUntil(_) | Act::Rest(_) | Act::Discard => {}
                    }
                    return Some(act);
                }
            }
        }
        None
    }

    const fn longest(&self) -> usize {
        match self.awaited {
            Awaited::Data | Awaited::Late | Awaited::Value => LONGEST,
            Awaited::Nothing | Awaited::Identification | Awaited::Prompt => 0,
        }
    }

    /// A new round.
    fn begin(&mut self, now: Span) {
        self.began = now;
        (self.naks, self.read, self.reaction) = (0, 0, REACTION);
        self.set(first_line(&self.settings));
        self.plan.push_back(Todo::Act(Act::Discard));
        if self.settings.wake_up {
            let bits = u64::from(first_line(&self.settings).baud) * WAKE_UP_MILLIS / 1000;
            let count = usize::try_from(bits / 10).unwrap_or(LONGEST).min(LONGEST);
            self.plan.extend([Todo::Act(Act::Send(vec![0; count])), Todo::Pause(WAKING)]);
        }
        let request = format!("/?{}!\r\n", self.settings.address);
        self.send(request.into_bytes(), Awaited::Identification);
    }

    fn set(&mut self, line: LineSettings) {
        self.plan.push_back(Todo::Act(Act::Set(line)));
    }

    fn send(&mut self, bytes: Vec<u8>, awaited: Awaited) {
        self.plan.push_back(Todo::Act(Act::Send(bytes)));
        self.await_answer(awaited);
    }

    const fn await_answer(&mut self, awaited: Awaited) {
        self.awaited = awaited;
        (self.deadline, self.damaged, self.heard) = (None, false, false);
    }

    /// The meter has said who it is.
    pub(super) fn identified(&mut self, identification: &Identification) {
        if self.awaited != Awaited::Identification {
            return;
        }
        self.plan.clear();
        self.reaction = if identification.fast { FAST_REACTION } else { REACTION };
        match identification.mode {
            Mode::A => self.await_answer(Awaited::Data),
            Mode::B(baud) => {
                self.switch(baud);
                self.await_answer(Awaited::Data);
            }
            Mode::C(character, baud) => {
                let (character, baud) = if self.stay { (b'0', self.line.baud) } else { (character, baud) };
                let (what, awaited) = match self.settings.read.is_empty() {
                    true => (b'0', Awaited::Data),
                    false => (b'1', Awaited::Prompt),
                };
                self.plan.push_back(Todo::Pause(self.reaction));
                self.send(vec![ACK, b'0', character, what, b'\r', b'\n'], awaited);
                self.switch(baud);
            }
        }
    }

    /// Both sides change their speed, unless it is the same all the time.
    fn switch(&mut self, baud: u32) {
        if self.settings.fixed_baud.is_none() && baud != self.line.baud {
            self.set(LineSettings { baud, ..self.line });
        }
    }

    /// The data of a readout have come: that is all.
    pub(super) fn readout(&mut self) {
        self.failures = 0;
        self.finish(self.every());
    }

    /// The meter is in programming mode.
    pub(super) fn prompted(&mut self) {
        if self.awaited == Awaited::Prompt {
            self.ask();
        }
    }

    /// What is to be read has come, or will not; whether that was all.
    pub(super) fn next_address(&mut self) -> bool {
        self.read += 1;
        self.naks = 0;
        self.ask();
        self.awaited == Awaited::Nothing
    }

    /// Asks for an address, or closes the programming mode where none is left.
    fn ask(&mut self) {
        self.plan.clear();
        if self.read < self.settings.read.len() {
            self.plan.push_back(Todo::Pause(self.reaction));
            self.send(read_command(self.address()), Awaited::Value);
        } else {
            self.failures = 0;
            self.finish(self.every());
            self.close();
        }
    }

    /// Ends the programming mode.
    fn close(&mut self) {
        self.plan.extend([Todo::Pause(self.reaction), Todo::Act(Act::Send(END.to_vec()))]);
    }

    /// Nothing more comes of what is awaited.
    pub(super) fn lapse(&mut self) -> Lapse {
        let awaited = self.awaited;
        let is_answer = !matches!(awaited, Awaited::Nothing | Awaited::Identification);
        if is_answer && self.naks < NAKS && (self.damaged || awaited == Awaited::Value) {
            self.naks += 1;
            let again = if self.damaged { vec![NAK] } else { read_command(self.address()) };
            self.plan.push_back(Todo::Pause(self.reaction));
            self.send(again, awaited);
            return Lapse::Again;
        }
        match awaited {
            Awaited::Data | Awaited::Prompt if self.line != first_line(&self.settings) => {
                self.set(first_line(&self.settings));
                self.await_answer(Awaited::Late);
                Lapse::Again
            }
            Awaited::Value => Lapse::Skipped,
            Awaited::Nothing | Awaited::Identification | Awaited::Data | Awaited::Late | Awaited::Prompt => {
                self.fail();
                Lapse::Failed
            }
        }
    }

    /// The round is over without data.
    fn fail(&mut self) {
        let awaited = self.awaited;
        // Another speed is tried the next time.
        self.stay = awaited == Awaited::Late || self.stay && awaited == Awaited::Identification;
        let at_once = if self.settings.wake_up { 1 } else { AT_ONCE };
        self.finish(if self.failures < at_once { Span::ZERO } else { self.every() });
        self.failures = self.failures.saturating_add(1);
        if awaited != Awaited::Identification && !self.settings.read.is_empty() {
            self.close();
        }
    }

    /// The next round begins so long after this one, but the meter rests before.
    fn finish(&mut self, every: Span) {
        self.plan.clear();
        self.awaited = Awaited::Nothing;
        self.rest = Some(every);
    }

    fn every(&self) -> Span {
        if self.settings.wake_up { self.settings.every.max(BATTERY) } else { self.settings.every }
    }
}

/// How the line is set when a round begins.
pub(super) fn first_line(settings: &PullSettings) -> LineSettings {
    let baud = settings.fixed_baud.unwrap_or(settings.start_baud);
    LineSettings { baud, framing: Framing::SevenEven }
}

/// How long so many bytes are on their way: ten bits each.
pub(super) fn time_of(line: LineSettings, bytes: usize) -> Span {
    let bits = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(10_000_000);
    Span::from_micros(bits / i64::from(line.baud.max(1)))
}

/// Reads one address, as it is (6.4.3.3 and annex B).
fn read_command(address: &str) -> Vec<u8> {
    let mut body = [b"R1\x02", address.as_bytes(), b"()\x03"].concat();
    body.push(bcc(&body));
    [&[0x01], &body[..]].concat()
}
