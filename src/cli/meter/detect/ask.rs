//! Asks meters that do not speak by themselves.

use std::io;

use crate::metering::{
    Act, BUILT_IN, Decoder, Framing, LineSettings, ModbusSettings, ProtocolSettings, RegisterMap, Why,
    likeness, modbus_frame, name_of_meter,
};
use crate::time::Span;

use super::line::Line;
use super::search::Verdict;

/// The request message of IEC 62056-21 to whoever is there, and the settings of the line for it.
const SIGN_ON: &[u8] = b"/?!\r\n";
const SIGN_ON_LINE: LineSettings = LineSettings { baud: 300, framing: Framing::SevenEven };
/// The reaction time is 1.5 s at most; then come some 20 characters of 33 ms each.
const IDENTIFIED_WITHIN: Span = Span::from_seconds(3);

/// The settings of Modbus meters as they leave the factory.
const MODBUS_LINES: &[LineSettings] = &[
    LineSettings { baud: 9600, framing: Framing::EightNone },
    LineSettings { baud: 19_200, framing: Framing::EightEven },
    LineSettings { baud: 19_200, framing: Framing::EightNone },
    LineSettings { baud: 2400, framing: Framing::EightNone },
    LineSettings { baud: 9600, framing: Framing::EightEven },
];
/// Addresses of a single meter on a bus.
const UNITS: &[u8] = &[1, 2, 3];
/// Meters answer in less than 100 ms; an answer at 2400 takes 40 ms more.
const ANSWER_WITHIN: Span = Span::from_millis(300);
/// A round of questions to a meter that answers takes no longer.
const ROUND_WITHIN: Span = Span::from_seconds(4);

/// Signs on at a meter of IEC 62056-21.
pub(super) async fn ask_iec(line: &mut impl Line, until: Span) -> io::Result<Option<Verdict>> {
    if line.now() >= until {
        return Ok(None);
    }
    line.set(SIGN_ON_LINE).await?;
    line.send(SIGN_ON).await?;
    let until = line.now() + IDENTIFIED_WITHIN;
    let mut heard = Vec::new();
    while line.now() < until {
        let piece = line.read(until - line.now()).await?;
        heard.extend(piece.iter().map(|byte| byte & 0x7F));
        if let Some(name) = name_of_meter(&heard) {
            let settings = vec!["protocol = \"iec62056-21\"".to_owned()];
            let what = format!("iec62056-21, {name}");
            return Ok(Some(Verdict::Found { what, settings, line: SIGN_ON_LINE }));
        }
    }
    Ok(None)
}

/// Asks a few addresses for a register at a few speeds; whoever answers is asked what each map says it has.
pub(super) async fn ask_modbus(line: &mut impl Line, until: Span) -> io::Result<Option<Verdict>> {
    let settings = if line.has_speeds() { MODBUS_LINES } else { &MODBUS_LINES[..1] };
    for setting in settings {
        line.set(*setting).await?;
        for unit in UNITS {
            if line.now() >= until {
                return Ok(None);
            }
            if answers(line, *unit).await? {
                return Ok(Some(which(line, *unit, *setting, until).await?));
            }
        }
    }
    Ok(None)
}

/// Whether a meter of that address says anything to a request, be it that it has no such register.
async fn answers(line: &mut impl Line, unit: u8) -> io::Result<bool> {
    // The first register that is an input: every meter has it, or says so.
    let request = modbus_frame(vec![unit, 4, 0, 0, 0, 2]);
    line.send(&request).await?;
    let until = line.now() + ANSWER_WITHIN;
    let mut heard = Vec::new();
    while line.now() < until {
        heard.extend(line.read(until - line.now()).await?);
        // An adapter may give back what we said.
        let answer = heard.strip_prefix(request.as_slice()).unwrap_or(&heard);
        let length = match answer {
            [from, 4, count, ..] if *from == unit => 5 + usize::from(*count),
            [from, 0x84, ..] if *from == unit => 5,
            _ => continue,
        };
        if let Some(frame) = answer.get(..length)
            && let Some((body, _)) = frame.split_last_chunk::<2>()
            && modbus_frame(body.to_vec()) == frame
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which map fits: the one by which the meter says most of what can be true.
async fn which(line: &mut impl Line, unit: u8, setting: LineSettings, until: Span) -> io::Result<Verdict> {
    let mut best: Option<(usize, &str)> = None;
    for (name, text) in BUILT_IN {
        let Ok(map) = RegisterMap::parse(text) else { continue };
        if line.now() >= until {
            break;
        }
        let fits = round(line, unit, map).await?;
        if fits > 0 && best.is_none_or(|(known, _)| fits > known) {
            best = Some((fits, name));
        }
    }
    let mut settings = vec!["protocol = \"modbus\"".to_owned(), format!("unit = {unit}")];
    let what = match best {
        Some((_, name)) => {
            settings.push(format!("map = \"{name}\""));
            format!("modbus, address {unit}, which answers as {name} does")
        }
        None => {
            settings.push(
                "map = \"...\"                          # none of those that are known fits".to_owned(),
            );
            format!("modbus, address {unit}, of a kind that is not known")
        }
    };
    Ok(Verdict::Found { what, settings, line: setting })
}

/// How much of what a meter says by a map can be true.
async fn round(line: &mut impl Line, unit: u8, map: RegisterMap) -> io::Result<usize> {
    let settings = ModbusSettings { unit, map, interval: Span::HOUR, time_out: ANSWER_WITHIN, invert: false };
    let mut decoder = ProtocolSettings::Modbus(settings).decoder();
    let until = line.now() + ROUND_WITHIN;
    while line.now() < until {
        let wait = match decoder.act(line.now()) {
            Act::Send(bytes) => {
                line.send(&bytes).await?;
                continue;
            }
            Act::Discard => {
                while !line.read(Span::ZERO).await?.is_empty() {}
                continue;
            }
            Act::Set(_) => continue,
            Act::Listen => until,
            Act::ListenUntil(at) | Act::Rest(at) => at,
        };
        if let Some(fits) = told(decoder.as_mut()) {
            return Ok(fits);
        }
        if wait > line.now() + ROUND_WITHIN {
            // It rests until the next round, and nothing good has come.
            return Ok(0);
        }
        let piece = line.read(wait.min(until) - line.now()).await?;
        decoder.push(&piece);
        if let Some(fits) = told(decoder.as_mut()) {
            return Ok(fits);
        }
    }
    Ok(0)
}

/// Whether the round is over, and how much could be true.
fn told(decoder: &mut dyn Decoder) -> Option<usize> {
    while let Some(outcome) = decoder.next() {
        match outcome {
            Ok(telegram) => return Some(likeness(&telegram).unwrap_or(0)),
            Err(refused) if refused.why == Why::NoAnswer => return Some(0),
            Err(_) => {}
        }
    }
    None
}
