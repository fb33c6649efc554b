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

/// A decoder, and whether it is given characters of seven bits.
struct Ear {
    settings: ProtocolSettings,
    decoder: Box<dyn Decoder>,
    seven: bool,
}

/// Listens until something is understood, or somebody has said something whole that nobody understands.
pub(super) async fn listen(line: &mut impl Line, setting: LineSettings, within: Span) -> io::Result<Heard> {
    let (began, until) = (line.now(), line.now() + within);
    let mut ears = ears(setting);
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
        let (since, _) = *speech.get_or_insert((now, bytes > piece.len() || now - began > BEGAN_BEFORE));
        if let Some(verdict) = ears.iter_mut().find_map(|ear| ear.hear(&piece, setting)) {
            return Ok(Heard { bytes, verdict: Some(verdict) });
        }
        if now - since > LONGEST {
            break;
        }
    }
    let verdict = ears.iter_mut().find_map(|ear| ear.end(setting));
    Ok(Heard { bytes, verdict })
}

fn ears(setting: LineSettings) -> Vec<Ear> {
    let mut ears = Vec::new();
    for seven in [false, true] {
        if seven && setting.framing != Framing::EightNone {
            continue;
        }
        for settings in speakers() {
            ears.push(Ear { decoder: settings.decoder(), settings, seven });
        }
    }
    ears
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
        Protocol::Iec62056 => Some(ProtocolSettings::Iec62056 { pull: None }),
        Protocol::Modbus | Protocol::S0 => None,
    };
    Protocol::WORDS.iter().filter_map(speaker).collect()
}

impl Ear {
    fn hear(&mut self, piece: &[u8], setting: LineSettings) -> Option<Verdict> {
        if self.seven {
            let stripped: Vec<u8> = piece.iter().map(|byte| byte & 0x7F).collect();
            self.decoder.push(&stripped);
        } else {
            self.decoder.push(piece);
        }
        self.understood(setting)
    }

    /// Nothing more comes.
    fn end(&mut self, setting: LineSettings) -> Option<Verdict> {
        self.decoder.quiet();
        self.understood(setting)
    }

    fn understood(&mut self, setting: LineSettings) -> Option<Verdict> {
        let word = self.settings.protocol().word();
        let mut settings = vec![format!("protocol = \"{word}\"")];
        if let ProtocolSettings::Iec62056 { .. } = self.settings {
            settings.push("mode = \"push\"".to_owned());
        }
        let framing = if self.seven { Framing::SevenEven } else { setting.framing };
        let line = LineSettings { framing, ..setting };
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
