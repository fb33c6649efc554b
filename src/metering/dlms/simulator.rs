//! Plays a meter with a HAN port: a list as Aidon sends it, in frames of HDLC.

use crate::metering::channel::Channel;
use crate::metering::ciphered::{Keys, Security, SystemTitle, seal};
use crate::metering::reading::Reading;
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

use super::apdu::NOTIFICATION;
use super::hdlc;

/// The most information of a frame, so that none is longer than eleven bits say.
const MOST: usize = 2000;
/// Numbers of units: W and Wh.
const WATT: u8 = 27;
const WATT_HOUR: u8 = 30;
/// Its clock is ahead of UTC by so many minutes all year, and says so.
const AHEAD: i16 = 60;

/// Writes what a meter with a HAN port sends.
#[derive(Debug, Default)]
pub(crate) struct HanSimulator {
    /// Encrypts, as the meter of that system title.
    sealing: Option<(Keys, SystemTitle)>,
    /// Of the last encrypted message.
    counter: u32,
}

impl HanSimulator {
    /// A meter that encrypts and authenticates what it sends, with frame counters above that one.
    pub(crate) const fn encrypted(keys: Keys, title: SystemTitle, counter: u32) -> Self {
        Self { sealing: Some((keys, title)), counter }
    }

    /// The frames that tell a reading, in whole Wh and W. What it does not say is left out.
    pub(crate) fn frames(&mut self, reading: &Reading) -> Vec<u8> {
        hdlc::write(&self.message(reading), MOST)
    }

    /// The message inside the frames.
    pub(super) fn message(&mut self, reading: &Reading) -> Vec<u8> {
        let mut list = Vec::new();
        if let Some(meter) = &reading.meter {
            let text: Vec<u8> = meter.bytes().take(0x7F).collect();
            let length = u8::try_from(text.len()).unwrap_or_default();
            list.push([&code(0, 96, 1, 2)[..], &[0x0A, length], &text].concat());
        }
        list.push([&code(0, 1, 0, 2)[..], &[0x09, 12], &date_time(reading.at)].concat());
        for (quantity, processing, value, unit) in [
            (1, 7, reading.get(Channel::PowerImport), WATT),
            (2, 7, reading.get(Channel::PowerExport), WATT),
            (1, 8, reading.get(Channel::Import), WATT_HOUR),
            (2, 8, reading.get(Channel::Export), WATT_HOUR),
        ] {
            list.extend(value.and_then(|value| number(quantity, processing, value, unit)));
        }
        let count = u8::try_from(list.len()).unwrap_or_default();
        let plain = [&[NOTIFICATION, 0x40, 0, 0, 0, 0, 0x01, count], list.concat().as_slice()].concat();
        let Some((keys, title)) = &self.sealing else { return plain };
        self.counter = self.counter.saturating_add(1);
        seal(&plain, keys, *title, Security::BOTH, self.counter).unwrap_or_default()
    }
}

/// A structure of so many fields that begins with a code: of the meter itself (medium 0), or of a quantity of electricity.
const fn code(medium: u8, c: u8, d: u8, fields: u8) -> [u8; 10] {
    [0x02, fields, 0x09, 6, medium, 0, c, d, 0, 0xFF]
}

/// A value in whole units; nothing where it has no room.
fn number(quantity: u8, processing: u8, value: Decimal, unit: u8) -> Option<Vec<u8>> {
    let value = u32::try_from(value.trunc()).ok()?;
    let scaler_unit = [0x02, 0x02, 0x0F, 0, 0x16, unit];
    Some([&code(1, quantity, processing, 3)[..], &[0x06], &value.to_be_bytes(), &scaler_unit].concat())
}

/// A date-time of COSEM, with deviation.
fn date_time(at: Timestamp) -> [u8; 12] {
    let local = (at + Span::MINUTE * i64::from(AHEAD)).to_string();
    let part = |from: usize, to: usize| local.get(from..to).and_then(|digits| digits.parse::<u16>().ok());
    let two = |at: usize| part(at, at + 2).and_then(|part| u8::try_from(part).ok()).unwrap_or(0xFF);
    let [high, low] = part(0, 4).unwrap_or(u16::MAX).to_be_bytes();
    let deviation = (-AHEAD).to_be_bytes();
    [high, low, two(5), two(8), 0xFF, two(11), two(14), two(17), 0xFF, deviation[0], deviation[1], 0]
}
