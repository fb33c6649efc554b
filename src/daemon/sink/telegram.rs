//! What goes over a line that carries bytes and nothing about them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fact::{Fact, topic};

use super::Message;

/// The bytes of a telegram, as the meter said them; `None`: it is none.
pub(super) fn bytes(fact: &Fact) -> Option<Vec<u8>> {
    let encoded = fact.data.get("bytes").filter(|_| fact.topic == topic::meter::TELEGRAM.name)?;
    STANDARD.decode(encoded.as_str()?).ok()
}

/// Telegrams byte by byte, one after the other; a message that tells of anything else in its own words.
pub(super) fn raw(message: &Message) -> Vec<u8> {
    let telegrams: Option<Vec<_>> = message.facts.iter().map(|fact| bytes(fact)).collect();
    telegrams.map_or_else(|| message.body.clone(), |telegrams| telegrams.concat())
}
