//! Knows what smart meters say, and turns it into values for reports.
//!
//! ```text
//! bytes -> Decoder -> Telegram -> Reading -> Series -> Value (of a report's interval)
//! ```
//!
//! Everything here is pure. Numbers are exact decimals from the first byte to the last.

mod decoder;
mod dsmr;
mod modbus;
mod obis;
mod quantity;
mod reading;
mod register;
mod s0;
mod series;
mod session;
mod simulator;
mod telegram;
mod unit;

#[cfg(test)]
mod tests;

pub(crate) use decoder::{Decoder, Framing, LineSettings};
pub(crate) use dsmr::P1Decoder;
pub(crate) use modbus::{
    BUILT_IN, BadMap, ModbusDecoder, ModbusSettings, ModbusSimulator, RecordedSession, RegisterMap, likeness,
};
pub(crate) use quantity::Quantity;
pub(crate) use reading::Reading;
pub(crate) use s0::{PulseCounter, PulseFlow, PulseSettings};
pub(crate) use series::{Series, Value};
pub(crate) use simulator::Simulator;
