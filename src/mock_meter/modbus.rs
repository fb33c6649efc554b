//! Plays Modbus meters, one or several on one line.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Player, Voice, lock};
use crate::daemon::clock::Clock;
use crate::metering::{Channel, LineSettings, ModbusSimulator, ObisCode, RegisterMap, SaidBytes, Simulator};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

/// What one meter has counted more than the one before it on the line, in Wh.
const APART: i64 = 1_000_000;

/// Modbus meters on one line, which answer until they are dropped.
#[derive(Debug)]
pub struct MockModbusLine {
    player: Player,
    dead: Arc<Mutex<BTreeSet<u8>>>,
}

impl MockModbusLine {
    /// Starts meters of that map at these addresses; their port is `folder/name`. Each has counted 1000 kWh more than the one before it.
    ///
    /// # Errors
    ///
    /// Where there is no such map, the system has no pseudo-terminals, or the link cannot be made.
    pub fn start(folder: &Path, name: &str, map: &str, units: &[u8]) -> io::Result<Self> {
        let map = RegisterMap::built_in(map).and_then(Result::ok).ok_or(io::ErrorKind::InvalidInput)?;
        let voice = ModbusVoice::new(&map, units, map.serial, Clock::start().now().wall);
        let dead = voice.dead.clone();
        let player = Player::start(Box::new(voice), Span::SECOND, Some(&folder.join(name)))?;
        Ok(Self { player, dead })
    }

    /// The port.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.player.port()
    }

    /// Cuts the power of a meter: it answers no more.
    pub fn kill(&self, unit: u8) {
        lock(&self.dead).insert(unit);
    }

    /// Gives it power again.
    pub fn revive(&self, unit: u8) {
        lock(&self.dead).remove(&unit);
    }
}

/// Speaks only when it is asked, and hears only at its own speed.
pub(crate) struct ModbusVoice {
    house: Simulator,
    meters: Vec<(u8, ModbusSimulator)>,
    line: LineSettings,
    dead: Arc<Mutex<BTreeSet<u8>>>,
}

impl ModbusVoice {
    /// Meters of one map at these addresses, in a house.
    pub(crate) fn new(map: &RegisterMap, units: &[u8], line: LineSettings, start: Timestamp) -> Self {
        let meters = units.iter().map(|unit| (*unit, ModbusSimulator::new(*unit, map))).collect();
        let mut voice = Self { house: Simulator::v5(start), meters, line, dead: Arc::default() };
        voice.speak(start);
        voice
    }
}

impl Voice for ModbusVoice {
    fn speak(&mut self, at: Timestamp) -> Vec<SaidBytes> {
        self.house.telegram(at);
        for (place, (_, meter)) in (0..).zip(&mut self.meters) {
            let mut reading = self.house.reading();
            for register in [Channel::Import, Channel::Export] {
                *reading.values.entry(register).or_default() += Decimal::from(APART * place);
            }
            meter.show(&reading);
            // Volts of each phase, and hertz, where its map has them.
            for (quantity, value) in [(32, 230), (52, 231), (72, 229), (14, 50)] {
                meter.set(ObisCode::electricity(quantity, 7, 0), value.into());
            }
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], baud: u32, _at: Timestamp) -> Vec<SaidBytes> {
        if baud != self.line.baud {
            return Vec::new();
        }
        let dead = lock(&self.dead);
        let living = self.meters.iter_mut().filter(|(unit, _)| !dead.contains(unit));
        let said = living.map(|(_, meter)| meter.hear(bytes)).filter(|bytes| !bytes.is_empty());
        said.map(|bytes| SaidBytes { after: Span::ZERO, line: Some(self.line), bytes }).collect()
    }
}
