//! Knows what smart meters say, and turns it into values for reports.
//!
//! ```text
//! bytes -> Decoder -> Telegram -> Reading -> Series -> Value (of a report's interval)
//! ```
//!
//! Everything here is pure. Numbers are exact decimals from the first byte to the last.

mod channel;
mod decoder;
mod device;
mod dsmr;
mod obis;
mod quantity;
mod reading;
mod register;
mod rows;
mod series;
mod simulator;
mod telegram;
mod tier;
mod track;
mod unit;

#[cfg(test)]
mod tests;

pub(crate) use channel::Channel;
pub(crate) use decoder::{Decoder, Framing, LineSettings};
pub(crate) use dsmr::P1Decoder;
pub(crate) use quantity::Quantity;
pub(crate) use reading::Reading;
pub(crate) use series::{Series, Value};
pub(crate) use simulator::Simulator;
