//! Lets several meters be asked on one line: one exchange at a time, each meter in its turn.
//!
//! ```text
//! meter 1: request, reply | silence | meter 2: request, reply | silence | meter 3: request, time-out | silence | meter 1 ...
//! ```
//!
//! A meter has the line until its decoder expects nothing any more ([`Act::Rest`]); what comes meanwhile is for that one alone. One
//! that is dead costs its time-outs. So after each exchange that brings nothing it is left out for a while, longer each time: the
//! others must not wait for it again and again.

use super::ciphered::CounterGuard;
use super::decoder::{Act, Decoder, RawTelegram, Refused};
use super::telegram::Telegram;
use crate::time::Span;

/// One of several meters that does not answer is left out for so long, then for twice as long, and at last for a minute.
const FIRST_REST: Span = Span::SECOND;
const LONGEST_REST: Span = Span::MINUTE;

/// The meters on one line. One alone has it always.
#[derive(Debug)]
pub(crate) struct Turns {
    members: Vec<Member>,
    /// Whose turn it is.
    holder: usize,
    /// Between two exchanges the line is silent for so long.
    silence: Span,
    /// Nothing is sent before this.
    free_at: Span,
}

#[derive(Debug)]
struct Member {
    decoder: Box<dyn Decoder>,
    /// The request that is out, without what has come back of it: some adapters send it back before the reply.
    request: Option<Vec<u8>>,
    /// Something else has come since.
    heard: bool,
    /// For how long it was left out the last time; zero: it has answered since.
    rest: Span,
    /// It is left out until then.
    rests_until: Span,
}

impl Turns {
    /// `silence`: between two exchanges.
    pub(crate) fn new(decoders: impl IntoIterator<Item = Box<dyn Decoder>>, silence: Span) -> Self {
        let members = decoders.into_iter().map(Member::new).collect();
        Self { members, holder: 0, silence, free_at: Span::ZERO }
    }

    /// Whose turn it is: what comes now is for that one.
    pub(crate) const fn holder(&self) -> usize {
        self.holder
    }

    /// Takes bytes as they come from the line.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(member) = self.members.get_mut(self.holder) {
            member.push(bytes);
        }
    }

    /// Nothing that has begun will go on.
    pub(crate) fn quiet(&mut self) {
        self.members.iter_mut().for_each(|member| member.decoder.quiet());
    }

    /// The next telegram, or what was no good one, and whose it is.
    pub(crate) fn next(&mut self) -> Option<(usize, Result<Telegram, Refused>)> {
        let mut members = self.members.iter_mut().enumerate();
        members.find_map(|(at, member)| Some((at, member.decoder.next()?)))
    }

    /// The telegram of one of them, as it came.
    pub(crate) fn raw(&self, at: usize) -> Option<&RawTelegram> {
        self.members.get(at)?.decoder.raw()
    }

    /// The frame counters that one of them has accepted.
    pub(crate) fn counters(&self, at: usize) -> Option<&CounterGuard> {
        self.members.get(at)?.decoder.counters()
    }

    /// What is to be done at the line now, as [`Decoder::act`] says it; never [`Act::Rest`].
    pub(crate) fn act(&mut self, now: Span) -> Act {
        let mut wake: Option<Span> = None;
        for _ in 0..self.members.len() {
            if now < self.free_at {
                return Act::ListenUntil(self.free_at);
            }
            let act = self.turn(now);
            let Act::Rest(until) = act else { return act };
            wake = Some(wake.map_or(until, |wake| wake.min(until)));
            self.holder = (self.holder + 1) % self.members.len();
        }
        wake.map_or(Act::Listen, Act::ListenUntil)
    }

    /// What the holder wants.
    fn turn(&mut self, now: Span) -> Act {
        let alone = self.members.len() == 1;
        let Some(member) = self.members.get_mut(self.holder) else { return Act::Listen };
        if now < member.rests_until {
            return Act::Rest(member.rests_until);
        }
        let act = member.decoder.act(now);
        match &act {
            Act::Send(request) => (member.request, member.heard) = (Some(request.clone()), false),
            Act::Rest(_) if member.request.take().is_some() => {
                self.free_at = now + self.silence;
                if !alone {
                    member.judge(now);
                }
            }
            Act::Rest(_) | Act::Listen | Act::ListenUntil(_) | Act::Set(_) | Act::Discard => {}
        }
        act
    }
}

impl Member {
    fn new(decoder: Box<dyn Decoder>) -> Self {
        Self { decoder, request: None, heard: false, rest: Span::ZERO, rests_until: Span::ZERO }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(request) = &mut self.request {
            let echo = request.iter().zip(bytes).take_while(|(sent, come)| sent == come).count();
            request.drain(..echo);
            self.heard |= echo < bytes.len();
        }
        self.decoder.push(bytes);
    }

    /// An exchange is over: whether it is asked again at once.
    fn judge(&mut self, now: Span) {
        self.rest = match self.heard {
            true => Span::ZERO,
            false => (self.rest * 2).clamp(FIRST_REST, LONGEST_REST),
        };
        self.rests_until = now + self.rest;
    }
}
