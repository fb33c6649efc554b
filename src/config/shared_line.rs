//! Knows which meters may share a source: those of Modbus, which are told apart by their units.

use crate::metering::Protocol;

use super::meter::{MeterSection, MeterSource};
use super::reader::Reader;

/// Faults meters that have a source in common and cannot share it.
pub(super) fn shared_lines(reader: &Reader<'_>, meters: &[MeterSection]) {
    // What is posted says for which meter it is.
    let on_lines = meters.iter().enumerate().filter(|(_, meter)| meter.source != MeterSource::Api);
    for (at, meter) in on_lines {
        let before = meters[..at].iter().enumerate().filter(|(_, other)| other.source == meter.source);
        let conflict = |(first, other): (usize, _)| Some((first, other, conflict(meter, other)?));
        let Some((first, other, (key, advice))) = before.into_iter().find_map(conflict) else { continue };
        let line_of = |at: usize| {
            let line = reader.line_of(&format!("meter[{at}].{key}"));
            line.or_else(|| reader.line_of(&format!("meter[{at}].source")))
        };
        let line = line_of(first).map_or_else(String::new, |line| format!(" (line {line})"));
        let what = format!("is that of meter \"{}\"{line} too; {advice}", other.name);
        reader.fault(line_of(at), &format!("meter[{at}].{key}"), what);
    }
}

/// Why two meters cannot be read from one source: the setting, and what to do.
fn conflict(meter: &MeterSection, other: &MeterSection) -> Option<(&'static str, &'static str)> {
    if ![meter, other].into_iter().all(shares) {
        return Some(("source", "only meters with protocol = \"modbus\" share a line"));
    }
    (meter.unit == other.unit).then_some(("unit", "meters on one line have each a unit of its own"))
}

/// It speaks only when it is asked by its address. A recording hears nothing.
const fn shares(meter: &MeterSection) -> bool {
    matches!(meter.protocol, Protocol::Modbus) && !matches!(meter.source, MeterSource::File(_))
}
