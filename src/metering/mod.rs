//! Knows what smart meters say, and turns it into values for reports.
//!
//! ```text
//! bytes -> Decoder -> Telegram -> Reading -> Series -> Value (of a report's interval)
//! ```
//!
//! Everything here is pure. Numbers are exact decimals from the first byte to the last.

// What is open to others than this room is so for the benchmarks, which are crates of their own.
mod channel;
mod checksum;
pub(crate) mod ciphered;
mod decoder;
mod device;
mod dlms;
pub(crate) mod dsmr;
mod iec62056_21;
mod mbus_channels;
mod member;
mod meter_clock;
mod modbus;
mod obis;
mod protocol;
mod pulses;
mod quantity;
mod reading;
mod register;
mod rows;
mod s0;
mod series;
mod session;
mod simulator;
pub(crate) mod sml;
mod telegram;
mod tier;
mod track;
mod transformers;
mod turns;
mod unit;

#[cfg(test)]
mod tests;

pub(crate) use channel::{Channel, Limits, Medium};
pub(crate) use ciphered::{CounterGuard, Keys, SystemTitle};
pub(crate) use decoder::{Act, Decoder, Framing, LineSettings, RawTelegram, Refused, Why};
#[cfg(test)]
pub(crate) use device::Device;
pub(crate) use dlms::{BUILT_IN as LIST_MODELS, HanSimulator, ListModels};
pub(crate) use iec62056_21::{IecSimulator, PullSettings, SimulatedMode, name_of_meter};
pub(crate) use meter_clock::MeterClock;
pub(crate) use modbus::{
    BUILT_IN, ModbusSettings, ModbusSimulator, RecordedSession, RegisterMap, framed as modbus_frame, likeness,
};
pub(crate) use obis::ObisCode;
pub(crate) use protocol::{Protocol, ProtocolSettings, Sealing};
pub(crate) use pulses::PulseForm;
pub(crate) use quantity::Quantity;
pub(crate) use reading::Reading;
pub(crate) use rows::{Kept, Row as StoredRow, Stored};
pub(crate) use s0::{PulseFlow, PulseSettings};
pub(crate) use series::{Series, Value};
pub(crate) use session::{Player as SessionPlayer, Said as SaidBytes, Session};
pub(crate) use simulator::Simulator;
pub(crate) use sml::{PIN_MISSING, SmlReading, sml_file};
pub(crate) use telegram::{Object, ObjectValue, Telegram};
pub(crate) use tier::Keep;
pub(crate) use transformers::{BehindTransformers, Ratio, Transformers};
pub(crate) use turns::Turns;
#[cfg(test)]
pub(crate) use unit::MeterUnit;
pub(crate) use unit::{Measure, amount};
