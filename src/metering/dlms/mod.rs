//! Reads what meters push by DLMS/COSEM: the HAN ports of Norway, Sweden, Denmark, Austria, Switzerland and Slovenia.
//!
//! ```text
//! HDLC or M-Bus frames -> parts joined -> [blocks joined] -> [decrypted] -> data-notification -> list -> telegram
//! ```
//!
//! Sources: IEC 62056-46 (HDLC), EN 13757-3 (M-Bus), IEC 62056-5-3 (messages), IEC 62056-6-1 and -6-2 (codes, values, units), and the
//! makers' descriptions of their lists.

mod apdu;
mod axdr;
mod clock;
mod frames;
mod hdlc;
mod joining;
mod lists;
mod mbus;
mod models;
mod simulator;
mod units;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::ciphered::{CipheredFrame, CounterGuard, Opener};
use super::decoder::{Decoder, Refused, Why};
use super::obis::ObisCode;
use super::telegram::{Object, ObjectValue, Telegram};
use crate::openadr::message::DataQuality;
use crate::time::Span;

use apdu::Notification;
use frames::Frames;
use joining::{BLOCK, Blocks, Parts};
use lists::List;
pub(crate) use models::{BUILT_IN, ListModels};
pub(crate) use simulator::HanSimulator;

/// `general-glo-ciphering`.
const CIPHERED: u8 = 0xDB;
/// Where meters say who they are, the best first: serial number, Kamstrup's, identification, serial number as the device's.
const SERIALS: [ObisCode; 4] = [
    ObisCode::now(0, 0, 96, 1, 0),
    ObisCode::now(1, 0, 0, 0, 5),
    ObisCode::now(0, 0, 42, 0, 0),
    ObisCode::now(0, 0, 96, 1, 1),
];

/// Takes bytes in pieces of any size, and gives telegrams.
#[derive(Debug)]
pub(crate) struct DlmsDecoder {
    frames: Frames,
    /// The line is silent: what has begun will not go on.
    ended: bool,
    parts: Parts,
    blocks: Blocks,
    /// What came of the last frame, and was not given out yet.
    ready: VecDeque<Result<Telegram, Refused>>,
    opener: Opener,
    models: ListModels,
    clock_base: Span,
}

impl DlmsDecoder {
    /// For a meter whose clock, where it does not say so itself, is ahead of UTC by `clock_base` in winter; `opener` has the keys,
    /// `models` says what lists mean that do not say it themselves.
    pub(crate) fn new(clock_base: Span, opener: Opener, models: ListModels) -> Self {
        Self {
            frames: Frames::default(),
            ended: false,
            parts: Parts::default(),
            blocks: Blocks::default(),
            ready: VecDeque::new(),
            opener,
            models,
            clock_base,
        }
    }

    /// The frame counters that were accepted, to be kept for the next run.
    pub(crate) const fn counters(&self) -> &CounterGuard {
        self.opener.counters()
    }

    /// Reads a message; nothing where it is a block, and others follow.
    fn read(&mut self, message: &[u8]) -> Result<Option<Telegram>, Why> {
        let joined = match message.first() {
            Some(&BLOCK) => match self.blocks.take(message)? {
                Some(joined) => joined,
                None => return Ok(None),
            },
            _ => message.to_vec(),
        };
        if joined.first() != Some(&CIPHERED) {
            if !self.opener.takes_plain() {
                let what =
                    "it is not encrypted, and with a key it must be: anybody could have sent it".to_owned();
                return Err(Why::Content { at: 0, what });
            }
            return self.telegram(&joined).map(Some);
        }
        let frame = CipheredFrame::parse(&joined)?.ok_or(Why::Cut)?;
        if frame.length != joined.len() {
            let what = format!("{} bytes are left over", joined.len() - frame.length);
            return Err(Why::Content { at: frame.length, what });
        }
        let opened = self.opener.open(&frame, &|plain| Notification::parse(plain).is_ok())?;
        self.telegram(&opened.plain).map(Some)
    }

    fn telegram(&self, message: &[u8]) -> Result<Telegram, Why> {
        let notification = Notification::parse(message)?;
        let List { objects, clock } = List::read(&notification.body, &self.models)?;
        let utc = |octets: Option<_>| octets.and_then(|octets| clock::utc(octets, self.clock_base));
        Ok(Telegram {
            meter: SERIALS.iter().find_map(|code| text(&objects, *code)),
            clock: utc(notification.time).or_else(|| utc(clock)),
            objects,
            quality: DataQuality::Good,
        })
    }

    /// Bytes of memory that undecided bytes take.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.frames.held() + self.parts.held() + self.blocks.held()
    }
}

impl Decoder for DlmsDecoder {
    fn counters(&self) -> Option<&CounterGuard> {
        Some(self.counters())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.ended = false;
        self.frames.push(bytes);
    }

    fn quiet(&mut self) {
        self.ended = true;
    }

    fn next(&mut self) -> Option<Result<Telegram, Refused>> {
        loop {
            if let Some(outcome) = self.ready.pop_front() {
                return Some(outcome);
            }
            let frame = match self.frames.next(self.ended)? {
                Ok(frame) => frame,
                Err(refused) => return Some(Err(refused)),
            };
            let joined = self.parts.take(frame);
            self.ready.extend(joined.broken.map(|broken| Err(Refused::new(Why::Cut, &broken))));
            if let Some(message) = joined.message {
                let read = self.read(&message).map_err(|why| Refused::new(why, &message));
                self.ready.extend(read.transpose());
            }
        }
    }
}

/// What a text says that says anything.
fn text(objects: &[Object], code: ObisCode) -> Option<String> {
    objects.iter().find_map(|object| match &object.value {
        ObjectValue::Text(text) if object.code == code && !text.is_empty() => Some(text.clone()),
        ObjectValue::Text(_) | ObjectValue::Number(..) => None,
    })
}
