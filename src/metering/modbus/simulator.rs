//! Plays a meter on a bus: bytes of requests in, bytes of replies out.

use std::collections::BTreeMap;

use super::frame::{HOLDING, INPUT, REQUEST, Request, framed};
#[cfg(test)]
use super::frame::{MOST_REGISTERS, fits};
use super::map::{Register, RegisterMap};
use crate::metering::channel::Channel;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::openadr::message::Decimal;

/// What the standard calls the exceptions.
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;

/// A meter that knows what its registers hold.
#[derive(Debug)]
pub(crate) struct ModbusSimulator {
    unit: u8,
    most: u16,
    /// Where its map has numbers.
    registers: Vec<Register>,
    /// By function and address; what is not there, the meter does not have.
    words: BTreeMap<(u8, u16), u16>,
    /// The end of what has come: it may be the beginning of a request.
    heard: Vec<u8>,
}

impl ModbusSimulator {
    /// With zero in every register of its map, and in the gaps between them that may be read.
    pub(crate) fn new(unit: u8, map: &RegisterMap) -> Self {
        let mut simulator = Self {
            unit,
            most: map.most,
            registers: map.registers.clone(),
            words: BTreeMap::new(),
            heard: Vec::new(),
        };
        for block in super::plan::blocks(map) {
            let Request { function, address, count, .. } = block.request(unit);
            let all = (0..count).filter_map(|at| address.checked_add(at));
            simulator.words.extend(all.map(|address| ((function, address), 0)));
        }
        simulator
    }

    /// With what a meter was heard to say, and nothing else; see [`ModbusSimulator::learn`].
    #[cfg(test)]
    pub(super) const fn untaught(unit: u8) -> Self {
        Self { unit, most: MOST_REGISTERS, registers: Vec::new(), words: BTreeMap::new(), heard: Vec::new() }
    }

    /// Holds from now on what a recorded reply to a recorded request holds, so that it can be asked for otherwise than it was in the
    /// recording. Whether the reply is a good one.
    #[cfg(test)]
    pub(super) fn learn(&mut self, request: &[u8], reply: &[u8]) -> bool {
        let Some(request) = request.try_into().ok().and_then(Request::read) else { return false };
        let [unit, function, count, words @ .., _, _] = reply else { return false };
        let good = (*unit, *function, usize::from(*count)) == (request.unit, request.function, words.len())
            && words.len() == 2 * usize::from(request.count)
            && unit == &self.unit
            && fits(reply);
        if good {
            for (word, at) in words.chunks_exact(2).zip(0..request.count) {
                if let (&[high, low], Some(address)) = (word, request.address.checked_add(at)) {
                    self.words.insert((*function, address), u16::from_be_bytes([high, low]));
                }
            }
        }
        good
    }

    /// Lets a register of the map hold a value in Wh, W, V, A...; whether there is such a register, and the value has room in it.
    pub(crate) fn set(&mut self, code: ObisCode, value: Decimal) -> bool {
        let Some(register) = self.registers.iter().find(|register| register.code == code).cloned() else {
            return false;
        };
        let words = register.in_its_unit(value).and_then(|value| register.encoded(value));
        words.is_some_and(|words| self.hold(&register, &words))
    }

    /// Lets a register of the map hold what says that there is no value; whether the register has something for that.
    #[cfg(test)]
    pub(super) fn set_absent(&mut self, code: ObisCode) -> bool {
        let Some(register) = self.registers.iter().find(|register| register.code == code).cloned() else {
            return false;
        };
        let words = register.absent.map(|bits| register.words.words(bits, register.form.registers()));
        words.is_some_and(|words| self.hold(&register, &words))
    }

    fn hold(&mut self, register: &Register, words: &[u16]) -> bool {
        for (word, at) in words.iter().zip(0..) {
            if let Some(address) = register.address.checked_add(at) {
                self.words.insert((register.function, address), *word);
            }
        }
        true
    }

    /// Lets it say what a reading says, as far as it has registers for that.
    pub(crate) fn show(&mut self, reading: &Reading) {
        let code = ObisCode::electricity;
        let all = [
            (code(1, 8, 0), reading.get(Channel::Import)),
            (code(2, 8, 0), reading.get(Channel::Export)),
            (code(1, 7, 0), reading.get(Channel::PowerImport)),
            (code(2, 7, 0), reading.get(Channel::PowerExport)),
            (code(16, 7, 0), reading.net_power()),
        ];
        for (code, value) in all {
            if let Some(value) = value {
                self.set(code, value);
            }
        }
    }

    /// Lets the meter lack a register of the map.
    #[cfg(test)]
    pub(super) fn lack(&mut self, code: ObisCode) {
        for register in self.registers.iter().filter(|register| register.code == code) {
            self.words.remove(&(register.function, register.address));
        }
    }

    /// What the meter says to these bytes, which may be any piece of what it is sent: nothing, or its reply.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        for byte in bytes {
            self.heard.push(*byte);
            let Some(request) = self.heard.last_chunk::<REQUEST>().and_then(Request::read) else {
                let old = (self.heard.len() + 1).saturating_sub(REQUEST);
                self.heard.drain(..old);
                continue;
            };
            self.heard.clear();
            if request.unit == self.unit {
                said.extend(self.reply(request));
            }
        }
        said
    }

    fn reply(&self, request: Request) -> Vec<u8> {
        let exception = |code| framed(vec![self.unit, request.function | 0x80, code]);
        if ![HOLDING, INPUT].contains(&request.function) {
            return exception(ILLEGAL_FUNCTION);
        }
        let Some(length) = u8::try_from(2 * u32::from(request.count)).ok().filter(|length| *length > 0)
        else {
            return exception(ILLEGAL_VALUE);
        };
        if request.count > self.most {
            return exception(ILLEGAL_VALUE);
        }
        let word = |at| self.words.get(&(request.function, request.address.checked_add(at)?));
        let Some(words) = (0..request.count).map(word).collect::<Option<Vec<_>>>() else {
            return exception(ILLEGAL_ADDRESS);
        };
        let mut reply = vec![self.unit, request.function, length];
        reply.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        framed(reply)
    }
}
