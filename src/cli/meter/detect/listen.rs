//! Listens to a line at one setting with the ears of every protocol.

use std::io;

use crate::daemon::list_models;
use crate::metering::{Decoder, Framing, LineSettings, Protocol, ProtocolSettings, Sealing, Why};
use crate::time::Span;

use super::line::Line;
use super::search::Verdict;

/// A pause of this ends what somebody says.
const GAP: Span = Span::from_millis(700);
/// What is heard from the first moment on may have begun before it.
const BEGAN_BEFORE: Span = Span::from_millis(100);
/// Somebody who never pauses is understood in this time, or not at all at this setting.
const LONGEST: Span = Span::from_seconds(5);

/// What was heard.
pub(super) struct Heard {
    pub(super) bytes: usize,
    pub(super) verdict: Option<Verdict>,
}

/// A decoder of a protocol.
struct Ear {
    settings: ProtocolSettings,
    decoder: Box<dyn Decoder>,
}

/// Whether what looks like characters of eight bits are those of seven, with the parity where the eighth bit is; decoders of text do not
/// mind.
#[derive(Debug, Default)]
struct Parity {
    odd: bool,
    high: bool,
}

impl Parity {
    fn hear(&mut self, piece: &[u8]) {
        self.odd |= piece.iter().any(|byte| byte.count_ones() % 2 == 1);
        self.high |= piece.iter().any(|byte| *byte >= 0x80);
    }

    /// How the line is better set.
    const fn right(&self, setting: LineSettings) -> LineSettings {
        let seven = self.high && !self.odd && matches!(setting.framing, Framing::EightNone);
        LineSettings { framing: if seven { Framing::SevenEven } else { setting.framing }, ..setting }
    }
}

/// Listens until something is understood, or somebody has said something whole that nobody understands.
pub(super) async fn listen(line: &mut impl Line, setting: LineSettings, within: Span) -> io::Result<Heard> {
    let (began, until) = (line.now(), line.now() + within);
    let mut ears: Vec<_> = speakers().into_iter().map(Ear::new).collect();
    let mut parity = Parity::default();
    let mut bytes = 0;
    // Since when it has been spoken without a pause, and whether its beginning was heard.
    let mut speech: Option<(Span, bool)> = None;
    loop {
        let now = line.now();
        if now >= until {
            break;
        }
        let wait = if speech.is_some() { GAP.min(until - now) } else { until - now };
        let piece = line.read(wait).await?;
        let now = line.now();
        if piece.is_empty() {
            match speech {
                Some((_, true)) if now < until => break,
                _ => speech = None,
            }
            continue;
        }
        bytes += piece.len();
        parity.hear(&piece);
        let (since, _) =
            *speech.get_or_insert_with(|| (now, bytes > piece.len() || now - began > BEGAN_BEFORE));
        if let Some(verdict) = ears.iter_mut().find_map(|ear| ear.hear(&piece, parity.right(setting))) {
            return Ok(Heard { bytes, verdict: Some(verdict) });
        }
        if now - since > LONGEST {
            break;
        }
    }
    let verdict = ears.iter_mut().find_map(|ear| ear.end(parity.right(setting)));
    Ok(Heard { bytes, verdict })
}

/// Everything that speaks by itself.
fn speakers() -> Vec<ProtocolSettings> {
    let speaker = |(_, protocol): &(&str, Protocol)| match protocol {
        Protocol::Dsmr => {
            Some(ProtocolSettings::Dsmr { clock_base: Span::HOUR, sealing: Sealing::default() })
        }
        Protocol::Sml => Some(ProtocolSettings::Sml),
        Protocol::Dlms => Some(ProtocolSettings::Dlms {
            clock_base: Span::HOUR,
            sealing: Sealing::default(),
            models: list_models(None, None).ok()?,
        }),
        Protocol::Iec62056 => Some(ProtocolSettings::Iec62056 { clock_base: Span::HOUR, pull: None }),
        Protocol::Modbus | Protocol::S0 => None,
    };
    Protocol::WORDS.iter().filter_map(speaker).collect()
}

impl Ear {
    fn new(settings: ProtocolSettings) -> Self {
        Self { decoder: settings.decoder(), settings }
    }

    fn hear(&mut self, piece: &[u8], line: LineSettings) -> Option<Verdict> {
        self.decoder.push(piece);
        self.understood(line)
    }

    /// Nothing more comes.
    fn end(&mut self, line: LineSettings) -> Option<Verdict> {
        self.decoder.quiet();
        self.understood(line)
    }

    fn understood(&mut self, line: LineSettings) -> Option<Verdict> {
        let word = self.settings.protocol().word();
        let mut settings = vec![format!("protocol = \"{word}\"")];
        if let ProtocolSettings::Iec62056 { .. } = self.settings {
            settings.push("mode = \"push\"".to_owned());
        }
        while let Some(outcome) = self.decoder.next() {
            match outcome {
                Ok(telegram) => {
                    let meter = telegram.meter.map_or_else(String::new, |meter| format!(" of meter {meter}"));
                    return Some(Verdict::Found { what: format!("{word}{meter}"), settings, line });
                }
                Err(refused) if refused.why == Why::KeyMissing => {
                    let key = "key = \"${file:meter.key}\"".to_owned();
                    let settings = settings.into_iter().chain([key]).collect();
                    return Some(Verdict::Encrypted { what: word.to_owned(), settings, line });
                }
                Err(_) => {}
            }
        }
        None
    }
}
