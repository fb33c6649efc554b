//! Every sample says the same in pieces of any size, by the very path of the command.

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
    let line = Line::try_parse_from(["replay".to_owned()].into_iter().chain(recording.arguments())).unwrap();
    let bytes = std::fs::read(&recording.file).unwrap();
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, true);
    decode(&bytes, piece, &line.protocol, &mut printer).unwrap();
    printer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

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
