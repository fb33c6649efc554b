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
use crate::metering::session::{Reply, Session, Step, octets};
use crate::metering::telegram::Telegram;
use crate::openadr::message::DataQuality;
use crate::time::Span;

/// A recorded session that says what the registers hold.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RecordedSession {
    /// `low word first`, or anything else for the usual order.
    #[serde(default)]
    word_order: String,
    map: Vec<RecordedRegister>,
    #[serde(flatten)]
    session: Session,
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

impl RecordedSession {
    /// What each request brought: the values in its reply, or why there is none; what came together comes in pieces of so many bytes.
    pub(crate) fn outcomes(&self, piece: usize) -> Vec<Result<Telegram, Refused>> {
        let map = RegisterMap::recorded(&self.map, self.word_order.starts_with("low"));
        let requests = self.session.steps.iter().filter_map(|step| match step {
            Step::Asked { host_hex, reply } => Some((host_hex, reply)),
            Step::Said { .. } => None,
        });
        requests.map(|(asked, replies)| outcome(asked, replies, piece, &map)).collect()
    }
}

fn outcome(asked: &str, replies: &[Reply], piece: usize, map: &RegisterMap) -> Result<Telegram, Refused> {
    let unreadable = |text: &str| {
        let why = Why::Content { at: 0, what: "the session holds no bytes of Modbus there".to_owned() };
        Refused::new(why, text.as_bytes())
    };
    let request = octets(asked).and_then(|bytes| Request::read(&<[u8; REQUEST]>::try_from(bytes).ok()?));
    let request = request.ok_or_else(|| unreadable(asked))?;
    let mut listening = Listening::new(request);
    for Reply { after_ms, hex } in replies {
        // What comes later is no answer any more.
        if Span::from_millis((*after_ms).into()) > ModbusSettings::TIME_OUT {
            break;
        }
        let bytes = octets(hex).ok_or_else(|| unreadable(hex))?;
        bytes.chunks(piece).for_each(|piece| listening.push(piece));
    }
    let bytes = listening.outcome().map_err(|why| Refused::new(why, listening.bytes()))?;
    let said = |(place, value): (usize, Option<_>)| {
        let register = map.registers.get(place)?;
        Some(object(register, (register.code, value?)))
    };
    let objects = values(map, request, bytes).into_iter().filter_map(said).collect();
    Ok(Telegram { meter: None, clock: None, objects, quality: DataQuality::Good })
}
