//! Reads recorded sessions with a meter: what was asked, what came, and what the registers were known to hold.
//!
//! The form is JSON; whoever has the file parses it into these types.

use serde::Deserialize;

use super::frame::{Listening, REQUEST, Request};
use super::map::RegisterMap;
use super::number::NumberType;
use super::plan::values;
use super::poll::{ModbusSettings, object};
use crate::metering::decoder::{Refused, Why};
use crate::metering::telegram::Telegram;
use crate::openadr::message::DataQuality;
use crate::time::Span;

/// A recorded session.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RecordedSession {
    /// `low word first`, or anything else for the usual order.
    #[serde(default)]
    word_order: String,
    map: Vec<RecordedRegister>,
    steps: Vec<RecordedStep>,
}

/// What a register was known to hold.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RecordedRegister {
    pub(super) name: String,
    pub(super) function: u8,
    pub(super) address: u16,
    pub(super) r#type: NumberType,
    pub(super) scale: String,
    /// Empty where it has none.
    pub(super) unit: String,
    /// `32.7.0`, or `23.7.0-24.7.0` where the sign tells which.
    pub(super) obis_like: String,
}

/// One request, and everything that came before the next.
#[derive(Clone, Debug, Deserialize)]
struct RecordedStep {
    host_hex: String,
    reply: Vec<RecordedBytes>,
}

#[derive(Clone, Debug, Deserialize)]
struct RecordedBytes {
    /// Since what came before.
    after_ms: i64,
    hex: String,
}

impl RecordedSession {
    /// What each request brought: the values in its reply, or why there is none.
    pub(crate) fn outcomes(&self) -> Vec<Result<Telegram, Refused>> {
        let map = RegisterMap::recorded(&self.map, self.word_order.starts_with("low"));
        self.steps.iter().map(|step| step.outcome(&map)).collect()
    }
}

impl RecordedStep {
    fn outcome(&self, map: &RegisterMap) -> Result<Telegram, Refused> {
        let unreadable = |text: &str| {
            let why = Why::Content { at: 0, what: "the session holds no request of Modbus there".to_owned() };
            Refused::new(why, text.as_bytes())
        };
        let request =
            octets(&self.host_hex).and_then(|bytes| Request::read(&<[u8; REQUEST]>::try_from(bytes).ok()?));
        let request = request.ok_or_else(|| unreadable(&self.host_hex))?;
        let mut listening = Listening::new(request);
        for came in &self.reply {
            // What comes later is no answer any more.
            if Span::from_millis(came.after_ms) > ModbusSettings::TIME_OUT {
                break;
            }
            listening.push(&octets(&came.hex).ok_or_else(|| unreadable(&came.hex))?);
        }
        let bytes = listening.outcome().map_err(|why| Refused::new(why, listening.bytes()))?;
        let said = |(place, value): (usize, Option<_>)| {
            let register = map.registers.get(place)?;
            Some(object(register, (register.code, value?)))
        };
        let objects = values(map, request, bytes).into_iter().filter_map(said).collect();
        Ok(Telegram { meter: None, clock: None, objects, quality: DataQuality::Good })
    }
}

/// The bytes in hexadecimal digits.
fn octets(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None })
        .collect()
}
