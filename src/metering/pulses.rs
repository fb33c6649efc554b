//! Decodes pulses of an S0 output as they come over a line: a byte each, or a line of text each.
//!
//! An output that closes the receive line of a serial port makes the port read a byte, whatever it is worth. A program that watches an
//! input writes a line for each edge: with its time in milliseconds since 1970, or anything else at the moment when it comes. Lines
//! that begin with `#` are comments.

use crate::time::{Span, Timestamp};

use super::decoder::{Act, Decoder, Refused, Why};
use super::s0::{PulseCounter, PulseSettings};
use super::telegram::Telegram;

/// Without pulses it says this often what the power can be at most.
const EVERY: Span = Span::from_seconds(10);
/// Pulses that come faster make no more telegrams than this.
const PACE: Span = Span::SECOND;
/// No line is longer.
const LONGEST_LINE: usize = 128;
/// Undecided bytes; who asks for telegrams as he should never has so many.
const MOST_HELD: usize = 32 * 1024;

/// How pulses come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PulseForm {
    /// Each byte is one.
    Bytes,
    /// Each line of text is one.
    Lines,
}

/// Counts pulses, and says after each how much energy that is.
#[derive(Debug)]
pub(crate) struct PulseDecoder {
    counter: PulseCounter,
    form: PulseForm,
    /// Lines that were not looked at yet.
    held: Vec<u8>,
    /// Lines that were looked at.
    lines: usize,
    /// Pulses without a time of their own, that have come since the clock was looked at.
    untimed: u32,
    /// The monotonic clock when it was last told; `None`: nobody tells, this is a recording.
    now: Option<Span>,
    /// What the times of the lines are ahead of the monotonic clock.
    ahead: Span,
    told_at: Option<Span>,
    /// A pulse was counted since, and came too soon to be told.
    untold: bool,
    ready: Option<Result<Telegram, Refused>>,
}

impl PulseDecoder {
    /// Goes on from a count that was kept; 0 where none was.
    pub(crate) const fn new(settings: PulseSettings, form: PulseForm, count: u64) -> Self {
        Self {
            counter: PulseCounter::new(settings, count, Span::ZERO),
            form,
            held: Vec::new(),
            lines: 0,
            untimed: 0,
            now: None,
            ahead: Span::ZERO,
            told_at: None,
            untold: false,
            ready: None,
        }
    }

    /// The first line that is whole, without its end.
    fn line(&mut self) -> Option<Result<String, Refused>> {
        let end = self.held.iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            if self.held.len() <= LONGEST_LINE {
                return None;
            }
            let bytes = std::mem::take(&mut self.held);
            return Some(Err(Refused::new(Why::TooLong(bytes.len()), &bytes)));
        };
        let line: Vec<u8> = self.held.drain(..=end).collect();
        self.lines = self.lines.saturating_add(1);
        if line.len() > LONGEST_LINE {
            return Some(Err(Refused::new(Why::TooLong(line.len()), &line)));
        }
        Some(Ok(String::from_utf8_lossy(&line).trim().to_owned()))
    }

    /// What a line makes ready to be told.
    fn read(&mut self, line: &str) -> Option<Result<Telegram, Refused>> {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        match (line.parse().ok(), self.now) {
            (Some(millis), now) => {
                let at = Span::from_millis(millis);
                self.ahead = now.map_or(Span::ZERO, |now| at - now);
                let counted = self.counter.pulse(at);
                counted.then(|| self.tell(at)).flatten().map(Ok)
            }
            (None, Some(_)) => {
                self.untimed = self.untimed.saturating_add(1);
                None
            }
            (None, None) => {
                let why = Why::Line { number: self.lines, text: line.to_owned() };
                Some(Err(Refused::new(why, line.as_bytes())))
            }
        }
    }

    /// What the counter says at that time, unless that was told just now.
    fn tell(&mut self, at: Span) -> Option<Telegram> {
        let live = self.now.is_some();
        if live && self.told_at.is_some_and(|told| at >= told && at - told < PACE) {
            self.untold = true;
            return None;
        }
        (self.told_at, self.untold) = (Some(at), false);
        let mut telegram = self.counter.telegram(at);
        // In a recording the times of the lines are all there is.
        telegram.clock = (!live).then_some(Timestamp::EPOCH + at);
        Some(telegram)
    }
}

impl Decoder for PulseDecoder {
    fn push(&mut self, bytes: &[u8]) {
        match self.form {
            PulseForm::Bytes => {
                let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.untimed = self.untimed.saturating_add(count);
            }
            PulseForm::Lines => {
                let room = MOST_HELD.saturating_sub(self.held.len());
                self.held.extend(bytes.iter().take(room));
            }
        }
    }

    fn quiet(&mut self) {
        if !self.held.is_empty() {
            self.held.push(b'\n');
        }
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        if let Some(ready) = self.ready.take() {
            return Some(ready);
        }
        loop {
            let told = match self.line()? {
                Ok(line) => self.read(&line),
                Err(refused) => Some(Err(refused)),
            };
            if told.is_some() {
                return told;
            }
        }
    }

    fn act(&mut self, now: Span) -> Act {
        self.now = Some(now);
        let at = now + self.ahead;
        // Those that came together are one and its bounces.
        if std::mem::take(&mut self.untimed) > 0 && self.counter.pulse(at) {
            self.ready = self.tell(at).map(Ok);
        }
        let due = |untold| if untold { PACE } else { EVERY };
        if self.told_at.is_none_or(|told| at - told >= due(self.untold) || at < told) {
            self.ready = self.tell(at).map(Ok);
        }
        let told_at = self.told_at.unwrap_or(at);
        Act::ListenUntil(now + (told_at + due(self.untold) - at))
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Decoder, LONGEST_LINE, PulseDecoder, PulseForm};
    use crate::dice::Dice;
    use crate::metering::obis::ObisCode;
    use crate::metering::s0::{PulseFlow, PulseSettings};
    use crate::metering::tests::fuzzing::rounds;
    use crate::time::Span;

    fn decoder(form: PulseForm) -> PulseDecoder {
        PulseDecoder::new(PulseSettings::new(1000, PulseFlow::Import), form, 0)
    }

    fn energies(decoder: &mut PulseDecoder) -> Vec<String> {
        let code = ObisCode::electricity(1, 8, 0);
        std::iter::from_fn(|| decoder.next())
            .map(|told| {
                told.map_or_else(|refused| refused.to_string(), |good| good.number(code).unwrap().to_string())
            })
            .collect()
    }

    #[test]
    fn a_recording_has_a_telegram_for_each_pulse_in_pieces_of_any_size() {
        let text = "# times\n1767222003600\n1767222003610\r\n1767222007200\n\nnonsense\n1767222010800";
        for size in [1, 7, 64, 4096] {
            let mut decoder = decoder(PulseForm::Lines);
            let mut told = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                decoder.push(piece);
                told.extend(energies(&mut decoder));
            }
            decoder.quiet();
            told.extend(energies(&mut decoder));
            assert_eq!(told, ["1", "2", "line 6 is unreadable: \"nonsense\"", "3"], "pieces of {size}");
        }
    }

    #[test]
    fn a_time_far_ahead_does_not_make_bounces_of_all_that_comes_after_it() {
        let mut decoder = decoder(PulseForm::Lines);
        decoder.push(b"9000000000000000\n1767222003600\n1767222007200\n");
        assert_eq!(energies(&mut decoder), ["1", "2", "3"]);
    }

    #[test]
    fn bytes_are_pulses_at_the_moment_when_they_come() {
        let mut decoder = decoder(PulseForm::Bytes);
        let second = Span::from_seconds;
        assert_eq!(decoder.act(second(100)), Act::ListenUntil(second(110)));
        assert_eq!(energies(&mut decoder), ["0"], "at first what is known");
        for at in [102, 104] {
            decoder.push(&[0]);
            decoder.act(second(at));
        }
        let told = decoder.next().unwrap().unwrap();
        let power = told.number(ObisCode::electricity(1, 7, 0)).unwrap();
        assert_eq!(power.to_string(), "1800", "1 Wh in 2 s");
        decoder.act(second(114));
        assert_eq!(energies(&mut decoder), ["2"], "also without a pulse");
        decoder.push(&[0]);
        let half = second(114) + Span::from_millis(500);
        assert_eq!(decoder.act(half), Act::ListenUntil(second(115)), "not more than once a second");
        assert_eq!(energies(&mut decoder), Vec::<String>::new());
        decoder.act(second(115));
        assert_eq!(energies(&mut decoder), ["3"]);
    }

    #[test]
    fn lines_of_any_text_are_pulses_where_they_come_as_they_happen() {
        let mut decoder = decoder(PulseForm::Lines);
        decoder.act(Span::SECOND);
        assert_eq!(energies(&mut decoder), ["0"]);
        decoder.push(b"event: FALLING EDGE\n");
        assert_eq!(energies(&mut decoder), Vec::<String>::new(), "its time is not known yet");
        decoder.act(Span::from_seconds(3));
        assert_eq!(energies(&mut decoder), ["1"]);
    }

    /// Times, ends of lines, and anything else.
    fn noise(dice: &mut Dice) -> Vec<u8> {
        match dice.below(6) {
            0 => (0..dice.below(300)).map(|_| dice.octet()).collect(),
            1 => (1_767_222_000_000 + dice.below(100_000)).to_string().into_bytes(),
            2 => u64::MAX.to_string().into_bytes(),
            3 => vec![dice.one_of(b"\r\n#-0"); dice.place(200)],
            _ => b"\n".to_vec(),
        }
    }

    #[test]
    fn fuzz_pulses_never_panic_and_hold_little() {
        rounds(|dice| {
            let mut decoder = decoder(dice.one_of(&[PulseForm::Bytes, PulseForm::Lines]));
            let mut now = Span::ZERO;
            for _ in 0..dice.below(60) {
                decoder.push(&noise(dice));
                assert!(decoder.held.len() <= super::MOST_HELD + LONGEST_LINE);
                if dice.one_in(2) {
                    drop(decoder.next());
                }
                if dice.one_in(4) {
                    now = now + Span::from_millis(i64::from(dice.octet()) * 20);
                    decoder.act(now);
                }
            }
            let told = |decoder: &mut PulseDecoder| {
                (0..10_000).map_while(|_| decoder.next()).filter(Result::is_ok).count()
            };
            told(&mut decoder);
            assert!(decoder.next().is_none(), "it has an end");
            // Whatever was before, what comes whole after it is counted.
            now = now + Span::MINUTE;
            decoder.act(now);
            told(&mut decoder);
            decoder.push(b"\n4000000000000\n");
            decoder.act(now + Span::MINUTE);
            assert!(told(&mut decoder) > 0);
        });
    }
}
