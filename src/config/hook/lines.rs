//! Reads `type = "file"`, `"tcp"`, `"serial"` and `"exec"`: what is told without a network protocol on top.

use std::net::SocketAddr;
use std::path::Path;

use crate::hook::settings::{ExecTarget, FileTarget, Flow, Parity, SerialLine, SerialTarget, TcpTarget};
use crate::metering::{Framing, Protocol};
use crate::time::Span;

use super::super::meter::{MeterSection, SPEEDS, is_address};
use super::super::program::max_memory;
use super::super::read::or;
use super::super::reader::Section;
use super::secrets::References;

pub(super) fn file(section: &Section<'_, '_>, folder: &Path) -> Option<FileTarget> {
    let path = section.required("path", "name the file, as path = \"/var/log/ven/events.jsonl\"");
    let max_bytes = or(section.octets("max_size"), 10 << 20);
    let keep = or(section.number("keep"), 5);
    let fsync = or(section.boolean("fsync"), false);
    Some(FileTarget { path: folder.join(path?.value), max_bytes, keep, fsync })
}

pub(super) fn tcp(section: &Section<'_, '_>) -> Option<TcpTarget> {
    let kind = "an address and a port like \"0.0.0.0:2001\"";
    let listen = section.parse_text("listen", kind, |text| text.parse::<SocketAddr>().ok());
    let kind = "a host and a port like \"display.example.net:2001\"";
    let connect = section.parse_text("connect", kind, |text| is_address(text).then(|| text.to_owned()));
    match (section.has("listen"), section.has("connect")) {
        (true, true) => section.fault_at("connect", "stands beside listen; make two hooks of it"),
        (false, false) => {
            section
                .fault("listen", "is missing; expected listen = \"0.0.0.0:2001\" or connect = \"HOST:PORT\"");
        }
        _ => {}
    }
    listen
        .map(|found| TcpTarget::Listen(found.value.to_string()))
        .or_else(|| connect.map(|found| TcpTarget::Connect(found.value)))
}

pub(super) fn serial(
    section: &Section<'_, '_>,
    folder: &Path,
    meters: &[MeterSection],
) -> Option<SerialTarget> {
    let port = section.required("port", "name it, as port = \"/dev/serial/by-id/...\"");
    let line = if section.is_table("line") {
        own_line(section.section("line"))
    } else {
        section.choice("line", &[("inherit", ())]);
        inherited(section, meters)
    };
    let write_timeout = section.span("write_timeout");
    if let Some(found) = write_timeout.as_ref().filter(|found| found.value.is_zero()) {
        section.reader.fault(found.line, &found.key, "is no time at all; nothing would ever be written");
    }
    let write_timeout = or(write_timeout, Span::from_seconds(2));
    Some(SerialTarget { port: folder.join(port?.value), line, write_timeout })
}

/// As the line of the meters with a P1 port is set, which are those whose telegrams are told.
fn inherited(section: &Section<'_, '_>, meters: &[MeterSection]) -> SerialLine {
    let line = |meter: &MeterSection| {
        let (data_bits, parity, stop_bits) = match meter.framing.unwrap_or(Framing::EightNone) {
            Framing::EightNone => (8, Parity::None, 1),
            Framing::EightEven => (8, Parity::Even, 1),
            Framing::EightNoneTwo => (8, Parity::None, 2),
            Framing::SevenEven => (7, Parity::Even, 1),
        };
        let baud = meter.baud.unwrap_or(SerialLine::P1.baud);
        SerialLine { baud, data_bits, parity, stop_bits, flow: Flow::None }
    };
    let mut lines = meters.iter().filter(|meter| meter.protocol == Protocol::Dsmr).map(line);
    let first = lines.next().unwrap_or(SerialLine::P1);
    if lines.any(|other| other != first) {
        let what = "cannot be inherited: the lines of the meters differ; expected line = { baud = 115200 }";
        section.fault_at("line", what);
    }
    first
}

fn own_line(section: Section<'_, '_>) -> SerialLine {
    let baud = section.number("baud");
    if let Some(found) = baud.as_ref().filter(|found| !SPEEDS.contains(&found.value)) {
        let speeds: Vec<_> = SPEEDS.iter().map(u32::to_string).collect();
        let what = format!("expected one of {}, found {}", speeds.join(", "), found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    let parities = [("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];
    let flows = [("none", Flow::None), ("xonxoff", Flow::XonXoff), ("rtscts", Flow::RtsCts)];
    let usual = SerialLine::P1;
    let line = SerialLine {
        baud: or(baud, usual.baud),
        data_bits: or(section.whole("data_bits", 5..=8), usual.data_bits),
        parity: or(section.choice("parity", &parities), usual.parity),
        stop_bits: or(section.whole("stop_bits", 1..=2), usual.stop_bits),
        flow: or(section.choice("flow", &flows), usual.flow),
    };
    section.end();
    line
}

pub(super) fn exec(section: &Section<'_, '_>, folder: &Path) -> ExecTarget {
    let found = section.texts("command");
    if found.first().is_none_or(|found| found.value.is_empty()) {
        let advice = "expected a program and its arguments, as command = [\"/etc/ven/tell.sh\", \"--short\"]";
        section.fault_at("command", advice);
    }
    if let Some(found) = found.iter().find(|found| found.value.contains("${")) {
        let what = "every user of the machine sees the arguments of programs; hand secrets over in env = { KEY = \"${…}\" }";
        section.reader.fault(found.line, &found.key, what);
    }
    let mut command: Vec<String> = found.into_iter().map(|found| found.value).collect();
    // A name without / is looked for in PATH.
    if let Some(program) = command.first_mut().filter(|program| program.contains('/'))
        && let Some(path) = folder.join(&*program).to_str()
    {
        *program = path.to_owned();
    }
    let mut env = Vec::new();
    for (name, found) in section.pairs("env") {
        let what = match References::of(&found.value) {
            Err(what) => Some(what),
            Ok(_) if name.is_empty() || name.contains(['=', '\0']) => Some("no variable can be called that"),
            Ok(_) if found.value.contains('\0') => Some("no variable can have NUL in it"),
            Ok(_) => None,
        };
        if let Some(what) = what {
            section.reader.fault(found.line, &found.key, what);
        }
        env.push((name, found.value));
    }
    ExecTarget { command, env, max_memory: max_memory(section) }
}
