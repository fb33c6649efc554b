//! Plays a German meter: files as one with an unlocked second line of its display sends them.

use super::signs::{EXPORT, IMPORT, NET_POWER};
use super::writer::{Writer, message, transport, usual};
use crate::metering::obis::ObisCode;

/// What a simulated meter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SmlReading {
    /// Seconds since the power came on: German meters have no clock.
    pub(crate) second: u32,
    /// Register of energy taken from the grid, in tenths of Wh.
    pub(crate) import: u64,
    /// Register of energy given to the grid, in tenths of Wh.
    pub(crate) export: u64,
    /// In W; positive: taken from the grid.
    pub(crate) power: i32,
}

/// The number of the meter: `1 OVN 00 12345678`.
const SERVER: [u8; 10] = *b"\x0A\x01OVN\x00\x00\xBC\x61\x4E";
/// The status word while energy is taken from the grid, and the bit that is set while it is given.
const STATUS: u64 = 0x1C_0104;
const STATUS_EXPORT: u64 = 0x800;
/// Numbers of units in DLMS.
const WH: u64 = 30;
const W: u64 = 27;

/// A file as the meter sends it.
pub(crate) fn sml_file(reading: SmlReading) -> Vec<u8> {
    let [a, b, c, d] = reading.second.to_be_bytes();
    let transaction = |number: u8| [a, b, c, d, number];
    let mut writer = Writer::default();
    writer.list(6).absent().absent().octets(&[a, b, c, d]).octets(&SERVER);
    time(&mut writer, reading.second);
    let open = writer.absent().done();
    let close = writer.list(1).absent().done();
    let payload = [
        message(&transaction(1), 0x0101, &open, usual),
        message(&transaction(2), 0x0701, &values(reading), usual),
        message(&transaction(3), 0x0201, &close, usual),
    ];
    transport(&payload.concat())
}

fn values(reading: SmlReading) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(7).absent().octets(&SERVER).octets(b"\x01\x00\x62\x0A\xFF\xFF");
    time(&mut writer, reading.second);
    writer.list(5);
    text(&mut writer, ObisCode([1, 0, 96, 50, 1, 1]), b"OVN");
    text(&mut writer, ObisCode::electricity(96, 1, 0), &SERVER);
    let status = STATUS | if reading.power < 0 { STATUS_EXPORT } else { 0 };
    writer.list(7).octets(&IMPORT.0).unsigned(status, 4).absent();
    writer.unsigned(WH, 1).signed(-1, 1).unsigned(reading.import, 8).absent();
    writer.list(7).octets(&EXPORT.0).absent().absent();
    writer.unsigned(WH, 1).signed(-1, 1).unsigned(reading.export, 8).absent();
    writer.list(7).octets(&NET_POWER.0).absent().absent();
    writer.unsigned(W, 1).signed(0, 1).signed(reading.power.into(), 4).absent();
    writer.absent().absent().done()
}

/// An entry without a unit.
fn text(writer: &mut Writer, code: ObisCode, octets: &[u8]) {
    writer.list(7).octets(&code.0).absent().absent().absent().absent().octets(octets).absent();
}

/// Seconds since the power came on.
fn time(writer: &mut Writer, second: u32) {
    writer.list(2).unsigned(1, 1).unsigned(second.into(), 4);
}
