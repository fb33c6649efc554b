//! Plays the meter's part of a recorded session: what it said, once it has heard what it heard then.
//!
//! Two forms of a recording are known: line by line with the side that spoke (IEC 62056-21), and a request with its replies (Modbus).
//! Reading the file is up to whoever has it; the forms are [`serde`] types.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::time::Span;

use super::decoder::{Framing, LineSettings};

/// No more of what was heard is kept than the longest request of a session needs, and this.
const HEARD: usize = 4096;

/// A session as it was recorded.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Session {
    /// What it shows, for people.
    #[serde(default)]
    pub(crate) description: String,
    /// In the order in which it happened.
    pub(crate) steps: Vec<Step>,
}

impl Session {
    /// Whether the meter speaks first, without being asked.
    pub(crate) fn is_pushed(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Said { from: Side::Meter, .. }))
    }

    /// The device that was meant in a request of IEC 62056-21 (`/?device!`); empty: any.
    pub(crate) fn device(&self) -> String {
        let requests = self.steps.iter().filter_map(|step| match step {
            Step::Said { from: Side::Host, hex, .. } => octets(hex),
            Step::Said { from: Side::Meter, .. } | Step::Asked { .. } => None,
        });
        let device = |request: Vec<u8>| {
            let text = String::from_utf8_lossy(&request).into_owned();
            let (_, device) = text.split_once("/?")?;
            device.split_once('!').map(|(device, _)| device.to_owned())
        };
        requests.filter_map(device).next().unwrap_or_default()
    }
}

/// One step of a session; bytes are hexadecimal digits.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    /// One side speaks.
    Said {
        from: Side,
        hex: String,
        /// Speed of the line, where it is known.
        baud: Option<u32>,
        /// `7E1` or the like.
        format: Option<String>,
    },
    /// The host asks, and the meter answers; or does not.
    Asked { host_hex: String, reply: Vec<Reply> },
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Host,
    Meter,
}

/// A piece of an answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reply {
    /// After the request, or after the piece before.
    #[serde(default)]
    pub(crate) after_ms: u32,
    pub(crate) hex: String,
}

/// The recording cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} of the session: \"{text}\" is not hexadecimal")]
pub(crate) struct BadSession {
    /// Counted from 1.
    pub(crate) step: usize,
    pub(crate) text: String,
}

/// What the meter says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// After what was heard, or after what was said before.
    pub(crate) after: Span,
    /// How the line was set, where the recording says so; bytes at another setting are not understood.
    pub(crate) line: Option<LineSettings>,
    pub(crate) bytes: Vec<u8>,
}

/// A part that is to come.
#[derive(Clone, Debug)]
enum Turn {
    Hear(Vec<u8>),
    Say(Said),
}

/// Plays a meter from a recorded session, once.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    turns: VecDeque<Turn>,
    /// The end of what was heard and did not yet answer a turn.
    heard: Vec<u8>,
}

impl Player {
    /// Ready to begin.
    ///
    /// # Errors
    ///
    /// Where bytes of a step are not written in hexadecimal digits.
    pub(crate) fn new(session: &Session) -> Result<Self, BadSession> {
        let mut turns = VecDeque::new();
        for (at, step) in session.steps.iter().enumerate() {
            let octets = |text: &str| {
                octets(text).ok_or_else(|| BadSession { step: at + 1, text: text.chars().take(40).collect() })
            };
            match step {
                Step::Said { from: Side::Host, hex, .. } => turns.push_back(Turn::Hear(octets(hex)?)),
                Step::Said { from: Side::Meter, hex, baud, format } => turns.push_back(Turn::Say(Said {
                    after: Span::ZERO,
                    line: baud.zip(Framing::named(format.as_deref().unwrap_or("7E1"))).map(line),
                    bytes: octets(hex)?,
                })),
                Step::Asked { host_hex, reply } => {
                    turns.push_back(Turn::Hear(octets(host_hex)?));
                    for Reply { after_ms, hex } in reply {
                        let (after, bytes) = (Span::from_millis(i64::from(*after_ms)), octets(hex)?);
                        turns.push_back(Turn::Say(Said { after, line: None, bytes }));
                    }
                }
            }
        }
        // How many bytes wake a meter up is up to the host: silence them, and what comes next counts.
        turns.retain(|turn| !matches!(turn, Turn::Hear(bytes) if bytes.iter().all(|byte| *byte == 0)));
        Ok(Self { turns, heard: Vec::new() })
    }

    /// What the meter says without being asked any further.
    pub(crate) fn speak(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some(turn) = self.turns.pop_front() {
            match turn {
                Turn::Say(said) => all.push(said),
                Turn::Hear(_) => {
                    self.turns.push_front(turn);
                    break;
                }
            }
        }
        all
    }

    /// Takes what the host sends, and gives what the meter answers: nothing, unless it heard that in the recording.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<Said> {
        self.heard.extend_from_slice(bytes);
        let mut all = self.speak();
        while let Some(Turn::Hear(expected)) = self.turns.front() {
            let found = self.heard.windows(expected.len().max(1)).position(|heard| heard == expected);
            let Some(at) = found else { break };
            self.heard.drain(..at + expected.len());
            self.turns.pop_front();
            all.extend(self.speak());
        }
        let most = HEARD + self.turns.iter().map(Turn::length).max().unwrap_or(0);
        self.heard.drain(..self.heard.len().saturating_sub(most));
        all
    }

    /// Everything was heard and said.
    pub(crate) fn is_over(&self) -> bool {
        self.turns.is_empty()
    }
}

impl Turn {
    fn length(&self) -> usize {
        match self {
            Self::Hear(bytes) | Self::Say(Said { bytes, .. }) => bytes.len(),
        }
    }
}

fn line((baud, framing): (u32, Framing)) -> LineSettings {
    LineSettings { baud, framing }
}

/// The bytes in hexadecimal digits.
pub(super) fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Player, Said, Session};
    use crate::time::Span;

    fn player(steps: &str) -> Player {
        Player::new(&serde_json::from_str::<Session>(&format!("{{\"steps\": {steps}}}")).unwrap()).unwrap()
    }

    #[test]
    fn the_meter_speaks_when_it_has_heard_what_it_heard() {
        let mut player = player(
            r#"[{"from": "host", "baud": 300, "format": "7E1", "hex": "0000"}, {"from": "host", "hex": "2f3f"},
                {"from": "meter", "baud": 300, "format": "7E1", "hex": "41"}, {"from": "meter", "hex": "42"},
                {"from": "host", "hex": "06"}, {"from": "meter", "baud": 9600, "format": "7E1", "hex": "43"}]"#,
        );
        assert_eq!(player.speak(), []);
        assert_eq!(player.hear(b"\0\0\0\0\0/"), []);
        let said = player.hear(b"?");
        assert_eq!(said.iter().map(|said| &said.bytes[..]).collect::<Vec<_>>(), [b"A", b"B"]);
        assert_eq!(said[0].line.unwrap().baud, 300);
        assert_eq!(player.hear(b"/?"), [], "that was not in the recording");
        assert!(!player.is_over());
        assert_eq!(player.hear(b"\x06")[0].line.unwrap().baud, 9600);
        assert!(player.is_over());
    }

    #[test]
    fn a_request_has_its_replies_or_none() {
        let mut player = player(
            r#"[{"host_hex": "0104", "reply": [{"after_ms": 30, "hex": "aA"}, {"after_ms": 8, "hex": "bb"}]},
                {"host_hex": "0104", "reply": []}, {"host_hex": "0105", "reply": [{"after_ms": 1, "hex": "cc"}]}]"#,
        );
        let said = |after, byte| Said { after: Span::from_millis(after), line: None, bytes: vec![byte] };
        assert_eq!(player.hear(&[1, 4]), [said(30, 0xAA), said(8, 0xBB)]);
        assert_eq!(player.hear(&[1, 4]), []);
        assert_eq!(player.hear(&[1, 5]), [said(1, 0xCC)]);
        assert!(player.is_over());
    }

    #[test]
    fn what_is_not_hexadecimal_is_told() {
        for hex in ["0", "0g", "+1"] {
            let session = format!(r#"{{"steps": [{{"from": "meter", "hex": "{hex}"}}]}}"#);
            let error = Player::new(&serde_json::from_str(&session).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), format!("step 1 of the session: \"{hex}\" is not hexadecimal"));
        }
    }
}
