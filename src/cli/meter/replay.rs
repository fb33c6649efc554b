//! `ven meter replay`: decodes what was recorded.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::ProtocolArguments;
use super::print::Printer;
use super::recognise::recognise;
use super::session::{Recorded, play, play_modbus};
use crate::metering::{Protocol, ProtocolSettings};

/// So much is decoded at once.
const PIECE: usize = 4096;
/// Longer recordings are cut by their owner.
const LONGEST: u64 = 1 << 30;

/// What both sides say in most recorded sessions.
const SPOKEN: Protocol = Protocol::Iec62056;

/// Prints what is in a recording; whether anything is good.
pub(super) fn replay(file: &Path, arguments: &ProtocolArguments, json: bool) -> anyhow::Result<bool> {
    let name = || file.display().to_string();
    let length = std::fs::metadata(file).with_context(name)?.len();
    ensure!(length <= LONGEST, "{}: it is longer than {LONGEST} bytes", name());
    let bytes = std::fs::read(file).with_context(name)?;
    let mut printer = Printer::new(BufWriter::new(std::io::stdout().lock()), json);
    decode(&bytes, PIECE, arguments, &mut printer)?;
    Ok(printer.finish()?)
}

/// Prints what is in these bytes, which come in pieces of that size.
fn decode(
    bytes: &[u8],
    piece: usize,
    arguments: &ProtocolArguments,
    printer: &mut Printer<impl Write>,
) -> anyhow::Result<()> {
    match Recorded::of(bytes) {
        Some(Recorded::Modbus(session)) => return play_modbus(&session, piece, printer),
        Some(Recorded::Said(session)) => {
            let mut protocol = arguments.named(arguments.protocol.unwrap_or(SPOKEN))?;
            if let ProtocolSettings::Iec62056 { pull, .. } = &mut protocol {
                *pull = pull.take().filter(|_| !session.is_pushed());
                if let Some(pull) = pull.as_mut().filter(|pull| pull.address.is_empty()) {
                    pull.address = session.device();
                }
            }
            return play(&session, &protocol, piece, printer);
        }
        None => {}
    }
    let settings = match arguments.protocol {
        Some(protocol) => arguments.named(protocol)?,
        None => recognise(bytes, |protocol| arguments.settings(protocol))?,
    };
    let mut decoder = settings.decoder();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        while let Some(outcome) = decoder.next() {
            printer.outcome(outcome)?;
        }
    }
    decoder.quiet();
    while let Some(outcome) = decoder.next() {
        printer.outcome(outcome)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{ProtocolArguments, decode};
    use crate::cli::meter::print::Printer;
    use crate::test_support::{Recording, recordings};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        protocol: ProtocolArguments,
    }

    /// What a program is told that replays it.
    fn told(recording: &Recording, piece: usize) -> String {
        let line =
            Line::try_parse_from(["replay".to_owned()].into_iter().chain(recording.arguments())).unwrap();
        let bytes = std::fs::read(&recording.file).unwrap();
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, true);
        decode(&bytes, piece, &line.protocol, &mut printer).unwrap();
        printer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    /// By the very path of the command.
    #[test]
    fn every_recording_says_the_same_in_pieces_of_any_size() {
        for recording in recordings() {
            let whole = told(&recording, usize::MAX);
            assert!(whole.contains("\"good\":"), "{}: {whole}", recording.name());
            for piece in [1, 7, 64, 4096] {
                assert_eq!(told(&recording, piece), whole, "{} in pieces of {piece}", recording.name());
            }
        }
    }
}
