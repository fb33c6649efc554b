//! Plays recorded sessions with a meter that is asked, in virtual time.

use std::collections::VecDeque;
use std::io::Write;

use crate::metering::{
    Act, LineSettings, ProtocolSettings, RecordedSession, SaidBytes, Session, SessionPlayer,
};
use crate::time::Span;

use super::print::Printer;

/// However a decoder waits, no session is longer.
const LONGEST: Span = Span::HOUR;
/// So many bytes come together at most.
const PIECE: usize = 8;
/// However often it asks without waiting.
const MOST_ACTS: usize = 1_000_000;

/// A recorded session.
pub(super) enum Recorded {
    /// What each request brought, and what the registers hold.
    Modbus(RecordedSession),
    /// What both sides said.
    Said(Session),
}

impl Recorded {
    /// The session in a file, where it is one.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return None;
        }
        let modbus = serde_json::from_slice(bytes).map(Self::Modbus);
        modbus.or_else(|_| serde_json::from_slice(bytes).map(Self::Said)).ok()
    }
}

/// Prints what each request of a session brought, in pieces of so many bytes.
pub(super) fn play_modbus(
    session: &RecordedSession,
    piece: usize,
    printer: &mut Printer<impl Write>,
) -> anyhow::Result<()> {
    for outcome in session.outcomes(piece) {
        printer.outcome(outcome)?;
    }
    Ok(())
}

/// Lets a decoder ask a meter that answers as it did when it was recorded, in pieces of so many bytes at most, until that is over.
pub(super) fn play(
    session: &Session,
    settings: &ProtocolSettings,
    piece: usize,
    printer: &mut Printer<impl Write>,
) -> anyhow::Result<()> {
    printer.note(&session.description)?;
    let mut decoder = settings.decoder();
    let mut line = PlayedLine::new(SessionPlayer::new(session)?, settings.usual_line(), piece);
    for _ in 0..MOST_ACTS {
        let act = decoder.act(line.now);
        while let Some(outcome) = decoder.next() {
            printer.outcome(outcome)?;
        }
        let until = match act {
            // It begins anew.
            Act::Send(_) if line.is_over() => return Ok(()),
            Act::Send(bytes) => {
                line.send(&bytes);
                continue;
            }
            Act::Set(settings) => {
                line.settings = settings;
                continue;
            }
            Act::Discard => continue,
            Act::Listen => LONGEST,
            Act::ListenUntil(until) | Act::Rest(until) => until,
        };
        match line.listen(until) {
            Some(bytes) => decoder.push(&bytes),
            None if line.is_over() || line.now >= LONGEST => {
                decoder.quiet();
                while let Some(outcome) = decoder.next() {
                    printer.outcome(outcome)?;
                }
                return Ok(());
            }
            None => {}
        }
        while let Some(outcome) = decoder.next() {
            printer.outcome(outcome)?;
        }
    }
    Ok(())
}

/// A line to a meter that was recorded.
struct PlayedLine {
    player: SessionPlayer,
    settings: LineSettings,
    now: Span,
    piece: usize,
    /// What the meter says, and when it has come.
    coming: VecDeque<(Span, SaidBytes)>,
}

impl PlayedLine {
    fn new(mut player: SessionPlayer, settings: LineSettings, piece: usize) -> Self {
        let said = player.speak();
        let mut line =
            Self { player, settings, now: Span::ZERO, piece: piece.min(PIECE), coming: VecDeque::new() };
        line.say(said);
        line
    }

    fn is_over(&self) -> bool {
        self.coming.is_empty() && self.player.is_over()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.now = self.now + self.settings.time_of(bytes.len());
        let said = self.player.hear(bytes);
        self.say(said);
    }

    fn say(&mut self, said: Vec<SaidBytes>) {
        let mut at = self.coming.back().map_or(self.now, |(at, _)| self.now.max(*at));
        for SaidBytes { after, line, bytes } in said {
            let speed = line.unwrap_or(self.settings);
            at = at + after;
            // Bytes come one after the other, and who waits for the first does not wait for the last.
            for piece in bytes.chunks(self.piece) {
                at = at + speed.time_of(piece.len());
                let piece = SaidBytes { after: Span::ZERO, line, bytes: piece.to_vec() };
                self.coming.push_back((at, piece));
            }
        }
    }

    /// What comes until then, as it is understood; the time passes.
    fn listen(&mut self, until: Span) -> Option<Vec<u8>> {
        if self.coming.front().is_none_or(|(at, _)| *at > until) {
            self.now = self.now.max(until);
            return None;
        }
        let (at, said) = self.coming.pop_front()?;
        self.now = self.now.max(at);
        let understood = said.line.is_none_or(|line| line.baud == self.settings.baud);
        // At another speed it is noise.
        Some(if understood { said.bytes } else { vec![0xFF; said.bytes.len()] })
    }
}
