//! Reads meters by Modbus RTU: asks for registers, and knows from a map what they hold.
//!
//! Sources: MODBUS over Serial Line 1.02, MODBUS Application Protocol 1.1b3, and the makers' tables of registers.

mod direction;
mod frame;
mod map;
mod number;
mod plan;
mod poll;
mod recorded;
mod simulator;

#[cfg(test)]
mod tests;

pub(crate) use frame::framed;
pub(crate) use map::{BUILT_IN, RegisterMap, likeness};
pub(crate) use poll::{ModbusDecoder, ModbusSettings};
pub(crate) use recorded::RecordedSession;
pub(crate) use simulator::ModbusSimulator;
